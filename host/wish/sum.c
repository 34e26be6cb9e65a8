// SPDX-License-Identifier: GPL-2.0-or-later
// Sums up what rules ask for into one wish for each vCPU.
#include "wish/sum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum vh_verdict vh_mask_judge(const struct vh_mask *mask, const struct vh_cpu_map *map)
{
    enum vh_verdict verdict = VH_VERDICT_EMPTY;

    for (unsigned cpu = vh_mask_next(mask, 0); cpu < VH_CPUS_MAX;
         cpu = vh_mask_next(mask, cpu + 1)) {
        if (!map->cpus[cpu].known)
            return VH_VERDICT_BEYOND;
        /* A CPU that is not plugged in has no vCPU: tasks may still be allowed on it. */
        if (map->cpus[cpu].vcpu < 0 && map->cpus[cpu].online)
            return VH_VERDICT_NO_VCPU;
        verdict = VH_VERDICT_OK;
    }
    return verdict;
}

static void note_tried(const struct vh_rule **tried, const struct vh_rule *rule)
{
    if (rule->trial && (!*tried || strcmp(rule->name, (*tried)->name) < 0))
        *tried = rule;
}

/* Merges `mask` with all groups that it touches. */
static void add_group(struct vh_wish_round *round, struct vh_mask mask, const struct vh_rule *rule)
{
    const struct vh_rule *tried = rule->trial ? rule : NULL;
    const char *name = rule->name;

    for (unsigned i = 0; i < round->group_count;) {
        struct vh_wish_group *group = &round->groups[i];
        uint64_t common = 0;

        for (unsigned word = 0; word < VH_MASK_WORDS; word++)
            common |= group->mask.words[word] & mask.words[word];
        if (!common) {
            i++;
            continue;
        }
        for (unsigned word = 0; word < VH_MASK_WORDS; word++)
            mask.words[word] |= group->mask.words[word];
        if (strcmp(group->rule, name) < 0)
            name = group->rule;
        if (group->tried)
            note_tried(&tried, group->tried);
        *group = round->groups[--round->group_count];
    }
    round->groups[round->group_count++] = (struct vh_wish_group){mask, name, tried};
}

/* The wish of the vCPU that serves guest CPU `cpu`; NULL: none does now. */
static struct vh_wish *wish_of(const struct vh_wish_round *round, unsigned cpu)
{
    int vcpu = round->map->cpus[cpu].vcpu;

    return vcpu >= 0 && (unsigned)vcpu < round->count && round->map->cpus[cpu].online
               ? &round->wishes[vcpu]
               : NULL;
}

/* The lower name, so that it does not depend on the order of facts. */
static void note_rule(struct vh_wish *wish, const char *rule)
{
    if (!wish->rule || strcmp(rule, wish->rule) < 0)
        wish->rule = rule;
}

static void add_boost(struct vh_wish *wish, const struct vh_rule *rule, double figure)
{
    if (!wish)
        return;
    if (!wish->boost || rule->order > wish->boost->order)
        wish->boost = rule;
    if (isnan(wish->figure) || figure > wish->figure)
        wish->figure = figure;
}

/* Guest CPUs become vCPUs here: those that are not there are nobody's neighbours. */
static void add_near(struct vh_wish_round *round, const struct vh_rule *rule,
                     const struct vh_mask *mask)
{
    struct vh_near near = {.strength = round->strength, .by = rule};

    for (unsigned cpu = vh_mask_next(mask, 0); cpu < VH_CPUS_MAX; cpu = vh_mask_next(mask, cpu + 1))
        if (wish_of(round, cpu))
            vh_vcpuset_add(&near.vcpus, (unsigned)round->map->cpus[cpu].vcpu);
    if (round->nears->len < VH_NEAR_MAX)
        g_array_append_val(round->nears, near);
}

static void add_memory(struct vh_ram_wish *ram, const struct vh_rule *rule, double figure)
{
    if (!ram->asked || strcmp(rule->name, ram->rule->name) < 0)
        ram->rule = rule;
    ram->asked = true;
    if (isnan(ram->stall) || figure > ram->stall)
        ram->stall = figure;
}

void vh_wish_round_note_room(struct vh_wish_round *round, const struct vh_bound_rule *bound,
                             const uint8_t *record)
{
    struct vh_ram_wish *ram = &round->ram;
    gint64 room = -1;

    if (!ram->rule)
        ram->rule = bound->rule;
    if (bound->has_room)
        room = (gint64)(MIN(vh_fieldref_number(&bound->room, record), (uint64_t)G_MAXINT64 >> 20)
                        << 20);
    if (room >= 0 && (ram->room < 0 || room < ram->room))
        ram->room = room;
}

