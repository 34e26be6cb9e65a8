/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/act/recover.c: what becomes of pins whose daemon has died or left them. */
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "lib/pinning.h"

/* A daemon that pinned the victim and died. */
static void crash(struct pinning *f)
{
    pid_t child = 0;
    int status = 0;

    vh_saved_close(f->stage.saved);
    child = fork();
    if (child == 0) {
        VhSaved *saved = vh_saved_open(f->stage.path, NULL);
        struct vh_target target = target_vcpu("guest", 2, f->stage.victim.tid);
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
static void test_crash(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;

    crash(f);
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    assert_cpus(f->stage.victim.tid, &f->floating);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
    vh_actuate_free(actuate, "end");
}

/* The next one takes the mask over: first it is in force as it was, then it can be put back. */
static void test_adopted(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_target target = target_vcpu("guest", 2, f->stage.victim.tid);
    VhActuate *actuate = NULL;

    crash(f);
    actuate = vh_actuate_new_adopting(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    assert_cpus(f->stage.victim.tid, &f->first);
    g_assert_null(vh_actuate_setting(actuate, &f->target.key));
    vh_actuate_take_over(actuate, &target);
    g_assert_true(vh_cpuset_equal(&vh_actuate_setting(actuate, &f->target.key)->cpus, &f->first));
    pinning_round(f, actuate, &f->first, "wanted still");
    vh_actuate_adopted(actuate);
    assert_cpus(f->stage.victim.tid, &f->first);
    /* Once more, by a daemon that ends. */
    vh_actuate_leave(actuate);
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_saved_close(f->stage.saved);
    f->stage.saved = vh_saved_open(f->stage.path, NULL);
    actuate = vh_actuate_new_adopting(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    vh_actuate_take_over(actuate, &target);
    g_assert_cmpuint(pinning_round(f, actuate, NULL, "not wanted any longer"), ==, 1);
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_free(actuate, "end");
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
}

/* Whom nobody takes over is put back; whom somebody else has placed is forgotten. */
static void not_adopted(struct pinning *f, bool theirs, bool alone)
{
    struct vh_saved_slot *slot = NULL;
    VhActuate *actuate = NULL;

    crash(f);
    if (alone)
        slot = vh_saved_next_left(f->stage.saved, NULL);
    actuate = vh_actuate_new_adopting(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    if (theirs) {
        vh_actuate_yield(actuate, &f->target);
        pinning_round(f, actuate, NULL, "start");
    }
    if (slot) {
        g_assert_true(vh_actuate_is_left(actuate, &f->target) == !theirs);
        g_assert_true(vh_actuate_put_back(actuate, slot) == !theirs);
        g_assert_false(vh_actuate_is_left(actuate, &f->target));
        g_assert_false(vh_actuate_put_back(actuate, slot));
    }
    vh_actuate_adopted(actuate);
    assert_cpus(f->stage.victim.tid, theirs ? &f->first : &f->floating);
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, theirs ? &f->first : &f->floating);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
}

static void test_not_adopted(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    not_adopted(f, false, false);
}

static void test_not_adopted_but_theirs(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    not_adopted(f, true, false);
}

/* Of one guest, while others are waited for. */
static void test_not_adopted_alone(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    not_adopted(f, false, true);
}

static void test_not_adopted_alone_but_theirs(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    not_adopted(f, true, true);
}

/* What a changed thread makes after the daemon's death, which is nowhere saved; a mask of its own
 * is nobody's. */
static void test_crash_and_orphans(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_target target = target_helper("guest", VH_TARGET_EMULATOR, f->stage.victim.tid);
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
        g_assert_cmpint(
            sched_setaffinity(threads[i].tid, sizeof(*cpus), (const cpu_set_t *)(const void *)cpus),
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
static void test_crash_and_reuse(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_target target = target_vcpu("guest", 2, f->stage.victim.tid);
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

#define ADD(name, func) \
    g_test_add("/actuate-recover/" name, struct pinning, NULL, pinning_begin, func, pinning_end)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("crash", test_crash);
    ADD("adopted", test_adopted);
    ADD("not-adopted", test_not_adopted);
    ADD("not-adopted-but-theirs", test_not_adopted_but_theirs);
    ADD("not-adopted-alone", test_not_adopted_alone);
    ADD("not-adopted-alone-but-theirs", test_not_adopted_alone_but_theirs);
    ADD("crash-and-orphans", test_crash_and_orphans);
    ADD("crash-and-reuse", test_crash_and_reuse);
    return g_test_run();
}
