/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a load's options: see options.h. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tunables.h"
#include "wire.h"

#define PARTIAL_VARIABLE "vh_partial"
#define MAP_OPTION ".map."

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

/* Does the kernel refuse to make a map of this type without a size? */
static bool needs_size(enum bpf_map_type type)
{
    switch (type) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_PROG_ARRAY:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_PERCPU_ARRAY:
    case BPF_MAP_TYPE_STACK_TRACE:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_LPM_TRIE:
    case BPF_MAP_TYPE_ARRAY_OF_MAPS:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK:
    case BPF_MAP_TYPE_RINGBUF:
        return true;
    default:
        return false;
    }
}

/* A map pinned by name would stay when its program goes, and be found by the next one with what the
 * former knew; so it is not pinned. */
static int settle_maps(struct bpf_object *object, char *text)
{
    struct bpf_map *map;

    bpf_object__for_each_map (map, object) {
        if (bpf_map__max_entries(map) == 0 && needs_size(bpf_map__type(map))) {
            snprintf(text, VH_TEXT_MAX,
                     "map %s has no size, which its own loader would give it: say how many entries "
                     "it has with --map %s=ENTRIES",
                     bpf_map__name(map), bpf_map__name(map));
            return -EINVAL;
        }
        if (bpf_map__pin_path(map) && bpf_map__set_pin_path(map, NULL))
            return -ENOMEM;
    }
    return 0;
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
        error = settle_maps(object, text);
    if (error == 0)
        error = check_every(object, &taken, text);
    if (error == 0)
        *options = taken;
    return error;
}
