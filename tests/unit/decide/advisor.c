/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/decide/advisor.c: workloads, sample by sample, against what becomes of the offload. */
#include "decide/advisor.h"

#include <string.h>

#define S ((gint64)G_USEC_PER_SEC)

/* A workload: what a packet costs the guest that gets it, and what the slots take for one. */
struct load {
    guint64 packets;
    double hits;   /* share */
    double guest;  /* ns, for a packet that the guest gets */
    double slot;   /* ns */
    guint64 other; /* ns of the guest's, whatever packets come */
};

static const struct load flood = {100000, 0.99, 3000, 80, 10000000};
static const struct load no_hits = {10000, 0, 3000, 80, 10000000};
static const struct load one_percent = {10000, 0.01, 3000, 80, 10000000};
static const struct load passes_all = {20000, 0, 1000, 40, 0};
/* Values so large that the host takes as long as the guest. */
static const struct load large = {5000, 0.9, 4000, 3500, 0};
/* The guest does something else, more or less of it each time. */
static const struct load noisy = {1000, 0.5, 3000, 80, 500000000};
static const struct load idle = {3, 1, 3000, 80, 10000000};

struct fixture {
    struct vh_advisor advisor;
    gint64 now;
    unsigned samples;
};

static struct vh_advisor_sample sample_of(const struct fixture *f, const struct load *load)
{
    double packets = (double)load->packets;
    double hits = packets * load->hits;
    double got = vh_advisor_acts(&f->advisor) ? packets - hits : packets;
    /* By turns a third more and less. */
    double other = (double)load->other * (f->samples % 2 ? 1.3 : 0.7);

    return (struct vh_advisor_sample){
        load->packets, (guint64)hits, (guint64)(packets * load->slot),
        (guint64)(got * load->guest + (load == &noisy ? other : (double)load->other))};
}

/* Gives samples until the state changes, `most` at most. Returns how many. */
static unsigned run(struct fixture *f, const struct load *load, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        struct vh_advisor_sample sample = sample_of(f, load);

        f->now += S;
        f->samples++;
        if (vh_advisor_take(&f->advisor, &sample, f->now))
            return i + 1;
    }
    return most;
}

static void expect(const struct fixture *f, enum vh_advisor_state state,
                   enum vh_advisor_verdict verdict, const char *words)
{
    g_autofree char *why = vh_advisor_why(&f->advisor);

    g_assert_cmpstr(vh_advisor_states[f->advisor.state], ==, vh_advisor_states[state]);
    g_assert_cmpint(f->advisor.verdict, ==, verdict);
    if (!strstr(why, words))
        g_error("\"%s\" does not say \"%s\"", why, words);
    g_assert_cmpint(vh_advisor_loads(&f->advisor), ==, state != VH_ADVISOR_RESTING);
    g_assert_cmpint(vh_advisor_acts(&f->advisor), ==,
                    state == VH_ADVISOR_TRIAL || state == VH_ADVISOR_KEPT);
}

static void test_pays(void)
{
    struct fixture f = {.now = 1000 * S};

    expect(&f, VH_ADVISOR_COUNTING, VH_ADVISOR_NONE, "");
    g_assert_cmpuint(run(&f, &flood, 100), ==, VH_ADVISOR_SAMPLES);
    expect(&f, VH_ADVISOR_TRIAL, VH_ADVISOR_NONE, "");
    /* The first one of a trial is half and half. */
    g_assert_cmpuint(run(&f, &flood, 100), ==, VH_ADVISOR_SAMPLES + 1);
    expect(&f, VH_ADVISOR_KEPT, VH_ADVISOR_PAYS, "decides about 99.00% of them");
    g_assert_cmpuint(run(&f, &flood, 100), ==, 100);
}

