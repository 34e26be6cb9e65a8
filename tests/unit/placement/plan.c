/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of inputs and the plans they make. */
#include "placement/placement.h"

#define GUESTS 5
#define VCPUS 16

/* CPU lists everywhere; NULL is empty. */
struct guest {
    unsigned vcpus;
    const char *anchors;
    const char *groups[3];
    const char *pool;
    const char *memory;
    struct vh_placed now[VCPUS];
    bool dedicated, overcommit, off_anchors;
    enum vh_smt smt;
    enum vh_float floating;
    enum vh_where emulator;
    const char *emulator_cpus;
    unsigned iothreads, vhosts;
    enum vh_where iothread, vhost;
};

struct row {
    const char *name;
    const char *topology;
    const char *offline, *reserved;
    const char *busy; /* CPUs with a load of 900 permille; "": the load is known, and 0 */
    const char *left; /* CPUs with an anchor that a former daemon has left, of guest `left_of` */
    int left_of;
    struct guest guests[GUESTS];
    const char *plan[GUESTS]; /* each thread's CPUs and reason; "-" for CPUs: left alone; "-" alone:
                                 no reason either */
    const char *problems;     /* reasons with guest and thread */
    unsigned moved;
};

#define ON(number) \
    { \
        .level = VH_LEVEL_CPU, .cpu = (number) \
    }
#define NOWHERE \
    { \
        .level = VH_LEVEL_NONE, .cpu = -1 \
    }
#define UNDER_L3(number) \
    { \
        .level = VH_LEVEL_L3, .cpu = (number) \
    }
#define ON_NODE(number) \
    { \
        .level = VH_LEVEL_NODE, .cpu = (number) \
    }

#define SMALL "node:2 l3:2 core:2 pu:2" /* CPUs 0-7, 8-15; L3s of 4, cores of 2 */
#define FLAT "core:4 pu:1"

