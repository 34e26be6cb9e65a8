/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/decide/trial.c and decide/judge.c, on recorded series. */
#include "decide/trial.h"

#include <math.h>
#include <string.h>

#define COUNT VH_TRIAL_SAMPLES
#define STEP VH_TRIAL_SAMPLE_US
#define LOSS VH_TRIAL_LOSS

/* Wait shares in permille, recorded on a host of two CPUs, one look every 50 ms; -1: there was
 * none. */
typedef const int record[COUNT];

/* Two vCPUs under four busy tasks, floating, then at nice -15. */
static record contended = {612, 664, 581, 702, 655, 640, 598, 671, 688, 623, 649, 660};
static record boosted = {31, 12, 44, 27, 160, 19, 38, 22, 25, 41, 30, 18};
static record robbed = {940, 951, 938, 949, 961, 944, 952, 940, 947, 950, 939, 955};
static record paying = {870, 855, 861, 880, 872, 859, 866, 868, 874, 861, 858, 869};
/* Beside a boost whose budget is spent for a third of the time. */
static record by_turns = {995, 990, 610, 998, 994, 580, 991, 660, 996, 992, 997, 640};
/* Among a dozen busy tasks for each CPU. */
static record crowded = {960, 962, 959, 963, 961, 960, 962, 958, 961, 964, 960, 962};
static record more_crowded = {980, 981, 979, 982, 978, 981, 980, 979, 982, 981, 980, 979};
/* An idle host. */
static record quiet = {2, 0, 4, 1, 0, 0, 3, 2, 0, 1, 0, 2};
/* One busy neighbour that comes and goes. */
static record noisy = {40, 720, 15, 510, 33, 690, 402, 20, 655, 88, 512, 300};
static record noisy_too = {402, 51, 601, 22, 480, 377, 30, 590, 61, 120, 430, 210};
/* A neighbour that is ending. */
static record easing = {640, 610, 575, 520, 480, 430, 372, 330, 280, 228, 190, 150};
static record eased = {140, 133, 128, 140, 131, 122, 130, 127, 135, 124, 130, 129};

static void fill(struct vh_trial_series *series, record wait, record neighbours, double load)
{
    series->count = COUNT;
    for (unsigned i = 0; i < COUNT; i++)
        series->samples[i] =
            (struct vh_trial_sample){.wait = wait[i] < 0 ? NAN : wait[i] / 1000.0,
                                     .neighbours = neighbours ? neighbours[i] / 1000.0 : NAN,
                                     .load = load,
                                     .figure = NAN};
}

static struct vh_trial_result judge(record before, record after)
{
    struct vh_trial_series a;
    struct vh_trial_series b;

    fill(&a, before, NULL, 6);
    fill(&b, after, NULL, 6);
    return vh_trial_judge(&a, &b, LOSS);
}

static void assert_verdict(struct vh_trial_result result, enum vh_trial_verdict verdict,
                           const char *reason)
{
    g_assert_cmpstr(vh_trial_verdict_text(result.verdict), ==, vh_trial_verdict_text(verdict));
    g_assert_nonnull(strstr(result.reason, reason));
}

static void test_win(void)
{
    struct vh_trial_result result = judge(contended, boosted);
    g_autofree char *numbers = vh_trial_numbers(&result);

    assert_verdict(result, VH_TRIAL_KEPT, "waits less");
    g_assert_cmpfloat_with_epsilon(result.before, 0.652, 0.0001);
    g_assert_cmpfloat_with_epsilon(result.after, 0.0285, 0.0001);
    g_assert_true(g_str_has_prefix(numbers, "waits 65.2% -> 2.8% (noise "));
}

static void test_loss(void)
{
    assert_verdict(judge(boosted, contended), VH_TRIAL_REVERTED, "waits more");
}

static void test_noise(void)
{
    assert_verdict(judge(noisy, noisy_too), VH_TRIAL_INCONCLUSIVE, "chance");
    assert_verdict(judge(noisy_too, noisy), VH_TRIAL_INCONCLUSIVE, "chance");
    /* A wild sample or two do not hide a clear win. */
    assert_verdict(judge(contended, (record){31, 990, 44, 27, 160, 19, 38, 22, 985, 41, 30, 18}),
                   VH_TRIAL_KEPT, "less");
}