void vh_wish_round_add(struct vh_wish_round *round, const struct vh_rule *rule,
                       const struct vh_mask *mask, double figure)
{
    unsigned cpu = vh_mask_next(mask, 0);
    struct vh_wish *wish = NULL;

    if (rule->action == VH_ACTION_FLOAT) {
        round->float_all = round->float_all || cpu == VH_CPUS_MAX;
        for (; cpu < VH_CPUS_MAX; cpu = vh_mask_next(mask, cpu + 1))
            vh_mask_add(&round->floats, cpu);
        return;
    }
    if (rule->action == VH_ACTION_NEAR) {
        add_near(round, rule, mask);
        return;
    }
    if (rule->action == VH_ACTION_MEMORY) {
        add_memory(&round->ram, rule, figure);
        return;
    }
    if (rule->action == VH_ACTION_GROUP) {
        if (vh_mask_weight(mask) > 1)
            add_group(round, *mask, rule);
        return;
    }
    if (rule->action == VH_ACTION_BOOST) {
        for (; cpu < VH_CPUS_MAX; cpu = vh_mask_next(mask, cpu + 1))
            add_boost(wish_of(round, cpu), rule, figure);
        return;
    }
    wish = wish_of(round, cpu);
    if (!wish)
        return;
    note_tried(&wish->tried, rule);
    wish->kind = VH_WISH_ANCHOR;
    wish->guest_cpu = (int)cpu;
    wish->tasks += !round->held;
    note_rule(wish, rule->name);
}

static int by_lowest_cpu(gconstpointer a, gconstpointer b)
{
    return (int)vh_mask_next(&((const struct vh_wish_group *)a)->mask, 0) -
           (int)vh_mask_next(&((const struct vh_wish_group *)b)->mask, 0);
}

/* Groups' numbers follow their lowest CPU, so that they do not depend on the order of facts either.
 */
static void apply_groups(struct vh_wish_round *round)
{
    qsort(round->groups, round->group_count, sizeof(round->groups[0]), by_lowest_cpu);
    for (unsigned i = 0; i < round->group_count; i++) {
        const struct vh_wish_group *group = &round->groups[i];

        for (unsigned cpu = vh_mask_next(&group->mask, 0); cpu < VH_CPUS_MAX;
             cpu = vh_mask_next(&group->mask, cpu + 1)) {
            struct vh_wish *wish = wish_of(round, cpu);

            if (!wish)
                continue;
            wish->group = i + 1;
            if (wish->kind == VH_WISH_NONE) {
                wish->kind = VH_WISH_GROUP;
                wish->rule = group->rule;
                wish->tried = group->tried;
            }
        }
    }
}

static void apply_floats(struct vh_wish_round *round)
{
    if (!round->float_all && !vh_mask_weight(&round->floats))
        return;
    for (unsigned cpu = 0; cpu < VH_CPUS_MAX; cpu++) {
        struct vh_wish *wish =
            round->float_all || vh_mask_has(&round->floats, cpu) ? wish_of(round, cpu) : NULL;

        if (!wish)
            continue;
        *wish = (struct vh_wish){.guest_cpu = -1, .figure = NAN};
        for (guint i = 0; i < round->nears->len; i++)
            vh_vcpuset_del(&g_array_index(round->nears, struct vh_near, i).vcpus,
                           (unsigned)round->map->cpus[cpu].vcpu);
    }
}

/* At most max-pins anchors: those that were there before, then those of the lowest vCPUs. */
static void apply_limit(struct vh_wish_round *round, unsigned left, struct vh_mask *anchored)
{
    struct vh_mask granted = {0};

    for (int before = 1; before >= 0; before--) {
        for (unsigned i = 0; i < round->count && left; i++) {
            if (round->wishes[i].kind != VH_WISH_ANCHOR ||
                vh_mask_has(anchored, i) != (before == 1))
                continue;
            vh_mask_add(&granted, i);
            left--;
        }
    }
    for (unsigned i = 0; i < round->count; i++) {
        struct vh_wish *wish = &round->wishes[i];

        if (wish->kind != VH_WISH_ANCHOR || vh_mask_has(&granted, i))
            continue;
        wish->kind = wish->group ? VH_WISH_GROUP : VH_WISH_NONE;
        wish->over_limit = true;
    }
    *anchored = granted;
}

void vh_wish_round_end(struct vh_wish_round *round, unsigned most, struct vh_mask *anchored)
{
    apply_groups(round);
    apply_floats(round);
    apply_limit(round, most, anchored);
}
