/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/act/actuate.c and act/pin.c, on a thread of the test's own. */
#include "act/actuate.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/chosen.h"
#include "lib/pinning.h"
#include "lib/scratch.h"
#include "machine/tid.h"

static void test_pin_and_float(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    g_autofree char *former = NULL;
    g_autofree char *floating = vh_cpuset_format(&f->floating);
    const char *problem = NULL;

    pinning_round(f, actuate, NULL, "start");
    assert_cpus(f->stage.victim.tid, &f->floating);
    g_assert_null(vh_actuate_setting(actuate, &f->target.key));
    g_assert_cmpuint(pinning_round(f, actuate, &f->first, "hint"), ==, 0);
    assert_cpus(f->stage.victim.tid, &f->first);
    g_assert_true(vh_cpuset_equal(&vh_actuate_setting(actuate, &f->target.key)->cpus, &f->first));
    vh_actuate_describe(actuate, &f->target.key, &former, &problem);
    g_assert_cmpstr(former, ==, floating);
    g_assert_cmpstr(problem, ==, "");
    g_assert_cmpuint(pinning_round(f, actuate, NULL, "exit"), ==, 1);
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_free(actuate, "end");
}

static void test_stop_restores(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);

    pinning_round(f, actuate, &f->first, "hint");
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuate_free(actuate, "vhintd stops");
    assert_cpus(f->stage.victim.tid, &f->floating);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
}

static void test_left_out_is_restored(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);

    pinning_round(f, actuate, &f->first, "hint");
    vh_actuate_begin(actuate, target_reason, NULL);
    g_assert_cmpuint(vh_actuate_end(actuate, "the guest is gone", NULL), ==, 1);
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_free(actuate, "end");
}

/* While its maker still sets masks: what that changes is done again, and what goes back is what it
 * is known to set. */
static void test_young_thread(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target target = target_helper("guest", VH_TARGET_EMULATOR, f->stage.victim.tid);
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
        vh_actuate_begin(actuate, target_reason, NULL);
        vh_actuate_want(actuate, &target, &setting, NULL);
        vh_actuate_assume(actuate, &target.key, &usual);
        vh_actuate_end(actuate, "QEMU comes up", NULL);
        assert_cpus(f->stage.victim.tid, &f->first);
        g_assert_false(vh_actuate_check(actuate, "guest"));
        g_assert_cmpint(sched_setaffinity(f->stage.victim.tid, sizeof(usual),
                                          (const cpu_set_t *)(const void *)&usual),
                        ==, 0);
        g_assert_false(vh_actuate_check(actuate, "another guest"));
        g_assert_true(vh_actuate_check(actuate, "guest"));
        target = f->target; /* it has its name by now */
    }
    g_assert_true(vh_tid_cpus(f->stage.victim.tid, &inherited));
    g_assert_true(vh_cpuset_equal(&inherited, &usual));
    pinning_round(f, actuate, &f->first, "again");
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, &usual);
}

/* Its maker carries out late what it was told of a pin that is over: that is no mask of the
 * thread's own. */
static void test_late_echo(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target target = target_vcpu("guest", 2, f->stage.victim.tid);
    union vh_setting setting = {.cpus = f->first};

    pinning_round(f, actuate, &f->first, "hint");
    pinning_round(f, actuate, NULL, "exit");
    g_assert_cmpint(sched_setaffinity(target.on.thread, sizeof(f->first),
                                      (const cpu_set_t *)(const void *)&f->first),
                    ==, 0);
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &target, &setting, NULL);
    vh_actuate_assume(actuate, &target.key, NULL);
    vh_actuate_end(actuate, "hint", NULL);
    pinning_round(f, actuate, NULL, "exit");
    assert_cpus(target.on.thread, &f->floating);
    /* Once the maker has nothing to do any more it is somebody's word again. */
    g_assert_cmpint(sched_setaffinity(target.on.thread, sizeof(f->first),
                                      (const cpu_set_t *)(const void *)&f->first),
                    ==, 0);
    pinning_round(f, actuate, &f->first, "hint");
    pinning_round(f, actuate, NULL, "exit");
    assert_cpus(target.on.thread, &f->first);
    vh_actuate_free(actuate, "end");
}

