// SPDX-License-Identifier: GPL-2.0-or-later
// Pins a guest's host thread with sched_setaffinity(2).
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "act/actuator.h"
#include "base/error.h"
#include "machine/cgroup.h"
#include "machine/tid.h"

#define CPUS "/sys/devices/system/cpu"

struct VhHold {
    VhSaved *saved;
    pid_t thread;
    bool assumed; /* the former mask: not to be read */
    bool found;   /* its mask was changed by a former daemon */
    struct vh_saved_slot *slot;
    int alive;               /* fd of /proc/TID/comm: readable as long as this very thread lives */
    struct vh_cpuset active; /* sched_getaffinity's answer when the former mask was noted */
    bool partial; /* the kernel has put back `part` only: it leaves out CPUs that are offline, for
                     good */
    struct vh_cpuset part;
};

/* The whole mask. sched_getaffinity leaves out what is offline now, and would make the loss
 * permanent. */
static int read_mask(pid_t thread, struct vh_cpuset *cpus)
{
    g_autofree char *text = g_malloc(16384);
    char *list = NULL;
    int result = vh_tid_read(thread, "status", text, 16384);

    if (result < 0)
        return result;
    list = strstr(text, "\nCpus_allowed_list:");
    if (!list)
        return -EBADMSG;
    list += strlen("\nCpus_allowed_list:");
    list[strcspn(list, "\n")] = 0;
    return vh_cpuset_parse(cpus, list, NULL) < 0 ? -ERANGE : 0;
}

static void hold_free(VhHold *hold)
{
    if (hold->alive >= 0)
        close(hold->alive);
    g_free(hold);
}

static void forget(VhHold *hold)
{
    vh_saved_free_slot(hold->saved, hold->slot);
    hold_free(hold);
}

static void leave(VhHold *hold)
{
    if (hold->slot->state == VH_SAVED_APPLIED)
        hold_free(hold);
    else
        forget(hold);
}

static bool read_cpus(const char *path, struct vh_cpuset *cpus)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) &&
           vh_cpuset_parse(cpus, g_strstrip(text), NULL) == 0;
}

/* Who has all that is online of its control group's CPUs would have the others, too, were they
 * online: the kernel leaves them out as long as they are not. */
static void add_offline(pid_t thread, struct vh_cpuset *former)
{
    struct vh_cpuset offline, online;
    struct vh_cpuset group;
    g_autofree char *path = NULL;

    if (!read_cpus(CPUS "/present", &offline) || !read_cpus(CPUS "/online", &online))
        return;
    vh_cpuset_sub(&offline, &online);
    if (!vh_cpuset_empty(&offline) &&
        vh_cgroup_cpus("/proc", "/sys/fs/cgroup", thread, &group, &path) &&
        vh_cpuset_equal(&group, former))
        vh_cpuset_or(former, &offline);
}

static int note_former(VhHold *hold)
{
    int result = 0;

    if (!vh_tid_cpus(hold->thread, &hold->active))
        return -errno;
    result = read_mask(hold->thread, &hold->slot->former);
    if (result == 0)
        add_offline(hold->thread, &hold->slot->former);
    return result;
}

static VhHold *probe(VhSaved *saved, const struct vh_target *target, GError **error)
{
    int alive = vh_tid_open(&target->on);
    int result = alive < 0 ? -errno : 0;
    struct vh_saved_slot *slot = result == 0 ? vh_saved_claim(saved, &target->on) : NULL;
    bool left = slot != NULL;
    VhHold *hold = NULL;

    if (!slot)
        slot = vh_saved_take(saved);
    if (!slot) {
        if (alive >= 0)
            close(alive);
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "more than %u threads under management",
                    VH_SAVED_MAX);
        return NULL;
    }
    hold = g_new0(VhHold, 1);
    hold->saved = saved;
    hold->thread = target->on.thread;
    hold->slot = slot;
    hold->alive = alive;
    hold->found = left;
    slot->kind = VH_SAVED_MASK;
    vh_saved_set_thread(slot, &target->on);
    vh_saved_set_key(slot, &target->key);
    if (result == 0 && !left)
        result = note_former(hold);
    if (result == 0)
        return hold;
    vh_tid_fail(error, -result, "probing it", target->on.thread);
    forget(hold);
    return NULL;
}

static void rename_hold(VhHold *hold, const struct vh_target_key *key)
{
    vh_saved_set_key(hold->slot, key);
}

/* Whatever it has now counts as what was applied: if it is something else, it is done again or put
 * back. */
static bool found(const VhHold *hold, union vh_setting *setting)
{
    return hold->found && vh_tid_cpus(hold->thread, &setting->cpus);
}

/* Does the thread still have what the kernel made of its former mask, and nobody else? */
static bool is_partial(const VhHold *hold)
{
    struct vh_cpuset now;

    return hold->partial && read_mask(hold->thread, &now) == 0 &&
           vh_cpuset_equal(&now, &hold->part);
}

/* Between probe and here somebody may have changed the mask. */
static int save_former(VhHold *hold)
{
    struct vh_cpuset now;

    if (!vh_tid_cpus(hold->thread, &now))
        return -errno;
    if (!hold->assumed && !is_partial(hold) && !vh_cpuset_equal(&now, &hold->active)) {
        int result = note_former(hold);

        if (result < 0)
            return result;
    }
    hold->partial = false;
    __atomic_store_n(&hold->slot->state, VH_SAVED_APPLIED, __ATOMIC_RELEASE);
    return 0;
}

static void assume(VhHold *hold, const struct vh_cpuset *cpus)
{
    if (hold->slot->state == VH_SAVED_APPLIED)
        return;
    hold->assumed = true;
    if (cpus)
        hold->slot->former = *cpus;
}

