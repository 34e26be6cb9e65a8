/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs that run in this guest, side by side. */
#pragma once

#include "program.h"

struct vh_programs_set {
    int epoll; /* borrowed; rings are watched there */
    uint64_t ring_event;
    uint32_t cpus;    /* possible guest CPUs */
    uint32_t last_id; /* given to a program */
    uint32_t count;
    struct vh_running *running[VH_PROGRAMS_MAX];
    uint32_t turn; /* whose it is first, see vh_programs_relay */
};

/* Rings are added to `epoll` (edge-triggered) with `ring_event` as data. */
void vh_programs_init(struct vh_programs_set *set, int epoll, uint64_t ring_event, uint32_t cpus);

/* Adds a program (taken over) under a new id. `*old`: the one of its name that it replaces, taken
 * out; NULL: none. 0, or -errno with `text` (VH_TEXT_MAX + 1 bytes), and the set is as before. */
int vh_programs_add(struct vh_programs_set *set, struct vh_running *running, bool replace,
                    struct vh_running **old, char *text);
/* Takes a program out, which is the caller's from now on; NULL: there is none of this name. */
struct vh_running *vh_programs_remove(struct vh_programs_set *set, const char *name);

/* As in struct vh_session_ops. */
uint32_t vh_programs_list(const struct vh_programs_set *set,
                          struct vh_program programs[VH_PROGRAMS_MAX]);

/* NULL when there is none of this id. */
struct vh_running *vh_programs_find(struct vh_programs_set *set, uint32_t id);

/* Gives each program one turn, while there is room: of a snapshot that is being sent a part, else
 * of the ring's hints a slice. The next call begins behind the last one that had something to send.
 * True when any had. */
bool vh_programs_relay(struct vh_programs_set *set, struct vh_session *session);

/* Each of program.h's, for all. */
void vh_programs_account(struct vh_programs_set *set);
void vh_programs_discard(struct vh_programs_set *set);
