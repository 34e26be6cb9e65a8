/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the first row that takes a packet: its fields' classes, and the rows that all of them
 * leave. */
#pragma once

#include "firewall-flows.h"

/* ---- classes ---- */

static long halve(__u32 index, struct loop *loop)
{
    struct edges *edges = &loop->work->edges;
    __u32 next = edges->found + (1u << (VH_FW_SEARCH - 1 - (index & 31)));
    __u32 key = edges->base + next;
    struct vh_fw_edge *edge = NULL;

    if (next >= edges->count)
        return 0;
    edge = bpf_map_lookup_elem(&vh_fw_edges, &key);
    if (edge &&
        (edge->high < edges->high || (edge->high == edges->high && edge->low <= edges->low)))
        edges->found = next;
    return 0;
}

/* Each of these leaves a class in `class`. False: there is none, which cannot be; where the
 * verifier does not see that, it looks at one way on, not at two. */
VH_INLINE bool find_address(const volatile struct vh_fw_table *table, struct work *work,
                            const __u32 *address, bool v6, __u32 *class)
{
    struct edges *edges = &work->edges;
    struct loop loop = {work};
    struct vh_fw_edge *edge = NULL;
    __u32 key = 0;

    edges->high = v6 ? (__u64)bpf_ntohl(address[0]) << 32 | bpf_ntohl(address[1]) : 0;
    edges->low =
        v6 ? (__u64)bpf_ntohl(address[2]) << 32 | bpf_ntohl(address[3]) : bpf_ntohl(address[0]);
    edges->base = table->base;
    edges->count = table->count;
    edges->found = 0;
    bpf_loop(VH_FW_SEARCH, halve, &loop, 0);
    key = edges->base + edges->found;
    edge = bpf_map_lookup_elem(&vh_fw_edges, &key);
    if (!edge)
        return false;
    *class = edge->class;
    return true;
}

VH_INLINE bool find_word(const volatile struct vh_fw_table *table, __u16 value, __u32 *class)
{
    __u32 key = table->base + value / 2;
    __u32 *classes = bpf_map_lookup_elem(&vh_fw_words, &key);

    if (!classes)
        return false;
    *class = classes[value & 1];
    return true;
}

VH_INLINE bool find_small(const volatile struct vh_fw_table *table, __u8 value, __u32 *class)
{
    __u32 key = table->base + value;
    __u32 *found = bpf_map_lookup_elem(&vh_fw_smalls, &key);

    if (!found)
        return false;
    *class = *found;
    return true;
}

VH_INLINE bool find_field(struct work *work, bool v6, int i)
{
    const volatile struct vh_fw_table *table = &vh_fw_config.table[v6][i];
    const struct packet *packet = &work->packet;
    __u32 *class = &work->search.class[i];

    if (!table->count)
        return true;
    if (i < VH_FW_SMALL)
        return find_small(table, packet->small[i], class);
    if (i < VH_FW_SMALL + VH_FW_WORD)
        return find_word(table, packet->word[i - VH_FW_SMALL], class);
    return find_address(table, work, packet->address[i - VH_FW_SMALL - VH_FW_WORD], v6, class);
}

VH_INLINE bool classify(struct work *work, bool v6)
{
#pragma unroll
    for (int i = 0; i < VH_FW_ALL; i++) {
        if (!find_field(work, v6, i))
            return false;
    }
    return true;
}

/* ---- rows ---- */

/* The number of the lowest bit that is set; there is one. It has no branches. */
VH_INLINE __u32 lowest(__u64 bits)
{
    bits = (bits & -bits) - 1;
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return bits * 0x0101010101010101 >> 56;
}

/* 1 if a bit is set, else 0. */
VH_INLINE __u64 any(__u64 bits)
{
    return (bits | -bits) >> 63;
}

/* Blocks of all fields that rows look at, from the one on that `from` is in. */
VH_INLINE __u32 blocks_left(const struct search *search, bool v6)
{
    __u32 summary = ~0u << (search->from / (64 * VH_FW_WORDS) & 31);

#pragma unroll
    for (int i = 0; i < VH_FW_ALL; i++) {
        __u32 key = search->class[i];
        struct vh_fw_class *class = NULL;

        if (!vh_fw_config.table[v6][i].count)
            continue;
        class = bpf_map_lookup_elem(&vh_fw_classes, &key);
        if (!class)
            return 0;
        summary &= class->summary;
    }
    return summary;
}

