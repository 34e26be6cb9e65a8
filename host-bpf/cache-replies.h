/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What memcached says: answers are values, and lines that end them.
 *
 * They are counted from one to the next by sequence number, which is TCP's, or from 0 in a
 * datagram. */
#pragma once

#include "cache-answer.h"

#define STEPS 8u /* commands or twice as many answers in one packet */

VH_INLINE bool is_after(__u32 one, __u32 other)
{
    return (__s32)(one - other) > 0;
}

/* What the answers of one packet come to. */
struct answers {
    __u32 at; /* sequence number of the next */
    __u32 end;
    __u32 count;
    bool loose; /* where the next begins is not known */
    bool error; /* memcached has not understood what was sent */
    bool stored;
    bool done; /* there is one that no GET has */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct answers);
} cache_answers SEC(".maps");

VH_INLINE struct answers *answers_of_cpu(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&cache_answers, &zero);
}

/* Loads what is at the offset in the payload, up to a line. Its length; 0: it has no end. */
VH_INLINE __u32 load_line(struct __sk_buff *ctx, struct work *work, __u32 offset)
{
    __u32 room = work->length - offset;

    if (offset >= work->length)
        return 0;
    if (room > VH_CACHE_LINE)
        room = VH_CACHE_LINE;
    WITHIN(room, VH_CACHE_LINE);
    if (bpf_skb_load_bytes(ctx, work->payload + offset, work->text, room) < 0)
        return 0;
    return cache_scan(room);
}

VH_INLINE void take_answer(struct answers *answers, const struct work *work, __u32 line)
{
    __u64 word = word_of(work, 0);
    __u64 bytes = 0;

    if (!line) {
        answers->loose = true;
        return;
    }
    if (word == WORD_VALUE) {
        bytes = cache_number(3);
        answers->loose = bytes > 1u << 30;
        answers->at += line + (__u32)bytes + 2;
        return;
    }
    if (word == WORD_ERROR || word == WORD_CLIENT_ERROR || word == WORD_SERVER_ERROR)
        answers->error = true;
    if (word != WORD_END)
        answers->done = true;
    answers->stored = word == WORD_STORED && work->spans_used == 1;
    answers->count++;
    answers->at += line;
}

/* One more answer, if there is one. */
__attribute__((noinline)) int cache_take_answer(struct __sk_buff *ctx)
{
    struct work *work = work_of_cpu();
    struct answers *answers = answers_of_cpu();

    if (!work || !answers || answers->loose || !is_after(answers->end, answers->at))
        return 0;
    take_answer(answers, work, load_line(ctx, work, answers->at - work->seq));
    return 1;
}

VH_INLINE void read_answers(struct __sk_buff *ctx, struct answers *answers)
{
    for (__u32 i = 0; i < 2 * STEPS; i++)
        if (!cache_take_answer(ctx))
            break;
    if (is_after(answers->end, answers->at))
        answers->loose = true;
}
