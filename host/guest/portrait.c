// SPDX-License-Identifier: GPL-2.0-or-later
// Puts the copy of what is shown of a guest into words. Touches no guest.
#include "guest/portrait.h"

#include <string.h>

static void names_clear(gpointer data)
{
    VhGuestNames *names = data;

    g_free(names->name);
    g_free(names->title);
    g_free(names->uuid);
    g_free(names->profile);
}

VhGuestNames *vh_guest_names_new(const struct vh_config_guest *config)
{
    VhGuestNames *names = g_atomic_rc_box_new0(VhGuestNames);

    names->name = g_strdup(config->name);
    names->title = g_strdup(config->title);
    names->uuid = g_strdup(config->uuid);
    names->profile = g_strdup(config->profile);
    return names;
}

VhGuestNames *vh_guest_names_ref(VhGuestNames *names)
{
    return g_atomic_rc_box_acquire(names);
}

void vh_guest_names_unref(VhGuestNames *names)
{
    g_atomic_rc_box_release_full(names, names_clear);
}

void vh_guest_portrait_clear(VhGuestPortrait *portrait)
{
    g_clear_pointer(&portrait->names, vh_guest_names_unref);
    g_clear_pointer(&portrait->problem, g_free);
}

bool vh_guest_portrait_equal(const VhGuestPortrait *a, const VhGuestPortrait *b)
{
    return a->names == b->names && a->connected == b->connected && a->programs == b->programs &&
           a->vcpus == b->vcpus && a->facts == b->facts && a->hints == b->hints &&
           a->lost == b->lost && a->refused == b->refused &&
           memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0 &&
           memcmp(a->release, b->release, sizeof(a->release)) == 0 &&
           memcmp(a->agent, b->agent, sizeof(a->agent)) == 0 &&
           g_strcmp0(a->problem, b->problem) == 0;
}

static char *boot_id_text(const uint8_t id[16])
{
    return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                           id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9],
                           id[10], id[11], id[12], id[13], id[14], id[15]);
}

/* A string that a guest has sent, and that has not been looked at yet. */
static void insert_guest_text(GVariantDict *dict, const char *key, const char *text, gsize size)
{
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)strnlen(text, size));

    g_variant_dict_insert(dict, key, "s", valid);
}

static void insert_name(GVariantDict *dict, const char *key, const char *name)
{
    g_variant_dict_insert(dict, key, "s", name ? name : "");
}

void vh_guest_portrait_describe(const VhGuestPortrait *portrait, GVariantDict *dict)
{
    bool up = portrait->connected;
    g_autofree char *boot_id = up ? boot_id_text(portrait->boot_id) : g_strdup("");

    insert_name(dict, "name", portrait->names->name);
    insert_name(dict, "title", portrait->names->title);
    insert_name(dict, "uuid", portrait->names->uuid);
    insert_name(dict, "profile", portrait->names->profile);
    g_variant_dict_insert(dict, "connected", "b", up);
    g_variant_dict_insert(dict, "boot_id", "s", boot_id);
    insert_guest_text(dict, "release", up ? portrait->release : "", sizeof(portrait->release));
    insert_guest_text(dict, "injector", up ? portrait->agent : "", sizeof(portrait->agent));
    g_variant_dict_insert(dict, "programs", "u", portrait->programs);
    g_variant_dict_insert(dict, "vcpus", "u", portrait->vcpus);
    g_variant_dict_insert(dict, "facts", "u", portrait->facts);
    g_variant_dict_insert(dict, "hints", "t", portrait->hints);
    g_variant_dict_insert(dict, "lost", "t", portrait->lost);
    g_variant_dict_insert(dict, "refused", "t", portrait->refused);
    insert_guest_text(dict, "problem", portrait->problem ? portrait->problem : "", G_MAXSSIZE);
}
