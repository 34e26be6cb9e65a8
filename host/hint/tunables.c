// SPDX-License-Identifier: GPL-2.0-or-later
// Finds and packs tunables.
#include "hint/tunables.h"

#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "msg.h"
#include "tunable.h"

#define RODATA ".rodata"
#define RESERVED "vh_" /* names that the contract keeps for itself */

/* The object's section of tunables; NULL: it has none. */
static const struct btf_type *section_of(const VhObject *object)
{
    int id = object->btf ? btf__find_by_name_kind(object->btf, RODATA, BTF_KIND_DATASEC) : -1;

    return id > 0 ? btf__type_by_id(object->btf, (uint32_t)id) : NULL;
}

/* The variable's name, if a policy may set it; NULL: it is none such. */
static const char *name_of(const struct btf *btf, const struct btf_type *var)
{
    const char *name = var && btf_is_var(var) ? btf__name_by_offset(btf, var->name_off) : NULL;

    return name && !g_str_has_prefix(name, RESERVED) ? name : NULL;
}

/* Borrowed names of all, then NULL. */
static GPtrArray *names_of(const VhObject *object)
{
    GPtrArray *names = g_ptr_array_new();
    const struct btf_type *section = section_of(object);

    for (uint32_t i = 0; section && i < btf_vlen(section); i++) {
        const struct btf_var_secinfo *info = btf_var_secinfos(section) + i;
        const char *name = name_of(object->btf, btf__type_by_id(object->btf, info->type));

        if (name)
            g_ptr_array_add(names, (char *)name);
    }
    g_ptr_array_add(names, NULL);
    return names;
}

static bool find(const VhObject *object, const char *name, struct vh_tunable *found)
{
    const struct btf_type *section = section_of(object);

    for (uint32_t i = 0; section && i < btf_vlen(section); i++) {
        const struct btf_var_secinfo *info = btf_var_secinfos(section) + i;
        const struct btf_type *var = btf__type_by_id(object->btf, info->type);

        if (g_strcmp0(name_of(object->btf, var), name) != 0)
            continue;
        *found = (struct vh_tunable){.btf = object->btf,
                                     .type = vh_tunable_type(object->btf, var->type),
                                     .size = info->size};
        return found->type && found->size <= VH_OBJECT_MAX;
    }
    return false;
}

static int refuse_name(const VhObject *object, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = names_of(object);
    const char *const *known = (const char *const *)names->pdata;
    const char *best = vh_nearest(name, known);
    g_autofree char *all = NULL;

    if (!best)
        best = *known;
    if (!best)
        return vh_invalid(error, "the program %s has no tunables", object->name);
    all = g_strjoinv(", ", (char **)names->pdata);
    return vh_invalid(error,
                      "the program %s has no tunable \"%s\"; did you mean \"%s\"? (it has %s)",
                      object->name, name, best, all);
}

int vh_tunables_check(const VhObject *object, const char *name, const char *value, GError **error)
{
    g_autofree uint8_t *into = NULL;
    struct vh_tunable tunable;
    char wanted[160];

    if (!find(object, name, &tunable))
        return refuse_name(object, name, error);
    into = g_malloc(MAX(tunable.size, sizeof(uint64_t)));
    if (vh_tunable_read(&tunable, value, into) == 0)
        return 0;
    vh_tunable_describe(&tunable, wanted, sizeof(wanted));
    return vh_invalid(error, "\"%s\" is no value of the tunable %s: %s", value, name, wanted);
}

/* Where the tunable is, and how long with its NUL; NULL: it is not there. */
static const char *packed_one(const GByteArray *packed, const char *name, gsize *len)
{
    gsize name_len = strlen(name);

    for (gsize i = 0; i < packed->len; i += *len) {
        const char *at = (const char *)packed->data + i;

        *len = strlen(at) + 1;
        if (strncmp(at, name, name_len) == 0 && at[name_len] == '=')
            return at;
    }
    return NULL;
}

int vh_tunables_pack(GByteArray *packed, const char *name, const char *value, GError **error)
{
    g_autofree char *text = g_strdup_printf("%s=%s", name, value);
    gsize former_len = 0;
    const char *former = packed_one(packed, name, &former_len);
    gsize len = strlen(text) + 1;
    gsize total = packed->len + len - (former ? former_len : 0);

    if (!*name || strchr(name, '='))
        return vh_invalid(error, "\"%s\" is no name for a tunable", name);
    if (total > VH_TUNABLES_MAX)
        return vh_invalid(error, "the tunables have %zu bytes, the limit is %u", total,
                          VH_TUNABLES_MAX);
    if (former)
        g_byte_array_remove_range(packed, (guint)(former - (const char *)packed->data),
                                  (guint)former_len);
    g_byte_array_append(packed, (const guint8 *)text, (guint)len);
    return 0;
}

GBytes *vh_tunables_bytes(const GByteArray *packed)
{
    return g_bytes_new(packed->data, packed->len);
}

bool vh_tunables_good(GBytes *packed)
{
    gsize len = 0;
    const char *data = g_bytes_get_data(packed, &len);

    return vh_tunables_valid(data, len);
}
