// SPDX-License-Identifier: GPL-2.0-or-later
// Works out how a thread stands, from the last plan and what is in force.
#include "round/standing.h"

#include "round/helpers.h"

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

/* What is known of a thread already. */
struct sight {
    struct vh_target target;
    int number;                 /* its own in the last plan; -1: it did not know it */
    const struct vh_wish *wish; /* a vCPU's in that plan, and as it is now; NULL: not known */
    const char *off;            /* why somebody else places it; NULL: nobody does */
    bool waits; /* as its guest does: pins that a former vhintd left are not taken over yet */
};

static enum vh_standing_ground ground_of(const struct vh_entry *entry, bool left,
                                         const struct sight *sight)
{
    if (entry->held)
        return VH_STANDING_RELEASED;
    if (left)
        return VH_STANDING_LEFT;
    if (sight->off)
        return VH_STANDING_OFF;
    if (sight->waits)
        return VH_STANDING_LEFT;
    return sight->number < 0 ? VH_STANDING_UNPLANNED : VH_STANDING_PLANNED;
}

/* Copies it, without what may be gone sooner. */
static void take_wish(VhStanding *standing, const struct vh_wish *wish)
{
    standing->wishes = true;
    standing->wish = *wish;
    standing->wish.rule = standing->wish.tried = standing->wish.boost = NULL;
    if (wish->rule) {
        standing->action = wish->rule->what.action;
        standing->rule = g_intern_string(wish->rule->name);
    }
}

/* All but what is to be freed. */
static void begin(const VhRound *round, const struct vh_entry *entry, const struct sight *sight,
                  const struct vh_actuate_look *look, VhStanding *standing)
{
    *standing = (VhStanding){.thread = sight->target.on.thread,
                             .left = vh_actuate_is_left(round->actuate, &sight->target),
                             .held = look->set != NULL};
    if (sight->wish)
        take_wish(standing, sight->wish);
    standing->ground = ground_of(entry, standing->left, sight);
    if (standing->held || standing->left)
        standing->state = VH_STANDING_PINNED;
    else if (standing->ground == VH_STANDING_PLANNED &&
             is_wanted(vh_plan_thread(round->plan, entry->number, (unsigned)sight->number),
                       sight->wish))
        standing->state = VH_STANDING_WANTED;
}

static void stand(const VhRound *round, const struct vh_entry *entry, const struct sight *sight,
                  VhStanding *standing)
{
    struct vh_actuate_look look;

    vh_actuate_look(round->actuate, &sight->target.key, &look);
    begin(round, entry, sight, &look, standing);
    standing->former = look.former ? g_ref_string_acquire(look.former) : NULL;
    standing->problem = g_strdup(look.problem);
    if (standing->ground == VH_STANDING_OFF)
        standing->off = g_strdup(sight->off);
    if (standing->ground == VH_STANDING_PLANNED)
        vh_survey_place(round->survey, entry->number, (unsigned)sight->number, &standing->place);
}

static struct sight sight_of(const VhRound *round, const struct vh_entry *entry, unsigned position)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);
    const struct vh_wish *settled = vh_guest_wishes(entry->guest);
    struct sight sight = {.target = vh_entry_vcpu(entry, &vcpus[position]),
                          .number = number_of(entry, vcpus[position].thread),
                          .off = vh_round_off(entry, &vcpus[position]),
                          .waits = vh_round_is_left(entry)};

    g_assert(position < count);
    if (sight.number >= 0)
        sight.wish = vh_survey_wish(round->survey, entry->number, (unsigned)sight.number);
    /* More hints may ask for the same by now, which is no reason for a round. */
    if (sight.wish && vh_wish_equal(&settled[position], sight.wish))
        sight.wish = &settled[position];
    return sight;
}

void vh_standing_vcpu(const VhRound *round, const struct vh_entry *entry, unsigned position,
                      VhStanding *standing)
{
    const struct sight sight = sight_of(round, entry, position);

    stand(round, entry, &sight, standing);
}

unsigned vh_round_pinned(const VhRound *round, const struct vh_entry *entry)
{
    unsigned count = 0;
    unsigned pinned = 0;

    vh_guest_vcpus(entry->guest, &count);
    for (unsigned i = 0; i < count; i++) {
        const struct sight sight = sight_of(round, entry, i);
        struct vh_actuate_look look;
        VhStanding standing; /* nothing of it is to be freed */

        vh_actuate_look(round->actuate, &sight.target.key, &look);
        begin(round, entry, &sight, &look, &standing);
        pinned += standing.state == VH_STANDING_PINNED;
    }
    return pinned;
}

void vh_standing_helper(const VhRound *round, const struct vh_entry *entry,
                        const struct vh_thread *thread, VhStanding *standing)
{
    struct sight sight = {.target = vh_helpers_target(entry->guest, thread),
                          .number = number_of(entry, thread->thread)};
    struct vh_seat seat;

    if (vh_helpers_seat(thread, &seat))
        sight.off = vh_entry_off(entry, seat);
    stand(round, entry, &sight, standing);
}
