/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The threads that serve a guest beside its vCPUs, as /proc tells: QEMU's own, and the kernel's for
 * its vhost devices.
 *
 * A thread's name is what QEMU and libvirt gave it (-name debug-threads=on, which libvirt always
 * says); one without a name that is known counts as part of the emulator: of vCPUs and IOThreads
 * the monitor tells more. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/thread-id.h"

#define VH_THREADS_MAX 8192u

enum vh_thread_kind {
    VH_THREAD_EMULATOR,
    VH_THREAD_VCPU,
    VH_THREAD_IOTHREAD,
    VH_THREAD_VHOST,
    VH_THREAD_KINDS
};
const char *vh_thread_kind_text(enum vh_thread_kind kind);

struct vh_thread {
    pid_t thread;
    uint64_t start; /* see struct vh_thread_id */
    enum vh_thread_kind kind;
    unsigned number; /* of the vCPU or of libvirt's IOThread, else 0 */
    bool kernel;     /* a kernel thread, none of the process's own */
    char name[16];
};

/* Which thread that is, of the QEMU `process`. */
struct vh_thread_id vh_thread_identity(const struct vh_thread *thread,
                                       const struct vh_thread_id *process);

/* All threads (struct vh_thread, by ascending thread) of the QEMU `process`, with its vhost
 * workers: the kernel's threads in the process itself since Linux 6.4, kernel threads named
 * vhost-PID before. Empty when the process is gone, though another one may have its number. `proc`
 * is /proc but for tests. */
GArray *vh_threads_list(const char *proc, const struct vh_thread_id *process);

/* The same without kernel threads, which takes no look at all of /proc. */
GArray *vh_threads_own(const char *proc, const struct vh_thread_id *process);

/* Brings such a list up to date with the threads of the `process` itself: drops those that are
 * gone, adds new ones. Reads a name only for those, so it is quick enough for the hint path.
 * Returns whether it has changed. */
bool vh_threads_update(GArray *threads, const char *proc, const struct vh_thread_id *process);

/* The same, and looks for the process's vhost workers again. */
void vh_threads_renew(GArray *threads, const char *proc, const struct vh_thread_id *process);

/* libvirt's file with the process of the domain `name`; NULL: no file can have that name. g_free()
 * it. */
char *vh_threads_pid_file(const char *name);
/* The process that `pid_file` (may be NULL) names, if its command line has the `uuid`; else none.
 */
struct vh_thread_id vh_threads_read_process(const char *proc, const char *pid_file,
                                            const char *uuid);

/* The process that runs the domain `name` with `uuid`: libvirt's file says so, and its command line
 * agrees. Without that file, the one QEMU started by libvirt that has the UUID. Or none. Reads much
 * of /proc: not for the hint path. */
struct vh_thread_id vh_threads_find_process(const char *proc, const char *name, const char *uuid);