/* The rows of a block that take the packet. */
VH_INLINE bool rows_of(const struct search *search, bool v6, __u32 number, struct vh_fw_block *rows)
{
#pragma unroll
    for (int w = 0; w < VH_FW_WORDS; w++)
        rows->words[w] = ~0ull;
#pragma unroll
    for (int i = 0; i < VH_FW_ALL; i++) {
        __u32 key = search->class[i];
        struct vh_fw_class *class = NULL;
        struct vh_fw_block *block = NULL;

        if (!vh_fw_config.table[v6][i].count)
            continue;
        class = bpf_map_lookup_elem(&vh_fw_classes, &key);
        if (!class)
            return false;
        key = class->block[number & (VH_FW_BLOCKS - 1)];
        block = bpf_map_lookup_elem(&vh_fw_blocks, &key);
        if (!block)
            return false;
#pragma unroll
        for (int w = 0; w < VH_FW_WORDS; w++)
            rows->words[w] &= block->words[w];
    }
    return true;
}

/* The number of the first row in it from `first` on; 64 * VH_FW_WORDS: there is none. */
VH_INLINE __u32 first_of(struct vh_fw_block *rows, __u32 first)
{
    __u32 word = first / 64;
    __u32 left = 0;

    rows->words[word & (VH_FW_WORDS - 1)] &= ~0ull << (first & 63);
#pragma unroll
    for (int w = 0; w < VH_FW_WORDS; w++)
        left |= any(rows->words[w]) << w;
    left &= ~0u << (word & 31);
    if (!left)
        return 64 * VH_FW_WORDS;
    word = lowest(left) & (VH_FW_WORDS - 1);
    return word * 64 + lowest(rows->words[word]);
}

/* One step: the next block that has a row for the packet, and what the row says. 1: it is decided.
 */
VH_INLINE long step(struct work *work, bool v6)
{
    struct search *search = &work->search;
    __u32 summary = blocks_left(search, v6);
    __u32 first = search->from & (64 * VH_FW_WORDS - 1);
    __u32 block = 0;
    __u32 key = 0;
    __u32 *action = NULL;

    if (!summary)
        return 1;
    block = lowest(summary);
    if (!rows_of(search, v6, block, &work->rows))
        return 1;
    /* The first block may be one from the middle of which the packet goes on. */
    if (search->from / (64 * VH_FW_WORDS) != block)
        first = 0;
    first = first_of(&work->rows, first);
    search->from = block * 64 * VH_FW_WORDS + first;
    if (first == 64 * VH_FW_WORDS || search->from >= vh_fw_config.rows[v6])
        return search->from >= vh_fw_config.rows[v6];
    key = vh_fw_config.first_row[v6] + search->from;
    action = bpf_map_lookup_elem(&vh_fw_actions, &key);
    if (!action)
        return 1;
    search->row = *action >> 2;
    search->from = search->row;
    if ((*action & 3) == VH_FW_ROW_GOTO)
        return search->from >= vh_fw_config.rows[v6];
    search->action = *action & 3;
    return 1;
}

static long step4(__u32 index, struct loop *loop)
{
    return step(loop->work, false);
}

static long step6(__u32 index, struct loop *loop)
{
    return step(loop->work, true);
}

VH_INLINE bool search_rows(struct work *work, bool v6)
{
    struct loop loop = {work};

    if (!vh_fw_config.rows[v6])
        return false;
    if (vh_fw_config.table[v6][FLOW].count)
        work->packet.small[FLOW] = is_known(work);
    if (!classify(work, v6))
        return false;
    if (v6)
        bpf_loop(VH_FW_STEPS, step6, &loop, 0);
    else
        bpf_loop(VH_FW_STEPS, step4, &loop, 0);
    return work->search.action == VH_FW_ROW_DROP;
}