static void test_thread_gone(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    g_autofree char *former = NULL;
    const char *problem = NULL;

    pinning_round(f, actuate, NULL, "start");
    victim_end(&f->stage.victim);
    pinning_round(f, actuate, &f->first, "hint");
    vh_actuate_describe(actuate, &f->target.key, &former, &problem);
    g_assert_nonnull(strstr(problem, "the thread is gone"));
    g_assert_null(vh_actuate_setting(actuate, &f->target.key));
    vh_actuate_free(actuate, "end");
}

/* The number is another thread's by now than when it was told: nobody touches that. */
static void test_number_reused(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    g_autofree char *former = NULL;
    const char *problem = NULL;

    f->target.on.start--;
    pinning_round(f, actuate, &f->first, "hint");
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_describe(actuate, &f->target.key, &former, &problem);
    g_assert_nonnull(strstr(problem, "the thread is gone"));
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, &f->floating);
}

static struct vh_target target_process(pid_t number)
{
    struct vh_target target = target_vcpu("guest", 2, number);

    g_assert_cmpint(target.on.process, ==, number);
    return target;
}

static void want_one(VhActuate *actuate, const struct vh_target *target,
                     const union vh_setting *setting)
{
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, target, setting, NULL);
    vh_actuate_end(actuate, "a round", NULL);
}

/* It becomes another's while its thread is held: neither what was wanted comes to that one, nor
 * what was noted of the other goes back. */
static void test_number_reused_while_held(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    pid_t number = chosen_number();
    const union vh_setting pin = {.cpus = f->first};
    const union vh_setting boost = {.boost = VH_BOOST_NICE};
    const struct vh_actuator *const actuators[] = {&vh_actuator_pin, &vh_actuator_boost};

    for (guint i = 0; number && i < 4; i++) {
        const struct vh_actuator *actuator = actuators[i % 2];
        VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, actuator);
        const union vh_setting *setting = i % 2 ? &boost : &pin;
        bool held = i / 2; /* in force, or only noted */
        struct vh_target target;

        chosen_start(number, NULL, NULL);
        target = target_process(number);
        want_one(actuate, &target, held ? setting : NULL);
        chosen_end(number);
        chosen_start(number, NULL, NULL);
        g_assert_cmpint(
            sched_setaffinity(number, sizeof(f->first),
                              (const cpu_set_t *)(const void *)(held ? &f->first : &f->floating)),
            ==, 0);
        g_assert_cmpint(setpriority(PRIO_PROCESS, (id_t)number, held ? 3 : 0), ==, 0);
        want_one(actuate, &target, held ? NULL : setting);
        assert_cpus(number, held ? &f->first : &f->floating);
        g_assert_cmpint(getpriority(PRIO_PROCESS, (id_t)number), ==, held ? 3 : 0);
        vh_actuate_free(actuate, "end");
        assert_cpus(number, held ? &f->first : &f->floating);
        g_assert_cmpint(getpriority(PRIO_PROCESS, (id_t)number), ==, held ? 3 : 0);
        chosen_end(number);
    }
}

/* It is of another process than was told. */
static void test_another_process(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);

    f->target.on.process = 1;
    pinning_round(f, actuate, &f->first, "hint");
    assert_cpus(f->stage.victim.tid, &f->floating);
    vh_actuate_free(actuate, "end");
}

