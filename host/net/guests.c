// SPDX-License-Identifier: GPL-2.0-or-later
// Carries wishes out in the kernel.
#include "net/guests.h"

#include <bpf/bpf.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "net/links.h"
#include "net/stages.h"
#include "net/taps.h"
#include "net/uplinks.h"

struct guest {
    VhNetWish *wish;
    VhStages *stages;
    GPtrArray *taps; /* VhTap */
    bool uplinked;
    char *uplink_problem; /* NULL: none */
};

struct VhNetGuests {
    const VhNetMaps *maps;
    const char *pins;
    const struct vh_slot_kind *const *kinds;
    VhUplinks *uplinks;
    GHashTable *guests; /* number -> struct guest */
};

VhNetGuests *vh_net_guests_new(const VhNetMaps *maps, const char *pins,
                               const struct vh_slot_kind *const *kinds)
{
    VhNetGuests *guests = g_new0(VhNetGuests, 1);

    guests->maps = maps;
    guests->pins = pins;
    guests->kinds = kinds;
    guests->uplinks = vh_uplinks_new(maps, pins);
    guests->guests = g_hash_table_new(NULL, NULL);
    return guests;
}

static void drop_taps(struct guest *guest, bool leave)
{
    for (guint i = 0; i < guest->taps->len; i++)
        vh_tap_free(g_ptr_array_index(guest->taps, i), leave);
    g_ptr_array_set_size(guest->taps, 0);
}

static void guest_free(struct guest *guest, bool leave)
{
    drop_taps(guest, leave);
    g_ptr_array_unref(guest->taps);
    vh_stages_free(guest->stages, leave);
    vh_net_wish_free(guest->wish);
    g_free(guest->uplink_problem);
    g_free(guest);
}

/* ---- whose number it is ---- */

static void set_name(const VhNetGuests *guests, guint32 number, const char *name)
{
    struct vh_net_name value = {0};

    g_strlcpy(value.guest, name, sizeof(value.guest));
    bpf_map_update_elem(vh_net_maps_fd(guests->maps, "vh_names"), &number, &value, 0);
}

static bool has_name(const VhNetGuests *guests, guint32 number, const char *name)
{
    struct vh_net_name value = {0};

    return bpf_map_lookup_elem(vh_net_maps_fd(guests->maps, "vh_names"), &number, &value) == 0 &&
           strncmp(value.guest, name, sizeof(value.guest)) == 0;
}

/* ---- the uplink ---- */

static int claim_all(const VhNetGuests *guests, const VhNetWish *wish, GError **error)
{
    g_autoptr(GArray) links = vh_links_read(error);

    for (unsigned i = 0; links && i < wish->nics; i++) {
        struct vh_mac mac = {0};

        memcpy(mac.mac, wish->nic[i].mac, sizeof(mac.mac));
        if (vh_links_path(links, wish->uplink, wish->nic[i].tap, &mac.vlan, error) < 0 ||
            vh_uplinks_claim(guests->uplinks, wish->number, &mac, error) < 0)
            return -1;
    }
    return links ? 0 : -1;
}

static void apply_uplink(const VhNetGuests *guests, struct guest *guest, bool changed)
{
    const VhNetWish *wish = guest->wish;
    bool wanted = wish->uplink && vh_stages_need(guest->stages, VH_HOOK_UPLINK);
    enum vh_attach_mode mode = VH_ATTACH_NATIVE;
    g_autoptr(GError) error = NULL;

    if (guest->uplinked &&
        (changed || !wanted || !vh_uplinks_stands(guests->uplinks, wish->uplink, &mode))) {
        vh_uplinks_drop(guests->uplinks, wish->number);
        guest->uplinked = false;
    }
    g_clear_pointer(&guest->uplink_problem, g_free);
    if (!wanted || guest->uplinked)
        return;
    guest->uplinked = true;
    if (vh_uplinks_need(guests->uplinks, wish->number, wish->uplink, &error) < 0 ||
        claim_all(guests, wish, &error) < 0) {
        vh_uplinks_drop(guests->uplinks, wish->number);
        guest->uplinked = false;
        guest->uplink_problem = g_strdup(error->message);
    }
}

/* ---- all of it ---- */

static bool same_nics(const VhNetWish *a, const VhNetWish *b)
{
    return a->nics == b->nics && memcmp(a->nic, b->nic, a->nics * sizeof(a->nic[0])) == 0;
}

/* Whose packets would those be? */
static bool is_taken(const VhNetGuests *guests, const struct guest *but, const char *tap)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, guests->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct guest *guest = value;

        for (unsigned i = 0; guest != but && i < guest->wish->nics; i++)
            if (g_str_equal(guest->wish->nic[i].tap, tap))
                return true;
    }
    return false;
}

static void apply_taps(const VhNetGuests *guests, struct guest *guest)
{
    const VhNetWish *wish = guest->wish;

    for (unsigned i = 0; !guest->taps->len && i < wish->nics; i++)
        g_ptr_array_add(guest->taps,
                        vh_tap_new(guests->maps, guests->pins, wish->number, &wish->nic[i]));
    for (guint i = 0; i < guest->taps->len; i++) {
        VhTap *tap = g_ptr_array_index(guest->taps, i);
        bool taken = is_taken(guests, guest, vh_tap_nic(tap)->tap);

        for (enum vh_hook hook = VH_HOOK_EGRESS; hook < VH_HOOKS; hook++)
            vh_tap_hook(tap, hook, vh_stages_need(guest->stages, hook), taken);
    }
}

