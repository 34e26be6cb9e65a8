/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/manager/adopt.c: each guest is waited for, and none because of another. */
#include "lib/herdsman.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define OTHER 5000100

static void test_nothing(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_manager_adopt_begin(&f->manager);
    g_assert_cmpuint(f->manager.adopt_timer, ==, 0);
    vh_manager_adopt_look(&f->manager);
}

/* Two guests are left as they were. The one that speaks is taken over; the other waits. */
static void test_one_by_one(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 1, FIRST);
    struct vh_entry *db = herd_add(&f->herd, "db", 1, OTHER);

    fake_guest_anchor(web->guest, 0);
    fake_guest_anchor(db->guest, 0);
    vh_round_run(f->herd.round, "hints");
    herdsman_replace(f);
    web = herd_add(&f->herd, "web", 1, FIRST);
    db = herd_add(&f->herd, "db", 1, OTHER);
    vh_manager_adopt_begin(&f->manager);
    g_assert_cmpuint(f->manager.adopt_timer, !=, 0);
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
    web->guest->connected = true; /* its tasks have ended while no daemon ran */
    fake_guest_changed(web->guest, "its facts are there");
    herdsman_wait(f, 1);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_cmpstr(fake_host_pin(OTHER), !=, "");
    g_assert_cmpuint(f->manager.adopt_timer, !=, 0);
    db->guest->connected = true;
    fake_guest_anchor(db->guest, 0);
    fake_guest_changed(db->guest, "its facts are there");
    herdsman_wait(f, 2);
    g_assert_cmpstr(fake_host_pin(OTHER), !=, "");
    g_assert_cmpuint(fake_host_applied(), ==, 2); /* both by the former daemon */
    vh_manager_adopt_look(&f->manager);
    g_assert_cmpuint(f->manager.adopt_timer, ==, 0); /* nobody is waited for any longer */
}

/* All guests of the configuration are there at once: what is left for another is nobody's. */
static void test_absent(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 1, FIRST);

    fake_guest_anchor(web->guest, 0);
    vh_round_run(f->herd.round, "a hint");
    herdsman_replace(f);
    herd_add(&f->herd, "db", 1, OTHER);
    vh_manager_adopt_begin(&f->manager);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
}

/* A domain of libvirt's may come yet. */
static void test_absent_with_libvirt(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 1, FIRST);

    fake_guest_anchor(web->guest, 0);
    vh_round_run(f->herd.round, "a hint");
    herdsman_replace(f);
    f->config.libvirt = (char *)"qemu:///system";
    vh_manager_adopt_begin(&f->manager);
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
}

#define ADD(name, func) \
    g_test_add("/manager-adopt/" name, struct herdsman, NULL, herdsman_begin, func, herdsman_end)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("nothing", test_nothing);
    ADD("one-by-one", test_one_by_one);
    ADD("absent", test_absent);
    ADD("absent-with-libvirt", test_absent_with_libvirt);
    return g_test_run();
}
