/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/random-btf.h"

#include <linux/btf.h>

#define DEPTH 3
#define SIZE_MAX_INNER 96u /* bytes of what stands in something else */
#define MEMBERS 8u

static struct random_type *make_type(struct random_kind *kind, unsigned depth);

static guint up_to(guint limit)
{
    return (guint)g_test_rand_int_range(0, (gint32)limit + 1);
}

static bool one_in(guint count)
{
    return up_to(count - 1) == 0;
}

static char *fresh_name(struct random_kind *kind)
{
    return g_strdup_printf("f%u", kind->names++);
}

static void type_free(gpointer data)
{
    struct random_type *type = data;

    g_clear_pointer(&type->constants, g_array_unref);
    g_clear_pointer(&type->members, g_ptr_array_unref);
    g_free(type);
}

static void member_free(gpointer data)
{
    struct random_member *member = data;

    g_free(member->name);
    g_free(member);
}

static struct random_type *add_type(struct random_kind *kind, enum random_shape shape, guint size,
                                    int id)
{
    struct random_type *type = g_new0(struct random_type, 1);

    g_assert_cmpint(id, >, 0);
    type->shape = shape;
    type->size = size;
    type->id = id;
    g_ptr_array_add(kind->types, type);
    return type;
}

/* ---- what stands alone ---- */

static struct random_type *make_int(struct random_kind *kind)
{
    struct random_type *type = NULL;
    guint size = 1u << up_to(4);
    int encoding = 0;
    const char *name = "number";

    if (one_in(8)) {
        encoding = BTF_INT_BOOL;
        size = 1;
    } else if (one_in(6)) {
        /* By its name, as clang has it; or by its encoding. */
        size = 1;
        encoding = g_test_rand_bit() ? BTF_INT_CHAR : BTF_INT_SIGNED;
        name = encoding == BTF_INT_CHAR ? "letter" : "char";
    } else if (g_test_rand_bit()) {
        encoding = BTF_INT_SIGNED;
    }
    type = add_type(kind, RANDOM_INT, size, btf__add_int(kind->btf, name, size, encoding));
    type->is_signed = encoding == BTF_INT_SIGNED;
    type->is_bool = encoding == BTF_INT_BOOL;
    type->is_char = encoding == BTF_INT_CHAR || g_str_equal(name, "char");
    return type;
}

static struct random_type *make_enum(struct random_kind *kind)
{
    guint size = 1u << up_to(3);
    bool wide = size == 8;
    bool is_signed = g_test_rand_bit();
    int id = wide ? btf__add_enum64(kind->btf, "wide", 8, is_signed)
                  : btf__add_enum(kind->btf, "narrow", size);
    struct random_type *type = add_type(kind, RANDOM_ENUM, size, id);

    type->named_by = id;
    type->constants = g_array_new(FALSE, FALSE, sizeof(gint64));
    for (guint left = up_to(5); left; left--) {
        g_autofree char *name = g_strdup_printf("E%d_%u", id, type->constants->len);
        gint64 value = (gint64)up_to(100) - (is_signed ? 50 : 0);

        if (wide && one_in(3))
            value = value * G_MAXINT32 * 2;
        g_assert_cmpint(wide ? btf__add_enum64_value(kind->btf, name, (guint64)value)
                             : btf__add_enum_value(kind->btf, name, value),
                        ==, 0);
        type->is_signed |= value < 0; /* as libbpf has it, of one that is not wide */
        g_array_append_val(type->constants, value);
    }
    if (wide)
        type->is_signed = is_signed;
    return type;
}

static struct random_type *make_float(struct random_kind *kind)
{
    guint size = g_test_rand_bit() ? 8 : 4;

    return add_type(kind, RANDOM_FLOAT, size, btf__add_float(kind->btf, "real", size));
}

static struct random_type *make_pointer(struct random_kind *kind)
{
    return add_type(kind, RANDOM_POINTER, 8, btf__add_ptr(kind->btf, 0));
}

/* ---- what has others in it ---- */

static struct random_type *make_array(struct random_kind *kind, unsigned depth)
{
    struct random_type *element = make_type(kind, depth);
    guint most = element->size ? SIZE_MAX_INNER / element->size : 0;
    guint count = element->is_char ? up_to(20) : up_to(MIN(most, 5));
    struct random_type *type = add_type(kind, RANDOM_ARRAY, element->size * count,
                                        btf__add_array(kind->btf, element->id, element->id, count));

    type->element = element;
    type->count = count;
    return type;
}

