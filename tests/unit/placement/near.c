/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/placement/near.c, and by wish/survey.c and the placement the way from pairs of vCPUs to a
 * plan, on made-up hosts. */
#include "placement/near.h"

#include <string.h>

#include "action/action.h"
#include "wish/survey.h"

#define VCPUS 12

static const struct vh_rule tried = {
    .name = (char *)"close", .what = {.action = &vh_action_near}, .trial = true};
static const struct vh_rule pin = {.name = (char *)"pin", .what = {.action = &vh_action_pin}};
static const struct vh_rule untried = {.name = (char *)"closer",
                                       .what = {.action = &vh_action_near}};

static struct vh_near pair(unsigned a, unsigned b, uint64_t strength)
{
    struct vh_near near = {.strength = strength, .by = &tried};

    vh_mask_add(&near.vcpus, a);
    vh_mask_add(&near.vcpus, b);
    return near;
}

static guint64 bits(const struct vh_near *near)
{
    return near->vcpus.words[0];
}

static void test_join(void)
{
    struct vh_near nears[] = {pair(0, 1, 5), pair(4, 5, 1), pair(1, 2, 3)};

    g_assert_cmpuint(vh_near_join(nears, 3, 8), ==, 2);
    g_assert_cmpuint(bits(&nears[0]) | bits(&nears[1]) << 16, ==, 0x7 | 0x30 << 16);
    g_assert_cmpuint(vh_near_join(nears, 0, 8), ==, 0);
}

/* The strongest go together, whatever order they come in; a tie that would make too many of them is
 * left out. */
static void test_room(void)
{
    for (unsigned order = 0; order < 3; order++) {
        struct vh_near all[] = {pair(0, 1, 9), pair(1, 2, 1), pair(2, 3, 8)};
        struct vh_near nears[3];

        for (unsigned i = 0; i < 3; i++)
            nears[i] = all[(i + order) % 3];
        g_assert_cmpuint(vh_near_join(nears, 3, 3), ==, 2);
        g_assert_cmpuint(bits(&nears[0]), ==, 0x3);
        g_assert_cmpuint(bits(&nears[1]), ==, 0xc);
        for (unsigned i = 0; i < 3; i++)
            nears[i] = all[(i + order) % 3];
        g_assert_cmpuint(vh_near_join(nears, 3, 4), ==, 1);
        g_assert_cmpuint(bits(&nears[0]), ==, 0xf);
        for (unsigned i = 0; i < 3; i++)
            nears[i] = all[(i + order) % 3];
        g_assert_cmpuint(vh_near_join(nears, 3, 1), ==, 0);
    }
}

/* One alone, such as a pair of which one is left alone, is near nobody. */
static void test_alone(void)
{
    struct vh_near nears[] = {pair(3, 3, 5), pair(0, 1, 1)};

    g_assert_cmpuint(vh_near_join(nears, 2, 8), ==, 1);
    g_assert_cmpuint(bits(&nears[0]), ==, 0x3);
}

/* ---- to a plan ---- */

struct fixture {
    struct vh_topology *topology;
    struct vh_placement_options options;
    struct vh_wish wishes[VCPUS];
    const struct vh_cpuset *now[VCPUS];
    struct vh_mask off;
    VhSurvey *survey;
    const struct vh_plan *plan;
};

static struct fixture begin(const char *host)
{
    struct fixture f = {0};
    g_autoptr(GError) error = NULL;

    f.topology = vh_topology_synthetic(host, &error);
    g_assert_no_error(error);
    vh_placement_defaults(&f.options);
    for (unsigned v = 0; v < VCPUS; v++)
        f.wishes[v] = (struct vh_wish){.guest_cpu = -1};
    return f;
}

static void plan(struct fixture *f, const struct vh_near *nears, unsigned count)
{
    if (!f->survey)
        f->survey = vh_survey_new();
    vh_survey_begin(f->survey, f->topology, NULL);
    vh_survey_add(f->survey, &(struct vh_survey_guest){.name = "guest",
                                                       .options = &f->options,
                                                       .wishes = f->wishes,
                                                       .now = f->now,
                                                       .vcpus = VCPUS,
                                                       .nears = nears,
                                                       .near_count = count,
                                                       .off = &f->off});
    f->plan = vh_survey_plan(f->survey);
}

static void end(struct fixture *f)
{
    vh_survey_free(f->survey);
    vh_topology_free(f->topology);
}

static const struct vh_cpuset *set_of(const struct fixture *f, unsigned vcpu)
{
    return vh_plan_set(f->plan, vh_plan_thread(f->plan, 0, vcpu));
}

/* The L3 under which the vCPU is kept; -1: it floats, or is kept under none. */
static int l3_of(const struct fixture *f, unsigned vcpu)
{
    const struct vh_cpuset *set = set_of(f, vcpu);
    struct vh_cpuset left;
    int first = set ? vh_cpuset_next(set, 0) : -1;

    if (first < 0)
        return -1;
    left = *set;
    vh_cpuset_sub(&left, &f->topology->l3s[f->topology->cpus[first].l3].cpus);
    return vh_cpuset_empty(&left) ? f->topology->cpus[first].l3 : -1;
}

