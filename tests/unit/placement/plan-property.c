/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of placement/placement.h over random topologies, guests and events, checked by plain
 * loops over the plan.
 *
 * The seeds are fixed; VH_SEED=NUMBER runs that one alone. A failure's message is preceded by its
 * seed and event.
 */
#include "placement/placement.h"

#define GUESTS 14
#define VCPUS 12
#define GROUPS 3
#define EVENTS 60
#define SEEDS 300

struct guest {
    bool exists;
    bool silent; /* since a restart: its anchors are left where they were */
    char name[8];
    struct vh_placement_options options;
    struct vh_cpuset memory;
    unsigned vcpus, iothreads, vhosts;
    struct vh_mask anchors, groups[GROUPS];
    unsigned group_count;
    struct vh_placed now[VCPUS];
    /* as of the plan before */
    struct vh_cpuset usable_before;
    struct vh_mask anchors_before, groups_before[GROUPS];
    unsigned group_count_before;
};

struct world {
    GRand *random;
    struct vh_topology *whole, *topology;
    struct vh_cpuset offline, reserved;
    uint16_t load[VH_HOST_CPUS_MAX];
    bool load_known;
    struct guest guests[GUESTS];
};

/* The input made of a world, and the checker's own view of rule 1. */
struct view {
    struct vh_placement_input in;
    struct vh_placement_guest guests[GUESTS];
    struct guest *from[GUESTS];
    struct vh_placement_left left[GUESTS * VCPUS];
    bool refused[GUESTS];
    struct vh_cpuset pool[GUESTS], usable[GUESTS], dedicated;
    unsigned anchors[VH_HOST_CPUS_MAX], strict[VH_HOST_CPUS_MAX], core_anchors[VH_HOST_CPUS_MAX];
};

static bool chance(struct world *world, int percent)
{
    return g_rand_int_range(world->random, 0, 100) < percent;
}

static unsigned up_to(struct world *world, unsigned limit)
{
    return (unsigned)g_rand_int_range(world->random, 0, (gint32)limit);
}

static struct vh_cpuset some_cpus(struct world *world, int percent)
{
    struct vh_cpuset set = {{0}};

    for (unsigned cpu = 0; cpu < world->whole->cpu_count; cpu++)
        if (chance(world, percent))
            vh_cpuset_add(&set, cpu);
    return set;
}

/* A run of CPUs, as operators write them. */
static struct vh_cpuset range_of_cpus(struct world *world)
{
    unsigned first = up_to(world, world->whole->cpu_count);
    unsigned count = 1 + up_to(world, MIN(world->whole->cpu_count, 10));
    struct vh_cpuset set = {{0}};

    for (unsigned cpu = first; cpu < MIN(first + count, world->whole->cpu_count); cpu++)
        vh_cpuset_add(&set, cpu);
    return set;
}

static struct vh_helper some_helper(struct world *world)
{
    return (struct vh_helper){.where = up_to(world, VH_WHERE_COUNT), .cpus = some_cpus(world, 20)};
}

static struct vh_mask some_vcpus(struct world *world, const struct guest *guest, int percent)
{
    struct vh_mask set = {{0}};

    for (unsigned v = 0; v < guest->vcpus; v++)
        if (chance(world, percent))
            vh_mask_add(&set, v);
    return set;
}

static void new_guest(struct world *world, struct guest *guest)
{
    unsigned number = (unsigned)(guest - world->guests);

    memset(guest, 0, sizeof(*guest));
    guest->exists = true;
    g_snprintf(guest->name, sizeof(guest->name), "g%u", number);
    vh_placement_defaults(&guest->options);
    guest->options.dedicated = chance(world, 15);
    if (guest->options.dedicated || chance(world, 60))
        guest->options.pool = range_of_cpus(world);
    guest->options.overcommit = chance(world, 25);
    guest->options.off_anchors = chance(world, 30);
    guest->options.smt = up_to(world, VH_SMT_COUNT);
    guest->options.floating = up_to(world, VH_FLOAT_COUNT);
    guest->options.emulator = some_helper(world);
    guest->options.iothreads = some_helper(world);
    guest->options.vhosts = some_helper(world);
    if (chance(world, 70))
        vh_cpuset_add(&guest->memory, up_to(world, world->whole->node_count));
    guest->vcpus = 1 + up_to(world, VCPUS);
    guest->iothreads = up_to(world, 3);
    guest->vhosts = up_to(world, 3);
    if (chance(world, 50))
        guest->anchors = some_vcpus(world, guest, 40);
}

