/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/standing.c: whatever happens, status, why, map, top, plan and metrics say the same of
 * each thread. */
#include <string.h>

#include "base/error.h"
#include "ctl/ctl.h"
#include "ctl/top.h"
#include "lib/herd.h"
#include "lib/victim.h"
#include "machine/tid.h"
#include "map/map.h"

/* The threads are there, so that the kernel says where they may run: on which of this host's CPUs
 * is all the same to a host that is made up. */
#define GUESTS 6u
#define VCPUS 3u
#define THREADS (VCPUS + 1) /* and one of QEMU's own */
#define STEPS 300u

struct fixture {
    struct herd herd;
    struct victim victims[GUESTS * THREADS];
    struct vh_entry *entries[GUESTS]; /* NULL: has not come, or has gone */
    struct vh_topology *topology;
    unsigned seen[VH_STANDING_STATES]; /* threads in that state */
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *policy = NULL;
    struct vh_cpuset cpus;

    for (unsigned i = 0; i < G_N_ELEMENTS(f->victims); i++)
        victim_start(&f->victims[i]);
    g_assert_true(vh_tid_cpus(f->victims[0].tid, &cpus));
    f->topology = vh_topology_synthetic("node:2 core:4 pu:1", NULL);
    /* Some have the whole host, some two CPUs that are too few for them, and some keep others out.
     */
    policy = g_strdup_printf("[guest guest-1]\npool = 0-1\nemulator = %d\n"
                             "[guest guest-2]\npool = 0-1\nfloating = pool\n"
                             "[guest guest-3]\npool = 0\nsharing = dedicated\n",
                             vh_cpuset_next(&cpus, 0));
    herd_begin(&f->herd, policy);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_end(&f->herd);
    vh_topology_free(f->topology);
    for (unsigned i = 0; i < G_N_ELEMENTS(f->victims); i++)
        victim_end(&f->victims[i]);
}

/* ---- what happens ---- */

static pid_t thread_of(const struct fixture *f, unsigned number, unsigned thread)
{
    return f->victims[number * THREADS + thread].tid;
}

static void come(struct fixture *f, unsigned number)
{
    g_autofree char *name = g_strdup_printf("guest-%u", number);
    struct vh_entry *entry = herd_add(&f->herd, name, 0, 0);

    for (unsigned i = 0; i < VCPUS; i++)
        fake_guest_add_vcpu(entry->guest, thread_of(f, number, i));
    entry->guest->process = thread_of(f, number, VCPUS);
    fake_guest_add_helper(entry->guest, entry->guest->process, VH_THREAD_EMULATOR, 0);
    f->entries[number] = entry;
}

/* The next daemon finds what this one has left, and no guest that has come. */
static void hand_over(struct fixture *f)
{
    herd_replace(&f->herd);
    memset(f->entries, 0, sizeof(f->entries));
}

static void refuse(const struct fixture *f, unsigned number, unsigned vcpu)
{
    fake_host_refuse_pin(thread_of(f, number, vcpu),
                         g_test_rand_bit() ? VH_ERROR_REFUSED : VH_ERROR_FAILED,
                         g_test_rand_bit() ? "it will not" : NULL);
    vh_round_forgive(f->herd.round);
}

static void let_others_pin(const struct fixture *f, struct vh_entry *entry, struct vh_seat seat)
{
    bool theirs = vh_entry_off(entry, seat) != NULL;

    vh_entry_hands_off(entry, seat, theirs ? NULL : "it is another's");
    if (!theirs)
        vh_round_yield(f->herd.round, entry, seat);
}

static void step(struct fixture *f, unsigned number)
{
    struct vh_entry *entry = f->entries[number];
    unsigned vcpu = (unsigned)g_test_rand_int_range(0, (int)VCPUS);

    if (!entry) {
        come(f, number);
        return;
    }
    switch (g_test_rand_int_range(0, 14)) {
    case 0:
        herd_remove(&f->herd, g_steal_pointer(&f->entries[number]));
        break;
    case 1:
        entry->held = !entry->held;
        vh_entry_redraw(entry);
        break;
    case 2:
        let_others_pin(f, entry, (struct vh_seat){VH_SEAT_VCPU, vcpu});
        break;
    case 3:
        refuse(f, number, vcpu);
        break;
    case 4:
        vh_round_outdate(f->herd.round);
        break;
    case 5:
        entry->guest->connected = !entry->guest->connected;
        fake_guest_changed(entry->guest, "its injector comes or goes");
        break;
    case 6:
        if (vh_round_is_left(entry))
            vh_round_take(f->herd.round, entry);
        break;
    case 7:
    case 8:
        fake_guest_float(entry->guest, vcpu);
        break;
    default:
        fake_guest_anchor(entry->guest, vcpu);
        break;
    }
}

/* ---- what is said ---- */

/* "" for what is not there. */
static const char *text_of(GVariant *dict, const char *key)
{
    const char *text = "";

    (void)g_variant_lookup(dict, key, "&s", &text);
    return text;
}

static gint32 number_of(GVariant *dict, const char *key)
{
    gint32 number = -1;

    (void)g_variant_lookup(dict, key, "i", &number);
    return number;
}

/* Of why the story of the thread's pin; NULL: there is none. */
static GVariant *story_of(GVariant *stories, gint32 thread)
{
    for (gsize i = 0; i < g_variant_n_children(stories); i++) {
        g_autoptr(GVariant) story = g_variant_get_child_value(stories, i);

        if (number_of(story, "thread") == thread && g_str_equal(text_of(story, "action"), "pin"))
            return g_steal_pointer(&story);
    }
    return NULL;
}

