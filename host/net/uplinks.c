// SPDX-License-Identifier: GPL-2.0-or-later
// Attaches the dispatcher to uplinks, and tells it whose MAC is whose.
#include "net/uplinks.h"

#include <bpf/bpf.h>
#include <string.h>

#include "base/error.h"
#include "net/links.h"
#include "net/object.h"

struct uplink {
    char *name;
    VhNetObject *dispatcher;
    VhAttach *attach;
};

struct claim {
    struct vh_mac mac;
    guint32 number;
};

struct VhUplinks {
    const VhNetMaps *maps;
    const char *pins;
    GPtrArray *uplinks; /* struct uplink */
    GHashTable *needs;  /* number -> struct uplink */
    GArray *claims;     /* struct claim */
};

static void uplink_end(struct uplink *uplink, bool leave)
{
    if (leave)
        vh_attach_leave(uplink->attach);
    else
        vh_attach_end(uplink->attach);
    vh_net_object_free(uplink->dispatcher);
    g_free(uplink->name);
    g_free(uplink);
}

VhUplinks *vh_uplinks_new(const VhNetMaps *maps, const char *pins)
{
    VhUplinks *uplinks = g_new0(VhUplinks, 1);

    uplinks->maps = maps;
    uplinks->pins = pins;
    uplinks->uplinks = g_ptr_array_new();
    uplinks->needs = g_hash_table_new(NULL, NULL);
    uplinks->claims = g_array_new(FALSE, TRUE, sizeof(struct claim));
    return uplinks;
}

void vh_uplinks_free(VhUplinks *uplinks, bool leave)
{
    for (guint i = 0; i < uplinks->uplinks->len; i++)
        uplink_end(g_ptr_array_index(uplinks->uplinks, i), leave);
    g_ptr_array_unref(uplinks->uplinks);
    g_hash_table_unref(uplinks->needs);
    g_array_unref(uplinks->claims);
    g_free(uplinks);
}

/* ---- the interfaces ---- */

static struct uplink *find(const VhUplinks *uplinks, const char *name)
{
    for (guint i = 0; i < uplinks->uplinks->len; i++) {
        struct uplink *uplink = g_ptr_array_index(uplinks->uplinks, i);

        if (g_str_equal(uplink->name, name))
            return uplink;
    }
    return NULL;
}

static VhAttach *attach(const VhUplinks *uplinks, const char *name, VhNetObject *dispatcher,
                        GError **error)
{
    if (vh_links_hides_tags(name)) {
        g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                    "%s takes VLAN tags off before XDP can see them: turn that off (ethtool -K %s "
                    "rxvlan off), or do without uplink",
                    name, name);
        return NULL;
    }
    return vh_attach_named(VH_HOOK_UPLINK, name, uplinks->pins,
                           vh_net_object_program(dispatcher, VH_HOOK_UPLINK), error);
}

static struct uplink *open_uplink(VhUplinks *uplinks, const char *name, GError **error)
{
    g_autoptr(VhNetObject) dispatcher = vh_net_object_open(uplinks->maps, "dispatch", error);
    struct uplink *uplink = NULL;
    VhAttach *attached = NULL;

    if (!dispatcher || vh_net_object_load(dispatcher, error) < 0)
        return NULL;
    attached = attach(uplinks, name, dispatcher, error);
    if (!attached)
        return NULL;
    uplink = g_new0(struct uplink, 1);
    uplink->name = g_strdup(name);
    uplink->dispatcher = g_steal_pointer(&dispatcher);
    uplink->attach = attached;
    g_ptr_array_add(uplinks->uplinks, uplink);
    return uplink;
}

/* One that nobody needs. */
static void tidy(VhUplinks *uplinks, struct uplink *uplink)
{
    GHashTableIter iter;
    gpointer needed = NULL;

    g_hash_table_iter_init(&iter, uplinks->needs);
    while (g_hash_table_iter_next(&iter, NULL, &needed))
        if (needed == uplink)
            return;
    g_ptr_array_remove(uplinks->uplinks, uplink);
    uplink_end(uplink, false);
}

