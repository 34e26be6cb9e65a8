/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/gallery.c: portraits are kept while they are like, whatever happens, and no longer. */
#include "base/error.h"
#include "lib/herd.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define STEP 10 /* threads of a guest, at most */
#define GUESTS 12u
#define STEPS 400u

struct fixture {
    struct herd herd;
    struct vh_entry *entries[GUESTS]; /* NULL: has not come, or has gone */
    VhPortrait *last[GUESTS];         /* what was shown */
    unsigned kept, drawn;
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    /* Some have the whole host, some two CPUs that are too few for them, and some keep others out.
     */
    herd_begin(&f->herd,
               "[guest guest-1*]\npool = 0-1\n[guest guest-2]\npool = 0-1\nfloating = pool\n"
               "[guest guest-3]\npool = 0\nsharing = dedicated\n");
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    for (unsigned i = 0; i < GUESTS; i++)
        g_clear_pointer(&f->last[i], vh_portrait_unref);
    herd_end(&f->herd);
}

static void come(struct fixture *f, unsigned number)
{
    g_autofree char *name = g_strdup_printf("guest-%u", number);

    f->entries[number] = herd_add(&f->herd, name, 3, FIRST + (pid_t)number * STEP);
    f->entries[number]->guest->connected = true;
}

static void go(struct fixture *f, unsigned number)
{
    herd_remove(&f->herd, g_steal_pointer(&f->entries[number]));
}

static void look(struct fixture *f, unsigned number)
{
    struct vh_entry *entry = f->entries[number];
    g_autoptr(VhPortrait) shown = vh_round_show(f->herd.round, entry);
    g_autoptr(VhPortrait) fresh = vh_round_portray(f->herd.round, entry);

    g_assert_true(vh_portrait_equal(shown, fresh));
    f->kept += shown == f->last[number];
    f->drawn += shown != f->last[number];
    g_clear_pointer(&f->last[number], vh_portrait_unref);
    f->last[number] = g_steal_pointer(&shown);
}

static void look_at_all(struct fixture *f)
{
    for (unsigned i = 0; i < GUESTS; i++)
        if (f->entries[i])
            look(f, i);
}

static void test_keeps(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    for (unsigned i = 0; i < 3; i++)
        come(f, i);
    vh_round_run(f->herd.round, "they have come");
    look_at_all(f);
    g_assert_cmpuint(f->drawn, ==, 3);
    /* The same again, also after a round that changed nothing for them. */
    look_at_all(f);
    vh_round_run(f->herd.round, "routine");
    look_at_all(f);
    g_assert_cmpuint(f->kept, ==, 6);
    fake_guest_anchor(f->entries[1]->guest, 0);
    vh_round_run(f->herd.round, "a hint");
    look_at_all(f);
    g_assert_cmpuint(f->drawn, ==, 4);
    g_assert_cmpuint(f->kept, ==, 8);
    g_assert_cmpint(f->last[1]->threads[0].standing.state, ==, VH_STANDING_PINNED);
}

/* Who has a problem, or has not said who it is, may change by time alone. */
static void test_never_keeps(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come(f, 0);
    look_at_all(f); /* no plan knows it */
    f->entries[0]->guest->connected = false;
    vh_round_run(f->herd.round, "it has come");
    look_at_all(f);
    look_at_all(f);
    g_assert_cmpuint(f->kept, ==, 0);
}

static void step(struct fixture *f, unsigned number)
{
    struct vh_entry *entry = f->entries[number];
    unsigned vcpu = (unsigned)g_test_rand_int_range(0, 3);
    struct vh_seat seat = {VH_SEAT_VCPU, vcpu};

    if (!entry) {
        come(f, number);
        return;
    }
    switch (g_test_rand_int_range(0, 12)) {
    case 0:
        go(f, number);
        break;
    case 1:
        entry->held = !entry->held;
        vh_entry_redraw(entry);
        break;
    case 2:
        vh_entry_hands_off(entry, seat, vh_entry_off(entry, seat) ? NULL : "it is another's");
        vh_round_yield(f->herd.round, entry, seat);
        break;
    case 3:
        fake_host_refuse_pin(FIRST + (pid_t)(number * STEP + vcpu), VH_ERROR_FAILED,
                             g_test_rand_bit() ? "it will not" : NULL);
        vh_round_forgive(f->herd.round);
        break;
    case 4:
        vh_round_outdate(f->herd.round);
        break;
    case 5:
    case 6:
    case 7:
        fake_guest_float(entry->guest, vcpu);
        break;
    default:
        fake_guest_anchor(entry->guest, vcpu);
        break;
    }
}

/* Guests come and go, are released, refused, and say one thing and another. */
static void test_random(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    for (unsigned i = 0; i < STEPS; i++) {
        for (int count = g_test_rand_int_range(0, 4); count > 0; count--)
            step(f, (unsigned)g_test_rand_int_range(0, GUESTS));
        if (g_test_rand_bit())
            look_at_all(f);
        vh_round_run(f->herd.round, g_test_rand_bit() ? "something has changed" : NULL);
        if (g_test_rand_bit())
            look_at_all(f);
    }
    g_test_message("%u kept, %u drawn", f->kept, f->drawn);
    g_assert_cmpuint(f->kept, >, STEPS / 4);
    g_assert_cmpuint(f->drawn, >, STEPS / 4);
}

#define ADD(name, func) g_test_add("/gallery/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("keeps", test_keeps);
    ADD("never-keeps", test_never_keeps);
    ADD("random", test_random);
    return g_test_run();
}