static const struct row rows[] = {
    {"nothing is wished", SMALL, .guests = {{2}}, .plan = {"- - -"}},
    {"no guests", SMALL, .guests = {{0}}},
    {"an anchor takes a core, an other anchor an other core", SMALL, .guests = {{4, "0,2"}},
     .plan = {"0:anchor - 4:anchor - -"}},
    {"and another guest's, too: the emptiest L3 first", SMALL, .guests = {{2, "0-1"}, {2, "0-1"}},
     .plan = {"0:anchor 4:anchor -", "8:anchor 12:anchor -"}},
    {"cores are spread over before siblings are used", "core:2 pu:2", .guests = {{4, "0-2"}},
     .plan = {"0:anchor-core 2:anchor 1:anchor-core - -"}},
    {"where it must share a core, with its own guest", "core:2 pu:2",
     .guests = {{1, "0"}, {2, "0-1"}}, .plan = {"0:anchor -", "2:anchor-core 3:anchor-core -"}},
    {"pairs fill a core", SMALL,
     .guests = {{4, "0-3", .smt = VH_SMT_PAIR}, {1, "0", .smt = VH_SMT_PAIR}},
     .plan = {"0:anchor-core 1:anchor-core 4:anchor-core 5:anchor-core -", "8:anchor -"}},
    {"pairs keep to themselves while a core is free", "core:2 pu:2",
     .guests = {{1, "0", .smt = VH_SMT_PAIR}, {2, "0-1", .smt = VH_SMT_PAIR}},
     .plan = {"0:anchor -", "2:anchor-core 3:anchor-core -"}},
    {"ignored siblings are CPUs like others", "l3:1 core:4 pu:2",
     .guests = {{2, "0-1", .smt = VH_SMT_IGNORE}}, .plan = {"0:anchor-core 1:anchor-core -"}},
    {"but not those of an anchor that is guarded", "l3:1 core:2 pu:2",
     .guests = {{1, "0"}, {1, "0", .smt = VH_SMT_IGNORE}}, .plan = {"0:anchor -", "2:anchor -"}},
    {"near the memory", SMALL, .guests = {{1, "0", .memory = "1"}, {1, "0", .memory = "0"}},
     .plan = {"8:anchor -", "0:anchor -"}},
    {"near the memory until the L3s there are half full", SMALL,
     .guests = {{4, "0-3", .memory = "1"}}, .plan = {"8:anchor 12:anchor 0:anchor 4:anchor -"}},
    {"a busy core is left to others, an idle one near the memory is better", SMALL, .busy = "8-9",
     .guests = {{1, "0", .memory = "1"}}, .plan = {"10:anchor -"}},
    {"a guest's anchors are close to each other while half of the L3's cores are free",
     "l3:2 core:6 pu:1", .guests = {{1, "0"}, {4, "0-3"}},
     .plan = {"0:anchor -", "6:anchor 7:anchor 8:anchor 1:anchor -"}},
    {"of equal ones the least loaded", FLAT, .busy = "0,1,3", .guests = {{1, "0"}},
     .plan = {"2:anchor -"}},
    {"only in the pool", SMALL, .guests = {{3, "0-2", .pool = "5-6"}},
     .plan = {"5:anchor 6:anchor -:full -"}, .problems = "full 0/2"},
    {"the anchor beyond the pool floats in the pool", FLAT,
     .guests = {{3, "0-2", .pool = "2-3", .floating = VH_FLOAT_POOL}},
     .plan = {"2:anchor 3:anchor 2-3:full -"}, .problems = "full 0/2"},
    {"reserved and offline CPUs are not used", FLAT, .offline = "1", .reserved = "0,3",
     .guests = {{3, "0-2"}}, .plan = {"2:anchor -:full -:full -"}, .problems = "full 0/1 full 0/2"},
    {"no CPU at all", FLAT, .reserved = "0-3", .guests = {{2, "0"}, {1}},
     .plan = {"-:no-cpu -:no-cpu -", "- -"}, .problems = "no-cpu 0/-1"},
    {"a host without CPUs", FLAT, .offline = "0-3", .busy = "",
     .guests = {{2, "0", .groups = {"0-1"}, .now = {ON(0)}, .emulator = VH_WHERE_SET,
                 .emulator_cpus = "1"}},
     .plan = {"-:no-cpu -:no-cpu -:no-cpu"}, .problems = "no-cpu 0/-1 no-cpu 0/2", .moved = 1},
    {"a pool that is offline", FLAT, .offline = "2-3",
     .guests = {{1, "0", .pool = "2-3", .now = {ON(2)}, .emulator = VH_WHERE_POOL}},
     .plan = {"-:no-cpu -:no-cpu"}, .problems = "no-cpu 0/-1", .moved = 1},
    {"the guest with less choice comes first", FLAT,
     .guests = {{2, "0-1"}, {2, "0-1", .pool = "0-1"}},
     .plan = {"2:anchor 3:anchor -", "0:anchor 1:anchor -"}},

    {"what is placed stays, even where it would not go now", SMALL,
     .guests = {{3, "0-2", .now = {ON(9), ON(8), ON(3)}}},
     .plan = {"9:anchor-core 8:anchor-core 3:anchor -"}},
    {"an anchor that goes moves nobody", "core:2 pu:2",
     .guests = {{3, "1-2", .now = {ON(0), ON(1), ON(2)}}}, .plan = {"- 1:anchor 2:anchor -"}},
    {"a CPU that goes offline moves its anchor only", FLAT, .offline = "1",
     .guests = {{3, "0-2", .now = {ON(0), ON(1), ON(2)}}}, .plan = {"0:anchor 3:anchor 2:anchor -"},
     .moved = 1},
    {"the pool shrinks", FLAT, .guests = {{2, "0-1", .pool = "2-3", .now = {ON(1), ON(2)}}},
     .plan = {"3:anchor 2:anchor -"}, .moved = 1},
    {"overcommit withdrawn: the first stays", FLAT, .guests = {{2, "0-1", .now = {ON(1), ON(1)}}},
     .plan = {"1:anchor 0:anchor -"}, .moved = 1},
    {"a CPU number from nowhere", FLAT,
     .guests = {{1, "0", .now = {ON(4095)}}, {1, "0", .now = {ON(-7)}}},
     .plan = {"0:anchor -", "1:anchor -"}, .moved = 1},

    {"overcommit is even", FLAT, .guests = {{7, "0-6", .pool = "1-3", .overcommit = true}},
     .plan = {"1:anchor-cpu 2:anchor-cpu 3:anchor-cpu 1:anchor-cpu 2:anchor-cpu 3:anchor-cpu "
              "1:anchor-cpu -"}},
    {"nobody shares a CPU with an anchor of a guest without overcommit", FLAT,
     .guests = {{1, "0", .pool = "0-1"}, {3, "0-2", .pool = "0-1", .overcommit = true}},
     .plan = {"0:anchor -", "1:anchor-cpu 1:anchor-cpu 1:anchor-cpu -"}},
    {"and such a guest shares with nobody", FLAT,
     .guests = {{2, "0-1", .pool = "0-1", .overcommit = true, .now = {ON(0), ON(1)}},
                {1, "0", .pool = "0-1"}},
     .plan = {"0:anchor 1:anchor -", "-:full -"}, .problems = "full 1/0"},

    {"what is left is an anchor of its guest, to whom nothing is given", FLAT, .left = "0-1",
     .guests = {{2}, {3, "0-2"}}, .plan = {"- - -", "2:anchor 3:anchor -:full -"},
     .problems = "full 1/2"},
    {"and new anchors go where there is most room beside it", "core:2 pu:2", .left = "0",
     .guests = {{1}, {1, "0"}}, .plan = {"- -", "2:anchor -"}},
    {"it is wherever it is, also where its guest may not be", FLAT, .reserved = "3", .left = "2-3",
     .guests = {{1, .pool = "0"}, {2, "0-1", .pool = "2-3", .dedicated = true}},
     .plan = {"0:pool 0:pool", "2:full 2:full 2:pool"}, .problems = "full 1/0 full 1/1"},
    {"but on a CPU that is offline it is not", FLAT, .offline = "1", .left = "1",
     .guests = {{1}, {1, "0"}}, .plan = {"- -", "0:anchor -"}},
    {"it moves nobody who is placed", FLAT, .left = "1", .left_of = -1,
     .guests = {{2, "0-1", .pool = "1-2", .now = {ON(1)}}}, .plan = {"1:anchor-cpu 2:anchor -"}},
    {"it is shared by overcommit of both", FLAT, .left = "0-1",
     .guests = {{1, .pool = "0-1", .overcommit = true},
                {3, "0-2", .pool = "0-1", .overcommit = true},
                {1, "0", .pool = "0-1"}},
     .plan = {"- -", "0:anchor-cpu 1:anchor-cpu 0:anchor-cpu -", "-:full -"},
     .problems = "full 2/0"},
    {"and of nobody with a guest that is not known", FLAT, .left = "0-1", .left_of = -1,
     .guests = {{1, "0", .pool = "0-1", .overcommit = true}}, .plan = {"-:full -"},
     .problems = "full 0/0"},
    {"a dedicated pool keeps to its guest while that keeps silent", FLAT, .left = "2",
     .guests = {{1, .pool = "2-3", .dedicated = true}, {3, "0-2"}},
     .plan = {"2-3:pool 2-3:pool", "0:anchor 1:anchor 0-1:full 0-1:pool"}, .problems = "full 1/2"},

    {"a dedicated pool is left by the others", FLAT,
     .guests = {{2, "0-1", .now = {ON(0), ON(2)}}, {2, "0", .pool = "2-3", .dedicated = true}},
     .plan = {"0:anchor 1:anchor 0-1:pool", "2:anchor 2-3:pool 2-3:pool"}, .moved = 1},
    {"what floats keeps to a dedicated pool", FLAT,
     .guests = {{2, .pool = "2-3", .dedicated = true}}, .plan = {"2-3:pool 2-3:pool 2-3:pool"}},
    {"a shared pool that is all in a dedicated one", FLAT,
     .guests = {{1, "0", .pool = "2", .now = {ON(2)}}, {1, .pool = "2-3", .dedicated = true}},
     .plan = {"-:no-cpu -:no-cpu", "2-3:pool 2-3:pool"}, .problems = "no-cpu 0/-1", .moved = 1},
    {"dedicated pools that overlap: the older guest has it", FLAT,
     .guests = {{1, "0", .pool = "0-1", .dedicated = true},
                {1, "0", .pool = "1-2", .dedicated = true, .now = {ON(2)}},
                {1, "0", .pool = "2-3", .dedicated = true}},
     .plan = {"0:anchor 0-1:pool", "-:overlap -:overlap", "2:anchor 2-3:pool"},
     .problems = "overlap 1/-1 with 0 in 1", .moved = 1},
    {"an overlap with two", FLAT,
     .guests = {{1, .pool = "0", .dedicated = true},
                {1, .pool = "3", .dedicated = true},
                {1, .dedicated = true}},
     .plan = {"0:pool 0:pool", "3:pool 3:pool", "-:overlap -:overlap"},
     .problems = "overlap 2/-1 with 0 in 0 overlap 2/-1 with 1 in 3"},

    {"a group gets an L3", SMALL, .guests = {{4, .groups = {"1-3"}}},
     .plan = {"- 0-3:group-l3 0-3:group-l3 0-3:group-l3 -"}},
    {"two groups get two", SMALL, .guests = {{4, .groups = {"0-1", "2-3"}}},
     .plan = {"0-3:group-l3 0-3:group-l3 4-7:group-l3 4-7:group-l3 -"}},
    {"a group too large for an L3 gets a node", SMALL,
     .guests = {{6, .groups = {"0-4"}, .memory = "1"}},
     .plan =
         {"8-15:group-node 8-15:group-node 8-15:group-node 8-15:group-node 8-15:group-node - -"}},
    {"a group too large for a node floats", SMALL, .guests = {{10, .groups = {"0-8"}}},
     .plan = {"-:group-spread -:group-spread -:group-spread -:group-spread -:group-spread "
              "-:group-spread "
              "-:group-spread -:group-spread -:group-spread - -"},
     .problems = "group-spread 0/0"},
    {"a pool of one L3 leaves a group nothing to decide", SMALL,
     .guests = {{2, .groups = {"0-1"}, .pool = "4-6"}}, .plan = {"-:group-whole -:group-whole -"}},
    {"a group goes where its anchors are", SMALL,
     .guests = {{3, "0", .groups = {"0-2"}, .now = {ON(12)}}},
     .plan = {"12:anchor 12-15:group-l3 12-15:group-l3 -"}},
    {"anchors go where their group is", SMALL,
     .guests = {{3, "0", .groups = {"0-2"}, .now = {NOWHERE, UNDER_L3(12), UNDER_L3(12)}}},
     .plan = {"12:anchor 12-15:group-l3 12-15:group-l3 -"}},
    {"anchors of a group are close, if not on one core", SMALL,
     .guests = {{3, "0-2", .groups = {"0-2"}}}, .plan = {"0:anchor 2:anchor 4:anchor -"}},
    {"a group stays", SMALL,
     .guests = {{2, .groups = {"0-1"}, .now = {ON_NODE(8), ON_NODE(8)}, .memory = "0"}},
     .plan = {"8-15:group-node 8-15:group-node -"}},
    {"a group that does not fit any more moves", SMALL,
     .guests = {{6, .groups = {"0-5"}, .now = {UNDER_L3(12), UNDER_L3(12)}}},
     .plan = {"0-7:group-node 0-7:group-node 0-7:group-node 0-7:group-node 0-7:group-node "
              "0-7:group-node -"}},
    {"groups that share a vCPU are close to each other", SMALL,
     .guests = {{4, .groups = {"0-1", "1-2"}}},
     .plan = {"0-3:group-l3 0-3:group-l3 0-3:group-l3 - -"}},
    {"a group that names vCPUs which are not there", SMALL,
     .guests = {{2, .groups = {"0,7,500", "200"}}}, .plan = {"0-3:group-l3 - -"}},

    {"unpinned vCPUs off the anchored cores", "core:2 pu:2",
     .guests = {{3, "0", .off_anchors = true}},
     .plan = {"0:anchor 2-3:off-anchors 2-3:off-anchors -"}},
    {"no anchors to keep off", "core:2 pu:2", .guests = {{3, .off_anchors = true}},
     .plan = {"- - - -"}},
    {"nowhere to keep off to", "core:2 pu:2",
     .guests = {{3, "0-1", .off_anchors = true, .emulator = VH_WHERE_OFF_ANCHORS}},
     .plan = {"0:anchor 2:anchor 0-3:crowded 0-3:crowded"}, .problems = "crowded 0/-1"},
    {"off the anchors beside the memory", SMALL,
     .guests = {{3, "0", .off_anchors = true, .floating = VH_FLOAT_NODE, .memory = "1"}},
     .plan = {"8:anchor 10-15:off-anchors 10-15:off-anchors -"}},
    {"beside the memory", SMALL,
     .guests = {{2, .floating = VH_FLOAT_NODE, .memory = "1", .pool = "4-11"}},
     .plan = {"8-11:node 8-11:node -"}},
    {"no CPU of the pool beside the memory", SMALL,
     .guests = {{1, .floating = VH_FLOAT_NODE, .memory = "1", .pool = "0-3"}},
     .plan = {"0-3:pool -"}},
    {"emulator, IOThreads and vhost workers", FLAT,
     .guests = {{2, "0", .pool = "0-2", .emulator = VH_WHERE_SET, .emulator_cpus = "3",
                 .iothreads = 2, .iothread = VH_WHERE_OFF_ANCHORS, .vhosts = 1,
                 .vhost = VH_WHERE_POOL}},
     .plan = {"0:anchor - 3:set 1-2:off-anchors 1-2:off-anchors 0-2:pool"}},
    {"a set that nobody may use", FLAT, .reserved = "3",
     .guests = {{1, .emulator = VH_WHERE_SET, .emulator_cpus = "2-3"},
                {1, .pool = "2", .dedicated = true}},
     .plan = {"0-1:pool -:no-cpu", "2:pool 2:pool"}, .problems = "no-cpu 0/1"},
};

