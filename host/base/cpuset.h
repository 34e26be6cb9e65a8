/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of host CPUs: a value, laid out as the kernel's affinity masks. */
#pragma once

#include <glib.h>

#include "base/bits.h"

#define VH_HOST_CPUS_MAX 4096u

struct vh_cpuset {
    uint64_t words[VH_HOST_CPUS_MAX / 64];
};

static inline bool vh_cpuset_has(const struct vh_cpuset *set, unsigned cpu)
{
    return cpu < VH_HOST_CPUS_MAX && vh_bits_has(set->words, cpu);
}

static inline void vh_cpuset_add(struct vh_cpuset *set, unsigned cpu)
{
    if (cpu < VH_HOST_CPUS_MAX)
        vh_bits_add(set->words, cpu);
}

static inline void vh_cpuset_del(struct vh_cpuset *set, unsigned cpu)
{
    if (cpu < VH_HOST_CPUS_MAX)
        vh_bits_del(set->words, cpu);
}

/* The first CPU of the set that is `from` or higher; -1: none. */
int vh_cpuset_next(const struct vh_cpuset *set, unsigned from);
unsigned vh_cpuset_count(const struct vh_cpuset *set);
bool vh_cpuset_empty(const struct vh_cpuset *set);
bool vh_cpuset_equal(const struct vh_cpuset *a, const struct vh_cpuset *b);
/* All CPUs of `set` are in `other`, too. */
bool vh_cpuset_within(const struct vh_cpuset *set, const struct vh_cpuset *other);
void vh_cpuset_and(struct vh_cpuset *set, const struct vh_cpuset *other);
void vh_cpuset_or(struct vh_cpuset *set, const struct vh_cpuset *other);
void vh_cpuset_sub(struct vh_cpuset *set, const struct vh_cpuset *other);

/* Reads the list format of cpuset(7), "0-3,8"; an empty list is an empty set. 0, or -1 and
 * VH_ERROR_INVALID_ARGUMENT with `*set` untouched. */
int vh_cpuset_parse(struct vh_cpuset *set, const char *list,
                    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same format; "" for the empty set. g_free() it. */
char *vh_cpuset_format(const struct vh_cpuset *set);
