// SPDX-License-Identifier: GPL-2.0-or-later
// Favours a vCPU's host thread: by nice(2), SCHED_RR, its cgroup's weight or util clamping.
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act/actuator.h"
#include "act/bell.h"
#include "base/error.h"
#include "decide/boost.h"
#include "machine/tid.h"
#include "machine/weight.h"

#define PROC "/proc"

struct VhHold {
    VhSaved *saved;
    pid_t thread;
    struct vh_saved_slot *slot;
    int alive;     /* vh_tid_open */
    char *cgroups; /* that it is in, when its weight was noted */
};

/* sched_setattr(2)'s struct; the kernel's header for it cannot be had together with libc's
 * <sched.h>. */
struct attributes {
    uint32_t size;
    uint32_t sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t deadline[3];
    uint32_t sched_util_min;
    uint32_t sched_util_max;
};
G_STATIC_ASSERT(sizeof(struct attributes) == 56);

/* ---- the four kinds: note, set, put back ---- */

static int get_attr(pid_t thread, struct attributes *attr)
{
    return syscall(SYS_sched_getattr, thread, attr, sizeof(*attr), 0) < 0 ? -errno : 0;
}

static int set_attr(pid_t thread, struct attributes *attr)
{
    attr->size = sizeof(*attr);
    return syscall(SYS_sched_setattr, thread, attr, 0) < 0 ? -errno : 0;
}

/* What nice, rr and uclamp change is told by one call. */
static int note_attr(pid_t thread, struct vh_saved_boost *boost)
{
    struct attributes attr = {0};
    int result = get_attr(thread, &attr);

    if (result < 0)
        return result;
    boost->nice = attr.sched_nice;
    boost->policy = (int32_t)attr.sched_policy;
    if (attr.sched_flags & SCHED_FLAG_RESET_ON_FORK)
        boost->policy |= SCHED_RESET_ON_FORK;
    boost->priority = (int32_t)attr.sched_priority;
    boost->util_min = attr.sched_util_min;
    return 0;
}

static int set_nice(pid_t thread, int nice)
{
    return setpriority(PRIO_PROCESS, (id_t)thread, nice) < 0 ? -errno : 0;
}

static int set_policy(pid_t thread, int policy, int priority)
{
    struct sched_param param = {.sched_priority = priority};

    return sched_setscheduler(thread, policy, &param) < 0 ? -errno : 0;
}

static int set_clamp(pid_t thread, uint32_t util_min)
{
    struct attributes attr = {.sched_flags = SCHED_FLAG_KEEP_ALL | SCHED_FLAG_UTIL_CLAMP_MIN,
                              .sched_util_min = util_min};

    return set_attr(thread, &attr);
}

/* Threads that it makes from now on inherit no boost: the kernel gives them nice 0, and no clamp.
 * It is sched_setscheduler(2) that keeps all else about a fair thread, its slice too. */
static int keep_from_children(pid_t thread, const struct vh_saved_boost *boost)
{
    return set_policy(thread, boost->policy | SCHED_RESET_ON_FORK, boost->priority);
}

/* Somebody who has given it another policy since means it. */
static int let_children_have(pid_t thread, const struct vh_saved_boost *boost)
{
    struct attributes attr = {0};
    int result = get_attr(thread, &attr);

    if (result < 0 || (int)attr.sched_policy != (boost->policy & ~SCHED_RESET_ON_FORK))
        return result;
    return set_policy(thread, boost->policy, boost->priority);
}

static int set_boost(pid_t thread, const struct vh_saved_boost *boost)
{
    int result = 0;

    if (boost->kind == VH_BOOST_NICE || boost->kind == VH_BOOST_UCLAMP)
        result = keep_from_children(thread, boost);
    if (result < 0)
        return result;
    switch ((enum vh_boost_kind)boost->kind) {
    case VH_BOOST_NICE:
        return set_nice(thread, VH_BOOST_NICE_VALUE);
    case VH_BOOST_RR:
        return set_policy(thread, SCHED_RR | SCHED_RESET_ON_FORK, 1);
    case VH_BOOST_WEIGHT:
        return vh_weight_write(boost->weight_file, boost->weight_ours);
    case VH_BOOST_UCLAMP:
        return set_clamp(thread, VH_BOOST_CLAMP_MAX);
    default:
        return -EINVAL;
    }
}

/* Somebody who has set another weight since means it. */
static int restore_weight(const struct vh_saved_boost *boost)
{
    uint64_t now = 0;
    int result = vh_weight_read(boost->weight_file, &now);

    if (result == -ENOENT || result == -ENODEV) /* the cgroup is gone, and its weight with it */
        return 0;
    if (result < 0 || now != boost->weight_ours)
        return result;
    return vh_weight_write(boost->weight_file, boost->weight);
}