static struct vh_cpuset cpus(const char *list)
{
    struct vh_cpuset set = {{0}};

    if (list)
        g_assert_cmpint(vh_cpuset_parse(&set, list, NULL), ==, 0);
    return set;
}

static struct vh_mask vcpus(const char *list)
{
    struct vh_cpuset set = cpus(list);
    struct vh_mask result;

    memcpy(&result, &set, sizeof(result));
    return result;
}

/* One row's input and all that it borrows. */
struct input {
    struct vh_placement_input in;
    struct vh_placement_guest guests[GUESTS];
    struct vh_placement_options options[GUESTS];
    struct vh_cpuset memory[GUESTS], reserved;
    struct vh_mask anchors[GUESTS], groups[GUESTS][3];
    uint16_t load[VH_HOST_CPUS_MAX];
    struct vh_placement_left left[8];
    char names[GUESTS][2];
};

static struct vh_placement_guest make_guest(struct input *input, unsigned g,
                                            const struct guest *from)
{
    struct vh_placement_options *options = &input->options[g];
    unsigned groups = 0;

    vh_placement_defaults(options);
    options->pool = cpus(from->pool);
    options->dedicated = from->dedicated;
    options->overcommit = from->overcommit;
    options->off_anchors = from->off_anchors;
    options->smt = from->smt;
    options->floating = from->floating;
    options->emulator = (struct vh_helper){from->emulator, cpus(from->emulator_cpus)};
    options->iothreads.where = from->iothread;
    options->vhosts.where = from->vhost;
    input->memory[g] = cpus(from->memory);
    input->anchors[g] = vcpus(from->anchors);
    while (groups < 3 && from->groups[groups]) {
        input->groups[g][groups] = vcpus(from->groups[groups]);
        groups++;
    }
    input->names[g][0] = (char)('a' + g);
    return (struct vh_placement_guest){.name = input->names[g],
                                       .options = options,
                                       .memory_nodes = &input->memory[g],
                                       .vcpus = from->vcpus,
                                       .iothreads = from->iothreads,
                                       .vhosts = from->vhosts,
                                       .anchors = &input->anchors[g],
                                       .groups = input->groups[g],
                                       .group_count = groups,
                                       .current = from->now,
                                       .current_count = VCPUS};
}

