// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of host CPUs and their list format.
#include "base/cpuset.h"

#include <string.h>

#include "base/error.h"

int vh_cpuset_next(const struct vh_cpuset *set, unsigned from)
{
    for (unsigned word = from / 64; word < G_N_ELEMENTS(set->words); word++) {
        uint64_t bits = set->words[word];

        if (word == from / 64)
            bits &= ~(uint64_t)0 << (from % 64);
        if (bits)
            return (int)(word * 64) + __builtin_ctzll(bits);
    }
    return -1;
}

unsigned vh_cpuset_count(const struct vh_cpuset *set)
{
    unsigned count = 0;

    for (unsigned word = 0; word < G_N_ELEMENTS(set->words); word++)
        count += (unsigned)__builtin_popcountll(set->words[word]);
    return count;
}

bool vh_cpuset_empty(const struct vh_cpuset *set)
{
    return vh_cpuset_next(set, 0) < 0;
}

bool vh_cpuset_equal(const struct vh_cpuset *a, const struct vh_cpuset *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool vh_cpuset_within(const struct vh_cpuset *set, const struct vh_cpuset *other)
{
    for (unsigned word = 0; word < G_N_ELEMENTS(set->words); word++)
        if (set->words[word] & ~other->words[word])
            return false;
    return true;
}

void vh_cpuset_and(struct vh_cpuset *set, const struct vh_cpuset *other)
{
    for (unsigned word = 0; word < G_N_ELEMENTS(set->words); word++)
        set->words[word] &= other->words[word];
}

void vh_cpuset_or(struct vh_cpuset *set, const struct vh_cpuset *other)
{
    for (unsigned word = 0; word < G_N_ELEMENTS(set->words); word++)
        set->words[word] |= other->words[word];
}

void vh_cpuset_sub(struct vh_cpuset *set, const struct vh_cpuset *other)
{
    for (unsigned word = 0; word < G_N_ELEMENTS(set->words); word++)
        set->words[word] &= ~other->words[word];
}

/* Takes a CPU number or range off `*at` into `set`; -1: there is none, or it ends before it begins
 * or is too large. */
static int take_range(struct vh_cpuset *set, const char **at)
{
    guint64 bounds[2] = {0};
    const char *end = *at;

    for (int i = 0; i < 2; i++) {
        char *after = NULL;

        if (!g_ascii_isdigit(*end))
            return -1;
        bounds[i] = g_ascii_strtoull(end, &after, 10);
        end = after;
        if (i == 0 && *end != '-') {
            bounds[1] = bounds[0];
            break;
        }
        if (i == 0)
            end++;
    }
    if (bounds[1] < bounds[0] || bounds[1] >= VH_HOST_CPUS_MAX)
        return -1;
    for (unsigned cpu = (unsigned)bounds[0]; cpu <= bounds[1]; cpu++)
        vh_cpuset_add(set, cpu);
    *at = end;
    return 0;
}

int vh_cpuset_parse(struct vh_cpuset *set, const char *list, GError **error)
{
    struct vh_cpuset result = {{0}};
    g_autofree char *text = g_strstrip(g_strdup(list));
    const char *at = text;

    while (*at) {
        if (take_range(&result, &at) < 0 || (*at && (*at != ',' || !at[1]))) {
            g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                        "\"%s\" is not a list of CPUs from 0 to %u, such as 0-3,8", text,
                        VH_HOST_CPUS_MAX - 1);
            return -1;
        }
        if (*at == ',')
            at++;
    }
    *set = result;
    return 0;
}

char *vh_cpuset_format(const struct vh_cpuset *set)
{
    GString *out = g_string_new(NULL);

    for (int first = vh_cpuset_next(set, 0); first >= 0;) {
        int last = first;

        while (vh_cpuset_has(set, (unsigned)last + 1))
            last++;
        if (out->len)
            g_string_append_c(out, ',');
        if (last == first)
            g_string_append_printf(out, "%d", first);
        else
            g_string_append_printf(out, "%d-%d", first, last);
        first = vh_cpuset_next(set, (unsigned)last + 1);
    }
    return g_string_free(out, FALSE);
}
