/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/chosen.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t clone_as(pid_t number)
{
    pid_t numbers[] = {number};
    struct clone_args args = {.exit_signal = SIGCHLD,
                              .set_tid = (guint64)(gsize)numbers,
                              .set_tid_size = G_N_ELEMENTS(numbers)};

    return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

pid_t chosen_number(void)
{
    /* Below every pid_max, and where nobody has come for a while. */
    for (pid_t number = 32000; number > 300; number--) {
        pid_t got = kill(number, 0) < 0 && errno == ESRCH ? clone_as(number) : -1;

        if (got == 0)
            _exit(0);
        if (got > 0) {
            g_assert_cmpint(waitpid(got, NULL, 0), ==, got);
            return number;
        }
        if (errno == EPERM || errno == ENOSYS)
            break;
    }
    g_test_skip("no process's number can be chosen here: run as root");
    return 0;
}

void chosen_start(pid_t number, void (*run)(gpointer data), gpointer data)
{
    pid_t got = clone_as(number);

    if (got == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (run)
            run(data);
        for (;;)
            pause();
    }
    g_assert_cmpint(got, ==, number);
}

void chosen_end(pid_t number)
{
    g_assert_cmpint(kill(number, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(number, NULL, 0), ==, number);
}
