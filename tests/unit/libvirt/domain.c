/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/libvirt/domain.c: what domains are called as guests, and which of them an event means. */
#include "libvirt/domain.h"

#include <glib/gstdio.h>
#include <string.h>

#define ONE "11111111-1111-4111-8111-111111111111"
#define TWO "22222222-2222-4222-8222-222222222222"

struct fixture {
    char *directory;
    VhConfig config;
    VhInventory inventory;
    GPtrArray *reported; /* const struct vh_config_guest */
};

static void on_added(const struct vh_config_guest *guest, gpointer data)
{
    g_ptr_array_add(((struct fixture *)data)->reported, (gpointer)guest);
}

static void on_removed(const struct vh_config_guest *guest, gpointer data)
{
    g_assert_true(g_ptr_array_remove(((struct fixture *)data)->reported, (gpointer)guest));
}

static bool on_wanted(G_GNUC_UNUSED const struct vh_guest_id *id, G_GNUC_UNUSED gpointer data)
{
    return true;
}

static const struct vh_inventory_events events = {
    .added = on_added, .removed = on_removed, .wanted = on_wanted};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    f->config.run_dir = f->directory;
    f->config.guests = g_ptr_array_new();
    f->reported = g_ptr_array_new();
    f->inventory = (VhInventory){
        .config = &f->config,
        .events = &events,
        .data = f,
        .told = vh_virt_told_new(),
        .domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vh_virt_domain_free)};
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    GHashTableIter iter;
    gpointer domain = NULL;

    g_hash_table_iter_init(&iter, f->inventory.domains);
    while (g_hash_table_iter_next(&iter, NULL, &domain))
        vh_virt_domain_take_back(domain, true);
    g_hash_table_unref(f->inventory.domains);
    vh_virt_told_free(f->inventory.told);
    g_ptr_array_unref(f->reported);
    g_ptr_array_unref(f->config.guests);
    g_rmdir(f->directory);
    g_free(f->directory);
}

static struct vh_virt_domain *apply(struct fixture *f, const char *name, const char *uuid)
{
    g_autoptr(VhDomain) xml = vh_domain_new();
    struct vh_virt_domain *domain = vh_virt_domain_get(&f->inventory, uuid);

    xml->id = 1;
    xml->name = g_strdup(name);
    xml->uuid = g_strdup(uuid);
    vh_virt_domain_apply(domain, xml);
    return domain;
}

/* The names of the guests, each with a space, in the order in which they came. */
static void assert_names(const struct fixture *f, const char *expected)
{
    g_autoptr(GString) got = g_string_new(NULL);

    for (guint i = 0; i < f->reported->len; i++)
        g_string_append_printf(
            got, "%s ", ((const struct vh_config_guest *)g_ptr_array_index(f->reported, i))->name);
    g_assert_cmpstr(got->str, ==, expected);
}

static void test_names(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_virt_domain *web = apply(f, "web", ONE);

    apply(f, "my web", TWO);
    assert_names(f, "web " TWO " ");
    vh_virt_domain_take_back(web, true);
    assert_names(f, TWO " ");
}

/* A domain that is called like another's UUID does not get what is that one's. */
static void test_named_like_a_uuid(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_virt_domain *one = NULL;
    struct vh_virt_domain *two = NULL;

    two = apply(f, ONE, TWO);
    one = apply(f, "a b", ONE);
    assert_names(f, TWO " " ONE " ");
    vh_virt_domain_take_back(two, true);
    assert_names(f, ONE " ");
    two = apply(f, ONE, TWO);
    assert_names(f, ONE " " TWO " ");
    vh_virt_domain_take_back(one, true);
    assert_names(f, TWO " ");
    vh_virt_domain_take_back(two, true);
    /* In whatever case; its own is its own. */
    apply(f, "ABCDEF00-1111-4111-8111-111111111111", ONE);
    apply(f, TWO, TWO);
    assert_names(f, ONE " " TWO " ");
}

/* The configuration's guests are called as they are. */
static void test_configured(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_config_guest web = {.name = (char *)"web"};
    struct vh_config_guest odd = {.name = (char *)TWO};

    g_ptr_array_add(f->config.guests, &web);
    g_ptr_array_add(f->config.guests, &odd);
    apply(f, "web", ONE);
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*give that one another name*");
    apply(f, "a b", TWO);
    g_test_assert_expected_messages();
    assert_names(f, ONE " ");
}

#define ADD(name, func) \
    g_test_add("/libvirt/domain/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("names", test_names);
    ADD("named-like-a-uuid", test_named_like_a_uuid);
    ADD("configured", test_configured);
    return g_test_run();
}
