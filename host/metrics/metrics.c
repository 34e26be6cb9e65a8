// SPDX-License-Identifier: GPL-2.0-or-later
// Answers Prometheus' scrapes.
#include "metrics/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/loopback.h"

struct VhMetrics {
    struct MHD_Daemon *server;
    VhFiguresFunc collect;
    gpointer data;
    guint source; /* on the main loop: a snapshot is to be taken */
    GMutex lock;  /* of what follows, between the main loop's thread and the server's */
    bool closing;
    struct MHD_Response *page; /* of the last snapshot; NULL: none yet */
    gint64 taken;              /* us of the monotonic clock */
    struct vh_figures *fresh;  /* a snapshot that nobody has made a page of */
    GPtrArray *waiting;        /* struct MHD_Connection, suspended */
};

/* ---- the main loop's thread ---- */

static void resume_all(VhMetrics *metrics)
{
    for (guint i = 0; i < metrics->waiting->len; i++)
        MHD_resume_connection(g_ptr_array_index(metrics->waiting, i));
    g_ptr_array_set_size(metrics->waiting, 0);
}

static gboolean on_asked(gpointer data)
{
    VhMetrics *metrics = data;
    struct vh_figures *figures = metrics->collect(metrics->data);

    g_mutex_lock(&metrics->lock);
    metrics->source = 0;
    g_free(metrics->fresh);
    metrics->fresh = figures;
    metrics->taken = g_get_monotonic_time();
    resume_all(metrics);
    g_mutex_unlock(&metrics->lock);
    return G_SOURCE_REMOVE;
}

/* ---- the server's thread ---- */

static struct MHD_Response *make_page(const struct vh_figures *figures)
{
    char *text = vh_figures_text(figures);
    struct MHD_Response *page =
        MHD_create_response_from_buffer_with_free_callback(strlen(text), text, g_free);

    if (page)
        MHD_add_response_header(page, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    return page;
}

/* The page of a snapshot that is young enough, or NULL and the connection waits for one. With the
 * lock held. */
static struct MHD_Response *find_page(VhMetrics *metrics, struct MHD_Connection *connection)
{
    if (metrics->fresh) {
        g_clear_pointer(&metrics->page, MHD_destroy_response);
        metrics->page = make_page(metrics->fresh);
        g_clear_pointer(&metrics->fresh, g_free);
    }
    if (metrics->page && g_get_monotonic_time() - metrics->taken < VH_METRICS_AGE_MS * 1000)
        return metrics->page;
    MHD_suspend_connection(connection);
    g_ptr_array_add(metrics->waiting, connection);
    if (!metrics->source)
        metrics->source = g_idle_add_full(G_PRIORITY_DEFAULT, on_asked, metrics, NULL);
    return NULL;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *page =
        MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, status, page);

    MHD_destroy_response(page);
    return result;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    VhMetrics *metrics = data;
    enum MHD_Result result = MHD_YES;
    struct MHD_Response *page = NULL;

    (void)version;
    (void)upload;
    if (*upload_size)
        return MHD_NO;
    /* An answer to the first call, which comes before the request is whole, would end the
     * connection. */
    if (!*state) {
        *state = metrics;
        return MHD_YES;
    }
    if (g_strcmp0(method, MHD_HTTP_METHOD_GET) != 0 && g_strcmp0(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET /metrics is all there is\n");
    if (g_strcmp0(url, "/metrics") != 0)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "GET /metrics is all there is\n");
    g_mutex_lock(&metrics->lock);
    if (metrics->closing)
        result = MHD_NO;
    else if ((page = find_page(metrics, connection)))
        result = MHD_queue_response(connection, MHD_HTTP_OK, page);
    g_mutex_unlock(&metrics->lock);
    return result;
}

/* ---- life ---- */

VhMetrics *vh_metrics_new(const char *address, VhFiguresFunc collect, gpointer data, GError **error)
{
    g_autoptr(GSocketAddress) parsed = vh_loopback_parse(address);
    struct sockaddr_storage native = {0};
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    VhMetrics *metrics = g_new0(VhMetrics, 1);

    g_mutex_init(&metrics->lock);
    metrics->waiting = g_ptr_array_new();
    metrics->collect = collect;
    metrics->data = data;
    if (parsed && g_socket_address_to_native(parsed, &native, sizeof(native), error)) {
        if (native.ss_family == AF_INET6)
            flags |= MHD_USE_IPv6;
        metrics->server =
            MHD_start_daemon(flags, 0, NULL, NULL, on_request, metrics, MHD_OPTION_SOCK_ADDR,
                             &native, MHD_OPTION_CONNECTION_LIMIT, VH_METRICS_CLIENTS,
                             MHD_OPTION_CONNECTION_TIMEOUT, VH_METRICS_TIMEOUT_S, MHD_OPTION_END);
    }
    if (metrics->server)
        return metrics;
    g_clear_error(error);
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "metrics: cannot listen at %s: %s", address,
                errno ? g_strerror(errno) : "is something else there?");
    vh_metrics_free(metrics);
    return NULL;
}

void vh_metrics_free(VhMetrics *metrics)
{
    if (!metrics)
        return;
    g_mutex_lock(&metrics->lock);
    metrics->closing = true;
    g_clear_handle_id(&metrics->source, g_source_remove);
    resume_all(metrics);
    g_mutex_unlock(&metrics->lock);
    if (metrics->server)
        MHD_stop_daemon(metrics->server);
    g_clear_pointer(&metrics->page, MHD_destroy_response);
    g_free(metrics->fresh);
    g_ptr_array_unref(metrics->waiting);
    g_mutex_clear(&metrics->lock);
    g_free(metrics);
}
