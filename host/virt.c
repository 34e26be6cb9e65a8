/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps a connection to libvirtd and carries jobs to it and events from it. */
#include "virt.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "pathwatch.h"
#include "virt-loop.h"

#define MONITOR_EVENTS "^(VSERPORT_CHANGE|RESET|SHUTDOWN|DEVICE_DELETED|ACPI_DEVICE_OST)$"
#define SYSTEM_SOCKET "/run/libvirt/libvirt-sock"

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

struct VhVirt {
    gint refs;        /* atomic */
    gint outstanding; /* atomic: jobs that are not done */
    char *uri;
    GThreadPool *pool;

    GMutex lock;              /* guards the next three */
    GHashTable *queues;       /* key -> struct queue */
    virConnectPtr connection; /* NULL: none */
    bool closed;              /* freed by its owner, though workers may have references */

    /* the main loop's only */
    const struct vh_virt_funcs *funcs;
    gpointer data;
    char *problem;
    bool connecting;
    guint tries;
    guint timer;
    VhPathWatch *watch;
    char *socket; /* NULL: not local */
    guint awaiting;
};

static bool may_run(const VhVirt *virt, struct queue *queue);
static void connect_later(VhVirt *virt);

static VhVirt *virt_ref(VhVirt *virt)
{
    g_atomic_int_inc(&virt->refs);
    return virt;
}

static void virt_unref(gpointer data)
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

struct message {
    VhVirt *virt;
    void (*func)(VhVirt *virt, struct message *message);
    char *uuid;
    char *text;
    char *details;
    int event;
    int detail;
    virConnectPtr connection;
    struct job *job;
};

static void job_free(struct job *job)
{
    if (job->kind->free)
        job->kind->free(job->data);
    g_free(job);
}

static void message_free(gpointer data)
{
    struct message *message = data;

    if (message->job)
        job_free(message->job);
    g_free(message->uuid);
    g_free(message->text);
    g_free(message->details);
    virt_unref(message->virt);
    g_free(message);
}

static gboolean on_message(gpointer data)
{
    struct message *message = data;

    if (!message->virt->closed) /* set on this very thread */
        message->func(message->virt, message);
    return G_SOURCE_REMOVE;
}

static struct message *message_new(VhVirt *virt, void (*func)(VhVirt *virt, struct message *message))
{
    struct message *message = g_new0(struct message, 1);

    message->virt = virt_ref(virt);
    message->func = func;
    return message;
}

/* Messages arrive in the order in which they are posted. */
static void post(struct message *message)
{
    g_autoptr(GSource) source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, on_message, message, message_free);
    g_source_attach(source, NULL);
}

/* ---- libvirt's events, on libvirt's thread ---- */

static struct message *domain_message(VhVirt *virt, virDomainPtr domain,
                                      void (*func)(VhVirt *virt, struct message *message))
{
    struct message *message = message_new(virt, func);
    char uuid[VIR_UUID_STRING_BUFLEN] = "";

    virDomainGetUUIDString(domain, uuid);
    message->uuid = g_strdup(uuid);
    return message;
}

static void tell_lifecycle(VhVirt *virt, struct message *message)
{
    virt->funcs->lifecycle(message->uuid, message->event, message->detail, virt->data);
}

static void tell_changed(VhVirt *virt, struct message *message)
{
    virt->funcs->changed(message->uuid, virt->data);
}

static void tell_pinned(VhVirt *virt, struct message *message)
{
    virt->funcs->pinned(message->uuid, message->text, message->details, virt->data);
}

static void tell_monitor(VhVirt *virt, struct message *message)
{
    virt->funcs->monitor(message->uuid, message->text, message->details, virt->data);
}

static int on_lifecycle(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain, int event, int detail,
                        void *data)
{
    struct message *message = domain_message(data, domain, tell_lifecycle);

    message->event = event;
    message->detail = detail;
    post(message);
    return 0;
}

static void on_device(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain, G_GNUC_UNUSED const char *alias,
                      void *data)
{
    post(domain_message(data, domain, tell_changed));
}

static void on_metadata(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain, G_GNUC_UNUSED int type,
                        G_GNUC_UNUSED const char *space, void *data)
{
    post(domain_message(data, domain, tell_changed));
}

static void on_tunable(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain, virTypedParameterPtr params,
                       int count, void *data)
{
    for (int i = 0; i < count; i++) {
        struct message *message;

        if (params[i].type != VIR_TYPED_PARAM_STRING || !g_str_has_prefix(params[i].field, "cputune.") ||
            !strstr(params[i].field, "pin"))
            continue;
        message = domain_message(data, domain, tell_pinned);
        message->text = g_strdup(params[i].field + strlen("cputune."));
        message->details = g_strdup(params[i].value.s);
        post(message);
    }
}

