/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/trials/trials.c in real time, on threads of the test's own and a /proc that the test writes.
 */
#include "trials/trials.h"

#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/opens.h"
#include "lib/scratch.h"
#include "lib/target.h"
#include "lib/victim.h"
#include "trials/crowd.h"

/* Numbers that no thread has. */
#define HOG "6000000"
#define OTHER_HOG "6000001"
#define FIRST 5000000u
#define MANY 300u

struct fixture {
    char *directory;
    VhJournal *journal;
    char *journal_path;
    VhTrials *trials;
    struct victim victim;
    struct vh_target target;
    struct vh_trials_ask ask;
    guint writer;
    unsigned ticks;
    guint64 ran, waited;      /* ns, as the files say */
    double wait_off, wait_on; /* shares, without and with the boost */
    bool boosted;
    bool other;                   /* hog */
    enum vh_boost_kind kind;      /* the last */
    guint boosts, quiet, replans; /* calls */
};

static void write_run(struct fixture *f)
{
    g_autofree char *path = g_strdup_printf("%d/schedstat", f->victim.tid);
    g_autofree char *text =
        g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " 1\n", f->ran, f->waited);

    scratch_write(f->directory, path, text);
}

/* Another process's thread, which waits a quarter of the time; the other one waits three quarters.
 */
static void write_hog(struct fixture *f)
{
    /* No longer than the 5 ms are, or it is not believed. */
    guint64 ran = f->ticks * (guint64)(f->other ? 1000000 : 6000000);
    guint64 waited = f->ticks * (guint64)(f->other ? 3000000 : 2000000);
    g_autofree char *text =
        g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " 1\n", ran, waited);

    scratch_write(f->directory, f->other ? OTHER_HOG "/schedstat" : HOG "/schedstat", text);
}

/* What the scheduler would count, every 5 ms. */
static gboolean on_write(gpointer data)
{
    struct fixture *f = data;

    write_hog(f);
    double share = f->boosted ? f->wait_on : f->wait_off;
    double wanted = 5e6 * (1 + 0.02 * (f->ticks++ % 5));

    f->ran += (guint64)(wanted * (1 - share));
    f->waited += (guint64)(wanted * share);
    write_run(f);
    return G_SOURCE_CONTINUE;
}

static void on_each(G_GNUC_UNUSED const struct vh_target *target, enum vh_boost_kind boost,
                    gpointer data)
{
    struct fixture *f = data;

    g_assert_true(boost == VH_BOOST_NICE || f->ask.boost == VH_BOOST_AUTO);
    f->boosted = true;
    f->kind = boost;
}

static void on_boost(const char *why, gpointer data)
{
    struct fixture *f = data;

    f->boosts++;
    f->quiet += !why;
    f->boosted = false;
    vh_trials_boosts(f->trials, on_each, f);
}

static void on_replan(G_GNUC_UNUSED const char *why, gpointer data)
{
    ((struct fixture *)data)->replans++;
}

static const struct vh_trials_funcs funcs = {.replan = on_replan, .boost = on_boost};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    f->journal_path = g_build_filename(f->directory, "journal", NULL);
    f->journal = vh_journal_new(f->journal_path, NULL);
    f->trials = vh_trials_new(f->directory, f->journal, &funcs, f);
    victim_start(&f->victim);
    f->target = target_vcpu("guest", 2, f->victim.tid);
    f->ask = (struct vh_trials_ask){.what = VH_TRIALS_BOOST,
                                    .boost = VH_BOOST_NICE,
                                    .rule = "urgent",
                                    .options = {.on = true,
                                                .hold_us = 10 * G_USEC_PER_SEC,
                                                .rest_us = G_USEC_PER_SEC,
                                                .loss = VH_TRIAL_LOSS},
                                    .figure = NAN};
    f->ran = f->waited = 1000;
    scratch_write(f->directory, "loadavg", "0.00 0.01 0.05 4/402 1234\n");
    scratch_write(f->directory, "self/schedstat", "17 0 1\n");
    write_run(f);
    f->writer = g_timeout_add(5, on_write, f);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_source_remove(f->writer);
    vh_trials_free(f->trials);
    victim_end(&f->victim);
    vh_journal_free(f->journal);
    /* Searches that were cancelled end. */
    loop_turn();
    scratch_remove(f->directory);
    g_free(f->journal_path);
}

