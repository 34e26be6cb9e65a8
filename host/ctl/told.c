// SPDX-License-Identifier: GPL-2.0-or-later
// Makes of what the daemon says of a guest what a forecast is told of it.
#include "ctl/ctl.h"

static void take(GVariant *dict, const char *key, char **into)
{
    const char *text = NULL;

    if (!g_variant_lookup(dict, key, "&s", &text))
        return;
    g_free(*into);
    *into = g_strdup(text);
}

bool vh_ctl_held_to(GVariant *dict, struct vh_cpuset *cpus)
{
    const char *state = "";
    const char *list = "";

    (void)g_variant_lookup(dict, "state", "&s", &state);
    (void)g_variant_lookup(dict, "host_cpus", "&s", &list);
    return g_str_equal(state, "pinned") && vh_cpuset_parse(cpus, list, NULL) == 0;
}

static struct vh_forecast_vcpu told_vcpu(GVariant *dict)
{
    struct vh_forecast_vcpu vcpu = {.guest_cpu = -1};
    gint32 thread = 0;

    (void)g_variant_lookup(dict, "index", "u", &vcpu.index);
    (void)g_variant_lookup(dict, "guest_cpu", "i", &vcpu.guest_cpu);
    (void)g_variant_lookup(dict, "thread", "i", &thread);
    if (thread == 0)
        vcpu.guest_cpu = -1;
    vcpu.held = vh_ctl_held_to(dict, &vcpu.held_to);
    return vcpu;
}

/* All of QEMU's own threads are one emulator, which is where any of them is held to. */
static void take_thread(struct vh_forecast_guest *guest, GVariant *dict)
{
    struct vh_forecast_thread thread = {0};
    const char *role = "";
    const char *name = "";

    (void)g_variant_lookup(dict, "role", "&s", &role);
    (void)g_variant_lookup(dict, "name", "&s", &name);
    thread.held = vh_ctl_held_to(dict, &thread.held_to);
    thread.vhost = g_str_equal(role, "vhost");
    if (!g_str_equal(role, "emulator")) {
        g_strlcpy(thread.name, name, sizeof(thread.name));
        vh_forecast_guest_add_thread(guest, &thread);
    } else if (thread.held && !guest->emulator_held) {
        guest->emulator_held = true;
        guest->emulator_to = thread.held_to;
    }
}

struct vh_forecast_guest *vh_ctl_told_guest(GVariant *details)
{
    struct vh_forecast_guest *guest = vh_forecast_guest_new("");
    g_autoptr(GVariant) vcpus = g_variant_lookup_value(details, "vcpu", G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(GVariant) threads =
        g_variant_lookup_value(details, "thread", G_VARIANT_TYPE("aa{sv}"));
    const char *nodes = "";

    take(details, "name", &guest->name);
    take(details, "uuid", &guest->uuid);
    take(details, "profile", &guest->profile);
    take(details, "name", &guest->title); /* a vhintd before this vhintctl may not tell it */
    take(details, "title", &guest->title);
    take(details, "boot_id", &guest->boot_id);
    if (g_variant_lookup(details, "memory_nodes", "&s", &nodes) && *nodes)
        guest->nodes_known = vh_cpuset_parse(&guest->nodes, nodes, NULL) == 0;
    for (gsize i = 0; vcpus && i < g_variant_n_children(vcpus); i++) {
        g_autoptr(GVariant) dict = g_variant_get_child_value(vcpus, i);
        struct vh_forecast_vcpu vcpu = told_vcpu(dict);

        g_array_append_val(guest->vcpus, vcpu);
    }
    for (gsize i = 0; threads && i < g_variant_n_children(threads); i++) {
        g_autoptr(GVariant) dict = g_variant_get_child_value(threads, i);

        take_thread(guest, dict);
    }
    return guest;
}

GVariant *vh_ctl_list_hints(struct vh_ctl *ctl, const char *guest, GError **error)
{
    return vh_ctl_call(ctl, "ListHints", g_variant_new("(s)", guest), "(as)", false, NULL, error);
}
