// SPDX-License-Identifier: GPL-2.0-or-later
// Carries jobs to worker threads, and messages from those to the main loop.
#include "libvirt/jobs.h"

#include <libvirt/virterror.h>

/* The jobs of one key. */
struct queue {
    char *key;
    GQueue jobs;  /* struct job */
    bool running; /* a worker has it */
};

struct job {
    const struct vh_virt_job *kind;
    gpointer data;
};

VhVirt *vh_virt_ref(VhVirt *virt)
{
    g_atomic_int_inc(&virt->refs);
    return virt;
}

void vh_virt_unref(gpointer data)
{
    VhVirt *virt = data;

    if (!g_atomic_int_dec_and_test(&virt->refs))
        return;
    g_hash_table_unref(virt->queues);
    g_mutex_clear(&virt->lock);
    g_free(virt->uri);
    g_free(virt->socket);
    g_free(virt->problem);
    g_free(virt);
}

/* ---- from other threads to the main loop ---- */

static void job_free(struct job *job)
{
    if (job->kind->free)
        job->kind->free(job->data);
    g_free(job);
}

static void message_free(gpointer data)
{
    struct vh_virt_message *message = data;

    if (message->job)
        job_free(message->job);
    g_free(message->uuid);
    g_free(message->text);
    g_free(message->details);
    vh_virt_unref(message->virt);
    g_free(message);
}

static gboolean on_message(gpointer data)
{
    struct vh_virt_message *message = data;

    if (!message->virt->closed) /* set on this very thread */
        message->func(message->virt, message);
    return G_SOURCE_REMOVE;
}

struct vh_virt_message *
vh_virt_message_new(VhVirt *virt, void (*func)(VhVirt *virt, struct vh_virt_message *message))
{
    struct vh_virt_message *message = g_new0(struct vh_virt_message, 1);

    message->virt = vh_virt_ref(virt);
    message->func = func;
    return message;
}

void vh_virt_post(struct vh_virt_message *message)
{
    g_autoptr(GSource) source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, on_message, message, message_free);
    g_source_attach(source, NULL);
}

/* ---- jobs ---- */

static void tell_done(VhVirt *virt, struct vh_virt_message *message)
{
    g_atomic_int_add(&virt->outstanding, -1);
    if (message->job->kind->done)
        message->job->kind->done(message->job->data);
}

/* Has the queue a job that can be done now? The lock is held. */
static bool may_run(const VhVirt *virt, struct queue *queue)
{
    const struct job *job = g_queue_peek_head(&queue->jobs);

    return job && !virt->closed && (virt->connection || job->kind->local);
}

void vh_virt_kick(VhVirt *virt)
{
    GHashTableIter iter;
    gpointer value;

    g_mutex_lock(&virt->lock);
    g_hash_table_iter_init(&iter, virt->queues);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct queue *queue = value;

        if (queue->running || !may_run(virt, queue))
            continue;
        queue->running = true;
        g_thread_pool_push(virt->pool, queue, NULL);
    }
    g_mutex_unlock(&virt->lock);
}

/* A worker's turn: one job of one queue. */
static void run_queue(gpointer data, gpointer user_data)
{
    VhVirt *virt = user_data;
    struct queue *queue = data;
    struct job *job = NULL;
    virConnectPtr connection = NULL;
    bool done = false;

    if (data == user_data) { /* the virt itself: not a queue */
        virt->open(virt);
        return;
    }
    g_mutex_lock(&virt->lock);
    if (may_run(virt, queue))
        job = g_queue_pop_head(&queue->jobs);
    else
        queue->running = false;
    if (job && !job->kind->local) {
        connection = virt->connection;
        virConnectRef(connection);
    }
    g_mutex_unlock(&virt->lock);
    if (!job)
        return;

    done = job->kind->work(connection, job->data);
    if (connection)
        virConnectClose(connection); /* the reference */
    if (done) {
        struct vh_virt_message *message = vh_virt_message_new(virt, tell_done);

        message->job = job;
        vh_virt_post(message);
    }
    g_mutex_lock(&virt->lock);
    if (!done)
        g_queue_push_head(&queue->jobs, job);
    /* A connection that is lost is replaced, and that kicks all queues; the new one may be there
     * already. */
    queue->running = may_run(virt, queue) && (done || virt->connection != connection);
    if (queue->running)
        g_thread_pool_push(virt->pool, queue, NULL);
    else if (g_queue_is_empty(&queue->jobs))
        g_hash_table_remove(virt->queues, queue->key);
    g_mutex_unlock(&virt->lock);
}

static void queue_free(gpointer data)
{
    struct queue *queue = data;
    struct job *job;

    while ((job = g_queue_pop_head(&queue->jobs)))
        job_free(job);
    g_free(queue->key);
    g_free(queue);
}

void vh_virt_begin_jobs(VhVirt *virt)
{
    virt->refs = 1;
    g_mutex_init(&virt->lock);
    virt->queues = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, queue_free);
    virt->pool = g_thread_pool_new(run_queue, virt, VH_VIRT_WORKERS, FALSE, NULL);
}

void vh_virt_push_open(VhVirt *virt)
{
    g_thread_pool_push(virt->pool, virt, NULL);
}

void vh_virt_submit(VhVirt *virt, const char *key, const struct vh_virt_job *kind, gpointer data)
{
    struct job *job = g_new0(struct job, 1);
    struct queue *queue;

    job->kind = kind;
    job->data = data;
    g_atomic_int_inc(&virt->outstanding);
    g_mutex_lock(&virt->lock);
    queue = g_hash_table_lookup(virt->queues, key);
    if (!queue) {
        queue = g_new0(struct queue, 1);
        queue->key = g_strdup(key);
        g_queue_init(&queue->jobs);
        g_hash_table_insert(virt->queues, queue->key, queue);
    }
    g_queue_push_tail(&queue->jobs, job);
    if (!queue->running && may_run(virt, queue)) {
        queue->running = true;
        g_thread_pool_push(virt->pool, queue, NULL);
    }
    g_mutex_unlock(&virt->lock);
}

bool vh_virt_lost(virConnectPtr connection)
{
    return virConnectIsAlive(connection) <= 0;
}

char *vh_virt_error(void)
{
    const virError *error = virGetLastError();

    return g_utf8_make_valid(error && error->message ? error->message : "libvirt does not say why",
                             -1);
}
