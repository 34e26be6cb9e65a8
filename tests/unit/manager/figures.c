/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/manager/figures.c: the snapshot that metrics are made of. */
#include "lib/herdsman.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define OTHER 5000100

static void test_none(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree struct vh_figures *figures = vh_manager_figures(&f->manager);

    g_assert_cmpuint(figures->guests, ==, 0);
    g_assert_cmpuint(figures->count, ==, 0);
    g_assert_cmpuint(figures->rounds, ==, 0);
}

static void test_some(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 3, FIRST);
    struct vh_entry *db = herd_add(&f->herd, "db", 1, OTHER);
    g_autofree struct vh_figures *figures = NULL;

    web->guest->connected = true;
    fake_guest_anchor(web->guest, 0);
    fake_guest_anchor(web->guest, 2);
    fake_guest_anchor(db->guest, 0);
    db->held = true;
    fake_guest_changed(web->guest, "hints");
    herdsman_wait(f, 1);
    figures = vh_manager_figures(&f->manager);
    g_assert_cmpuint(figures->guests, ==, 2);
    g_assert_cmpuint(figures->connected, ==, 1);
    g_assert_cmpuint(figures->count, ==, 2);
    g_assert_cmpuint(figures->rounds, ==, 1);
    g_assert_cmpuint(figures->plans, ==, 1);
    g_assert_cmpuint(figures->plan_ns, >, 0);
    g_assert_cmpint(figures->round_us, ==, f->manager.round_cost);
    g_assert_cmpstr(figures->each[0].name, ==, "web");
    g_assert_cmpuint(figures->each[0].vcpus, ==, 3);
    g_assert_cmpuint(figures->each[0].pinned, ==, 2);
    g_assert_false(figures->each[0].held);
    g_assert_cmpstr(figures->each[1].name, ==, "db");
    g_assert_cmpuint(figures->each[1].pinned, ==, 0);
    g_assert_true(figures->each[1].held);
}

/* Those beyond the limit are counted, but not listed. */
static void test_many(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree struct vh_figures *figures = NULL;
    g_autoptr(GPtrArray) many = g_ptr_array_new();
    struct vh_entry *entry = herd_add(&f->herd, "web", 0, 0);

    entry->guest->connected = true;
    while (many->len < VH_FIGURES_GUESTS_MAX + 2)
        g_ptr_array_add(many, entry);
    f->manager.entries = many;
    figures = vh_manager_figures(&f->manager);
    f->manager.entries = f->herd.entries;
    g_assert_cmpuint(figures->guests, ==, VH_FIGURES_GUESTS_MAX + 2);
    g_assert_cmpuint(figures->connected, ==, VH_FIGURES_GUESTS_MAX + 2);
    g_assert_cmpuint(figures->count, ==, VH_FIGURES_GUESTS_MAX);
}

#define ADD(name, func) \
    g_test_add("/figures-of-guests/" name, struct herdsman, NULL, herdsman_begin, func, \
               herdsman_end)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("none", test_none);
    ADD("some", test_some);
    ADD("many", test_many);
    return g_test_run();
}
