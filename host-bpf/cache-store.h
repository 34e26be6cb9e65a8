/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is cached, and when it is void.
 *
 * All orders here are between atomic operations on one word: a bucket's `gen`. A write adds to it
 * before its packet goes on, in both directions. An answer of memcached's may fill the bucket only
 * if `gen` is what it was when the question went to the guest. */
#pragma once

#include "cache-text.h"

/* Set by vhintd before load, with the maps' sizes. */
const volatile __u32 cache_mask = 1023; /* buckets - 1 */
const volatile __u32 cache_terms_mask = 4095;
const volatile __u32 cache_room = VH_CACHE_REPLY; /* of one entry's text */
/* The tenant's word that no item expires: then no SET need have said so. */
const volatile __u8 cache_unexpiring = 0;

/* Without an answer of memcached's to this client for so long (ns), the next question is asked; or
 * to anybody for an eighth of that. */
const volatile __u64 cache_welcome_ns = 1000000000;

#define SECOND 1000000000ull
/* A command that is not known is taken to have been done so long after it has come. */
#define SUSPEND_NS (2 * SECOND)
#define FOREVER (~0ull)

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct vh_cache_head);
} cache_heads SEC(".maps");

/* "VALUE key flags bytes\r\ndata\r\n" */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1024);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, VH_CACHE_REPLY);
} cache_texts SEC(".maps");

/* By hash: what a SET has said of an item's expiry. */
struct term {
    struct bpf_spin_lock lock;
    __u64 hash;
    __u64 epoch;
    __u64 until; /* ktime; 0: not known */
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, struct term);
} cache_terms SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_cache_state);
} cache_state SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_cache_told);
} cache_told SEC(".maps");

/* Whom memcached has answered, until when that counts. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct vh_cache_flow);
    __type(value, __u64);
} cache_welcome SEC(".maps");

#define NOW(word) (*(const volatile __u64 *)&(word))

/* What a program knows about the time it runs at. */
struct moment {
    struct vh_cache_state *state;
    const struct vh_cache_told *told;
    __u64 now;
    __u64 epoch; /* of what is in force; read it before the packet goes on */
};

/* Packets that the dispatcher lets pass unseen make everything void, too. */
VH_INLINE __u64 epoch_of(const struct moment *moment, const struct vh_scratch *scratch)
{
    __u32 guest = scratch->guest;
    const __u64 *gaps = bpf_map_lookup_elem(&vh_gaps, &guest);

    return NOW(moment->state->epoch) + NOW(moment->told->epoch) + (gaps ? NOW(*gaps) : 0);
}

VH_INLINE bool read_moment(const struct vh_scratch *scratch, struct moment *moment)
{
    __u32 zero = 0;

    moment->now = scratch->since;
    moment->state = bpf_map_lookup_elem(&cache_state, &zero);
    moment->told = bpf_map_lookup_elem(&cache_told, &zero);
    if (!moment->state || !moment->told)
        return false;
    moment->epoch = epoch_of(moment, scratch);
    return true;
}

/* ---- what makes entries void ---- */

VH_INLINE void flush(const struct moment *moment)
{
    __sync_fetch_and_add(&moment->state->epoch, 1);
    COUNT(flushed);
}

VH_INLINE void raise(__u64 *word, __u64 value)
{
    if (NOW(*word) < value)
        *(volatile __u64 *)word = value;
}

/* A command may be under way that nobody knows. */
VH_INLINE void suspend(const struct moment *moment)
{
    raise(&moment->state->fill_after, moment->now + SUSPEND_NS);
    flush(moment);
}

VH_INLINE __u32 bucket_of(__u64 hash)
{
    return (__u32)(hash ^ hash >> 32) & cache_mask;
}

VH_INLINE struct vh_cache_head *head_of(__u32 bucket)
{
    return bpf_map_lookup_elem(&cache_heads, &bucket);
}

VH_INLINE struct term *term_of(__u64 hash)
{
    __u32 at = (__u32)(hash >> 24) & cache_terms_mask;

    return bpf_map_lookup_elem(&cache_terms, &at);
}

VH_INLINE void forget_term(__u64 hash)
{
    struct term *term = term_of(hash);

    if (!term)
        return;
    bpf_spin_lock(&term->lock);
    if (term->hash == hash)
        term->until = 0;
    bpf_spin_unlock(&term->lock);
}

