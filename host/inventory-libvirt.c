/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inventory that is libvirt: running domains, by its events and by the hook's calls.
 *
 * A domain is known from one of two sides. The hook tells of its start before QEMU runs; libvirt's events tell a
 * little later, and only then is its monitor within reach. Either way its XML is read ("looked at") in a worker,
 * and what policy wants is reported as a guest. When libvirtd is back from having been away,
 * all that runs is looked at anew, and guests whose instance (domain id) is still the same stay as they are.
 *
 * Invariants:
 *  1. A domain is reported at most once at a time, and what was reported is not changed until it is taken back.
 *  2. A look that began before the domain stopped changes nothing (`generation`). */
#include "inventory.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "domain.h"
#include "hookport.h"
#include "threads.h"
#include "virt-monitor.h"
#include "virt-pins.h"

#define LIST_KEY ""
#define CLOSE_MS 2000 /* for libvirt to take the pins back when the daemon stops */

struct VhInventory {
    const VhConfig *config;
    const struct vh_inventory_events *events;
    gpointer data;
    VhVirt *virt; /* NULL: libvirt is not configured, and all is empty */
    bool connected;
    VhHookPort *hook;    /* NULL: none */
    GHashTable *domains; /* uuid -> struct domain */
};

struct domain {
    VhInventory *inventory;
    char *uuid;
    guint generation; /* how often it has stopped */
    bool looking;
    bool look_again; /* something happened since the look began */
    bool suspect;    /* what the monitor said may be incomplete: ask again */
    bool missed;     /* events may have been missed */

    bool reported;
    int id; /* of the instance that is reported */
    struct vh_config_guest guest;
    VhVirtMonitor *monitor; /* while the guest has it open */
    bool running;           /* the monitor was told */
    VhVirtPins *pins;       /* while it is reported */
};

/* ---- what is reported ---- */

static bool wanted(const VhInventory *inventory, const struct vh_domain *xml)
{
    const struct vh_guest_id id = {xml->name, xml->uuid, xml->profile};

    return inventory->events->wanted(&id, inventory->data);
}

static void on_monitor_freed(gpointer data)
{
    struct domain *domain = data;

    domain->monitor = NULL;
    domain->running = false;
}

static struct VhQmp *open_monitor(const struct vh_config_guest *guest, const struct vh_qmp_funcs *funcs,
                                  void *data)
{
    struct domain *domain = guest->owner;

    return vh_virt_monitor_new(domain->inventory->virt, domain->uuid, funcs, data, on_monitor_freed, domain,
                               &domain->monitor);
}

static void on_foreign(struct vh_seat seat, const char *cpus, gpointer data)
{
    const struct domain *domain = data;
    const VhInventory *inventory = domain->inventory;
    g_autofree char *why = cpus ? g_strdup_printf("pinned to %s through libvirt by somebody else; vhintctl resume "
                                                  "takes it back",
                                                  cpus)
                                : NULL;

    inventory->events->hands_off(domain->guest.name, seat, why, inventory->data);
}

static void on_synced(gpointer data)
{
    const struct domain *domain = data;

    domain->inventory->events->retry(domain->guest.name, domain->inventory->data);
}

static void mirror(const struct vh_config_guest *guest, struct vh_seat seat, const struct vh_cpuset *cpus)
{
    const struct domain *domain = guest->owner;

    if (domain->pins)
        vh_virt_pins_set(domain->pins, seat, cpus);
}

static void retake(const struct vh_config_guest *guest)
{
    const struct domain *domain = guest->owner;

    if (domain->pins)
        vh_virt_pins_retake(domain->pins);
}

static void clear_guest(struct domain *domain)
{
    g_clear_pointer(&domain->guest.name, g_free);
    g_clear_pointer(&domain->guest.uuid, g_free);
    g_clear_pointer(&domain->guest.profile, g_free);
    g_clear_pointer(&domain->guest.channel, g_free);
    g_clear_pointer(&domain->guest.nodes, g_free);
    domain->reported = false;
    domain->running = false;
}

