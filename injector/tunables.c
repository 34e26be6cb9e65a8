// SPDX-License-Identifier: GPL-2.0-or-later
// Sets tunables: see tunables.h.
#include "tunables.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "tunable.h"
#include "wire.h"

#define RODATA ".rodata"
#define RESERVED "vh_" /* names that the contract keeps for itself */

struct variable {
    struct vh_tunable is;
    uint8_t *value;
};

static bool find_variable(const struct bpf_object *object, const char *section, const char *name,
                          struct variable *found)
{
    const struct bpf_map *map = bpf_object__find_map_by_name(object, section);
    const struct btf *btf = bpf_object__btf(object);
    __s32 id = btf ? btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC) : -1;
    const struct btf_type *datasec = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
    uint8_t *values;
    size_t size = 0;

    /* libbpf's own memory, const only for those who should copy a whole section. */
    values = map ? (uint8_t *)bpf_map__initial_value((struct bpf_map *)map, &size) : NULL;
    for (__u32 i = 0; values && datasec && i < btf_vlen(datasec); i++) {
        const struct btf_var_secinfo *info = btf_var_secinfos(datasec) + i;
        const struct btf_type *var = btf__type_by_id(btf, info->type);

        if (strcmp(btf__name_by_offset(btf, var->name_off), name) != 0)
            continue;
        if (info->size > size || info->offset > size - info->size)
            return false;
        *found = (struct variable){{btf, vh_tunable_type(btf, var->type), info->size},
                                   values + info->offset};
        return found->is.type != NULL;
    }
    return false;
}

void *vh_variable(const struct bpf_object *object, const char *section, const char *name,
                  size_t *size)
{
    struct variable v;

    if (!find_variable(object, section, name, &v))
        return NULL;
    *size = v.is.size;
    return v.value;
}

/* "no such tunable; this program has a, b" */
static void list_tunables(const struct bpf_object *object, char *text, size_t size)
{
    const struct btf *btf = bpf_object__btf(object);
    __s32 id = btf ? btf__find_by_name_kind(btf, RODATA, BTF_KIND_DATASEC) : -1;
    const struct btf_type *datasec = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
    const char *separator = "no such tunable; this program has ";
    size_t used = 0;

    for (__u32 i = 0; datasec && i < btf_vlen(datasec) && used < size; i++) {
        const struct btf_type *var = btf__type_by_id(btf, (btf_var_secinfos(datasec) + i)->type);
        const char *name = btf__name_by_offset(btf, var->name_off);

        if (strncmp(name, RESERVED, strlen(RESERVED)) == 0)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s", separator, name);
        separator = ", ";
    }
    if (used == 0)
        snprintf(text, size, "no such tunable; this program has none");
}

static int set_one(struct bpf_object *object, const char *tunable, char *text)
{
    const char *value = strchr(tunable, '=') + 1;
    char why[VH_TEXT_MAX / 2];
    char name[128];
    struct variable v;
    int error = -EINVAL;

    snprintf(name, sizeof(name), "%.*s", (int)(value - 1 - tunable), tunable);
    if (strncmp(name, RESERVED, strlen(RESERVED)) == 0) {
        snprintf(why, sizeof(why),
                 "names that begin with " RESERVED " are not for policies to set");
    } else if (!find_variable(object, RODATA, name, &v)) {
        list_tunables(object, why, sizeof(why));
    } else {
        error = vh_tunable_read(&v.is, value, v.value);
        if (error == 0)
            return 0;
        vh_tunable_describe(&v.is, why, sizeof(why));
    }
    snprintf(text, VH_TEXT_MAX, "tunable %s=%.128s: %s", name, value, why);
    return error;
}

int vh_tunables_set(struct bpf_object *object, const char *tunables, size_t len, char *text)
{
    for (const char *t = tunables; t < tunables + len; t += strlen(t) + 1) {
        int error = t[0] == VH_OPTION_MARK ? 0 : set_one(object, t, text);

        if (error)
            return error;
    }
    return 0;
}
