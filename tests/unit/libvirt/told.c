/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which pins that libvirt announces were told it here, and for which instance. */
#include "libvirt/told.h"

#define A "a-uuid"
#define B "b-uuid"

static const struct vh_seat vcpu = {VH_SEAT_VCPU, 0}, emulator = {.kind = VH_SEAT_EMULATOR};
static struct vh_cpuset one, two;

static void test_instances(void)
{
    VhVirtTold *told = vh_virt_told_new();

    vh_virt_told_add(told, A, 1, vcpu, &one);
    vh_virt_told_add(told, A, 2, vcpu, &two);
    vh_virt_told_add(told, A, 2, emulator, &one);
    /* The second one waits for what was told for the first. */
    g_assert_true(vh_virt_told_astray(told, A, 2, vcpu, NULL));
    g_assert_true(vh_virt_told_astray(told, A, 2, vcpu, &one));
    g_assert_false(vh_virt_told_astray(told, A, 2, vcpu, &two));
    g_assert_false(vh_virt_told_astray(told, A, 2, emulator, NULL));
    g_assert_false(vh_virt_told_astray(told, B, 2, vcpu, NULL));
    g_assert_cmpint(vh_virt_told_heard(told, B, vcpu, &one), ==, -1);
    g_assert_cmpint(vh_virt_told_heard(told, A, vcpu, &one), ==, 1);
    g_assert_false(vh_virt_told_astray(told, A, 2, vcpu, NULL));
    /* Once told, once heard: the next is somebody else's. */
    g_assert_cmpint(vh_virt_told_heard(told, A, vcpu, &one), ==, -1);
    g_assert_cmpint(vh_virt_told_heard(told, A, vcpu, &two), ==, 2);
    g_assert_cmpint(vh_virt_told_heard(told, A, emulator, &one), ==, 2);
    g_assert_cmpint(vh_virt_told_heard(told, A, emulator, &one), ==, -1);
    vh_virt_told_free(told);
}

static void test_refused(void)
{
    VhVirtTold *told = vh_virt_told_new();

    vh_virt_told_add(told, A, 0, vcpu, &one);
    vh_virt_told_add(told, A, 1, vcpu, &one);
    vh_virt_told_drop(told, A, 1, vcpu, &one);
    vh_virt_told_drop(told, A, 1, vcpu, &one);
    g_assert_cmpint(vh_virt_told_heard(told, A, vcpu, &one), ==, 0);
    g_assert_cmpint(vh_virt_told_heard(told, A, vcpu, &one), ==, -1);
    vh_virt_told_free(told);
}

/* What libvirtd did before it went is not announced again; what waits for the next connection will
 * be. */
static void test_connection(void)
{
    VhVirtTold *told = vh_virt_told_new();

    vh_virt_told_add(told, A, 1, vcpu, &one);
    vh_virt_told_done(told, A, 1);
    vh_virt_told_add(told, A, 1, vcpu, &two);
    vh_virt_told_add(told, B, 3, vcpu, &one);
    vh_virt_told_lost(told);
    g_assert_cmpint(vh_virt_told_heard(told, A, vcpu, &one), ==, -1);
    g_assert_cmpint(vh_virt_told_heard(told, A, vcpu, &two), ==, 1);
    g_assert_cmpint(vh_virt_told_heard(told, B, vcpu, &one), ==, 3);
    vh_virt_told_free(told);
}

/* Announcements that never come do not fill the memory. */
static void test_many(void)
{
    VhVirtTold *told = vh_virt_told_new();
    unsigned heard = 0;

    vh_virt_told_add(told, B, 7, vcpu, &one);
    for (unsigned i = 0; i < 3000; i++)
        vh_virt_told_add(told, A, 1, vcpu, &one);
    while (vh_virt_told_heard(told, A, vcpu, &one) == 1)
        heard++;
    g_assert_cmpuint(heard, >, 0);
    g_assert_cmpuint(heard, <, 2000);
    g_assert_cmpint(vh_virt_told_heard(told, B, vcpu, &one), ==, 7);
    vh_virt_told_free(told);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(vh_cpuset_parse(&one, "1", NULL), ==, 0);
    g_assert_cmpint(vh_cpuset_parse(&two, "0,2", NULL), ==, 0);
    g_test_add_func("/virt-told/instances", test_instances);
    g_test_add_func("/virt-told/refused", test_refused);
    g_test_add_func("/virt-told/connection", test_connection);
    g_test_add_func("/virt-told/many", test_many);
    return g_test_run();
}
