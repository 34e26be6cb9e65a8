// SPDX-License-Identifier: GPL-2.0-or-later
// Runs slow calls beside the loop: see jobs.h.
#include "jobs.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define STACK_SIZE (1u << 20)
#define NICE 5 /* beyond the loop's */

static void list_init(struct vh_job_list *list)
{
    list->first = NULL;
    list->after = &list->first;
}

static void list_add(struct vh_job_list *list, struct vh_job *job)
{
    job->next = NULL;
    *list->after = job;
    list->after = &job->next;
}

/* NULL: there is none. */
static struct vh_job *list_take(struct vh_job_list *list)
{
    struct vh_job *job = list->first;

    if (!job)
        return NULL;
    list->first = job->next;
    if (!list->first)
        list->after = &list->first;
    return job;
}

int vh_jobs_init(struct vh_jobs *jobs)
{
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (event < 0)
        return -errno;
    *jobs = (struct vh_jobs){
        .event = event, .lock = PTHREAD_MUTEX_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER};
    list_init(&jobs->begun);
    list_init(&jobs->ended);
    return 0;
}

/* With the lock. */
static void end(struct vh_jobs *jobs, struct vh_job *job)
{
    uint64_t one = 1;

    list_add(&jobs->ended, job);
    (void)!write(jobs->event, &one, sizeof(one)); /* cannot fail before 2^64 - 1 */
}

/* The next job, with the lock; NULL when there are idle threads enough without this one. */
static struct vh_job *next(struct vh_jobs *jobs)
{
    while (!jobs->begun.first) {
        if (jobs->free > VH_JOBS_IDLE) {
            jobs->free--;
            return NULL;
        }
        pthread_cond_wait(&jobs->wanted, &jobs->lock);
    }
    return list_take(&jobs->begun);
}

static void *run(void *argument)
{
    struct vh_jobs *jobs = argument;
    struct vh_job *job;

    /* Of Linux's threads each has its own; to have less is nobody's to forbid. */
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE);
    pthread_mutex_lock(&jobs->lock);
    while ((job = next(jobs))) {
        pthread_mutex_unlock(&jobs->lock);
        job->work(job);
        pthread_mutex_lock(&jobs->lock);
        end(jobs, job);
        jobs->free++;
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

static int new_thread(struct vh_jobs *jobs)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    error = pthread_create(&thread, &attributes, run, jobs);
    pthread_attr_destroy(&attributes);
    return error;
}

void vh_jobs_start(struct vh_jobs *jobs, struct vh_job *job)
{
    bool here = false;

    assert(jobs->running < VH_JOBS_MAX);
    jobs->running++;
    pthread_mutex_lock(&jobs->lock);
    if (jobs->free > 0) {
        jobs->free--;
        list_add(&jobs->begun, job);
        pthread_cond_signal(&jobs->wanted);
    } else if (new_thread(jobs) == 0) {
        list_add(&jobs->begun, job);
    } else {
        here = true;
    }
    pthread_mutex_unlock(&jobs->lock);
    if (!here)
        return;
    job->work(job);
    pthread_mutex_lock(&jobs->lock);
    end(jobs, job);
    pthread_mutex_unlock(&jobs->lock);
}

struct vh_job *vh_jobs_take(struct vh_jobs *jobs)
{
    struct vh_job *job;

    pthread_mutex_lock(&jobs->lock);
    job = list_take(&jobs->ended);
    pthread_mutex_unlock(&jobs->lock);
    jobs->running -= job != NULL;
    return job;
}
