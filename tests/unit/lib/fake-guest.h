/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests without monitor and channel, in the place of guest/guest.c's: a test says what each is and
 * wishes, and calls the functions that it was given. */
#pragma once

#include "guest/guest.h"

#define FAKE_THREADS 8u
#define FAKE_START 1u /* of every thread */

struct VhGuest {
    const struct vh_config_guest *config;
    VhGuestNames *names;
    const struct vh_guest_funcs *funcs;
    gpointer data;
    VhGuestPolicy *policy;
    VhPrograms *programs;
    VhRamDevice *ram;
    struct vh_cpu_map map;

    /* What tests set. */
    struct vh_vcpu vcpus[FAKE_THREADS];
    struct vh_wish wishes[FAKE_THREADS];
    unsigned vcpu_count;
    struct vh_thread helpers[FAKE_THREADS];
    unsigned helper_count;
    struct vh_ram_wish memory;
    pid_t process;
    bool connected; /* also: settled */
    bool heavy;
    bool emulated;
    const char *unsteady;

    /* What tests look at. */
    gint64 charged;
    unsigned refreshed; /* looks at its threads */
    unsigned looks;     /* at its helpers, to go through them all */
};

/* Tells that its wishes may have changed. */
void fake_guest_changed(VhGuest *guest, const char *why);
/* One more vCPU, that wishes nothing. */
void fake_guest_add_vcpu(VhGuest *guest, pid_t thread);
/* One more thread; `number` as struct vh_thread has it. */
void fake_guest_add_helper(VhGuest *guest, pid_t thread, enum vh_thread_kind kind, unsigned number);
/* The vCPU wishes a host CPU of its own; not any longer. */
void fake_guest_anchor(VhGuest *guest, unsigned vcpu);
void fake_guest_float(VhGuest *guest, unsigned vcpu);