static int restore(pid_t thread, const struct vh_saved_boost *boost)
{
    int result = -EINVAL;

    switch ((enum vh_boost_kind)boost->kind) {
    case VH_BOOST_NICE:
        result = set_nice(thread, boost->nice);
        return result < 0 ? result : let_children_have(thread, boost);
    case VH_BOOST_RR:
        result = set_policy(thread, boost->policy, boost->priority);
        return result < 0 ? result : set_nice(thread, boost->nice);
    case VH_BOOST_WEIGHT: /* which new threads share, as long as it lasts */
        return restore_weight(boost);
    case VH_BOOST_UCLAMP:
        result = set_clamp(thread, boost->util_min);
        return result < 0 ? result : let_children_have(thread, boost);
    default:
        return result;
    }
}

/* ---- what is refused ---- */

static int refuse(GError **error, pid_t thread, const char *why)
{
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "thread %d: %s", thread, why);
    return -1;
}

/* Real-time threads under our boost, this one not counted. */
static unsigned count_rr(VhSaved *saved)
{
    const struct vh_saved_slot *slot = NULL;
    unsigned count = 0;

    while ((slot = vh_saved_next(saved, VH_SAVED_BOOST, slot)))
        count += slot->boost.kind == VH_BOOST_RR;
    return count;
}

static int check_rr(const VhHold *hold, GError **error)
{
    g_autofree char *runtime = NULL;
    cpu_set_t own;
    const char *why = NULL;

    g_file_get_contents(PROC "/sys/kernel/sched_rt_runtime_us", &runtime, NULL, NULL);
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof(own), &own) < 0)
        CPU_ZERO(&own);
    why = vh_boost_refuse_rr(runtime, count_rr(hold->saved), (unsigned)CPU_COUNT(&own),
                             vh_bell_is_warded(hold->saved));
    return why ? refuse(error, hold->thread, why) : 0;
}

/* g_free() it; NULL: the thread is gone. */
static char *read_cgroups(pid_t thread)
{
    g_autofree char *path = g_strdup_printf(PROC "/%d/cgroup", thread);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static int check_weight(VhHold *hold, struct vh_saved_boost *boost, GError **error)
{
    struct vh_weight_file file = {0};
    g_autofree char *path = NULL;
    int result = 0;

    g_free(hold->cgroups);
    hold->cgroups = read_cgroups(hold->thread);
    if (vh_weight_find(PROC, hold->thread, &file, error) < 0)
        return -1;
    path = file.path;
    if (g_strlcpy(boost->weight_file, path, sizeof(boost->weight_file)) >=
        sizeof(boost->weight_file))
        return refuse(error, hold->thread, "the name of its cgroup is too long: boost by nice");
    result = vh_weight_read(path, &boost->weight);
    if (result < 0)
        return vh_tid_fail(error, -result, "reading its cgroup's weight", hold->thread);
    boost->weight_ours = MIN(boost->weight * VH_BOOST_WEIGHT_FACTOR, file.most);
    return 0;
}

/* Notes the former state of what `kind` changes; nothing has been changed yet. */
static int note(VhHold *hold, enum vh_boost_kind kind, struct vh_saved_boost *boost, GError **error)
{
    int result = note_attr(hold->thread, boost);
    int policy = boost->policy & ~SCHED_RESET_ON_FORK;

    boost->kind = kind;
    if (result < 0)
        return vh_tid_fail(error, -result, "probing it", hold->thread);
    if (policy != SCHED_OTHER && policy != SCHED_BATCH)
        return refuse(error, hold->thread,
                      "somebody has given it a scheduling policy of its own: it is left alone");
    if (kind == VH_BOOST_NICE && boost->nice <= VH_BOOST_NICE_VALUE)
        return refuse(error, hold->thread,
                      "somebody has given it a higher priority by nice already");
    if (kind == VH_BOOST_RR)
        return check_rr(hold, error);
    return kind == VH_BOOST_WEIGHT ? check_weight(hold, boost, error) : 0;
}

/* ---- the vtable ---- */

static void forget(VhHold *hold)
{
    vh_saved_free_slot(hold->saved, hold->slot);
    if (hold->alive >= 0)
        close(hold->alive);
    g_free(hold->cgroups);
    g_free(hold);
}

static VhHold *probe(VhSaved *saved, const struct vh_target *target, GError **error)
{
    struct vh_saved_slot *slot = vh_saved_take(saved);
    VhHold *hold = NULL;
    int number = 0;

    if (!slot) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "more than %u actions at a time",
                    VH_SAVED_MAX);
        return NULL;
    }
    hold = g_new0(VhHold, 1);
    hold->saved = saved;
    hold->thread = target->on.thread;
    hold->slot = slot;
    hold->alive = vh_tid_open(&target->on);
    number = errno;
    slot->kind = VH_SAVED_BOOST;
    vh_saved_set_thread(slot, &target->on);
    vh_saved_set_key(slot, &target->key);
    if (hold->alive >= 0)
        return hold;
    vh_tid_fail(error, number, "probing it", target->on.thread);
    forget(hold);
    return NULL;
}

static void rename_hold(VhHold *hold, const struct vh_target_key *key)
{
    vh_saved_set_key(hold->slot, key);
}

