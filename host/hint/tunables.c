// SPDX-License-Identifier: GPL-2.0-or-later
// Finds and packs tunables.
#include "hint/tunables.h"

#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "msg.h"

#define RODATA ".rodata"
#define RESERVED "vh_" /* names that the contract keeps for itself */

static const char *name_of(const struct btf *btf, const struct btf_var_secinfo *info)
{
    const struct btf_type *var = btf__type_by_id(btf, info->type);
    const char *name = var && btf_is_var(var) ? btf__name_by_offset(btf, var->name_off) : NULL;

    return name && !g_str_has_prefix(name, RESERVED) ? name : NULL;
}

/* Borrowed names of all, then NULL. */
static GPtrArray *names_of(const VhObject *object)
{
    GPtrArray *names = g_ptr_array_new();
    const struct btf *btf = object->btf;
    int id = btf ? btf__find_by_name_kind(btf, RODATA, BTF_KIND_DATASEC) : -1;
    const struct btf_type *section = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

    for (uint32_t i = 0; section && i < btf_vlen(section); i++) {
        const char *name = name_of(btf, btf_var_secinfos(section) + i);

        if (name)
            g_ptr_array_add(names, (char *)name);
    }
    g_ptr_array_add(names, NULL);
    return names;
}

int vh_tunables_find(const VhObject *object, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = names_of(object);
    const char *const *known = (const char *const *)names->pdata;
    const char *best = vh_nearest(name, known);
    g_autofree char *all = NULL;

    if (g_strv_contains(known, name))
        return 0;
    if (!best)
        best = *known;
    if (!best)
        return vh_invalid(error, "the program %s has no tunables", object->name);
    all = g_strjoinv(", ", (char **)names->pdata);
    return vh_invalid(error,
                      "the program %s has no tunable \"%s\"; did you mean \"%s\"? (it has %s)",
                      object->name, name, best, all);
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