static struct input *make_input(const struct row *row, const struct vh_topology *topology)
{
    struct input *input = g_new0(struct input, 1);
    struct vh_cpuset busy = cpus(row->busy);
    struct vh_cpuset left = cpus(row->left);

    input->reserved = cpus(row->reserved);
    for (unsigned cpu = 0; cpu < VH_HOST_CPUS_MAX; cpu++)
        input->load[cpu] = vh_cpuset_has(&busy, cpu) ? 900 : 0;
    input->in = (struct vh_placement_input){.topology = topology,
                                            .reserved = &input->reserved,
                                            .load = row->busy ? input->load : NULL,
                                            .guests = input->guests,
                                            .left = input->left};
    for (int cpu = vh_cpuset_next(&left, 0); cpu >= 0;
         cpu = vh_cpuset_next(&left, (unsigned)cpu + 1))
        input->left[input->in.left_count++] =
            (struct vh_placement_left){.cpu = cpu, .guest = row->left_of};
    while (input->in.guest_count < GUESTS && row->guests[input->in.guest_count].vcpus) {
        unsigned g = input->in.guest_count++;

        input->guests[g] = make_guest(input, g, &row->guests[g]);
    }
    return input;
}

static struct vh_topology *make_topology(const struct row *row)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTopology) whole = vh_topology_synthetic(row->topology, &error);
    struct vh_cpuset gone = cpus(row->offline);

    g_assert_no_error(error);
    return vh_topology_without(whole, &gone);
}