static void hotplug(struct world *world)
{
    unsigned cpu = up_to(world, world->whole->cpu_count);

    if (vh_cpuset_has(&world->offline, cpu))
        vh_cpuset_del(&world->offline, cpu);
    else
        vh_cpuset_add(&world->offline, cpu);
    vh_topology_free(world->topology);
    world->topology = vh_topology_without(world->whole, &world->offline);
}

/* vhintd starts anew, and some of its guests say at once what holds; or another one speaks at last.
 */
static void restart(struct world *world)
{
    struct guest *guest = &world->guests[up_to(world, GUESTS)];

    if (chance(world, 4))
        for (unsigned i = 0; i < GUESTS; i++)
            world->guests[i].silent = world->guests[i].exists && chance(world, 50);
    else if (chance(world, 50))
        guest->silent = false;
}

static void event(struct world *world)
{
    struct guest *guest = &world->guests[up_to(world, GUESTS)];
    unsigned kind = up_to(world, 10);

    restart(world);
    if (kind == 0)
        hotplug(world);
    else if (kind == 1) {
        world->load_known = chance(world, 80);
        for (unsigned cpu = 0; cpu < world->whole->cpu_count; cpu++)
            world->load[cpu] = (uint16_t)up_to(world, 1001);
    } else if (!guest->exists)
        new_guest(world, guest);
    else if (kind == 2)
        guest->exists = false;
    else if (kind < 5)
        vh_mask_add(&guest->anchors, up_to(world, guest->vcpus));
    else if (kind < 7)
        vh_mask_del(&guest->anchors, up_to(world, guest->vcpus));
    else if (kind == 7 && guest->group_count < GROUPS)
        guest->groups[guest->group_count++] = some_vcpus(world, guest, 40);
    else if (kind == 8 && guest->group_count)
        guest->group_count--;
    else
        guest->anchors = some_vcpus(world, guest, 50);
}

/* A vhintd that starts knows of the guest only where its threads are pinned. */
static void leave(const struct world *world, struct view *view, unsigned g)
{
    struct guest *guest = view->from[g];

    view->guests[g].anchors = NULL;
    view->guests[g].group_count = 0;
    view->guests[g].current_count = 0;
    for (unsigned v = 0; v < guest->vcpus; v++) {
        int cpu = guest->now[v].level == VH_LEVEL_CPU ? guest->now[v].cpu : -1;

        if (cpu < 0)
            continue;
        if (!vh_cpuset_has(&world->topology->online, (unsigned)cpu)) {
            guest->now[v] = (struct vh_placed){
                .cpu = -1, .set = -1}; /* the kernel has widened its mask for good */
            continue;
        }
        view->left[view->in.left_count++] = (struct vh_placement_left){.cpu = cpu, .guest = (int)g};
        view->anchors[cpu]++;
        view->strict[cpu] += !guest->options.overcommit;
        view->core_anchors[world->topology->cpus[cpu].core]++;
    }
}

static void look(struct world *world, struct view *view)
{
    memset(view, 0, sizeof(*view));
    view->in = (struct vh_placement_input){.topology = world->topology,
                                           .reserved = &world->reserved,
                                           .load = world->load_known ? world->load : NULL,
                                           .guests = view->guests,
                                           .left = view->left};
    for (unsigned i = 0; i < GUESTS; i++) {
        struct guest *guest = &world->guests[i];
        unsigned g = view->in.guest_count;

        if (!guest->exists)
            continue;
        view->from[g] = guest;
        view->guests[g] = (struct vh_placement_guest){.name = guest->name,
                                                      .options = &guest->options,
                                                      .memory_nodes = &guest->memory,
                                                      .vcpus = guest->vcpus,
                                                      .iothreads = guest->iothreads,
                                                      .vhosts = guest->vhosts,
                                                      .anchors = &guest->anchors,
                                                      .groups = guest->groups,
                                                      .group_count = guest->group_count,
                                                      .current = guest->now,
                                                      .current_count = guest->vcpus};
        if (guest->silent)
            leave(world, view, g);
        view->pool[g] =
            vh_cpuset_empty(&guest->options.pool) ? world->topology->online : guest->options.pool;
        if (guest->options.dedicated) {
            struct vh_cpuset both = view->dedicated;

            vh_cpuset_and(&both, &view->pool[g]);
            view->refused[g] = !vh_cpuset_empty(&both);
            if (!view->refused[g])
                vh_cpuset_or(&view->dedicated, &view->pool[g]);
        }
        view->in.guest_count++;
    }
    for (unsigned g = 0; g < view->in.guest_count; g++) {
        if (view->refused[g])
            continue;
        view->usable[g] = view->pool[g];
        vh_cpuset_and(&view->usable[g], &world->topology->online);
        vh_cpuset_sub(&view->usable[g], &world->reserved);
        if (!view->from[g]->options.dedicated)
            vh_cpuset_sub(&view->usable[g], &view->dedicated);
    }
}

