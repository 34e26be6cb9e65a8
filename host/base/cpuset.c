// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of host CPUs and their list format.
#include "base/cpuset.h"

#include <string.h>

#include "base/error.h"

#define WORDS (VH_HOST_CPUS_MAX / 64)

int vh_cpuset_next(const struct vh_cpuset *set, unsigned from)
{
    unsigned next = vh_bits_next(set->words, WORDS, from);

    return next < VH_HOST_CPUS_MAX ? (int)next : -1;
}

unsigned vh_cpuset_count(const struct vh_cpuset *set)
{
    return vh_bits_weight(set->words, WORDS);
}

bool vh_cpuset_empty(const struct vh_cpuset *set)
{
    return vh_bits_empty(set->words, WORDS);
}

bool vh_cpuset_equal(const struct vh_cpuset *a, const struct vh_cpuset *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool vh_cpuset_within(const struct vh_cpuset *set, const struct vh_cpuset *other)
{
    return vh_bits_within(set->words, other->words, WORDS);
}

void vh_cpuset_and(struct vh_cpuset *set, const struct vh_cpuset *other)
{
    vh_bits_and(set->words, other->words, WORDS);
}

void vh_cpuset_or(struct vh_cpuset *set, const struct vh_cpuset *other)
{
    vh_bits_or(set->words, other->words, WORDS);
}

void vh_cpuset_sub(struct vh_cpuset *set, const struct vh_cpuset *other)
{
    vh_bits_sub(set->words, other->words, WORDS);
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