/* `gone`: the domain has stopped; else it goes on and is not ours any longer. */
static void take_back(struct domain *domain, bool gone)
{
    const VhInventory *inventory = domain->inventory;

    if (!domain->reported)
        return;
    inventory->events->removed(domain->guest.name, inventory->data);
    if (!gone)
        vh_virt_pins_set_none(domain->pins);
    vh_virt_pins_free(g_steal_pointer(&domain->pins), gone);
    clear_guest(domain);
}

/* Names go into paths and messages, and must be unique among all guests. */
static char *guest_name(const VhInventory *inventory, const struct vh_domain *xml)
{
    GHashTableIter iter;
    gpointer value;
    bool taken = !vh_domain_name_valid(xml->name);

    for (guint i = 0; !taken && i < inventory->config->guests->len; i++) {
        const struct vh_config_guest *guest = g_ptr_array_index(inventory->config->guests, i);

        taken = g_str_equal(guest->name, xml->name);
    }
    g_hash_table_iter_init(&iter, inventory->domains);
    while (!taken && g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct domain *other = value;

        taken = other->reported && g_str_equal(other->guest.name, xml->name);
    }
    if (taken)
        g_message("libvirt: the domain \"%s\" goes by its UUID %s here, as its name %s", xml->name, xml->uuid,
                  vh_domain_name_valid(xml->name) ? "is taken" : "has characters other than A-Z a-z 0-9 _ . -");
    return g_strdup(taken ? xml->uuid : xml->name);
}

static void report(struct domain *domain, const struct vh_domain *xml)
{
    const VhInventory *inventory = domain->inventory;
    g_autofree char *record = g_build_filename(inventory->config->run_dir, "saved", xml->uuid, NULL);

    domain->id = xml->id;
    domain->guest = (struct vh_config_guest){.name = guest_name(inventory, xml),
                                             .uuid = g_strdup(xml->uuid),
                                             .channel = g_strdup(xml->channel_path),
                                             .profile = g_strdup(xml->profile ? xml->profile : ""),
                                             .nodes = g_strdup(xml->nodes),
                                             .open_monitor = open_monitor,
                                             .mirror = mirror,
                                             .retake = retake,
                                             .owner = domain};
    domain->reported = true;
    inventory->events->added(&domain->guest, inventory->data);
    domain->pins = vh_virt_pins_new(inventory->virt, xml, record, on_foreign, on_synced, domain);
}

/* Is what was reported still so? A rename needs no new report: the name it was reported by stays for its run. */
static bool same(const struct domain *domain, const struct vh_domain *xml)
{
    return domain->id == xml->id && g_strcmp0(domain->guest.channel, xml->channel_path) == 0 &&
           g_str_equal(domain->guest.profile, xml->profile ? xml->profile : "");
}

static void apply(struct domain *domain, const struct vh_domain *xml)
{
    bool want = wanted(domain->inventory, xml);

    if (domain->reported && (!want || !same(domain, xml)))
        take_back(domain, domain->id != xml->id);
    if (want && !domain->reported)
        report(domain, xml);
}

/* ---- looking at a domain ---- */

struct look {
    VhInventory *inventory;
    char *uuid;
    guint generation;
    GBytes *text;          /* the hook's XML */
    struct vh_domain *xml; /* the result; NULL: it does not run, or problem */
    pid_t process;
    char *problem;
};

static void look_free(gpointer data)
{
    struct look *look = data;

    g_free(look->uuid);
    g_free(look->problem);
    g_clear_pointer(&look->text, g_bytes_unref);
    vh_domain_free(look->xml);
    g_free(look);
}

static void parse(struct look *look, const char *text, gsize len)
{
    g_autoptr(GError) error = NULL;

    look->xml = vh_domain_parse(text, len, &error);
    if (!look->xml)
        look->problem = g_strdup(error->message);
}

