/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/threads.c and guest/nodes.c: the threads beside vCPUs, and where a guest's memory is.
 *
 * QEMU is the test itself: its first thread is an emulator's, and so are those of GLib. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guest/state.h"
#include "lib/guest-stage.h"
#include "lib/loop.h"
#include "lib/target.h"

/* "emulator", "iothread NAME"; NULL: none of the helpers. */
static const char *kind_of(const struct guest_stage *f, pid_t thread)
{
    static char text[32];
    unsigned count = 0;
    const struct vh_thread *helpers = vh_guest_helpers(f->guest, &count);

    for (unsigned i = 0; i < count; i++) {
        if (helpers[i].thread != thread)
            continue;
        g_snprintf(text, sizeof(text), "%s%s%s", vh_thread_kind_text(helpers[i].kind),
                   helpers[i].kind == VH_THREAD_IOTHREAD ? " " : "",
                   helpers[i].kind == VH_THREAD_IOTHREAD ? helpers[i].name : "");
        return text;
    }
    return NULL;
}

static void assert_kind(const struct guest_stage *f, pid_t thread, const char *expected)
{
    g_assert_cmpstr(kind_of(f, thread), ==, expected);
}

static void reply_iothread(struct guest_stage *f, pid_t thread)
{
    g_autofree char *text = g_strdup_printf("[{\"id\": \"io-a\", \"thread-id\": %d}, 7, "
                                            "{\"id\": \"init\", \"thread-id\": 1}]",
                                            thread);

    fake_monitor_reply(&f->monitor, "query-iothreads", text);
}

static void name_thread(pid_t thread, const char *name)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/comm", thread);
    FILE *file = fopen(path, "w");

    g_assert_nonnull(file);
    g_assert_cmpint(fputs(name, file), >=, 0);
    g_assert_cmpint(fclose(file), ==, 0);
}

static void test_helpers(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    struct victim iothread = {0}, emulator = {0};
    unsigned count = 0;
    const struct vh_thread *helpers = NULL;

    victim_start(&iothread);
    victim_start(&emulator);
    reply_iothread(f, iothread.tid);
    guest_stage_start(f);
    assert_kind(f, getpid(), "emulator");
    assert_kind(f, iothread.tid, "iothread io-a");
    assert_kind(f, emulator.tid, "emulator");
    assert_kind(f, f->vcpus[0].tid, NULL);
    assert_kind(f, 1, NULL); /* no thread of this process, whatever the monitor says */
    helpers = vh_guest_helpers(f->guest, &count);
    for (unsigned i = 1; i < count; i++)
        g_assert_true(
            helpers[i - 1].kind < helpers[i].kind ||
            (helpers[i - 1].kind == helpers[i].kind && helpers[i - 1].thread < helpers[i].thread));
    fake_monitor_hang_up(&f->monitor);
    LOOP_UNTIL(!vh_guest_process(f->guest).thread);
    vh_guest_helpers(f->guest, &count);
    g_assert_cmpuint(count, ==, 0);
    victim_end(&emulator);
    victim_end(&iothread);
}

/* Threads that come and go are noticed when they are looked for. */
static void test_refresh(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    struct victim late = {0};
    pid_t tid = 0;

    guest_stage_up(f);
    victim_start(&late);
    tid = late.tid;
    assert_kind(f, tid, NULL);
    vh_guest_refresh_threads(f->guest);
    assert_kind(f, tid, "emulator");
    victim_end(&late);
    vh_guest_refresh_threads(f->guest);
    assert_kind(f, tid, NULL);
}

static void assert_named(const struct guest_stage *f, pid_t thread, const char *expected)
{
    unsigned count = 0;
    const struct vh_thread *helpers = vh_guest_helpers(f->guest, &count);

    for (unsigned i = 0; i < count; i++)
        if (helpers[i].thread == thread)
            g_assert_cmpstr(helpers[i].name, ==, expected);
}

static void reset(struct guest_stage *f)
{
    fake_monitor_event(&f->monitor, "RESET", NULL);
    guest_stage_turn();
}

/* A QEMU may have thousands of threads and say RESET again and again. So an answer adds those that
 * are new and drops those that are gone; all of them are read seldom. */