/* A thread that appears with just what its maker was changed to goes back to what its maker had. */
static void test_inherited(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target maker = target_helper("guest", VH_TARGET_EMULATOR, f->stage.victim.tid);
    struct vh_target made;
    struct vh_target other;
    struct victim threads[2] = {0};
    union vh_setting first = {.cpus = f->first};

    for (int i = 0; i < 2; i++) {
        victim_start(&threads[i]);
        g_assert_cmpint(sched_setaffinity(threads[i].tid, sizeof(f->first),
                                          (const cpu_set_t *)(void *)&f->first),
                        ==, 0);
    }
    made = target_helper("guest", VH_TARGET_EMULATOR, threads[0].tid);
    other = target_helper("other", VH_TARGET_EMULATOR, threads[1].tid);
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &maker, &first, NULL);
    vh_actuate_end(actuate, "policy", NULL);
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &maker, &first, NULL);
    vh_actuate_want(actuate, &made, &first, NULL);
    vh_actuate_want(actuate, &other, &first, NULL);
    vh_actuate_end(actuate, "policy", NULL);
    g_assert_nonnull(vh_actuate_setting(actuate, &made.key));
    vh_actuate_free(actuate, "end");
    assert_cpus(maker.on.thread, &f->floating);
    assert_cpus(made.on.thread, &f->floating);
    assert_cpus(other.on.thread, &f->first);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
    for (int i = 0; i < 2; i++)
        victim_end(&threads[i]);
}

static void bind(pid_t thread, const struct vh_cpuset *cpus)
{
    g_assert_cmpint(sched_setaffinity(thread, sizeof(*cpus), (const cpu_set_t *)(const void *)cpus),
                    ==, 0);
}

#define SIBLINGS 8

/* Several may have made it: vCPUs, which had another mask, and one of QEMU's own, which makes
 * threads. */
static void test_inherited_from_one_of_several(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target maker = target_helper("guest", VH_TARGET_EMULATOR, f->stage.victim.tid);
    struct victim threads[SIBLINGS + 1] = {0};
    struct vh_target targets[SIBLINGS + 1];
    union vh_setting first = {.cpus = f->first};
    struct vh_cpuset others = f->floating;

    vh_cpuset_sub(&others, &f->first);
    if (vh_cpuset_empty(&others)) {
        g_test_skip("this host has one CPU");
        vh_actuate_free(actuate, "end");
        return;
    }
    for (unsigned i = 0; i <= SIBLINGS; i++) {
        victim_start(&threads[i]);
        targets[i] = i < SIBLINGS ? target_vcpu("guest", i, threads[i].tid)
                                  : target_helper("guest", VH_TARGET_EMULATOR, threads[i].tid);
        bind(threads[i].tid, i < SIBLINGS ? &others : &f->first);
    }
    for (unsigned round = 0; round < 2; round++) {
        vh_actuate_begin(actuate, target_reason, NULL);
        vh_actuate_want(actuate, &maker, &first, NULL);
        for (unsigned i = 0; i < SIBLINGS + round; i++)
            vh_actuate_want(actuate, &targets[i], &first, NULL);
        vh_actuate_end(actuate, "policy", NULL);
    }
    vh_actuate_free(actuate, "end");
    assert_cpus(threads[SIBLINGS].tid, &f->floating);
    for (unsigned i = 0; i <= SIBLINGS; i++)
        victim_end(&threads[i]);
}

/* Of a thread that is no vCPU's nobody is told that it has ended. */
static void test_helper_gone(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_target target = target_helper("guest", VH_TARGET_IOTHREAD, f->stage.victim.tid);
    union vh_setting first = {.cpus = f->first};
    union vh_setting floating = {.cpus = f->floating};
    g_autofree char *former = NULL;
    const char *problem = NULL;

    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &target, &first, NULL);
    vh_actuate_end(actuate, "policy", NULL);
    victim_end(&f->stage.victim);
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &target, &floating, NULL);
    vh_actuate_end(actuate, "policy", NULL);
    vh_actuate_describe(actuate, &target.key, &former, &problem);
    g_assert_cmpstr(problem, ==, "");
    g_assert_null(vh_actuate_setting(actuate, &target.key));
    vh_actuate_begin(actuate, target_reason, NULL);
    g_assert_cmpuint(vh_actuate_end(actuate, "the guest is gone", NULL), ==, 0);
    vh_actuate_free(actuate, "end");
}

