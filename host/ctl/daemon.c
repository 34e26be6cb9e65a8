// SPDX-License-Identifier: GPL-2.0-or-later
// What several commands ask the daemon for, and how they print it for programs.
#include "ctl/ctl.h"

GVariant *vh_ctl_list(struct vh_ctl *ctl, const char *method, GVariant *parameters, GError **error)
{
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, method, parameters, "(aa{sv})", false, NULL, error);
    return answer ? g_variant_get_child_value(answer, 0) : NULL;
}

static GVariant *get_guest(struct vh_ctl *ctl, const char *name, GError **error)
{
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, "GetGuest", g_variant_new("(s)", name), "(a{sv})", false, NULL, error);
    return answer ? g_variant_get_child_value(answer, 0) : NULL;
}

/* The next guests after `*last`. false: there are no more, or (with an error) it failed. */
static bool add_guests(struct vh_ctl *ctl, guint64 *last, GVariantBuilder *builder, GError **error)
{
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, "GetGuests", g_variant_new("(t)", *last), "(aa{sv}t)", false, NULL, error);
    g_autoptr(GVariant) guests = NULL;

    if (answer == NULL)
        return false;
    g_variant_get(answer, "(@aa{sv}t)", &guests, last);
    for (gsize i = 0; i < g_variant_n_children(guests); i++) {
        g_autoptr(GVariant) guest = g_variant_get_child_value(guests, i);
        g_variant_builder_add_value(builder, guest);
    }
    return *last != 0;
}

GVariant *vh_ctl_get_guests(struct vh_ctl *ctl, const char *only, GError **error)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(GError) failed = NULL;
    g_autoptr(GVariant) details = only ? get_guest(ctl, only, &failed) : NULL;
    guint64 last = 0;

    if (details != NULL)
        g_variant_builder_add_value(&builder, details);
    while (only == NULL && add_guests(ctl, &last, &builder, &failed))
        ;
    if (failed == NULL)
        return g_variant_ref_sink(g_variant_builder_end(&builder));
    g_propagate_error(error, g_steal_pointer(&failed));
    return NULL;
}
