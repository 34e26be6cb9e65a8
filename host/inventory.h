/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where guests come from. One implementation per source; the manager knows this interface only. */
#pragma once

#include "config.h"

typedef struct VhInventory VhInventory;

/* What an inventory calls; a guest's description lives until it is removed. */
struct vh_inventory_events {
    void (*added)(const struct vh_config_guest *guest, gpointer data);
    void (*removed)(const char *name, gpointer data);
    /* What bars a pin may have changed: try again. */
    void (*retry)(const char *name, gpointer data);
    /* The vCPU is somebody else's to place, because of `why` (borrowed); NULL: it no longer is. */
    void (*hands_off)(const char *name, unsigned vcpu, const char *why, gpointer data);
};

struct vh_inventory_kind {
    const char *name;
    /* `config`, `events` and `data` are borrowed. Calls nothing yet. */
    VhInventory *(*open)(const VhConfig *config, const struct vh_inventory_events *events, gpointer data,
                         GError **error);
    /* From now on guests are reported, those that are there at once. */
    void (*start)(VhInventory *inventory);
    void (*close)(VhInventory *inventory);
};

/* The guests of the configuration file, all of them from the start. */
extern const struct vh_inventory_kind vh_inventory_static;
/* The running domains of libvirt that a [domain MATCH] section matches. */
extern const struct vh_inventory_kind vh_inventory_libvirt;
