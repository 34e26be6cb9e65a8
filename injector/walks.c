// SPDX-License-Identifier: GPL-2.0-or-later
// Walks through programs' iterators and reads their facts, as jobs beside the loop.
//
//     first walk:  walking (thread) -> done
//     snapshot:    walking (thread) -> the ring is emptied -> reading (thread) -> to the session
//
// Hints are relayed while the program walks, but not while its facts are read (snapshot.c). Each
// program has one walk at a time; who asks meanwhile gets the next one. A walk looks at the clock
// between two reads. One that does not come back even so, since it stays inside the kernel, is
// given up: whoever waits is told, and the program has no other walk before that one ends.
//
// The thread reads what never changes while a program runs (`loaded`, state's descriptor and
// sizes), which is the exception to invariant 1 of jobs.h: a program is not freed before its walk
// has ended (changes.c).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "say.h"

#define SECOND 1000000000u
#define WALK_NS (10ull * SECOND)
#define GRACE_NS (2ull * SECOND) /* then a walk is given up */

static struct vh_running *owner(struct vh_walk *walk)
{
    return (struct vh_running *)((char *)walk - offsetof(struct vh_running, walk));
}

static void walk_work(struct vh_job *job)
{
    struct vh_walk *walk = (struct vh_walk *)job;

    walk->taken = vh_snapshot_walk(owner(walk), walk->deadline, walk->text);
    walk->error = walk->taken < 0 ? (int)walk->taken : 0;
}

static void read_work(struct vh_job *job)
{
    struct vh_walk *walk = (struct vh_walk *)job;
    int error;

    walk->refused = 0;
    error = vh_snapshot_read(owner(walk), &walk->facts, &walk->refused);
    if (error) {
        walk->error = error;
        snprintf(walk->text, sizeof(walk->text), "its facts cannot be read: %s", strerror(-error));
    }
}

static void read_done(struct vh_job *job);
static void walk_done(struct vh_job *job);

static void start(struct vh_running *running, void (*work)(struct vh_job *job),
                  void (*done)(struct vh_job *job))
{
    struct vh_walk *walk = &running->walk;

    walk->under_way = true;
    walk->job = (struct vh_job){.work = work, .done = done};
    vh_jobs_start(&walk->in->jobs, &walk->job);
}

/* Of a program without iterators there is nothing to walk, and without `state` nothing to read. */
static void begin(struct vh_agent *in, struct vh_running *running)
{
    struct vh_walk *walk = &running->walk;

    walk->in = in;
    walk->late = false;
    walk->error = 0;
    walk->text[0] = 0;
    walk->taken = 0;
    walk->deadline = vh_agent_now() + WALK_NS;
    if (running->loaded.iterator_count > 0 || running->collects)
        start(running, walk_work, walk_done);
    else
        walk_done(&walk->job);
}

static void begin_read(struct vh_running *running)
{
    struct vh_walk *walk = &running->walk;

    walk->deadline = 0;
    walk->facts = (struct vh_facts){0};
    vh_agent_stir(walk->in);
    vh_snapshot_begin(running, &walk->in->session, &walk->facts);
    running->held = true;
    if (running->state_fd >= 0) {
        start(running, read_work, read_done);
        return;
    }
    walk->refused = 0;
    walk->facts.records = malloc(1); /* of no bytes: there are none, and that is known */
    read_done(&walk->job);
}

/* Whoever has asked meanwhile gets a walk of its own. */
static void next(struct vh_running *running)
{
    struct vh_walk *walk = &running->walk;

    if (!walk->asked)
        return;
    walk->asked = false;
    walk->snapshot = true;
    walk->ticket = walk->next;
    begin(walk->in, running);
}

static void tell_trouble(struct vh_running *running)
{
    const struct vh_walk *walk = &running->walk;
    char text[VH_TROUBLE_SIZE];

    if (walk->error || walk->refused == 0) {
        vh_agent_trouble(walk->in, running, walk->text);
        return;
    }
    snprintf(text, sizeof(text),
             "%llu values of its map `state` are no hints: stamp them before they are put there",
             (unsigned long long)walk->refused);
    vh_agent_trouble(walk->in, running, text);
}

