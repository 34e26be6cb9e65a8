// SPDX-License-Identifier: GPL-2.0-or-later
// What actions share when they sum up what rules ask for.
#include "action/sum.h"

#include <string.h>

enum vh_verdict vh_mask_judge(const struct vh_mask *mask, const struct vh_cpu_map *map)
{
    enum vh_verdict verdict = VH_VERDICT_EMPTY;

    for (unsigned word = 0; word < VH_MASK_WORDS; word++) {
        for (uint64_t bits = mask->words[word]; bits; bits &= bits - 1) {
            unsigned cpu = word * 64 + (unsigned)__builtin_ctzll(bits);

            if (!map->cpus[cpu].known)
                return VH_VERDICT_BEYOND;
            /* A CPU that is not plugged in has no vCPU: tasks may still be allowed on it. */
            if (map->cpus[cpu].vcpu < 0 && map->cpus[cpu].online)
                return VH_VERDICT_NO_VCPU;
            verdict = VH_VERDICT_OK;
        }
    }
    return verdict;
}

struct vh_wish *vh_sum_wish(const struct vh_sum *sum, unsigned cpu)
{
    int vcpu = sum->map->cpus[cpu].vcpu;

    return vcpu >= 0 && (unsigned)vcpu < sum->count && sum->map->cpus[cpu].online
               ? &sum->wishes[vcpu]
               : NULL;
}

const struct vh_rule *vh_sum_first(const struct vh_rule *a, const struct vh_rule *b)
{
    return a && strcmp(a->name, b->name) <= 0 ? a : b;
}

const struct vh_rule *vh_sum_tried(const struct vh_rule *a, const struct vh_rule *b)
{
    return b->trial ? vh_sum_first(a, b) : a;
}

/* What an anchor that is one too many has instead. */
static void fall_back(const struct vh_sum *sum, struct vh_wish *wish)
{
    wish->over_limit = true;
    wish->kind = VH_WISH_NONE;
    if (!wish->group)
        return;
    wish->kind = VH_WISH_GROUP;
    wish->rule = sum->groups[wish->group - 1].rule;
    wish->tried = sum->groups[wish->group - 1].tried;
}

void vh_sum_limit(struct vh_sum *sum, unsigned most, struct vh_mask *anchored)
{
    struct vh_mask granted = {0};

    for (int before = 1; before >= 0; before--) {
        for (unsigned i = 0; i < sum->count && most; i++) {
            if (sum->wishes[i].kind != VH_WISH_ANCHOR || vh_mask_has(anchored, i) != (before == 1))
                continue;
            vh_mask_add(&granted, i);
            most--;
        }
    }
    for (unsigned i = 0; i < sum->count; i++)
        if (sum->wishes[i].kind == VH_WISH_ANCHOR && !vh_mask_has(&granted, i))
            fall_back(sum, &sum->wishes[i]);
    *anchored = granted;
}
