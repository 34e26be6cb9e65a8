// SPDX-License-Identifier: GPL-2.0-or-later
// Loads tables into the kernel, with the programs that go by them.
#include "net/firewall-instance.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

#define NO_LINK 255u
#define VLANS 4096u

struct VhFwInstance {
    VhNetObject *object;
    guint counters;
};

/* A map of the object and what is put in it, element by element. */
struct content {
    const char *map;
    const GArray *elements;
};

void vh_fw_instance_free(VhFwInstance *instance)
{
    if (!instance)
        return;
    vh_net_object_free(instance->object);
    g_free(instance);
}

static struct bpf_map *find(const VhFwInstance *instance, const char *name)
{
    return bpf_object__find_map_by_name(vh_net_object_bpf(instance->object), name);
}

int vh_fw_instance_map(const VhFwInstance *instance, const char *name)
{
    return bpf_map__fd(find(instance, name));
}

int vh_fw_instance_program(const VhFwInstance *instance, enum vh_hook hook)
{
    return vh_net_object_program(instance->object, hook);
}

static int failed(GError **error, const char *what)
{
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the firewall's tables: %s: %s", what,
                g_strerror(errno));
    return -1;
}

static int fill(const VhFwInstance *instance, const struct content *content, GError **error)
{
    guint32 count = content->elements->len;
    g_autofree guint32 *keys = g_new(guint32, MAX(count, 1));

    for (guint32 i = 0; i < count; i++)
        keys[i] = i;
    if (count && bpf_map_update_batch(vh_fw_instance_map(instance, content->map), keys,
                                      content->elements->data, &count, NULL) < 0)
        return failed(error, content->map);
    return 0;
}

/* VLANs that the guest has no interface for come in nowhere. */
static GArray *links_of(const struct vh_fw_guest *guest)
{
    GArray *links = g_array_sized_new(FALSE, FALSE, sizeof(guint32), VLANS);
    guint32 none = NO_LINK;

    for (guint i = 0; i < VLANS; i++)
        g_array_append_val(links, none);
    for (guint i = 0; i < guest->link_count; i++)
        g_array_index(links, guint32, guest->links[i].vlan % VLANS) = i;
    return links;
}

static void prepare(VhFwInstance *instance, const VhFwTables *tables, const guint8 mac[6],
                    const struct content *contents, guint count)
{
    struct vh_fw_config config = tables->config;

    memcpy(config.mac, mac, sizeof(config.mac));
    vh_net_object_set(instance->object, "vh_fw_config", &config, sizeof(config));
    for (guint i = 0; i < count; i++)
        bpf_map__set_max_entries(find(instance, contents[i].map),
                                 MAX(contents[i].elements->len, 1));
    instance->counters = tables->droppers->len;
    bpf_map__set_max_entries(find(instance, "vh_fw_drops"), MAX(instance->counters, 1));
}

static int share(VhFwInstance *instance, const VhFwInstance *former, GError **error)
{
    static const char *const names[] = {"vh_fw_flows", "vh_fw_sight"};

    for (gsize i = 0; former && i < G_N_ELEMENTS(names); i++) {
        if (bpf_map__reuse_fd(find(instance, names[i]), vh_fw_instance_map(former, names[i])) < 0)
            return failed(error, names[i]);
    }
    return 0;
}

VhFwInstance *vh_fw_instance_new(const VhNetMaps *maps, const VhFwTables *tables,
                                 const struct vh_fw_guest *guest, const guint8 mac[6],
                                 const VhFwInstance *former, GError **error)
{
    g_autoptr(VhFwInstance) instance = g_new0(VhFwInstance, 1);
    g_autoptr(GArray) links = links_of(guest);
    const struct content contents[] = {{"vh_fw_blocks", tables->blocks},
                                       {"vh_fw_classes", tables->classes},
                                       {"vh_fw_smalls", tables->smalls},
                                       {"vh_fw_words", tables->words},
                                       {"vh_fw_edges", tables->edges},
                                       {"vh_fw_actions", tables->actions},
                                       {"vh_fw_links", links}};

    instance->object = vh_net_object_open(maps, "firewall", error);
    if (!instance->object)
        return NULL;
    prepare(instance, tables, mac, contents, G_N_ELEMENTS(contents));
    if (share(instance, former, error) || vh_net_object_load(instance->object, error))
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(contents); i++) {
        if (fill(instance, &contents[i], error))
            return NULL;
    }
    return g_steal_pointer(&instance);
}

int vh_fw_instance_set_mode(VhFwInstance *instance, guint32 mode, GError **error)
{
    int fd = vh_fw_instance_map(instance, "vh_fw_mode");
    guint32 zero = 0;

    return bpf_map_update_elem(fd, &zero, &mode, BPF_ANY) < 0 ? failed(error, "vh_fw_mode") : 0;
}

GArray *vh_fw_instance_drops(const VhFwInstance *instance)
{
    int cpus = MAX(libbpf_num_possible_cpus(), 1);
    g_autofree guint64 *each = g_new0(guint64, (gsize)cpus);
    GArray *drops = g_array_new(FALSE, FALSE, sizeof(guint64));
    int fd = vh_fw_instance_map(instance, "vh_fw_drops");

    for (guint32 i = 0; i < instance->counters; i++) {
        guint64 sum = 0;

        if (bpf_map_lookup_elem(fd, &i, each) == 0) {
            for (int cpu = 0; cpu < cpus; cpu++)
                sum += each[cpu];
        }
        g_array_append_val(drops, sum);
    }
    return drops;
}