static void want_pinned(VhActuate *actuate, const struct vh_target *target,
                        const struct vh_cpuset *cpus)
{
    union vh_setting setting = {.cpus = *cpus};

    vh_actuate_want(actuate, target, &setting, NULL);
}

/* A vCPU that was unplugged and plugged in again, or whose QEMU says so: what the former thread has
 * is put back, and the other one's former state is its own. */
static void test_key_with_another_thread(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct victim second = {0};
    struct vh_target other;

    victim_start(&second);
    other = target_vcpu("guest", 2, second.tid);
    pinning_round(f, actuate, &f->first, "hint");
    vh_actuate_begin(actuate, target_reason, NULL);
    want_pinned(actuate, &other, &f->first);
    g_assert_cmpuint(vh_actuate_end(actuate, "plugged in", NULL), ==, 1);
    assert_cpus(f->stage.victim.tid, &f->floating);
    assert_cpus(second.tid, &f->first);
    vh_actuate_free(actuate, "end");
    assert_cpus(second.tid, &f->floating);
    victim_end(&second);
}

/* Two threads that swap their keys keep what they have, and their former states. */
static void test_threads_with_other_keys(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct victim second = {0};
    struct vh_target targets[2];

    victim_start(&second);
    for (unsigned i = 0; i < 4; i++) {
        targets[0] = target_vcpu("guest", i % 2, f->stage.victim.tid);
        targets[1] = target_vcpu("guest", 1 - i % 2, second.tid);
        vh_actuate_begin(actuate, target_reason, NULL);
        want_pinned(actuate, &targets[0], &f->first);
        want_pinned(actuate, &targets[1], &f->first);
        g_assert_cmpuint(vh_actuate_end(actuate, "swapped", NULL), ==, 0);
        assert_cpus(f->stage.victim.tid, &f->first);
        assert_cpus(second.tid, &f->first);
    }
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, &f->floating);
    assert_cpus(second.tid, &f->floating);
    victim_end(&second);
}

/* What is on record says what the thread is called by now. */
static void test_key_on_record(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_target young = target_helper("guest", VH_TARGET_EMULATOR, f->stage.victim.tid);
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    const struct vh_saved_slot *slot = NULL;

    vh_actuate_begin(actuate, target_reason, NULL);
    want_pinned(actuate, &young, &f->first);
    vh_actuate_end(actuate, "QEMU comes up", NULL);
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL);
    g_assert_nonnull(slot);
    g_assert_cmpuint(slot->target, ==, VH_TARGET_EMULATOR);
    g_assert_cmpuint(slot->id, ==, young.key.id);
    g_assert_cmpint(slot->process, ==, getpid());
    g_assert_cmpuint(pinning_round(f, actuate, &f->first, "it has a name"), ==, 0);
    g_assert_null(vh_actuate_setting(actuate, &young.key));
    g_assert_nonnull(vh_actuate_setting(actuate, &f->target.key));
    g_assert_true(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL) == slot);
    g_assert_cmpuint(slot->target, ==, VH_TARGET_VCPU);
    g_assert_cmpuint(slot->id, ==, 2);
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, &f->floating);
}

static void test_host_cpu_offline(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    union vh_setting absent = {0};
    struct vh_target target = target_vcpu("guest", 2, f->stage.victim.tid);
    bool retry = false;

    vh_cpuset_add(&absent.cpus, VH_HOST_CPUS_MAX - 1);
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &target, &absent, NULL);
    vh_actuate_end(actuate, "hint", &retry);
    g_assert_true(retry);
    assert_cpus(f->stage.victim.tid, &f->floating);
    /* Not tried again before something has changed, then it is. */
    retry = false;
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &target, &absent, NULL);
    vh_actuate_end(actuate, "hint", &retry);
    g_assert_false(retry);
    vh_actuate_forgive(actuate);
    pinning_round(f, actuate, &f->first, "online again");
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuate_free(actuate, "end");
}

