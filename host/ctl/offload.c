// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl offload: what of guests' work the host's kernel does, what comes of that, and why not.
#include <stdio.h>

#include "ctl/ctl.h"

static const char *text_of(GVariant *dict, const char *key)
{
    const char *text = "";

    (void)g_variant_lookup(dict, key, "&s", &text);
    return text;
}

static guint64 number_of(GVariant *dict, const char *key)
{
    guint64 number = 0;

    (void)g_variant_lookup(dict, key, "t", &number);
    return number;
}

/* Where the guest's packets pass it, and what became of them there. */
static void print_hooks(GVariant *hooks)
{
    static const char *const headings[] = {"INTERFACE",   "HOOK",        "MODE",
                                           "PACKETS",     "DROPPED",     "ANSWERED",
                                           "OVER BUDGET", "NS A PACKET", NULL};
    g_autoptr(VhTable) table = vh_table_new(headings);

    for (gsize i = 0; i < g_variant_n_children(hooks); i++) {
        g_autoptr(GVariant) hook = g_variant_get_child_value(hooks, i);
        guint64 packets = number_of(hook, "packets");

        vh_table_add(table, text_of(hook, "interface"));
        vh_table_add(table, text_of(hook, "hook"));
        vh_table_add(table, *text_of(hook, "mode") ? text_of(hook, "mode") : "-");
        vh_table_addf(table, "%" G_GUINT64_FORMAT, packets);
        vh_table_addf(table, "%" G_GUINT64_FORMAT, number_of(hook, "dropped"));
        vh_table_addf(table, "%" G_GUINT64_FORMAT, number_of(hook, "answered"));
        vh_table_addf(table, "%" G_GUINT64_FORMAT, number_of(hook, "over_budget"));
        vh_table_addf(table, "%" G_GUINT64_FORMAT, packets ? number_of(hook, "ns") / packets : 0);
    }
    if (g_variant_n_children(hooks))
        vh_table_print(table);
    for (gsize i = 0; i < g_variant_n_children(hooks); i++) {
        g_autoptr(GVariant) hook = g_variant_get_child_value(hooks, i);
        g_autofree char *problem = vh_text_printable(text_of(hook, "problem"), false);

        if (*problem)
            printf("  %s: %s\n", text_of(hook, "interface"), problem);
    }
}

/* What is left out has a line each. */
static void print_lines(const char *label, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        g_autofree char *line = vh_text_printable(lines[i], false);

        if (*line)
            printf("  %-8s %s\n", label, line);
    }
}

static void print_offload(GVariant *offload)
{
    g_autofree char *guest = vh_text_printable(text_of(offload, "guest"), false);
    g_autoptr(GVariant) hooks = g_variant_lookup_value(offload, "hook", G_VARIANT_TYPE("aa{sv}"));

    printf("\n%s: %s, %s\n", guest, text_of(offload, "offload"), text_of(offload, "state"));
    print_lines("why", text_of(offload, "reason"));
    print_lines("problem", text_of(offload, "problem"));
    print_lines("left out", text_of(offload, "left_out"));
    if (hooks)
        print_hooks(hooks);
}

int vh_ctl_offload(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) offloads =
        vh_ctl_list(ctl, "Offloads", g_variant_new("(s)", ctl->args ? ctl->args[0] : ""), error);

    if (!offloads)
        return -1;
    if (ctl->json)
        vh_ctl_print_variant_json(offloads);
    else if (!g_variant_n_children(offloads))
        puts("no offloads: no guest's policy has any");
    for (gsize i = 0; !ctl->json && i < g_variant_n_children(offloads); i++) {
        g_autoptr(GVariant) offload = g_variant_get_child_value(offloads, i);

        print_offload(offload);
    }
    return VH_EXIT_OK;
}
