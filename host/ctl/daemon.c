/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What several commands ask the daemon for, and how they print it for programs. */
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

GVariant *vh_ctl_get_guests(struct vh_ctl *ctl, const char *only, GError **error)
{
    GVariantBuilder builder;
    g_variant_builder_init(&builder, G_VARIANT_TYPE("aa{sv}"));
    if (only != NULL) {
        g_autoptr(GVariant) details = get_guest(ctl, only, error);
        if (details != NULL)
            g_variant_builder_add_value(&builder, details);
        g_autoptr(GVariant) guests = g_variant_ref_sink(g_variant_builder_end(&builder));
        return details ? g_steal_pointer(&guests) : NULL;
    }
    g_autoptr(GVariant) names = vh_ctl_list(ctl, "ListGuests", NULL, error);
    for (gsize i = 0; names != NULL && i < g_variant_n_children(names); i++) {
        g_autoptr(GError) gone = NULL;
        g_autoptr(GVariant) dict = g_variant_get_child_value(names, i);
        const char *name = "";
        (void)g_variant_lookup(dict, "name", "&s", &name);
        g_autoptr(GVariant) details = get_guest(ctl, name, &gone);
        if (details != NULL)
            g_variant_builder_add_value(&builder, details);
        else if (!g_error_matches(gone, VH_ERROR, VH_ERROR_NO_SUCH_GUEST)) {
            g_propagate_error(error, g_steal_pointer(&gone));
            g_clear_pointer(&names, g_variant_unref);
        }
    }
    g_autoptr(GVariant) guests = g_variant_ref_sink(g_variant_builder_end(&builder));
    return names ? g_steal_pointer(&guests) : NULL;
}
