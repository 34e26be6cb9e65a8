// SPDX-License-Identifier: GPL-2.0-or-later
// Reports domains of libvirt's as guests.
#include "libvirt/domain.h"
#include "libvirt/memory.h"
#include "libvirt/qga.h"

static bool wanted(const VhInventory *inventory, const struct vh_domain *xml)
{
    const struct vh_guest_id id = {xml->name, xml->uuid, xml->profile};

    return inventory->events->wanted(&id, inventory->data);
}

static void on_monitor_freed(gpointer data)
{
    struct vh_virt_domain *domain = data;

    domain->monitor = NULL;
    domain->running = false;
}

static struct VhQmp *open_monitor(const struct vh_config_guest *guest,
                                  const struct vh_qmp_funcs *funcs, void *data)
{
    struct vh_virt_domain *domain = guest->owner;

    return vh_virt_monitor_new(domain->inventory->virt, domain->uuid, funcs, data, on_monitor_freed,
                               domain, &domain->monitor);
}

static void on_foreign(struct vh_seat seat, const char *cpus, gpointer data)
{
    const struct vh_virt_domain *domain = data;
    const VhInventory *inventory = domain->inventory;
    g_autofree char *why =
        cpus ? g_strdup_printf("pinned to %s through libvirt by somebody else; vhintctl resume "
                               "takes it back",
                               cpus)
             : NULL;

    inventory->events->hands_off(&domain->guest, seat, why, inventory->data);
}

static void on_synced(gpointer data)
{
    const struct vh_virt_domain *domain = data;

    domain->inventory->events->retry(&domain->guest, domain->inventory->data);
}

static void on_outdated(gpointer data)
{
    const struct vh_virt_domain *domain = data;

    domain->inventory->events->outdated(&domain->guest, domain->inventory->data);
}

static const struct vh_virt_pins_funcs pins_funcs = {
    .foreign = on_foreign, .synced = on_synced, .outdated = on_outdated};

static void mirror(const struct vh_config_guest *guest, struct vh_seat seat,
                   const struct vh_cpuset *cpus)
{
    const struct vh_virt_domain *domain = guest->owner;

    if (domain->pins)
        vh_virt_pins_set(domain->pins, seat, cpus);
}

static bool settled(const struct vh_config_guest *guest, struct vh_seat seat)
{
    const struct vh_virt_domain *domain = guest->owner;

    return !domain->pins || vh_virt_pins_settled(domain->pins, seat);
}

static void set_memory(const struct vh_config_guest *guest, const char *name, guint64 bytes,
                       void (*done)(const char *problem, void *data), void *data)
{
    const struct vh_virt_domain *domain = guest->owner;

    vh_virt_memory_set(domain->inventory->virt, domain->uuid, name, bytes, done, data);
}

static const char *use_agent(const struct vh_config_guest *guest, GCancellable *cancellable,
                             const struct vh_qga_job *job, void *data)
{
    const struct vh_virt_domain *domain = guest->owner;
    VhVirt *virt = domain->inventory->virt;

    if (*vh_virt_problem(virt))
        return vh_virt_problem(virt);
    vh_virt_qga_use(virt, domain->uuid, cancellable, job, data);
    return NULL;
}

static void carry(const struct vh_config_guest *guest, const char *text)
{
    struct vh_virt_domain *domain = guest->owner;

    g_free(domain->carry);
    domain->carry = g_strdup(text);
    vh_virt_carry(domain);
}

static void retake(const struct vh_config_guest *guest)
{
    const struct vh_virt_domain *domain = guest->owner;

    if (domain->pins)
        vh_virt_pins_retake(domain->pins);
}

static const struct vh_maker maker = {
    .open_monitor = open_monitor,
    .mirror = mirror,
    .settled = settled,
    .set_memory = set_memory,
    .use_agent = use_agent,
    .carry = carry,
    .retake = retake,
};

static void clear_guest(struct vh_virt_domain *domain)
{
    g_clear_pointer(&domain->guest.name, g_free);
    g_clear_pointer(&domain->guest.title, g_free);
    g_clear_pointer(&domain->guest.uuid, g_free);
    g_clear_pointer(&domain->guest.profile, g_free);
    g_clear_pointer(&domain->guest.channel, g_free);
    g_clear_pointer(&domain->guest.nodes, g_free);
    g_clear_pointer(&domain->guest.cpus, g_free);
    g_clear_pointer(&domain->guest.travels, g_free);
    g_clear_pointer(&domain->carry, g_free);
    g_clear_pointer(&domain->carried, g_free);
    domain->reported = false;
    domain->running = false;
}

void vh_virt_domain_take_back(struct vh_virt_domain *domain, bool gone)
{
    const VhInventory *inventory = domain->inventory;

    g_clear_pointer(&domain->early, vh_early_free);
    if (!domain->reported)
        return;
    inventory->events->removed(&domain->guest, inventory->data);
    if (!gone)
        vh_virt_pins_set_none(domain->pins);
    vh_virt_pins_free(g_steal_pointer(&domain->pins), gone);
    clear_guest(domain);
}

static bool is_taken(const VhInventory *inventory, const char *name)
{
    GHashTableIter iter;
    gpointer value;
    bool taken = false;

    for (guint i = 0; !taken && i < inventory->config->guests->len; i++) {
        const struct vh_config_guest *guest = g_ptr_array_index(inventory->config->guests, i);

        taken = g_str_equal(guest->name, name);
    }
    g_hash_table_iter_init(&iter, inventory->domains);
    while (!taken && g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct vh_virt_domain *other = value;

        taken = other->reported && g_str_equal(other->guest.name, name);
    }
    return taken;
}

