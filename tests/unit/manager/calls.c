/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/manager/calls.c: release and resume, and what people see. */
#include <string.h>

#include "base/error.h"
#include "lib/herdsman.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define OTHER 5000100
#define MANY 300u /* guests of 8 vCPUs, which are more than two pages */

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
    g_assert_null(vh_manager_portrait(&f->manager, "nobody", &error));
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
    g_autoptr(VhPortrait) portrait = NULL;
    g_autoptr(GVariant) guest = NULL;
    const char *problem = "";
    gboolean held = FALSE;

    web->held = true;
    web->problem = g_strdup("its pool is another's");
    portrait = vh_manager_portrait(&f->manager, "web", NULL);
    guest = g_variant_ref_sink(vh_portrait_describe(portrait));
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

/* Guests' names, in pages; after the first page that one goes. */
static GPtrArray *list_guests(struct herdsman *f, struct vh_entry *leaves, bool brief)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    unsigned pages = 0;
    guint64 last = 0;

    do {
        g_autoptr(GPtrArray) portraits = vh_manager_portraits(&f->manager, &last, brief);

        g_assert_cmpuint(portraits->len, >, 0);
        for (guint i = 0; i < portraits->len; i++) {
            const VhPortrait *portrait = g_ptr_array_index(portraits, i);

            g_assert_cmpuint(portrait->vcpus, ==, brief ? 0 : 8);
            g_ptr_array_add(names, g_strdup(portrait->guest.names->name));
        }
        if (!pages++ && leaves)
            herd_remove(&f->herd, leaves);
    } while (last);
    g_assert_cmpuint(pages, ==, brief ? 1 : 3);
    return names;
}

static void assert_names(const GPtrArray *names, unsigned first, unsigned gone, unsigned end)
{
    guint i = 0;

    for (unsigned number = first; number < end; number++) {
        g_autofree char *name = g_strdup_printf("guest-%u", number);

        if (number == gone)
            continue;
        g_assert_cmpuint(i, <, names->len);
        g_assert_cmpstr(g_ptr_array_index(names, i++), ==, name);
    }
    g_assert_cmpuint(i, ==, names->len);
}

/* A guest that goes meanwhile takes no other with it. */
static void test_pages(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GPtrArray) all = NULL;
    g_autoptr(GPtrArray) rest = NULL;
    g_autoptr(GPtrArray) briefly = NULL;
    struct vh_entry *entries[MANY];

    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *name = g_strdup_printf("guest-%u", i);

        entries[i] = herd_add(&f->herd, name, 8, FIRST + 8 * (pid_t)i);
    }
    all = list_guests(f, entries[0], false);
    assert_names(all, 0, MANY, MANY);
    rest = list_guests(f, entries[MANY - 1], false);
    assert_names(rest, 1, MANY - 1, MANY);
    briefly = list_guests(f, NULL, true);
    assert_names(briefly, 1, MANY - 1, MANY);
    g_assert_nonnull(vh_manager_find(&f->manager, "guest-1", NULL));
    g_assert_null(vh_manager_find(&f->manager, "guest-0", NULL));
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
    ADD("pages", NULL, test_pages);
    return g_test_run();
}