static char *show_guest(const struct vh_plan *plan, unsigned guest)
{
    GString *out = g_string_new(NULL);

    for (unsigned t = 0; t < plan->first[guest + 1] - plan->first[guest]; t++) {
        const struct vh_placed *placed = vh_plan_thread(plan, guest, t);
        const struct vh_cpuset *set = vh_plan_set(plan, placed);
        g_autofree char *list = set ? vh_cpuset_format(set) : g_strdup("-");

        g_assert_cmpint(set == NULL, ==, placed->level == VH_LEVEL_NONE);
        g_string_append_printf(out, "%s%s", t ? " " : "", list);
        if (set || placed->reason != VH_REASON_NONE)
            g_string_append_printf(out, ":%s", vh_reason_name(placed->reason));
    }
    return g_string_free(out, FALSE);
}

static char *show_problems(const struct vh_plan *plan)
{
    GString *out = g_string_new(NULL);

    for (unsigned i = 0; i < plan->problem_count; i++) {
        const struct vh_problem *problem = &plan->problems[i];

        g_string_append_printf(out, "%s%s %u/%d", i ? " " : "", vh_reason_name(problem->reason),
                               problem->guest, problem->thread);
        if (problem->other >= 0) {
            g_autofree char *list = vh_cpuset_format(&plan->sets[problem->set]);

            g_string_append_printf(out, " with %d in %s", problem->other, list);
        }
    }
    return g_string_free(out, FALSE);
}

