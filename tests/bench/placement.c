/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times a plan per event on a large synthetic host, beside the plain planner that a first version
 * would be.
 *
 * usage: placement GUESTS EVENTS
 *
 * A host of 8 nodes, 32 L3s, 256 cores, 512 CPUs; guests of 8 vCPUs, half of them with their node's
 * CPUs for a pool, one with a dedicated pool; 2 of 8 vCPUs anchored, 3 others in a group;
 * emulators, IOThreads and vhost workers placed. An event is an anchor that comes or goes, a group
 * that changes, a guest that stops or starts, or a CPU that goes or comes. The plain planner knows
 * anchors alone and finds the CPU with the least contended core by walking over all placed vCPUs
 * for each CPU; once it keeps what is placed, as ours does, and every SCRATCH_EVERYth event once
 * more from scratch. Prints one line per event, ns of CPU time: ours, plain, plain from scratch (0:
 * not done). The first line is the plan of all guests at once. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "placement/placement.h"

#define TOPOLOGY "node:8 l3:4 core:8 pu:2"
#define NODES 8u
#define VCPUS 8u
#define SCRATCH_EVERY 57u

struct guest {
    char name[16];
    struct vh_placement_options options;
    struct vh_cpuset memory;
    struct vh_mask anchors, kept_anchors, group;
    struct vh_placed now[VCPUS];
    int plain[VCPUS]; /* where the plain planner has it, -1: nowhere */
};

