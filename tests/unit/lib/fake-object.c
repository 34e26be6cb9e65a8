/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fake-object.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"

static VhObject *object_new(const char *name, struct btf *btf)
{
    VhObject *object = g_atomic_rc_box_new0(VhObject);

    g_strlcpy(object->name, name, sizeof(object->name));
    object->version = g_strdup("1");
    object->digest_hex = g_strdup("");
    object->bytes = g_bytes_new_static("", 0);
    object->btf = btf;
    object->kinds = g_new0(struct vh_kind, 1);
    object->kind_count = 1;
    return object;
}

static void set_kind(VhObject *object, guint16 number, const char *name, gsize size, int type)
{
    static guint64 serial = 1u << 30;

    g_assert_cmpint(type, >, 0);
    object->kinds[0] = (struct vh_kind){.number = number,
                                        .serial = ++serial,
                                        .name = g_strdup(name),
                                        .size = (guint32)size,
                                        .type = (guint32)type,
                                        .btf = object->btf,
                                        .object = object};
}

#define FIELD(btf, type, of, name) \
    g_assert_cmpint(btf__add_field(btf, #name, type, offsetof(of, name) * 8, 0), ==, 0)

static int add_header(struct btf *btf)
{
    int u16 = btf__add_int(btf, "__u16", 2, 0);
    int u32 = btf__add_int(btf, "__u32", 4, 0);
    int header = btf__add_struct(btf, "vh_hint", sizeof(struct vh_hint));

    FIELD(btf, u16, struct vh_hint, size);
    FIELD(btf, u16, struct vh_hint, kind);
    FIELD(btf, u32, struct vh_hint, cpu);
    return header;
}

VhObject *fake_object_affinity(void)
{
    struct btf *btf = btf__new_empty();
    int u32 = btf__add_int(btf, "unsigned int", 4, 0);
    int u64 = btf__add_int(btf, "unsigned long long", 8, 0);
    int chr = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
    int header = add_header(btf);
    int mask = btf__add_array(btf, u32, u64, VH_CPUS_MAX / 64);
    int comm = btf__add_array(btf, u32, chr, 16);
    int type = btf__add_struct(btf, "affinity", sizeof(struct fake_affinity));
    VhObject *object = NULL;

    FIELD(btf, header, struct fake_affinity, h);
    FIELD(btf, u32, struct fake_affinity, pid);
    FIELD(btf, u32, struct fake_affinity, tgid);
    FIELD(btf, u32, struct fake_affinity, cpus);
    FIELD(btf, u32, struct fake_affinity, reserved);
    FIELD(btf, mask, struct fake_affinity, mask);
    FIELD(btf, comm, struct fake_affinity, comm);
    object = object_new("affinity", btf);
    set_kind(object, 1, "affinity", sizeof(struct fake_affinity), type);
    return object;
}

VhObject *fake_object_stranger(void)
{
    struct btf *btf = btf__new_empty();
    int u8 = btf__add_int(btf, "unsigned char", 1, 0);
    int s8 = btf__add_int(btf, "signed char", 1, BTF_INT_SIGNED);
    int u16 = btf__add_int(btf, "unsigned short", 2, 0);
    int u32 = btf__add_int(btf, "unsigned int", 4, 0);
    int s32 = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    int u64 = btf__add_int(btf, "unsigned long long", 8, 0);
    int truth = btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL);
    int chr = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
    int real = btf__add_float(btf, "float", 4);
    int header = add_header(btf);
    int load = btf__add_array(btf, u32, u16, 3);
    int cores = btf__add_array(btf, u32, u64, 2);
    int name = btf__add_array(btf, u32, chr, 8);
    int phase = 0, where = 0, either = 0, type = 0, threshold = 0, label = 0, own = 0;
    gsize bits = offsetof(struct fake_stranger, where) + sizeof(((struct fake_stranger *)0)->where);
    VhObject *object = NULL;

    (void)u8;
    phase = btf__add_enum(btf, "fake_phase", 4);
    btf__add_enum_value(btf, "FAKE_COLD", FAKE_COLD);
    btf__add_enum_value(btf, "FAKE_WARM", FAKE_WARM);
    btf__add_enum_value(btf, "FAKE_HOT", FAKE_HOT);
    where = btf__add_struct(btf, "place", 16);
    g_assert_cmpint(btf__add_field(btf, "node", u32, 0, 0), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "seen", u64, 64, 0), ==, 0);
    either = btf__add_union(btf, NULL, 4);
    g_assert_cmpint(btf__add_field(btf, "extra", u32, 0, 0), ==, 0);
    type = btf__add_struct(btf, "stranger", sizeof(struct fake_stranger));
    FIELD(btf, header, struct fake_stranger, h);
    FIELD(btf, u32, struct fake_stranger, worker);
    FIELD(btf, s32, struct fake_stranger, home);
    FIELD(btf, phase, struct fake_stranger, phase);
    FIELD(btf, truth, struct fake_stranger, ready);
    FIELD(btf, s8, struct fake_stranger, mood);
    FIELD(btf, load, struct fake_stranger, load);
    FIELD(btf, where, struct fake_stranger, where);
    g_assert_cmpint(btf__add_field(btf, "low", u32, (int)bits * 8, 3), ==, 0);
    g_assert_cmpint(btf__add_field(btf, "high", u32, (int)bits * 8 + 3, 5), ==, 0);
    g_assert_cmpint(btf__add_field(btf, NULL, either, offsetof(struct fake_stranger, extra) * 8, 0),
                    ==, 0);
    FIELD(btf, cores, struct fake_stranger, cores);
    FIELD(btf, name, struct fake_stranger, name);
    FIELD(btf, real, struct fake_stranger, ratio);
    threshold = btf__add_var(btf, "threshold", BTF_VAR_GLOBAL_ALLOCATED, u32);
    label = btf__add_var(btf, "label", BTF_VAR_GLOBAL_ALLOCATED, name);
    own = btf__add_var(btf, "vh_injector", BTF_VAR_GLOBAL_ALLOCATED, u32);
    g_assert_cmpint(btf__add_datasec(btf, ".rodata", 16), >, 0);
    g_assert_cmpint(btf__add_datasec_var_info(btf, threshold, 0, 4), ==, 0);
    g_assert_cmpint(btf__add_datasec_var_info(btf, label, 4, 8), ==, 0);
    g_assert_cmpint(btf__add_datasec_var_info(btf, own, 12, 4), ==, 0);
    g_assert_cmpint(btf__add_var(btf, "counter", BTF_VAR_GLOBAL_ALLOCATED, u32), >, 0);
    object = object_new("stranger", btf);
    set_kind(object, 7, "stranger", sizeof(struct fake_stranger), type);
    return object;
}

struct vh_hint fake_hint(gsize size, guint16 kind, guint16 key_size)
{
    return (struct vh_hint){.size = (guint16)size, .kind = kind, .key_size = key_size};
}

VhObject *fake_object_read(const char *name, const char *path, gpointer data, GError **error)
{
    (void)path;
    (void)data;
    if (g_str_equal(name, "affinity"))
        return fake_object_affinity();
    if (g_str_equal(name, "stranger"))
        return fake_object_stranger();
    g_set_error(error, VH_ERROR, VH_ERROR_INVALID_OBJECT, "program %s: no such file", name);
    return NULL;
}

void fake_object_list(GPtrArray *names, gpointer data)
{
    (void)data;
    g_ptr_array_add(names, g_strdup("affinity"));
    g_ptr_array_add(names, g_strdup("stranger"));
}

const char fake_rules[] = "[rule pin]\non = affinity\nwhen = cpus == 1\ndo = pin mask\n"
                          "[rule group]\non = affinity\nwhen = cpus > 1\ndo = group mask\n"
                          "[rule kept]\non = stranger\ndo = pin home\nhold = 2s\n";