static void assert_same(const struct vh_plan *a, const struct vh_plan *b)
{
    g_assert_cmpmem(a->threads, a->thread_count * sizeof(*a->threads), b->threads,
                    b->thread_count * sizeof(*b->threads));
    g_assert_cmpmem(a->sets, a->set_count * sizeof(*a->sets), b->sets,
                    b->set_count * sizeof(*b->sets));
    g_assert_cmpmem(a->problems, a->problem_count * sizeof(*a->problems), b->problems,
                    b->problem_count * sizeof(*b->problems));
}

static void test_row(gconstpointer data)
{
    const struct row *row = data;
    g_autoptr(VhTopology) topology = make_topology(row);
    g_autofree struct input *input = make_input(row, topology);
    g_autoptr(VhPlan) plan = vh_placement_plan(&input->in);
    g_autoptr(VhPlan) again = vh_placement_plan(&input->in);
    g_autofree char *problems = show_problems(plan);

    for (unsigned g = 0; g < plan->guest_count; g++) {
        g_autofree char *shown = show_guest(plan, g);

        g_assert_cmpstr(shown, ==, row->plan[g]);
    }
    g_assert_cmpstr(problems, ==, row->problems ? row->problems : "");
    g_assert_cmpuint(plan->moved, ==, row->moved);
    assert_same(plan, again);

    /* Applied and planned again, it is the same plan. */
    for (unsigned g = 0; g < plan->guest_count; g++) {
        input->guests[g].current = vh_plan_thread(plan, g, 0);
        input->guests[g].current_count = input->guests[g].vcpus;
    }
    g_autoptr(VhPlan) next = vh_placement_plan(&input->in);
    assert_same(plan, next);
    g_assert_cmpuint(next->moved, ==, 0);
}

