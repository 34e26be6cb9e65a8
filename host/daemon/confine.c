// SPDX-License-Identifier: GPL-2.0-or-later
// Loads the daemon's seccomp filter.
#include "daemon/confine.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/sanitized.h"

/* Called by nobody here, on any road. fork(2) is clone(2) without CLONE_THREAD. */
static const char *const never[] = {
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_writev", "kcmp", "pidfd_getfd",
    /* who and where we are */
    "setuid", "setreuid", "setresuid", "setgid", "setregid", "setresgid", "setgroups", "setfsuid",
    "setfsgid", "capset", "chroot", "pivot_root", "setns", "unshare", "personality", "sethostname",
    "setdomainname",
    /* the file systems */
    "mount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount",
    "fspick", "open_by_handle_at", "name_to_handle_at", "mknod", "mknodat", "swapon", "swapoff",
    "quotactl", "quotactl_fd",
    /* the machine */
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "iopl", "ioperm", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "acct",
    "syslog", "vhangup", "modify_ldt",
    /* large surfaces that nothing here uses */
    "add_key", "request_key", "keyctl", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "lookup_dcookie", "fanotify_init", "fanotify_mark", "remap_file_pages",
    "vmsplice", "uselib", "ustat", "perf_event_open"};

static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

static int forbid(scmp_filter_ctx filter, bool bpf)
{
    int result = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(never) && result == 0; i++) {
        int number = seccomp_syscall_resolve_name(never[i]);

        /* One that this machine, or this libseccomp, does not have. */
        if (number == __NR_SCMP_ERROR || number < 0)
            continue;
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    }
    if (result == 0 && !bpf)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(bpf), 0);
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    /* Its flags are in memory, which a filter cannot read; glibc falls back to clone(2). */
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return result;
}

/* Between the families that are allowed none is. */
static int forbid_families(scmp_filter_ctx filter)
{
    int result = 0;

    for (int family = 0; family < AF_MAX && result == 0; family++) {
        bool allowed = false;

        for (gsize i = 0; i < G_N_ELEMENTS(families); i++)
            allowed = allowed || families[i] == family;
        if (!allowed)
            result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
    }
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_GE, AF_MAX));
    return result;
}

int vh_confine(bool bpf, GError **error)
{
    scmp_filter_ctx filter = VH_SANITIZED ? NULL : seccomp_init(SCMP_ACT_ALLOW);
    int result = filter ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;

    if (VH_SANITIZED)
        return 0;
    if (result == 0)
        result = forbid(filter, bpf);
    if (result == 0)
        result = forbid_families(filter);
    if (result == 0)
        result = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    if (result == 0)
        return 0;
    g_set_error(
        error, VH_ERROR, VH_ERROR_FAILED,
        "the seccomp filter cannot be loaded: %s (does this kernel have CONFIG_SECCOMP_FILTER?)",
        g_strerror(-result));
    return -1;
}
