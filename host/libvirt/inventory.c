// SPDX-License-Identifier: GPL-2.0-or-later
// The inventory that is libvirt: running domains, by its events and by the hook's calls.
//
// A domain is known from one of two sides. The hook tells of its start before QEMU runs; libvirt's
// events tell a little later, and only then is its monitor within reach. Either way its XML is read
// ("looked at") in a worker, and what policy wants is reported as a guest. When libvirtd is back
// from having been away, all that runs is looked at anew, and guests whose instance (domain id) is
// still the same stay as they are.
#include <string.h>

#include "io/service.h"
#include "libvirt/domain.h"

#define CLOSE_MS 2000 /* for libvirt to take the pins back when the daemon stops */

/* ---- libvirt's events ---- */

static void on_up(gpointer data)
{
    VhInventory *inventory = data;

    g_message("libvirt: connected to %s", inventory->config->libvirt);
    inventory->connected = true;
    vh_virt_look_at_all(inventory);
}

static void on_down(const char *why, gpointer data)
{
    VhInventory *inventory = data;

    inventory->connected = false;
    vh_virt_told_lost(inventory->told);
    g_message("libvirt: %s; guests stay as they are until it is back", why);
}

static void on_lifecycle(const char *uuid, int event, G_GNUC_UNUSED int detail, gpointer data)
{
    VhInventory *inventory = data;
    struct vh_virt_domain *domain;

    switch (event) {
    case VIR_DOMAIN_EVENT_STARTED:
    case VIR_DOMAIN_EVENT_RESUMED:
        domain = vh_virt_domain_get(inventory, uuid);
        domain->suspect =
            true; /* while it starts, libvirt may keep commands waiting for too long */
        vh_virt_look(domain);
        break;
    case VIR_DOMAIN_EVENT_SUSPENDED: /* also how a paused one ends its arrival */
        domain = g_hash_table_lookup(inventory->domains, uuid);
        if (domain && !domain->running)
            vh_virt_look(domain);
        break;
    case VIR_DOMAIN_EVENT_STOPPED:
        vh_virt_domain_stopped(inventory, uuid);
        break;
    default:
        break;
    }
}

static void on_changed(const char *uuid, gpointer data)
{
    vh_virt_look(vh_virt_domain_get(data, uuid));
}

static void on_monitor(const char *uuid, const char *name, const char *details, gpointer data)
{
    const VhInventory *inventory = data;
    enum vh_qmp_event event = vh_qmp_event_find(name);
    const struct vh_virt_domain *domain = g_hash_table_lookup(inventory->domains, uuid);

    if (domain && domain->monitor && domain->running && event != VH_QMP_EVENT_COUNT)
        vh_virt_monitor_event(domain->monitor, event, details);
}

static void on_pinned(const char *uuid, const char *what, const char *cpus, gpointer data)
{
    const VhInventory *inventory = data;
    const struct vh_virt_domain *domain = g_hash_table_lookup(inventory->domains, uuid);
    struct vh_cpuset set;
    struct vh_seat seat;

    if (!vh_seat_parse(what, &seat) || vh_cpuset_parse(&set, cpus, NULL) < 0)
        return;
    if (domain && domain->pins)
        vh_virt_pins_announced(domain->pins, seat, &set);
    else if (!domain)
        vh_virt_told_heard(inventory->told, uuid, seat, &set);
    /* Else it is looked at, and a pin that was told for its former instance is found there. */
}

static const struct vh_virt_funcs virt_funcs = {.up = on_up,
                                                .down = on_down,
                                                .lifecycle = on_lifecycle,
                                                .changed = on_changed,
                                                .pinned = on_pinned,
                                                .monitor = on_monitor};

/* ---- the hook's calls ---- */

struct call {
    VhInventory *inventory;
    GBytes *text;
    bool stops;
    struct vh_domain *xml; /* NULL: problem says why */
    char *problem;
};

static void call_free(gpointer data)
{
    struct call *call = data;

    g_bytes_unref(call->text);
    vh_domain_free(call->xml);
    g_free(call->problem);
    g_free(call);
}

/* In a worker: reading up to 1 MiB of XML is not for the hint path. */
static bool call_work(G_GNUC_UNUSED virConnectPtr connection, gpointer data)
{
    struct call *call = data;
    gsize len = 0;
    const char *text = g_bytes_get_data(call->text, &len);
    g_autoptr(GError) error = NULL;

    call->xml = vh_domain_parse(text, len, &error);
    if (error)
        call->problem = g_strdup(error->message);
    return true;
}

