/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VhGuest between a fake monitor and a fake port.
 *
 * Its QEMU is the test itself: vCPU 0 (APIC id 7) and vCPU 1 (APIC id 3) are threads that wait. The
 * injector has one program, "affinity" (fake-object.h), as number 3. Guest CPU 0 has APIC id 3, so
 * it is vCPU 1; guest CPU 1 is vCPU 0. */
#pragma once

#include "guest/guest.h"
#include "lib/fake-monitor.h"
#include "lib/fake-object.h"
#include "lib/fake-port.h"
#include "lib/victim.h"

#define STAGE_PROGRAM 3u
#define STAGE_VCPUS 2u

struct guest_stage {
    char *directory;
    VhPathWatch *watch;
    VhTurn *turn;
    VhScratch *scratch;
    struct vh_config_guest config;
    struct fake_monitor monitor;
    struct fake_port port;
    struct victim vcpus[STAGE_VCPUS];
    char *cpus;         /* what query-cpus-fast returns */
    VhJournal *journal; /* NULL: none */
    VhGuest *guest;
    uint64_t seq;     /* of the program's next hint */
    uint64_t lost;    /* by the program */
    GString *changed; /* what changed() was told, each with "; " */
    guint injected;   /* calls */
    bool watched;
    GString *lines; /* what watch() was told */
};

/* A fixture's set-up and tear-down. The guest is there and has not been started; both sockets
 * listen. `policy` is text that follows "[guest *] programs = affinity" and the rules of
 * fake-object.h: first keys of that section, then other sections. NULL: none. */
void guest_stage_begin(struct guest_stage *stage, gconstpointer policy);
void guest_stage_end(struct guest_stage *stage, gconstpointer policy);

/* Another guest of `config` as it is now, where it is to differ. */
VhGuest *guest_stage_new_guest(struct guest_stage *stage);
/* What query-cpus-fast returns of vCPUs `first` to `first` + `count` - 1. g_free() it. */
char *guest_stage_cpus(const struct guest_stage *stage, unsigned first, unsigned count);
/* From now on this policy applies. */
void guest_stage_set_policy(struct guest_stage *stage, const char *text);
/* Starts the guest: its monitor tells of its vCPUs, its channel is connected. */
void guest_stage_start(struct guest_stage *stage);
/* The injector answers, and says its CPUs and its program, of which it knows no facts. */
void guest_stage_greet(struct guest_stage *stage);
/* Both; what changed so far is forgotten. */
void guest_stage_up(struct guest_stage *stage);

/* Does all that can be done without waiting. */
void guest_stage_turn(void);

/* A batch of hints: tasks `pid` to `pid` + `count` - 1 are bound to the guest CPUs `mask`; 0: they
 * are gone. */
void guest_stage_tasks(struct guest_stage *stage, guint32 pid, guint count, guint64 mask);
/* A snapshot of one task, or of none (pid 0); and the answer. */
void guest_stage_snapshot(struct guest_stage *stage, guint32 pid, guint64 mask);

/* What changed() was told since the last look. */
void guest_stage_assert_changed(struct guest_stage *stage, const char *expected);
/* The wishes: "A1" an anchor for guest CPU 1, "G1" in group 1, "-" none; by vCPU. */
void guest_stage_assert_wishes(struct guest_stage *stage, const char *expected);
/* The vCPUs: "2: 7 3", their number and APIC ids. */
void guest_stage_assert_vcpus(struct guest_stage *stage, const char *expected);
/* GetGuest's word for `key`: a string, number or truth value as g_variant_print has it. */
void guest_stage_assert_told(struct guest_stage *stage, const char *key, const char *expected);