/* Messages name the thing, the limit and the remedy. */
static void test_texts(void)
{
    static const struct row row = {
        .topology = FLAT,
        .guests = {{2, "0-1", .pool = "0", .iothreads = 1, .iothread = VH_WHERE_SET, .vhosts = 1,
                    .vhost = VH_WHERE_SET},
                   {1, .pool = "2-3", .dedicated = true},
                   {1, .pool = "3", .dedicated = true}}};
    static const char *const problems[] = {"guest \"c\" is left alone: its dedicated pool overlaps "
                                           "that of guest \"b\" in CPUs 3; give each a pool "
                                           "of its "
                                           "own",
                                           "guest \"a\" vCPU 1 floats: every usable CPU of its "
                                           "pool (0) has an anchor; enlarge the pool or allow "
                                           "overcommit",
                                           "guest \"a\" IOThread 0 is left alone: no CPU that the "
                                           "policy names for it is online, unreserved and "
                                           "outside "
                                           "other guests' dedicated pools; name others",
                                           "guest \"a\" vhost worker 0 is left alone: no CPU that "
                                           "the policy names for it is online, unreserved and "
                                           "outside other guests' dedicated pools; name others"};
    g_autoptr(VhTopology) topology = make_topology(&row);
    g_autofree struct input *input = make_input(&row, topology);
    g_autoptr(VhPlan) plan = vh_placement_plan(&input->in);
    g_autofree char *anchor = vh_placed_text(&input->in, plan, 0, 0);
    g_autofree char *left = vh_placed_text(&input->in, plan, 2, 0);

    g_assert_cmpuint(plan->problem_count, ==, G_N_ELEMENTS(problems));
    for (unsigned i = 0; i < plan->problem_count; i++) {
        g_autofree char *text = vh_problem_text(&input->in, plan, &plan->problems[i]);

        g_assert_cmpstr(text, ==, problems[i]);
    }
    g_assert_cmpstr(anchor, ==, "CPU 0 of NUMA node 0: no other anchor on its core");
    g_assert_cmpstr(left, ==, "floats: the guest's dedicated pool overlaps another's");
}

