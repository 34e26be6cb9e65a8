/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/actuate.c, actuator-pin.c and saved.c, on a thread of the test's own. */
#include "actuate.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "stage.h"

struct fixture {
    struct stage stage;
    struct vh_cpuset floating;
    struct vh_cpuset first; /* one CPU of it */
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_begin(&f->stage);
    g_assert_true(vh_thread_cpus(f->stage.victim.tid, &f->floating));
    memset(&f->first, 0, sizeof(f->first));
    vh_cpuset_add(&f->first, (unsigned)vh_cpuset_next(&f->floating, 0));
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_end(&f->stage);
}

static void assert_cpus(pid_t thread, const struct vh_cpuset *expected)
{
    struct vh_cpuset cpus;
    g_autofree char *got = NULL;
    g_autofree char *want = vh_cpuset_format(expected);

    g_assert_true(vh_thread_cpus(thread, &cpus));
    got = vh_cpuset_format(&cpus);
    g_assert_cmpstr(got, ==, want);
}

static char *reason_of(unsigned guest, unsigned vcpu, gpointer data)
{
    (void)data;
    return g_strdup_printf("asked for by %u/%u", guest, vcpu);
}

/* One round with the victim alone. */
static guint round_with(struct fixture *f, VhActuate *actuate, const struct vh_cpuset *cpus, const char *why)
{
    struct vh_target target = {.guest = "guest", .vcpu = 2, .thread = f->stage.victim.tid};
    union vh_setting setting;

    if (cpus)
        setting.cpus = *cpus;
    vh_actuate_begin(actuate, reason_of, NULL);
    vh_actuate_want(actuate, &target, 0, 2, cpus ? &setting : NULL);
    return vh_actuate_end(actuate, why, NULL);
}

static void test_pin_and_float(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    g_autofree char *former = NULL;
    g_autofree char *floating = vh_cpuset_format(&f->floating);
    const char *problem = NULL;

    round_with(f, actuate, NULL, "start");
    assert_cpus(f->stage.victim.tid, &f->floating);
    g_assert_null(vh_actuate_setting(actuate, f->stage.victim.tid));
    g_assert_cmpuint(round_with(f, actuate, &f->first, "hint"), ==, 0);
    assert_cpus(f->stage.victim.tid, &f->first);
    g_assert_true(vh_cpuset_equal(&vh_actuate_setting(actuate, f->stage.victim.tid)->cpus, &f->first));
    vh_actuate_describe(actuate, f->stage.victim.tid, &former, &problem);
    g_assert_cmpstr(former, ==, floating);
    g_assert_cmpstr(problem, ==, "");
    g_assert_cmpuint(round_with(f, actuate, NULL, "exit"), ==, 1);
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_free(actuate, "end");
}

static void test_stop_restores(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);

    round_with(f, actuate, &f->first, "hint");
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuate_free(actuate, "vhintd stops");
    assert_cpus(f->stage.victim.tid, &f->floating);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
}

static void test_left_out_is_restored(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);

    round_with(f, actuate, &f->first, "hint");
    vh_actuate_begin(actuate, reason_of, NULL);
    g_assert_cmpuint(vh_actuate_end(actuate, "the guest is gone", NULL), ==, 1);
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_free(actuate, "end");
}

/* While its maker still sets masks: what that changes is done again, and what goes back is what it is known to
 * set. */
static void test_young_thread(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target target = {.guest = "guest", .vcpu = VH_TARGET_EMULATOR, .thread = f->stage.victim.tid};
    union vh_setting setting = {.cpus = f->first};
    struct vh_cpuset usual = f->floating;
    struct vh_cpuset inherited;

    vh_cpuset_sub(&usual, &f->first);
    if (vh_cpuset_empty(&usual)) {
        g_test_skip("this host has one CPU");
        vh_actuate_free(actuate, "end");
        return;
    }
    for (int i = 0; i < 2; i++) {
        vh_actuate_begin(actuate, reason_of, NULL);
        vh_actuate_want(actuate, &target, 0, 2, &setting);
        vh_actuate_assume(actuate, f->stage.victim.tid, &usual);
        vh_actuate_end(actuate, "QEMU comes up", NULL);
        assert_cpus(f->stage.victim.tid, &f->first);
        g_assert_false(vh_actuate_check(actuate, "guest"));
        g_assert_cmpint(
            sched_setaffinity(f->stage.victim.tid, sizeof(usual), (const cpu_set_t *)(const void *)&usual), ==, 0);
        g_assert_false(vh_actuate_check(actuate, "another guest"));
        g_assert_true(vh_actuate_check(actuate, "guest"));
        target.vcpu = 2; /* it has its name by now */
    }
    g_assert_true(vh_thread_cpus(f->stage.victim.tid, &inherited));
    g_assert_true(vh_cpuset_equal(&inherited, &usual));
    round_with(f, actuate, &f->first, "again");
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, &usual);
}