/* Returns whether it may be in force. */
static bool round_with(struct fixture *f, bool asked)
{
    bool force = false;

    vh_trials_begin(f->trials);
    vh_trials_name(f->trials, &f->target);
    if (asked)
        force = vh_trials_ask(f->trials, &f->target, &f->ask);
    vh_trials_end(f->trials, "test");
    return force;
}

static char *get(const struct fixture *f, const char *key)
{
    g_autoptr(GVariant) all = g_variant_ref_sink(vh_trials_describe(f->trials, "guest"));
    g_autoptr(GVariant) first = g_variant_get_child_value(all, 0);
    const char *text = "";

    g_variant_lookup(first, key, "&s", &text);
    return g_strdup(text);
}

static bool wait_for(struct fixture *f, const char *key, const char *value, double seconds)
{
    LOOP_FOR(seconds)
    {
        g_autofree char *now = get(f, key);

        if (g_str_equal(now, value))
            return true;
    }
    return false;
}

static char *read_journal(struct fixture *f)
{
    char *text = NULL;

    vh_journal_free(f->journal);
    g_assert_true(g_file_get_contents(f->journal_path, &text, NULL, NULL));
    f->journal = vh_journal_new(f->journal_path, NULL);
    return text;
}

static void test_kept(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *journal = NULL;
    g_autofree char *reason = NULL;

    f->wait_off = 0.6;
    f->wait_on = 0.05;
    g_assert_false(round_with(f, true));
    g_assert_true(wait_for(f, "verdict", "kept", 10));
    g_assert_true(f->boosted);
    reason = vh_trials_reason(f->trials, f->victim.tid, VH_TRIALS_BOOST);
    g_assert_nonnull(strstr(reason, "urgent"));
    journal = read_journal(f);
    g_assert_nonnull(strstr(
        journal,
        "\"what\":\"trial boost vCPU 2\",\"why\":\"kept: it waits less than before; waits 6"));
    g_assert_nonnull(strstr(journal, "\"before\":\"0.6"));
    /* What asked for it is gone: so is the boost, at once. */
    round_with(f, false);
    g_assert_false(f->boosted);
}

static void test_reverted(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->wait_off = 0.3;
    f->wait_on = 0.6;
    round_with(f, true);
    g_assert_true(wait_for(f, "verdict", "reverted", 10));
    g_assert_false(f->boosted);
    g_assert_true(wait_for(f, "state", "barred", 1));
    /* Asking again does not help. */
    round_with(f, false);
    g_assert_false(round_with(f, true));
    g_assert_true(wait_for(f, "state", "barred", 1));
}

/* Said once, however often it is asked for. */
static void test_schedstat_missing(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->directory, "self", "schedstat", NULL);
    g_autofree char *reason = NULL;
    g_autofree char *journal = NULL;
    const char *first = NULL;

    g_unlink(path);
    g_assert_false(round_with(f, true));
    reason = get(f, "reason");
    g_assert_nonnull(strstr(reason, "no /proc/PID/schedstat"));
    g_assert_true(wait_for(f, "verdict", "inconclusive", 1));
    f->target.on = thread_id(getpid()); /* another vCPU */
    round_with(f, true);
    journal = read_journal(f);
    first = strstr(journal, "schedstat");
    g_assert_nonnull(first);
    g_assert_null(strstr(strchr(first, '\n'), "schedstat"));
    /* A pin that need not prove itself comes all the same. */
    f->ask.what = VH_TRIALS_PIN;
    f->ask.options = (struct vh_trial_options){.on = true, .keep_unproven = true, .loss = 75};
    vh_trials_begin(f->trials);
    vh_trials_name(f->trials, &f->target);
    g_assert_true(vh_trials_ask(f->trials, &f->target, &f->ask));
    vh_trials_end(f->trials, "test");
}

