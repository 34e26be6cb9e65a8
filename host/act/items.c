// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps what actions were wanted for: by key, and by what they are done to.
//
// A key may come to mean another thread, when a vCPU is unplugged and plugged in again. A thread
// may come to have another key, when QEMU names it once it runs. What is in force goes with the
// thread.
#include "act/state.h"

void vh_items_free(gpointer data)
{
    struct item *item = data;

    g_free((char *)item->target.key.guest);
    g_free(item->problem);
    vh_items_forget_former(item);
    g_free(item);
}

void vh_items_forget_former(struct item *item)
{
    g_clear_pointer(&item->former, g_ref_string_release);
}

/* People ask again and again, the journal once more: it is put into words once. */
const char *vh_items_former(const VhActuate *actuate, struct item *item)
{
    g_autofree char *text = NULL;

    if (!item->hold || !item->applied)
        return "";
    if (item->former)
        return item->former;
    text = actuate->actuator->former(item->hold);
    item->former = g_ref_string_new(text);
    return item->former;
}

/* Of one actuator's targets either all have a device or none has. */
static gpointer thing_of(const struct vh_target *target)
{
    return target->ram ? (gpointer)target->ram : GINT_TO_POINTER(target->on.thread);
}

static bool is_of(const struct item *item, const struct vh_target *target)
{
    return vh_thread_id_equal(&item->target.on, &target->on) && item->target.ram == target->ram;
}

void vh_items_changed(const VhActuate *actuate, const struct item *item)
{
    if (actuate->tell)
        actuate->tell(item->target.key.guest, actuate->tell_data);
}

struct item *vh_items_find(const VhActuate *actuate, const struct vh_target_key *key)
{
    return g_hash_table_lookup(actuate->items, key);
}

/* It keeps what is in force for it until the end of the round, or until another key claims it. */
static void displace(VhActuate *actuate, struct item *item)
{
    vh_items_changed(actuate, item);
    g_hash_table_steal(actuate->items, &item->target.key);
    g_ptr_array_add(actuate->displaced, item);
}

/* Takes it out of wherever it is. */
static void take_out(VhActuate *actuate, struct item *item)
{
    guint place = 0;

    if (g_ptr_array_find(actuate->displaced, item, &place))
        g_ptr_array_steal_index_fast(actuate->displaced, place);
    else
        g_hash_table_steal(actuate->items, &item->target.key);
}

static void set_target(struct item *item, const struct vh_target *target)
{
    g_autofree char *former = (char *)item->target.key.guest;

    item->target = *target;
    item->target.key.guest = g_strdup(target->key.guest);
}

static void rename_item(VhActuate *actuate, struct item *item, const struct vh_target *target)
{
    vh_items_changed(actuate, item);
    take_out(actuate, item);
    set_target(item, target);
    if (item->hold)
        actuate->actuator->rename(item->hold, &item->target.key);
    g_hash_table_insert(actuate->items, &item->target.key, item);
    vh_items_changed(actuate, item);
}

struct item *vh_items_claim(VhActuate *actuate, const struct vh_target *target)
{
    struct item *item = vh_items_find(actuate, &target->key);

    if (item && is_of(item, target))
        return item;
    if (item)
        displace(actuate, item);
    item = g_hash_table_lookup(actuate->things, thing_of(target));
    if (!item || !is_of(item, target))
        return NULL;
    rename_item(actuate, item, target);
    return item;
}

struct item *vh_items_add(VhActuate *actuate, const struct vh_target *target)
{
    struct item *item = g_new0(struct item, 1);

    g_assert(!vh_items_find(actuate, &target->key));
    set_target(item, target);
    g_hash_table_insert(actuate->items, &item->target.key, item);
    g_hash_table_insert(actuate->things, thing_of(target), item);
    return item;
}

void vh_items_let_go(VhActuate *actuate, struct item *item)
{
    gpointer thing = thing_of(&item->target);

    /* The thread's number may be another item's by now. */
    if (g_hash_table_lookup(actuate->things, thing) == item)
        g_hash_table_remove(actuate->things, thing);
    if (item->hold)
        actuate->actuator->forget(g_steal_pointer(&item->hold));
}

void vh_items_remove(VhActuate *actuate, struct item *item)
{
    vh_items_changed(actuate, item);
    vh_items_let_go(actuate, item);
    take_out(actuate, item);
    vh_items_free(item);
}