static void on_monitor(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain, const char *event,
                       G_GNUC_UNUSED long long seconds, G_GNUC_UNUSED unsigned int micros, const char *details,
                       void *data)
{
    struct message *message = domain_message(data, domain, tell_monitor);

    message->text = g_strdup(event);
    message->details = g_strdup(details);
    post(message);
}

/* ---- connecting ---- */

static void drop_connection(VhVirt *virt, virConnectPtr connection)
{
    bool ours = false;

    g_mutex_lock(&virt->lock);
    if (virt->connection == connection) {
        virt->connection = NULL;
        ours = true;
    }
    g_mutex_unlock(&virt->lock);
    if (ours)
        virConnectClose(connection); /* it is dead: nothing to wait for */
}

static void tell_down(VhVirt *virt, struct message *message)
{
    drop_connection(virt, message->connection);
    g_free(virt->problem);
    virt->problem = g_strdup_printf("%s: %s", virt->uri, message->text);
    virt->funcs->down(virt->problem, virt->data);
    virt->tries = 0;
    connect_later(virt);
}

static void on_close(virConnectPtr connection, int reason, void *data)
{
    static const char *const texts[] = {"libvirtd has an I/O error", "libvirtd has hung up",
                                        "libvirtd does not answer", "the connection was closed"};
    struct message *message = message_new(data, tell_down);

    message->connection = connection;
    message->text = g_strdup(texts[CLAMP(reason, 0, (int)G_N_ELEMENTS(texts) - 1)]);
    post(message);
}

static void kick_all(VhVirt *virt)
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

static void tell_up(VhVirt *virt, struct message *message)
{
    virt->connecting = false;
    virt->tries = 0;
    g_free(virt->problem);
    virt->problem = g_strdup("");
    if (virt->awaiting)
        vh_path_watch_remove(virt->watch, virt->awaiting);
    virt->awaiting = 0;
    g_mutex_lock(&virt->lock);
    virt->connection = message->connection;
    g_mutex_unlock(&virt->lock);
    /* It may have gone before anybody listened to its end. */
    if (vh_virt_lost(message->connection)) {
        drop_connection(virt, message->connection);
        connect_later(virt);
        return;
    }
    virt->funcs->up(virt->data);
    kick_all(virt);
}

static void tell_failed(VhVirt *virt, struct message *message)
{
    virt->connecting = false;
    g_free(virt->problem);
    virt->problem = g_strdup_printf("%s: %s", virt->uri, message->text);
    connect_later(virt);
}

static int add_event(virConnectPtr connection, VhVirt *virt, int id, virConnectDomainEventGenericCallback callback)
{
    if (virConnectDomainEventRegisterAny(connection, NULL, id, callback, virt_ref(virt), virt_unref) >= 0)
        return 0;
    virt_unref(virt);
    return -1;
}

static int add_events(virConnectPtr connection, VhVirt *virt)
{
    if (add_event(connection, virt, VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)) < 0 ||
        add_event(connection, virt, VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)) < 0 ||
        add_event(connection, virt, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)) <
            0 ||
        add_event(connection, virt, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)) <
            0 ||
        add_event(connection, virt, VIR_DOMAIN_EVENT_ID_TUNABLE, VIR_DOMAIN_EVENT_CALLBACK(on_tunable)) < 0)
        return -1;
    if (virConnectDomainQemuMonitorEventRegister(connection, NULL, MONITOR_EVENTS, on_monitor, virt_ref(virt),
                                                 virt_unref,
                                                 VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX) >= 0)
        return 0;
    virt_unref(virt);
    return -1;
}

/* In a worker. */
static void open_connection(VhVirt *virt)
{
    virConnectPtr connection = virConnectOpen(virt->uri);
    struct message *message = NULL;

    if (!connection) {
        message = message_new(virt, tell_failed);
        message->text = vh_virt_error();
    } else if (virConnectRegisterCloseCallback(connection, on_close, virt_ref(virt), virt_unref) < 0 ||
               add_events(connection, virt) < 0) {
        message = message_new(virt, tell_failed);
        message->text = vh_virt_error();
        virConnectUnregisterCloseCallback(connection, on_close);
        virConnectClose(connection);
    } else {
        message = message_new(virt, tell_up);
        message->connection = connection;
    }
    post(message);
}

