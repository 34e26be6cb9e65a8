/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/act/cell.c: what the warden is for still works, and all else fails with EPERM. */
#include "act/cell.h"

#include "base/sanitized.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool can_open(const char *path, int flags)
{
    return open(path, flags, 0600) >= 0;
}

static bool is_refused(long result)
{
    return result == -1 && errno == EPERM;
}

/* In a process of its own: there is no way back. Exits with the number of the first check that
 * fails; so would a program that could be run, by its own status. */
static void confined(void)
{
    struct sched_param param = {.sched_priority = 0};
    char byte = 0;
    int check = 1;
    int fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);

#define CHECK(what) (check++, (what) ? (void)0 : _exit(check - 1))
    CHECK(vh_cell_enter(NULL) == 0);
    CHECK(is_refused(execl("/bin/false", "false", NULL)));
    CHECK(is_refused(fork()));
    CHECK(is_refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
    CHECK(is_refused(socket(AF_UNIX, SOCK_STREAM, 0)));
    CHECK(is_refused(kill(getppid(), 0)));
    CHECK(is_refused(syscall(SYS_bpf, 0, NULL, 0)));
    CHECK(is_refused(setuid(getuid())));
    CHECK(is_refused(unlink("/no/such/file")));
    CHECK(!can_open("/tmp/vhint-cell-test", O_WRONLY | O_CREAT) && errno == EPERM);
    CHECK(!can_open("/dev/null", O_WRONLY | O_TRUNC) && errno == EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
              MAP_FAILED &&
          errno == EPERM);
    CHECK(can_open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
    CHECK(can_open("/dev/null", O_WRONLY | O_CLOEXEC));
    CHECK(pread(fd, &byte, 1, 0) == 1);
    CHECK(sched_setscheduler(0, SCHED_BATCH, &param) == 0);
    CHECK(setpriority(PRIO_PROCESS, 0, 1) == 0);
    g_free(g_malloc(1 << 22));
    _exit(0);
}

/* As the kernel tells: what reads it is not allowed in there. */
static bool status_has(pid_t process, const char *line)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", process);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, line);
}

static void test_calls(void)
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

static void test_capabilities(void)
{
    const bool root = geteuid() == 0;
    int ends[2];
    char byte = 0;
    pid_t child = 0;

    g_assert_cmpint(pipe(ends), ==, 0);
    child = fork();
    if (child == 0) {
        if (vh_cell_enter(NULL) < 0 || write(ends[1], "", 1) != 1)
            _exit(1);
        g_usleep(60 * G_USEC_PER_SEC);
        _exit(0);
    }
    g_assert_cmpint(read(ends[0], &byte, 1), ==, 1);
    if (root) {
        g_assert_true(status_has(child, "CapPrm:\t0000000000800000\n"));
        g_assert_true(status_has(child, "CapEff:\t0000000000800000\n"));
    }
    g_assert_true(status_has(child, "CapInh:\t0000000000000000\n"));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cell/calls", test_calls);
    g_test_add_func("/cell/capabilities", test_capabilities);
    return g_test_run();
}