static struct guest *guest_of(VhNetGuests *guests, const VhNetWish *wish)
{
    struct guest *guest = g_hash_table_lookup(guests->guests, GUINT_TO_POINTER(wish->number));

    if (guest)
        return guest;
    guest = g_new0(struct guest, 1);
    guest->taps = g_ptr_array_new();
    guest->stages = vh_stages_new(guests->maps, guests->kinds, wish->number,
                                  has_name(guests, wish->number, wish->guest));
    set_name(guests, wish->number, wish->guest);
    g_hash_table_insert(guests->guests, GUINT_TO_POINTER(wish->number), guest);
    return guest;
}

void vh_net_guests_apply(VhNetGuests *guests, VhNetWish *wish)
{
    struct guest *guest = guest_of(guests, wish);
    g_autoptr(VhNetWish) former = g_steal_pointer(&guest->wish);
    bool moved = former && !same_nics(former, wish);

    guest->wish = wish;
    if (moved)
        drop_taps(guest, false);
    vh_stages_apply(guest->stages, wish);
    apply_taps(guests, guest);
    apply_uplink(guests, guest, moved || (former && g_strcmp0(former->uplink, wish->uplink) != 0));
}

/* What a former process's dispatcher knows the guest by. */
static void forget_macs(const VhNetGuests *guests, guint32 number)
{
    int map = vh_net_maps_fd(guests->maps, "vh_macs");
    struct vh_mac last = {0};
    struct vh_mac key = {0};
    bool begun = false;

    while (bpf_map_get_next_key(map, begun ? &last : NULL, &key) == 0) {
        guint32 owner = 0;

        if (bpf_map_lookup_elem(map, &key, &owner) == 0 && owner == number)
            bpf_map_delete_elem(map, &key);
        else {
            last = key;
            begun = true;
        }
    }
}

void vh_net_guests_remove(VhNetGuests *guests, guint32 number)
{
    struct guest *guest = g_hash_table_lookup(guests->guests, GUINT_TO_POINTER(number));

    vh_uplinks_drop(guests->uplinks, number);
    forget_macs(guests, number);
    vh_stages_empty(guests->maps, number);
    g_hash_table_remove(guests->guests, GUINT_TO_POINTER(number));
    if (guest)
        guest_free(guest, false);
    set_name(guests, number, "");
}

/* All, also of what a former process has left and nobody has named. */
static void remove_all(VhNetGuests *guests)
{
    for (guint32 number = 0; number < VH_NET_GUESTS; number++)
        if (g_hash_table_contains(guests->guests, GUINT_TO_POINTER(number)) ||
            !has_name(guests, number, ""))
            vh_net_guests_remove(guests, number);
}

void vh_net_guests_free(VhNetGuests *guests, bool leave)
{
    GHashTableIter iter;
    gpointer guest = NULL;

    if (!leave)
        remove_all(guests);
    g_hash_table_iter_init(&iter, guests->guests);
    while (g_hash_table_iter_next(&iter, NULL, &guest))
        guest_free(guest, true);
    g_hash_table_unref(guests->guests);
    vh_uplinks_free(guests->uplinks, leave);
    g_free(guests);
}

static bool holds(const VhNetGuests *guests, enum vh_hook hook, unsigned interface)
{
    GHashTableIter iter;
    gpointer value = NULL;

    if (hook == VH_HOOK_UPLINK)
        return vh_uplinks_holds(guests->uplinks, interface);
    g_hash_table_iter_init(&iter, guests->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct guest *guest = value;

        for (guint i = 0; i < guest->taps->len; i++)
            if (vh_tap_holds(g_ptr_array_index(guest->taps, i), hook, interface))
                return true;
    }
    return false;
}

void vh_net_guests_tidy(const VhNetGuests *guests)
{
    g_autoptr(GDir) dir = guests->pins ? g_dir_open(guests->pins, 0, NULL) : NULL;
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(guests->pins, name, NULL);
        enum vh_hook hook = VH_HOOK_UPLINK;
        unsigned interface = 0;

        if (vh_attach_read_pin(name, &hook, &interface) && !holds(guests, hook, interface))
            unlink(path);
    }
}

static void describe_uplink(const VhNetGuests *guests, const struct guest *guest, VhNetState *state)
{
    const VhNetWish *wish = guest->wish;
    struct vh_net_hook *told = &state->hook[state->hooks];

    if (!guest->uplinked && !guest->uplink_problem)
        return;
    g_assert(state->hooks++ < G_N_ELEMENTS(state->hook));
    g_strlcpy(told->interface, wish->uplink, sizeof(told->interface));
    told->hook = VH_HOOK_UPLINK;
    told->attached =
        guest->uplinked && vh_uplinks_stands(guests->uplinks, wish->uplink, &told->mode);
    if (guest->uplink_problem)
        told->problem = g_strdup(guest->uplink_problem);
    else if (told->attached)
        told->problem = vh_uplinks_shared(guests->uplinks, wish->number);
    else
        told->problem = g_strdup("it has gone");
}

VhNetState *vh_net_guests_look(const VhNetGuests *guests, guint32 number)
{
    const struct guest *guest = g_hash_table_lookup(guests->guests, GUINT_TO_POINTER(number));
    VhNetState *state = NULL;

    if (!guest)
        return NULL;
    state = g_new0(VhNetState, 1);
    state->guest = g_strdup(guest->wish->guest);
    state->serial = guest->wish->serial;
    state->when = g_get_monotonic_time();
    vh_stages_describe(guest->stages, state);
    describe_uplink(guests, guest, state);
    for (guint i = 0; i < guest->taps->len; i++)
        vh_tap_describe(g_ptr_array_index(guest->taps, i), state);
    return state;
}
