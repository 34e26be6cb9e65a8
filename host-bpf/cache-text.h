/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memcached's text protocol: one line, cut into tokens, and what command it is.
 *
 * Strict: a line that some memcached could understand in another way is not understood at all. See
 * memcached's doc/protocol.txt. */
#pragma once

#include "cache-packet.h"

const volatile __u64 cache_seed = 0xcbf29ce484222325;
#define HASH_FACTOR 0x9e3779b97f4a7c15

enum command {
    NOT_UNDERSTOOD,
    GET,     /* get: this is what can be answered */
    READ,    /* it changes nothing, and is not answered here */
    STORE,   /* set, add, replace, cas: with an expiry, and data */
    CHANGE,  /* one key's value or expiry, in any other way */
    CHANGES, /* more than one key's */
    FLUSH,   /* all, now */
    FLUSH_LATER,
    QUIT,
};

#define EXPIRY_UNKNOWN (~0ull)
#define EXPIRY_MAX 2592000ull /* s; a greater number is a date */

struct scan {
    struct work *work;
};

VH_INLINE void end_token(struct work *work, __u32 end)
{
    __u32 used = work->spans_used;

    if (used >= TOKENS) {
        work->many = true;
        return;
    }
    work->spans[used].at = work->token_at;
    work->spans[used].length = end - work->token_at;
    work->spans[used].hash = work->hash;
    work->spans_used = used + 1;
}

VH_INLINE __u64 hash_word(__u64 hash, __u64 word)
{
    hash = (hash ^ word) * HASH_FACTOR;
    return hash ^ hash >> 32;
}

#define EACH_BYTE(byte) ((byte)*0x0101010101010101ull)

/* How many of the eight bytes come before the first that is a space or below. */
VH_INLINE __u32 plain_bytes(__u64 word)
{
    __u64 found = (word - EACH_BYTE(' ' + 1)) & ~word & EACH_BYTE(0x80);

    if (!found)
        return 8;
    /* Of what is above the first one it does not tell. */
    return (__u32)(((((found & -found) >> 7) - 1) & EACH_BYTE(1)) * EACH_BYTE(1) >> 56);
}

/* The byte that ends a token. 1: the line ends. */
VH_INLINE long scan_end(struct work *work, __u32 at)
{
    __u32 end = at;

    if (at >= work->room || at >= VH_CACHE_LINE)
        return 1;
    if (work->text[at] == '\r' && work->text[at + 1] == '\n')
        at++;
    if (work->text[at] == '\n' && at < work->room) {
        if (end > work->token_at)
            end_token(work, end);
        work->line = at + 1;
        return 1;
    }
    if (work->text[at] != ' ' || end == work->token_at)
        work->odd = true;
    else
        end_token(work, end);
    work->token_at = end + 1;
    work->at = end + 1;
    work->hash = cache_seed;
    return 0;
}

/* The next eight bytes, or those up to the end of the token. */
static long scan_word(__u32 i, struct scan *scan)
{
    struct work *work = scan->work;
    __u32 at = work->at;
    __u64 word = 0;
    __u32 plain = 0;

    if (at >= VH_CACHE_LINE)
        return 1;
    __builtin_memcpy(&word, work->text + at, sizeof(word));
    plain = plain_bytes(word);
    if (plain < 8)
        word &= (1ull << plain * 8) - 1;
    if (plain)
        work->hash = hash_word(work->hash, word);
    work->at = at + plain;
    return plain < 8 ? scan_end(work, at + plain) : 0;
}

/* Cuts the line at the beginning of work.text, of which `room` bytes are there, into tokens. Its
 * length; 0: it has no end. */
__attribute__((noinline)) __u32 cache_scan(__u32 room)
{
    struct scan scan = {.work = work_of_cpu()};

    if (!scan.work || room > TEXT_MAX)
        return 0;
    /* It ends there. */
    __builtin_memset(scan.work->text + room, 0, sizeof(__u64));
    scan.work->room = room;
    scan.work->at = 0;
    scan.work->line = 0;
    scan.work->spans_used = 0;
    scan.work->token_at = 0;
    scan.work->hash = cache_seed;
    scan.work->odd = false;
    scan.work->many = false;
    bpf_loop(VH_CACHE_LINE, scan_word, &scan, 0);
    return scan.work->line;
}

