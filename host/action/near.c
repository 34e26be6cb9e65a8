// SPDX-License-Identifier: GPL-2.0-or-later
// near FIELD [FIELD]: the vCPUs of these guest CPUs are kept together as far as that goes.
#include <string.h>

#include "action/fields.h"
#include "action/group.h"
#include "base/error.h"

static int parse(const char *words, struct vh_do *what, GError **error)
{
    gsize len = strcspn(words, " \t");
    g_autofree char *second = g_strstrip(g_strdup(words + len));

    if (strpbrk(second, " \t"))
        return vh_invalid(error, "near takes one field or two, not \"%s\"", words);
    what->first = g_strndup(words, len);
    what->second = *second ? g_steal_pointer(&second) : NULL;
    return 0;
}

static int bind(const struct vh_do *what, const struct vh_kind *kind, struct vh_bound_do *bound,
                GError **error)
{
    if (vh_fields_bind(what, kind, bound, error) < 0)
        return -1;
    bound->has_second = what->second != NULL;
    return what->second ? vh_fieldref_find_number(kind, what->second, &bound->second, error) : 0;
}

/* Guest CPUs become vCPUs here: those that are not there are nobody's neighbours. The second field
 * says how strong the tie is. */
static void add(struct vh_sum *sum, const struct vh_ask *asked)
{
    struct vh_near near = {.strength = asked->number, .by = asked->rule};

    for (unsigned cpu = vh_mask_next(asked->mask, 0); cpu < VH_CPUS_MAX;
         cpu = vh_mask_next(asked->mask, cpu + 1))
        if (vh_sum_wish(sum, cpu))
            vh_mask_add(&near.vcpus, (unsigned)sum->map->cpus[cpu].vcpu);
    if (sum->nears->len < VH_NEAR_MAX)
        g_array_append_val(sum->nears, near);
}

const struct vh_action vh_action_near = {
    .name = "near",
    .words = "FIELD [FIELD]",
    .actuator = "pin",
    .traits = VH_ACTION_TRIES | VH_ACTION_TRIED | VH_ACTION_LOSS,
    .parse = parse,
    .bind = bind,
    .ask = vh_fields_mask,
    .add = add,
    .explain = vh_group_explain,
};