static void test_interrupted(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->wait_off = 0.6;
    round_with(f, true);
    g_assert_true(wait_for(f, "state", "trial", 10));
    vh_trials_interrupt(f->trials, "another", "the guest went away meanwhile");
    g_assert_true(wait_for(f, "state", "trial", 1));
    vh_trials_interrupt(f->trials, NULL, "the host's CPUs have changed meanwhile");
    g_assert_true(wait_for(f, "verdict", "inconclusive", 1));
    g_assert_true(wait_for(f, "state", "baseline", 1));
    g_assert_false(round_with(f, true));
}

/* What is measured while the guest stands still or is being migrated is void, and no verdict comes
 * of it. */
static void test_unsteady(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *reason = NULL;

    f->wait_off = 0.6;
    f->ask.options.sample_us = 20000;
    round_with(f, true);
    g_assert_true(wait_for(f, "state", "trial", 10));
    f->ask.unsteady = "the guest was being migrated meanwhile";
    g_assert_false(round_with(f, true));
    g_assert_true(wait_for(f, "verdict", "inconclusive", 1));
    reason = get(f, "reason");
    g_assert_cmpstr(reason, ==, f->ask.unsteady);
    g_assert_false(wait_for(f, "state", "trial", 1)); /* it never gets anywhere */
    g_assert_true(wait_for(f, "state", "baseline", 1));
    f->ask.unsteady = NULL;
    g_assert_false(round_with(f, true));
    g_assert_true(wait_for(f, "state", "trial", 10));
    g_assert_true(wait_for(f, "verdict", "kept", 10));
}

/* It could not be applied: nothing is measured then. */
static void test_failed(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->wait_off = 0.6;
    round_with(f, true);
    g_assert_true(wait_for(f, "state", "trial", 10));
    vh_trials_tell(f->trials, f->victim.tid, VH_TRIALS_BOOST,
                   "real-time threads are not throttled");
    g_assert_true(wait_for(f, "verdict", "inconclusive", 1));
    g_assert_true(wait_for(f, "problem", "real-time threads are not throttled", 1));
    g_assert_true(wait_for(f, "state", "barred", 1));
}

/* Real-time, and by nice where that is refused; the next time it is asked for, real-time again. */
static void test_auto(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->ask.boost = VH_BOOST_AUTO;
    f->ask.options.on = false;
    f->ask.options.rest_us = 0;
    for (int i = 0; i < 2; i++) {
        g_assert_true(round_with(f, true));
        g_assert_cmpint(f->kind, ==, VH_BOOST_RR);
        vh_trials_tell(f->trials, f->victim.tid, VH_TRIALS_BOOST,
                       "real-time threads are not throttled");
        LOOP_UNTIL(f->kind == VH_BOOST_NICE);
        g_assert_true(f->boosted);
        vh_trials_tell(f->trials, f->victim.tid, VH_TRIALS_BOOST, "");
        g_assert_false(round_with(f, false));
        g_assert_false(f->boosted);
        g_usleep(1000);
    }
}

static gpointer spin(gpointer data)
{
    gint *spinning = data;
    volatile guint64 work = 0;

    g_atomic_int_set(spinning, gettid());
    while (g_atomic_int_get(spinning))
        work++;
    return NULL;
}

/* What has been seen of a boost that is asked for without end. */
struct past {
    gint64 last;    /* look */
    gint64 boosted; /* for how long */
    bool was_boosted;
    bool rested;
    guint ends;
};

static void note(struct fixture *f, struct past *past)
{
    gint64 now = g_get_monotonic_time();
    g_autofree char *state = get(f, "state");

    past->boosted += past->was_boosted ? now - past->last : 0;
    past->ends += !past->rested && g_str_equal(state, "resting");
    past->rested = g_str_equal(state, "resting");
    past->was_boosted = f->boosted;
    past->last = now;
}

/* Asked for without end, by a thread that takes all it can get: it stays within its budget, and
 * ends. */
