/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From vCPUs' wishes and masks to a plan and its words. */
#include "wish/survey.h"

#include "action/action.h"

static const struct vh_rule pin = {.name = (char *)"p", .what = {.action = &vh_action_pin}};
static const struct vh_rule group = {.name = (char *)"g", .what = {.action = &vh_action_group}};

#define ANCHOR(cpu, number) \
    { \
        .kind = VH_WISH_ANCHOR, .tasks = 1, .guest_cpu = (cpu), .group = (number), .rule = &pin \
    }
#define GROUP(number) \
    { \
        .kind = VH_WISH_GROUP, .guest_cpu = -1, .group = (number), .rule = &group \
    }
#define NONE \
    { \
        .kind = VH_WISH_NONE, .guest_cpu = -1 \
    }

struct fixture {
    struct vh_topology *topology;
    struct vh_placement_options options;
    VhSurvey *survey;
    const struct vh_plan *plan;
};

static void set_up(struct fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    f->topology = vh_topology_synthetic("node:2 l3:2 core:2 pu:1", &error);
    g_assert_no_error(error);
    vh_placement_defaults(&f->options);
    f->survey = vh_survey_new();
    vh_survey_begin(f->survey, f->topology, NULL);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
    (void)data;
    vh_survey_free(f->survey);
    vh_topology_free(f->topology);
}

/* `held`: for each vCPU the CPUs it is held to, NULL for none. */
static void add(struct fixture *f, const char *name, const struct vh_wish *wishes,
                const char *const *held, unsigned vcpus)
{
    struct vh_cpuset sets[8] = {{{0}}};
    const struct vh_cpuset *now[8] = {NULL};

    for (unsigned v = 0; v < vcpus; v++)
        if (held && held[v]) {
            g_assert_cmpint(vh_cpuset_parse(&sets[v], held[v], NULL), ==, 0);
            now[v] = &sets[v];
        }
    vh_survey_add(
        f->survey,
        &(struct vh_survey_guest){
            .name = name, .options = &f->options, .wishes = wishes, .now = now, .vcpus = vcpus});
}

static void expect(const struct fixture *f, unsigned guest, unsigned vcpu, const char *cpus,
                   const char *reason)
{
    const struct vh_cpuset *set = vh_plan_set(f->plan, vh_plan_thread(f->plan, guest, vcpu));
    g_autofree char *list = set ? vh_cpuset_format(set) : g_strdup("-");
    g_autofree char *text = vh_survey_reason(f->survey, guest, vcpu);

    g_assert_cmpstr(list, ==, cpus);
    g_assert_cmpstr(text, ==, reason);
}

static void test_wishes(struct fixture *f, gconstpointer data)
{
    static const struct vh_wish first[] = {NONE, ANCHOR(4, 0), GROUP(2), GROUP(1), GROUP(2)};
    static const struct vh_wish second[] = {ANCHOR(0, 1), GROUP(1)};

    (void)data;
    add(f, "a", first, NULL, G_N_ELEMENTS(first));
    add(f, "empty", NULL, NULL, 0);
    add(f, "b", second, NULL, G_N_ELEMENTS(second));
    f->plan = vh_survey_plan(f->survey);
    g_assert_cmpuint(f->plan->guest_count, ==, 3);
    expect(f, 0, 0, "-", "no hint asks for it");
    expect(f, 0, 1, "6",
           "1 hint pins guest CPU 4 (rule p); CPU 6 of NUMA node 1: no other anchor on its core");
    expect(f, 0, 2, "2-3", "in group 2 (rule g); CPUs 2-3: its group is kept under one L3");
    expect(f, 0, 3, "0-1", "in group 1 (rule g); CPUs 0-1: its group is kept under one L3");
    expect(f, 0, 4, "2-3", "in group 2 (rule g); CPUs 2-3: its group is kept under one L3");
    expect(f, 2, 0, "4",
           "1 hint pins guest CPU 0 (rule p); CPU 4 of NUMA node 1: no other anchor on its core");
    expect(f, 2, 1, "4-5", "in group 1 (rule g); CPUs 4-5: its group is kept under one L3");
}

/* What threads are held to is where they are, and they stay. */
static void test_held(struct fixture *f, gconstpointer data)
{
    static const struct vh_wish wishes[] = {ANCHOR(0, 0), ANCHOR(1, 0), GROUP(1), GROUP(1), NONE};
    static const char *const held[] = {"7", NULL, "4-5", "4-5", "3"};

    (void)data;
    add(f, "a", wishes, held, G_N_ELEMENTS(wishes));
    f->plan = vh_survey_plan(f->survey);
    expect(f, 0, 0, "7",
           "1 hint pins guest CPU 0 (rule p); CPU 7 of NUMA node 1: no other anchor on its core");
    expect(f, 0, 1, "0",
           "1 hint pins guest CPU 1 (rule p); CPU 0 of NUMA node 0: no other anchor on its core");
    expect(f, 0, 2, "4-5", "in group 1 (rule g); CPUs 4-5: its group is kept under one L3");
    expect(f, 0, 4, "-", "no hint asks for it");
    g_assert_cmpuint(f->plan->moved, ==, 0);
}

