// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and binds fields that name guest CPUs.
#include "action/fields.h"

#include <string.h>

#include "base/error.h"

int vh_fields_parse(const char *words, struct vh_do *what, GError **error)
{
    if (strpbrk(words, " \t"))
        return vh_invalid(error, "%s takes one field, not \"%s\"", what->action->name, words);
    what->first = g_strdup(words);
    return 0;
}

int vh_fields_bind(const struct vh_do *what, const struct vh_kind *kind, struct vh_bound_do *bound,
                   GError **error)
{
    const struct vh_fieldref *ref = &bound->first;

    if (!*what->first)
        return 0;
    if (vh_fieldref_find(kind, what->first, &bound->first, error) < 0)
        return -1;
    bound->has_first = true;
    if (ref->type != VH_FIELD_INT && ref->type != VH_FIELD_INTS)
        return vh_invalid(
            error, "\"%s\" is neither an integer nor an array of integers, so it names no CPUs",
            what->first);
    if (ref->type == VH_FIELD_INTS && (gsize)ref->bits * ref->count > VH_CPUS_MAX)
        return vh_invalid(error, "\"%s\" has %u bits, and a mask of CPUs has at most %u",
                          what->first, ref->bits * ref->count, VH_CPUS_MAX);
    return 0;
}

enum vh_verdict vh_fields_cpus(const struct vh_bound_do *bound, const uint8_t *record,
                               const struct vh_cpu_map *map, struct vh_mask *mask)
{
    uint64_t cpu = 0;

    if (!bound->has_first || bound->first.type != VH_FIELD_INT)
        return vh_fields_mask(bound, record, map, mask);
    *mask = (struct vh_mask){0};
    cpu = vh_fieldref_number(&bound->first, record);
    if (cpu >= VH_CPUS_MAX)
        return VH_VERDICT_BEYOND;
    vh_mask_add(mask, (unsigned)cpu);
    return vh_mask_judge(mask, map);
}

enum vh_verdict vh_fields_mask(const struct vh_bound_do *bound, const uint8_t *record,
                               const struct vh_cpu_map *map, struct vh_mask *mask)
{
    if (!bound->has_first) {
        *mask = (struct vh_mask){0};
        return VH_VERDICT_OK;
    }
    vh_fieldref_mask(&bound->first, record, mask->words, VH_MASK_WORDS);
    return vh_mask_judge(mask, map);
}