/* The first eight bytes of a token, and zeros. */
VH_INLINE __u64 word_of(const struct work *work, __u32 token)
{
    __u32 at = work->spans[token].at;
    __u32 length = work->spans[token].length;
    __u64 word = 0;

    if (at >= VH_CACHE_LINE || !length)
        return 0;
    BELOW(at, VH_CACHE_LINE);
    __builtin_memcpy(&word, work->text + at, sizeof(word));
    return length >= 8 ? word : word & ((1ull << length * 8) - 1);
}

#define WORD(a, b, c, d, e, f, g, h) \
    ((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
     (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
#define WORD_GET WORD('g', 'e', 't', 0, 0, 0, 0, 0)
#define WORD_GETS WORD('g', 'e', 't', 's', 0, 0, 0, 0)
#define WORD_SET WORD('s', 'e', 't', 0, 0, 0, 0, 0)
#define WORD_ADD WORD('a', 'd', 'd', 0, 0, 0, 0, 0)
#define WORD_CAS WORD('c', 'a', 's', 0, 0, 0, 0, 0)
#define WORD_REPLACE WORD('r', 'e', 'p', 'l', 'a', 'c', 'e', 0)
#define WORD_APPEND WORD('a', 'p', 'p', 'e', 'n', 'd', 0, 0)
#define WORD_PREPEND WORD('p', 'r', 'e', 'p', 'e', 'n', 'd', 0)
#define WORD_DELETE WORD('d', 'e', 'l', 'e', 't', 'e', 0, 0)
#define WORD_INCR WORD('i', 'n', 'c', 'r', 0, 0, 0, 0)
#define WORD_DECR WORD('d', 'e', 'c', 'r', 0, 0, 0, 0)
#define WORD_TOUCH WORD('t', 'o', 'u', 'c', 'h', 0, 0, 0)
#define WORD_GAT WORD('g', 'a', 't', 0, 0, 0, 0, 0)
#define WORD_GATS WORD('g', 'a', 't', 's', 0, 0, 0, 0)
#define WORD_FLUSH_ALL WORD('f', 'l', 'u', 's', 'h', '_', 'a', 'l') /* and nine long */
#define WORD_NOREPLY WORD('n', 'o', 'r', 'e', 'p', 'l', 'y', 0)
#define WORD_VERSION WORD('v', 'e', 'r', 's', 'i', 'o', 'n', 0)
#define WORD_QUIT WORD('q', 'u', 'i', 't', 0, 0, 0, 0)
#define WORD_VALUE WORD('V', 'A', 'L', 'U', 'E', 0, 0, 0)
#define WORD_END WORD('E', 'N', 'D', 0, 0, 0, 0, 0)
#define WORD_STORED WORD('S', 'T', 'O', 'R', 'E', 'D', 0, 0)
#define WORD_ERROR WORD('E', 'R', 'R', 'O', 'R', 0, 0, 0)
#define WORD_CLIENT_ERROR WORD('C', 'L', 'I', 'E', 'N', 'T', '_', 'E')
#define WORD_SERVER_ERROR WORD('S', 'E', 'R', 'V', 'E', 'R', '_', 'E')

#define NO_NUMBER (~0ull)
#define DIGITS 10

/* What the token says, in digits alone and at most ten of them; NO_NUMBER. */
__attribute__((noinline)) __u64 cache_number(__u32 token)
{
    struct work *work = work_of_cpu();
    __u64 number = 0;
    __u32 at = 0;
    __u32 length = 0;

    if (!work || token >= TOKENS)
        return NO_NUMBER;
    at = work->spans[token].at;
    length = work->spans[token].length;
    if (!length || length > DIGITS || at >= TEXT_MAX)
        return NO_NUMBER;
    for (__u32 i = 0; i < DIGITS; i++) {
        __u8 digit = work->text[at + i];

        if (i >= length)
            break;
        if (digit < '0' || digit > '9')
            return NO_NUMBER;
        number = number * 10 + (digit - '0');
    }
    return number;
}

VH_INLINE enum command understand_store(struct work *work, __u32 tokens)
{
    __u64 expiry = cache_number(3);
    __u64 bytes = cache_number(4);
    __u32 at = work->spans[3].at;

    if (work->spans_used != tokens || cache_number(2) > 0xffffffff || bytes > 1u << 30)
        return NOT_UNDERSTOOD;
    work->data = (__u32)bytes + 2;
    work->expiry = expiry <= EXPIRY_MAX ? expiry : EXPIRY_UNKNOWN;
    /* Below zero: it expires at once. */
    if (expiry == NO_NUMBER && (at >= TEXT_MAX || work->text[at] != '-'))
        return NOT_UNDERSTOOD;
    return STORE;
}

VH_INLINE enum command understand_line(struct work *work, __u64 word)
{
    __u32 used = work->spans_used;

    switch (word) {
    case WORD_GET:
        if (used >= 2 && !work->many)
            return GET;
        return used < 2 ? NOT_UNDERSTOOD : READ;
    case WORD_GETS:
        return used < 2 ? NOT_UNDERSTOOD : READ;
    case WORD_SET:
    case WORD_ADD:
    case WORD_REPLACE:
        return understand_store(work, 5);
    case WORD_CAS:
        return understand_store(work, 6);
    case WORD_APPEND:
    case WORD_PREPEND:
        return understand_store(work, 5) == STORE ? CHANGE : NOT_UNDERSTOOD;
    case WORD_DELETE:
        /* The old form has a time, which is 0. */
        return used == 2 || (used == 3 && cache_number(2) == 0) ? CHANGE : NOT_UNDERSTOOD;
    case WORD_INCR:
    case WORD_DECR:
    case WORD_TOUCH:
        return used == 3 ? CHANGE : NOT_UNDERSTOOD;
    case WORD_GAT:
    case WORD_GATS:
        return used < 3 ? NOT_UNDERSTOOD : CHANGES;
    case WORD_FLUSH_ALL:
        if (work->spans[0].length != 9)
            return NOT_UNDERSTOOD;
        return used == 1 || (used == 2 && cache_number(1) == 0) ? FLUSH : FLUSH_LATER;
    case WORD_VERSION:
        return used == 1 ? READ : NOT_UNDERSTOOD;
    case WORD_QUIT:
        return used == 1 ? QUIT : NOT_UNDERSTOOD;
    default:
        return NOT_UNDERSTOOD;
    }
}

/* What the line that cache_scan() has cut commands; then `quiet`, `data` and `expiry` are set. */
__attribute__((noinline)) __u32 cache_understand(void)
{
    struct work *work = work_of_cpu();
    enum command command = NOT_UNDERSTOOD;
    __u32 last = 0;

    if (!work || !work->line || work->odd || !work->spans_used)
        return NOT_UNDERSTOOD;
    work->data = 0;
    work->expiry = EXPIRY_UNKNOWN;
    work->quiet = false;
    last = work->spans_used - 1;
    BELOW(last, SPANS);
    if (last > 0 && last < TOKENS && word_of(work, last) == WORD_NOREPLY &&
        work->spans[last].length == 7) {
        work->quiet = true;
        work->spans_used = last;
    }
    command = understand_line(work, word_of(work, 0));
    /* A key of that name, or a command that has no such form. */
    if (work->quiet && (command == GET || command == READ || command == CHANGES || command == QUIT))
        return NOT_UNDERSTOOD;
    if (command == STORE || command == CHANGE)
        return work->spans[1].length <= VH_CACHE_KEY ? command : NOT_UNDERSTOOD;
    return command;
}
