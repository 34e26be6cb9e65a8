// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps a connection to libvirtd, and carries its events to the main loop.
#include "libvirt/connect.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

#include "base/backoff.h"
#include "libvirt/xml.h"
#include "qemu/events.h"

static void connect_later(VhVirt *virt);

/* ---- libvirt's events, on libvirt's thread ---- */

static struct vh_virt_message *domain_message(VhVirt *virt, virDomainPtr domain,
                                              void (*func)(VhVirt *virt,
                                                           struct vh_virt_message *message))
{
    struct vh_virt_message *message = vh_virt_message_new(virt, func);
    char uuid[VIR_UUID_STRING_BUFLEN] = "";

    virDomainGetUUIDString(domain, uuid);
    message->uuid = g_strdup(uuid);
    return message;
}

static void tell_lifecycle(VhVirt *virt, struct vh_virt_message *message)
{
    virt->funcs->lifecycle(message->uuid, message->event, message->detail, virt->data);
}

static void tell_changed(VhVirt *virt, struct vh_virt_message *message)
{
    virt->funcs->changed(message->uuid, virt->data);
}

static void tell_pinned(VhVirt *virt, struct vh_virt_message *message)
{
    virt->funcs->pinned(message->uuid, message->text, message->details, virt->data);
}

static void tell_monitor(VhVirt *virt, struct vh_virt_message *message)
{
    virt->funcs->monitor(message->uuid, message->text, message->details, virt->data);
}

static int on_lifecycle(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain, int event,
                        int detail, void *data)
{
    struct vh_virt_message *message = domain_message(data, domain, tell_lifecycle);

    message->event = event;
    message->detail = detail;
    vh_virt_post(message);
    return 0;
}

static void on_device(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain,
                      G_GNUC_UNUSED const char *alias, void *data)
{
    vh_virt_post(domain_message(data, domain, tell_changed));
}

/* What we note ourselves is no news. */
static void on_metadata(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain,
                        G_GNUC_UNUSED int type, const char *space, void *data)
{
    if (g_strcmp0(space, VH_DOMAIN_PINS_NAMESPACE) != 0 &&
        g_strcmp0(space, VH_DOMAIN_WISHES_NAMESPACE) != 0)
        vh_virt_post(domain_message(data, domain, tell_changed));
}

static void on_tunable(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain,
                       virTypedParameterPtr params, int count, void *data)
{
    for (int i = 0; i < count; i++) {
        struct vh_virt_message *message;

        if (params[i].type != VIR_TYPED_PARAM_STRING ||
            !g_str_has_prefix(params[i].field, "cputune.") || !strstr(params[i].field, "pin"))
            continue;
        message = domain_message(data, domain, tell_pinned);
        message->text = g_strdup(params[i].field + strlen("cputune."));
        message->details = g_strdup(params[i].value.s);
        vh_virt_post(message);
    }
}

static void on_monitor(G_GNUC_UNUSED virConnectPtr connection, virDomainPtr domain,
                       const char *event, G_GNUC_UNUSED long long seconds,
                       G_GNUC_UNUSED unsigned int micros, const char *details, void *data)
{
    struct vh_virt_message *message = domain_message(data, domain, tell_monitor);

    message->text = g_strdup(event);
    message->details = g_strdup(details);
    vh_virt_post(message);
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

static void tell_down(VhVirt *virt, struct vh_virt_message *message)
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
    struct vh_virt_message *message = vh_virt_message_new(data, tell_down);

    message->connection = connection;
    message->text = g_strdup(texts[CLAMP(reason, 0, (int)G_N_ELEMENTS(texts) - 1)]);
    vh_virt_post(message);
}

static void tell_up(VhVirt *virt, struct vh_virt_message *message)
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
    vh_virt_kick(virt);
}

static void tell_failed(VhVirt *virt, struct vh_virt_message *message)
{
    virt->connecting = false;
    g_free(virt->problem);
    virt->problem = g_strdup_printf("%s: %s", virt->uri, message->text);
    connect_later(virt);
}

static int add_event(virConnectPtr connection, VhVirt *virt, int id,
                     virConnectDomainEventGenericCallback callback)
{
    if (virConnectDomainEventRegisterAny(connection, NULL, id, callback, vh_virt_ref(virt),
                                         vh_virt_unref) >= 0)
        return 0;
    vh_virt_unref(virt);
    return -1;
}

/* All that somebody listens to. */
static int add_monitor_events(virConnectPtr connection, VhVirt *virt)
{
    g_autofree char *names = g_strjoinv("|", (char **)vh_qmp_events);
    g_autofree char *pattern = g_strdup_printf("^(%s)$", names);

    if (virConnectDomainQemuMonitorEventRegister(
            connection, NULL, pattern, on_monitor, vh_virt_ref(virt), vh_virt_unref,
            VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX) >= 0)
        return 0;
    vh_virt_unref(virt);
    return -1;
}

static int add_events(virConnectPtr connection, VhVirt *virt)
{
    if (add_event(connection, virt, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                  VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)) < 0 ||
        add_event(connection, virt, VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
                  VIR_DOMAIN_EVENT_CALLBACK(on_device)) < 0 ||
        add_event(connection, virt, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
                  VIR_DOMAIN_EVENT_CALLBACK(on_device)) < 0 ||
        add_event(connection, virt, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                  VIR_DOMAIN_EVENT_CALLBACK(on_metadata)) < 0 ||
        add_event(connection, virt, VIR_DOMAIN_EVENT_ID_TUNABLE,
                  VIR_DOMAIN_EVENT_CALLBACK(on_tunable)) < 0)
        return -1;
    return add_monitor_events(connection, virt);
}

void vh_virt_open(VhVirt *virt)
{
    virConnectPtr connection = virConnectOpen(virt->uri);
    struct vh_virt_message *message = NULL;

    if (!connection) {
        message = vh_virt_message_new(virt, tell_failed);
        message->text = vh_virt_error();
    } else if (virConnectRegisterCloseCallback(connection, on_close, vh_virt_ref(virt),
                                               vh_virt_unref) < 0 ||
               add_events(connection, virt) < 0) {
        message = vh_virt_message_new(virt, tell_failed);
        message->text = vh_virt_error();
        virConnectUnregisterCloseCallback(connection, on_close);
        virConnectClose(connection);
    } else {
        message = vh_virt_message_new(virt, tell_up);
        message->connection = connection;
    }
    vh_virt_post(message);
}

void vh_virt_connect(VhVirt *virt)
{
    g_clear_handle_id(&virt->timer, g_source_remove);
    if (virt->connecting || virt->connection)
        return;
    virt->connecting = true;
    vh_virt_push_open(virt);
}

static gboolean on_timer(gpointer data)
{
    VhVirt *virt = data;

    virt->timer = 0;
    vh_virt_connect(virt);
    return G_SOURCE_REMOVE;
}

static void on_socket(gpointer data)
{
    VhVirt *virt = data;

    virt->tries = 0;
    vh_virt_connect(virt);
}

static void connect_later(VhVirt *virt)
{
    guint delay = vh_backoff(virt->tries++, VH_VIRT_RETRY_MIN, VH_VIRT_RETRY_MAX);

    if (virt->socket && virt->watch && !virt->awaiting)
        virt->awaiting = vh_path_watch_add(virt->watch, virt->socket, on_socket, virt);
    if (!virt->timer)
        virt->timer = g_timeout_add(delay, on_timer, virt);
}