/* What is never tried, or given back. */
static void test_does_not_pay(void)
{
    static const struct {
        const struct load *load;
        bool tried;
        enum vh_advisor_verdict verdict;
        const char *words;
    } table[] = {
        {&no_hits, false, VH_ADVISOR_NO_HITS, "none of the packets"},
        {&passes_all, false, VH_ADVISOR_NO_HITS, "none of the packets"},
        {&one_percent, false, VH_ADVISOR_TOO_FEW, "decides about 1.00% of the packets, which can"},
        {&large, true, VH_ADVISOR_NO_GAIN, "which is not more than 5% less"},
        {&noisy, true, VH_ADVISOR_NO_GAIN, "less"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        struct fixture f = {.now = 1000 * S};

        run(&f, table[i].load, 100);
        g_assert_cmpint(vh_advisor_acts(&f.advisor), ==, table[i].tried);
        if (table[i].tried)
            run(&f, table[i].load, 100);
        expect(&f, VH_ADVISOR_RESTING, table[i].verdict, table[i].words);
    }
}

static void test_change(void)
{
    struct fixture f = {.now = 1000 * S};

    run(&f, &flood, 100);
    run(&f, &flood, 100);
    expect(&f, VH_ADVISOR_KEPT, VH_ADVISOR_PAYS, "");
    g_assert_cmpuint(run(&f, &one_percent, 100), <=, VH_ADVISOR_SAMPLES);
    expect(&f, VH_ADVISOR_RESTING, VH_ADVISOR_CHANGED, "the workload has changed");
    /* It has been kept before: the next rest is as short as the first. */
    g_assert_cmpint(f.advisor.rest, ==, f.now + VH_ADVISOR_REST_US);
}

static void test_rests(void)
{
    struct fixture f = {.now = 1000 * S};

    for (unsigned i = 0; i < VH_ADVISOR_DOUBLINGS + 3; i++) {
        gint64 length = VH_ADVISOR_REST_US << MIN(i, VH_ADVISOR_DOUBLINGS);

        run(&f, &no_hits, 100);
        g_assert_cmpint(f.advisor.rest, ==, f.now + length);
        g_assert_false(vh_advisor_wake(&f.advisor, f.now + length - 1));
        f.now += length;
        g_assert_true(vh_advisor_wake(&f.advisor, f.now));
        expect(&f, VH_ADVISOR_COUNTING, VH_ADVISOR_NO_HITS, "none");
        g_assert_false(vh_advisor_wake(&f.advisor, f.now));
    }
    vh_advisor_restart(&f.advisor);
    run(&f, &no_hits, 100);
    g_assert_cmpint(f.advisor.rest, ==, f.now + VH_ADVISOR_REST_US);
}

static void test_idle(void)
{
    struct fixture f = {.now = 1000 * S};

    g_assert_cmpuint(run(&f, &idle, 1000), ==, 1000);
    expect(&f, VH_ADVISOR_COUNTING, VH_ADVISOR_NONE, "");
    run(&f, &flood, 100);
    g_assert_cmpuint(run(&f, &idle, 1000), ==, VH_ADVISOR_PATIENCE);
    expect(&f, VH_ADVISOR_RESTING, VH_ADVISOR_NO_WORD, "too few packets");
    f.now = f.advisor.rest;
    g_assert_true(vh_advisor_wake(&f.advisor, f.now));
    run(&f, &flood, 100);
    run(&f, &flood, 100);
    expect(&f, VH_ADVISOR_KEPT, VH_ADVISOR_PAYS, "");
    /* What is kept is not given back for want of packets. */
    g_assert_cmpuint(run(&f, &idle, 1000), ==, 1000);
    expect(&f, VH_ADVISOR_KEPT, VH_ADVISOR_PAYS, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/decide/advisor/pays", test_pays);
    g_test_add_func("/decide/advisor/does-not-pay", test_does_not_pay);
    g_test_add_func("/decide/advisor/change", test_change);
    g_test_add_func("/decide/advisor/rests", test_rests);
    g_test_add_func("/decide/advisor/idle", test_idle);
    return g_test_run();
}