static void check_story(GVariant *stories, GVariant *told)
{
    g_autoptr(GVariant) story = story_of(stories, number_of(told, "thread"));
    const char *state = text_of(told, "state");
    bool pinned = g_str_equal(state, "pinned");
    gboolean in_force = FALSE;
    double age = -1;

    g_assert_true(!story == g_str_equal(state, "floating"));
    if (!story)
        return;
    g_assert_true(g_variant_lookup(story, "in_force", "b", &in_force));
    g_assert_true(g_variant_lookup(story, "age", "d", &age));
    g_assert_true(in_force == pinned);
    g_assert_cmpstr(text_of(story, "state"), ==, pinned ? "applied" : "wanted");
    g_assert_cmpstr(text_of(story, "former"), ==, text_of(told, "former"));
    /* status has room for one of both. */
    g_assert_cmpstr(*text_of(story, "problem") ? text_of(story, "problem") : text_of(story, "why"),
                    ==, text_of(told, "reason"));
}

/* What the map's JSON says of the thread with this number in it. */
static JsonObject *drawn_of(JsonNode *map, guint number)
{
    JsonArray *guests = json_object_get_array_member(json_node_get_object(map), "guests");
    JsonObject *guest = json_array_get_object_element(guests, 0);

    return json_array_get_object_element(json_object_get_array_member(guest, "threads"), number);
}

static void check_map(GVariant *guest, const struct vh_topology *topology, GVariant *told,
                      guint number)
{
    g_autoptr(VhMap) map = vh_map_new(topology, "a host");
    g_autoptr(JsonNode) json = NULL;
    JsonObject *drawn = NULL;

    vh_ctl_map_guest(map, guest);
    json = vh_map_json(map);
    drawn = drawn_of(json, number);
    g_assert_cmpstr(json_object_get_string_member(drawn, "reason"), ==, text_of(told, "reason"));
    g_assert_true((*json_object_get_string_member(drawn, "host_cpus") != 0) ==
                  g_str_equal(text_of(told, "state"), "pinned"));
}

static void check_top(GVariant *guest, GVariant *told, guint number)
{
    g_autoptr(GVariant) list = g_variant_ref_sink(g_variant_new_array(NULL, &guest, 1));
    struct vh_top_sample *sample = vh_top_sample_of(list, NULL);
    const struct vh_top_row *row = g_ptr_array_index(sample->rows, number);

    g_assert_cmpint(row->thread, ==, number_of(told, "thread"));
    g_assert_cmpstr(row->reason, ==, text_of(told, "reason"));
    g_assert_true((*row->held_to != 0) == g_str_equal(text_of(told, "state"), "pinned"));
    vh_top_sample_free(sample);
}

static void check_forecast(GVariant *guest, GVariant *told, guint number)
{
    struct vh_forecast_guest *forecast = vh_ctl_told_guest(guest);
    const struct vh_forecast_vcpu *vcpu =
        &g_array_index(forecast->vcpus, struct vh_forecast_vcpu, number);

    g_assert_true(vcpu->held == g_str_equal(text_of(told, "state"), "pinned"));
    vh_forecast_guest_free(forecast);
}

static void count(struct fixture *f, const char *state)
{
    for (unsigned i = 0; i < VH_STANDING_STATES; i++)
        f->seen[i] += g_str_equal(state, vh_standing_names[i]);
}

static void check_guest(struct fixture *f, struct vh_entry *entry)
{
    g_autoptr(VhPortrait) portrait = vh_round_show(f->herd.round, entry);
    g_autoptr(GVariant) guest = g_variant_ref_sink(vh_portrait_describe(portrait));
    g_autoptr(GVariant) stories = g_variant_ref_sink(vh_round_explain(f->herd.round, entry));
    g_autoptr(GVariant) vcpus = g_variant_lookup_value(guest, "vcpu", NULL);
    g_autoptr(GVariant) threads = g_variant_lookup_value(guest, "thread", NULL);
    unsigned pinned = 0;

    for (guint i = 0; i < VCPUS; i++) {
        g_autoptr(GVariant) told = g_variant_get_child_value(vcpus, i);

        count(f, text_of(told, "state"));
        pinned += g_str_equal(text_of(told, "state"), "pinned");
        check_story(stories, told);
        check_map(guest, f->topology, told, i);
        check_top(guest, told, i);
        check_forecast(guest, told, i);
    }
    for (guint i = 0; i < g_variant_n_children(threads); i++) {
        g_autoptr(GVariant) told = g_variant_get_child_value(threads, i);

        check_story(stories, told);
        check_map(guest, f->topology, told, VCPUS + i);
    }
    g_assert_cmpuint(vh_round_pinned(f->herd.round, entry), ==, pinned);
}

static void check_all(struct fixture *f)
{
    for (unsigned i = 0; i < GUESTS; i++)
        if (f->entries[i])
            check_guest(f, f->entries[i]);
}

/* Guests come and go, are released, refused and left by one daemon to the next, and say one thing
 * and another. */
static void test_random(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    for (unsigned i = 0; i < STEPS; i++) {
        if (g_test_rand_int_range(0, 20) == 0)
            hand_over(f);
        for (int steps = g_test_rand_int_range(0, 5); steps > 0; steps--)
            step(f, (unsigned)g_test_rand_int_range(0, (int)GUESTS));
        if (g_test_rand_bit())
            check_all(f);
        vh_round_run(f->herd.round, g_test_rand_bit() ? "something has changed" : NULL);
        check_all(f);
    }
    for (unsigned i = 0; i < VH_STANDING_STATES; i++) {
        g_test_message("%u %s", f->seen[i], vh_standing_names[i]);
        g_assert_cmpuint(f->seen[i], >, STEPS / 4);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/standing/random", struct fixture, NULL, set_up, test_random, tear_down);
    return g_test_run();
}