static void test_drift(void)
{
    struct vh_trial_series before;
    struct vh_trial_series after;

    assert_verdict(judge(easing, eased), VH_TRIAL_INCONCLUSIVE, "already");
    /* The neighbours left between the windows. */
    fill(&before, contended, NULL, 6);
    fill(&after, boosted, NULL, 2);
    assert_verdict(vh_trial_judge(&before, &after, LOSS), VH_TRIAL_INCONCLUSIVE, "load changed");
    /* More of them came: what it lost is not the action's fault. */
    fill(&before, boosted, NULL, 2);
    fill(&after, contended, NULL, 6);
    assert_verdict(vh_trial_judge(&before, &after, LOSS), VH_TRIAL_INCONCLUSIVE, "load changed");
}

static void test_neighbours(void)
{
    struct vh_trial_series before;
    struct vh_trial_series after;

    fill(&before, contended, contended, 6);
    fill(&after, boosted, robbed, 6);
    assert_verdict(vh_trial_judge(&before, &after, LOSS), VH_TRIAL_REVERTED, "robs");
    fill(&after, boosted, paying, 6);
    assert_verdict(vh_trial_judge(&before, &after, LOSS), VH_TRIAL_KEPT, "less");
    assert_verdict(vh_trial_judge(&before, &after, 20), VH_TRIAL_REVERTED, "robs");
    fill(&after, boosted, by_turns, 6);
    assert_verdict(vh_trial_judge(&before, &after, LOSS), VH_TRIAL_KEPT, "less");
    /* All they had of an idle host. */
    fill(&before, contended, quiet, 6);
    fill(&after, boosted, robbed, 6);
    assert_verdict(vh_trial_judge(&before, &after, LOSS), VH_TRIAL_REVERTED, "robs");
    /* Of many each gets little: 3.9% of what they want, of which they lose half. */
    fill(&before, contended, crowded, 26);
    fill(&after, boosted, more_crowded, 26);
    assert_verdict(vh_trial_judge(&before, &after, 40), VH_TRIAL_REVERTED, "robs");
    assert_verdict(vh_trial_judge(&before, &after, 60), VH_TRIAL_KEPT, "less");
}

static void test_nothing_to_gain(void)
{
    assert_verdict(judge(quiet, quiet), VH_TRIAL_INCONCLUSIVE, "nothing to gain");
    assert_verdict(judge(contended, contended), VH_TRIAL_INCONCLUSIVE, "chance");
}

static void test_missing(void)
{
    record few = {612, -1, -1, 702, -1, 640, -1, -1, 688, -1, 649, 660};
    record enough = {31, -1, 44, 27, -1, 19, -1, 22, -1, 41, 30, -1};

    assert_verdict(judge(few, boosted), VH_TRIAL_INCONCLUSIVE, "too little");
    assert_verdict(judge(contended, enough), VH_TRIAL_KEPT, "less");
}

/* Nothing that a guest can say makes a verdict better than it is without. */
static void test_guest_games_its_figure(void)
{
    static const double lies[] = {0, -1, 1e-300, 1e300, -1e300, INFINITY, -INFINITY, NAN};
    record *const records[] = {&contended, &boosted, &quiet, &noisy, &easing, &eased};
    unsigned lost = 0;

    for (guint a = 0; a < G_N_ELEMENTS(records); a++)
        for (guint b = 0; b < G_N_ELEMENTS(records); b++)
            for (guint x = 0; x < G_N_ELEMENTS(lies); x++)
                for (guint y = 0; y < G_N_ELEMENTS(lies); y++) {
                    struct vh_trial_series before;
                    struct vh_trial_series after;
                    enum vh_trial_verdict honest, lied;

                    fill(&before, *records[a], contended, 6);
                    fill(&after, *records[b], paying, 6);
                    honest = vh_trial_judge(&before, &after, LOSS).verdict;
                    for (unsigned i = 0; i < COUNT; i++) {
                        before.samples[i].figure = lies[x];
                        after.samples[i].figure = lies[y];
                    }
                    lied = vh_trial_judge(&before, &after, LOSS).verdict;
                    if (lied != honest)
                        g_assert_cmpint(lied, ==, VH_TRIAL_REVERTED);
                    lost += lied != honest;
                }
    g_assert_cmpuint(lost, >, 0);
}

