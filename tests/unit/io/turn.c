/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/io/turn.c: the modest before the heavy, one heavy each turn, members that leave, ends. */
#include "io/turn.h"

#include <sys/socket.h>
#include <unistd.h>

#include "lib/loop.h"

struct guest {
    VhMember *member;
    int fds[2];
    guint served;
    struct guest *evicts; /* leaves when this one is served */
    GString *log;
    char name;
};

struct fixture {
    VhTurn *turn;
    GString *log;
    struct guest guests[3];
    guint ends;
};

static void on_served(uint32_t events, gpointer data)
{
    struct guest *guest = data;

    g_assert_true(events & EPOLLIN);
    guest->served++;
    g_string_append_c(guest->log, guest->name);
    if (guest->evicts)
        g_clear_pointer(&guest->evicts->member, vh_member_leave);
}

static void on_end(gpointer data)
{
    ((struct fixture *)data)->ends++;
}

/* Three guests "a", "b" and "c" who always have something to say. */
static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->turn = vh_turn_new(NULL);
    f->log = g_string_new(NULL);
    vh_turn_set_end(f->turn, on_end, f);
    for (int i = 0; i < 3; i++) {
        struct guest *guest = &f->guests[i];

        *guest = (struct guest){.log = f->log, .name = (char)('a' + i)};
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, guest->fds), ==, 0);
        g_assert_cmpint(write(guest->fds[1], "x", 1), ==, 1);
        guest->member = vh_turn_join(f->turn, guest->fds[0], EPOLLIN, on_served, guest);
    }
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    for (int i = 0; i < 3; i++) {
        vh_member_leave(f->guests[i].member);
        close(f->guests[i].fds[0]);
        close(f->guests[i].fds[1]);
    }
    vh_turn_free(f->turn);
    g_string_free(f->log, TRUE);
}

/* Who was served in one turn, in order. */
static const char *turn(struct fixture *f)
{
    g_string_truncate(f->log, 0);
    g_main_context_iteration(NULL, FALSE);
    return f->log->str;
}

static void test_all(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_assert_cmpuint(strlen(turn(f)), ==, 3);
    g_assert_cmpuint(f->guests[0].served, ==, 1);
    g_assert_cmpuint(f->guests[1].served, ==, 1);
    g_assert_cmpuint(f->guests[2].served, ==, 1);
    g_assert_cmpuint(f->ends, ==, 1);
}

static void test_heavy(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_member_charge(f->guests[0].member, (gint64)1000 * G_USEC_PER_SEC);
    vh_member_charge(f->guests[1].member, (gint64)1001 * G_USEC_PER_SEC);
    g_assert_true(vh_member_is_heavy(f->guests[0].member));
    g_assert_false(vh_member_is_heavy(f->guests[2].member));
    /* The modest one first, then the less heavy of the others. */
    g_assert_cmpstr(turn(f), ==, "ca");
    vh_member_charge(f->guests[0].member, 10 * G_USEC_PER_SEC);
    g_assert_cmpstr(turn(f), ==, "cb");
    /* Nobody else: the heavy have the whole thread. */
    vh_member_want(f->guests[2].member, 0);
    g_assert_cmpstr(turn(f), ==, "b");
    vh_member_want(f->guests[1].member, 0);
    g_assert_cmpstr(turn(f), ==, "a");
}

static void test_fades(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gint64 begin = g_get_monotonic_time();

    vh_member_charge(f->guests[0].member, 2 * VH_TURN_HEAVY);
    g_assert_true(vh_member_is_heavy(f->guests[0].member));
    LOOP_UNTIL(!vh_member_is_heavy(f->guests[0].member));
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, VH_TURN_HALF_LIFE);
}

static void test_leave(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    /* Whichever comes first puts the other out, whose event was ready too. */
    f->guests[0].evicts = &f->guests[1];
    f->guests[1].evicts = &f->guests[0];
    g_assert_cmpuint(strlen(turn(f)), ==, 2);
    g_assert_cmpuint(f->guests[0].served + f->guests[1].served, ==, 1);
    /* And itself. */
    f->guests[2].evicts = &f->guests[2];
    turn(f);
    g_assert_null(f->guests[2].member);
    g_assert_cmpuint(f->guests[2].served, ==, 2);
    turn(f);
    g_assert_cmpuint(f->guests[2].served, ==, 2);
}

static void test_soon(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gint64 begin = g_get_monotonic_time();

    for (int i = 0; i < 3; i++)
        vh_member_want(f->guests[i].member, 0);
    g_assert_false(g_main_context_iteration(NULL, FALSE));
    g_assert_cmpuint(f->ends, ==, 0);
    vh_turn_soon(f->turn, 0);
    g_assert_true(g_main_context_iteration(NULL, FALSE));
    g_assert_cmpuint(f->ends, ==, 1);
    g_assert_false(g_main_context_iteration(NULL, FALSE));
    /* The earlier of two counts, and both are one. */
    vh_turn_soon(f->turn, begin + 50000);
    vh_turn_soon(f->turn, begin + (gint64)3600 * G_USEC_PER_SEC);
    LOOP_UNTIL(f->ends >= 2);
    g_assert_cmpint(g_get_monotonic_time(), >=, begin + 50000);
    g_assert_false(g_main_context_iteration(NULL, FALSE));
}

#define ADD(path, func) g_test_add("/turn/" path, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("all", test_all);
    ADD("heavy", test_heavy);
    ADD("fades", test_fades);
    ADD("leave", test_leave);
    ADD("soon", test_soon);
    return g_test_run();
}