static void connect_now(VhVirt *virt)
{
    g_clear_handle_id(&virt->timer, g_source_remove);
    if (virt->connecting || virt->connection)
        return;
    virt->connecting = true;
    g_thread_pool_push(virt->pool, virt, NULL); /* the virt itself: not a queue */
}

static gboolean on_timer(gpointer data)
{
    VhVirt *virt = data;

    virt->timer = 0;
    connect_now(virt);
    return G_SOURCE_REMOVE;
}

static void on_socket(gpointer data)
{
    VhVirt *virt = data;

    virt->tries = 0;
    connect_now(virt);
}

static void connect_later(VhVirt *virt)
{
    guint delay = VH_VIRT_RETRY_MAX;

    if (virt->tries < 16)
        delay = MIN(VH_VIRT_RETRY_MIN << virt->tries, VH_VIRT_RETRY_MAX);
    virt->tries++;
    if (virt->socket && virt->watch && !virt->awaiting)
        virt->awaiting = vh_path_watch_add(virt->watch, virt->socket, on_socket, virt);
    if (!virt->timer)
        virt->timer = g_timeout_add(delay, on_timer, virt);
}

/* ---- jobs ---- */

static void tell_done(VhVirt *virt, struct message *message)
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

/* A worker's turn: one job of one queue. */
static void run_queue(gpointer data, gpointer user_data)
{
    VhVirt *virt = user_data;
    struct queue *queue = data;
    struct job *job = NULL;
    virConnectPtr connection = NULL;
    bool done = false;

    if (data == user_data) {
        open_connection(virt);
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
        struct message *message = message_new(virt, tell_done);

        message->job = job;
        post(message);
    }
    g_mutex_lock(&virt->lock);
    if (!done)
        g_queue_push_head(&queue->jobs, job);
    /* A connection that is lost is replaced, and that kicks all queues; the new one may be there already. */
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

    return g_utf8_make_valid(error && error->message ? error->message : "libvirt does not say why", -1);
}

/* ---- the whole ---- */

/* libvirt prints errors to stderr unless told otherwise; ours reach the user in our own words. */
static void ignore_error(G_GNUC_UNUSED void *data, G_GNUC_UNUSED virErrorPtr error)
{
}

/* The local socket that `uri` leads to; NULL: none, or not known. */
static char *socket_of(const char *uri)
{
    const char *query = strchr(uri, '?');
    const char *parameter = query ? strstr(query, "socket=") : NULL;

    if (parameter) {
        const char *value = parameter + strlen("socket=");

        return g_uri_unescape_segment(value, value + strcspn(value, "&"), NULL);
    }
    return g_str_has_prefix(uri, "qemu:///system") ? g_strdup(SYSTEM_SOCKET) : NULL;
}

VhVirt *vh_virt_new(const char *uri, const struct vh_virt_funcs *funcs, gpointer data)
{
    VhVirt *virt = g_new0(VhVirt, 1);
    g_autoptr(GError) error = NULL;

    vh_virt_loop_start();
    virSetErrorFunc(NULL, ignore_error);
    virt->refs = 1;
    virt->uri = g_strdup(uri);
    virt->funcs = funcs;
    virt->data = data;
    virt->problem = g_strdup_printf("%s: not connected yet", uri);
    g_mutex_init(&virt->lock);
    virt->queues = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, queue_free);
    virt->pool = g_thread_pool_new(run_queue, virt, VH_VIRT_WORKERS, FALSE, NULL);
    virt->socket = socket_of(uri);
    virt->watch = vh_path_watch_new(&error);
    if (error)
        g_warning("libvirt: %s", error->message);
    connect_now(virt);
    return virt;
}

static gboolean on_drained(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

void vh_virt_drain(VhVirt *virt, guint ms)
{
    bool late = false;
    guint timer = g_timeout_add(ms, on_drained, &late);

    while (!late && virt->connection && g_atomic_int_get(&virt->outstanding))
        g_main_context_iteration(NULL, TRUE);
    if (!late)
        g_source_remove(timer);
}

void vh_virt_free(VhVirt *virt)
{
    if (!virt)
        return;
    g_clear_handle_id(&virt->timer, g_source_remove);
    if (virt->awaiting)
        vh_path_watch_remove(virt->watch, virt->awaiting);
    if (virt->watch)
        vh_path_watch_free(virt->watch);
    g_mutex_lock(&virt->lock);
    virt->closed = true;
    g_mutex_unlock(&virt->lock);
    /* The workers, the connection and what its callbacks refer to stay as they are: closing may take libvirtd's
     * time, and the process ends soon. So this reference stays too. */
}

const char *vh_virt_problem(const VhVirt *virt)
{
    return virt->problem;
}
