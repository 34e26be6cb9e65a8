// SPDX-License-Identifier: GPL-2.0-or-later
// Begins and ends a connection to libvirtd.
#include "libvirt/virt.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "libvirt/connect.h"
#include "libvirt/loop.h"

#define SYSTEM_SOCKET "/run/libvirt/libvirt-sock"

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
    virt->uri = g_strdup(uri);
    virt->funcs = funcs;
    virt->data = data;
    virt->problem = g_strdup_printf("%s: not connected yet", uri);
    virt->open = vh_virt_open;
    vh_virt_begin_jobs(virt);
    virt->socket = socket_of(uri);
    virt->watch = vh_path_watch_new(&error);
    if (error)
        g_warning("libvirt: %s", error->message);
    vh_virt_connect(virt);
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
    /* The workers, the connection and what its callbacks refer to stay as they are: closing may
     * take libvirtd's time, and the process ends soon. So this reference stays too. */
}

const char *vh_virt_problem(const VhVirt *virt)
{
    return virt->problem;
}
