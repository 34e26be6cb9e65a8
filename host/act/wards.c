// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps real-time boosts within their budgets.
#include "act/wards.h"

#include <sched.h>

#include "machine/meter.h"
#include "machine/tid.h"

#define OWNER_PRIORITY 2 /* a boost has 1 */
#define OWNER_SHARE 10u  /* percent */

struct ward {
    struct vh_saved_slot *slot;
    struct vh_thread_id on;
    struct vh_meter meter;
    struct vh_budget budget;
    bool listed;
};

struct VhWards {
    VhSaved *saved;
    struct ward *by_slot[VH_SAVED_MAX]; /* NULL: it never was one */
    GPtrArray *list;                    /* struct ward: those that are boosted now */
    GPtrArray *budgets;                 /* theirs */
    struct vh_budget_limits limits;
    struct vh_thread_id owner;
    struct vh_meter owners_meter;
    struct vh_budget owners;
    bool raised; /* the owner is real-time by us */
};

VhWards *vh_wards_new(VhSaved *saved, pid_t owner)
{
    VhWards *wards = g_new0(VhWards, 1);

    wards->saved = saved;
    wards->list = g_ptr_array_new();
    wards->budgets = g_ptr_array_new();
    if (vh_tid_identify("/proc", owner, owner, &wards->owner) == 0 &&
        vh_meter_open(&wards->owners_meter, &wards->owner) < 0)
        g_warning("vhintd's own time is not known to the warden");
    return wards;
}

/* ---- what is done to a thread ---- */

static void set_policy(pid_t thread, int policy, int priority)
{
    struct sched_param param = {.sched_priority = priority};

    sched_setscheduler(thread, policy, &param);
}

static void put_back(const struct ward *ward, const struct vh_saved_boost *boost)
{
    set_policy(ward->on.thread, boost->policy, boost->priority);
}

static bool is_so_still(const struct ward *ward)
{
    const struct vh_saved_slot *slot = ward->slot;

    g_assert(slot);
    return __atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) == VH_SAVED_APPLIED &&
           slot->kind == VH_SAVED_BOOST && slot->boost.kind == VH_BOOST_RR &&
           slot->thread == ward->on.thread && slot->start == ward->on.start &&
           !(__atomic_load_n(&slot->boost.flags, __ATOMIC_SEQ_CST) & VH_SAVED_ENDING);
}

/* The thread's number may be another's by now; what the meter reads is this one's. */
static bool is_same(struct ward *ward)
{
    return vh_meter_read(&ward->meter) && is_so_still(ward);
}

static void pause_boost(struct ward *ward)
{
    struct vh_saved_boost boost = ward->slot->boost;

    if (!is_same(ward))
        return;
    __atomic_fetch_or(&ward->slot->boost.flags, VH_SAVED_PAUSED, __ATOMIC_SEQ_CST);
    put_back(ward, &boost);
    if (vh_meter_read(&ward->meter))
        vh_budget_pause(&ward->budget, ward->meter.time);
}

static void resume_boost(struct ward *ward)
{
    struct vh_saved_boost boost = ward->slot->boost;

    if (!is_same(ward))
        return;
    set_policy(ward->on.thread, SCHED_RR | SCHED_RESET_ON_FORK, 1);
    __atomic_fetch_and(&ward->slot->boost.flags, ~VH_SAVED_PAUSED, __ATOMIC_SEQ_CST);
    if (!is_so_still(ward))
        put_back(ward, &boost);
    else if (vh_meter_read(&ward->meter))
        vh_budget_resume(&ward->budget, ward->meter.time);
}

/* ---- who is boosted ---- */

/* Whose time cannot be read must not be boosted: there are no descriptors left. */
static void give_up(struct ward *ward)
{
    struct vh_saved_boost boost = ward->slot->boost;

    if (vh_tid_check("/proc", &ward->on) < 0 || !is_so_still(ward))
        return;
    __atomic_fetch_or(&ward->slot->boost.flags, VH_SAVED_PAUSED, __ATOMIC_SEQ_CST);
    put_back(ward, &boost);
}

static struct ward *ward_of(VhWards *wards, struct vh_saved_slot *slot)
{
    struct ward **place = &wards->by_slot[vh_saved_index(wards->saved, slot)];
    const struct vh_thread_id on = vh_saved_thread(slot);

    if (!*place)
        *place = g_new0(struct ward, 1);
    if (!vh_thread_id_equal(&(*place)->on, &on)) {
        vh_meter_close(&(*place)->meter);
        **place = (struct ward){.slot = slot, .on = on, .listed = (*place)->listed};
    }
    return *place;
}

