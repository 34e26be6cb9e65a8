// SPDX-License-Identifier: GPL-2.0-or-later
// Passes monitor commands through libvirtd.
#include "libvirt/monitor.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

#include "base/json.h"

struct VhVirtMonitor {
    gint refs; /* the client's, and one of each command under way; main loop only */
    VhVirt *virt;
    char *uuid;
    struct vh_thread_id process; /* thread 0: not known */
    const struct vh_qmp_funcs *funcs;
    gpointer data;
    VhVirtMonitorFreed freed;
    gpointer freed_data;
    bool closed;
};

struct command {
    VhVirtMonitor *monitor;
    VhQmpReply reply;
    gpointer reply_data;
    char *uuid;
    char *text;
    JsonNode *answer; /* NULL: it failed, and problem says how */
    char *problem;
};

static void monitor_unref(VhVirtMonitor *monitor)
{
    if (--monitor->refs)
        return;
    g_free(monitor->uuid);
    g_free(monitor);
}

static void command_free(gpointer data)
{
    struct command *command = data;

    /* It never ran. */
    if (command->reply)
        command->reply(NULL, "the domain is gone", command->reply_data);
    monitor_unref(command->monitor);
    g_clear_pointer(&command->answer, json_node_unref);
    g_free(command->uuid);
    g_free(command->text);
    g_free(command->problem);
    g_free(command);
}

/* In a worker. */
static bool work(virConnectPtr connection, gpointer data)
{
    struct command *command = data;
    virDomainPtr domain = virDomainLookupByUUIDString(connection, command->uuid);
    char *text = NULL;
    int result = domain ? virDomainQemuMonitorCommand(domain, command->text, &text, 0) : -1;
    g_autoptr(GError) error = NULL;

    if (result < 0 && vh_virt_lost(connection)) {
        if (domain)
            virDomainFree(domain);
        return false;
    }
    if (result < 0)
        command->problem = vh_virt_error();
    else
        command->answer = vh_json_parse(text, strlen(text), &error);
    if (error)
        command->problem = g_strdup_printf("what the monitor sent %s", error->message);
    free(text);
    if (domain)
        virDomainFree(domain);
    return true;
}

static void done(gpointer data)
{
    struct command *command = data;
    JsonObject *answer = vh_json_object(command->answer);
    VhQmpReply reply = g_steal_pointer(&command->reply);
    const char *problem =
        command->problem ? command->problem : "what the monitor sent is no object";

    reply(vh_json_member(answer, "return"), answer ? vh_qmp_error_text(answer) : problem,
          command->reply_data);
}

static const struct vh_virt_job command_job = {.work = work, .done = done, .free = command_free};

static void give_command(gpointer data, const char *name, JsonObject *arguments, VhQmpReply reply,
                         gpointer reply_data)
{
    VhVirtMonitor *monitor = data;
    g_autofree char *text = vh_qmp_command_text(name, arguments);
    struct command *command = g_new0(struct command, 1);

    command->monitor = monitor;
    monitor->refs++;
    command->reply = reply; /* VhQmp's: never NULL */
    command->reply_data = reply_data;
    command->uuid = g_strdup(monitor->uuid);
    command->text = g_steal_pointer(&text);
    vh_virt_submit(monitor->virt, monitor->uuid, &command_job, command);
}

static struct vh_thread_id peer(gpointer data)
{
    return ((const VhVirtMonitor *)data)->process;
}

static void revived(gpointer data)
{
    VhVirtMonitor *monitor = data;

    if (!monitor->closed)
        monitor->funcs->ready(monitor->data);
}

static void hang_up(gpointer data)
{
    VhVirtMonitor *monitor = data;

    monitor->closed = true;
    monitor->freed(monitor->freed_data);
    monitor_unref(monitor);
}

static const struct vh_qmp_road road = {
    .command = give_command, .peer = peer, .revived = revived, .free = hang_up};

VhQmp *vh_virt_monitor_new(VhVirt *virt, const char *uuid, const struct vh_qmp_funcs *funcs,
                           gpointer data, VhVirtMonitorFreed freed, gpointer freed_data,
                           VhVirtMonitor **monitor)
{
    VhVirtMonitor *new = g_new0(VhVirtMonitor, 1);

    new->refs = 1;
    new->virt = virt;
    new->uuid = g_strdup(uuid);
    new->funcs = funcs;
    new->data = data;
    new->freed = freed;
    new->freed_data = freed_data;
    *monitor = new;
    return vh_qmp_new_over(&road, new);
}

void vh_virt_monitor_ready(VhVirtMonitor *monitor, const struct vh_thread_id *process)
{
    monitor->process = *process;
    monitor->funcs->ready(monitor->data);
}

void vh_virt_monitor_event(VhVirtMonitor *monitor, enum vh_qmp_event event, const char *details)
{
    g_autoptr(JsonNode) node = details ? vh_json_parse(details, strlen(details), NULL) : NULL;

    monitor->funcs->event(event, vh_json_object(node), monitor->data);
}