static void test_guest_figure_worse(void)
{
    struct vh_trial_series before;
    struct vh_trial_series after;

    fill(&before, contended, NULL, 6);
    fill(&after, boosted, NULL, 6);
    for (unsigned i = 0; i < COUNT; i++) {
        before.samples[i].figure = 100 + i % 3;
        after.samples[i].figure = 180 + i % 3;
    }
    assert_verdict(vh_trial_judge(&before, &after, LOSS), VH_TRIAL_REVERTED, "guest's own");
}

/* Who takes CPU time makes more of the others runnable: that is no reason to doubt what was gained.
 * Anything that more, or less, load may explain is one. */
static void test_load_changes(void)
{
    static const struct {
        const int *before, *after;
        double loads[2];
        enum vh_trial_verdict verdict;
    } cases[] = {
        {contended, boosted, {10, 20}, VH_TRIAL_KEPT},
        {contended, boosted, {20, 8}, VH_TRIAL_INCONCLUSIVE},
        {boosted, contended, {10, 20}, VH_TRIAL_INCONCLUSIVE},
        {boosted, contended, {20, 8}, VH_TRIAL_INCONCLUSIVE},
        {boosted, contended, {10, 10}, VH_TRIAL_REVERTED},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct vh_trial_series before;
        struct vh_trial_series after;

        fill(&before, cases[i].before, NULL, cases[i].loads[0]);
        fill(&after, cases[i].after, NULL, cases[i].loads[1]);
        g_assert_cmpint(vh_trial_judge(&before, &after, LOSS).verdict, ==, cases[i].verdict);
    }
    /* But not at the others' expense beyond what they may lose. */
    {
        struct vh_trial_series before;
        struct vh_trial_series after;

        fill(&before, contended, quiet, 10);
        fill(&after, boosted, contended, 20);
        g_assert_cmpint(vh_trial_judge(&before, &after, 20).verdict, ==, VH_TRIAL_INCONCLUSIVE);
    }
}

/* Whatever is measured, there is a verdict and numbers. */
static void test_any_numbers(void)
{
    static const double values[] = {NAN, 0, 0.5, 1, 2, -1, INFINITY, 1e308};

    for (unsigned round = 0; round < 20000; round++) {
        struct vh_trial_series series[2] = {0};
        struct vh_trial_result result;
        g_autofree char *numbers = NULL;

        for (unsigned i = 0; i < 2; i++) {
            series[i].count = (unsigned)g_test_rand_int_range(0, COUNT + 1);
            for (unsigned j = 0; j < series[i].count; j++)
                series[i].samples[j] = (struct vh_trial_sample){
                    values[g_test_rand_int_range(0, 8)], values[g_test_rand_int_range(0, 8)],
                    values[g_test_rand_int_range(0, 8)], values[g_test_rand_int_range(0, 8)]};
        }
        result = vh_trial_judge(&series[0], &series[1], (unsigned)g_test_rand_int_range(0, 101));
        numbers = vh_trial_numbers(&result);
        g_assert_cmpint(result.verdict, !=, VH_TRIAL_NONE);
        g_assert_nonnull(result.reason);
    }
}

/* ---- the way through a trial ---- */

static const struct vh_trial_options boost = {
    .on = true, .hold_us = 10 * G_USEC_PER_SEC, .rest_us = G_USEC_PER_SEC, .loss = LOSS};

/* Samples until the state is left. */
static bool play(struct vh_trial *trial, record wait, gint64 *now)
{
    enum vh_trial_state state = trial->state;
    bool verdict = false;

    for (unsigned i = 0; trial->state == state && i < 1000; i++) {
        struct vh_trial_sample sample = {wait[i % COUNT] / 1000.0, NAN, 6, NAN};

        *now = vh_trial_next(trial);
        verdict = vh_trial_tick(trial, *now) || verdict;
        if (trial->state == state)
            verdict = vh_trial_take(trial, &sample, *now) || verdict;
    }
    return verdict;
}