/* In a worker. */
static bool look_work(virConnectPtr connection, gpointer data)
{
    struct look *look = data;
    virDomainPtr domain = virDomainLookupByUUIDString(connection, look->uuid);
    char *text = domain && virDomainIsActive(domain) == 1 ? virDomainGetXMLDesc(domain, 0) : NULL;
    const virError *error = virGetLastError();
    bool lost = !text && vh_virt_lost(connection);

    if (!text && !lost && error && error->code != VIR_ERR_OK && error->code != VIR_ERR_NO_DOMAIN)
        look->problem = vh_virt_error();
    if (text)
        parse(look, text, strlen(text));
    if (look->xml && look->xml->id < 0)
        g_clear_pointer(&look->xml, vh_domain_free);
    if (look->xml)
        look->process = vh_threads_find_process("/proc", look->xml->name, look->xml->uuid);
    free(text);
    if (domain)
        virDomainFree(domain);
    return !lost;
}

static void look_at(struct domain *domain);

static void forget_if_idle(struct domain *domain)
{
    if (!domain->reported && !domain->looking)
        g_hash_table_remove(domain->inventory->domains, domain->uuid);
}

/* The domain runs, as far as libvirt knows. */
static void tell_monitor(struct domain *domain, const struct look *look)
{
    bool first = !domain->running;

    if (!domain->monitor || (!first && !domain->suspect))
        return;
    if (!look->process) {
        g_warning("libvirt: the process of the domain %s is not to be found, so its vCPUs are not",
                  domain->guest.name);
        return;
    }
    domain->running = true;
    vh_virt_monitor_ready(domain->monitor, look->process);
    /* Its end may have been missed. */
    if (domain->missed && look->xml->channel == VH_DOMAIN_CHANNEL_DISCONNECTED)
        vh_virt_monitor_event(domain->monitor, "VSERPORT_CHANGE", "{\"open\":false}");
}

static void look_done(gpointer data)
{
    struct look *look = data;
    struct domain *domain = g_hash_table_lookup(look->inventory->domains, look->uuid);

    if (!domain)
        return;
    domain->looking = false;
    if (domain->look_again || look->generation != domain->generation) {
        look_at(domain);
        return;
    }
    if (look->problem)
        g_warning("libvirt: domain %s: %s", look->uuid, look->problem);
    if (look->xml) {
        apply(domain, look->xml);
        tell_monitor(domain, look);
        domain->suspect = domain->missed = false;
    } else if (!look->problem) {
        take_back(domain, true);
    }
    forget_if_idle(domain);
}

static const struct vh_virt_job look_job = {.work = look_work, .done = look_done, .free = look_free};

static void look_at(struct domain *domain)
{
    struct look *look;

    domain->look_again = domain->looking;
    if (domain->looking)
        return;
    domain->looking = true;
    look = g_new0(struct look, 1);
    look->inventory = domain->inventory;
    look->uuid = g_strdup(domain->uuid);
    look->generation = domain->generation;
    vh_virt_submit(domain->inventory->virt, domain->uuid, &look_job, look);
}

static void domain_free(gpointer data)
{
    struct domain *domain = data;

    clear_guest(domain);
    g_free(domain->uuid);
    g_free(domain);
}

static struct domain *get_domain(VhInventory *inventory, const char *uuid)
{
    struct domain *domain = g_hash_table_lookup(inventory->domains, uuid);

    if (domain)
        return domain;
    domain = g_new0(struct domain, 1);
    domain->inventory = inventory;
    domain->uuid = g_strdup(uuid);
    g_hash_table_insert(inventory->domains, domain->uuid, domain);
    return domain;
}

static void stopped(VhInventory *inventory, const char *uuid)
{
    struct domain *domain = g_hash_table_lookup(inventory->domains, uuid);

    if (!domain)
        return;
    domain->generation++;
    take_back(domain, true);
    forget_if_idle(domain);
}

/* ---- all domains, after connecting ---- */

