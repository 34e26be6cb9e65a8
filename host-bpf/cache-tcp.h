/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP connections: which writes are on their way to memcached.
 *
 * Both directions of a stream are followed from one command, or answer, to the next: `next` is the
 * sequence number at which one begins. What lies before it has been read, or is the data of one
 * that has. A connection whose commands are not known (STREAM_LOST) may write anything at any time:
 * each of its packets makes everything void. One whose answers are not known (STREAM_LOOSE) keeps
 * what it has written on its list of dirty keys, and each answer makes those void. */
#pragma once

#include "cache-udp.h"

#define DIRTY_KEYS 4u /* that a connection has written to; with more, all */

enum {
    STREAM_LOST = 1,
    STREAM_LOOSE = 2,
    STREAM_ALL = 4,     /* dirty: everything */
    STREAM_QUIET = 8,   /* the last command has no answer */
    STREAM_SOLE = 16,   /* one command is under way, a STORE of dirty[0] */
    STREAM_FIN = 32,    /* the client has nothing more to say */
    STREAM_DEAD = 64,   /* the guest knows of no such connection */
    STREAM_ENDED = 128, /* memcached has nothing more to say */
};

struct dirty {
    __u64 hash;
    __u64 turn;
};

struct stream {
    struct bpf_spin_lock lock;
    __u32 pad;
    __u64 used;   /* ktime of its last packet, about: vhintd forgets those that are idle for long */
    __u32 client; /* where its next command begins */
    __u32 seen;   /* the end of what it has sent, as seen here */
    __u32 server; /* where memcached's next answer begins */
    __u32 start;  /* memcached's first sequence number */
    __u32 flags;
    __u32 under_way; /* commands without an answer yet */
    __u32 dirty_used;
    __u64 until; /* of STREAM_SOLE */
    struct dirty dirty[DIRTY_KEYS];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct vh_cache_flow);
    __type(value, struct stream);
} cache_streams SEC(".maps");

_Static_assert(__builtin_offsetof(struct stream, used) == VH_CACHE_STREAM_USED, "vhintd reads it");

/* ---- from the client ---- */

/* What the commands of one packet come to. */
struct batch {
    __u32 at;  /* sequence number of the next command */
    __u32 end; /* of the packet */
    __u32 answers;
    __u32 writes;
    __u64 until;
    bool lost;
    bool all;
    bool quiet;
    struct dirty dirty[DIRTY_KEYS];
};

/* Of the packet under way. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct batch);
} cache_batches SEC(".maps");

VH_INLINE struct batch *batch_of_cpu(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&cache_batches, &zero);
}

VH_INLINE void add_write(struct batch *batch, const struct moment *moment, __u64 hash, __u64 until)
{
    __u32 i = batch->writes;
    __u64 turn = begin_write(moment, hash);

    if (i >= DIRTY_KEYS) {
        batch->all = true;
        return;
    }
    batch->writes = i + 1;
    batch->until = until;
    BELOW(i, DIRTY_KEYS);
    batch->dirty[i].hash = hash;
    batch->dirty[i].turn = turn;
}

/* One command of the packet. */
VH_INLINE void take_command(struct batch *batch, const struct moment *moment, struct work *work,
                            enum command command)
{
    __u32 line = work->line;

    switch (command) {
    case STORE:
        add_write(batch, moment, work->spans[1].hash, expiry_of(moment->now, work->expiry));
        break;
    case CHANGE:
        add_write(batch, moment, work->spans[1].hash, 0);
        break;
    case CHANGES:
    case FLUSH:
    case FLUSH_LATER:
        batch->all = true;
        suspend(moment);
        if (command == FLUSH_LATER)
            raise(&moment->state->shut_until, FOREVER);
        break;
    case NOT_UNDERSTOOD:
        batch->lost = true;
        return;
    default:
        break;
    }
    batch->quiet = work->quiet;
    if (!work->quiet && command != QUIT)
        batch->answers++;
    batch->at += line + work->data;
}

/* One more command, if there is one. This is a function of its own, which the verifier reads once.
 */
__attribute__((noinline)) int cache_take_command(struct __sk_buff *ctx, __u64 now)
{
    struct work *work = work_of_cpu();
    struct batch *batch = batch_of_cpu();
    __u32 zero = 0;
    struct moment moment = {.now = now};
    __u32 line = 0;

    moment.state = bpf_map_lookup_elem(&cache_state, &zero);
    if (!work || !batch || !moment.state || batch->lost || !is_after(batch->end, batch->at))
        return 0;
    line = load_line(ctx, work, batch->at - work->seq);
    take_command(batch, &moment, work, line ? cache_understand() : NOT_UNDERSTOOD);
    return 1;
}

VH_INLINE void read_commands(struct __sk_buff *ctx, const struct moment *moment,
                             struct batch *batch)
{
    for (__u32 i = 0; i < STEPS; i++)
        if (!cache_take_command(ctx, moment->now))
            break;
    if (is_after(batch->end, batch->at))
        batch->lost = true;
}