static void call_done(gpointer data)
{
    const struct call *call = data;
    const struct vh_domain *xml = call->xml;
    struct vh_virt_domain *domain;

    if (!xml) {
        g_warning("libvirt hook: %s", call->problem);
        return;
    }
    domain = vh_virt_domain_get(call->inventory, xml->uuid);
    /* An instance that has been followed by another already stops nothing. */
    if (call->stops && (xml->id < 0 || xml->id == domain->id)) {
        domain->generation++;
        vh_virt_domain_take_back(domain, true);
    } else if (!call->stops && xml->id >= 0) {
        vh_virt_domain_apply(domain, xml);
        vh_virt_domain_starts(domain, xml);
    }
    vh_virt_domain_forget(domain);
}

static const struct vh_virt_job call_job = {
    .local = true, .work = call_work, .done = call_done, .free = call_free};

static void on_hook(const struct vh_hook_call *hook, gpointer data)
{
    VhInventory *inventory = data;
    bool starts = g_str_equal(hook->operation, "start");
    g_autofree char *key = g_strdup_printf("hook %s", hook->guest);
    struct call *call;

    /* "prepare" is too early (the channel has no path yet), and "started" comes when the guest
     * runs, as libvirt's event does. */
    if (!inventory->virt || (!starts && !g_str_equal(hook->operation, "stopped")))
        return;
    if (hook->flags) {
        g_warning("libvirt hook: the XML of \"%s\" %s", hook->guest,
                  hook->flags & VH_HOOK_XML_TOO_LONG ? "has over 1 MiB" : "did not come in time");
        return;
    }
    call = g_new0(struct call, 1);
    call->inventory = inventory;
    call->text = g_bytes_ref(hook->xml);
    call->stops = !starts;
    vh_virt_submit(inventory->virt, key, &call_job, call);
}

/* ---- the inventory ---- */

/* libvirt is told that nothing is pinned any longer, unless pins are left; what it does not take in
 * time is on record. */
static void give_up_pins(VhInventory *inventory, bool leave)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, inventory->domains);
    while (!leave && g_hash_table_iter_next(&iter, NULL, &value))
        if (((struct vh_virt_domain *)value)->pins)
            vh_virt_pins_set_none(((struct vh_virt_domain *)value)->pins);
    vh_virt_drain(inventory->virt, CLOSE_MS);
    g_hash_table_iter_init(&iter, inventory->domains);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        vh_virt_pins_free(g_steal_pointer(&((struct vh_virt_domain *)value)->pins), false);
}

static void inventory_close(VhInventory *inventory, bool leave)
{
    vh_hook_port_free(inventory->hook);
    if (inventory->virt)
        give_up_pins(inventory, leave);
    vh_virt_free(inventory->virt);
    g_hash_table_unref(inventory->domains);
    vh_virt_told_free(inventory->told);
    g_free(inventory);
}

static VhInventory *inventory_open(const VhConfig *config, const struct vh_inventory_events *events,
                                   gpointer data, GError **error)
{
    VhInventory *inventory = g_new0(VhInventory, 1);

    inventory->config = config;
    inventory->events = events;
    inventory->data = data;
    inventory->told = vh_virt_told_new();
    inventory->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vh_virt_domain_free);
    /* The service manager may hold the hook's socket though nothing is asked of libvirt: a call
     * that nobody takes would start vhintd again as soon as it is stopped. */
    if (!config->libvirt && vh_service_socket(config->hook) < 0)
        return inventory;
    inventory->hook = vh_hook_port_new(config->hook, on_hook, inventory, error);
    if (inventory->hook)
        return inventory;
    inventory_close(inventory, false);
    return NULL;
}

static void inventory_start(VhInventory *inventory)
{
    if (inventory->config->libvirt)
        inventory->virt = vh_virt_new(inventory->config->libvirt, &virt_funcs, inventory);
}

/* Those that are not wanted are not remembered: libvirt lists them again. */
static void inventory_reconsider(VhInventory *inventory)
{
    if (inventory->virt && inventory->connected)
        vh_virt_look_at_all(inventory);
}

const struct vh_inventory_kind vh_inventory_libvirt = {
    .name = "libvirt",
    .open = inventory_open,
    .start = inventory_start,
    .reconsider = inventory_reconsider,
    .close = inventory_close,
};