struct list {
    VhInventory *inventory;
    GHashTable *running; /* set of uuids; NULL: libvirt could not tell */
    char *problem;
};

static void list_free(gpointer data)
{
    struct list *list = data;

    g_clear_pointer(&list->running, g_hash_table_unref);
    g_free(list->problem);
    g_free(list);
}

/* In a worker. */
static bool list_work(virConnectPtr connection, gpointer data)
{
    struct list *list = data;
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);

    if (count < 0 && vh_virt_lost(connection))
        return false;
    if (count < 0)
        list->problem = vh_virt_error();
    else
        list->running = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (int i = 0; i < count; i++) {
        char uuid[VIR_UUID_STRING_BUFLEN];

        if (virDomainGetUUIDString(domains[i], uuid) == 0)
            g_hash_table_add(list->running, g_strdup(uuid));
        virDomainFree(domains[i]);
    }
    free(domains);
    return true;
}

static void list_done(gpointer data)
{
    struct list *list = data;
    VhInventory *inventory = list->inventory;
    g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer key;

    if (!list->running) {
        g_warning("libvirt: cannot list the domains: %s", list->problem);
        return;
    }
    g_hash_table_iter_init(&iter, inventory->domains);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        if (!g_hash_table_contains(list->running, key))
            g_ptr_array_add(gone, g_strdup(key));
    for (guint i = 0; i < gone->len; i++)
        stopped(inventory, g_ptr_array_index(gone, i));
    g_hash_table_iter_init(&iter, list->running);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        struct domain *domain = get_domain(inventory, key);

        domain->suspect = domain->missed = true;
        look_at(domain);
    }
}

static const struct vh_virt_job list_job = {.work = list_work, .done = list_done, .free = list_free};

/* ---- libvirt's events ---- */

static void list_all(VhInventory *inventory)
{
    struct list *list = g_new0(struct list, 1);

    list->inventory = inventory;
    vh_virt_submit(inventory->virt, LIST_KEY, &list_job, list);
}

static void on_up(gpointer data)
{
    VhInventory *inventory = data;

    g_message("libvirt: connected to %s", inventory->config->libvirt);
    inventory->connected = true;
    list_all(inventory);
}

static void on_down(const char *why, gpointer data)
{
    ((VhInventory *)data)->connected = false;
    g_message("libvirt: %s; guests stay as they are until it is back", why);
}

static void on_lifecycle(const char *uuid, int event, G_GNUC_UNUSED int detail, gpointer data)
{
    VhInventory *inventory = data;
    struct domain *domain;

    switch (event) {
    case VIR_DOMAIN_EVENT_STARTED:
    case VIR_DOMAIN_EVENT_RESUMED:
        domain = get_domain(inventory, uuid);
        domain->suspect = true; /* while it starts, libvirt may keep commands waiting for too long */
        look_at(domain);
        break;
    case VIR_DOMAIN_EVENT_STOPPED:
        stopped(inventory, uuid);
        break;
    default:
        break;
    }
}

static void on_changed(const char *uuid, gpointer data)
{
    look_at(get_domain(data, uuid));
}

static void on_monitor(const char *uuid, const char *event, const char *details, gpointer data)
{
    const VhInventory *inventory = data;
    const struct domain *domain = g_hash_table_lookup(inventory->domains, uuid);

    if (domain && domain->monitor && domain->running)
        vh_virt_monitor_event(domain->monitor, event, details);
}

static void on_pinned(const char *uuid, const char *what, const char *cpus, gpointer data)
{
    const VhInventory *inventory = data;
    const struct domain *domain = g_hash_table_lookup(inventory->domains, uuid);

    if (domain && domain->pins)
        vh_virt_pins_announced(domain->pins, what, cpus);
}

static const struct vh_virt_funcs virt_funcs = {.up = on_up,
                                                .down = on_down,
                                                .lifecycle = on_lifecycle,
                                                .changed = on_changed,
                                                .pinned = on_pinned,
                                                .monitor = on_monitor};