/* Under the lock. */
VH_INLINE void add_batch(struct stream *stream, const struct batch *batch)
{
    __u32 used = stream->dirty_used;
    __u32 at = 0;
    bool idle = !stream->under_way && !used && !(stream->flags & (STREAM_ALL | STREAM_LOOSE));

    stream->flags &= ~STREAM_SOLE;
#pragma unroll
    for (__u32 i = 0; i < DIRTY_KEYS; i++) {
        if (i >= batch->writes)
            break;
        if (used >= DIRTY_KEYS) {
            stream->flags |= STREAM_ALL;
            break;
        }
        at = used;
        BELOW(at, DIRTY_KEYS);
        stream->dirty[at] = batch->dirty[i];
        used++;
    }
    stream->dirty_used = used;
    stream->under_way += batch->answers;
    if (batch->all)
        stream->flags |= STREAM_ALL;
    if (batch->answers || batch->writes || batch->all)
        stream->flags = (stream->flags & ~STREAM_QUIET) | (batch->quiet ? STREAM_QUIET : 0);
    if (idle && batch->writes == 1 && batch->answers == 1 && !batch->all && batch->until) {
        stream->flags |= STREAM_SOLE;
        stream->until = batch->until;
    }
}

/* What the packet has been before it was read. */
struct before {
    __u32 client;
    __u32 flags;
    __u32 dirty_used;
    struct dirty dirty[DIRTY_KEYS];
};

VH_INLINE void look(struct stream *stream, const struct moment *moment, struct before *before,
                    const struct work *work)
{
    __u32 end = work->seq + work->length + (work->flags & FLAG_FIN ? 1 : 0);

    bpf_spin_lock(&stream->lock);
    if (!(stream->flags & STREAM_ENDED))
        stream->used = moment->now;
    if (is_after(end, stream->seen))
        stream->seen = end;
    if (work->flags & (FLAG_FIN | FLAG_RST))
        stream->flags |= STREAM_FIN;
    before->client = stream->client;
    before->flags = stream->flags;
    before->dirty_used = stream->dirty_used;
#pragma unroll
    for (__u32 i = 0; i < DIRTY_KEYS; i++)
        before->dirty[i] = stream->dirty[i];
    bpf_spin_unlock(&stream->lock);
}

/* A part of a write, or one that is sent again: memcached may do it only now. */
VH_INLINE void renew(const struct moment *moment, struct stream *stream, struct before *before)
{
#pragma unroll
    for (__u32 i = 0; i < DIRTY_KEYS; i++)
        if (i < before->dirty_used)
            before->dirty[i].turn =
                renew_write(moment, before->dirty[i].hash, before->dirty[i].turn);
    if (before->flags & STREAM_ALL)
        suspend(moment);
    bpf_spin_lock(&stream->lock);
#pragma unroll
    for (__u32 i = 0; i < DIRTY_KEYS; i++)
        if (i < before->dirty_used && stream->dirty[i].hash == before->dirty[i].hash)
            stream->dirty[i].turn = before->dirty[i].turn;
    bpf_spin_unlock(&stream->lock);
}

/* Payload of a connection that is followed. */
VH_INLINE void read_segment(struct __sk_buff *ctx, const struct vh_scratch *scratch,
                            const struct moment *moment, struct work *work, struct stream *stream,
                            struct before *before)
{
    struct batch *batch = batch_of_cpu();
    bool known = !(before->flags & STREAM_LOST);
    bool whole = scratch->segments == 1;

    if (!batch)
        return;
    *batch = (struct batch){.at = before->client, .end = work->seq + work->length};
    if (is_after(before->client, work->seq))
        renew(moment, stream, before);
    if (known && !is_after(batch->end, batch->at))
        return;
    /* The guest drops what is not intact, and this must not take it for the stream. */
    if (known && whole && work->l4_length <= TEXT_MAX &&
        check_packet(ctx, false, work, 16) == BROKEN)
        return;
    if (!known || is_after(work->seq, batch->at) || (whole && work->l4_length > TEXT_MAX))
        batch->lost = true;
    else
        read_commands(ctx, moment, batch);
    if (batch->lost)
        suspend(moment);
    if (batch->lost && known)
        COUNT(not_understood);
    bpf_spin_lock(&stream->lock);
    if (batch->lost || stream->client != before->client)
        stream->flags |= STREAM_LOST;
    stream->client = batch->at;
    add_batch(stream, batch);
    bpf_spin_unlock(&stream->lock);
}

/* A segment to memcached, before it goes to the guest. */
VH_INLINE void tcp_to_guest(struct __sk_buff *ctx, const struct vh_scratch *scratch,
                            const struct moment *moment, struct work *work)
{
    struct vh_cache_flow flow = flow_of(work, false);
    struct stream *stream = bpf_map_lookup_elem(&cache_streams, &flow);
    struct before before;

    if (!stream || work->flags & FLAG_SYN) {
        /* Data that comes with a SYN is part of a stream that nobody knows. */
        if (!work->length)
            return;
        if (stream)
            bpf_map_delete_elem(&cache_streams, &flow);
        COUNT(strangers);
        suspend(moment);
        return;
    }
    look(stream, moment, &before, work);
    if (work->length && !(before.flags & STREAM_DEAD))
        read_segment(ctx, scratch, moment, work, stream, &before);
}