/* Rule 1, and that nobody else's thread may run in a dedicated pool. */
static void check_sets(const struct world *world, const struct view *view,
                       const struct vh_plan *plan)
{
    struct vh_cpuset dedicated_online = view->dedicated;

    vh_cpuset_and(&dedicated_online, &world->topology->online);
    for (unsigned g = 0; g < plan->guest_count; g++) {
        struct vh_cpuset foreign = view->dedicated;
        struct vh_cpuset allowed = world->topology->online;
        const struct vh_placement_options *options = &view->from[g]->options;

        if (options->dedicated && !view->refused[g])
            vh_cpuset_sub(&foreign, &view->pool[g]);
        vh_cpuset_sub(&allowed, &world->reserved);
        vh_cpuset_sub(&allowed, &foreign);
        for (unsigned t = 0; t < plan->first[g + 1] - plan->first[g]; t++) {
            const struct vh_placed *placed = vh_plan_thread(plan, g, t);
            const struct vh_cpuset *set = vh_plan_set(plan, placed);

            if (!set) {
                g_assert_cmpint(placed->level, ==, VH_LEVEL_NONE);
                g_assert_true(placed->reason == VH_REASON_OVERLAP ||
                              placed->reason == VH_REASON_NO_CPU ||
                              vh_cpuset_empty(&dedicated_online) ||
                              vh_cpuset_equal(&view->usable[g], &world->topology->online));
                continue;
            }
            g_assert_false(vh_cpuset_empty(set));
            g_assert_false(view->refused[g]);
            g_assert_true(vh_cpuset_within(
                set, placed->reason == VH_REASON_SET ? &allowed : &view->usable[g]));
            if (options->off_anchors && placed->reason == VH_REASON_OFF_ANCHORS)
                for (unsigned v = 0; v < view->guests[g].vcpus; v++) {
                    int cpu = vh_plan_thread(plan, g, v)->level == VH_LEVEL_CPU
                                  ? vh_plan_thread(plan, g, v)->cpu
                                  : -1;
                    unsigned count = 0;
                    const uint16_t *siblings =
                        cpu < 0 ? NULL
                                : vh_topology_siblings(world->topology, (unsigned)cpu, &count);

                    for (unsigned i = 0; i < count; i++)
                        g_assert_false(vh_cpuset_has(set, siblings[i]));
                }
        }
    }
}

static void count_anchors(const struct world *world, struct view *view, const struct vh_plan *plan)
{
    for (unsigned g = 0; g < plan->guest_count; g++)
        for (unsigned v = 0; v < view->guests[g].vcpus; v++) {
            const struct vh_placed *placed = vh_plan_thread(plan, g, v);

            if (placed->level != VH_LEVEL_CPU)
                continue;
            g_assert_true(vh_mask_has(&view->from[g]->anchors, v));
            g_assert_cmpuint(vh_cpuset_count(vh_plan_set(plan, placed)), ==, 1);
            g_assert_true(vh_cpuset_has(vh_plan_set(plan, placed), (unsigned)placed->cpu));
            view->anchors[placed->cpu]++;
            view->strict[placed->cpu] += !view->from[g]->options.overcommit;
            view->core_anchors[world->topology->cpus[placed->cpu].core]++;
        }
}

/* Rule 4; and nobody floats who need not. */
static void check_anchors(const struct world *world, const struct view *view,
                          const struct vh_plan *plan)
{
    for (unsigned cpu = 0; cpu < world->whole->cpu_count; cpu++)
        g_assert_true(view->strict[cpu] == 0 || view->anchors[cpu] == 1);
    for (unsigned g = 0; g < plan->guest_count; g++)
        for (unsigned v = 0; v < view->guests[g].vcpus; v++) {
            const struct vh_placed *placed = vh_plan_thread(plan, g, v);
            const struct vh_cpuset *usable = &view->usable[g];

            if (view->from[g]->silent || !vh_mask_has(&view->from[g]->anchors, v))
                continue;
            if (placed->level == VH_LEVEL_CPU) {
                unsigned shared = view->anchors[placed->cpu];
                bool core = view->core_anchors[world->topology->cpus[placed->cpu].core] > 1;
                enum vh_reason alone = core ? VH_REASON_ANCHOR_CORE : VH_REASON_ANCHOR;

                g_assert_cmpint(placed->reason, ==, shared > 1 ? VH_REASON_ANCHOR_CPU : alone);
                continue;
            }
            g_assert_true(placed->reason == VH_REASON_FULL || vh_cpuset_empty(usable));
            for (int cpu = vh_cpuset_next(usable, 0); cpu >= 0;
                 cpu = vh_cpuset_next(usable, (unsigned)cpu + 1))
                g_assert_cmpuint(view->from[g]->options.overcommit ? view->strict[cpu]
                                                                   : view->anchors[cpu],
                                 >, 0);
        }
}

