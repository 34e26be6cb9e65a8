// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the dispatcher's maps, or finds those that a former vhintd has pinned.
#include "net/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "base/error.h"

#define DISPATCHER "dispatch"
#define SHARED "vh_" /* what the names of shared maps begin with */

struct VhNetMaps {
    char *objects;
    char *pins; /* NULL: none */
    struct bpf_object *object;
};

void vh_net_maps_free(VhNetMaps *maps)
{
    if (!maps)
        return;
    bpf_object__close(maps->object);
    g_free(maps->objects);
    g_free(maps->pins);
    g_free(maps);
}

static bool is_shared(const struct bpf_map *map)
{
    return g_str_has_prefix(bpf_map__name(map), SHARED);
}

/* Of this version's layout? */
static bool fits(const struct bpf_map *map, int fd)
{
    struct bpf_map_info info = {0};
    __u32 size = sizeof(info);

    return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == bpf_map__type(map) &&
           info.key_size == bpf_map__key_size(map) && info.value_size == bpf_map__value_size(map) &&
           info.max_entries == bpf_map__max_entries(map) &&
           info.map_flags == bpf_map__map_flags(map);
}

static char *pin_of(const VhNetMaps *maps, const struct bpf_map *map)
{
    return g_build_filename(maps->pins, bpf_map__name(map), NULL);
}

/* Takes over all of the pinned ones, if all are there and fit. */
static bool find(const VhNetMaps *maps)
{
    struct bpf_map *map = NULL;
    bool whole = true;

    bpf_object__for_each_map (map, maps->object) {
        g_autofree char *path = is_shared(map) ? pin_of(maps, map) : NULL;
        int fd = path ? bpf_obj_get(path) : -1;

        if (!path)
            continue;
        whole = whole && fd >= 0 && fits(map, fd);
        if (fd >= 0)
            close(fd);
    }
    if (!whole)
        return false;
    bpf_object__for_each_map (map, maps->object) {
        g_autofree char *path = is_shared(map) ? pin_of(maps, map) : NULL;
        int fd = path ? bpf_obj_get(path) : -1;

        if (fd >= 0)
            whole = bpf_map__reuse_fd(map, fd) == 0 && whole;
        if (fd >= 0)
            close(fd);
    }
    return whole;
}

static int fail(GError **error, const char *what, const char *name)
{
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "%s %s: %s", what, name, g_strerror(errno));
    return -1;
}

/* In the place of what may be there. */
static int pin(const VhNetMaps *maps, GError **error)
{
    struct bpf_map *map = NULL;

    bpf_object__for_each_map (map, maps->object) {
        g_autofree char *path = is_shared(map) ? pin_of(maps, map) : NULL;

        if (!path)
            continue;
        if (unlink(path) < 0 && errno != ENOENT)
            return fail(error, "unpinning", path);
        if (bpf_obj_pin(bpf_map__fd(map), path) < 0)
            return fail(error, "pinning", path);
    }
    return 0;
}

/* The maps alone: each hook has an instance of the programs. */
static int load(const VhNetMaps *maps, GError **error)
{
    struct bpf_program *program = NULL;

    bpf_object__for_each_program (program, maps->object)
        bpf_program__set_autoload(program, false);
    return bpf_object__load(maps->object) == 0 ? 0 : fail(error, "making the maps of", DISPATCHER);
}

VhNetMaps *vh_net_maps_new(const char *objects, const char *pins, GError **error)
{
    g_autoptr(VhNetMaps) maps = g_new0(VhNetMaps, 1);
    g_autofree char *path = NULL;
    bool found = false;

    maps->objects = g_strdup(objects);
    maps->pins = g_strdup(pins);
    path = vh_net_maps_object(maps, DISPATCHER);
    maps->object = bpf_object__open_file(path, NULL);
    if (!maps->object) {
        fail(error, "opening", path);
        return NULL;
    }
    found = pins && find(maps);
    if (load(maps, error) < 0 || (pins && !found && pin(maps, error) < 0))
        return NULL;
    return g_steal_pointer(&maps);
}

int vh_net_maps_fd(const VhNetMaps *maps, const char *name)
{
    const struct bpf_map *map =
        g_str_has_prefix(name, SHARED) ? bpf_object__find_map_by_name(maps->object, name) : NULL;

    return map ? bpf_map__fd(map) : -1;
}

char *vh_net_maps_object(const VhNetMaps *maps, const char *name)
{
    return g_strdup_printf("%s/%s.bpf.o", maps->objects, name);
}