/* The kernel widened the mask behind our back, as it does when a CPU goes offline. */
static void test_drift(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;

    if (vh_cpuset_count(&f->floating) < 2) {
        g_test_skip("one CPU: pinned and floating look alike");
        return;
    }
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    pinning_round(f, actuate, &f->first, "hint");
    g_assert_cmpint(
        sched_setaffinity(f->stage.victim.tid, sizeof(f->floating), (void *)&f->floating), ==, 0);
    vh_actuate_forgive(actuate);
    pinning_round(f, actuate, &f->first, "the host's CPUs have changed");
    assert_cpus(f->stage.victim.tid, &f->first);
    vh_actuate_free(actuate, "end");
    assert_cpus(f->stage.victim.tid, &f->floating);
}

/* The mask that is put back is the one from just before the pin, not from when the vCPU was first
 * seen. */
static void test_changed_in_between(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    struct vh_cpuset last = {{0}};

    vh_cpuset_add(&last, (unsigned)vh_cpuset_next(&f->floating, 0));
    if (vh_cpuset_count(&f->floating) > 1) {
        last = f->floating;
        vh_cpuset_sub(&last, &f->first);
    }
    pinning_round(f, actuate, NULL, "start");
    g_assert_cmpint(sched_setaffinity(f->stage.victim.tid, sizeof(last), (void *)&last), ==, 0);
    pinning_round(f, actuate, &f->first, "hint");
    assert_cpus(f->stage.victim.tid, &f->first);
    pinning_round(f, actuate, NULL, "exit");
    assert_cpus(f->stage.victim.tid, &last);
    vh_actuate_free(actuate, "end");
}

/* One call too many, or too early, in a process of its own, which ends by that. */
static void break_order(const char *order)
{
    const struct vh_target target = target_vcpu("guest", 0, getpid());
    struct stage stage = {0};
    VhActuate *actuate = NULL;

    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    stage_begin(&stage);
    scratch_remove(stage.directory); /* nobody will come to do so */
    actuate = vh_actuate_new(stage.saved, stage.journal, &vh_actuator_pin);
    if (g_str_equal(order, "want"))
        vh_actuate_want(actuate, &target, NULL, NULL);
    vh_actuate_begin(actuate, target_reason, NULL);
    if (g_str_equal(order, "begin"))
        vh_actuate_begin(actuate, target_reason, NULL);
    if (g_str_equal(order, "check"))
        vh_actuate_check(actuate, "guest");
    vh_actuate_end(actuate, "once", NULL);
    if (g_str_equal(order, "end"))
        vh_actuate_end(actuate, "twice", NULL);
}

static void test_order(gconstpointer data)
{
    if (g_test_subprocess()) {
        break_order(data);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*in_round*");
}

#define ADD(name, func) \
    g_test_add("/actuate/" name, struct pinning, NULL, pinning_begin, func, pinning_end)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("pin-and-float", test_pin_and_float);
    ADD("stop-restores", test_stop_restores);
    ADD("left-out-is-restored", test_left_out_is_restored);
    ADD("young-thread", test_young_thread);
    ADD("late-echo", test_late_echo);
    ADD("thread-gone", test_thread_gone);
    ADD("number-reused", test_number_reused);
    ADD("number-reused-while-held", test_number_reused_while_held);
    ADD("another-process", test_another_process);
    ADD("inherited", test_inherited);
    ADD("inherited-from-one-of-several", test_inherited_from_one_of_several);
    ADD("helper-gone", test_helper_gone);
    ADD("key-with-another-thread", test_key_with_another_thread);
    ADD("threads-with-other-keys", test_threads_with_other_keys);
    ADD("key-on-record", test_key_on_record);
    ADD("host-cpu-offline", test_host_cpu_offline);
    ADD("drift", test_drift);
    ADD("changed-in-between", test_changed_in_between);
    g_test_add_data_func("/actuate/order/want", "want", test_order);
    g_test_add_data_func("/actuate/order/begin", "begin", test_order);
    g_test_add_data_func("/actuate/order/check", "check", test_order);
    g_test_add_data_func("/actuate/order/end", "end", test_order);
    return g_test_run();
}