static void test_storm_of_answers(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    struct victim old = {0}, late = {0};
    pid_t ended = 0;

    victim_start(&old);
    name_thread(old.tid, "former");
    guest_stage_up(f);
    assert_named(f, old.tid, "former");
    name_thread(old.tid, "latter");
    victim_start(&late);
    reset(f);
    assert_named(f, old.tid, "former"); /* it was not read again */
    assert_kind(f, late.tid, "emulator");
    ended = late.tid;
    victim_end(&late);
    reset(f);
    assert_kind(f, ended, NULL);
    f->guest->listed -= 11 * G_USEC_PER_SEC; /* time passes */
    reset(f);
    assert_named(f, old.tid, "latter");
    victim_end(&old);
}

/* ---- a monitor that names as many IOThreads as are believed, for as many threads ---- */

static char *name_iothreads(void)
{
    g_autoptr(GString) text = g_string_new("[");

    for (guint i = 0; i < VH_THREADS_MAX; i++)
        g_string_append_printf(text, "%s{\"id\": \"i\", \"thread-id\": %u}", i ? ", " : "",
                               G_MAXINT32 - i);
    g_string_append_c(text, ']');
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gint64 cpu_time_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* The CPU time that the answer takes when the guest has `count` threads, none of which it names:
 * the shortest of some. */
static gint64 answer_iothreads(struct guest_stage *f, const char *iothreads, guint count)
{
    gint64 least = G_MAXINT64;

    for (guint i = 0; i < 5; i++) {
        gint64 begin = 0;

        f->guest->glanced = 0;
        f->guest->unasked = true;
        fake_monitor_withhold(&f->monitor, "query-iothreads");
        vh_guest_glance_at_threads(f->guest);
        guest_stage_turn();
        g_array_set_size(f->guest->threads, 0);
        for (guint thread = 1; thread <= count; thread++) {
            const struct vh_thread one = {.thread = (pid_t)thread};

            g_array_append_val(f->guest->threads, one);
        }
        begin = cpu_time_us();
        fake_monitor_answer(&f->monitor, iothreads);
        LOOP_UNTIL(f->guest->iothreads->len == VH_THREADS_MAX);
        g_array_set_size(f->guest->iothreads, 0);
        least = MIN(least, cpu_time_us() - begin);
    }
    return least;
}

/* Each thread is looked up among them: to compare each with each took 67 million steps. Here are
 * more threads than there may be, since reading the answer takes most of the time. */
static void test_thousands(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *iothreads = name_iothreads();
    gint64 few = 0;
    gint64 many = 0;

    guest_stage_up(f);
    few = answer_iothreads(f, iothreads, 1);
    many = answer_iothreads(f, iothreads, 8 * VH_THREADS_MAX);
    g_test_message("%d us with a thread, %d us with many", (int)few, (int)many);
    g_assert_cmpint(many, <, 5 * few);
}

/* A guest that hints makes us look for threads that nobody tells of, where policy places them. */
static void test_glance(struct guest_stage *f, gconstpointer policy)
{
    struct victim late = {0}, later = {0};
    bool placed = vh_guest_places_threads(f->guest);

    g_assert_true(placed == (policy != NULL));
    guest_stage_up(f);
    victim_start(&late);
    reply_iothread(f, late.tid);
    fake_monitor_heard(&f->monitor, "query-iothreads");
    guest_stage_tasks(f, 10, 1, 1 << 0);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "query-iothreads"), ==, placed);
    assert_kind(f, late.tid, placed ? "iothread io-a" : NULL);
    guest_stage_assert_changed(f, placed ? "a hint has changed; the guest's threads have changed; "
                                         : "a hint has changed; ");
    /* Seldom: not again at the next hint. */
    victim_start(&later);
    guest_stage_tasks(f, 11, 1, 1 << 0);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "query-iothreads"), ==, 0);
    assert_kind(f, later.tid, NULL);
    victim_end(&later);
    victim_end(&late);
}

static void test_emulated(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_start(f);
    g_assert_false(vh_guest_is_emulated(f->guest));
    fake_monitor_reply(&f->monitor, "query-kvm", "{\"enabled\": false, \"present\": true}");
    fake_monitor_event(&f->monitor, "RESET", NULL);
    guest_stage_turn();
    g_assert_true(vh_guest_is_emulated(f->guest));
    fake_monitor_reply(&f->monitor, "query-kvm", NULL);
    fake_monitor_event(&f->monitor, "RESET", NULL);
    guest_stage_turn();
    g_assert_false(vh_guest_is_emulated(f->guest));
}