/* ---- from memcached ---- */

struct ended {
    __u32 flags;
    __u32 dirty_used;
    __u64 until; /* of the only one */
    bool done;   /* all commands are answered */
    struct dirty dirty[DIRTY_KEYS];
};

/* Under the lock. */
VH_INLINE void take_answers(struct stream *stream, const struct answers *answers,
                            struct ended *ended)
{
    if (answers->error || answers->count > stream->under_way)
        stream->flags |= STREAM_LOST;
    if (answers->loose)
        stream->flags |= STREAM_LOOSE;
    stream->under_way -= answers->count < stream->under_way ? answers->count : stream->under_way;
    ended->done = answers->count && !stream->under_way && answers->at == answers->end &&
                  !(stream->flags & (STREAM_LOST | STREAM_LOOSE | STREAM_QUIET));
    ended->flags = stream->flags;
    ended->dirty_used = stream->dirty_used;
    ended->until =
        stream->flags & STREAM_SOLE && answers->stored && answers->count == 1 ? stream->until : 0;
#pragma unroll
    for (__u32 i = 0; i < DIRTY_KEYS; i++)
        ended->dirty[i] = stream->dirty[i];
    if (ended->done) {
        stream->dirty_used = 0;
        stream->flags &= ~(__u32)(STREAM_ALL | STREAM_SOLE);
    }
}

VH_INLINE void end_writes(const struct moment *moment, const struct ended *ended)
{
#pragma unroll
    for (__u32 i = 0; i < DIRTY_KEYS; i++)
        if (i < ended->dirty_used)
            end_write(moment, ended->dirty[i].hash, ended->done ? ended->dirty[i].turn : 0,
                      ended->done ? ended->until : 0);
    if (ended->flags & (STREAM_ALL | STREAM_LOST))
        flush(moment);
}

/* The guest has accepted a connection: from here on it is followed. One of the same client that was
 * not seen to end may have writes under way. */
VH_INLINE void begin_stream(const struct moment *moment, const struct work *work,
                            const struct vh_cache_flow *flow)
{
    struct stream *known = bpf_map_lookup_elem(&cache_streams, flow);
    struct stream stream = {
        .client = work->ack,
        .seen = work->ack,
        .server = work->seq + 1,
        .start = work->seq,
        .used = moment->now,
    };

    if (known && known->start == work->seq)
        return;
    if (known)
        stream.flags = STREAM_ALL;
    bpf_map_update_elem(&cache_streams, flow, &stream, BPF_ANY);
}

VH_INLINE void read_reply(struct __sk_buff *ctx, const struct moment *moment, struct work *work,
                          struct stream *stream)
{
    struct answers *answers = answers_of_cpu();
    struct ended ended = {};
    __u32 begin = 0;

    if (!answers)
        return;
    bpf_spin_lock(&stream->lock);
    begin = stream->server;
    /* The guest has what has not come past here. */
    if (is_after(work->ack, stream->seen))
        stream->flags |= STREAM_LOST;
    bpf_spin_unlock(&stream->lock);
    *answers = (struct answers){.at = begin, .end = work->seq + work->length};
    if (is_after(work->seq, begin))
        answers->loose = true;
    else if (is_after(answers->end, begin))
        read_answers(ctx, answers);
    bpf_spin_lock(&stream->lock);
    if (stream->server != begin)
        answers->loose = true;
    stream->server = answers->at;
    take_answers(stream, answers, &ended);
    bpf_spin_unlock(&stream->lock);
    end_writes(moment, &ended);
}

/* The next sweep takes it away, if it says nothing more. */
VH_INLINE void end_stream(struct stream *stream, __u32 flags)
{
    bpf_spin_lock(&stream->lock);
    stream->flags |= STREAM_ENDED | flags;
    stream->used = 0;
    bpf_spin_unlock(&stream->lock);
}

/* A segment of memcached's, before it goes on. */
VH_INLINE void tcp_from_guest(struct __sk_buff *ctx, const struct moment *moment, struct work *work)
{
    struct vh_cache_flow flow = flow_of(work, true);
    struct stream *stream = NULL;

    if (work->flags & FLAG_SYN) {
        begin_stream(moment, work, &flow);
        return;
    }
    stream = bpf_map_lookup_elem(&cache_streams, &flow);
    if (work->length) {
        if (stream)
            read_reply(ctx, moment, work, stream);
        else
            flush(moment);
    }
    /* memcached ends a connection by itself when it ends. */
    if (work->flags & FLAG_RST ||
        (work->flags & FLAG_FIN && (!stream || !(stream->flags & STREAM_FIN))))
        flush(moment);
    if (work->flags & (FLAG_RST | FLAG_FIN) && stream)
        end_stream(stream, work->flags & FLAG_RST ? STREAM_DEAD : 0);
}
