/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Targets of tests: threads of theirs, as if they were a guest's. */
#pragma once

#include "base/target.h"
#include "machine/tid.h"

/* A thread that may not be there: it has the start 1 then. */
static inline struct vh_thread_id thread_id(pid_t thread)
{
    struct vh_thread_id id = {vh_tid_process(thread), thread, 1};

    if (vh_tid_identify("/proc", id.process, thread, &id) < 0)
        id.process = thread;
    return id;
}

/* A vCPU; borrows the guest's name. */
static inline struct vh_target target_vcpu(const char *guest, unsigned index, pid_t thread)
{
    return (struct vh_target){.key = {guest, VH_TARGET_VCPU, index}, .on = thread_id(thread)};
}

/* A thread beside the vCPUs. */
static inline struct vh_target target_helper(const char *guest, enum vh_target_kind kind,
                                             pid_t thread)
{
    return (struct vh_target){.key = {guest, kind, (unsigned)thread}, .on = thread_id(thread)};
}

/* A VhActuateReason. */
static inline char *target_reason(const struct vh_target *target, gconstpointer cause,
                                  gpointer data)
{
    (void)target;
    (void)cause;
    (void)data;
    return g_strdup("asked for");
}
