// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at domains: reads their XML in a worker, and does what follows from it.
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "libvirt/domain.h"
#include "qemu/threads.h"

#define LIST_KEY ""

struct look {
    VhInventory *inventory;
    char *uuid;
    guint generation;
    struct vh_domain *xml;       /* the result; NULL: it does not run, or problem */
    struct vh_thread_id process; /* thread 0: not found */
    bool arriving;               /* by migration */
    char *problem;
};

static void look_free(gpointer data)
{
    struct look *look = data;

    g_free(look->uuid);
    g_free(look->problem);
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

/* Its CPUs wait for its memory; until that is there libvirt answers no questions about it. */
static bool is_arriving(virDomainPtr domain)
{
    int state = VIR_DOMAIN_NOSTATE;
    int reason = 0;

    return virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
           reason == VIR_DOMAIN_PAUSED_MIGRATION;
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
    look->arriving = look->xml && is_arriving(domain);
    free(text);
    if (domain)
        virDomainFree(domain);
    return !lost;
}

/* The domain runs, as far as libvirt knows. */
static void tell_monitor(struct vh_virt_domain *domain, const struct look *look)
{
    bool first = !domain->running;

    if (!domain->monitor || (!first && !domain->suspect))
        return;
    if (!look->process.thread) {
        g_warning("libvirt: the process of domain %s is not found, so its vCPUs are not known",
                  domain->guest.name);
        return;
    }
    domain->running = true;
    vh_virt_carry(domain);
    vh_virt_monitor_ready(domain->monitor, &look->process);
    /* Its end may have been missed. */
    if (domain->missed && look->xml->channel == VH_DOMAIN_CHANNEL_DISCONNECTED)
        vh_virt_monitor_event(domain->monitor, VH_QMP_PORT_CHANGE, "{\"open\":false}");
}

static void look_done(gpointer data)
{
    struct look *look = data;
    struct vh_virt_domain *domain = g_hash_table_lookup(look->inventory->domains, look->uuid);

    if (!domain)
        return;
    domain->looking = false;
    if (domain->look_again || look->generation != domain->generation) {
        vh_virt_look(domain);
        return;
    }
    if (look->problem)
        g_warning("libvirt: domain %s: %s", look->uuid, look->problem);
    if (look->xml) {
        vh_virt_domain_apply(domain, look->xml);
        vh_virt_domain_started(domain);
        if (!look->arriving) {
            vh_virt_domain_runs(domain);
            tell_monitor(domain, look);
            domain->suspect = domain->missed = false;
        }
    } else if (!look->problem) {
        vh_virt_domain_take_back(domain, true);
    }
    vh_virt_domain_forget(domain);
}

static const struct vh_virt_job look_job = {
    .work = look_work, .done = look_done, .free = look_free};

void vh_virt_look(struct vh_virt_domain *domain)
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
        vh_virt_domain_stopped(inventory, g_ptr_array_index(gone, i));
    g_hash_table_iter_init(&iter, list->running);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        struct vh_virt_domain *domain = vh_virt_domain_get(inventory, key);

        domain->suspect = domain->missed = true;
        vh_virt_look(domain);
    }
}

static const struct vh_virt_job list_job = {
    .work = list_work, .done = list_done, .free = list_free};

void vh_virt_look_at_all(VhInventory *inventory)
{
    struct list *list = g_new0(struct list, 1);

    list->inventory = inventory;
    vh_virt_submit(inventory->virt, LIST_KEY, &list_job, list);
}