static int set_mask(pid_t thread, const struct vh_cpuset *cpus)
{
    return sched_setaffinity(thread, sizeof(*cpus), (const cpu_set_t *)(const void *)cpus) < 0
               ? -errno
               : 0;
}

static int put_back(VhHold *hold)
{
    const struct vh_cpuset *former = &hold->slot->former;
    struct vh_cpuset now;
    int result = set_mask(hold->thread, former);

    hold->partial = result == 0 && vh_tid_cpus(hold->thread, &now) &&
                    !vh_cpuset_equal(&now, former) && read_mask(hold->thread, &hold->part) == 0 &&
                    !vh_cpuset_equal(&hold->part, former);
    return result;
}

/* Has the thread's control group kept it from being allowed `cpus`, all of it that is online? The
 * kernel says EINVAL if nothing is left, and takes what is left if something is. Sets the error if
 * so. */
static bool is_barred(pid_t thread, const struct vh_cpuset *cpus, int result, GError **error)
{
    struct vh_cpuset now, barred = *cpus;
    struct vh_cpuset online;
    struct vh_cpuset group;
    g_autofree char *path = NULL;
    g_autofree char *wanted = NULL;
    g_autofree char *allowed = NULL;

    if (result == 0 && vh_tid_cpus(thread, &now) && vh_cpuset_equal(&now, cpus))
        return false;
    if ((result != 0 && result != -EINVAL) ||
        !vh_cgroup_cpus("/proc", "/sys/fs/cgroup", thread, &group, &path) ||
        !read_cpus(CPUS "/online", &online))
        return false;
    vh_cpuset_and(&barred, &online);
    vh_cpuset_sub(&barred, &group);
    if (vh_cpuset_empty(&barred))
        return false;
    wanted = vh_cpuset_format(&barred);
    allowed = vh_cpuset_format(&group);
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                "thread %d: its control group %s allows host CPUs %s only, not %s: widen its "
                "cpuset, or narrow the "
                "guest's pool",
                thread, path, allowed, wanted);
    return true;
}

/* The first change of it has failed. */
static void note_failure(VhHold *hold)
{
    hold->assumed = false;
    __atomic_store_n(&hold->slot->state, VH_SAVED_NOTED, __ATOMIC_RELEASE);
}

static int apply(VhHold *hold, const union vh_setting *setting, GError **error)
{
    bool first = hold->slot->state != VH_SAVED_APPLIED;
    int result = 0;

    if (!vh_tid_alive(hold->alive))
        return vh_tid_fail(error, ESRCH, "pinning it", hold->thread);
    if (first)
        result = save_former(hold);
    if (result == 0)
        result = set_mask(hold->thread, &setting->cpus);
    if (is_barred(hold->thread, &setting->cpus, result, error)) {
        if (first && result == 0)
            put_back(hold);
        if (first)
            note_failure(hold);
        return -1;
    }
    if (result == 0)
        return 0;
    if (first)
        note_failure(hold);
    return vh_tid_fail(error, -result, "pinning it", hold->thread);
}

static void adopt(VhHold *hold, const VhHold *maker)
{
    hold->slot->former = maker->slot->former;
    __atomic_store_n(&hold->slot->state, VH_SAVED_APPLIED, __ATOMIC_RELEASE);
}

static int revert(VhHold *hold, GError **error)
{
    int result = 0;

    if (hold->slot->state != VH_SAVED_APPLIED)
        return 0;
    hold->assumed = false;
    if (!vh_tid_alive(hold->alive))
        result = -ESRCH;
    else
        result = put_back(hold);
    __atomic_store_n(&hold->slot->state, VH_SAVED_NOTED, __ATOMIC_RELEASE);
    return result < 0 ? vh_tid_fail(error, -result, "putting its mask back", hold->thread) : 0;
}

static void complete(VhHold *hold)
{
    if (is_partial(hold))
        put_back(hold);
    else
        hold->partial = false;
}

static char *former(const VhHold *hold)
{
    return hold->slot->state == VH_SAVED_APPLIED ? vh_cpuset_format(&hold->slot->former)
                                                 : g_strdup("");
}

static int recover(VhSaved *saved, struct vh_saved_slot *slot, GError **error)
{
    const struct vh_thread_id id = vh_saved_thread(slot);
    pid_t thread = id.thread;
    int result = vh_tid_check("/proc", &id);

    if (result == 0)
        result = set_mask(thread, &slot->former);
    vh_saved_free_slot(saved, slot);
    return result < 0 ? vh_tid_fail(error, -result, "putting its mask back", thread) : 0;
}

static bool stands(const VhHold *hold, const union vh_setting *setting)
{
    struct vh_cpuset now;

    /* A thread that is gone needs nothing. */
    return !vh_tid_cpus(hold->thread, &now) || vh_cpuset_equal(&now, &setting->cpus);
}

static bool same(const union vh_setting *a, const union vh_setting *b)
{
    return vh_cpuset_equal(&a->cpus, &b->cpus);
}

static char *text(const union vh_setting *setting)
{
    return vh_cpuset_format(&setting->cpus);
}

const struct vh_actuator vh_actuator_pin = {
    .name = "pin",
    .saved = VH_SAVED_MASK,
    .stands = stands,
    .same = same,
    .text = text,
    .probe = probe,
    .rename = rename_hold,
    .found = found,
    .assume = assume,
    .apply = apply,
    .adopt = adopt,
    .revert = revert,
    .complete = complete,
    .former = former,
    .forget = forget,
    .leave = leave,
    .recover = recover,
};