static int revert(VhHold *hold, GError **error)
{
    int result = 0;

    if (hold->slot->state != VH_SAVED_APPLIED)
        return 0;
    /* From here on the warden keeps off it. */
    __atomic_fetch_or(&hold->slot->boost.flags, VH_SAVED_ENDING, __ATOMIC_SEQ_CST);
    /* A cgroup outlives its threads. */
    if (!vh_tid_alive(hold->alive) && hold->slot->boost.kind != VH_BOOST_WEIGHT)
        result = -ESRCH;
    else
        result = restore(hold->thread, &hold->slot->boost);
    __atomic_store_n(&hold->slot->state, VH_SAVED_NOTED, __ATOMIC_RELEASE);
    return result < 0 ? vh_tid_fail(error, -result, "putting its priority back", hold->thread) : 0;
}

static int apply(VhHold *hold, const union vh_setting *setting, GError **error)
{
    struct vh_saved_boost boost = {0};
    int result = 0;

    /* From one kind to another goes by way of none. */
    if (revert(hold, error) < 0)
        return -1;
    if (!vh_tid_alive(hold->alive))
        return vh_tid_fail(error, ESRCH, "boosting it", hold->thread);
    if (note(hold, setting->boost, &boost, error) < 0)
        return -1;
    hold->slot->boost = boost;
    __atomic_store_n(&hold->slot->state, VH_SAVED_APPLIED, __ATOMIC_RELEASE);
    result = set_boost(hold->thread, &boost);
    if (result == 0) {
        vh_bell_ring(hold->saved);
        return 0;
    }
    /* Half of it may be in force. */
    if (boost.kind == VH_BOOST_NICE || boost.kind == VH_BOOST_UCLAMP)
        let_children_have(hold->thread, &boost);
    __atomic_store_n(&hold->slot->state, VH_SAVED_NOTED, __ATOMIC_RELEASE);
    if (result == -EOPNOTSUPP && boost.kind == VH_BOOST_UCLAMP)
        return refuse(error, hold->thread,
                      "the host's kernel has no util clamping (CONFIG_UCLAMP_TASK)");
    return vh_tid_fail(error, -result, "boosting it", hold->thread);
}

static char *former(const VhHold *hold)
{
    const struct vh_saved_boost *boost = &hold->slot->boost;

    if (hold->slot->state != VH_SAVED_APPLIED)
        return g_strdup("");
    if (boost->kind == VH_BOOST_WEIGHT)
        return g_strdup_printf("weight %" G_GUINT64_FORMAT, boost->weight);
    if (boost->kind == VH_BOOST_UCLAMP)
        return g_strdup_printf("util at least %u", boost->util_min);
    return g_strdup_printf("nice %d", boost->nice);
}

static bool stands(const VhHold *hold, const union vh_setting *setting)
{
    const struct vh_saved_boost *boost = &hold->slot->boost;
    struct attributes attr = {0};
    struct vh_weight_file file = {0};
    g_autofree char *path = NULL;
    uint64_t weight = 0;

    if (setting->boost == VH_BOOST_WEIGHT) {
        if (vh_weight_find(PROC, hold->thread, &file, NULL) < 0)
            return false;
        path = file.path;
        return g_str_equal(path, boost->weight_file) && vh_weight_read(path, &weight) == 0 &&
               weight == boost->weight_ours;
    }
    if (get_attr(hold->thread, &attr) < 0)
        return false;
    if (setting->boost == VH_BOOST_RR)
        return attr.sched_policy == SCHED_RR ||
               __atomic_load_n(&boost->flags, __ATOMIC_ACQUIRE) & VH_SAVED_PAUSED;
    return setting->boost == VH_BOOST_NICE ? attr.sched_nice == VH_BOOST_NICE_VALUE
                                           : attr.sched_util_min == VH_BOOST_CLAMP_MAX;
}

/* Its weight stays with the control group. */
static bool left(const VhHold *hold)
{
    g_autofree char *cgroups = NULL;

    if (hold->slot->boost.kind != VH_BOOST_WEIGHT)
        return false;
    cgroups = read_cgroups(hold->thread);
    return g_strcmp0(cgroups, hold->cgroups) != 0;
}

static bool same(const union vh_setting *a, const union vh_setting *b)
{
    return a->boost == b->boost;
}

static char *text(const union vh_setting *setting)
{
    return g_strdup(vh_boost_names[setting->boost]);
}

static int recover(VhSaved *saved, struct vh_saved_slot *slot, GError **error)
{
    struct vh_saved_boost boost = slot->boost;
    pid_t thread = slot->thread;
    const struct vh_thread_id id = vh_saved_thread(slot);
    int result = boost.kind == VH_BOOST_WEIGHT ? 0 : vh_tid_check("/proc", &id);

    if (result == 0)
        result = restore(thread, &boost);
    vh_saved_free_slot(saved, slot);
    return result < 0 ? vh_tid_fail(error, -result, "putting its priority back", thread) : 0;
}

const struct vh_actuator vh_actuator_boost = {
    .name = "boost",
    .saved = VH_SAVED_BOOST,
    .probe = probe,
    .rename = rename_hold,
    .apply = apply,
    .revert = revert,
    .former = former,
    .stands = stands,
    .left = left,
    .same = same,
    .text = text,
    .forget = forget,
    .recover = recover,
};