int vh_uplinks_need(VhUplinks *uplinks, guint32 number, const char *name, GError **error)
{
    struct uplink *uplink = find(uplinks, name);

    /* The interface may have gone and come since. */
    if (uplink && !vh_attach_stands(uplink->attach)) {
        g_ptr_array_remove(uplinks->uplinks, uplink);
        uplink_end(uplink, false);
        uplink = NULL;
    }
    if (!uplink)
        uplink = open_uplink(uplinks, name, error);
    if (!uplink)
        return -1;
    g_hash_table_insert(uplinks->needs, GUINT_TO_POINTER(number), uplink);
    return 0;
}

bool vh_uplinks_stands(const VhUplinks *uplinks, const char *name, enum vh_attach_mode *mode)
{
    const struct uplink *uplink = find(uplinks, name);

    g_assert(uplink);
    *mode = vh_attach_mode(uplink->attach);
    return vh_attach_stands(uplink->attach);
}

bool vh_uplinks_holds(const VhUplinks *uplinks, unsigned interface)
{
    for (guint i = 0; i < uplinks->uplinks->len; i++)
        if (vh_attach_interface(
                ((const struct uplink *)g_ptr_array_index(uplinks->uplinks, i))->attach) ==
            interface)
            return true;
    return false;
}

/* ---- MACs ---- */

static struct claim *claim_at(const VhUplinks *uplinks, guint position)
{
    return &g_array_index(uplinks->claims, struct claim, position);
}

/* Does another guest have it, in whatever VLAN? */
static bool is_shared(const VhUplinks *uplinks, const struct claim *claim)
{
    for (guint i = 0; i < uplinks->claims->len; i++)
        if (claim_at(uplinks, i)->number != claim->number &&
            memcmp(claim_at(uplinks, i)->mac.mac, claim->mac.mac, sizeof(claim->mac.mac)) == 0)
            return true;
    return false;
}

/* Says so to the dispatcher of each claim: one that has become nobody's, or somebody's again. */
static int settle(const VhUplinks *uplinks, GError **error)
{
    int map = vh_net_maps_fd(uplinks->maps, "vh_macs");
    int result = 0;

    for (guint i = 0; i < uplinks->claims->len; i++) {
        const struct claim *claim = claim_at(uplinks, i);

        if (is_shared(uplinks, claim))
            bpf_map_delete_elem(map, &claim->mac);
        else if (bpf_map_update_elem(map, &claim->mac, &claim->number, 0) < 0)
            result = -1;
    }
    if (result < 0)
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the dispatcher has no room for more MACs");
    return result;
}

int vh_uplinks_claim(VhUplinks *uplinks, guint32 number, const struct vh_mac *mac, GError **error)
{
    const struct claim claim = {*mac, number};

    g_array_append_val(uplinks->claims, claim);
    return settle(uplinks, error);
}

char *vh_uplinks_shared(const VhUplinks *uplinks, guint32 number)
{
    for (guint i = 0; i < uplinks->claims->len; i++) {
        const guint8 *mac = claim_at(uplinks, i)->mac.mac;

        if (claim_at(uplinks, i)->number == number && is_shared(uplinks, claim_at(uplinks, i)))
            return g_strdup_printf("another guest has the MAC %02x:%02x:%02x:%02x:%02x:%02x, too: "
                                   "give each its own",
                                   mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    }
    return NULL;
}

void vh_uplinks_drop(VhUplinks *uplinks, guint32 number)
{
    struct uplink *uplink = g_hash_table_lookup(uplinks->needs, GUINT_TO_POINTER(number));
    int map = vh_net_maps_fd(uplinks->maps, "vh_macs");

    for (guint i = uplinks->claims->len; i > 0; i--) {
        const struct claim *claim = claim_at(uplinks, i - 1);

        if (claim->number != number)
            continue;
        if (!is_shared(uplinks, claim))
            bpf_map_delete_elem(map, &claim->mac);
        g_array_remove_index(uplinks->claims, i - 1);
    }
    (void)settle(uplinks, NULL);
    g_hash_table_remove(uplinks->needs, GUINT_TO_POINTER(number));
    if (uplink)
        tidy(uplinks, uplink);
}
