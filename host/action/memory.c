// SPDX-License-Identifier: GPL-2.0-or-later
// memory [FIELD]: the guest gets more memory. The field says how many MiB it could do without.
#include <math.h>

#include "action/fields.h"

static int bind(const struct vh_do *what, const struct vh_kind *kind, struct vh_bound_do *bound,
                GError **error)
{
    bound->has_first = *what->first;
    return bound->has_first ? vh_fieldref_find_number(kind, what->first, &bound->first, error) : 0;
}

/* Facts that do not ask say what room there is, too. */
static void note(struct vh_sum *sum, const struct vh_rule *rule, const struct vh_bound_do *bound,
                 const uint8_t *record)
{
    struct vh_ram_wish *ram = &sum->ram;
    gint64 room = -1;

    if (!ram->rule)
        ram->rule = rule;
    if (bound->has_first)
        room = (gint64)(MIN(vh_fieldref_number(&bound->first, record), (uint64_t)G_MAXINT64 >> 20)
                        << 20);
    if (room >= 0 && (ram->room < 0 || room < ram->room))
        ram->room = room;
}

static void add(struct vh_sum *sum, const struct vh_ask *asked)
{
    struct vh_ram_wish *ram = &sum->ram;

    ram->rule = ram->asked ? vh_sum_first(ram->rule, asked->rule) : asked->rule;
    ram->asked = true;
    if (isnan(ram->stall) || asked->figure > ram->stall)
        ram->stall = asked->figure;
}

const struct vh_action vh_action_memory = {
    .name = "memory",
    .words = "[FIELD]",
    .actuator = "memory",
    .traits = VH_ACTION_TRIES | VH_ACTION_TRIED | VH_ACTION_FIGURE | VH_ACTION_WHOLE,
    .parse = vh_fields_parse,
    .bind = bind,
    .note = note,
    .add = add,
};
