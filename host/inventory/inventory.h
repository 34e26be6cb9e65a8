/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where guests come from. One implementation per source; the manager knows this interface only. */
#pragma once

#include "base/thread-id.h"
#include "config/vhintd.h"
#include "inventory/maker.h"

typedef struct VhInventory VhInventory;

/* What an inventory calls. A guest is meant by the pointer to its description, the one that `added`
 * was given, which lives until `removed` has returned; never by its name. */
struct vh_inventory_events {
    void (*added)(const struct vh_config_guest *guest, gpointer data);
    void (*removed)(const struct vh_config_guest *guest, gpointer data);
    /* The guest comes up: its QEMU is `process`, whose monitor is not within reach yet. Called
     * again and again. */
    void (*starting)(const struct vh_config_guest *guest, const struct vh_thread_id *process,
                     gpointer data);
    /* What bars a pin may have changed: try again. */
    void (*retry)(const struct vh_config_guest *guest, gpointer data);
    /* The guest's maker has set a thread's mask as it was told to before something else was wanted.
     */
    void (*outdated)(const struct vh_config_guest *guest, gpointer data);
    /* The seat is somebody else's to place, because of `why` (borrowed); NULL: it no longer is. */
    void (*hands_off)(const struct vh_config_guest *guest, struct vh_seat seat, const char *why,
                      gpointer data);
    /* Does policy say anything of this guest? Those that the configuration names are looked after
     * anyway. */
    bool (*wanted)(const struct vh_guest_id *id, gpointer data);
};

struct vh_inventory_kind {
    const char *name;
    /* `config`, `events` and `data` are borrowed. Calls nothing yet. */
    VhInventory *(*open)(const VhConfig *config, const struct vh_inventory_events *events,
                         gpointer data, GError **error);
    /* From now on guests are reported, those that are there at once. */
    void (*start)(VhInventory *inventory);
    /* Policy has changed: what is wanted may be another. NULL: does not depend on it. */
    void (*reconsider)(VhInventory *inventory);
    /* `leave`: what the guests' makers were told of pins stays so, for the next daemon. */
    void (*close)(VhInventory *inventory, bool leave);
};

/* The guests of the configuration file, all of them from the start. */
extern const struct vh_inventory_kind vh_inventory_static;
/* The running domains of libvirt that policy wants. */
extern const struct vh_inventory_kind vh_inventory_libvirt;
