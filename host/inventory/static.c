// SPDX-License-Identifier: GPL-2.0-or-later
// The inventory that is the configuration file.
#include "inventory/inventory.h"

struct VhInventory {
    const VhConfig *config;
    const struct vh_inventory_events *events;
    gpointer data;
};

static VhInventory *inventory_open(const VhConfig *config, const struct vh_inventory_events *events,
                                   gpointer data, GError **error)
{
    VhInventory *inventory = g_new0(VhInventory, 1);

    (void)error;
    inventory->config = config;
    inventory->events = events;
    inventory->data = data;
    return inventory;
}

static void inventory_start(VhInventory *inventory)
{
    for (guint i = 0; i < inventory->config->guests->len; i++)
        inventory->events->added(g_ptr_array_index(inventory->config->guests, i), inventory->data);
}

static void inventory_close(VhInventory *inventory, bool leave)
{
    (void)leave;
    g_free(inventory);
}

const struct vh_inventory_kind vh_inventory_static = {
    .name = "static",
    .open = inventory_open,
    .start = inventory_start,
    .close = inventory_close,
};
