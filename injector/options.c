// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a load's options: see options.h.
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps.h"
#include "tunables.h"
#include "wire.h"

#define PARTIAL_VARIABLE "vh_partial"
#define MAP_OPTION ".map."
#define FRAMES "/proc/sys/kernel/perf_event_max_stack"

static bool is_on(const char *value)
{
    return strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

/* 0: it is no number from 1 to `most`. */
static uint32_t number_of(const char *value, uint32_t most)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(value, &end, 10);
    return value[0] < '0' || value[0] > '9' || *end || errno || number > most ? 0
                                                                              : (uint32_t)number;
}

static int refuse_map(struct bpf_object *object, const char *name, char *text)
{
    const char *separator = "; it has ";
    struct bpf_map *map;
    int used = snprintf(text, VH_TEXT_MAX, "the object has no map \"%.128s\"", name);

    bpf_object__for_each_map (map, object) {
        if (bpf_map__is_internal(map) || used >= (int)VH_TEXT_MAX)
            continue;
        used += snprintf(text + used, VH_TEXT_MAX - (size_t)used, "%s%s", separator,
                         bpf_map__name(map));
        separator = ", ";
    }
    return -EINVAL;
}

static int size_map(struct bpf_object *object, const char *name, const char *value, char *text)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object, name);
    uint32_t entries = number_of(value, INT32_MAX);

    if (!map || bpf_map__is_internal(map))
        return refuse_map(object, name, text);
    if (entries == 0 || bpf_map__set_max_entries(map, entries)) {
        snprintf(text, VH_TEXT_MAX,
                 "map %s cannot have \"%.64s\" entries: say a number from 1 to %d", name, value,
                 INT32_MAX);
        return -EINVAL;
    }
    return 0;
}

static int take_one(struct bpf_object *object, const char *option, struct vh_load_options *options,
                    char *text)
{
    const char *value = strchr(option, '=') + 1;
    char name[128];

    snprintf(name, sizeof(name), "%.*s", (int)(value - 1 - option), option);
    if (strncmp(name, MAP_OPTION, strlen(MAP_OPTION)) == 0)
        return size_map(object, name + strlen(MAP_OPTION), value, text);
    if (strcmp(name, ".partial") == 0) {
        options->partial = is_on(value);
        return 0;
    }
    if (strcmp(name, ".every") == 0) {
        options->every = number_of(value, VH_EVERY_MAX);
        if (options->every)
            return 0;
        snprintf(text, VH_TEXT_MAX, "samples cannot be taken every \"%.64s\" Hz: say 1 to %u",
                 value, VH_EVERY_MAX);
        return -EINVAL;
    }
    snprintf(
        text, VH_TEXT_MAX,
        "this injector does not know the option %s: a newer vhintd has asked for it; bring the "
        "guest's injector up to date",
        name);
    return -EINVAL;
}

/* `every` is about something. */
static int check_every(struct bpf_object *object, const struct vh_load_options *options, char *text)
{
    struct bpf_program *p;

    if (options->every == 0)
        return 0;
    bpf_object__for_each_program (p, object) {
        if (bpf_program__type(p) == BPF_PROG_TYPE_PERF_EVENT)
            return 0;
    }
    snprintf(text, VH_TEXT_MAX,
             "samples every %u Hz are asked for, but the object has no program in "
             "SEC(\"perf_event\") to take them",
             options->every);
    return -EINVAL;
}

int vh_options_take(struct bpf_object *object, const char *tunables, size_t len,
                    struct vh_load_options *options, char *text)
{
    size_t size = 0;
    const bool *partial = vh_variable(object, ".rodata", PARTIAL_VARIABLE, &size);
    struct vh_load_options taken = {.partial = partial && size == sizeof(*partial) && *partial};
    int error = 0;

    for (const char *t = tunables; t < tunables + len && error == 0; t += strlen(t) + 1) {
        if (t[0] == VH_OPTION_MARK)
            error = take_one(object, t, &taken, text);
    }
    if (error == 0)
        error = vh_maps_settle(object, vh_maps_frames(FRAMES), text);
    if (error == 0)
        error = check_every(object, &taken, text);
    if (error == 0)
        *options = taken;
    return error;
}
