/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/policy.c: tables of facts and the wishes that follow. */
#include "policy.h"

#include <sodium.h>
#include <string.h>

#include "objects.h"

#define VCPUS 4

/* As objects/rich.bpf.c has it. */
struct affinity {
    struct vh_hint h;
    uint32_t pid;
    uint32_t tgid;
    uint32_t cpus;
    uint32_t reserved;
    uint64_t mask[8];
    char comm[16];
};

static struct affinity affinity_of(uint32_t pid, uint64_t mask)
{
    return (struct affinity){
        .h = {.size = sizeof(struct affinity), .kind = 2, .key_size = 4}, .pid = pid, .mask = {mask}};
}

/* Guest CPU i has APIC id 2 * i and is vCPU 3 - i. */
static void make_map(struct vh_cpu_map *map)
{
    struct vh_cpu cpus[VCPUS];
    struct vh_vcpu vcpus[VCPUS];

    for (unsigned i = 0; i < VCPUS; i++) {
        cpus[i] = (struct vh_cpu){.cpu = i, .apic_id = 2 * i, .flags = VH_CPU_ONLINE};
        vcpus[VCPUS - 1 - i] = (struct vh_vcpu){.index = i, .thread = 100 + (int)i, .apic_id = 2 * i};
    }
    vh_cpu_map_join(map, cpus, VCPUS, vcpus, VCPUS);
}

struct case_ {
    const char *name;
    uint64_t masks[6];      /* one task each, 0 ends */
    unsigned anchor[VCPUS]; /* tasks by guest CPU */
    unsigned group[VCPUS];  /* group by guest CPU */
};

static const struct case_ cases[] = {
    {"nothing", {0}, {0}, {0}},
    {"one task", {0x4}, {0, 0, 1, 0}, {0}},
    {"three tasks on two CPUs", {0x4, 0x1, 0x4}, {1, 0, 2, 0}, {0}},
    {"a set", {0x3}, {0}, {1, 1, 0, 0}},
    {"a set and an anchor within", {0x3, 0x2}, {0, 1, 0, 0}, {1, 1, 0, 0}},
    {"two sets apart", {0xc, 0x3}, {0}, {1, 1, 2, 2}},
    {"two sets that touch", {0x3, 0x6}, {0}, {1, 1, 1, 0}},
    {"two sets joined by a third", {0x3, 0xc, 0x6}, {0}, {1, 1, 1, 1}},
    {"a CPU that is not there", {0x10, 0x11}, {0}, {0}},
};

static void test_cases(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    static struct vh_cpu_map map;

    make_map(&map);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        VhFacts *facts = vh_facts_new();
        struct vh_wish wishes[VCPUS];

        for (uint32_t pid = 0; pid < 6 && cases[i].masks[pid]; pid++) {
            struct affinity hint = affinity_of(pid + 1, cases[i].masks[pid]);

            vh_facts_take(facts, 1, vh_object_kind(object, 2), &hint.h, (const uint8_t *)&hint);
        }
        vh_policy_wishes(facts, &map, wishes, VCPUS);
        for (unsigned cpu = 0; cpu < VCPUS; cpu++) {
            const struct vh_wish *wish = &wishes[map.cpus[cpu].vcpu];
            enum vh_wish_kind kind = cases[i].anchor[cpu]  ? VH_WISH_ANCHOR
                                     : cases[i].group[cpu] ? VH_WISH_GROUP
                                                           : VH_WISH_NONE;

            g_test_message("%s: guest CPU %u", cases[i].name, cpu);
            g_assert_cmpint(wish->kind, ==, kind);
            g_assert_cmpuint(wish->tasks, ==, cases[i].anchor[cpu]);
            g_assert_cmpuint(wish->group, ==, cases[i].group[cpu]);
            g_assert_cmpint(wish->guest_cpu, ==, kind == VH_WISH_ANCHOR ? (int)cpu : -1);
        }
        vh_facts_free(facts);
    }
}

static void test_other_hints_ask_for_nothing(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    static struct vh_cpu_map map;
    uint8_t record[512] = {0};

    make_map(&map);
    memset(record, 1, sizeof(record));
    g_assert_cmpint(vh_policy_judge(vh_object_kind(object, 1), record, &map), ==, VH_VERDICT_OTHER);
}

static void test_verdicts(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    const struct vh_kind *kind = vh_object_kind(object, 2);
    static struct vh_cpu_map map;
    struct affinity hint = affinity_of(1, 0);

    make_map(&map);
    g_assert_cmpint(vh_policy_judge(kind, (const uint8_t *)&hint, &map), ==, VH_VERDICT_EMPTY);
    hint.mask[7] = (uint64_t)1 << 63;
    g_assert_cmpint(vh_policy_judge(kind, (const uint8_t *)&hint, &map), ==, VH_VERDICT_BEYOND);
    hint = affinity_of(1, 0x1);
    map.cpus[0].vcpu = -1;
    g_assert_cmpint(vh_policy_judge(kind, (const uint8_t *)&hint, &map), ==, VH_VERDICT_NO_VCPU);
    map.cpus[0].online = false;
    g_assert_cmpint(vh_policy_judge(kind, (const uint8_t *)&hint, &map), ==, VH_VERDICT_OK);
    g_assert_cmpstr(vh_verdict_text(VH_VERDICT_EMPTY), ==, "its mask names no CPU");
}

/* A CPU that is offline in the guest has tasks at most by mistake. */
static void test_offline_cpu_is_not_anchored(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    VhFacts *facts = vh_facts_new();
    struct affinity hint = affinity_of(1, 0x2);
    struct vh_wish wishes[VCPUS];
    static struct vh_cpu_map map;

    make_map(&map);
    map.cpus[1].online = false;
    vh_facts_take(facts, 1, vh_object_kind(object, 2), &hint.h, (const uint8_t *)&hint);
    vh_policy_wishes(facts, &map, wishes, VCPUS);
    for (unsigned i = 0; i < VCPUS; i++)
        g_assert_cmpint(wishes[i].kind, ==, VH_WISH_NONE);
    vh_facts_free(facts);
}

static void test_map(void)
{
    static struct vh_cpu_map map;
    struct vh_cpu cpus[] = {{0, 5, VH_CPU_ONLINE}, {3, VH_APIC_UNKNOWN, 0}, {400, 9, VH_CPU_ONLINE}};
    struct vh_vcpu vcpus[] = {{0, 10, 9}, {1, 11, -1}, {2, 12, 5}};

    vh_cpu_map_join(&map, cpus, 3, vcpus, 3);
    g_assert_cmpint(map.cpus[0].vcpu, ==, 2);
    g_assert_cmpint(map.cpus[3].vcpu, ==, -1);
    g_assert_true(map.cpus[3].known);
    g_assert_false(map.cpus[3].online);
    g_assert_cmpint(map.cpus[400].vcpu, ==, 0);
    g_assert_false(map.cpus[1].known);
    g_assert_cmpint(vh_cpu_map_find(&map, 0), ==, 400);
    g_assert_cmpint(vh_cpu_map_find(&map, 1), ==, -1);
}

int main(int argc, char **argv)
{
    g_assert_cmpint(sodium_init(), >=, 0);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/cases", test_cases);
    g_test_add_func("/policy/other-hints", test_other_hints_ask_for_nothing);
    g_test_add_func("/policy/verdicts", test_verdicts);
    g_test_add_func("/policy/offline", test_offline_cpu_is_not_anchored);
    g_test_add_func("/policy/map", test_map);
    return g_test_run();
}
