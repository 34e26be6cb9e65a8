/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake guests (fake-guest.h) in a round of their own, on a fake host (fake-actuator.h): what a
 * daemon has, but for the manager. */
#pragma once

#include "lib/fake-actuator.h"
#include "lib/fake-guest.h"
#include "round/round.h"

struct herd {
    char *directory;
    char *path; /* of the former states */
    VhSaved *saved;
    VhJournal *journal;
    VhPolicyStore *policy;
    GPtrArray *entries; /* struct vh_entry */
    VhRound *round;

    /* Set before the begin; NULL: there is none. */
    struct VhManager *manager;          /* of the entries */
    const struct vh_guest_funcs *funcs; /* that guests call */
};

/* A daemon without guests; `policy`: the text of vhint.conf. */
void herd_begin(struct herd *herd, const char *policy);
/* The daemon puts all back, and stops: the host is there still. */
void herd_stop(struct herd *herd);
/* The same, if it has not, and ends, unless that is done. */
void herd_end(struct herd *herd);
/* The same; returns the journal, one line for each step. g_free() it. */
char *herd_end_journal(struct herd *herd);
/* The daemon hands over, or dies (which to the host is the same, as boosts go with the warden), and
 * another one starts: no guest has come yet. */
void herd_replace(struct herd *herd);

/* A guest comes, with threads `first`, `first` + 1, ... for its vCPUs, not connected yet. */
struct vh_entry *herd_add(struct herd *herd, const char *name, unsigned vcpus, pid_t first);
/* It has gone. */
void herd_remove(struct herd *herd, struct vh_entry *entry);
/* What GetGuest says of the vCPU at `position`: "state", "reason" and so on. g_free() it. */
char *herd_vcpu(struct herd *herd, const struct vh_entry *entry, unsigned position,
                const char *key);
