/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Targets of tests: threads of theirs, as if they were a guest's. */
#pragma once

#include "base/target.h"

/* A vCPU; a test's guest borrows its name. */
static inline struct vh_target target_vcpu(const char *guest, unsigned index, pid_t thread)
{
    return (struct vh_target){.key = {guest, VH_TARGET_VCPU, index}, .thread = thread};
}

/* A thread beside the vCPUs. */
static inline struct vh_target target_helper(const char *guest, enum vh_target_kind kind,
                                             pid_t thread)
{
    return (struct vh_target){.key = {guest, kind, (unsigned)thread}, .thread = thread};
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
