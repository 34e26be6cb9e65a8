/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps of the firewall's programs, and the packet at hand (struct work), one for each CPU and
 * hook. */
#pragma once

#include <stdbool.h>

#include "rows.h"
#include "slot.h"

/* Frozen before the load: the verifier takes out what the tables do not need. */
const volatile struct vh_fw_config vh_fw_config;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_fw_block);
} vh_fw_blocks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_fw_class);
} vh_fw_classes SEC(".maps");

/* A byte's class: 256 for each field. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_smalls SEC(".maps");

/* Two classes of two bytes each, since elements are of 8 bytes anyway. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32[2]);
} vh_fw_words SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_fw_edge);
} vh_fw_edges SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_actions SEC(".maps");

/* Which of the guest's interfaces a VLAN's packets come in at, by its number. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_links SEC(".maps");

/* Packets that a row dropped, or would have dropped. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} vh_fw_drops SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_mode SEC(".maps");

/* VH_FW_SIGHT_*: whether vh_fw_flows has all flows. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_sight SEC(".maps");

/* The value: when the guest last sent one, in units of 2^30 ns. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, VH_FW_FLOWS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct vh_fw_flow);
    __type(value, __u32);
} vh_fw_flows SEC(".maps");

/* ---- a packet ---- */

struct packet {
    __u8 small[VH_FW_SMALL + 3];
    __u16 word[VH_FW_WORD + 1];
    __u32 address[VH_FW_ADDRESS][4]; /* of IPv4 the first; network order */
    __u32 v6;
};

/* What is looked for among the edges. */
struct edges {
    __u64 high;
    __u64 low;
    __u32 base;
    __u32 count;
    __u32 found; /* the last edge so far that is not behind the address */
    __u32 reserved;
};

struct search {
    __u32 class[VH_FW_ALL];
    __u32 from; /* the next row that counts */
    __u32 row;
    __u32 action;
    __u32 reserved;
};

/* The packet at hand: the stack is too small for it, and what the verifier knows of the stack makes
 * it try more ways. */
struct work {
    struct packet packet;
    struct search search;
    struct edges edges;
    struct vh_fw_flow flow;
    struct vh_fw_block rows;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VH_HOOKS);
    __type(key, __u32);
    __type(value, struct work);
} vh_fw_works SEC(".maps");

/* A loop's context has to be on the stack. */
struct loop {
    struct work *work;
};

VH_INLINE struct work *work_of(__u32 hook)
{
    struct work *work = bpf_map_lookup_elem(&vh_fw_works, &hook);

    if (work) {
        __builtin_memset(&work->packet, 0, sizeof(work->packet));
        __builtin_memset(&work->search, 0, sizeof(work->search));
    }
    return work;
}
