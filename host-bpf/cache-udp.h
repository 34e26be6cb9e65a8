/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams: which question an answer of memcached's belongs to.
 *
 * Questions are filed by client, port and request id, in a table of fixed size. Clients may use an
 * id again, and others may have the same place. So a place counts the questions that are under way;
 * once there are two, nothing more is concluded from either, until all are answered or old. */
#pragma once

#include "cache-replies.h"

#define OLD_TICKS 64u /* seconds in which memcached has answered others, but not this */

enum {
    ASKED_WRITE = 1, /* one of them may change something */
    ASKED_MANY = 2,  /* there were several */
    ASKED_FILL = 4,  /* it is a GET of one key */
    ASKED_ANY = 8,   /* one of them is not understood, or answered as a GET is */
};

struct asked {
    struct bpf_spin_lock lock;
    __u16 count;
    __u16 flags;
    __u32 tick;
    __u32 pad;
    __u64 hash;
    __u64 gen;
    __u64 epoch;
    __u64 turn;
    __u64 until;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 16384);
    __type(key, __u32);
    __type(value, struct asked);
} cache_asked SEC(".maps");

const volatile __u32 cache_asked_mask = 16383;

VH_INLINE struct asked *asked_of(const struct vh_cache_flow *flow, __be16 id)
{
    const __u64 *words = (const void *)flow;
    __u64 hash = hash_word(cache_seed, (__u64)flow->port << 16 | id);
    __u32 at = 0;

#pragma unroll
    for (__u32 i = 0; i < sizeof(*flow) / sizeof(*words); i++)
        hash = hash_word(hash, words[i]);
    at = (__u32)(hash ^ hash >> 32) & cache_asked_mask;
    return bpf_map_lookup_elem(&cache_asked, &at);
}

/* Files a question. */
VH_INLINE void ask(struct asked *asked, const struct moment *moment, const struct asked *question)
{
    __u32 tick = (__u32)NOW(moment->state->ticks);

    bpf_spin_lock(&asked->lock);
    if (asked->count && !(asked->flags & ASKED_WRITE) && tick - asked->tick > OLD_TICKS)
        asked->count = 0;
    if (asked->count) {
        asked->flags |= ASKED_MANY | (question->flags & (ASKED_WRITE | ASKED_ANY));
    } else {
        asked->flags = question->flags;
        asked->hash = question->hash;
        asked->gen = question->gen;
        asked->epoch = question->epoch;
        asked->turn = question->turn;
        asked->until = question->until;
    }
    asked->tick = tick;
    if (asked->count < 0xffff)
        asked->count++;
    bpf_spin_unlock(&asked->lock);
}

/* Whose answer a datagram is; it ends so many of them. False: nothing is under way there. */
VH_INLINE bool answered(struct asked *asked, __u32 ends, struct asked *question)
{
    bool found = false;

    bpf_spin_lock(&asked->lock);
    found = asked->count > 0;
    question->flags = asked->flags;
    question->hash = asked->hash;
    question->gen = asked->gen;
    question->epoch = asked->epoch;
    question->turn = asked->turn;
    question->until = asked->until;
    if (asked->count < 0xffff)
        asked->count -= ends < asked->count ? ends : asked->count;
    bpf_spin_unlock(&asked->lock);
    return found;
}

struct frame {
    __be16 id;
    __be16 number;
    __be16 of;
    __be16 reserved;
};

/* The request, cut into tokens, if it is one command and no more. */
VH_INLINE enum command read_request(void *ctx, bool xdp, struct work *work, struct frame *frame)
{
    __u32 length = work->length - FRAME;
    enum command command = NOT_UNDERSTOOD;
    __u32 line = 0;

    if (work->length <= FRAME || load_bytes(ctx, xdp, work->payload, frame, sizeof(*frame)) < 0)
        return NOT_UNDERSTOOD;
    if (frame->number || frame->of != bpf_htons(1))
        return NOT_UNDERSTOOD;
    if (length > 0xffff)
        return NOT_UNDERSTOOD;
    {
        __u32 room = length > TEXT_MAX ? TEXT_MAX : length;

        WITHIN(room, TEXT_MAX);
        if (load_bytes(ctx, xdp, work->payload + FRAME, work->text, room) < 0)
            return NOT_UNDERSTOOD;
        line = cache_scan(room);
    }
    command = cache_understand();
    return line && line + work->data == length ? command : NOT_UNDERSTOOD;
}