static void test_kept(void)
{
    struct vh_trial trial = {0};
    gint64 now = 1000;

    vh_trial_want(&trial, &boost, now);
    g_assert_cmpint(trial.state, ==, VH_TRIAL_BASELINE);
    g_assert_false(vh_trial_in_force(&trial));
    g_assert_false(play(&trial, contended, &now));
    g_assert_cmpint(trial.state, ==, VH_TRIAL_WINDOW);
    g_assert_true(vh_trial_in_force(&trial));
    g_assert_true(play(&trial, boosted, &now));
    g_assert_cmpint(trial.state, ==, VH_TRIAL_PROVEN);
    /* Asked for without end: it ends by its hold, rests, and comes again; then it has to prove
     * itself anew. */
    while (now < VH_TRIAL_TRUST_US + 2 * G_USEC_PER_SEC) {
        gint64 since = trial.force;

        g_assert_cmpint(trial.state, ==, VH_TRIAL_PROVEN);
        now = vh_trial_next(&trial);
        g_assert_cmpint(now - since, ==, boost.hold_us);
        g_assert_false(vh_trial_tick(&trial, now));
        g_assert_cmpint(trial.state, ==, VH_TRIAL_RESTING);
        g_assert_false(vh_trial_in_force(&trial));
        g_assert_cmpint(vh_trial_next(&trial) - now, ==, boost.rest_us);
        now = vh_trial_next(&trial);
        vh_trial_tick(&trial, now);
    }
    g_assert_cmpint(trial.state, ==, VH_TRIAL_BASELINE);
}

static void test_back_off(void)
{
    struct vh_trial trial = {0};
    gint64 now = 0;
    gint64 last = 0;

    vh_trial_want(&trial, &boost, now);
    for (unsigned i = 0; i < 12; i++) {
        play(&trial, boosted, &now);
        g_assert_true(play(&trial, contended, &now));
        g_assert_cmpint(trial.state, ==, VH_TRIAL_BARRED);
        g_assert_false(vh_trial_in_force(&trial));
        /* Twice as long each time, up to a bound; asking again does not help. */
        g_assert_cmpint(vh_trial_next(&trial) - now, ==,
                        last ? MIN(last * 2, VH_TRIAL_BACKOFF_US << 7) : VH_TRIAL_BACKOFF_US);
        last = vh_trial_next(&trial) - now;
        vh_trial_drop(&trial, now);
        vh_trial_want(&trial, &boost, now + 1);
        g_assert_cmpint(trial.state, ==, VH_TRIAL_BARRED);
        now = vh_trial_next(&trial);
        vh_trial_tick(&trial, now);
        g_assert_cmpint(trial.state, ==, VH_TRIAL_BASELINE);
    }
    /* One good window shortens it by one step only. */
    play(&trial, contended, &now);
    play(&trial, boosted, &now);
    g_assert_cmpint(trial.state, ==, VH_TRIAL_PROVEN);
    g_assert_cmpuint(trial.reverts, ==, VH_TRIAL_BACKOFF_MAX - 1);
}

static void test_inconclusive(void)
{
    struct vh_trial_options pin = {.on = true, .keep_unproven = true, .loss = LOSS};
    struct vh_trial trial = {0};
    gint64 now = 0;

    vh_trial_want(&trial, &boost, now);
    play(&trial, noisy, &now);
    g_assert_true(play(&trial, noisy_too, &now));
    g_assert_cmpint(trial.state, ==, VH_TRIAL_BARRED);
    g_assert_false(vh_trial_is_watched(&trial));
    g_assert_cmpint(vh_trial_next(&trial) - now, ==, VH_TRIAL_RETRY_US);
    memset(&trial, 0, sizeof(trial));
    vh_trial_want(&trial, &pin, now);
    play(&trial, quiet, &now);
    g_assert_true(play(&trial, quiet, &now));
    g_assert_cmpint(trial.state, ==, VH_TRIAL_OPEN);
    /* Nothing left to wait for. */
    g_assert_cmpint(vh_trial_next(&trial), ==, -1);
}

