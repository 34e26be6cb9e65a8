// SPDX-License-Identifier: GPL-2.0-or-later
// Finds a program's ring, state and count of losses: see program.h.
#include "program.h"
#include "guest-rules.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tunables.h"

static int find_hints(struct vh_running *running, char *text)
{
    struct bpf_map *map = bpf_object__find_map_by_name(running->loaded.object, "hints");
    int error;

    if (!map || bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF)
        return 0;
    error = vh_ring_open(&running->ring, bpf_map__fd(map), bpf_map__max_entries(map));
    if (error)
        snprintf(text, VH_TEXT_MAX, "%s: its ring buffer cannot be mapped: %s", running->name,
                 strerror(-error));
    else
        running->ring_fd = bpf_map__fd(map);
    return error;
}

static int find_state(struct vh_running *running, char *text)
{
    struct bpf_map *map = bpf_object__find_map_by_name(running->loaded.object, "state");

    if (!map ||
        (bpf_map__type(map) != BPF_MAP_TYPE_HASH && bpf_map__type(map) != BPF_MAP_TYPE_LRU_HASH))
        return 0;
    if (bpf_map__value_size(map) < sizeof(struct vh_hint) ||
        bpf_map__value_size(map) > VH_HINT_MAX) {
        snprintf(text, VH_TEXT_MAX,
                 "%s: the values of its map `state` have %u bytes; hints have %zu to %u",
                 running->name, bpf_map__value_size(map), sizeof(struct vh_hint), VH_HINT_MAX);
        return -EINVAL;
    }
    running->state_fd = bpf_map__fd(map);
    running->key_size = bpf_map__key_size(map);
    running->value_size = bpf_map__value_size(map);
    running->state_entries = bpf_map__max_entries(map);
    return 0;
}

/* libbpf's copy of a section holds initial values only: the live one is in the map. */
static int find_lost(struct vh_running *running, char *text)
{
    struct bpf_map *map = bpf_object__find_map_by_name(running->loaded.object, ".bss");
    size_t size = 0;
    const uint8_t *initial = vh_variable(running->loaded.object, ".bss", "vh_lost", &size);
    size_t section_size;
    size_t offset;
    void *mapped;

    if (!map || !initial || size != sizeof(*running->lost))
        return 0;
    offset = (size_t)(initial - (const uint8_t *)bpf_map__initial_value(map, &section_size));
    mapped = mmap(NULL, section_size, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);
    if (mapped == MAP_FAILED) {
        snprintf(text, VH_TEXT_MAX, "%s: its variable vh_lost cannot be mapped: %s", running->name,
                 strerror(errno));
        return -errno;
    }
    running->bss = mapped;
    running->bss_size = section_size;
    running->lost = (const volatile uint64_t *)(const void *)((const uint8_t *)mapped + offset);
    return 0;
}

/* What a rodata variable began with is what it is. */
static void find_promise(struct vh_running *running)
{
    size_t size = 0;
    const bool *confirms =
        vh_variable(running->loaded.object, ".rodata", "vh_walk_confirms", &size);

    running->confirms = confirms && size == sizeof(*confirms) && *confirms &&
                        running->state_fd >= 0 && running->loaded.iterator_count > 0;
}

/* 0 or -errno with `text`. */
static int find_collector(struct vh_running *running, char *text)
{
    size_t size = 0;
    const bool *collects =
        vh_variable(running->loaded.object, ".rodata", "vh_collect_rules", &size);
    int error = 0;

    running->rules = (struct vh_rules){-1, -1};
    if (!collects || size != sizeof(*collects) || !*collects)
        return 0;
    if (running->state_fd < 0 || running->key_size != sizeof(uint32_t) ||
        running->value_size != sizeof(struct vh_rules_part)) {
        snprintf(text, VH_TEXT_MAX, "%s: vh_collect_rules wants a map `state` of vh_rules_part",
                 running->name);
        return -EINVAL;
    }
    error = vh_rules_open(&running->rules);
    if (error)
        snprintf(text, VH_TEXT_MAX, "%s: changes of rules cannot be listened to: %s", running->name,
                 strerror(-error));
    running->collects = error == 0;
    return error;
}

int vh_running_init(struct vh_running *running, char *text)
{
    int error;

    running->ring_fd = -1;
    running->state_fd = -1;
    error = find_hints(running, text);
    if (error == 0)
        error = find_state(running, text);
    if (error == 0)
        error = find_lost(running, text);
    if (error == 0)
        find_promise(running);
    if (error == 0)
        error = find_collector(running, text);
    return error;
}

void vh_running_end(struct vh_running *running)
{
    vh_ring_close(&running->ring);
    vh_rules_close(&running->rules);
    if (running->bss)
        munmap(running->bss, running->bss_size);
    vh_loaded_free(&running->loaded);
}

void vh_running_account(struct vh_running *running)
{
    running->misses = vh_loaded_misses(&running->loaded);
}

uint64_t vh_running_lost(const struct vh_running *running)
{
    return running->dropped + running->misses + (running->lost ? *running->lost : 0);
}
