// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's monitor: which device is our port, and the events that end what its injector said.
#include "base/json.h"
#include "guest/state.h"
#include "qemu/vcpus.h"

/* ---- which device is our port ---- */

#define NO_ID \
    "QEMU's device of the port " VH_PORT_NAME \
    " has no id, so vhintd notices a dead injector only when the next one speaks: give it an id"

struct port_query {
    VhGuest *guest;
    char *device;
};

static void on_port_name(JsonNode *result, const char *error, gpointer data)
{
    struct port_query *query = data;

    (void)error;
    if (query->guest->monitor_ready && g_strcmp0(vh_json_text(result), VH_PORT_NAME) == 0) {
        g_free(query->guest->port_device);
        query->guest->port_device = g_steal_pointer(&query->device);
        query->guest->port_problem = "";
        vh_guest_show(query->guest);
    }
    g_free(query->device);
    g_free(query);
}

static void ask_port_name(VhGuest *guest, const char *device)
{
    struct port_query *query = g_new0(struct port_query, 1);
    g_autofree char *path = g_strconcat("/machine/peripheral/", device, NULL);
    JsonObject *arguments = json_object_new();

    query->guest = guest;
    query->device = g_strdup(device);
    json_object_set_string_member(arguments, "path", path);
    json_object_set_string_member(arguments, "property", "name");
    vh_qmp_command(guest->monitor, "qom-get", arguments, on_port_name, query);
}

static void on_devices(JsonNode *result, const char *error, gpointer data)
{
    VhGuest *guest = data;
    JsonArray *list = vh_json_array(result);

    (void)error;
    if (guest->monitor_ready) {
        guest->port_problem = NO_ID;
        vh_guest_show(guest);
    }
    for (guint i = 0; guest->monitor_ready && i < vh_json_length(list); i++) {
        JsonObject *device = vh_json_object(vh_json_element(list, i));
        const char *name = vh_json_member_text(device, "name", "");

        if (*name && g_str_equal(vh_json_member_text(device, "type", ""), "child<virtserialport>"))
            ask_port_name(guest, name);
    }
}

static void find_port(VhGuest *guest)
{
    JsonObject *arguments = json_object_new();

    json_object_set_string_member(arguments, "path", "/machine/peripheral");
    vh_qmp_command(guest->monitor, "qom-list", arguments, on_devices, guest);
}

/* ---- events ---- */

/* A port of another name is not ours. As long as we do not know which is, every one might be. */
static bool is_our_port(const VhGuest *guest, JsonObject *details)
{
    const char *id = vh_json_member_text(details, "id", NULL);

    return !guest->port_device || !id || g_str_equal(id, guest->port_device);
}

static void on_port_change(VhGuest *guest, JsonObject *details)
{
    if (!details || !is_our_port(guest, details))
        return;
    if (vh_json_member_bool(details, "open", false))
        vh_guest_greet(guest);
    else
        vh_guest_restart_session(guest, "the injector has closed the port");
}

static void on_event(enum vh_qmp_event event, JsonObject *details, gpointer data)
{
    VhGuest *guest = data;

    switch (event) {
    case VH_QMP_PORT_CHANGE:
        on_port_change(guest, details);
        break;
    case VH_QMP_RESET:
        vh_guest_restart_session(guest, "the guest was reset");
        vh_guest_query_vcpus(guest);
        break;
    case VH_QMP_SHUTDOWN:
        vh_guest_restart_session(guest, "the guest has shut down");
        break;
    case VH_QMP_DEVICE_DELETED:
    case VH_QMP_DEVICE_OST:
        vh_guest_query_vcpus(guest);
        break;
    case VH_QMP_STOP:
    case VH_QMP_RESUME:
        vh_guest_look_at_run(guest);
        break;
    case VH_QMP_MIGRATION:
        vh_guest_follow_migration(guest, details);
        break;
    case VH_QMP_EVENT_COUNT:
        g_assert_not_reached();
    }
}

static void on_ready(gpointer data)
{
    VhGuest *guest = data;

    guest->monitor_ready = true;
    vh_ram_device_monitor(guest->ram, guest->monitor);
    vh_guest_set_monitor_problem(guest, "");
    vh_guest_follow_run(guest);
    find_port(guest);
    vh_guest_query_vcpus(guest);
}

static void on_closed(const char *why, gpointer data)
{
    VhGuest *guest = data;

    guest->monitor_ready = false;
    vh_question_drop(&guest->about_vcpus);
    vh_guest_forget_run(guest);
    vh_ram_device_monitor(guest->ram, NULL);
    g_clear_pointer(&guest->monitor, vh_qmp_free);
    g_clear_pointer(&guest->port_device, g_free);
    guest->port_problem = "";
    vh_guest_set_vcpu_problem(guest, "");
    vh_guest_set_monitor_problem(guest, why);
    vh_guest_tell(guest, "monitor lost", why, NULL);
    vh_guest_set_vcpus(guest, g_array_new(FALSE, TRUE, sizeof(struct vh_vcpu)), NULL,
                       "the guest's monitor is gone");
    if (guest->monitor_link)
        vh_link_seek(guest->monitor_link);
}

static const struct vh_qmp_funcs qmp_funcs = {
    .ready = on_ready, .event = on_event, .closed = on_closed};

void vh_guest_on_monitor(int fd, gpointer data)
{
    VhGuest *guest = data;

    g_assert(!guest->monitor);
    vh_guest_set_monitor_problem(guest, "the monitor has sent no greeting");
    guest->monitor = vh_qmp_new(guest->turn, fd, &qmp_funcs, guest);
}

void vh_guest_open_monitor(VhGuest *guest)
{
    if (guest->monitor_link) {
        vh_link_seek(guest->monitor_link);
        return;
    }
    vh_guest_set_monitor_problem(guest, "libvirt has not told vhintd about its vCPUs yet");
    guest->monitor = guest->config->maker->open_monitor(guest->config, &qmp_funcs, guest);
}
