// SPDX-License-Identifier: GPL-2.0-or-later
// Compares wishes, and says what they and verdicts are.
#include "action/wish.h"

#include <math.h>

#include "action/action.h"

static const char *const verdict_texts[] = {
    [VH_VERDICT_OK] = "good",
    [VH_VERDICT_OTHER] = "no rule is about it",
    [VH_VERDICT_EMPTY] = "its mask names no CPU",
    [VH_VERDICT_BEYOND] = "it names a CPU that the guest does not have",
    [VH_VERDICT_NO_VCPU] = "it names a CPU that no vCPU serves",
    [VH_VERDICT_SEVERAL] = "it names several CPUs, and only one can be pinned",
};
G_STATIC_ASSERT(G_N_ELEMENTS(verdict_texts) == VH_VERDICT_COUNT);

const char *vh_verdict_text(enum vh_verdict verdict)
{
    return verdict_texts[verdict];
}

static bool same_figure(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

bool vh_ram_wish_equal(const struct vh_ram_wish *a, const struct vh_ram_wish *b)
{
    return a->rule == b->rule && a->asked == b->asked && a->room == b->room &&
           same_figure(a->stall, b->stall);
}

bool vh_wish_equal(const struct vh_wish *a, const struct vh_wish *b)
{
    bool figures = same_figure(a->figure, b->figure);

    return a->kind == b->kind && a->group == b->group && a->guest_cpu == b->guest_cpu &&
           a->rule == b->rule && a->over_limit == b->over_limit && a->tried == b->tried &&
           a->boost == b->boost && figures;
}

char *vh_wish_text(const struct vh_wish *wish)
{
    const struct vh_rule *rule = wish->rule;

    return vh_wish_copy_text(wish, rule ? rule->what.action : NULL, rule ? rule->name : NULL);
}

char *vh_wish_copy_text(const struct vh_wish *wish, const struct vh_action *action,
                        const char *rule)
{
    const char *limit = "not pinned, as max-pins is reached";
    g_autofree char *what = NULL;

    if (wish->kind == VH_WISH_NONE)
        return g_strdup(wish->over_limit ? limit : "no hint asks for it");
    g_assert(action); /* of its rule, as long as it has one */
    what = action->explain(wish);
    return g_strdup_printf("%s (rule %s)%s%s", what, rule, wish->over_limit ? "; " : "",
                           wish->over_limit ? limit : "");
}
