/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that one running injector has: main.c's context, and what the session's requests act upon. */
#pragma once

#include "cpus.h"
#include "programs.h"
#include "session.h"

#define VH_READ_SIZE 65536u
#define VH_SETTLE_NS 100000000u

/* Where an event of the epoll set comes from. */
enum vh_source { SOURCE_PORT, SOURCE_UEVENT, SOURCE_SIGNAL, SOURCE_RING };

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
    struct vh_programs_set programs;
    struct vh_session session;
};

/* Hints move: VH_SETTLE_NS from now, if not earlier, the programs' losses are to be looked at. */
void vh_agent_stir(struct vh_agent *in);

/* What the session asks of an agent, its context. */
extern const struct vh_session_ops vh_agent_ops;