/* ---- the hook's calls ---- */

struct call {
    struct look look;
    bool stops;
};

static void call_free(gpointer data)
{
    struct call *call = data;

    g_clear_pointer(&call->look.text, g_bytes_unref);
    vh_domain_free(call->look.xml);
    g_free(call->look.problem);
    g_free(call);
}

/* In a worker: reading up to 1 MiB of XML is not for the hint path. */
static bool call_work(G_GNUC_UNUSED virConnectPtr connection, gpointer data)
{
    struct call *call = data;
    gsize len = 0;
    const char *text = g_bytes_get_data(call->look.text, &len);

    parse(&call->look, text, len);
    return true;
}

static void call_done(gpointer data)
{
    const struct call *call = data;
    const struct vh_domain *xml = call->look.xml;
    struct domain *domain;

    if (!xml) {
        g_warning("libvirt hook: %s", call->look.problem);
        return;
    }
    domain = get_domain(call->look.inventory, xml->uuid);
    /* An instance that has been followed by another already stops nothing. */
    if (call->stops && (xml->id < 0 || xml->id == domain->id)) {
        domain->generation++;
        take_back(domain, true);
    } else if (!call->stops && xml->id >= 0) {
        apply(domain, xml);
    }
    forget_if_idle(domain);
}

static const struct vh_virt_job call_job = {
    .local = true, .work = call_work, .done = call_done, .free = call_free};

static void on_hook(const struct vh_hook_call *hook, gpointer data)
{
    VhInventory *inventory = data;
    bool starts = g_str_equal(hook->operation, "start");
    g_autofree char *key = g_strdup_printf("hook %s", hook->guest);
    struct call *call;

    /* "prepare" is too early (the channel has no path yet), and of "started" libvirt's event tells as well. */
    if (!starts && !g_str_equal(hook->operation, "stopped"))
        return;
    if (hook->flags) {
        g_warning("libvirt hook: the XML of \"%s\" %s", hook->guest,
                  hook->flags & VH_HOOK_XML_TOO_LONG ? "has over 1 MiB" : "did not come in time");
        return;
    }
    call = g_new0(struct call, 1);
    call->look.inventory = inventory;
    call->look.text = g_bytes_ref(hook->xml);
    call->stops = !starts;
    vh_virt_submit(inventory->virt, key, &call_job, call);
}

/* ---- the inventory ---- */

/* libvirt is told that nothing is pinned any longer; what it does not take in time is on record. */
static void give_up_pins(VhInventory *inventory)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, inventory->domains);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        if (((struct domain *)value)->pins)
            vh_virt_pins_set_none(((struct domain *)value)->pins);
    vh_virt_drain(inventory->virt, CLOSE_MS);
    g_hash_table_iter_init(&iter, inventory->domains);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        vh_virt_pins_free(g_steal_pointer(&((struct domain *)value)->pins), false);
}

static void inventory_close(VhInventory *inventory)
{
    vh_hook_port_free(inventory->hook);
    if (inventory->virt)
        give_up_pins(inventory);
    vh_virt_free(inventory->virt);
    g_hash_table_unref(inventory->domains);
    g_free(inventory);
}

static VhInventory *inventory_open(const VhConfig *config, const struct vh_inventory_events *events, gpointer data,
                                   GError **error)
{
    VhInventory *inventory = g_new0(VhInventory, 1);

    inventory->config = config;
    inventory->events = events;
    inventory->data = data;
    inventory->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, domain_free);
    if (!config->libvirt)
        return inventory;
    inventory->hook = vh_hook_port_new(config->hook, on_hook, inventory, error);
    if (inventory->hook)
        return inventory;
    inventory_close(inventory);
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
        list_all(inventory);
}

const struct vh_inventory_kind vh_inventory_libvirt = {
    .name = "libvirt",
    .open = inventory_open,
    .start = inventory_start,
    .reconsider = inventory_reconsider,
    .close = inventory_close,
};
