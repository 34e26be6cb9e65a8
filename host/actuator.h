/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every actuator is: a way to change one thing about one vCPU's host thread, and to put it back. */
#pragma once

#include <stdbool.h>

#include "saved.h"

/* Whom an action is for. */
struct vh_target {
    const char *guest; /* borrowed */
    unsigned vcpu;     /* QEMU's index */
    pid_t thread;
};

/* One actuator's hold on one target. */
typedef struct VhHold VhHold;

struct vh_actuator {
    const char *name;
    /* Can `target` be acted upon? Notes its former state, so that apply is quick. NULL and VH_ERROR_FAILED. */
    VhHold *(*probe)(VhSaved *saved, const struct vh_target *target, GError **error);
    /* 0, or -1 and an error: VH_ERROR_NOT_CONNECTED when the thread is gone, VH_ERROR_INVALID_ARGUMENT when no CPU
     * of `cpus` is online, VH_ERROR_REFUSED when its control group bars some, VH_ERROR_FAILED. The former state is
     * saved before the first change. */
    int (*apply)(VhHold *hold, const struct vh_cpuset *cpus, GError **error);
    /* Puts the former state back, if anything was changed. 0, or -1 and an error as apply's. */
    int (*revert)(VhHold *hold, GError **error);
    /* The former state in words; "" when nothing was changed. g_free() it. */
    char *(*former)(const VhHold *hold);
    /* Ends the hold; does not revert. */
    void (*forget)(VhHold *hold);
    /* Puts back what a dead daemon left applied in `slot`, which is freed. 0; -1 and an error, NOT_CONNECTED when
     * the thread is gone, and with it all need. */
    int (*recover)(VhSaved *saved, struct vh_saved_slot *slot, GError **error);
};

extern const struct vh_actuator vh_actuator_pin;

/* The host CPUs that a thread is allowed on now; false: it is gone. */
bool vh_thread_cpus(pid_t thread, struct vh_cpuset *cpus);