/* What a thread is held to, read as a place. */
static void test_now(void)
{
    static const struct {
        const char *cpus;
        enum vh_level level;
        int cpu;
    } held[] = {{"5", VH_LEVEL_CPU, 5},    {"4-7", VH_LEVEL_L3, 4},    {"5-6", VH_LEVEL_L3, 5},
                {"3-4", VH_LEVEL_NODE, 3}, {"7-8", VH_LEVEL_POOL, -1}, {"", VH_LEVEL_POOL, -1},
                {"99", VH_LEVEL_POOL, -1}};
    static const struct row row = {.topology = SMALL};
    g_autoptr(VhTopology) topology = make_topology(&row);

    for (unsigned i = 0; i < G_N_ELEMENTS(held); i++) {
        struct vh_cpuset set = cpus(held[i].cpus);
        struct vh_placed placed = vh_placed_now(topology, &set);

        g_assert_cmpint(placed.level, ==, held[i].level);
        g_assert_cmpint(placed.cpu, ==, held[i].cpu);
    }
}

/* A guest with more groups than there is room for: the first ones count, the rest is told. */
static void test_groups_limit(void)
{
    static const struct row row = {.topology = SMALL, .guests = {{VCPUS}}};
    g_autoptr(VhTopology) topology = make_topology(&row);
    g_autofree struct input *input = make_input(&row, topology);
    g_autofree struct vh_mask *groups = g_new0(struct vh_mask, 1000);

    for (unsigned i = 0; i < 1000; i++)
        vh_mask_add(&groups[i], i % 7);
    vh_mask_add(&groups[999], 9);
    input->guests[0].groups = groups;
    input->guests[0].group_count = 1000;
    g_autoptr(VhPlan) plan = vh_placement_plan(&input->in);
    g_assert_cmpuint(plan->problem_count, ==, 1);
    g_autofree char *text = vh_problem_text(&input->in, plan, &plan->problems[0]);
    g_assert_cmpstr(text, ==, "guest \"a\": 64 of its 1000 groups are placed, the others float");
    g_assert_cmpint(vh_plan_thread(plan, 0, 6)->reason, ==, VH_REASON_GROUP_L3);
    g_assert_cmpint(vh_plan_thread(plan, 0, 9)->reason, ==, VH_REASON_NONE);
}

/* More vCPUs than a set of them can name: those beyond float. */
static void test_many_vcpus(void)
{
    static const struct row row = {.topology = FLAT, .guests = {{1, "0"}}};
    g_autoptr(VhTopology) topology = make_topology(&row);
    g_autofree struct input *input = make_input(&row, topology);

    input->guests[0].vcpus = VH_CPUS_MAX + 8;
    g_autoptr(VhPlan) plan = vh_placement_plan(&input->in);
    g_assert_cmpuint(plan->thread_count, ==, VH_CPUS_MAX + 9);
    g_assert_cmpint(vh_plan_thread(plan, 0, 0)->cpu, ==, 0);
    g_assert_cmpint(vh_plan_thread(plan, 0, VH_CPUS_MAX + 7)->reason, ==, VH_REASON_NONE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strdup_printf("/placement/%s", rows[i].name);

        g_strdelimit(path + strlen("/placement/"), " /", '-');
        g_test_add_data_func(path, &rows[i], test_row);
    }
    g_test_add_func("/placement/texts", test_texts);
    g_test_add_func("/placement/now", test_now);
    g_test_add_func("/placement/groups-limit", test_groups_limit);
    g_test_add_func("/placement/many-vcpus", test_many_vcpus);
    return g_test_run();
}