struct world {
    struct vh_topology *whole, *topology;
    struct guest *guests;
    struct vh_placement_guest *in;
    unsigned count;
    int dead; /* the guest that has stopped, -1: none */
    bool offline;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void set_up(struct world *world, unsigned count)
{
    g_autoptr(GError) error = NULL;

    world->whole = vh_topology_synthetic(TOPOLOGY, &error);
    if (!world->whole)
        g_error("%s", error->message);
    world->topology = vh_topology_without(world->whole, &(struct vh_cpuset){{0}});
    world->guests = g_new0(struct guest, count);
    world->in = g_new0(struct vh_placement_guest, count);
    world->count = count;
    world->dead = -1;
    for (unsigned g = 0; g < count; g++) {
        struct guest *guest = &world->guests[g];
        unsigned node = g % NODES;

        g_snprintf(guest->name, sizeof(guest->name), "guest-%u", g);
        vh_placement_defaults(&guest->options);
        guest->options.overcommit = true;
        guest->options.off_anchors = g % 3 == 0;
        guest->options.floating = g % 2 ? VH_FLOAT_POOL : VH_FLOAT_NODE;
        guest->options.emulator.where = VH_WHERE_OFF_ANCHORS;
        guest->options.iothreads.where = VH_WHERE_POOL;
        guest->options.vhosts.where = VH_WHERE_POOL;
        if (g % 2)
            guest->options.pool = world->whole->nodes[node].cpus;
        if (g == 0) {
            guest->options.dedicated = true;
            for (unsigned cpu = 0; cpu < 8; cpu++)
                vh_cpuset_add(&guest->options.pool, cpu);
        }
        vh_cpuset_add(&guest->memory, node);
        vh_mask_add(&guest->anchors, g % VCPUS);
        vh_mask_add(&guest->anchors, (g + 3) % VCPUS);
        for (unsigned v = 4; v < 7; v++)
            vh_mask_add(&guest->group, (g + v) % VCPUS);
        for (unsigned v = 0; v < VCPUS; v++)
            guest->plain[v] = -1;
        world->in[g] = (struct vh_placement_guest){.name = guest->name,
                                                   .options = &guest->options,
                                                   .memory_nodes = &guest->memory,
                                                   .vcpus = VCPUS,
                                                   .iothreads = 1,
                                                   .vhosts = 1,
                                                   .anchors = &guest->anchors,
                                                   .groups = &guest->group,
                                                   .group_count = 1,
                                                   .current = guest->now};
    }
}

/* ---- the plain planner ---- */

static unsigned walk_over_placed(const struct world *world, const int *cpus, unsigned done,
                                 unsigned cpu)
{
    unsigned contention = 0;

    for (unsigned i = 0; i < done; i++)
        if (cpus[i] >= 0)
            contention += (cpus[i] == (int)cpu) * 16u +
                          (world->topology->cpus[cpus[i]].core == world->topology->cpus[cpu].core);
    return contention;
}

static int find_plainly(const struct world *world, const int *cpus, const struct vh_cpuset *pool)
{
    unsigned best = G_MAXUINT;
    int chosen = -1;

    for (unsigned cpu = 0; cpu < world->topology->cpu_count && best; cpu++) {
        if (!world->topology->cpus[cpu].online ||
            (!vh_cpuset_empty(pool) && !vh_cpuset_has(pool, cpu)))
            continue;
        unsigned contention = walk_over_placed(world, cpus, world->count * VCPUS, cpu);
        if (contention < best) {
            best = contention;
            chosen = (int)cpu;
        }
    }
    return chosen;
}

/* Places all anchors into `cpus`, one for each vCPU of each guest. */
static void plan_plainly(const struct world *world, bool keep, int *cpus)
{
    for (unsigned i = 0; i < world->count * VCPUS; i++) {
        const struct guest *guest = &world->guests[i / VCPUS];
        int now = guest->plain[i % VCPUS];
        bool stays = keep && vh_mask_has(&guest->anchors, i % VCPUS) && now >= 0 &&
                     world->topology->cpus[now].online;

        cpus[i] = stays ? now : -1;
    }
    for (unsigned i = 0; i < world->count * VCPUS; i++) {
        const struct guest *guest = &world->guests[i / VCPUS];

        if (cpus[i] < 0 && vh_mask_has(&guest->anchors, i % VCPUS))
            cpus[i] = find_plainly(world, cpus, &guest->options.pool);
    }
}

/* ---- events ---- */

static void change_topology(struct world *world)
{
    struct vh_cpuset gone = {{0}};

    world->offline = !world->offline;
    if (world->offline)
        vh_cpuset_add(&gone, 64);
    vh_topology_free(world->topology);
    world->topology = vh_topology_without(world->whole, &gone);
}

static void event(struct world *world, unsigned number)
{
    unsigned at = number * 7 % world->count;
    struct guest *guest = &world->guests[at];
    unsigned vcpu = number * 5 % VCPUS;

    switch (number % 8) {
    case 0:
    case 4:
        vh_mask_add(&guest->anchors, vcpu);
        break;
    case 2:
        vh_mask_del(&guest->anchors, vcpu);
        break;
    case 3:
        guest->group.words[0] ^= 0x81;
        break;
    case 5:
        change_topology(world);
        break;
    default: /* a guest stops, or the one that has stopped starts again */
        if (world->dead < 0) {
            world->dead = (int)at;
            guest->kept_anchors = guest->anchors;
            guest->anchors = (struct vh_mask){{0}};
            world->in[at].group_count = 0;
        } else {
            world->guests[world->dead].anchors = world->guests[world->dead].kept_anchors;
            world->in[world->dead].group_count = 1;
            world->dead = -1;
        }
    }
}

static void measure(struct world *world, bool scratch)
{
    unsigned threads = world->count * VCPUS;
    g_autofree int *plain = g_new(int, threads);
    g_autofree int *unused = g_new(int, threads);
    struct vh_placement_input input = {
        .topology = world->topology, .guests = world->in, .guest_count = world->count};
    uint64_t begin = now_ns();
    g_autoptr(VhPlan) plan = vh_placement_plan(&input);
    uint64_t middle = now_ns();

    plan_plainly(world, true, plain);
    uint64_t end = now_ns();
    if (scratch)
        plan_plainly(world, false, unused);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", middle - begin, end - middle,
           scratch ? now_ns() - end : 0);
    for (unsigned g = 0; g < world->count; g++)
        for (unsigned v = 0; v < VCPUS; v++) {
            world->guests[g].now[v] = *vh_plan_thread(plan, g, v);
            world->guests[g].plain[v] = plain[g * VCPUS + v];
            world->in[g].current_count = VCPUS;
        }
}

int main(int argc, char **argv)
{
    guint64 guests = 0, events = 0;
    struct world world = {0};

    if (argc != 3 || !g_ascii_string_to_unsigned(argv[1], 10, 1, 4096, &guests, NULL) ||
        !g_ascii_string_to_unsigned(argv[2], 10, 1, 1000000, &events, NULL)) {
        fprintf(stderr, "usage: placement GUESTS EVENTS (1-4096 guests, 1-1000000 events)\n");
        return 2;
    }
    set_up(&world, (unsigned)guests);
    measure(&world, false);
    for (unsigned i = 0; i < events; i++) {
        event(&world, i);
        measure(&world, i % SCRATCH_EVERY == 0);
    }
    vh_topology_free(world.topology);
    vh_topology_free(world.whole);
    g_free(world.guests);
    g_free(world.in);
    return 0;
}