/* Names go into paths and messages, and are unique among all guests: what looks like a UUID names
 * only the domain that has this UUID. NULL: even that is taken, by a guest of the configuration. */
static char *guest_name(const VhInventory *inventory, const struct vh_domain *xml)
{
    const char *why = NULL;

    if (!vh_domain_name_valid(xml->name))
        why = "has characters other than A-Z a-z 0-9 _ . -";
    else if (g_uuid_string_is_valid(xml->name))
        why = "looks like a UUID";
    else if (is_taken(inventory, xml->name))
        why = "is taken";
    if (!why)
        return g_strdup(xml->name);
    if (is_taken(inventory, xml->uuid)) {
        g_warning("libvirt: the domain \"%s\" is not served, as a guest of the configuration is "
                  "called %s: give that one another name",
                  xml->name, xml->uuid);
        return NULL;
    }
    if (!g_str_equal(xml->name, xml->uuid))
        g_message("libvirt: the domain \"%s\" goes by its UUID %s here, as its name %s", xml->name,
                  xml->uuid, why);
    return g_strdup(xml->uuid);
}

static void report(struct vh_virt_domain *domain, const struct vh_domain *xml)
{
    const VhInventory *inventory = domain->inventory;
    g_autofree char *record =
        g_build_filename(inventory->config->run_dir, "saved", xml->uuid, NULL);
    char *name = guest_name(inventory, xml);

    if (!name)
        return;
    domain->id = xml->id;
    domain->guest = (struct vh_config_guest){.name = name,
                                             .title = g_strdup(xml->name),
                                             .uuid = g_strdup(xml->uuid),
                                             .channel = g_strdup(xml->channel_path),
                                             .profile = g_strdup(xml->profile ? xml->profile : ""),
                                             .nodes = g_strdup(xml->nodes),
                                             .cpus = g_strdup(xml->cpus),
                                             .travels = g_strdup(xml->wishes),
                                             .maker = &maker,
                                             .owner = domain};
    domain->reported = true;
    domain->carried = g_strdup(xml->wishes);
    inventory->events->added(&domain->guest, inventory->data);
    domain->pins =
        vh_virt_pins_new(inventory->virt, inventory->told, xml, record, &pins_funcs, domain);
}

/* Is what was reported still so? A rename needs no new report: the name it was reported by stays
 * for its run. */
static bool same(const struct vh_virt_domain *domain, const struct vh_domain *xml)
{
    return domain->id == xml->id && g_strcmp0(domain->guest.channel, xml->channel_path) == 0 &&
           g_str_equal(domain->guest.profile, xml->profile ? xml->profile : "");
}

void vh_virt_domain_apply(struct vh_virt_domain *domain, const struct vh_domain *xml)
{
    bool want = wanted(domain->inventory, xml);

    if (domain->reported && (!want || !same(domain, xml)))
        vh_virt_domain_take_back(domain, domain->id != xml->id);
    if (want && !domain->reported)
        report(domain, xml);
}

/* ---- while it starts ---- */

static void on_early(const struct vh_thread_id *process, gpointer data)
{
    const struct vh_virt_domain *domain = data;

    domain->inventory->events->starting(&domain->guest, process, domain->inventory->data);
}

void vh_virt_domain_starts(struct vh_virt_domain *domain, const struct vh_domain *xml)
{
    g_clear_pointer(&domain->early, vh_early_free);
    /* Where numad decides, nobody knows what libvirt will set. */
    if (domain->reported && !domain->running && !xml->cpus_auto)
        domain->early = vh_early_new("/proc", NULL, xml->name, xml->uuid, on_early, domain);
}

void vh_virt_domain_started(struct vh_virt_domain *domain)
{
    g_clear_pointer(&domain->early, vh_early_free);
}

void vh_virt_domain_runs(struct vh_virt_domain *domain)
{
    if (domain->pins)
        vh_virt_pins_go(domain->pins);
}

/* ---- those that are known ---- */

void vh_virt_domain_forget(struct vh_virt_domain *domain)
{
    if (!domain->reported && !domain->looking)
        g_hash_table_remove(domain->inventory->domains, domain->uuid);
}

void vh_virt_domain_free(gpointer data)
{
    struct vh_virt_domain *domain = data;

    clear_guest(domain);
    g_free(domain->uuid);
    g_free(domain);
}

struct vh_virt_domain *vh_virt_domain_get(VhInventory *inventory, const char *uuid)
{
    struct vh_virt_domain *domain = g_hash_table_lookup(inventory->domains, uuid);

    if (domain)
        return domain;
    domain = g_new0(struct vh_virt_domain, 1);
    domain->inventory = inventory;
    domain->uuid = g_strdup(uuid);
    g_hash_table_insert(inventory->domains, domain->uuid, domain);
    return domain;
}

void vh_virt_domain_stopped(VhInventory *inventory, const char *uuid)
{
    struct vh_virt_domain *domain = g_hash_table_lookup(inventory->domains, uuid);

    if (!domain)
        return;
    domain->generation++;
    vh_virt_domain_take_back(domain, true);
    vh_virt_domain_forget(domain);
}
