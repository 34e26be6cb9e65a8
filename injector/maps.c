// SPDX-License-Identifier: GPL-2.0-or-later
// Looks maps over: see maps.h.
#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "wire.h"

#define ANY UINT32_MAX /* but 0 */

/* What every kernel from 5.10 on refuses to do without (map_alloc_check of each type). */
static const struct map_rule {
    enum bpf_map_type type;
    uint32_t key; /* bytes */
    uint32_t value;
} rules[] = {
    {BPF_MAP_TYPE_HASH, ANY, ANY},       {BPF_MAP_TYPE_PERCPU_HASH, ANY, ANY},
    {BPF_MAP_TYPE_LRU_HASH, ANY, ANY},   {BPF_MAP_TYPE_LRU_PERCPU_HASH, ANY, ANY},
    {BPF_MAP_TYPE_HASH_OF_MAPS, ANY, 4}, {BPF_MAP_TYPE_LPM_TRIE, ANY, ANY},
    {BPF_MAP_TYPE_ARRAY, 4, ANY},        {BPF_MAP_TYPE_PERCPU_ARRAY, 4, ANY},
    {BPF_MAP_TYPE_PROG_ARRAY, 4, 4},     {BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4},
    {BPF_MAP_TYPE_STACK_TRACE, 4, ANY},  {BPF_MAP_TYPE_QUEUE, 0, ANY},
    {BPF_MAP_TYPE_STACK, 0, ANY},        {BPF_MAP_TYPE_RINGBUF, 0, 0},
};

static const struct map_rule *rule_of(enum bpf_map_type type)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].type == type)
            return &rules[i];
    }
    return NULL; /* sized by libbpf, or rare: the kernel says what it does not like */
}

static int refuse_size(const struct bpf_map *map, const char *what, uint32_t has, uint32_t wants,
                       char *text)
{
    int len = snprintf(text, VH_TEXT_MAX, "map %s of type %s: its %s have %u bytes, and must have ",
                       bpf_map__name(map), libbpf_bpf_map_type_str(bpf_map__type(map)), what, has);

    if (wants == ANY)
        snprintf(text + len, VH_TEXT_MAX - (size_t)len, "some");
    else
        snprintf(text + len, VH_TEXT_MAX - (size_t)len, "%u", wants);
    return -EINVAL;
}

static bool fits(uint32_t has, uint32_t wants)
{
    return wants == ANY ? has > 0 : has == wants;
}

/* Addresses, or build ids with offsets: one for each frame. */
static int settle_stacks(struct bpf_map *map, uint32_t frames, char *text)
{
    uint32_t frame = bpf_map__map_flags(map) & BPF_F_STACK_BUILD_ID
                         ? sizeof(struct bpf_stack_build_id)
                         : sizeof(uint64_t);
    uint32_t size = bpf_map__value_size(map);

    if (size == 0)
        return bpf_map__set_value_size(map, frames * frame);
    if (size % frame == 0 && size / frame <= frames)
        return 0;
    snprintf(text, VH_TEXT_MAX,
             "map %s holds stack traces: its values have %u bytes, and must have a multiple of %u, "
             "at most %u (kernel.perf_event_max_stack is %u frames)",
             bpf_map__name(map), size, frame, frames * frame, frames);
    return -EINVAL;
}

static int settle(struct bpf_map *map, uint32_t frames, char *text)
{
    const struct map_rule *rule = rule_of(bpf_map__type(map));
    int error = 0;

    if (bpf_map__is_internal(map) || !bpf_map__autocreate(map) || !rule)
        return 0;
    if (bpf_map__max_entries(map) == 0) {
        snprintf(text, VH_TEXT_MAX,
                 "map %s has no size, which its own loader would give it: say how many entries "
                 "it has with --map %s=ENTRIES",
                 bpf_map__name(map), bpf_map__name(map));
        return -EINVAL;
    }
    if (rule->type == BPF_MAP_TYPE_STACK_TRACE)
        error = settle_stacks(map, frames, text);
    if (error == 0 && !fits(bpf_map__key_size(map), rule->key))
        error = refuse_size(map, "keys", bpf_map__key_size(map), rule->key, text);
    if (error == 0 && !fits(bpf_map__value_size(map), rule->value))
        error = refuse_size(map, "values", bpf_map__value_size(map), rule->value, text);
    return error;
}

uint32_t vh_maps_frames(const char *path)
{
    vh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    char said[16] = "";
    int frames = fd >= 0 && read(fd, said, sizeof(said) - 1) > 0 ? atoi(said) : 0;

    return frames > 0 && frames <= 65536 ? (uint32_t)frames : VH_STACK_FRAMES;
}

/* A map pinned by name would stay when its program goes, and be found by the next one with what the
 * former knew; so it is not pinned. */
int vh_maps_settle(struct bpf_object *object, uint32_t frames, char *text)
{
    struct bpf_map *map;

    bpf_object__for_each_map (map, object) {
        int error = settle(map, frames, text);

        if (error == 0 && bpf_map__pin_path(map))
            error = bpf_map__set_pin_path(map, NULL);
        if (error)
            return error;
    }
    return 0;
}