/* Before its monitor answers, a guest has the threads that /proc names. */
static void test_preview(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_thread_id process = thread_id(getpid());
    const struct vh_cpuset *usual = NULL;
    struct vh_cpuset first = {{0}};
    unsigned count = 0;
    const struct vh_vcpu *vcpus = NULL;

    vh_cpuset_add(&first, 0);

    name_thread(f->vcpus[0].tid, "CPU 1/KVM");
    name_thread(f->vcpus[1].tid, "CPU 0/KVM");
    f->config.cpus = (char *)"0";
    vh_guest_preview(f->guest, &process);
    guest_stage_assert_changed(f, "QEMU comes up; ");
    guest_stage_assert_vcpus(f, "2: -1 -1");
    vcpus = vh_guest_vcpus(f->guest, &count);
    g_assert_cmpint(vcpus[0].thread, ==, f->vcpus[1].tid);
    assert_kind(f, getpid(), "emulator");
    g_assert_false(vh_guest_is_settled(f->guest));
    g_assert_true(vh_guest_echoes(f->guest, NULL, &usual));
    g_assert_nonnull(usual);
    g_assert_true(vh_cpuset_equal(usual, &first));
    vh_guest_preview(f->guest, &process);
    guest_stage_assert_changed(f, "");
    /* What it says itself takes over. */
    guest_stage_up(f);
    guest_stage_assert_vcpus(f, "2: 7 3");
    g_assert_false(vh_guest_echoes(f->guest, NULL, &usual));
    g_assert_null(usual);
    name_thread(f->vcpus[0].tid, "CPU 7/KVM");
    vh_guest_preview(f->guest, &process);
    guest_stage_assert_changed(f, "");
}

/* ---- memory ---- */

static void assert_nodes(struct guest_stage *f, const char *backends, const char *expected)
{
    const struct vh_cpuset *nodes = NULL;
    g_autofree char *text = NULL;

    fake_monitor_reply(&f->monitor, "query-memdev", backends);
    fake_monitor_event(&f->monitor, "RESET", NULL);
    guest_stage_turn();
    nodes = vh_guest_nodes(f->guest);
    text = nodes ? vh_cpuset_format(nodes) : g_strdup("none");
    g_assert_cmpstr(text, ==, expected);
}

#define NODE(number) \
    "{\"id\": \"ram" number "\", \"policy\": \"bind\", \"host-nodes\": [" number "]}"

static void test_nodes(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_start(f);
    g_assert_null(vh_guest_nodes(f->guest));
    assert_nodes(f, "[" NODE("1") "]", "1");
    assert_nodes(f, "[" NODE("0") ", " NODE("2") "]", "0,2");
    /* Where some of it may be anywhere, nobody knows where it is. */
    assert_nodes(f, "[" NODE("1") ", {\"policy\": \"default\", \"host-nodes\": []}]", "none");
    assert_nodes(f, "[" NODE("1") ", {\"policy\": \"default\", \"host-nodes\": [0]}]", "none");
    assert_nodes(f, "[" NODE("3") ", " NODE("-1") ", " NODE("9999") "]", "3");
    assert_nodes(f, "[{\"policy\": \"bind\", \"host-nodes\": \"all\"}]", "none");
    assert_nodes(f, "[7]", "none");
    assert_nodes(f, "{}", "none");
    assert_nodes(f, "[" NODE("1") "]", "1");
    assert_nodes(f, NULL, "none");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, policy, func) \
    g_test_add("/guest/threads/" name, struct guest_stage, policy, guest_stage_begin, func, \
               guest_stage_end)
    ADD("helpers", NULL, test_helpers);
    ADD("refresh", NULL, test_refresh);
    ADD("storm-of-answers", NULL, test_storm_of_answers);
    ADD("thousands", "emulator = pool\n", test_thousands);
    ADD("glance", NULL, test_glance);
    ADD("glance-emulator", "emulator = pool\n", test_glance);
    ADD("glance-iothreads", "iothreads = off-anchors\n", test_glance);
    ADD("glance-dedicated", "pool = 0\nsharing = dedicated\n", test_glance);
    ADD("emulated", NULL, test_emulated);
    ADD("preview", NULL, test_preview);
    ADD("nodes", NULL, test_nodes);
    return g_test_run();
}
