/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fleet of simulated guests: each has a process of its own whose idle threads are its vCPUs, a
 * monitor that says so, and an injector that speaks the real protocol (protocol/PROTOCOL.md) and
 * keeps its rules of credit.
 *
 * One thread serves all sockets; whoever else touches a guest holds the fleet's lock. Errors end
 * the program. */
#pragma once

#include <glib.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <sys/types.h>

#include "msg.h"

#define FLEET_VCPUS 2 /* of each guest, unless told otherwise */
#define FLEET_VCPUS_MAX 128u
#define FLEET_FACTS 4  /* tasks that a quiet guest has bound to its CPU 0 */
#define FLEET_KEYS 64u /* tasks that hints speak of */
#define FLEET_BATCH \
    448u /* hints in a frame: an odd number of rounds, so that each ends elsewhere */
#define FLEET_TURN 65536u  /* bytes read at once */
#define FLEET_PROGRAM_ID 7 /* of the one program that a guest holds */

/* The affinity program's hint, as guest-bpf/affinity.bpf.c lays it out. */
struct fleet_hint {
    struct vh_hint h;
    uint32_t pid;
    uint32_t tgid;
    uint32_t cpus;
    uint32_t reserved;
    uint64_t mask[VH_CPUS_MAX / 64];
    char comm[16];
};
G_STATIC_ASSERT(sizeof(struct fleet_hint) == 120);

struct fleet_guest {
    unsigned number;
    unsigned vcpus;
    pid_t process; /* that they are of */
    pid_t threads[FLEET_VCPUS_MAX];
    int listening[2]; /* monitor, channel */
    int monitor, channel;
    GString *commands; /* of the monitor, not yet whole */
    GByteArray *output;
    struct vh_decoder decoder;
    uint8_t *input; /* the decoder's */
    uint64_t session, peer;
    bool up;
    int64_t credit;
    uint64_t seq;
    bool has_program;
    struct vh_program program;
    struct vh_load load; /* under way */
    uint32_t load_id, loaded;
    crypto_hash_sha256_state digest;
    bool adopted;   /* since the session is up it has been asked for its state, and answered */
    unsigned swing; /* hints made so far: what the next one says */
    bool flooding;
};

struct fleet {
    unsigned count;
    struct fleet_guest *guests;
    const char *directory;
    pthread_mutex_t lock;
    int epoll;
    uint64_t loads; /* programs that were sent */
};

void fleet_die(const char *what) G_GNUC_NORETURN;
uint64_t fleet_now(void);
/* Host CPUs that the thread may use. */
int fleet_cpus(pid_t thread);

/* fleet-process.c: one process for each guest, which dies with this one. Before anything else is
 * begun. */
void fleet_fork(struct fleet *fleet);

/* fleet-monitor.c: says something as the guest's process, which is up to root; answers what it has
 * read. */
void fleet_monitor_say(const struct fleet_guest *guest, const char *text);
void fleet_monitor_input(struct fleet_guest *guest, const char *text, size_t len);

/* fleet-session.c */
void fleet_session_begin(struct fleet_guest *guest);
void fleet_session_input(struct fleet *fleet, struct fleet_guest *guest, const uint8_t *bytes,
                         size_t len);
/* A task of number `key` (0 to FLEET_KEYS - 1) is bound to guest CPU `cpu`; -1: to none any longer.
 */
void fleet_hint(struct fleet_guest *guest, unsigned key, int cpu);
/* Sends a frame of `count` hints, each of which changes a fact. False: no credit, or the socket is
 * full. */
bool fleet_batch(struct fleet_guest *guest, unsigned count);
/* Encodes such a frame; the bytes. */
long fleet_encode_batch(struct fleet_guest *guest, unsigned count, uint8_t *out, size_t size);

/* fleet-serve.c */
void fleet_listen(struct fleet *fleet);
void *fleet_serve(void *fleet);
void fleet_want_output(const struct fleet *fleet, const struct fleet_guest *guest);
/* Writes what the socket takes. */
void fleet_flush(struct fleet_guest *guest);
