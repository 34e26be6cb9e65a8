/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of small numbers as words of bits: what base/cpuset.h and base/mask.h are made of. `count`
 * is how many words there are; numbers are below 64 times that. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline bool vh_bits_has(const uint64_t *words, unsigned number)
{
    return words[number / 64] >> (number % 64) & 1;
}

static inline void vh_bits_add(uint64_t *words, unsigned number)
{
    words[number / 64] |= (uint64_t)1 << (number % 64);
}

static inline void vh_bits_del(uint64_t *words, unsigned number)
{
    words[number / 64] &= ~((uint64_t)1 << (number % 64));
}

/* The first number of the set that is `from` or higher; 64 * count: there is none. */
static inline unsigned vh_bits_next(const uint64_t *words, unsigned count, unsigned from)
{
    unsigned word = from / 64;
    uint64_t bits = 0;

    if (word >= count)
        return count * 64;
    bits = words[word] & ~(uint64_t)0 << (from % 64);
    while (!bits) {
        if (++word == count)
            return count * 64;
        bits = words[word];
    }
    return word * 64 + (unsigned)__builtin_ctzll(bits);
}

/* How many numbers are in the set. */
static inline unsigned vh_bits_weight(const uint64_t *words, unsigned count)
{
    unsigned weight = 0;

    for (unsigned i = 0; i < count; i++)
        weight += (unsigned)__builtin_popcountll(words[i]);
    return weight;
}

static inline bool vh_bits_empty(const uint64_t *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (words[i])
            return false;
    return true;
}

/* Are there two numbers or more? */
static inline bool vh_bits_several(const uint64_t *words, unsigned count)
{
    bool one = false;

    for (unsigned i = 0; i < count; i++) {
        if (!words[i])
            continue;
        if (one || (words[i] & (words[i] - 1)))
            return true;
        one = true;
    }
    return false;
}

/* Is there a number in both? */
static inline bool vh_bits_touch(const uint64_t *a, const uint64_t *b, unsigned count)
{
    uint64_t common = 0;

    for (unsigned i = 0; i < count; i++)
        common |= a[i] & b[i];
    return common != 0;
}

/* Are all numbers of `inner` in `outer`? */
static inline bool vh_bits_within(const uint64_t *inner, const uint64_t *outer, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (inner[i] & ~outer[i])
            return false;
    return true;
}

/* With another set, of which no word is one of `words`. */
static inline void vh_bits_and(uint64_t *restrict words, const uint64_t *restrict other,
                               unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        words[i] &= other[i];
}

static inline void vh_bits_or(uint64_t *restrict words, const uint64_t *restrict other,
                              unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        words[i] |= other[i];
}

static inline void vh_bits_sub(uint64_t *restrict words, const uint64_t *restrict other,
                               unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        words[i] &= ~other[i];
}