/* Its maker carries out late what it was told of a pin that is over: that is no mask of the thread's own. */
static void test_late_echo(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target target = {.guest = "guest", .vcpu = 2, .thread = f->stage.victim.tid};
    union vh_setting setting = {.cpus = f->first};

    round_with(f, actuate, &f->first, "hint");
    round_with(f, actuate, NULL, "exit");
    g_assert_cmpint(sched_setaffinity(target.thread, sizeof(f->first), (const cpu_set_t *)(const void *)&f->first),
                    ==, 0);
    vh_actuate_begin(actuate, reason_of, NULL);
    vh_actuate_want(actuate, &target, 0, 2, &setting);
    vh_actuate_assume(actuate, target.thread, NULL);
    vh_actuate_end(actuate, "hint", NULL);
    round_with(f, actuate, NULL, "exit");
    assert_cpus(target.thread, &f->floating);
    /* Once the maker has nothing to do any more it is somebody's word again. */
    g_assert_cmpint(sched_setaffinity(target.thread, sizeof(f->first), (const cpu_set_t *)(const void *)&f->first),
                    ==, 0);
    round_with(f, actuate, &f->first, "hint");
    round_with(f, actuate, NULL, "exit");
    assert_cpus(target.thread, &f->first);
    vh_actuate_free(actuate, "end");
}