static bool core_is_free_for(const struct world *world, const struct view *view, unsigned g)
{
    const struct vh_cpuset *usable = &view->usable[g];

    for (int cpu = vh_cpuset_next(usable, 0); cpu >= 0;
         cpu = vh_cpuset_next(usable, (unsigned)cpu + 1))
        if (!view->core_anchors[world->topology->cpus[cpu].core])
            return true;
    return false;
}

/* No two anchors share a core while a free one exists: of those that were placed on a core now and
 * avoid siblings, at most the first, and that only on a core where no anchor had stayed, may have
 * had the choice. */
static void check_cores(const struct world *world, const struct view *view,
                        const struct vh_plan *plan)
{
    g_autofree unsigned *stayed = g_new0(unsigned, world->topology->core_count + 1);
    g_autofree unsigned *choosy = g_new0(unsigned, world->topology->core_count + 1);

    for (unsigned i = 0; i < view->in.left_count; i++)
        stayed[world->topology->cpus[view->left[i].cpu].core]++;
    for (unsigned g = 0; g < plan->guest_count; g++) {
        bool choice =
            view->from[g]->options.smt == VH_SMT_AVOID && core_is_free_for(world, view, g);

        for (unsigned v = 0; v < view->guests[g].vcpus; v++) {
            const struct vh_placed *placed = vh_plan_thread(plan, g, v);
            const struct vh_placed *before = &view->from[g]->now[v];

            if (placed->level != VH_LEVEL_CPU)
                continue;
            if (before->level == VH_LEVEL_CPU && before->cpu == placed->cpu)
                stayed[world->topology->cpus[placed->cpu].core]++;
            else
                choosy[world->topology->cpus[placed->cpu].core] += choice;
        }
    }
    for (unsigned core = 0; core < world->topology->core_count; core++)
        g_assert_cmpuint(choosy[core], <=, stayed[core] ? 0 : 1);
}