VH_INLINE bool is_welcome(const struct moment *moment, const struct vh_cache_flow *flow)
{
    const __u64 *until = NULL;

    if (moment->now - NOW(moment->state->alive) > cache_welcome_ns / 8 &&
        moment->now > NOW(moment->state->alive))
        return false;
    until = bpf_map_lookup_elem(&cache_welcome, flow);
    return until && moment->now < NOW(*until) && moment->now >= NOW(moment->state->shut_until);
}

/* An answer of memcached's to this client passes. */
VH_INLINE void welcome(const struct moment *moment, const struct vh_cache_flow *flow)
{
    struct vh_cache_state *state = moment->state;
    __u64 *until = bpf_map_lookup_elem(&cache_welcome, flow);
    __u64 value = moment->now + cache_welcome_ns;
    __u64 tick = moment->now >> 30;

    if (NOW(state->alive) + cache_welcome_ns / 128 < moment->now)
        *(volatile __u64 *)&state->alive = moment->now;
    if (NOW(state->tick) != tick) {
        *(volatile __u64 *)&state->tick = tick;
        __sync_fetch_and_add(&state->ticks, 1);
    }
    if (!until)
        bpf_map_update_elem(&cache_welcome, flow, &value, BPF_ANY);
    else if (NOW(*until) < value - cache_welcome_ns / 4)
        *(volatile __u64 *)until = value;
}

/* Is the packet an answer now? */
VH_INLINE bool try_answer(void *ctx, bool xdp, const struct vh_scratch *scratch,
                          const struct moment *moment, struct work *work,
                          const struct vh_cache_flow *flow, const struct frame *frame)
{
    enum checksum how = BROKEN;
    __be64 reply = 0;
    __u32 made = 0;
    struct frame header = {.id = frame->id, .of = bpf_htons(1)};

    made = cache_gather(moment->now, moment->epoch);
    if (!made || !is_welcome(moment, flow) || !can_turn(ctx, xdp, scratch, work))
        return false;
    how = check_packet(ctx, xdp, work, 6);
    if (how == BROKEN || epoch_of(moment, scratch) != moment->epoch)
        return false;
    if (!moment->told->act) {
        if (!xdp)
            COUNT(would);
        return false;
    }
    __builtin_memcpy(&reply, &header, sizeof(reply));
    if (turn(ctx, xdp, scratch, work, finish(work, reply, xdp ? WHOLE : how)) < 0)
        return false;
    COUNT(answered);
    return true;
}

VH_INLINE bool is_write(enum command command)
{
    return command != GET && command != READ && command != QUIT;
}

/* A request goes to the guest. */
VH_INLINE void ask_udp(const struct moment *moment, struct work *work,
                       const struct vh_cache_flow *flow, const struct frame *frame,
                       enum command command)
{
    struct asked *asked = asked_of(flow, frame->id);
    struct asked question = {.epoch = moment->epoch, .hash = work->spans[1].hash};
    struct vh_cache_head *head = head_of(bucket_of(question.hash));

    if (!asked || !head)
        return;
    question.gen = NOW(head->gen);
    if (command == GET) {
        COUNT(asked);
        question.flags = work->spans_used == 2 ? ASKED_FILL : 0;
    } else if (command == STORE || command == CHANGE) {
        question.flags = ASKED_WRITE;
        question.turn = begin_write(moment, question.hash);
        question.until = command == STORE ? expiry_of(moment->now, work->expiry) : 0;
        if (work->quiet)
            return;
    } else if (is_write(command)) {
        question.flags = ASKED_WRITE | ASKED_MANY | ASKED_ANY;
        suspend(moment);
        if (command == FLUSH_LATER)
            raise(&moment->state->shut_until, FOREVER);
        if (command == NOT_UNDERSTOOD)
            COUNT(not_understood);
    }
    ask(asked, moment, &question);
}

/* A datagram to memcached, before it goes to the guest. Is it an answer now? */
VH_INLINE bool udp_to_guest(void *ctx, bool xdp, const struct vh_scratch *scratch,
                            const struct moment *moment, struct work *work)
{
    struct vh_cache_flow flow = flow_of(work, false);
    struct frame frame = {};
    enum command command = read_request(ctx, xdp, work, &frame);

    if (command == GET && try_answer(ctx, xdp, scratch, moment, work, &flow, &frame))
        return true;
    /* What is asked is filed where all goes past. */
    if (!xdp)
        ask_udp(moment, work, &flow, &frame, command);
    return false;
}

