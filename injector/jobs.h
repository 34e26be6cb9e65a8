/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slow calls, each in a thread beside the loop, which goes on meanwhile.
 *
 * Theory of operation
 *
 * The injector is one loop (main.c) that relays hints, and everything belongs to it. But the kernel
 * may take seconds to verify, attach or detach a program, and a walk may never end. Such a call is
 * a job:
 *
 *     loop                                thread
 *     vh_jobs_start(job)         ->       job->work(job)
 *     (relays hints)                      (waits for the kernel)
 *     vh_jobs_take() == job      <-       the eventfd wakes the loop
 *     job->done(job)
 *
 * A job that hangs must not keep another from running. So a job never waits for a thread: where
 * none is idle there is a new one. VH_JOBS_IDLE of them are kept for later jobs. For those who
 * watch the guest, a thread that comes and goes would be one more event of ours.
 *
 * Threads are less urgent than the loop: a hint goes first also where the guest has one CPU.
 *
 * There is one lock, of the two lists of jobs that have not begun and that have ended. Nothing else
 * needs any, because of invariant 1.
 *
 * Invariants
 *  1. What a job points to is the thread's from vh_jobs_start to vh_jobs_take, and the loop leaves
 * it alone. Each kind of job names its exceptions (changes.c, walks.c).
 *  2. done() runs in the loop, and may start another job.
 *  3. No job waits for another.
 *  4. There are never more than VH_JOBS_MAX jobs. Whoever starts jobs keeps to that: one walk for
 * each program, and so many changes (changes.c). */
#pragma once

#include <pthread.h>
#include <stdint.h>

#define VH_JOBS_MAX 128u
#define VH_JOBS_IDLE 2u /* threads that are kept */

struct vh_job {
    void (*work)(struct vh_job *job); /* in a thread */
    void (*done)(struct vh_job *job); /* in the loop; frees the job */
    struct vh_job *next;
};

struct vh_job_list {
    struct vh_job *first;
    struct vh_job **after; /* where the next one goes */
};

struct vh_jobs {
    int event;            /* an eventfd for the epoll set: a job has ended */
    uint32_t running;     /* the loop's count of jobs that it has not taken back */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wanted;
    struct vh_job_list begun; /* no thread has them yet */
    struct vh_job_list ended;
    uint32_t free; /* threads that have no job, less the jobs that have no thread */
};

/* `jobs` stays where it is from now on. 0 or -errno. */
int vh_jobs_init(struct vh_jobs *jobs);

/* Runs job->work in a thread; where none can be had, at once. */
void vh_jobs_start(struct vh_jobs *jobs, struct vh_job *job);

/* A job that has ended, whose done() is to be called now; NULL when there is none. */
struct vh_job *vh_jobs_take(struct vh_jobs *jobs);
