// SPDX-License-Identifier: GPL-2.0-or-later
// Works out how a thread stands, from the last plan and what is in force.
#include "round/standing.h"

#include "machine/tid.h"
#include "round/helpers.h"

const char *const vh_standing_names[] = {
    [VH_STANDING_FLOATING] = "floating",
    [VH_STANDING_WANTED] = "wanted",
    [VH_STANDING_PINNED] = "pinned",
};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_standing_names) == VH_STANDING_STATES);

/* The thread's number in the last plan; -1: that did not know it. */
static int number_of(const struct vh_entry *entry, pid_t thread)
{
    for (guint i = 0; i < entry->planned->len; i++) {
        const struct vh_planned *planned = &g_array_index(entry->planned, struct vh_planned, i);

        if (planned->thread == thread)
            return (int)planned->number;
    }
    return -1;
}

/* Does the plan have a place for it, or would it if there were one? */
static bool is_wanted(const struct vh_placed *placed, const struct vh_wish *wish)
{
    return placed->set >= 0 || placed->reason == VH_REASON_FULL ||
           placed->reason == VH_REASON_NO_CPU || (wish && wish->over_limit);
}

static void stand(const VhRound *round, const struct vh_entry *entry,
                  const struct vh_target *target, const char *off, struct vh_standing *standing)
{
    *standing = (struct vh_standing){.thread = target->thread,
                                     .left = vh_actuate_is_left(round->actuate, target->thread),
                                     .set = vh_round_pin(round, &target->key)};
    standing->alive = vh_tid_cpus(target->thread, &standing->now);
    vh_actuate_describe(round->actuate, &target->key, &standing->former, &standing->problem);
    if (entry->held)
        standing->why = g_strdup("released by hand until resumed");
    else if (standing->left)
        standing->why = g_strdup(VH_ROUND_LEFT);
    else if (off)
        standing->why = g_strdup(off);
}

/* What is left is what the last plan says. `number`: the thread's there; -1: it did not know it. */
static void judge(const VhRound *round, const struct vh_entry *entry, int number,
                  struct vh_standing *standing)
{
    bool ours = !standing->why;

    if (ours && number < 0)
        standing->why = g_strdup("no plan has been made for it yet");
    else if (ours && standing->wish)
        standing->why =
            vh_survey_reason_for(round->survey, entry->number, (unsigned)number, standing->wish);
    else if (ours)
        standing->why = vh_survey_reason(round->survey, entry->number, (unsigned)number);
    if (standing->set || standing->left)
        standing->state = VH_STANDING_PINNED;
    else if (ours && number >= 0 &&
             is_wanted(vh_plan_thread(round->plan, entry->number, (unsigned)number),
                       standing->wish))
        standing->state = VH_STANDING_WANTED;
}

void vh_standing_vcpu(const VhRound *round, const struct vh_entry *entry, unsigned position,
                      struct vh_standing *standing)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);
    const struct vh_wish *settled = vh_guest_wishes(entry->guest);
    const struct vh_target target = vh_entry_vcpu(entry, &vcpus[position]);
    int number = number_of(entry, target.thread);

    g_assert(position < count);
    stand(round, entry, &target, vh_round_off(entry, &vcpus[position]), standing);
    if (!standing->why && vh_round_is_left(entry))
        standing->why = g_strdup(VH_ROUND_LEFT);
    if (number >= 0)
        standing->wish = vh_survey_wish(round->survey, entry->number, (unsigned)number);
    /* More hints may ask for the same by now, which is no reason for a round. */
    if (number >= 0 && vh_wish_equal(&settled[position], standing->wish))
        standing->wish = &settled[position];
    judge(round, entry, number, standing);
}

void vh_standing_helper(const VhRound *round, const struct vh_entry *entry,
                        const struct vh_thread *thread, struct vh_standing *standing)
{
    struct vh_seat seat;
    const char *off = vh_helpers_seat(thread, &seat) ? vh_entry_off(entry, seat) : NULL;
    const struct vh_target target = vh_helpers_target(entry->guest, thread);

    stand(round, entry, &target, off, standing);
    judge(round, entry, number_of(entry, thread->thread), standing);
}

void vh_standing_clear(struct vh_standing *standing)
{
    g_clear_pointer(&standing->former, g_free);
    g_clear_pointer(&standing->why, g_free);
}

char *vh_standing_cpus(const struct vh_standing *standing)
{
    return standing->alive ? vh_cpuset_format(&standing->now) : g_strdup("");
}
