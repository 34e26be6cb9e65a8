/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/daemon/confine.c: what is forbidden fails with EPERM, in all threads; what the daemon does
 * still works. */
#include "daemon/confine.h"

#include "base/sanitized.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static gpointer from_another_thread(gpointer data)
{
    (void)data;
    return GINT_TO_POINTER(execl("/bin/false", "false", NULL) == -1 && errno == EPERM);
}

static gpointer nothing(gpointer data)
{
    return data;
}

static gpointer wait_then_try(gpointer data)
{
    g_mutex_lock(data);
    g_mutex_unlock(data);
    return from_another_thread(NULL);
}

/* In a process of its own: there is no way back. Exits with the number of the first check that
 * fails. */
static void confined(void)
{
    GMutex mutex;
    GThread *older = NULL;
    cpu_set_t mask;
    int check = 1;

#define CHECK(what) (check++, (what) ? (void)0 : _exit(check - 1))
    g_mutex_init(&mutex);
    g_mutex_lock(&mutex);
    older = g_thread_new("older", wait_then_try, &mutex);
    CHECK(vh_confine(false, NULL) == 0);
    g_mutex_unlock(&mutex);
    CHECK(g_thread_join(older));
    CHECK(g_thread_join(g_thread_new("younger", from_another_thread, NULL)));
    CHECK(execl("/bin/false", "false", NULL) == -1 && errno == EPERM);
    CHECK(fork() == -1 && errno == EPERM);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM);
    CHECK(mount("none", "/nowhere", "tmpfs", 0, NULL) == -1 && errno == EPERM);
    CHECK(unshare(CLONE_NEWNS) == -1 && errno == EPERM);
    CHECK(setuid(getuid()) == -1 && errno == EPERM);
    CHECK(syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, NULL, 0) == -1 && errno == EPERM);
    CHECK(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) == -1 && errno == EPERM);
    CHECK(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EAFNOSUPPORT);
    CHECK(socket(AF_VSOCK, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT);
    CHECK(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    CHECK(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
    CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0);
    CHECK(g_thread_join(g_thread_new("works", nothing, &mutex)) == &mutex);
    CHECK(sched_getaffinity(0, sizeof(mask), &mask) == 0 &&
          sched_setaffinity(0, sizeof(mask), &mask) == 0);
    _exit(0);
}

static void test_confined(void)
{
    int status = 0;
    pid_t child = 0;

#if VH_SANITIZED
    g_test_skip("sanitizers need system calls that the filter forbids");
    return;
#endif
    child = fork();
    if (child == 0)
        confined();
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/confine/confined", test_confined);
    return g_test_run();
}