static void walk_done(struct vh_job *job)
{
    struct vh_walk *walk = (struct vh_walk *)job;
    struct vh_running *running = owner(walk);

    walk->under_way = false;
    if (running->leave.due) {
        vh_change_leave(running);
        return;
    }
    if (walk->taken > 0)
        vh_say("%s: %ld facts had ended unnoticed", running->name, walk->taken);
    tell_trouble(running);
    if (walk->snapshot && !walk->late && vh_session_waits(&walk->in->session, walk->ticket)) {
        begin_read(running);
        return;
    }
    if (walk->error && !walk->snapshot)
        running->dropped++; /* so that the host asks for a snapshot */
    walk->late = false;
    next(running);
}

static void read_done(struct vh_job *job)
{
    struct vh_walk *walk = (struct vh_walk *)job;
    struct vh_running *running = owner(walk);

    walk->under_way = false;
    running->held = false;
    if (running->leave.due) {
        free(walk->facts.records);
        vh_change_leave(running);
        return;
    }
    tell_trouble(running);
    walk->facts.error = walk->error;
    snprintf(walk->facts.text, sizeof(walk->facts.text), "%s", walk->error ? running->trouble : "");
    vh_session_facts(&walk->in->session, walk->ticket, running->id, &walk->facts);
    next(running);
}

void vh_walk_first(struct vh_agent *in, struct vh_running *running)
{
    if (running->loaded.iterator_count == 0 && !running->collects)
        return;
    running->walk.snapshot = false;
    begin(in, running);
}

static void refuse(struct vh_agent *in, struct vh_ticket ticket, uint32_t program, int error,
                   const char *text)
{
    struct vh_facts none = {.error = error};

    snprintf(none.text, sizeof(none.text), "%s", text);
    vh_session_facts(&in->session, ticket, program, &none);
}

void vh_walk_facts(void *context, struct vh_ticket ticket, uint32_t program)
{
    struct vh_agent *in = context;
    struct vh_running *running = vh_programs_find(&in->programs, program);

    if (!running) {
        refuse(in, ticket, program, -ENOENT, "the program has been unloaded meanwhile");
    } else if (running->walk.late) {
        refuse(in, ticket, program, -ETIMEDOUT, running->trouble);
    } else if (running->walk.under_way) {
        running->walk.asked = true;
        running->walk.next = ticket;
    } else {
        running->walk.snapshot = true;
        running->walk.ticket = ticket;
        begin(in, running);
    }
}

uint64_t vh_walks_deadline(const struct vh_agent *in)
{
    uint64_t first = 0;

    for (uint32_t i = 0; i < in->programs.count; i++) {
        const struct vh_walk *walk = &in->programs.running[i]->walk;
        uint64_t end = walk->deadline + GRACE_NS;

        if (walk->under_way && walk->deadline && !walk->late && (first == 0 || end < first))
            first = end;
    }
    return first;
}

static void give_up(struct vh_agent *in, struct vh_running *running)
{
    struct vh_walk *walk = &running->walk;
    char text[VH_TROUBLE_SIZE];

    walk->late = true;
    snprintf(text, sizeof(text),
             "its iterators (%s first) have been running for %llu s; facts older than it, and "
             "missed ones, are unknown",
             running->loaded.iterators[0].name, (WALK_NS + GRACE_NS) / SECOND);
    vh_agent_trouble(in, running, text);
    if (walk->snapshot)
        refuse(in, walk->ticket, running->id, -ETIMEDOUT, running->trouble);
    if (walk->asked)
        refuse(in, walk->next, running->id, -ETIMEDOUT, running->trouble);
    walk->asked = false;
}

void vh_walks_look(struct vh_agent *in)
{
    uint64_t now = vh_walks_deadline(in) ? vh_agent_now() : 0;

    for (uint32_t i = 0; now && i < in->programs.count; i++) {
        struct vh_running *running = in->programs.running[i];
        const struct vh_walk *walk = &running->walk;

        if (walk->under_way && walk->deadline && !walk->late && now >= walk->deadline + GRACE_NS)
            give_up(in, running);
    }
}
