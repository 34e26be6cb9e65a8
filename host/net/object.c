// SPDX-License-Identifier: GPL-2.0-or-later
// Opens objects for the host's kernel and has them loaded.
#include "net/object.h"

#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

#define LOG_SIZE (1u << 18)
#define RODATA ".rodata"

const char *const vh_hook_names[VH_HOOKS] = {
    [VH_HOOK_UPLINK] = "uplink", [VH_HOOK_EGRESS] = "egress", [VH_HOOK_INGRESS] = "ingress"};

struct VhNetObject {
    char *name;
    char *log; /* of the verifier; NULL once it is loaded */
    struct bpf_object *object;
};

void vh_net_object_free(VhNetObject *object)
{
    if (!object)
        return;
    bpf_object__close(object->object);
    g_free(object->name);
    g_free(object->log);
    g_free(object);
}

/* errno says how it failed. */
static int share(const VhNetMaps *maps, struct bpf_object *object)
{
    struct bpf_map *map = NULL;

    bpf_object__for_each_map (map, object) {
        int fd = vh_net_maps_fd(maps, bpf_map__name(map));

        if (fd >= 0 && bpf_map__reuse_fd(map, fd) < 0)
            return -1;
    }
    return 0;
}

VhNetObject *vh_net_object_open(const VhNetMaps *maps, const char *name, GError **error)
{
    g_autoptr(VhNetObject) object = g_new0(VhNetObject, 1);
    g_autofree char *path = vh_net_maps_object(maps, name);
    LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_size = LOG_SIZE);

    object->name = g_strdup(name);
    object->log = g_malloc0(LOG_SIZE);
    opts.kernel_log_buf = object->log;
    object->object = bpf_object__open_file(path, &opts);
    if (object->object && share(maps, object->object) == 0)
        return g_steal_pointer(&object);
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "%s cannot be opened: %s", path,
                g_strerror(errno));
    return NULL;
}

struct bpf_object *vh_net_object_bpf(VhNetObject *object)
{
    return object->object;
}

/* Where in the constants it is; NULL: there is none such. libbpf's own memory, until load. */
static void *constant(const struct bpf_object *bpf, const char *name, gsize size)
{
    const struct bpf_map *map = bpf_object__find_map_by_name(bpf, RODATA);
    const struct btf *btf = bpf_object__btf(bpf);
    __s32 id = btf ? btf__find_by_name_kind(btf, RODATA, BTF_KIND_DATASEC) : -1;
    const struct btf_type *section = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
    size_t room = 0;
    guint8 *values =
        map ? (guint8 *)bpf_map__initial_value((struct bpf_map *)(gpointer)map, &room) : NULL;

    for (unsigned i = 0; values && section && i < btf_vlen(section); i++) {
        const struct btf_var_secinfo *info = btf_var_secinfos(section) + i;
        const struct btf_type *type = btf__type_by_id(btf, info->type);

        if (g_str_equal(btf__name_by_offset(btf, type->name_off), name) && info->size == size &&
            info->offset <= room && size <= room - info->offset)
            return values + info->offset;
    }
    return NULL;
}

void vh_net_object_set(VhNetObject *object, const char *name, gconstpointer value, gsize size)
{
    void *place = constant(object->object, name, size);

    g_assert(object->log && place);
    memcpy(place, value, size);
}

/* The verifier's last line but the one that counts its work. */
static const char *last_words(char *log)
{
    char *line = NULL;

    g_strchomp(log);
    line = strrchr(log, '\n');
    while (line && g_str_has_prefix(line + 1, "processed ")) {
        *line = 0;
        line = strrchr(log, '\n');
    }
    return line ? line + 1 : log;
}

int vh_net_object_load(VhNetObject *object, GError **error)
{
    int result = bpf_object__load(object->object);
    const char *words = NULL;

    g_assert(object->log);
    if (result < 0) {
        words = last_words(object->log);
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the kernel refuses %s.bpf.o: %s%s%s",
                    object->name, g_strerror(-result), *words ? ": " : "", words);
    }
    g_clear_pointer(&object->log, g_free);
    return result < 0 ? -1 : 0;
}

int vh_net_object_program(const VhNetObject *object, enum vh_hook hook)
{
    const struct bpf_program *program =
        bpf_object__find_program_by_name(object->object, vh_hook_names[hook]);

    return program ? bpf_program__fd(program) : -1;
}
