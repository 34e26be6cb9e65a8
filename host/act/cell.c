// SPDX-License-Identifier: GPL-2.0-or-later
// Confines the warden: capset(2) and seccomp.
#include "act/cell.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sanitized.h"

/* Beside those with arguments that matter. */
static const char *const allowed[] = {
    "read", "pread64", "write", "writev", "close", "fstat", "newfstatat", "lseek",
    /* what it is there for */
    "sched_setscheduler", "sched_getscheduler", "sched_setattr", "sched_getattr", "setpriority",
    "getpriority", "getppid", "getpid", "gettid",
    /* to wait */
    "futex", "clock_nanosleep", "nanosleep", "restart_syscall", "clock_gettime", "rt_sigreturn",
    "rt_sigaction", "rt_sigprocmask",
    /* memory, and what the C library and GLib need for theirs */
    "munmap", "mremap", "madvise", "brk", "getrandom", "prlimit64", "getrlimit",
    /* to end */
    "exit", "exit_group", "tgkill"};

static int allow(scmp_filter_ctx filter)
{
    int result = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(allowed) && result == 0; i++) {
        int number = seccomp_syscall_resolve_name(allowed[i]);

        /* One that this machine does not have. */
        if (number != __NR_SCMP_ERROR && number >= 0)
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    }
    /* Files that are there; memory that is no code. */
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, O_CREAT | O_TRUNC, 0));
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return result;
}

static int limit_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int result = filter ? allow(filter) : -ENOMEM;

    if (result == 0)
        result = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    return result;
}

/* One that it does not have is none to keep: an ordinary user has none at all. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    guint32 keep = CAP_TO_MASK(CAP_SYS_NICE);

    if (syscall(SYS_capget, &header, data) < 0)
        return -errno;
    keep &= data[CAP_TO_INDEX(CAP_SYS_NICE)].permitted;
    for (gsize i = 0; i < G_N_ELEMENTS(data); i++)
        data[i] = (struct __user_cap_data_struct){0};
    data[CAP_TO_INDEX(CAP_SYS_NICE)].permitted = keep;
    data[CAP_TO_INDEX(CAP_SYS_NICE)].effective = keep;
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int vh_cell_enter(GError **error)
{
    int result = drop_capabilities();

    if (result == 0 && !VH_SANITIZED)
        result = limit_calls();
    if (result == 0)
        return 0;
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the warden cannot be confined: %s",
                g_strerror(-result));
    return -1;
}
