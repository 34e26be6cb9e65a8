/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/hint/field.c: a constant of an enum is a field's value only if the field can have it. What a
 * path finds, policy/when.c tests. */
#include "hint/field.h"

#include <string.h>

#include "base/error.h"
#include "lib/fake-object.h"

struct fixture {
    VhObject *object;
    const struct vh_kind *kind;
    struct vh_fieldref phase; /* FAKE_COLD 0, FAKE_WARM 1, FAKE_HOT -2 */
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->object = fake_object_stranger();
    f->kind = vh_object_kind(f->object, 7);
    g_assert_nonnull(f->kind);
    g_assert_cmpint(vh_fieldref_find(f->kind, "phase", &f->phase, NULL), ==, 0);
    g_assert_true(f->phase.is_signed);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_object_unref(f->object);
}

static void assert_constant(const struct fixture *f, const char *name, gint64 expected)
{
    g_autoptr(GError) error = NULL;
    uint64_t value = 99;

    g_assert_cmpint(vh_fieldref_constant(f->kind, &f->phase, name, &value, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_cmpint((gint64)value, ==, expected);
}

static void assert_refused(const struct fixture *f, const char *name, const char *words)
{
    g_autoptr(GError) error = NULL;
    uint64_t value = 99;

    g_assert_cmpint(vh_fieldref_constant(f->kind, &f->phase, name, &value, &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull(strstr(error->message, words));
    g_assert_cmpint((gint64)value, ==, 99);
}

static void test_whole(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    assert_constant(f, "FAKE_COLD", 0);
    assert_constant(f, "FAKE_WARM", 1);
    assert_constant(f, "FAKE_HOT", -2);
    assert_refused(f, "FAKE_HOTT", "did you mean \"FAKE_HOT\"?");
}

/* As many bits of it as a bit field has. */
static void test_bits(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->phase.bits = 2;
    assert_constant(f, "FAKE_WARM", 1);
    assert_constant(f, "FAKE_HOT", -2);
    f->phase.bits = 1;
    assert_constant(f, "FAKE_COLD", 0);
    assert_refused(f, "FAKE_WARM", "it is never FAKE_WARM, which is 1: it has 1 bits");
    assert_refused(f, "FAKE_HOT", "it is never FAKE_HOT, which is -2: it has 1 bits");
}

/* An enum of which the compiler does not say that it is signed. */
static void test_unsigned(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->phase.is_signed = false;
    f->phase.bits = 2;
    assert_constant(f, "FAKE_HOT", 2);
    f->phase.bits = 1;
    assert_constant(f, "FAKE_WARM", 1);
    assert_refused(f, "FAKE_HOT", "it has 1 bits");
}

#define ADD(name, func) g_test_add("/field/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("whole", test_whole);
    ADD("bits", test_bits);
    ADD("unsigned", test_unsigned);
    return g_test_run();
}