/* Each round begins with nothing: a guest that is left out is forgotten. */
static void test_rounds(struct fixture *f, gconstpointer data)
{
    static const struct vh_wish wishes[] = {ANCHOR(0, 0), ANCHOR(1, 0)};

    (void)data;
    g_assert_cmpint(vh_cpuset_parse(&f->options.pool, "2", NULL), ==, 0);
    for (int round = 0; round < 3; round++) {
        vh_survey_begin(f->survey, f->topology, NULL);
        add(f, "a", wishes, NULL, round == 1 ? 1 : 2);
        f->plan = vh_survey_plan(f->survey);
        expect(
            f, 0, 0, "2",
            "1 hint pins guest CPU 0 (rule p); CPU 2 of NUMA node 0: no other anchor on its core");
        g_assert_cmpuint(f->plan->problem_count, ==, round == 1 ? 0 : 1);
    }
    g_autofree char *problem = vh_survey_problem(f->survey, 0);
    g_assert_cmpstr(problem, ==,
                    "guest \"a\" vCPU 1 floats: every usable CPU of its pool (2) has an anchor; "
                    "enlarge the pool or "
                    "allow overcommit");
    expect(f, 0, 1, "-",
           "1 hint pins guest CPU 1 (rule p); floats: every usable CPU of the pool has an anchor: "
           "enlarge "
           "the pool or allow overcommit");
}

/* A guest's other threads, by the planner's numbers, and where its memory is. */
static void test_helpers(struct fixture *f, gconstpointer data)
{
    static const struct vh_wish wishes[] = {ANCHOR(0, 0)};
    const struct vh_cpuset *const now[] = {NULL};
    const struct vh_placement_guest shape = {.vcpus = 1, .iothreads = 2, .vhosts = 1};
    struct vh_cpuset nodes = {{0}};

    (void)data;
    vh_cpuset_add(&nodes, 1);
    f->options.emulator.where = VH_WHERE_SET;
    g_assert_cmpint(vh_cpuset_parse(&f->options.emulator.cpus, "3", NULL), ==, 0);
    f->options.iothreads.where = VH_WHERE_OFF_ANCHORS;
    vh_survey_add(f->survey, &(struct vh_survey_guest){.name = "a",
                                                       .options = &f->options,
                                                       .memory_nodes = &nodes,
                                                       .wishes = wishes,
                                                       .now = now,
                                                       .vcpus = 1,
                                                       .iothreads = 2,
                                                       .vhosts = 1});
    f->plan = vh_survey_plan(f->survey);
    expect(f, 0, 0, "4",
           "1 hint pins guest CPU 0 (rule p); CPU 4 of NUMA node 1: no other anchor on its core");
    expect(f, 0, vh_placement_emulator(&shape), "3", "CPUs 3: named by the policy");
    for (unsigned i = 0; i < 2; i++)
        expect(f, 0, vh_placement_iothread(&shape, i), "0-3,5-7",
               "CPUs 0-3,5-7: the guest's pool, off the cores of its anchors");
    expect(f, 0, vh_placement_vhost(&shape, 0), "-", "floats: nothing asks for a place");
}

/* What a former daemon has left is planned around, if it is one CPU. */
static void test_left(struct fixture *f, gconstpointer data)
{
    static const struct vh_wish silent[] = {NONE, NONE};
    static const struct vh_wish wishes[] = {ANCHOR(0, 0), ANCHOR(1, 0)};
    struct vh_cpuset one = {{0}};
    struct vh_cpuset two = {{0}};

    (void)data;
    g_assert_cmpint(vh_cpuset_parse(&f->options.pool, "2-3", NULL), ==, 0);
    vh_cpuset_add(&one, 2);
    g_assert_cmpint(vh_cpuset_parse(&two, "2-3", NULL), ==, 0);
    for (int guest = -1; guest < 1; guest++) {
        vh_survey_begin(f->survey, f->topology, NULL);
        add(f, "silent", silent, NULL, 2);
        vh_survey_left(f->survey, guest, &one);
        vh_survey_left(f->survey, guest, &two);
        add(f, "a", wishes, NULL, 2);
        f->plan = vh_survey_plan(f->survey);
        expect(f, 0, 0, "-", "no hint asks for it");
        expect(
            f, 1, 0, "3",
            "1 hint pins guest CPU 0 (rule p); CPU 3 of NUMA node 0: no other anchor on its core");
        g_assert_cmpuint(f->plan->problem_count, ==, 1);
    }
    /* Until it is left no longer. */
    vh_survey_begin(f->survey, f->topology, NULL);
    add(f, "a", wishes, NULL, 2);
    f->plan = vh_survey_plan(f->survey);
    g_assert_cmpuint(f->plan->problem_count, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/survey/wishes", struct fixture, NULL, set_up, test_wishes, tear_down);
    g_test_add("/survey/held", struct fixture, NULL, set_up, test_held, tear_down);
    g_test_add("/survey/rounds", struct fixture, NULL, set_up, test_rounds, tear_down);
    g_test_add("/survey/left", struct fixture, NULL, set_up, test_left, tear_down);
    g_test_add("/survey/helpers", struct fixture, NULL, set_up, test_helpers, tear_down);
    return g_test_run();
}
