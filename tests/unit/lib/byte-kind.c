/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kind of offload that is told by packets what to do. */
#include "lib/byte-kind.h"

#include <bpf/bpf.h>
#include <string.h>

#include "base/error.h"

struct VhSlot {
    VhNetObject *object;
    char *wants;
};

char *byte_kind_gathered;

static GBytes *gather(const VhFacts *facts, const char **why)
{
    (void)facts;
    *why = byte_kind_gathered ? NULL : "the guest has not told";
    return byte_kind_gathered ? g_bytes_new(byte_kind_gathered, strlen(byte_kind_gathered)) : NULL;
}

static VhSlot *load(const VhNetMaps *maps, const struct vh_slot_order *order, GError **error)
{
    g_autoptr(VhNetObject) object = vh_net_object_open(maps, "byte", error);
    gsize size = 0;
    const char *text = g_bytes_get_data(order->wants, &size);
    VhSlot *slot = NULL;

    g_assert_nonnull(object);
    if (size >= 6 && memcmp(text, "refuse", 6) == 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "it says so");
        return NULL;
    }
    if (vh_net_object_load(object, error) < 0)
        return NULL;
    slot = g_new0(VhSlot, 1);
    slot->object = g_steal_pointer(&object);
    slot->wants = g_strndup(text, size);
    return slot;
}

static int program(const VhSlot *slot, enum vh_hook hook)
{
    return vh_net_object_program(slot->object, hook);
}

static int state(const VhSlot *slot)
{
    return bpf_object__find_map_fd_by_name(vh_net_object_bpf(slot->object), "test_state");
}

static void act(VhSlot *slot, bool act)
{
    const guint32 key = 0;
    const guint64 value = act;

    g_assert_cmpint(bpf_map_update_elem(state(slot), &key, &value, 0), ==, 0);
}

static guint64 hits(const VhSlot *slot)
{
    const guint32 key = 1;
    guint64 value = 0;

    g_assert_cmpint(bpf_map_lookup_elem(state(slot), &key, &value), ==, 0);
    return value;
}

static char *explain(const VhSlot *slot)
{
    return g_strdup(slot->wants);
}

static void slot_free(VhSlot *slot)
{
    vh_net_object_free(slot->object);
    g_free(slot->wants);
    g_free(slot);
}

const struct vh_slot_kind byte_kind = {.name = "byte",
                                       .stage = VH_STAGE_FIREWALL,
                                       .gather = gather,
                                       .load = load,
                                       .program = program,
                                       .act = act,
                                       .hits = hits,
                                       .explain = explain,
                                       .free = slot_free};
const struct vh_slot_kind *const byte_kinds[VH_STAGES] = {[VH_STAGE_FIREWALL] = &byte_kind};