/* A daemon that pinned the victim and died. */
static void crash(struct fixture *f)
{
    pid_t child = 0;
    int status = 0;

    vh_saved_close(f->stage.saved);
    child = fork();
    if (child == 0) {
        VhSaved *saved = vh_saved_open(f->stage.path, NULL);
        struct vh_target target = {.guest = "guest", .vcpu = 2, .thread = f->stage.victim.tid};
        union vh_setting first = {.cpus = f->first};
        VhHold *hold = saved ? vh_actuator_pin.probe(saved, &target, NULL) : NULL;

        _exit(hold && vh_actuator_pin.apply(hold, &first, NULL) == 0 ? 0 : 1);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    assert_cpus(f->stage.victim.tid, &f->first);
    f->stage.saved = vh_saved_open(f->stage.path, NULL);
    g_assert_nonnull(f->stage.saved);
    g_assert_nonnull(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
}

/* It leaves its file; the next one puts the mask back. */
static void test_crash(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;

    crash(f);
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    assert_cpus(f->stage.victim.tid, &f->floating);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
    vh_actuate_free(actuate, "end");
}

/* The next one takes the mask over: first it is in force as it was, then it can be put back. */
static void test_adopted(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_target target = {.guest = "guest", .vcpu = 2, .thread = f->stage.victim.tid};
    VhActuate *actuate = NULL;

    crash(f);
    actuate = vh_actuate_new_adopting(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    assert_cpus(f->stage.victim.tid, &f->first);
    g_assert_null(vh_actuate_setting(actuate, f->stage.victim.tid));
    vh_actuate_take_over(actuate, &target);
    g_assert_true(vh_cpuset_equal(&vh_actuate_setting(actuate, f->stage.victim.tid)->cpus, &f->first));
    round_with(f, actuate, &f->first, "wanted still");
    vh_actuate_adopted(actuate);
    assert_cpus(f->stage.victim.tid, &f->first);
    /* Once more, by a daemon that ends. */
    vh_actuate_leave(actuate);
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_saved_close(f->stage.saved);
    f->stage.saved = vh_saved_open(f->stage.path, NULL);
    actuate = vh_actuate_new_adopting(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    vh_actuate_take_over(actuate, &target);
    g_assert_cmpuint(round_with(f, actuate, NULL, "not wanted any longer"), ==, 1);
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_free(actuate, "end");
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
}

/* Whom nobody takes over is put back; whom somebody else has placed is forgotten. */
static void not_adopted(struct fixture *f, bool theirs, bool alone)
{
    struct vh_saved_slot *slot = NULL;
    VhActuate *actuate = NULL;

    crash(f);
    if (alone)
        slot = vh_saved_next_left(f->stage.saved, NULL);
    actuate = vh_actuate_new_adopting(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    if (theirs) {
        vh_actuate_yield(actuate, f->stage.victim.tid);
        round_with(f, actuate, NULL, "start");
    }
    if (slot) {
        g_assert_true(vh_actuate_is_left(actuate, f->stage.victim.tid) == !theirs);
        g_assert_true(vh_actuate_put_back(actuate, slot) == !theirs);
        g_assert_false(vh_actuate_is_left(actuate, f->stage.victim.tid));
        g_assert_false(vh_actuate_put_back(actuate, slot));
    }
    vh_actuate_adopted(actuate);
    assert_cpus(f->stage.victim.tid, theirs ? &f->first : &f->floating);
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, theirs ? &f->first : &f->floating);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
}

static void test_not_adopted(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    not_adopted(f, false, false);
}

static void test_not_adopted_but_theirs(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    not_adopted(f, true, false);
}

/* Of one guest, while others are waited for. */
static void test_not_adopted_alone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    not_adopted(f, false, true);
}

static void test_not_adopted_alone_but_theirs(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    not_adopted(f, true, true);
}

/* What a changed thread makes after the daemon's death, which is nowhere saved; a mask of its own is nobody's. */
static void test_crash_and_orphans(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_target target = {.guest = "guest", .vcpu = VH_TARGET_EMULATOR, .thread = f->stage.victim.tid};
    VhHold *hold = vh_actuator_pin.probe(f->stage.saved, &target, NULL);
    union vh_setting first = {.cpus = f->first};
    struct vh_cpuset others = f->floating;
    struct victim threads[2] = {0};
    VhActuate *actuate = NULL;

    vh_cpuset_sub(&others, &f->first);
    if (vh_cpuset_empty(&others)) {
        g_test_skip("this host has one CPU");
        vh_actuator_pin.forget(hold);
        return;
    }
    g_assert_cmpint(vh_actuator_pin.apply(hold, &first, NULL), ==, 0);
    for (int i = 0; i < 2; i++) {
        const struct vh_cpuset *cpus = i ? &others : &f->first;

        victim_start(&threads[i]);
        g_assert_cmpint(sched_setaffinity(threads[i].tid, sizeof(*cpus), (const cpu_set_t *)(const void *)cpus),
                        ==, 0);
    }
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal,
                             &vh_actuator_pin); /* as the next daemon: the slot is still there */
    assert_cpus(f->stage.victim.tid, &f->floating);
    assert_cpus(threads[0].tid, &f->floating);
    assert_cpus(threads[1].tid, &others);
    vh_actuate_free(actuate, "end");
    vh_actuator_pin.forget(hold);
    for (int i = 0; i < 2; i++)
        victim_end(&threads[i]);
}

/* The number belongs to another thread by now: it is left alone. */
static void test_crash_and_reuse(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_target target = {.guest = "guest", .vcpu = 2, .thread = f->stage.victim.tid};
    VhHold *hold = vh_actuator_pin.probe(f->stage.saved, &target, NULL);
    union vh_setting first = {.cpus = f->first};
    struct vh_saved_slot *slot = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(vh_actuator_pin.apply(hold, &first, NULL), ==, 0);
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL);
    g_assert_nonnull(slot);
    slot->start--;
    g_assert_cmpint(vh_actuator_pin.recover(f->stage.saved, slot, &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_NOT_CONNECTED);
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuator_pin.forget(hold);
}

static void test_thread_gone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    g_autofree char *former = NULL;
    const char *problem = NULL;

    round_with(f, actuate, NULL, "start");
    victim_end(&f->stage.victim);
    round_with(f, actuate, &f->first, "hint");
    vh_actuate_describe(actuate, f->stage.victim.tid, &former, &problem);
    g_assert_nonnull(strstr(problem, "the thread is gone"));
    g_assert_null(vh_actuate_setting(actuate, f->stage.victim.tid));
    vh_actuate_free(actuate, "end");
}

/* A thread that appears with just what its maker was changed to goes back to what its maker had. */
static void test_inherited(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target maker = {.guest = "guest", .vcpu = VH_TARGET_EMULATOR, .thread = f->stage.victim.tid};
    struct vh_target made = {.guest = "guest", .vcpu = VH_TARGET_EMULATOR, .thread = 0};
    struct vh_target other = {.guest = "other", .vcpu = VH_TARGET_EMULATOR, .thread = 0};
    struct victim threads[2] = {0};
    union vh_setting first = {.cpus = f->first};

    for (int i = 0; i < 2; i++) {
        victim_start(&threads[i]);
        g_assert_cmpint(sched_setaffinity(threads[i].tid, sizeof(f->first), (const cpu_set_t *)(void *)&f->first),
                        ==, 0);
    }
    made.thread = threads[0].tid;
    other.thread = threads[1].tid;
    vh_actuate_begin(actuate, reason_of, NULL);
    vh_actuate_want(actuate, &maker, 0, 2, &first);
    vh_actuate_end(actuate, "policy", NULL);
    vh_actuate_begin(actuate, reason_of, NULL);
    vh_actuate_want(actuate, &maker, 0, 2, &first);
    vh_actuate_want(actuate, &made, 0, 2, &first);
    vh_actuate_want(actuate, &other, 1, 2, &first);
    vh_actuate_end(actuate, "policy", NULL);
    g_assert_nonnull(vh_actuate_setting(actuate, made.thread));
    vh_actuate_free(actuate, "end");
    assert_cpus(maker.thread, &f->floating);
    assert_cpus(made.thread, &f->floating);
    assert_cpus(other.thread, &f->first);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
    for (int i = 0; i < 2; i++)
        victim_end(&threads[i]);
}

/* Of a thread that is no vCPU's nobody is told that it has ended. */
static void test_helper_gone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target target = {.guest = "guest", .vcpu = VH_TARGET_IOTHREAD, .thread = f->stage.victim.tid};
    union vh_setting first = {.cpus = f->first};
    union vh_setting floating = {.cpus = f->floating};
    g_autofree char *former = NULL;
    const char *problem = NULL;

    vh_actuate_begin(actuate, reason_of, NULL);
    vh_actuate_want(actuate, &target, 0, 2, &first);
    vh_actuate_end(actuate, "policy", NULL);
    victim_end(&f->stage.victim);
    vh_actuate_begin(actuate, reason_of, NULL);
    vh_actuate_want(actuate, &target, 0, 2, &floating);
    vh_actuate_end(actuate, "policy", NULL);
    vh_actuate_describe(actuate, target.thread, &former, &problem);
    g_assert_cmpstr(problem, ==, "");
    g_assert_null(vh_actuate_setting(actuate, target.thread));
    vh_actuate_begin(actuate, reason_of, NULL);
    g_assert_cmpuint(vh_actuate_end(actuate, "the guest is gone", NULL), ==, 0);
    vh_actuate_free(actuate, "end");
}

