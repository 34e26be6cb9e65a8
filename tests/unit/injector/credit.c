/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/credit.c: one that floods leaves the others their share. */
#include <glib.h>

#include "credit.h"

static void test_a_flood_leaves_shares(void)
{
    struct vh_purse purse;
    uint64_t used = 0;
    size_t room;

    vh_purse_begin(&purse, VH_CREDIT_INITIAL);
    while ((room = vh_purse_room(&purse, 1)) > 0) {
        room = MIN(room, 16384);
        vh_purse_use(&purse, 1, room);
        used += room;
    }
    g_assert_cmpuint(used, ==, VH_CREDIT_INITIAL / 4 * 3 + VH_CREDIT_SHARE);
    for (uint32_t other = 2; other <= VH_PROGRAMS_MAX; other++) {
        g_assert_cmpuint(vh_purse_room(&purse, other), ==, VH_CREDIT_SHARE);
        vh_purse_use(&purse, other, VH_CREDIT_SHARE - 100);
        g_assert_cmpuint(vh_purse_room(&purse, other), ==, 100);
        vh_purse_use(&purse, other, 100);
        g_assert_cmpuint(vh_purse_room(&purse, other), ==, 0);
    }
    g_assert_cmpuint(purse.credit, ==, 0);
    g_assert_cmpuint(vh_purse_room(&purse, 999), ==, 0); /* one that came meanwhile */
}

/* What the host adds goes to what is kept back first, and each has a share anew. */
static void test_more(void)
{
    struct vh_purse purse;

    vh_purse_begin(&purse, VH_CREDIT_INITIAL);
    vh_purse_use(&purse, 1, vh_purse_room(&purse, 1));
    g_assert_cmpuint(purse.credit, ==, VH_CREDIT_INITIAL / 4 - VH_CREDIT_SHARE);
    vh_purse_add(&purse, 10);
    g_assert_cmpuint(vh_purse_room(&purse, 1), ==, VH_CREDIT_SHARE);
    vh_purse_add(&purse, VH_CREDIT_INITIAL / 4);
    g_assert_cmpuint(vh_purse_room(&purse, 1), ==,
                     VH_CREDIT_INITIAL / 4 + 10); /* the share is of what was kept back */
    for (uint64_t i = 0; i < 10; i++)
        vh_purse_add(&purse, UINT32_MAX);
    g_assert_cmpuint(purse.credit, <, UINT32_MAX * 2ull + VH_CREDIT_INITIAL); /* no overflow */
}

/* A host that gives little: all of it can be used. */
static void test_little(void)
{
    struct vh_purse purse;

    vh_purse_begin(&purse, 100);
    g_assert_cmpuint(vh_purse_room(&purse, 1), ==, 100);
    vh_purse_use(&purse, 1, 90);
    g_assert_cmpuint(vh_purse_room(&purse, 1), ==, 10);
    g_assert_cmpuint(vh_purse_room(&purse, 2), ==, 10);
    vh_purse_begin(&purse, 0);
    g_assert_cmpuint(vh_purse_room(&purse, 1), ==, 0);
    vh_purse_add(&purse, 50);
    g_assert_cmpuint(vh_purse_room(&purse, 1), ==, 50);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/credit/a-flood-leaves-shares", test_a_flood_leaves_shares);
    g_test_add_func("/credit/more", test_more);
    g_test_add_func("/credit/little", test_little);
    return g_test_run();
}
