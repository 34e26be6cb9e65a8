// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl map: draws the host and what is placed where.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "map/map.h"

#define COLUMNS_DEFAULT 120u

static unsigned columns(void)
{
    const char *text = g_getenv("COLUMNS");
    unsigned said = text ? (unsigned)strtoul(text, NULL, 10) : 0;
    struct winsize size;

    if (said >= 20)
        return said;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return COLUMNS_DEFAULT;
}

static void add_threads(VhMap *map, GVariant *guest, const char *key)
{
    g_autoptr(GVariant) dicts = g_variant_lookup_value(guest, key, G_VARIANT_TYPE("aa{sv}"));

    for (gsize i = 0; dicts && i < g_variant_n_children(dicts); i++) {
        g_autoptr(GVariant) dict = g_variant_get_child_value(dicts, i);
        struct vh_cpuset cpus;
        const char *reason = "";
        const char *role = "";
        const char *name = "";
        guint32 index = 0;
        bool vcpu = g_variant_lookup(dict, "index", "u", &index);

        (void)g_variant_lookup(dict, "reason", "&s", &reason);
        (void)g_variant_lookup(dict, "role", "&s", &role);
        (void)g_variant_lookup(dict, "name", "&s", &name);
        g_autofree char *who = g_strdup_printf("%s%s%s", role, *name ? " " : "", name);
        vh_map_add_thread(
            map, &(struct vh_map_thread){.vcpu = vcpu ? (int)index : -1,
                                         .role = who,
                                         .cpus = vh_ctl_held_to(dict, &cpus) ? &cpus : NULL,
                                         .why = reason});
    }
}

void vh_ctl_map_guest(VhMap *map, GVariant *guest)
{
    const char *name = "";

    (void)g_variant_lookup(guest, "name", "&s", &name);
    vh_map_add_guest(map, name);
    add_threads(map, guest, "vcpu");
    add_threads(map, guest, "thread");
}

/* What the daemon does now. -1 and an error, or 0. */
static int fill_from_daemon(struct vh_ctl *ctl, VhMap *map, GError **error)
{
    g_autoptr(GVariant) guests =
        vh_ctl_connect(ctl, error) < 0 ? NULL : vh_ctl_get_guests(ctl, NULL, error);

    g_autoptr(GVariant) policy = guests ? vh_ctl_get_policy(ctl, "", error) : NULL;
    struct vh_cpuset reserved;
    const char *reserve = "";

    if (!policy)
        return -1;
    if (g_variant_lookup(policy, "reserve", "&s", &reserve) &&
        vh_cpuset_parse(&reserved, reserve, NULL) == 0)
        vh_map_reserve(map, &reserved);
    for (gsize i = 0; i < g_variant_n_children(guests); i++) {
        g_autoptr(GVariant) guest = g_variant_get_child_value(guests, i);

        vh_ctl_map_guest(map, guest);
    }
    return 0;
}

int vh_ctl_draw_map(struct vh_ctl *ctl, const VhMap *map, GError **error)
{
    g_autoptr(GError) failed = NULL;
    g_autofree char *svg = ctl->svg ? vh_map_svg(map) : NULL;

    if (svg && !g_file_set_contents(ctl->svg, svg, -1, &failed)) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "--svg: %s", failed->message);
        return -1;
    }
    if (ctl->json) {
        g_autoptr(JsonNode) root = vh_map_json(map);
        vh_ctl_print_json(root);
    } else if (!svg) {
        g_autofree char *text = vh_map_text(map, columns());

        fputs(text, stdout);
    }
    return VH_EXIT_OK;
}

int vh_ctl_map(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(VhTopology) topology = vh_ctl_topology(ctl, error);
    g_autofree char *title = ctl->topology ? g_strdup(ctl->topology) : g_strdup(g_get_host_name());
    g_autoptr(VhMap) map = topology ? vh_map_new(topology, title) : NULL;

    int code = VH_EXIT_OK;

    if (!map)
        return -1;
    if (ctl->policy || ctl->replay)
        code = vh_ctl_plan_into(ctl, topology, map, error);
    else if (!ctl->topology)
        code = fill_from_daemon(ctl, map, error);
    if (code < 0)
        return -1;
    return vh_ctl_draw_map(ctl, map, error) < 0 ? -1 : code;
}
