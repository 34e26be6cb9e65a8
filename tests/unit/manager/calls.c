/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/manager/calls.c: release and resume, and what people see. */
#include <string.h>

#include "base/error.h"
#include "lib/herdsman.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define OTHER 5000100

static unsigned retaken;

static void retake(G_GNUC_UNUSED const struct vh_config_guest *config)
{
    retaken++;
}

static void mirror(G_GNUC_UNUSED const struct vh_config_guest *config,
                   G_GNUC_UNUSED struct vh_seat seat, G_GNUC_UNUSED const struct vh_cpuset *cpus)
{
}

static const struct vh_maker maker = {.mirror = mirror, .retake = retake};

/* Two guests, each with a pin. */
static void pin_two(struct herdsman *f, struct vh_entry **web, struct vh_entry **db)
{
    *web = herd_add(&f->herd, "web", 1, FIRST);
    *db = herd_add(&f->herd, "db", 1, OTHER);
    fake_guest_anchor((*web)->guest, 0);
    fake_guest_anchor((*db)->guest, 0);
    vh_round_run(f->herd.round, "hints");
    g_assert_cmpuint(fake_host_applied(), ==, 2);
}

static void test_release(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = NULL;
    struct vh_entry *db = NULL;
    g_autoptr(GError) error = NULL;

    pin_two(f, &web, &db);
    g_assert_cmpint(vh_manager_release(&f->manager, "web", &error), ==, 1);
    g_assert_no_error(error);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_cmpstr(fake_host_pin(OTHER), !=, "");
    /* Threads that were made since are found first. */
    g_assert_cmpuint(web->guest->refreshed, >, 0);
    g_assert_cmpint(vh_manager_release(&f->manager, "web", &error), ==, 0);
    g_assert_cmpint(vh_manager_release(&f->manager, "", &error), ==, 1);
    g_assert_true(db->held);
    g_assert_cmpint(vh_manager_resume(&f->manager, "", &error), ==, 0);
    g_assert_no_error(error);
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
    g_assert_cmpstr(fake_host_pin(OTHER), !=, "");
}

static void test_unknown(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = NULL;
    struct vh_entry *db = NULL;
    GError *error = NULL;

    pin_two(f, &web, &db);
    g_assert_cmpint(vh_manager_release(&f->manager, "nobody", &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_NO_SUCH_GUEST);
    g_clear_error(&error);
    g_assert_cmpint(vh_manager_resume(&f->manager, "nobody", &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_NO_SUCH_GUEST);
    g_clear_error(&error);
    g_assert_null(vh_manager_guest(&f->manager, "nobody", &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_NO_SUCH_GUEST);
    g_clear_error(&error);
    g_assert_cmpuint(fake_host_reverted(), ==, 0);
}

/* To resume is also to take back what was left to somebody else. */
static void test_resume_retakes(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = NULL;
    struct vh_entry *db = NULL;
    gpointer key = GUINT_TO_POINTER(vh_seat_key((struct vh_seat){VH_SEAT_VCPU, 0}));

    pin_two(f, &web, &db);
    retaken = 0;
    herdsman_config(web)->maker = &maker;
    g_hash_table_insert(web->off, key, g_strdup("theirs"));
    vh_round_run(f->herd.round, "theirs");
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_cmpint(vh_manager_resume(&f->manager, "web", NULL), ==, 0);
    g_assert_cmpuint(retaken, ==, 1);
    g_assert_cmpuint(g_hash_table_size(web->off), ==, 0);
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
}

static void test_problem(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 1, FIRST);
    g_autoptr(GVariant) guest = NULL;
    const char *problem = "";
    gboolean held = FALSE;

    web->held = true;
    web->problem = g_strdup("its pool is another's");
    guest = g_variant_ref_sink(vh_manager_guest(&f->manager, "web", NULL));
    g_assert_true(g_variant_lookup(guest, "problem", "&s", &problem));
    g_assert_cmpstr(problem, ==, "its pool is another's");
    g_assert_true(g_variant_lookup(guest, "held", "b", &held));
    g_assert_true(held);
}

static void test_policy(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GVariant) policy = NULL;
    g_autoptr(GVariant) lines = NULL;
    bool found = false;

    herd_add(&f->herd, "web", 1, FIRST);
    policy = g_variant_ref_sink(vh_manager_policy(&f->manager, "web", NULL));
    lines = g_variant_lookup_value(policy, "lines", G_VARIANT_TYPE("a(sssu)"));
    g_assert_nonnull(lines);
    for (gsize i = 0; i < g_variant_n_children(lines); i++) {
        const char *key = NULL;
        const char *value = NULL;
        guint32 line = 0;

        g_variant_get_child(lines, i, "(&s&s&su)", &key, &value, NULL, &line);
        if (!g_str_equal(key, "max-pins"))
            continue;
        g_assert_cmpstr(value, ==, "3");
        g_assert_cmpuint(line, ==, 2);
        found = true;
    }
    g_assert_true(found);
}

/* The next end within that time leaves all as it is. */
static void test_hand_over(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    gint64 now = g_get_monotonic_time();
    guint seconds = vh_manager_hand_over(&f->manager, "an update");

    g_assert_cmpuint(seconds, ==, VH_HANDOVER_SECONDS);
    g_assert_cmpint(f->manager.handing, >=, now + (gint64)seconds * G_USEC_PER_SEC);
}

#define ADD(name, policy, func) \
    g_test_add("/calls/" name, struct herdsman, policy, herdsman_begin, func, herdsman_end)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("release", NULL, test_release);
    ADD("unknown", NULL, test_unknown);
    ADD("resume-retakes", NULL, test_resume_retakes);
    ADD("problem", NULL, test_problem);
    ADD("policy", "[guest web]\nmax-pins = 3\n", test_policy);
    ADD("hand-over", NULL, test_hand_over);
    return g_test_run();
}