/* Some bit fields side by side, from a whole byte on; returns the bits that they take. */
static guint plan_bit_fields(struct random_kind *kind, GPtrArray *members, guint bit, guint count)
{
    guint begin = bit;

    for (; count; count--) {
        struct random_member *member = g_new0(struct random_member, 1);

        member->type = one_in(3) ? make_enum(kind) : make_int(kind);
        member->name = one_in(6) ? NULL : fresh_name(kind);
        member->bits = 1 + up_to(MIN(member->type->size * 8, 64) - 1);
        member->bit = bit;
        bit += member->bits;
        g_ptr_array_add(members, member);
    }
    return bit - begin;
}

/* Members one behind the other (of a union: all at the beginning); returns the bytes of the whole.
 */
static guint plan_members(struct random_kind *kind, GPtrArray *members, bool is_union, guint at,
                          unsigned depth)
{
    guint size = at;

    for (guint left = up_to(MEMBERS); left; left--) {
        struct random_member *member = NULL;

        if (!is_union)
            at = size + (one_in(3) ? up_to(7) : 0); /* what compilers leave for alignment */
        if (one_in(5)) {
            guint fields = is_union ? 1 : 1 + up_to(3);

            fields = plan_bit_fields(kind, members, at * 8, fields);
            size = MAX(size, at + (fields + 7) / 8);
            continue;
        }
        member = g_new0(struct random_member, 1);
        member->type = make_type(kind, depth + 1);
        if (!member->type->members || g_test_rand_bit())
            member->name = fresh_name(kind);
        member->bit = at * 8;
        size = MAX(size, at + member->type->size);
        g_ptr_array_add(members, member);
    }
    return size;
}

static struct random_type *make_composite(struct random_kind *kind, unsigned depth, guint header)
{
    g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func(member_free);
    bool is_union = !header && !kind->exact && one_in(3);
    const char *name = header ? "random" : "all";
    struct random_type *type = NULL;
    guint size = 0;
    int id = 0;

    if (header) {
        struct random_member *first = g_new0(struct random_member, 1);

        id = btf__add_struct(kind->btf, "vh_hint", header);
        first->name = g_strdup("h");
        first->type = add_type(kind, RANDOM_STRUCT, header, id);
        g_ptr_array_add(members, first);
    }
    size = plan_members(kind, members, is_union, header, depth);
    id = is_union ? btf__add_union(kind->btf, "either", size)
                  : btf__add_struct(kind->btf, name, size);
    for (guint i = 0; i < members->len; i++) {
        const struct random_member *member = members->pdata[i];

        g_assert_cmpint(btf__add_field(kind->btf, member->name, member->type->id, (int)member->bit,
                                       (int)member->bits),
                        ==, 0);
    }
    type = add_type(kind, is_union ? RANDOM_UNION : RANDOM_STRUCT, size, id);
    type->members = g_steal_pointer(&members);
    return type;
}

static void wrap(struct random_kind *kind, struct random_type *type)
{
    if (one_in(4))
        type->id = btf__add_typedef(kind->btf, "alias", type->id);
    if (one_in(6))
        type->id = btf__add_const(kind->btf, type->id);
    if (one_in(6))
        type->id = btf__add_volatile(kind->btf, type->id);
    g_assert_cmpint(type->id, >, 0);
}

static struct random_type *make_type(struct random_kind *kind, unsigned depth)
{
    struct random_type *type = NULL;
    guint which = up_to(depth < DEPTH ? 9 : 5);

    if (which < 3)
        type = make_int(kind);
    else if (which == 3)
        type = make_enum(kind);
    else if (which == 4)
        type = kind->exact ? make_int(kind) : make_float(kind);
    else if (which == 5)
        type = make_pointer(kind);
    else if (which < 8)
        type = make_array(kind, depth + 1);
    else
        type = make_composite(kind, depth + 1, 0);
    wrap(kind, type);
    return type->size > SIZE_MAX_INNER ? make_type(kind, DEPTH) : type;
}

struct random_kind *random_kind_new(bool exact)
{
    struct random_kind *kind = g_new0(struct random_kind, 1);

    kind->exact = exact;
    kind->btf = btf__new_empty();
    kind->types = g_ptr_array_new_with_free_func(type_free);
    kind->type = make_composite(kind, 0, sizeof(struct vh_hint));
    kind->kind = (struct vh_kind){.number = 1,
                                  .name = (char *)"random",
                                  .size = kind->type->size,
                                  .type = (guint32)kind->type->id,
                                  .btf = kind->btf};
    return kind;
}

void random_kind_free(struct random_kind *kind)
{
    g_ptr_array_unref(kind->types);
    btf__free(kind->btf);
    g_free(kind);
}