static void test_host_cpu_offline(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    union vh_setting absent = {0};
    struct vh_target target = {.guest = "guest", .vcpu = 2, .thread = f->stage.victim.tid};
    bool retry = false;

    vh_cpuset_add(&absent.cpus, VH_HOST_CPUS_MAX - 1);
    vh_actuate_begin(actuate, reason_of, NULL);
    vh_actuate_want(actuate, &target, 0, 2, &absent);
    vh_actuate_end(actuate, "hint", &retry);
    g_assert_true(retry);
    assert_cpus(f->stage.victim.tid, &f->floating);
    /* Not tried again before something has changed, then it is. */
    retry = false;
    vh_actuate_begin(actuate, reason_of, NULL);
    vh_actuate_want(actuate, &target, 0, 2, &absent);
    vh_actuate_end(actuate, "hint", &retry);
    g_assert_false(retry);
    vh_actuate_forgive(actuate);
    round_with(f, actuate, &f->first, "online again");
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuate_free(actuate, "end");
}

/* The kernel widened the mask behind our back, as it does when a CPU goes offline. */
static void test_drift(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;

    if (vh_cpuset_count(&f->floating) < 2) {
        g_test_skip("one CPU: pinned and floating look alike");
        return;
    }
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    round_with(f, actuate, &f->first, "hint");
    g_assert_cmpint(sched_setaffinity(f->stage.victim.tid, sizeof(f->floating), (void *)&f->floating), ==, 0);
    vh_actuate_forgive(actuate);
    round_with(f, actuate, &f->first, "the host's CPUs have changed");
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, &f->floating);
}

