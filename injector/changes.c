// SPDX-License-Identifier: GPL-2.0-or-later
// Loads and unloads programs, as jobs beside the loop.
//
//     LOAD:    loading (thread) -> added to the set, PROGRAMS, ANSWER -> first walk
//              its session has ended meanwhile, or it has no place -> leaves
//     REPLACE: the same, and the old one leaves
//     UNLOAD:  out of the set, PROGRAMS -> leaves, ANSWER
//     leaves:  waits for its walk -> detaching (thread) -> freed
//
// A program that is loading belongs to its job, one that leaves to its own (`leave`); in between it
// is in the set, and the loop's. The one exception to invariant 1 of jobs.h is `unwanted`.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "cleanup.h"
#include "say.h"

/* Loads and unloads under way. The host has one at a time; more are of hosts that have gone. */
#define CHANGES_MAX 32u

struct vh_change {
    struct vh_job job;
    struct vh_agent *in;
    struct vh_change *next; /* in `loads` */
    struct vh_ticket ticket;
    atomic_bool unwanted; /* set by the loop, looked at by the thread */
    uint32_t cpus;
    struct vh_transfer transfer;
    struct vh_running *fresh;
    struct vh_reply reply;
    int error;
};

/* ---- a program leaves ---- */

/* The program is out of the set. */
static void leave(struct vh_agent *in, struct vh_running *running)
{
    in->changes++;
    running->leave.in = in;
    running->leave.due = true;
    if (!running->walk.under_way)
        vh_change_leave(running);
}

void vh_change_unload(void *context, struct vh_ticket ticket, const char *name)
{
    struct vh_agent *in = context;
    struct vh_running *running = vh_programs_remove(&in->programs, name);
    struct vh_reply reply = {0};

    if (!running) {
        snprintf(reply.text, sizeof(reply.text), "%s: no program of this name runs in the guest",
                 name);
        vh_session_done(&in->session, ticket, -ENOENT, &reply);
        return;
    }
    vh_session_send_programs(&in->session);
    running->leave.waited = !running->walk.late;
    running->leave.ticket = ticket;
    if (running->walk.late) {
        snprintf(reply.text, sizeof(reply.text),
                 "%s: it is detached once its iterator comes to an end", name);
        vh_session_done(&in->session, ticket, 0, &reply);
    }
    leave(in, running);
}

/* ---- a program comes ---- */

static void load(struct vh_job *job)
{
    struct vh_change *change = (struct vh_change *)job;

    struct vh_how how = {.cpus = change->cpus, .unwanted = &change->unwanted};

    change->error = vh_load(&change->transfer, how, &change->fresh->loaded, &change->reply);
    if (change->error == 0)
        change->error = vh_running_init(change->fresh, change->reply.text);
    if (change->error)
        vh_running_end(change->fresh);
}

/* It runs: from now on the set has it. 0 or -errno with the reply's text. */
static int take_over(struct vh_change *change)
{
    struct vh_agent *in = change->in;
    struct vh_running *old = NULL;
    int error;

    if (!vh_session_waits(&in->session, change->ticket))
        return -ECANCELED;
    vh_agent_trouble(in, change->fresh, "");
    error =
        vh_programs_add(&in->programs, change->fresh, change->transfer.load.flags & VH_LOAD_REPLACE,
                        &old, change->reply.text);
    if (error)
        return error;
    change->reply.program = change->fresh->id;
    vh_session_send_programs(&in->session);
    if (old)
        leave(in, old);
    return 0;
}

static void unlink_load(struct vh_change *change)
{
    struct vh_change **at = &change->in->loads;

    while (*at != change)
        at = &(*at)->next;
    *at = change->next;
    change->in->changes--;
}

static void loaded(struct vh_job *job)
{
    struct vh_change *change = (struct vh_change *)job;
    struct vh_agent *in = change->in;
    bool runs = change->error == 0;

    unlink_load(change);
    if (runs)
        change->error = take_over(change);
    if (change->error && change->error != -ECANCELED)
        vh_say("program refused: %s", change->reply.text);
    else if (change->error == 0 && in->options.verbose)
        vh_say("program %s runs as number %u", change->fresh->name, change->fresh->id);
    vh_session_done(&in->session, change->ticket, change->error, &change->reply);
    if (change->error == 0)
        vh_walk_first(in, change->fresh);
    else if (runs)
        leave(in, change->fresh);
    else
        free(change->fresh);
    vh_transfer_end(&change->transfer);
    free(change);
}

static struct vh_change *change_new(struct vh_agent *in, struct vh_ticket ticket,
                                    struct vh_transfer *transfer)
{
    vh_autofree struct vh_running *fresh = calloc(1, sizeof(*fresh));
    vh_autofree struct vh_change *change = calloc(1, sizeof(*change));

    if (!fresh || !change)
        return NULL;
    memcpy(fresh->name, transfer->load.name, sizeof(fresh->name));
    memcpy(fresh->digest, transfer->load.digest, sizeof(fresh->digest));
    *change = (struct vh_change){
        .job = {.work = load, .done = loaded},
        .in = in,
        .ticket = ticket,
        .cpus = in->cpus.possible,
        .fresh = vh_take(fresh),
        .transfer = vh_transfer_take(transfer),
    };
    return vh_take(change);
}

void vh_change_load(void *context, struct vh_ticket ticket, struct vh_transfer *transfer)
{
    struct vh_agent *in = context;
    struct vh_reply reply = {0};
    struct vh_change *change;

    if (in->changes >= CHANGES_MAX) {
        snprintf(reply.text, sizeof(reply.text),
                 "%s: the guest's kernel is still busy with %u other programs that come and go; "
                 "try again later",
                 transfer->load.name, in->changes);
        vh_session_done(&in->session, ticket, -EBUSY, &reply);
        return;
    }
    change = change_new(in, ticket, transfer);
    if (!change) {
        snprintf(reply.text, sizeof(reply.text), "%s: the guest has no memory for it",
                 transfer->load.name);
        vh_session_done(&in->session, ticket, -ENOMEM, &reply);
        return;
    }
    in->changes++;
    change->next = in->loads;
    in->loads = change;
    vh_jobs_start(&in->jobs, &change->job);
}

void vh_changes_forget(struct vh_agent *in)
{
    for (struct vh_change *change = in->loads; change; change = change->next)
        atomic_store(&change->unwanted, true);
}