/* Who does not wait is not boosted, and is when it waits at last. */
static void test_watched(void)
{
    struct vh_trial trial = {0};
    gint64 now = 0;

    vh_trial_want(&trial, &boost, now);
    g_assert_true(play(&trial, quiet, &now));
    g_assert_cmpint(trial.result.verdict, ==, VH_TRIAL_INCONCLUSIVE);
    g_assert_nonnull(strstr(trial.result.reason, "nothing to gain"));
    for (unsigned i = 0; i < 20; i++) {
        g_assert_true(vh_trial_is_watched(&trial));
        g_assert_cmpint(vh_trial_next(&trial) - now, ==, VH_TRIAL_WATCH_US);
        now = vh_trial_next(&trial);
        vh_trial_watch(&trial, 0.01, now);
        g_assert_false(vh_trial_tick(&trial, now));
    }
    /* Fewer looks at one that sleeps. */
    for (unsigned i = 1; i < 20; i++) {
        now = vh_trial_next(&trial);
        vh_trial_watch(&trial, NAN, now);
        g_assert_false(vh_trial_tick(&trial, now));
        g_assert_cmpint(vh_trial_next(&trial) - now, ==,
                        VH_TRIAL_WATCH_US << MIN(i, VH_TRIAL_WATCH_MAX));
    }
    now = vh_trial_next(&trial);
    vh_trial_watch(&trial, 0.4, now);
    vh_trial_tick(&trial, now);
    g_assert_cmpint(trial.state, ==, VH_TRIAL_BASELINE);
    play(&trial, contended, &now);
    g_assert_true(play(&trial, boosted, &now));
    g_assert_cmpint(trial.state, ==, VH_TRIAL_PROVEN);
    g_assert_false(vh_trial_is_watched(&trial));
}

static void test_off(void)
{
    struct vh_trial_options off = boost;
    struct vh_trial trial = {0};

    off.on = false;
    vh_trial_want(&trial, &off, 1);
    g_assert_cmpint(trial.state, ==, VH_TRIAL_OPEN);
    g_assert_cmpint(vh_trial_next(&trial), ==, 1 + off.hold_us);
    /* The operator's word changes in between. */
    vh_trial_want(&trial, &boost, 10);
    g_assert_cmpint(trial.state, ==, VH_TRIAL_BASELINE);
    vh_trial_want(&trial, &off, 20);
    g_assert_cmpint(trial.state, ==, VH_TRIAL_OPEN);
}

/* Contradictory hints at full speed: what is not asked for long enough to be measured never comes.
 */
static void test_flapping(void)
{
    struct vh_trial_options off = boost;
    struct vh_trial trial = {0};
    unsigned forced = 0;

    for (gint64 now = 0; now < 10 * G_USEC_PER_SEC; now += 100) {
        if (now / 100 % 2)
            vh_trial_drop(&trial, now);
        else
            vh_trial_want(&trial, &boost, now);
        g_assert_false(vh_trial_in_force(&trial));
    }
    /* Unmeasured, its rest is what bounds it. */
    off.on = false;
    memset(&trial, 0, sizeof(trial));
    for (gint64 now = 0; now < 10 * G_USEC_PER_SEC; now += 100) {
        bool force = vh_trial_in_force(&trial);

        if (now / 100 % 2)
            vh_trial_drop(&trial, now);
        else
            vh_trial_want(&trial, &off, now);
        forced += !force && vh_trial_in_force(&trial);
    }
    g_assert_cmpuint(forced, <=, 11);
    g_assert_cmpuint(forced, >=, 9);
}