static void test_boost_for_ever(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gint spinning = 0;
    GThread *thread = g_thread_new("spin", spin, &spinning);
    struct past past = {0};
    gint64 start = 0;

    LOOP_UNTIL(g_atomic_int_get(&spinning));
    f->target.on = thread_id(g_atomic_int_get(&spinning));
    f->ask.options.on = false;
    f->ask.options.hold_us = 600000;
    f->ask.options.rest_us = 200000;
    g_assert_true(round_with(f, true));
    start = past.last = g_get_monotonic_time();
    LOOP_UNTIL(past.ends >= 3)
    {
        /* A guest that repeats itself at full speed gains nothing. */
        round_with(f, true);
        note(f, &past);
    }
    /* Each hold of 0.6 s has a rest of 0.2 s, two of which are over. What passes on a busy machine
     * until the end of a hold is seen here counts for the hold. */
    g_assert_cmpint(past.last - start - past.boosted, >=, 200000);
    g_atomic_int_set(&spinning, 0);
    g_thread_join(thread);
}

/* Hints that contradict one another at full speed. */
static void test_flapping(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    guint rounds = 0;

    LOOP_FOR(0.3)
    {
        for (guint i = 0; i < 20; i++)
            g_assert_false(round_with(f, rounds++ % 2));
    }
    round_with(f, false);
    g_assert_cmpuint(rounds, >, 100);
    g_assert_false(f->boosted);
}

/* A thread's number is another guest's by now: what was found of the first is not the second's. */
static void test_thread_reused(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->wait_off = 0.3;
    f->wait_on = 0.6;
    round_with(f, true);
    g_assert_true(wait_for(f, "verdict", "reverted", 10));
    f->target.key.guest = "other";
    round_with(f, true);
    g_assert_cmpuint(
        g_variant_n_children(g_variant_ref_sink(vh_trials_describe(f->trials, "guest"))), ==, 0);
    f->target.key.guest = "guest";
}

/* All vCPUs' files are the victim's. */
static void make_threads(const struct fixture *f, unsigned count)
{
    g_autofree char *victim = g_strdup_printf("../%d/schedstat", f->victim.tid);

    scratch_write(f->directory, HOG "/task/" HOG "/comm", "hog\n");
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("%s/%u/schedstat", f->directory, FIRST + i);
        g_autofree char *task = g_strdup_printf("%u/task/%u/comm", FIRST + i, FIRST + i);

        scratch_write(f->directory, task, "CPU\n");
        g_assert_cmpint(symlink(victim, path), ==, 0);
    }
}

/* One round that asks for a boost of all of them, each of a guest of its own or all of one. */
static void ask_for_many(struct fixture *f, unsigned count, bool one_guest)
{
    f->ask.options.sample_us = 20000;
    vh_trials_begin(f->trials);
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("guest%u", one_guest ? 0 : i);
        struct vh_target target = target_vcpu(name, i, (pid_t)(FIRST + i));

        vh_trials_name(f->trials, &target);
        vh_trials_ask(f->trials, &target, &f->ask);
    }
    vh_trials_end(f->trials, "test");
}

/* `key` of the first action of each guest that has it. */
static GArray *numbers_of(const struct fixture *f, const char *key, unsigned guests)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(double));

    for (unsigned i = 0; i < guests; i++) {
        g_autofree char *name = g_strdup_printf("guest%u", i);
        g_autoptr(GVariant) all = g_variant_ref_sink(vh_trials_describe(f->trials, name));
        g_autoptr(GVariant) first = g_variant_get_child_value(all, 0);
        double number = 0;

        if (g_variant_lookup(first, key, "d", &number))
            g_array_append_val(numbers, number);
    }
    return numbers;
}

static GArray *wait_for_numbers(const struct fixture *f, const char *key, unsigned guests)
{
    GArray *numbers = numbers_of(f, key, guests);

    LOOP_UNTIL(numbers->len >= guests)
    {
        loop_pass(0.1);
        g_array_unref(numbers);
        numbers = numbers_of(f, key, guests);
    }
    return numbers;
}