static void test_pairs_under_l3s(void)
{
    struct fixture f = begin("node:2 l3:2 core:2 pu:2");
    struct vh_near nears[] = {pair(0, 1, 10), pair(2, 3, 10), pair(4, 5, 10)};

    plan(&f, nears, 3);
    for (unsigned v = 0; v < 6; v += 2) {
        g_assert_cmpint(l3_of(&f, v), >=, 0);
        g_assert_cmpint(l3_of(&f, v), ==, l3_of(&f, v + 1));
    }
    g_assert_cmpint(l3_of(&f, 0), !=, l3_of(&f, 2));
    g_assert_null(set_of(&f, 6));
    /* On trial, by the rule that asks. */
    g_assert_true(vh_survey_wish(f.survey, 0, 0)->tried == &tried);
    g_assert_cmpstr(vh_survey_wish(f.survey, 0, 0)->rule->name, ==, "close");
    g_assert_null(vh_survey_wish(f.survey, 0, 6)->tried);
    nears[0].by = &untried;
    plan(&f, nears, 1);
    g_assert_null(vh_survey_wish(f.survey, 0, 0)->tried);
    g_assert_cmpint(l3_of(&f, 0), ==, l3_of(&f, 1));
    end(&f);
}

/* A chain of nine over L3s of four CPUs: what is strong stays together, and nobody is spread over a
 * node for it.
 */
static void test_chain(void)
{
    struct fixture f = begin("node:2 l3:2 core:4 pu:1");
    struct vh_near nears[8];

    for (unsigned v = 0; v < 8; v++)
        nears[v] = pair(v, v + 1, v % 3 == 2 ? 1 : 100 - v);
    plan(&f, nears, 8);
    for (unsigned v = 0; v < 8; v++) {
        g_assert_cmpint(l3_of(&f, v), >=, 0);
        if (v % 3 != 2)
            g_assert_cmpint(l3_of(&f, v), ==, l3_of(&f, v + 1));
    }
    end(&f);
}

static void test_pool(void)
{
    struct fixture f = begin("node:1 l3:4 core:4 pu:1");
    struct vh_near nears[] = {pair(0, 1, 3), pair(1, 2, 2)};

    /* Of one L3 two CPUs are the guest's, of another one: two vCPUs fit together, three do not. */
    g_assert_cmpint(vh_cpuset_parse(&f.options.pool, "0,1,4", NULL), ==, 0);
    g_assert_cmpuint(vh_near_room(f.topology, &f.options.pool, NULL), ==, 2);
    plan(&f, nears, 2);
    g_assert_cmpint(l3_of(&f, 0), ==, 0);
    g_assert_cmpint(l3_of(&f, 1), ==, 0);
    g_assert_null(set_of(&f, 2));
    end(&f);
}

/* Each CPU has an L3 of its own: a node is as near as two can be. */
static void test_no_l3_for_two(void)
{
    struct fixture f = begin("node:2 l3:4 core:1 pu:1");
    struct vh_near nears[] = {pair(0, 3, 3)};

    g_assert_cmpuint(vh_near_room(f.topology, &f.options.pool, NULL), ==, 4);
    plan(&f, nears, 1);
    g_assert_nonnull(set_of(&f, 0));
    g_assert_true(vh_cpuset_equal(set_of(&f, 0), set_of(&f, 3)));
    g_assert_cmpuint(vh_cpuset_count(set_of(&f, 0)), ==, 4);
    end(&f);
}

/* Where the policy lets anchors of one guest fill a core, those that talk do. */
static void test_siblings(void)
{
    struct fixture f = begin("node:1 l3:2 core:4 pu:2");
    struct vh_near nears[] = {pair(0, 3, 5), pair(1, 2, 5)};

    f.options.smt = VH_SMT_PAIR;
    for (unsigned v = 0; v < 4; v++)
        f.wishes[v] =
            (struct vh_wish){.kind = VH_WISH_ANCHOR, .tasks = 1, .guest_cpu = (int)v, .rule = &pin};
    plan(&f, nears, 2);
    for (unsigned v = 0; v < 2; v++) {
        int a = vh_cpuset_next(set_of(&f, v), 0);
        int b = vh_cpuset_next(set_of(&f, 3 - v), 0);

        g_assert_cmpint(f.topology->cpus[a].core, ==, f.topology->cpus[b].core);
        g_assert_cmpint(a, !=, b);
    }
    g_assert_cmpstr(vh_survey_wish(f.survey, 0, 0)->rule->name, ==, "pin");
    end(&f);
}

/* Who is left alone is left alone, and keeps nobody company. */
static void test_off(void)
{
    struct fixture f = begin("node:2 l3:2 core:2 pu:2");
    struct vh_near nears[] = {pair(0, 1, 10), pair(1, 2, 10)};

    vh_mask_add(&f.off, 1);
    plan(&f, nears, 2);
    for (unsigned v = 0; v < VCPUS; v++)
        g_assert_null(set_of(&f, v));
    end(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/near/join", test_join);
    g_test_add_func("/near/room", test_room);
    g_test_add_func("/near/no-l3-for-two", test_no_l3_for_two);
    g_test_add_func("/near/alone", test_alone);
    g_test_add_func("/near/pairs", test_pairs_under_l3s);
    g_test_add_func("/near/chain", test_chain);
    g_test_add_func("/near/pool", test_pool);
    g_test_add_func("/near/siblings", test_siblings);
    g_test_add_func("/near/off", test_off);
    return g_test_run();
}
