// SPDX-License-Identifier: GPL-2.0-or-later
// Notes in domains' metadata what is to go with them when they migrate.
#include "libvirt/domain.h"

struct order {
    VhInventory *inventory;
    char *uuid;
    char *text;
    char *problem;
};

static void order_free(gpointer data)
{
    struct order *order = data;

    g_free(order->uuid);
    g_free(order->text);
    g_free(order->problem);
    g_free(order);
}

/* In a worker. */
static bool work(virConnectPtr connection, gpointer data)
{
    struct order *order = data;
    g_autofree char *xml = g_strdup_printf("<wishes>%s</wishes>", order->text); /* base64 */
    virDomainPtr domain = virDomainLookupByUUIDString(connection, order->uuid);
    int result = domain ? virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml,
                                               VH_DOMAIN_WISHES_PREFIX, VH_DOMAIN_WISHES_NAMESPACE,
                                               VIR_DOMAIN_AFFECT_LIVE)
                        : -1;
    bool lost = result < 0 && vh_virt_lost(connection);

    if (result < 0 && !lost)
        order->problem = vh_virt_error();
    if (domain)
        virDomainFree(domain);
    return !lost;
}

static void done(gpointer data)
{
    const struct order *order = data;
    struct vh_virt_domain *domain = g_hash_table_lookup(order->inventory->domains, order->uuid);

    if (!domain)
        return;
    domain->carrying = false;
    /* What failed counts as done: it is not tried again until something else is to be noted. */
    g_free(domain->carried);
    domain->carried = g_strdup(order->text);
    if (order->problem && domain->reported)
        g_warning("libvirt does not note what domain %s takes along when it migrates: %s",
                  domain->guest.name, order->problem);
    vh_virt_carry(domain);
}

static const struct vh_virt_job job = {.work = work, .done = done, .free = order_free};

void vh_virt_carry(struct vh_virt_domain *domain)
{
    struct order *order = NULL;

    if (!domain->running || domain->carrying || !domain->carry ||
        g_strcmp0(domain->carry, domain->carried) == 0)
        return;
    domain->carrying = true;
    order = g_new0(struct order, 1);
    order->inventory = domain->inventory;
    order->uuid = g_strdup(domain->uuid);
    order->text = g_strdup(domain->carry);
    vh_virt_submit(domain->inventory->virt, domain->uuid, &job, order);
}