/* Rule 2, and that groups stay. */
static void check_moves(const struct world *world, const struct view *view,
                        const struct vh_plan *plan)
{
    unsigned moved = 0;

    for (unsigned g = 0; g < plan->guest_count; g++) {
        const struct guest *guest = view->from[g];
        bool same = vh_cpuset_equal(&guest->usable_before, &view->usable[g]) &&
                    memcmp(&guest->anchors_before, &guest->anchors, sizeof(guest->anchors)) == 0 &&
                    guest->group_count_before == guest->group_count &&
                    memcmp(guest->groups_before, guest->groups, sizeof(guest->groups)) == 0;

        for (unsigned v = 0; v < guest->vcpus && !guest->silent; v++) {
            const struct vh_placed *placed = vh_plan_thread(plan, g, v);
            const struct vh_placed *before = &guest->now[v];

            if (before->level == VH_LEVEL_CPU && vh_mask_has(&guest->anchors, v)) {
                bool allowed = vh_cpuset_has(&view->usable[g], (unsigned)before->cpu);

                g_assert_true(!allowed ||
                              (placed->level == VH_LEVEL_CPU && placed->cpu == before->cpu));
                moved += !allowed;
            }
            if (same && before->level != VH_LEVEL_CPU && before->level != VH_LEVEL_NONE &&
                before->reason != VH_REASON_FULL && placed->level != VH_LEVEL_CPU &&
                before->cpu >= 0 &&
                vh_cpuset_has(&world->topology->online, (unsigned)before->cpu)) {
                g_assert_cmpint(placed->level, ==, before->level);
                g_assert_cmpint(world->topology->cpus[placed->cpu].l3, ==,
                                world->topology->cpus[before->cpu].l3);
            }
        }
    }
    g_assert_cmpuint(plan->moved, ==, moved);
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

static void apply(struct view *view, const struct vh_plan *plan)
{
    for (unsigned g = 0; g < plan->guest_count; g++) {
        struct guest *guest = view->from[g];

        if (guest->silent)
            continue;
        memcpy(guest->now, vh_plan_thread(plan, g, 0), guest->vcpus * sizeof(struct vh_placed));
        guest->usable_before = view->usable[g];
        guest->anchors_before = guest->anchors;
        memcpy(guest->groups_before, guest->groups, sizeof(guest->groups));
        guest->group_count_before = guest->group_count;
    }
}

static void step(struct world *world)
{
    g_autofree struct view *view = g_new(struct view, 1);

    look(world, view);
    g_autoptr(VhPlan) plan = vh_placement_plan(&view->in);
    g_autoptr(VhPlan) again = vh_placement_plan(&view->in);
    assert_same(plan, again);
    check_sets(world, view, plan);
    count_anchors(world, view, plan);
    check_anchors(world, view, plan);
    check_cores(world, view, plan);
    check_moves(world, view, plan);
    for (unsigned i = 0; i < plan->problem_count; i++) {
        g_autofree char *text = vh_problem_text(&view->in, plan, &plan->problems[i]);

        g_assert_nonnull(text);
    }
    apply(view, plan);
    g_autoptr(VhPlan) next = vh_placement_plan(&view->in);
    assert_same(plan, next);
    g_assert_cmpuint(next->moved, ==, 0);
}

static void start_world(struct world *world, guint32 seed)
{
    g_autoptr(GError) error = NULL;

    memset(world, 0, sizeof(*world));
    world->random = g_rand_new_with_seed(seed);
    g_autofree char *description =
        g_strdup_printf("node:%u l3:%u core:%u pu:%u", 1 + up_to(world, 3), 1 + up_to(world, 3),
                        1 + up_to(world, 5), 1 + up_to(world, 3));
    world->whole = vh_topology_synthetic(description, &error);
    g_assert_no_error(error);
    world->topology = vh_topology_without(world->whole, &world->offline);
    if (chance(world, 50))
        world->reserved = some_cpus(world, 8);
    g_test_message("seed %u: %s", seed, description);
}

static void end_world(struct world *world)
{
    vh_topology_free(world->topology);
    vh_topology_free(world->whole);
    g_rand_free(world->random);
}

static void run_events(guint32 seed)
{
    g_autofree struct world *world = g_new(struct world, 1);

    start_world(world, seed);
    for (unsigned i = 0; i < EVENTS; i++) {
        event(world);
        step(world);
    }
    end_world(world);
}

/* Guests that share one pool with overcommit, and only come: at every step no CPU has two anchors
 * more than another. */
static void run_fair(guint32 seed)
{
    g_autofree struct world *world = g_new(struct world, 1);
    g_autofree struct view *view = g_new(struct view, 1);

    start_world(world, seed);
    struct vh_cpuset pool = range_of_cpus(world);
    for (unsigned i = 0; i < GUESTS; i++) {
        unsigned most = 0, least = G_MAXUINT, wished = 0, placed = 0;

        new_guest(world, &world->guests[i]);
        world->guests[i].options.pool = pool;
        world->guests[i].options.dedicated = false;
        world->guests[i].options.overcommit = true;
        look(world, view);
        g_autoptr(VhPlan) plan = vh_placement_plan(&view->in);
        count_anchors(world, view, plan);
        for (int cpu = vh_cpuset_next(&view->usable[0], 0); cpu >= 0;
             cpu = vh_cpuset_next(&view->usable[0], (unsigned)cpu + 1)) {
            most = MAX(most, view->anchors[cpu]);
            least = MIN(least, view->anchors[cpu]);
            placed += view->anchors[cpu];
        }
        for (unsigned g = 0; g <= i; g++)
            for (unsigned v = 0; v < world->guests[g].vcpus; v++)
                wished += vh_mask_has(&world->guests[g].anchors, v);
        if (!vh_cpuset_empty(&view->usable[0])) {
            g_assert_cmpuint(most, <=, least + 1);
            g_assert_cmpuint(placed, ==, wished);
        }
        apply(view, plan);
    }
    end_world(world);
}

static void over_seeds(void (*run)(guint32 seed))
{
    const char *given = g_getenv("VH_SEED");

    if (given)
        run((guint32)g_ascii_strtoull(given, NULL, 10));
    else
        for (guint32 seed = 1; seed <= SEEDS; seed++)
            run(seed);
}

static void test_events(void)
{
    over_seeds(run_events);
}

static void test_fair(void)
{
    over_seeds(run_fair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/placement-property/events", test_events);
    g_test_add_func("/placement-property/fair", test_fair);
    return g_test_run();
}