/* Is it one value, whole? Its length without the last line, in work.text; 0: no. */
VH_INLINE __u32 read_value(struct work *work, __u32 length)
{
    __u32 line = cache_scan(length);
    __u64 bytes = cache_number(3);
    __u64 end = 0;
    __u32 at = length - END_LINE;

    if (!line || work->odd || work->spans_used != 4 || word_of(work, 0) != WORD_VALUE ||
        work->spans[0].length != 5 || work->spans[0].at != 0 || work->spans[1].at != VALUE_WORD ||
        work->spans[1].length > VH_CACHE_KEY || bytes > VH_CACHE_REPLY ||
        line + (__u32)bytes + 2 + END_LINE != length)
        return 0;
    if (at >= TEXT_MAX)
        return 0;
    __builtin_memcpy(&end, work->text + at, sizeof(end));
    return (end & 0xffffffffff) == WORD('E', 'N', 'D', '\r', '\n', 0, 0, 0) ? at : 0;
}

VH_INLINE void end_udp_write(struct __sk_buff *ctx, const struct moment *moment, struct work *work,
                             const struct asked *question)
{
    __u64 text = 0;
    bool stored = work->length == FRAME + 8 &&
                  bpf_skb_load_bytes(ctx, work->payload + FRAME, &text, sizeof(text)) == 0 &&
                  text == WORD('S', 'T', 'O', 'R', 'E', 'D', '\r', '\n');

    end_write(moment, question->hash, question->turn, stored ? question->until : 0);
}

/* Can the datagram, the last one that was counted, answer a write among these? */
VH_INLINE bool is_done(const struct asked *question, const struct frame *frame)
{
    const struct answers *answers = answers_of_cpu();

    if (!(question->flags & ASKED_WRITE))
        return false;
    return question->flags & ASKED_ANY || frame->of != bpf_htons(1) || !answers || answers->loose ||
           answers->done;
}

/* How many answers end in the datagram. memcached (1.6) answers a GET of several keys with several
 * datagrams that each say that they are the only one; it cuts one that is too long. */
VH_INLINE __u32 count_ends(struct __sk_buff *ctx, struct work *work, const struct frame *frame)
{
    struct answers *answers = answers_of_cpu();
    __u32 number = bpf_ntohs(frame->number);
    __u32 of = bpf_ntohs(frame->of);

    if (of > 1)
        return number + 1 == of;
    if (!answers)
        return 0;
    work->seq = 0;
    work->payload += FRAME;
    work->length -= FRAME;
    *answers = (struct answers){.end = work->length};
    read_answers(ctx, answers);
    work->payload -= FRAME;
    work->length += FRAME;
    return answers->loose ? 0 : answers->count;
}

VH_INLINE void fill_from(struct __sk_buff *ctx, const struct moment *moment, struct work *work,
                         const struct asked *question)
{
    const struct question filled = {question->hash, question->gen, question->epoch};
    __u32 length = work->length - FRAME;
    __u32 value = 0;

    if (length > TEXT_MAX || !length)
        return;
    WITHIN(length, TEXT_MAX);
    if (bpf_skb_load_bytes(ctx, work->payload + FRAME, work->text, length) < 0)
        return;
    value = read_value(work, length);
    if (value && work->spans[1].hash == question->hash)
        fill(moment, &filled, value, work->spans[1].length);
}

/* A datagram of memcached's, before it goes on. */
VH_INLINE void udp_from_guest(struct __sk_buff *ctx, const struct moment *moment, struct work *work)
{
    struct vh_cache_flow flow = flow_of(work, true);
    struct asked question = {};
    struct asked *asked = NULL;
    struct frame frame;
    __u32 ends = 0;

    /* One without text answers no write. */
    if (work->length == FRAME)
        return;
    if (work->length < FRAME || bpf_skb_load_bytes(ctx, work->payload, &frame, sizeof(frame)) < 0) {
        flush(moment);
        return;
    }
    asked = asked_of(&flow, frame.id);
    ends = count_ends(ctx, work, &frame);
    if (!asked || !answered(asked, ends, &question)) {
        /* A part may come after the end of its answer, and is no end of another one. */
        if (ends)
            flush(moment);
        return;
    }
    welcome(moment, &flow);
    if (is_done(&question, &frame) && question.flags == ASKED_WRITE && ends == 1)
        end_udp_write(ctx, moment, work, &question);
    else if (is_done(&question, &frame))
        flush(moment);
    else if (question.flags == ASKED_FILL && ends == 1 && frame.of == bpf_htons(1))
        fill_from(ctx, moment, work, &question);
}
