/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/pulse.c: how often a guest that is quiet is asked for a sign of life. */
#include "channel/state.h"
#include "guest/state.h"
#include "lib/guest-stage.h"

/* So long ago was all that has happened. */
static void let_pass(struct guest_stage *f, gint64 seconds)
{
    f->guest->session->heard -= seconds * G_USEC_PER_SEC;
    if (f->guest->pinged)
        f->guest->pinged -= seconds * G_USEC_PER_SEC;
}

/* The next look. */
static void look(struct guest_stage *f)
{
    f->guest->pulse.func(f->guest->pulse.data);
    guest_stage_turn();
}

static void answer(struct guest_stage *f)
{
    fake_port_say(&f->port, VH_PONG, 0, NULL, 0, NULL, 0);
    guest_stage_turn();
}

/* Whoever has given a sign of life is not asked again at once, however quiet it is: an idle guest
 * is hardly woken. */
static void test_quiet(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    for (unsigned i = 0; i < 3; i++) {
        let_pass(f, 60);
        look(f);
        fake_port_assert_heard(&f->port, "PING ");
        g_assert_true(f->guest->pulse_owing);
        answer(f);
        let_pass(f, 3);
        look(f);
        fake_port_assert_heard(&f->port, "");
        g_assert_false(f->guest->pulse_owing);
    }
}

static void test_hints_are_signs(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    let_pass(f, 60);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    look(f);
    fake_port_assert_heard(&f->port, "");
}

/* Of one that owes an answer a sign is asked again and again. */
static void test_owes(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    f->seq += 3; /* lost */
    guest_stage_tasks(f, 11, 1, 1 << 0);
    fake_port_assert_heard(&f->port, "RESYNC ");
    for (unsigned i = 0; i < 3; i++) {
        let_pass(f, 3);
        look(f);
        fake_port_assert_heard(&f->port, "PING ");
        answer(f);
    }
}

static void test_silent(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    let_pass(f, 60);
    look(f);
    g_assert_true(vh_guest_is_awaited(f->guest));
    g_assert_cmpuint(vh_guest_silence(f->guest), ==, 0);
    let_pass(f, 11);
    look(f);
    g_assert_cmpuint(vh_guest_silence(f->guest), >=, 11);
    answer(f);
    g_assert_false(vh_guest_is_awaited(f->guest));
    g_assert_cmpuint(vh_guest_silence(f->guest), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) \
    g_test_add("/guest/pulse/" name, struct guest_stage, NULL, guest_stage_begin, func, \
               guest_stage_end)
    ADD("quiet", test_quiet);
    ADD("hints-are-signs", test_hints_are_signs);
    ADD("owes", test_owes);
    ADD("silent", test_silent);
    return g_test_run();
}
