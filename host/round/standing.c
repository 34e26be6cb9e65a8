// SPDX-License-Identifier: GPL-2.0-or-later
// Works out how a thread stands, from the last plan and what is in force.
#include "round/standing.h"

#include "machine/tid.h"
#include "round/threads.h"

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

/* `off`: why its seat is not ours to place; NULL: it is. `vcpu`: it has a wish. */
static void stand(const VhRound *round, const struct vh_entry *entry, pid_t thread, const char *off,
                  bool vcpu, struct vh_standing *standing)
{
    int number = number_of(entry, thread);
    bool ours = !entry->held && !off;
    bool wanted = false;

    *standing = (struct vh_standing){.thread = thread,
                                     .left = vh_actuate_is_left(round->actuate, thread),
                                     .set = vh_round_pin(round, thread)};
    standing->alive = vh_thread_cpus(thread, &standing->now);
    vh_actuate_describe(round->actuate, thread, &standing->former, &standing->problem);
    if (number >= 0 && vcpu)
        standing->wish = vh_survey_wish(round->survey, entry->number, (unsigned)number);
    if (number >= 0)
        wanted =
            is_wanted(vh_plan_thread(round->plan, entry->number, (unsigned)number), standing->wish);
    standing->state = standing->set || standing->left ? VH_STANDING_PINNED
                      : ours && wanted                ? VH_STANDING_WANTED
                                                      : VH_STANDING_FLOATING;
    if (entry->held)
        standing->why = g_strdup("released by hand until resumed");
    else if (standing->left || (vcpu && vh_round_is_left(entry)))
        standing->why = g_strdup(VH_ROUND_LEFT);
    else if (off)
        standing->why = g_strdup(off);
    else if (number >= 0)
        standing->why = vh_survey_reason(round->survey, entry->number, (unsigned)number);
    else
        standing->why = g_strdup("no plan has been made for it yet");
}

void vh_standing_vcpu(const VhRound *round, const struct vh_entry *entry, unsigned position,
                      struct vh_standing *standing)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpu = &vh_guest_vcpus(entry->guest, &count)[position];

    g_assert(position < count);
    stand(round, entry, vcpu->thread, vh_round_off(entry, vcpu), true, standing);
}

void vh_standing_helper(const VhRound *round, const struct vh_entry *entry,
                        const struct vh_thread *thread, struct vh_standing *standing)
{
    struct vh_seat seat;
    const char *off = vh_helpers_seat(thread, &seat) ? vh_entry_off(entry, seat) : NULL;

    stand(round, entry, thread->thread, off, false, standing);
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