VH_INLINE void set_term(__u64 hash, __u64 epoch, __u64 until)
{
    struct term *term = term_of(hash);

    if (!term)
        return;
    bpf_spin_lock(&term->lock);
    term->hash = hash;
    term->epoch = epoch;
    term->until = until;
    bpf_spin_unlock(&term->lock);
}

VH_INLINE void touch_bucket(__u32 bucket)
{
    struct vh_cache_head *head = head_of(bucket);

    if (head)
        __sync_fetch_and_add(&head->gen, 1);
}

/* ---- writes under way ---- */

/* `closed`: writers that began in this window of time, and those in the one before, who are not
 * answered; whether one of them began while there was another; and which window it is. A bucket is
 * open when there are none: with their answers, or with time, for older ones do not count. */
#define WINDOW_SHIFT 33 /* ns: 8.6 s */
#define WRITERS_MAX 0xffu
#define SEVERAL 0x10000u
#define CLOSED_SHIFT 17
#define CLOSED_TRIES 8

struct closed {
    __u64 window;
    __u32 now, before; /* writers */
    bool several;
};

/* As of now. Another CPU's clock may be in a window already that this one's is not. */
VH_INLINE struct closed read_closed(__u64 word, __u64 now)
{
    struct closed closed = {.window = now >> WINDOW_SHIFT,
                            .now = word & WRITERS_MAX,
                            .before = word >> 8 & WRITERS_MAX,
                            .several = word & SEVERAL};
    __u64 window = word >> CLOSED_SHIFT;

    if (window >= closed.window) {
        closed.window = window;
        return closed;
    }
    closed.before = window + 1 == closed.window ? closed.now : 0;
    closed.now = 0;
    closed.several = closed.several && closed.before;
    return closed;
}

VH_INLINE __u64 closed_word(const struct closed *closed)
{
    return closed->window << CLOSED_SHIFT | (closed->several ? SEVERAL : 0) |
           (__u64)closed->before << 8 | closed->now;
}

VH_INLINE bool is_closed(__u64 word, __u64 now)
{
    struct closed closed = read_closed(word, now);

    return closed.now || closed.before;
}

VH_INLINE void add_writer(struct closed *closed)
{
    closed->several = closed->several || closed->now || closed->before;
    if (closed->now < WRITERS_MAX)
        closed->now++;
}

/* `turn`: what the writer began with. More than can be counted stay until they are old. */
VH_INLINE bool take_writer(struct closed *closed, __u64 turn)
{
    if (turn == closed->window + 1 && closed->now && closed->now < WRITERS_MAX)
        closed->now--;
    else if (turn == closed->window && closed->before && closed->before < WRITERS_MAX)
        closed->before--;
    else
        return false;
    return true;
}

/* One writer more, in the place of the one with `turn` (0: none). What it begins with, never 0;
 * 0: nothing ends it but time. */
VH_INLINE __u64 close_bucket(struct vh_cache_head *head, __u64 now, __u64 turn)
{
    struct closed closed;
    bool several = false;

    for (int i = 0; i < CLOSED_TRIES; i++) {
        __u64 old = NOW(head->closed);

        closed = read_closed(old, now);
        several = closed.several;
        if (take_writer(&closed, turn))
            closed.several = several && (closed.now || closed.before);
        add_writer(&closed);
        if (__sync_val_compare_and_swap(&head->closed, old, closed_word(&closed)) == old)
            return closed.window + 1;
    }
    closed = (struct closed){now >> WINDOW_SHIFT, WRITERS_MAX, 0, true};
    *(volatile __u64 *)&head->closed = closed_word(&closed);
    return 0;
}

/* A write to the key goes to the guest, or a part of that which got `turn` before (0: none). What
 * to end it with; 0: nothing does. The bucket closes first, so that whoever opens it either sees
 * that or has set a term that is forgotten here. */
VH_INLINE __u64 renew_write(const struct moment *moment, __u64 hash, __u64 turn)
{
    struct vh_cache_head *head = head_of(bucket_of(hash));

    if (!head)
        return 0;
    turn = close_bucket(head, moment->now, turn);
    __sync_fetch_and_add(&head->gen, 1);
    forget_term(hash);
    return turn;
}

