/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that one running injector has: main.c's context, and what the session's requests act upon. */
#pragma once

#include "cpus.h"
#include "jobs.h"
#include "programs.h"
#include "session.h"

#define VH_READ_SIZE 65536u
#define VH_SETTLE_NS 100000000u

/* Where an event of the epoll set comes from. */
enum vh_source { SOURCE_PORT, SOURCE_UEVENT, SOURCE_SIGNAL, SOURCE_RING, SOURCE_JOB };

struct vh_options {
    const char *port_name;
    const char *port_path; /* NULL: find port_name in sysfs */
    bool verbose;
};

struct vh_agent {
    struct vh_options options;
    int epoll;
    int uevents;
    int signals;
    int port;         /* -1: there is none yet */
    bool host;        /* its end is open */
    bool readable;    /* the port may have bytes for us */
    uint64_t settles; /* ns of CLOCK_MONOTONIC: when to look what the programs were not shown; 0:
                         nothing has moved */
    bool gone;        /* a test's socket was closed by its other side, or a signal came */
    uint32_t in_at;
    uint32_t in_len;
    uint8_t in[VH_READ_SIZE];
    struct vh_cpu_map cpus;
    struct vh_jobs jobs;
    struct vh_change *loads; /* under way */
    uint32_t changes;        /* loads and unloads under way */
    struct vh_programs_set programs;
    struct vh_session session;
};

/* Hints move: VH_SETTLE_NS from now, if not earlier, the programs' losses are to be looked at. */
void vh_agent_stir(struct vh_agent *in);

/* From now on `events` (epoll's) of `fd` come from `source`. 0 or -errno. */
int vh_agent_watch(struct vh_agent *in, int fd, uint32_t events, enum vh_source source);

uint64_t vh_agent_now(void); /* CLOCK_MONOTONIC, ns */
/* Something is wrong with a program: tells the host and the guest's operator, if it is news. "":
 * nothing but what was left out of it. One that is not in the set yet is told of with PROGRAMS. */
void vh_agent_trouble(struct vh_agent *in, struct vh_running *running, const char *text);

/* channel.c */
/* Opens the port if it is there. 0 also when it is not: a uevent will tell. */
int vh_channel_look(struct vh_agent *in);
/* Something has happened to the port; `events` are epoll's. */
void vh_channel_on_event(struct vh_agent *in, uint32_t events);
/* Reads and handles until nothing is left, or the answers fill the way out. */
void vh_channel_take(struct vh_agent *in);
/* Writes what the port takes; true when that was anything. */
bool vh_channel_flush(struct vh_agent *in);

/* changes.c: as in struct vh_session_ops. */
void vh_change_load(void *context, struct vh_ticket ticket, struct vh_transfer *transfer);
void vh_change_unload(void *context, struct vh_ticket ticket, const char *name);
/* Nobody waits any longer for the loads that are under way. */
void vh_changes_forget(struct vh_agent *in);
/* The walk has ended of a program that leaves. */
void vh_change_leave(struct vh_running *running);

/* walks.c */
/* A program has been attached: finds the facts that are older. */
void vh_walk_first(struct vh_agent *in, struct vh_running *running);
/* As in struct vh_session_ops. */
void vh_walk_facts(void *context, struct vh_ticket ticket, uint32_t program);
/* When to look at walks again, ns of CLOCK_MONOTONIC; 0: at no time. */
uint64_t vh_walks_deadline(const struct vh_agent *in);
/* Gives up those that are over their time. */
void vh_walks_look(struct vh_agent *in);

/* What the session asks of an agent, its context. */
extern const struct vh_session_ops vh_agent_ops;
