/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shares that are used up and fill again. */
#include "io/share.h"

static const struct vh_share_size size = {1000, 100};

static void test_used_up(void)
{
    struct vh_share share = {0};
    gint64 now = 50 * G_USEC_PER_SEC;

    g_assert_true(vh_share_idle(&share, &size, now));
    g_assert_true(vh_share_open(&share, &size, now));
    g_assert_cmpfloat(share.left, ==, 1000);
    share.left -= 999;
    g_assert_true(vh_share_open(&share, &size, now));
    share.left -= 201; /* the last one may owe */
    g_assert_false(vh_share_open(&share, &size, now));
    g_assert_false(vh_share_idle(&share, &size, now));
    /* 200 owed, and a quarter. */
    g_assert_cmpint(vh_share_opens(&share, &size, now), ==, now + 4500000 + 1);
    now += 4499000;
    g_assert_false(vh_share_open(&share, &size, now));
    now = vh_share_opens(&share, &size, now);
    g_assert_true(vh_share_open(&share, &size, now));
    g_assert_cmpint(vh_share_opens(&share, &size, now), ==, now);
    /* Open, it stays so down to nothing. */
    share.left = 1;
    g_assert_true(vh_share_open(&share, &size, now));
}

/* It holds no more than it does, however long nobody uses it. */
static void test_fills(void)
{
    struct vh_share share = {0};

    g_assert_true(vh_share_open(&share, &size, 1));
    share.left = 400;
    g_assert_false(vh_share_idle(&share, &size, 1 + 5999000));
    g_assert_true(vh_share_idle(&share, &size, 1 + 6 * G_USEC_PER_SEC));
    share.held_back = 1;
    g_assert_false(vh_share_idle(&share, &size, G_MAXINT64 / 2));
    g_assert_true(vh_share_open(&share, &size, G_MAXINT64 / 2));
    g_assert_cmpfloat(share.left, ==, 1000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/share/used-up", test_used_up);
    g_test_add_func("/share/fills", test_fills);
    return g_test_run();
}
