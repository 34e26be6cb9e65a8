/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/manager/travel.c: what a guest brings along, and what it takes along. */
#include "programs/travel.h"

#include <string.h>

#include "lib/herdsman.h"
#include "lib/objects.h"

static char *carried; /* by the guest's maker, last; NULL: nothing */

static void carry(G_GNUC_UNUSED const struct vh_config_guest *config, const char *text)
{
    g_free(carried);
    carried = g_strdup(text);
}

static const struct vh_maker maker = {.carry = carry};

static void set_up(struct herdsman *f, gconstpointer data)
{
    herdsman_begin(f, data);
    carried = NULL;
}

static void tear_down(struct herdsman *f, gconstpointer data)
{
    herdsman_end(f, data);
    g_clear_pointer(&carried, g_free);
}

/* What a daemon on `host` has written of a guest. */
static char *text_of(const char *host, bool released, bool program)
{
    g_autoptr(VhTravel) travel = vh_travel_new(host);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    travel->released = released;
    if (program) {
        g_autoptr(VhObject) object = test_object("rich");
        g_autoptr(GBytes) none = g_bytes_new(NULL, 0);

        vh_travel_add(travel, object, none);
    }
    text = vh_travel_write(travel, &error);
    g_assert_no_error(error);
    return text;
}

/* A guest that has brought that along, and whose maker takes what it is given. */
static struct vh_entry *arrive(struct herdsman *f, char *text)
{
    struct vh_entry *entry = herd_add(&f->herd, "web", 0, 0);

    herdsman_config(entry)->travels = text;
    herdsman_config(entry)->maker = &maker;
    vh_manager_take_travel(entry);
    herdsman_config(entry)->travels = NULL;
    return entry;
}

static void test_from_elsewhere(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *text = text_of("there", true, true);
    struct vh_entry *entry = arrive(f, text);
    const struct vh_managed *managed = NULL;
    g_autoptr(VhTravel) on = NULL;
    g_autofree char *journal = NULL;

    g_assert_true(entry->held);
    g_assert_true(entry->travels);
    g_assert_cmpuint(vh_programs_count(vh_guest_programs(entry->guest)), ==, 1);
    managed = vh_programs_get(vh_guest_programs(entry->guest), 0);
    g_assert_true(managed->injected);
    /* From here on it is this host's word. */
    g_assert_nonnull(carried);
    on = vh_travel_read(carried, "elsewhere", NULL);
    g_assert_cmpstr(on->host, ==, "here");
    g_assert_true(on->released);
    g_assert_cmpuint(on->programs->len, ==, 1);
    journal = herd_end_journal(&f->herd);
    g_assert_nonnull(strstr(journal, "it comes from another host"));
}

/* What this host has written itself: its programs are on disk, as they are now. */
static void test_from_here(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *text = text_of("here", true, true);
    struct vh_entry *entry = arrive(f, text);

    g_assert_true(entry->held);
    g_assert_cmpuint(vh_programs_count(vh_guest_programs(entry->guest)), ==, 0);
    g_assert_null(carried); /* nothing is new */
}

static void test_stranger(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *text = g_strdup("not what we write");
    struct vh_entry *entry = arrive(f, text);
    g_autofree char *journal = NULL;

    g_assert_false(entry->held);
    g_assert_null(carried);
    journal = herd_end_journal(&f->herd);
    g_assert_nonnull(strstr(journal, "\"arrive\""));
}

/* A guest about which there is nothing to say has nothing noted. Once there was something, that
 * there is nothing any longer is noted too. */
static void test_note(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(&f->herd, "web", 0, 0);
    g_autoptr(VhTravel) first = NULL;
    g_autoptr(VhTravel) second = NULL;

    herdsman_config(entry)->maker = &maker;
    vh_manager_note_travel(entry);
    g_assert_null(carried);
    entry->held = true;
    vh_manager_note_travel(entry);
    g_assert_nonnull(carried);
    first = vh_travel_read(carried, "there", NULL);
    g_assert_true(first->released);
    entry->held = false;
    vh_manager_note_travel(entry);
    second = vh_travel_read(carried, "there", NULL);
    g_assert_false(second->released);
}

/* What is put back because vhintd stops is no news of the guest's. */
static void test_closing(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(&f->herd, "web", 0, 0);

    herdsman_config(entry)->maker = &maker;
    entry->held = true;
    f->manager.closing = true;
    vh_manager_note_travel(entry);
    g_assert_null(carried);
}

#define ADD(name, func) \
    g_test_add("/manager-travel/" name, struct herdsman, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("from-elsewhere", test_from_elsewhere);
    ADD("from-here", test_from_here);
    ADD("stranger", test_stranger);
    ADD("note", test_note);
    ADD("closing", test_closing);
    return g_test_run();
}