void vh_wards_gather(VhWards *wards)
{
    struct vh_saved_slot *slot = NULL;

    while ((slot = vh_saved_next(wards->saved, VH_SAVED_BOOST, slot))) {
        struct ward *ward = slot->boost.kind == VH_BOOST_RR ? ward_of(wards, slot) : NULL;

        if (!ward || !is_so_still(ward))
            continue;
        if (!ward->meter.open && vh_meter_open(&ward->meter, &ward->on) < 0)
            give_up(ward);
        else if (!ward->listed)
            g_ptr_array_add(wards->list, ward);
        ward->listed = ward->meter.open;
    }
}

/* ---- a look ---- */

/* Of those that go on: what they owe stays known, for the case that they come again. */
static void look_at_all(VhWards *wards, gint64 now)
{
    guint kept = 0;

    for (guint i = 0; i < wards->list->len; i++) {
        struct ward *ward = g_ptr_array_index(wards->list, i);

        ward->listed = is_same(ward);
        if (!ward->listed) {
            vh_meter_close(&ward->meter);
            continue;
        }
        vh_budget_look(&ward->budget, ward->meter.time, ward->meter.cpu, &wards->limits, now);
        wards->list->pdata[kept++] = ward;
    }
    g_ptr_array_set_size(wards->list, (gint)kept);
}

static gint64 settle(VhWards *wards, gint64 now)
{
    g_ptr_array_set_size(wards->budgets, 0);
    for (guint i = 0; i < wards->list->len; i++)
        g_ptr_array_add(wards->budgets,
                        &((struct ward *)g_ptr_array_index(wards->list, i))->budget);
    return vh_budget_settle((struct vh_budget *const *)wards->budgets->pdata, wards->budgets->len,
                            &wards->limits, now);
}

/* Until when vhintd is in a hurry; 0: it is not. */
static gint64 hurry_ends(const VhWards *wards, gint64 now)
{
    uint32_t until = __atomic_load_n(&vh_saved_shared(wards->saved)->hurry, __ATOMIC_ACQUIRE);
    int32_t left_ms = (int32_t)(until - (uint32_t)(now / 1000));

    return left_ms > 0 ? now + (gint64)left_ms * 1000 : 0;
}

/* vhintd must see to trials, facts and clients beside what it boosts; but a guest that keeps it
 * busy must not make it a real-time hog. Returns when to look again; -1: when the bell rings. */
static gint64 tend_owner(VhWards *wards, gint64 now)
{
    const struct vh_budget_limits limits = {OWNER_SHARE, wards->limits.period_us};
    struct vh_budget *const budgets[] = {&wards->owners};
    pid_t owner = wards->owner.thread;
    gint64 hurry = hurry_ends(wards, now);
    gint64 next = -1;
    bool raise = false;

    if ((wards->list->len || hurry) && wards->owners_meter.open &&
        vh_meter_read(&wards->owners_meter)) {
        vh_budget_look(&wards->owners, wards->owners_meter.time, -1, &limits, now);
        next = vh_budget_settle(budgets, 1, &limits, now);
        if (hurry)
            next = MIN(next, hurry);
        raise = !wards->owners.spent;
    }
    /* Who has given it a policy of its own means it. */
    if (raise != wards->raised && (wards->raised || sched_getscheduler(owner) == SCHED_OTHER)) {
        set_policy(owner, raise ? SCHED_RR | SCHED_RESET_ON_FORK : SCHED_OTHER,
                   raise ? OWNER_PRIORITY : 0);
        wards->raised = raise;
    }
    return next;
}

gint64 vh_wards_tend(VhWards *wards)
{
    const struct vh_saved_shared *shared = vh_saved_shared(wards->saved);
    gint64 now = g_get_monotonic_time();
    gint64 next = -1;
    gint64 owners = -1;

    wards->limits =
        (struct vh_budget_limits){__atomic_load_n(&shared->share, __ATOMIC_ACQUIRE),
                                  __atomic_load_n(&shared->period_us, __ATOMIC_ACQUIRE)};
    look_at_all(wards, now);
    next = settle(wards, now);
    for (guint i = 0; i < wards->list->len; i++) {
        struct ward *ward = g_ptr_array_index(wards->list, i);
        bool paused = ward->slot->boost.flags & VH_SAVED_PAUSED;

        if (ward->budget.spent && !paused)
            pause_boost(ward);
        else if (!ward->budget.spent && paused)
            resume_boost(ward);
    }
    owners = tend_owner(wards, now);
    if (next < 0 || owners < 0)
        return MAX(next, owners);
    return MIN(next, owners);
}
