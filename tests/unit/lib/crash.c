/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is mapped shared is read-only: each store faults, is a point, and is then let through alone,
 * in a single step. Functions of libc's that matter stand here in their place. */
#include "lib/crash.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define TRAP_FLAG 0x100 /* of the flags' register: one instruction at a time */

static uint32_t *counted; /* NULL: not begun */
static uint32_t fatal;
static void *guarded; /* what is mapped shared; NULL: nothing is */
static size_t length;
static long long latest; /* instruction that has stored something; 0: a call has been made since */

static void point(void)
{
    if (counted && ++*counted == fatal)
        syscall(SYS_kill, getpid(), SIGKILL);
}

#ifdef __x86_64__

bool crash_is_possible(void)
{
    return true;
}

static void protect(int protection)
{
    syscall(SYS_mprotect, guarded, length, protection);
}

static void on_store(int signal_number, siginfo_t *info, void *data)
{
    ucontext_t *context = data;
    const char *at = info->si_addr;

    if (!guarded || at < (const char *)guarded || at >= (const char *)guarded + length) {
        signal(signal_number, SIG_DFL); /* a fault of the program's own */
        return;
    }
    /* A loop copies or clears by one that repeats itself. */
    if (context->uc_mcontext.gregs[REG_RIP] != latest)
        point();
    latest = context->uc_mcontext.gregs[REG_RIP];
    protect(PROT_READ | PROT_WRITE);
    context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int signal_number, siginfo_t *info, void *data)
{
    ucontext_t *context = data;

    (void)signal_number;
    (void)info;
    if (context->uc_mcontext.gregs[REG_RIP] == latest)
        return; /* a string instruction is not through yet */
    context->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    if (guarded)
        protect(PROT_READ);
}

void crash_begin(uint32_t *points, uint32_t at)
{
    struct sigaction store = {.sa_sigaction = on_store, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &store, NULL);
    sigaction(SIGTRAP, &step, NULL);
    counted = points;
    fatal = at;
}

#else

bool crash_is_possible(void)
{
    return false;
}

static void protect(int protection)
{
    (void)protection;
}

void crash_begin(uint32_t *points, uint32_t at)
{
    counted = points;
    fatal = at;
}

#endif

/* ---- in place of libc's ---- */

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *made = (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);

    if (counted && made != MAP_FAILED && (flags & MAP_SHARED) && fd >= 0 &&
        (protection & PROT_WRITE)) {
        guarded = made;
        length = size;
        protect(PROT_READ);
    }
    return made;
}

int munmap(void *address, size_t size)
{
    if (address == guarded)
        guarded = NULL;
    return (int)syscall(SYS_munmap, address, size);
}

/* The kernel would not write to what is read-only. */
int sched_getaffinity(pid_t thread, size_t size, cpu_set_t *cpus)
{
    char made[8192] = {0};
    long len = syscall(SYS_sched_getaffinity, thread, sizeof(made), made);

    if (len < 0)
        return -1;
    if ((size_t)len > size) {
        errno = EINVAL;
        return -1;
    }
    memcpy(cpus, made, size);
    return 0;
}

static void point_at_call(void)
{
    latest = 0;
    point();
}

static int changed(long result)
{
    int number = errno;

    point_at_call();
    errno = number;
    return (int)result;
}

int sched_setaffinity(pid_t thread, size_t size, const cpu_set_t *cpus)
{
    point_at_call();
    return changed(syscall(SYS_sched_setaffinity, thread, size, cpus));
}

int sched_setscheduler(pid_t thread, int policy, const struct sched_param *param)
{
    point_at_call();
    return changed(syscall(SYS_sched_setscheduler, thread, policy, param));
}

int setpriority(__priority_which_t which, id_t who, int priority)
{
    point_at_call();
    return changed(syscall(SYS_setpriority, which, who, priority));
}