VH_INLINE __u64 begin_write(const struct moment *moment, __u64 hash)
{
    COUNT(writes);
    return renew_write(moment, hash, 0);
}

/* Its answer leaves the guest. `until`: what it has said of the key's expiry; 0: nothing. That
 * holds if it was the only writer: else it may not be the last in memcached's order. */
VH_INLINE void end_write(const struct moment *moment, __u64 hash, __u64 turn, __u64 until)
{
    struct vh_cache_head *head = head_of(bucket_of(hash));

    if (!head)
        return;
    __sync_fetch_and_add(&head->gen, 1);
    for (int i = 0; i < CLOSED_TRIES; i++) {
        __u64 old = NOW(head->closed);
        struct closed closed = read_closed(old, moment->now);

        if (closed.several)
            until = 0;
        if (!take_writer(&closed, turn))
            return;
        closed.several = closed.several && (closed.now || closed.before);
        if (until)
            set_term(hash, moment->epoch, until);
        if (__sync_val_compare_and_swap(&head->closed, old, closed_word(&closed)) == old)
            return;
        if (until)
            forget_term(hash);
    }
}

/* When an item expires at the earliest that a SET which passes now gives so many seconds. The
 * guest's clock of seconds may be one behind, and differ from this one by a thousandth. */
VH_INLINE __u64 expiry_of(__u64 now, __u64 seconds)
{
    __u64 until = 0;

    if (seconds == 0)
        return FOREVER;
    if (seconds == EXPIRY_UNKNOWN || seconds > EXPIRY_MAX)
        return 0;
    until = (seconds - 1) * SECOND - seconds * (SECOND / 1024);
    return seconds > 1 ? now + until : 0;
}

/* ---- filling ---- */

/* Of the question that an answer answers. */
struct question {
    __u64 hash;
    __u64 gen;
    __u64 epoch;
};

VH_INLINE __u64 expiry_known(const struct question *question)
{
    struct term *term = term_of(question->hash);
    __u64 until = 0;

    if (term) {
        bpf_spin_lock(&term->lock);
        if (term->hash == question->hash && term->epoch == question->epoch)
            until = term->until;
        bpf_spin_unlock(&term->lock);
    }
    return !until && cache_unexpiring ? FOREVER : until;
}

/* Puts the first `length` bytes of work.text into its bucket, if nothing is against it. */
VH_INLINE void fill(const struct moment *moment, const struct question *question, __u32 length,
                    __u32 key_length)
{
    __u32 bucket = bucket_of(question->hash);
    struct work *work = work_of_cpu();
    struct vh_cache_head *head = head_of(bucket);
    void *text = bpf_map_lookup_elem(&cache_texts, &bucket);
    __u64 until = expiry_known(question);
    __u64 stamp = 0;
    __u32 sum = 0;

    if (!work || !head || !text || !length || length > cache_room || length > VH_CACHE_REPLY)
        return;
    if (!until)
        COUNT(unknown_expiry);
    stamp = NOW(head->stamp);
    if (until <= moment->now || NOW(head->gen) != question->gen ||
        moment->epoch != question->epoch || is_closed(NOW(head->closed), moment->now) ||
        NOW(moment->state->fill_after) > moment->now ||
        NOW(moment->told->fill_after) > moment->now || stamp == VH_CACHE_BUSY)
        return;
    sum = cache_sum_text(length);
    if (__sync_val_compare_and_swap(&head->stamp, stamp, VH_CACHE_BUSY) != stamp)
        return;
    /* Whoever has read the former entry sees that it has changed. A write that came in between
     * shows in what `gen` was. */
    if (__sync_fetch_and_add(&head->gen, 1) != question->gen) {
        __sync_lock_test_and_set(&head->stamp, 0);
        return;
    }
    /* Asked again where it is used: older verifiers have forgotten it by now. */
    asm volatile("" : "+r"(length));
    if (length <= VH_CACHE_REPLY && bpf_probe_read_kernel(text, length, work->text) == 0) {
        head->epoch = question->epoch;
        head->until = until;
        head->hash = question->hash;
        head->sum = sum;
        head->length = (__u16)length;
        head->key_length = (__u16)key_length;
        COUNT(fills);
    }
    __sync_lock_test_and_set(&head->stamp, question->gen + 1);
}