/* The mask that is put back is the one from just before the pin, not from when the vCPU was first seen. */
static void test_changed_in_between(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_cpuset last = {{0}};

    vh_cpuset_add(&last, (unsigned)vh_cpuset_next(&f->floating, 0));
    if (vh_cpuset_count(&f->floating) > 1) {
        last = f->floating;
        vh_cpuset_sub(&last, &f->first);
    }
    round_with(f, actuate, NULL, "start");
    g_assert_cmpint(sched_setaffinity(f->stage.victim.tid, sizeof(last), (void *)&last), ==, 0);
    round_with(f, actuate, &f->first, "hint");
    assert_cpus(f->stage.victim.tid, &f->first);
    round_with(f, actuate, NULL, "exit");
    assert_cpus(f->stage.victim.tid, &last);
    vh_actuate_free(actuate, "end");
}

static void test_file_is_locked(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_saved_open(f->stage.path, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_BUSY);
}

static void test_file_is_damaged(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    vh_saved_close(f->stage.saved);
    g_assert_true(g_file_set_contents(f->stage.path, "something else", -1, NULL));
    f->stage.saved = vh_saved_open(f->stage.path, &error);
    g_assert_null(f->stage.saved);
    g_assert_error(error, VH_ERROR, VH_ERROR_FAILED);
}

/* Of a version whose file had room for fewer: what is in it counts, and there is room for more now. */
static void test_file_of_a_former_version(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const guint32 count = VH_SAVED_MAX_FORMER;
    VhActuate *actuate = NULL;
    int fd = -1;

    crash(f);
    vh_saved_close(f->stage.saved);
    fd = open(f->stage.path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, &count, sizeof(count), 12), ==, sizeof(count));
    g_assert_cmpint(ftruncate(fd, (off_t)(64 + count * sizeof(struct vh_saved_slot))), ==, 0);
    close(fd);
    f->stage.saved = vh_saved_open(f->stage.path, NULL);
    g_assert_nonnull(f->stage.saved);
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_free(actuate, "end");
    for (guint i = 0; i <= count; i++)
        g_assert_nonnull(vh_saved_take(f->stage.saved));
}

static void test_slots_run_out(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_saved_slot *slot = NULL;

    for (guint i = 0; i < VH_SAVED_MAX; i++) {
        slot = vh_saved_take(f->stage.saved);
        g_assert_nonnull(slot);
    }
    g_assert_null(vh_saved_take(f->stage.saved));
    vh_saved_free_slot(f->stage.saved, slot);
    g_assert_true(vh_saved_take(f->stage.saved) == slot);
}

#define ADD(name, func) g_test_add("/actuate/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("pin-and-float", test_pin_and_float);
    ADD("stop-restores", test_stop_restores);
    ADD("left-out-is-restored", test_left_out_is_restored);
    ADD("young-thread", test_young_thread);
    ADD("late-echo", test_late_echo);
    ADD("crash", test_crash);
    ADD("adopted", test_adopted);
    ADD("not-adopted", test_not_adopted);
    ADD("not-adopted-but-theirs", test_not_adopted_but_theirs);
    ADD("not-adopted-alone", test_not_adopted_alone);
    ADD("not-adopted-alone-but-theirs", test_not_adopted_alone_but_theirs);
    ADD("crash-and-orphans", test_crash_and_orphans);
    ADD("crash-and-reuse", test_crash_and_reuse);
    ADD("thread-gone", test_thread_gone);
    ADD("inherited", test_inherited);
    ADD("helper-gone", test_helper_gone);
    ADD("host-cpu-offline", test_host_cpu_offline);
    ADD("drift", test_drift);
    ADD("changed-in-between", test_changed_in_between);
    ADD("file-is-locked", test_file_is_locked);
    ADD("file-is-damaged", test_file_is_damaged);
    ADD("file-of-a-former-version", test_file_of_a_former_version);
    ADD("slots-run-out", test_slots_run_out);
    return g_test_run();
}
