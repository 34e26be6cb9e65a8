// SPDX-License-Identifier: GPL-2.0-or-later
// Turns facts about tasks' affinity into wishes for vCPUs.
#include "policy.h"

#include <stdlib.h>
#include <string.h>

#include "hint.h"

#define WORDS (VH_CPUS_MAX / 64)

struct mask {
    uint64_t words[WORDS];
};

/* Where the mask of a kind lies; facts of one kind follow one another, so the last answer is kept. */
struct reader {
    const struct vh_kind *kind;
    bool about_affinity;
    struct vh_field field;
};

static const char *const verdict_texts[] = {
    [VH_VERDICT_OK] = "good",
    [VH_VERDICT_OTHER] = "not about affinity",
    [VH_VERDICT_EMPTY] = "its mask names no CPU",
    [VH_VERDICT_BEYOND] = "its mask names a CPU that the guest does not have",
    [VH_VERDICT_NO_VCPU] = "its mask names a CPU that no vCPU serves",
};
G_STATIC_ASSERT(G_N_ELEMENTS(verdict_texts) == VH_VERDICT_COUNT);

const char *vh_verdict_text(enum vh_verdict verdict)
{
    return verdict_texts[verdict];
}

char *vh_wish_text(const struct vh_wish *wish)
{
    switch (wish->kind) {
    case VH_WISH_ANCHOR:
        return g_strdup_printf("%u task%s bound to guest CPU %d", wish->tasks, wish->tasks == 1 ? "" : "s",
                               wish->guest_cpu);
    case VH_WISH_GROUP:
        return g_strdup_printf("tasks bound to several CPUs: group %u", wish->group);
    default:
        return g_strdup("no task asks for it");
    }
}

static bool read_mask(struct reader *reader, const struct vh_kind *kind, const uint8_t *record, struct mask *mask)
{
    if (reader->kind != kind) {
        reader->kind = kind;
        reader->about_affinity = g_str_equal(kind->name, "affinity") &&
                                 vh_hint_field(kind, "mask", &reader->field) == 0 && reader->field.size == 8 &&
                                 reader->field.count <= WORDS;
    }
    if (!reader->about_affinity)
        return false;
    memset(mask, 0, sizeof(*mask));
    vh_hint_u64s(&reader->field, record, mask->words, WORDS);
    return true;
}

static unsigned weight(const struct mask *mask)
{
    unsigned count = 0;

    for (unsigned i = 0; i < WORDS; i++)
        count += (unsigned)__builtin_popcountll(mask->words[i]);
    return count;
}

/* The first CPU of the mask that is `from` or higher; VH_CPUS_MAX: none. */
static unsigned next_cpu(const struct mask *mask, unsigned from)
{
    for (unsigned i = from / 64; i < WORDS; i++) {
        uint64_t bits = mask->words[i];

        if (i == from / 64)
            bits &= ~(uint64_t)0 << (from % 64);
        if (bits)
            return i * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return VH_CPUS_MAX;
}

static enum vh_verdict judge(const struct mask *mask, const struct vh_cpu_map *map)
{
    enum vh_verdict verdict = VH_VERDICT_EMPTY;

    for (unsigned cpu = next_cpu(mask, 0); cpu < VH_CPUS_MAX; cpu = next_cpu(mask, cpu + 1)) {
        if (!map->cpus[cpu].known)
            return VH_VERDICT_BEYOND;
        /* A CPU that is not plugged in has no vCPU: tasks may still be allowed on it. */
        if (map->cpus[cpu].vcpu < 0 && map->cpus[cpu].online)
            return VH_VERDICT_NO_VCPU;
        verdict = VH_VERDICT_OK;
    }
    return verdict;
}

enum vh_verdict vh_policy_judge(const struct vh_kind *kind, const uint8_t *record, const struct vh_cpu_map *map)
{
    struct reader reader = {0};
    struct mask mask;

    return read_mask(&reader, kind, record, &mask) ? judge(&mask, map) : VH_VERDICT_OTHER;
}

/* Merges `mask` with all groups that it touches; groups stay disjoint. Returns how many there are. */
static unsigned add_group(struct mask *groups, unsigned count, struct mask mask)
{
    for (unsigned i = 0; i < count;) {
        uint64_t common = 0;

        for (unsigned word = 0; word < WORDS; word++)
            common |= groups[i].words[word] & mask.words[word];
        if (!common) {
            i++;
            continue;
        }
        for (unsigned word = 0; word < WORDS; word++)
            mask.words[word] |= groups[i].words[word];
        groups[i] = groups[--count];
    }
    groups[count] = mask;
    return count + 1;
}

static void wish_group(struct vh_wish *wishes, unsigned count, const struct vh_cpu_map *map,
                       const struct mask *group, unsigned number)
{
    for (unsigned cpu = next_cpu(group, 0); cpu < VH_CPUS_MAX; cpu = next_cpu(group, cpu + 1)) {
        int vcpu = map->cpus[cpu].vcpu;

        if (vcpu < 0 || (unsigned)vcpu >= count || !map->cpus[cpu].online)
            continue;
        wishes[vcpu].group = number;
        if (wishes[vcpu].kind == VH_WISH_NONE)
            wishes[vcpu].kind = VH_WISH_GROUP;
    }
}

static void wish_anchor(struct vh_wish *wishes, unsigned count, const struct vh_cpu_map *map, unsigned cpu)
{
    int vcpu = map->cpus[cpu].vcpu;

    if (vcpu < 0 || (unsigned)vcpu >= count || !map->cpus[cpu].online)
        return;
    wishes[vcpu].kind = VH_WISH_ANCHOR;
    wishes[vcpu].guest_cpu = (int)cpu;
    wishes[vcpu].tasks++;
}

/* Groups' numbers follow their lowest CPU, so that they do not depend on the order of facts. */
static int by_lowest_cpu(gconstpointer a, gconstpointer b)
{
    return (int)next_cpu(a, 0) - (int)next_cpu(b, 0);
}

void vh_policy_wishes(const VhFacts *facts, const struct vh_cpu_map *map, struct vh_wish *wishes, unsigned count)
{
    struct mask groups[VH_CPUS_MAX / 2 + 1];
    unsigned group_count = 0;
    struct reader reader = {0};
    struct mask mask;
    VhFactsIter iter;
    const struct vh_fact *fact = NULL;

    for (unsigned i = 0; i < count; i++)
        wishes[i] = (struct vh_wish){.guest_cpu = -1};
    vh_facts_iter_init(&iter, facts);
    while ((fact = vh_facts_iter_next(&iter))) {
        if (!read_mask(&reader, fact->kind, fact->record, &mask) || judge(&mask, map) != VH_VERDICT_OK)
            continue;
        if (weight(&mask) == 1)
            wish_anchor(wishes, count, map, next_cpu(&mask, 0));
        else
            group_count = add_group(groups, group_count, mask);
    }
    qsort(groups, group_count, sizeof(groups[0]), by_lowest_cpu);
    for (unsigned i = 0; i < group_count; i++)
        wish_group(wishes, count, map, &groups[i], i + 1);
}
