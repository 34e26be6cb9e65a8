/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds a program's ring, state and count of losses: see program.h. */
#include "program.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tunables.h"

static int find_hints(struct vh_running *running, char *text)
{
    struct bpf_map *map = bpf_object__find_map_by_name(running->loaded.object, "hints");
    int error;

    if (!map || bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF)
        return 0;
    error = vh_ring_open(&running->ring, bpf_map__fd(map), bpf_map__max_entries(map));
    if (error)
        snprintf(text, VH_TEXT_MAX, "%s: its ring buffer cannot be mapped: %s", running->name, strerror(-error));
    else
        running->ring_fd = bpf_map__fd(map);
    return error;
}

static int find_state(struct vh_running *running, char *text)
{
    struct bpf_map *map = bpf_object__find_map_by_name(running->loaded.object, "state");

    if (!map || (bpf_map__type(map) != BPF_MAP_TYPE_HASH && bpf_map__type(map) != BPF_MAP_TYPE_LRU_HASH))
        return 0;
    if (bpf_map__value_size(map) < sizeof(struct vh_hint) || bpf_map__value_size(map) > VH_HINT_MAX) {
        snprintf(text, VH_TEXT_MAX, "%s: the values of its map `state` have %u bytes; hints have %zu to %u",
                 running->name, bpf_map__value_size(map), sizeof(struct vh_hint), VH_HINT_MAX);
        return -EINVAL;
    }
    running->state_fd = bpf_map__fd(map);
    running->key_size = bpf_map__key_size(map);
    running->value_size = bpf_map__value_size(map);
    running->state_entries = bpf_map__max_entries(map);
    return 0;
}

int vh_running_init(struct vh_running *running, char *text)
{
    size_t size = 0;
    int error;

    running->ring_fd = -1;
    running->state_fd = -1;
    error = find_hints(running, text);
    if (error == 0)
        error = find_state(running, text);
    running->lost = vh_variable(running->loaded.object, ".bss", "vh_lost", &size);
    if (size != sizeof(*running->lost))
        running->lost = NULL;
    return error;
}

void vh_running_free(struct vh_running *running)
{
    vh_ring_close(&running->ring);
    vh_loaded_free(&running->loaded);
    *running = (struct vh_running){0};
}

uint64_t vh_running_lost(const struct vh_running *running)
{
    return running->dropped + running->misses + (running->lost ? *running->lost : 0);
}