/* Asks of 20 ms, a second apart: their samples add up. */
static void test_bursts(void)
{
    struct vh_trial trial = {0};
    gint64 now = 0;
    unsigned bursts = 0;

    while (trial.state != VH_TRIAL_PROVEN && bursts++ < 100) {
        struct vh_trial_sample sample = {NAN, NAN, 6, NAN};

        vh_trial_want(&trial, &boost, now);
        if (trial.state == VH_TRIAL_PROVEN)
            break;
        sample.wait =
            (trial.state == VH_TRIAL_BASELINE ? contended : boosted)[bursts % COUNT] / 1000.0;
        now += 20000;
        vh_trial_take(&trial, &sample, now);
        vh_trial_drop(&trial, now);
        now += 2 * G_USEC_PER_SEC;
    }
    g_assert_cmpint(trial.result.verdict, ==, VH_TRIAL_KEPT);
    g_assert_cmpuint(bursts, <=, 2 * COUNT + 2);
}

static void test_stale_baseline(void)
{
    struct vh_trial trial = {0};
    gint64 now = 0;

    vh_trial_want(&trial, &boost, now);
    play(&trial, contended, &now);
    vh_trial_drop(&trial, now);
    vh_trial_want(&trial, &boost, now + VH_TRIAL_AGE_US);
    g_assert_cmpint(trial.state, ==, VH_TRIAL_BASELINE);
    g_assert_cmpuint(trial.before.count, ==, 0);
}

static void test_interrupted(void)
{
    struct vh_trial trial = {0};
    gint64 now = 0;

    vh_trial_want(&trial, &boost, now);
    now += 10 * G_USEC_PER_SEC;
    g_assert_false(vh_trial_interrupt(&trial, "a host CPU went offline", now));
    g_assert_cmpint(trial.began, ==, now); /* time that was void is not time without samples */
    play(&trial, contended, &now);
    g_assert_true(vh_trial_in_force(&trial));
    g_assert_true(vh_trial_interrupt(&trial, "a host CPU went offline", now));
    g_assert_cmpint(trial.result.verdict, ==, VH_TRIAL_INCONCLUSIVE);
    g_assert_cmpint(trial.state, ==, VH_TRIAL_BASELINE);
    g_assert_cmpuint(trial.before.count, ==, 0);
    g_assert_false(vh_trial_in_force(&trial));
}

/* The thread never runs, or its samples are missing: the window does not stay open for ever. */
static void test_no_samples(void)
{
    struct vh_trial trial = {0};
    gint64 now = 0;
    const struct vh_trial_sample none = {NAN, NAN, NAN, NAN};

    vh_trial_want(&trial, &boost, now);
    while (trial.state == VH_TRIAL_BASELINE && now < 100 * G_USEC_PER_SEC) {
        now = vh_trial_next(&trial);
        vh_trial_take(&trial, &none, now);
    }
    g_assert_cmpint(now, ==, VH_TRIAL_PATIENCE * VH_TRIAL_SAMPLES * VH_TRIAL_SAMPLE_US);
    assert_verdict(trial.result, VH_TRIAL_INCONCLUSIVE, "too little");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trial/win", test_win);
    g_test_add_func("/trial/loss", test_loss);
    g_test_add_func("/trial/noise", test_noise);
    g_test_add_func("/trial/drift", test_drift);
    g_test_add_func("/trial/neighbours", test_neighbours);
    g_test_add_func("/trial/nothing-to-gain", test_nothing_to_gain);
    g_test_add_func("/trial/missing", test_missing);
    g_test_add_func("/trial/guest-games-its-figure", test_guest_games_its_figure);
    g_test_add_func("/trial/guest-figure-worse", test_guest_figure_worse);
    g_test_add_func("/trial/load-changes", test_load_changes);
    g_test_add_func("/trial/any-numbers", test_any_numbers);
    g_test_add_func("/trial/kept", test_kept);
    g_test_add_func("/trial/back-off", test_back_off);
    g_test_add_func("/trial/inconclusive", test_inconclusive);
    g_test_add_func("/trial/watched", test_watched);
    g_test_add_func("/trial/off", test_off);
    g_test_add_func("/trial/flapping", test_flapping);
    g_test_add_func("/trial/bursts", test_bursts);
    g_test_add_func("/trial/stale-baseline", test_stale_baseline);
    g_test_add_func("/trial/interrupted", test_interrupted);
    g_test_add_func("/trial/no-samples", test_no_samples);
    return g_test_run();
}