/* Hundreds of trials at once: each has its samples, of itself and of the neighbours, but /proc is
 * searched once, and a neighbour is looked at once for all. */
static void test_many(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *hog = g_strdup_printf("%s/%s", f->directory, HOG);
    struct opens searches, looks;
    gint64 begin = g_get_monotonic_time();
    g_autoptr(GArray) before = NULL;
    gint64 passed = 0;

    make_threads(f, MANY);
    searches = opens_of(f->directory);
    looks = opens_of(hog);
    f->wait_off = f->wait_on = 0.4;
    ask_for_many(f, MANY, false);
    before = wait_for_numbers(f, "neighbours_before", MANY);
    passed = g_get_monotonic_time() - begin;
    g_assert_cmpuint(before->len, ==, MANY);
    /* One, and again after two seconds for those that begin so late. */
    g_assert_cmpuint(opens_count(&searches, ""), <=, 1 + (guint)(passed / VH_CROWD_AGE_US));
    g_assert_cmpuint(opens_count(&looks, "schedstat"), <=, (guint)(passed / VH_CROWD_TURN_US) + 20);
    opens_end(&searches);
    opens_end(&looks);
}

/* What the vCPUs of the same guest wait is no neighbour's. */
static void test_own_vcpus_are_no_neighbours(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GArray) before = NULL;

    f->wait_off = f->wait_on = 0.9;
    make_threads(f, 40);
    ask_for_many(f, 40, true);
    before = wait_for_numbers(f, "neighbours_before", 1);
    g_assert_cmpfloat(fabs(g_array_index(before, double, 0) - 0.25), <, 0.01);
}

/* Those of others are. */
static void test_others_vcpus_are(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GArray) before = NULL;

    f->wait_off = f->wait_on = 0.9;
    make_threads(f, 40);
    ask_for_many(f, 40, false);
    before = wait_for_numbers(f, "neighbours_before", 1);
    g_assert_cmpfloat(g_array_index(before, double, 0), >, 0.5);
}

/* Who was busy in a former trial, and is not any more, says nothing in this one. */
static void test_neighbours_of_each_trial(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gint64 began = g_get_monotonic_time();
    g_autoptr(GVariant) all = NULL;
    g_autoptr(GVariant) first = NULL;
    double before = NAN;

    scratch_write(f->directory, HOG "/task/" HOG "/comm", "hog\n");
    scratch_write(f->directory, OTHER_HOG "/task/" OTHER_HOG "/comm", "hog\n");
    f->wait_off = f->wait_on = 0;
    round_with(f, true);
    g_assert_true(wait_for(f, "verdict", "inconclusive", 10));
    f->other = true;
    LOOP_UNTIL(g_get_monotonic_time() >= began + VH_CROWD_AGE_US);
    f->wait_off = f->wait_on = 0.4;
    g_assert_true(wait_for(f, "state", "trial", 20));
    g_assert_true(wait_for(f, "state", "barred", 10));
    all = g_variant_ref_sink(vh_trials_describe(f->trials, "guest"));
    first = g_variant_get_child_value(all, 0);
    g_assert_true(g_variant_lookup(first, "neighbours_before", "d", &before));
    g_assert_cmpfloat(fabs(before - 0.75), <, 0.01);
}

#define ADD(name, func) g_test_add("/trials/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("kept", test_kept);
    ADD("reverted", test_reverted);
    ADD("schedstat-missing", test_schedstat_missing);
    ADD("interrupted", test_interrupted);
    ADD("unsteady", test_unsteady);
    ADD("failed", test_failed);
    ADD("auto", test_auto);
    ADD("boost-for-ever", test_boost_for_ever);
    ADD("flapping", test_flapping);
    ADD("thread-reused", test_thread_reused);
    ADD("many", test_many);
    ADD("neighbours-of-each-trial", test_neighbours_of_each_trial);
    ADD("own-vcpus-are-no-neighbours", test_own_vcpus_are_no_neighbours);
    ADD("others-vcpus-are", test_others_vcpus_are);
    return g_test_run();
}
