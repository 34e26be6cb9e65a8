/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/machine/meter.c, on threads of the test's own. */
#include "machine/meter.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/target.h"
#include "lib/victim.h"

static void test_runs(void)
{
    const struct vh_thread_id self = thread_id((pid_t)syscall(SYS_gettid));
    struct vh_meter meter = {0};
    guint64 before = 0;

    g_assert_cmpint(vh_meter_open(&meter, &self), ==, 0);
    g_assert_true(vh_meter_read(&meter));
    before = meter.time; /* 0 until the kernel has counted for the first time */
    LOOP_UNTIL(vh_meter_read(&meter) && meter.time > before);
    g_assert_cmpint(meter.cpu, >=, 0);
    g_assert_cmpint(meter.cpu, <, sysconf(_SC_NPROCESSORS_CONF));
    vh_meter_close(&meter);
    g_assert_false(meter.open);
    vh_meter_close(&meter);
}

static void test_gone(void)
{
    struct victim victim = {0};
    struct vh_meter meter = {0};
    struct vh_thread_id id;

    victim_start(&victim);
    id = thread_id(victim.tid);
    g_assert_cmpint(vh_meter_open(&meter, &id), ==, 0);
    g_assert_true(vh_meter_read(&meter));
    victim_end(&victim);
    LOOP_UNTIL(!vh_meter_read(&meter));
    vh_meter_close(&meter);
    g_assert_cmpint(vh_meter_open(&meter, &id), <, 0);
    g_assert_false(meter.open);
}

/* The number is another thread's by now. */
static void test_another(void)
{
    struct vh_thread_id former = thread_id(getpid());
    struct vh_meter meter = {0};

    former.start--;
    g_assert_cmpint(vh_meter_open(&meter, &former), ==, -ESRCH);
    g_assert_false(meter.open);
}

static void test_no_descriptors(void)
{
    const struct vh_thread_id self = thread_id(getpid());
    struct vh_meter meter = {0};
    struct rlimit limit, few;

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    few = (struct rlimit){4, limit.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
    g_assert_cmpint(vh_meter_open(&meter, &self), ==, -EMFILE);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    g_assert_false(meter.open);
    g_assert_cmpint(vh_meter_open(&meter, &self), ==, 0);
    vh_meter_close(&meter);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/meter/runs", test_runs);
    g_test_add_func("/meter/gone", test_gone);
    g_test_add_func("/meter/another", test_another);
    g_test_add_func("/meter/no-descriptors", test_no_descriptors);
    return g_test_run();
}
