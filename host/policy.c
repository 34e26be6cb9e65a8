// SPDX-License-Identifier: GPL-2.0-or-later
// Turns facts into wishes for vCPUs, by rules.
#include "policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy-memory.h"

#define KINDS_MAX 4096u /* compiled for one guest; then they are compiled anew */

/* The rules that are about one kind, compiled. */
struct bound_kind {
    uint64_t serial;
    unsigned count;
    struct vh_bound_rule rules[];
};

struct VhRules {
    const VhGuestPolicy *policy;
    GHashTable *kinds;             /* serial -> struct bound_kind */
    const struct bound_kind *last; /* facts of one kind follow one another; NULL: none */
    VhMemory *memory;
    char *misfit;
    struct vh_ram_wish ram;  /* the last round's */
    GArray *nears;           /* struct vh_near: the last round's */
    struct vh_mask anchored; /* vCPUs, by their position */
    double tokens;           /* max-hints: what is left */
    gint64 filled;           /* when they were */
};

struct group {
    struct vh_mask mask;
    const char *rule;
    const struct vh_rule *tried; /* as struct vh_wish's */
};

/* Wishes in the making. */
struct round {
    struct vh_wish *wishes;
    unsigned count;
    const struct vh_cpu_map *map;
    struct group groups[VH_CPUS_MAX / 2 + 1]; /* disjoint, of two CPUs or more each */
    unsigned group_count;
    bool held; /* no fact asks for what is added now */
    struct vh_mask floats;
    bool float_all;
    struct vh_ram_wish ram;
    GArray *nears;
    uint64_t strength; /* of the fact that is looked at */
};

static const char *const verdict_texts[] = {
    [VH_VERDICT_OK] = "good",
    [VH_VERDICT_OTHER] = "no rule is about it",
    [VH_VERDICT_EMPTY] = "its mask names no CPU",
    [VH_VERDICT_BEYOND] = "it names a CPU that the guest does not have",
    [VH_VERDICT_NO_VCPU] = "it names a CPU that no vCPU serves",
    [VH_VERDICT_SEVERAL] = "it names several CPUs where one is to be pinned",
};
G_STATIC_ASSERT(G_N_ELEMENTS(verdict_texts) == VH_VERDICT_COUNT);

const char *vh_verdict_text(enum vh_verdict verdict)
{
    return verdict_texts[verdict];
}

static bool same_figure(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

bool vh_ram_wish_equal(const struct vh_ram_wish *a, const struct vh_ram_wish *b)
{
    return a->rule == b->rule && a->asked == b->asked && a->room == b->room && same_figure(a->stall, b->stall);
}

bool vh_wish_equal(const struct vh_wish *a, const struct vh_wish *b)
{
    bool figures = same_figure(a->figure, b->figure);

    return a->kind == b->kind && a->group == b->group && a->guest_cpu == b->guest_cpu && a->rule == b->rule &&
           a->over_limit == b->over_limit && a->tried == b->tried && a->boost == b->boost && figures;
}

char *vh_wish_text(const struct vh_wish *wish)
{
    g_autofree char *rule = wish->rule ? g_strdup_printf(" (rule %s)", wish->rule) : g_strdup("");
    const char *limit = wish->over_limit ? "; not pinned, as max-pins is reached" : "";

    switch (wish->kind) {
    case VH_WISH_ANCHOR:
        if (!wish->tasks)
            return g_strdup_printf("guest CPU %d is held pinned for a while%s", wish->guest_cpu, rule);
        return g_strdup_printf("%u hint%s guest CPU %d%s", wish->tasks, wish->tasks == 1 ? " pins" : "s pin",
                               wish->guest_cpu, rule);
    case VH_WISH_GROUP:
        return g_strdup_printf("in group %u%s%s", wish->group, rule, limit);
    default:
        return wish->over_limit ? g_strdup("not pinned, as max-pins is reached") : g_strdup("no hint asks for it");
    }
}

/* ---- rules and kinds ---- */

VhRules *vh_rules_new(void)
{
    VhRules *rules = g_new0(VhRules, 1);

    rules->kinds = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    rules->memory = vh_memory_new(VH_POLICY_MEMORY_MAX);
    rules->nears = g_array_new(FALSE, FALSE, sizeof(struct vh_near));
    return rules;
}

void vh_rules_free(VhRules *rules)
{
    if (!rules)
        return;
    g_hash_table_unref(rules->kinds);
    vh_memory_free(rules->memory);
    g_array_unref(rules->nears);
    g_free(rules->misfit);
    g_free(rules);
}

static const struct vh_rule *find_rule(const char *name, gpointer data)
{
    const VhGuestPolicy *policy = data;

    for (guint i = 0; policy && i < policy->rules->len; i++) {
        const struct vh_rule *rule = g_ptr_array_index(policy->rules, i);

        if (g_str_equal(rule->name, name) && (rule->hold_us || rule->cooldown_us))
            return rule;
    }
    return NULL;
}

void vh_rules_set(VhRules *rules, const VhGuestPolicy *policy)
{
    vh_memory_renew(rules->memory, find_rule, (gpointer)policy);
    g_hash_table_remove_all(rules->kinds);
    rules->last = NULL;
    rules->policy = policy;
    g_array_set_size(rules->nears, 0);
    rules->ram = (struct vh_ram_wish){.stall = NAN, .room = -1};
    rules->tokens = policy ? policy->max_hints : 0;
}

char *vh_rules_misfit(VhRules *rules)
{
    return g_steal_pointer(&rules->misfit);
}

static struct bound_kind *compile(VhRules *rules, const struct vh_kind *kind)
{
    guint count = rules->policy ? rules->policy->rules->len : 0;
    struct bound_kind *bound = g_malloc0(sizeof(*bound) + count * sizeof(bound->rules[0]));

    bound->serial = kind->serial;
    for (guint i = 0; i < count; i++) {
        const struct vh_rule *rule = g_ptr_array_index(rules->policy->rules, i);
        g_autoptr(GError) error = NULL;

        if (!g_str_equal(rule->on, kind->name))
            continue;
        if (vh_rule_bind(rule, kind, &bound->rules[bound->count], &error) == 0)
            bound->count++;
        else if (!rules->misfit)
            rules->misfit = g_strdup_printf("the rule %s does not fit: %s", rule->name, error->message);
    }
    return g_realloc(bound, sizeof(*bound) + bound->count * sizeof(bound->rules[0]));
}

static const struct bound_kind *bound_of(VhRules *rules, const struct vh_kind *kind)
{
    struct bound_kind *bound = NULL;

    if (rules->last && rules->last->serial == kind->serial)
        return rules->last;
    bound = g_hash_table_lookup(rules->kinds, &kind->serial);
    if (!bound) {
        if (g_hash_table_size(rules->kinds) >= KINDS_MAX)
            g_hash_table_remove_all(rules->kinds);
        bound = compile(rules, kind);
        g_hash_table_insert(rules->kinds, &bound->serial, bound);
    }
    rules->last = bound;
    return bound;
}

/* ---- masks of guest CPUs ---- */

static unsigned weight(const struct vh_mask *mask)
{
    unsigned count = 0;

    for (unsigned i = 0; i < VH_MASK_WORDS; i++)
        count += (unsigned)__builtin_popcountll(mask->words[i]);
    return count;
}

/* The first CPU of the mask that is `from` or higher; VH_CPUS_MAX: none. */
static unsigned next_cpu(const struct vh_mask *mask, unsigned from)
{
    for (unsigned i = from / 64; i < VH_MASK_WORDS; i++) {
        uint64_t bits = mask->words[i];

        if (i == from / 64)
            bits &= ~(uint64_t)0 << (from % 64);
        if (bits)
            return i * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return VH_CPUS_MAX;
}

static bool mask_has(const struct vh_mask *mask, unsigned cpu)
{
    return cpu < VH_CPUS_MAX && (mask->words[cpu / 64] >> (cpu % 64) & 1);
}

static void mask_add(struct vh_mask *mask, unsigned cpu)
{
    if (cpu < VH_CPUS_MAX)
        mask->words[cpu / 64] |= (uint64_t)1 << (cpu % 64);
}

static enum vh_verdict judge(const struct vh_mask *mask, const struct vh_cpu_map *map)
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

/* The guest CPUs that a record asks an action for, by a rule whose condition holds. Without a target: none. */
static enum vh_verdict read_target(const struct vh_bound_rule *bound, const uint8_t *record,
                                   const struct vh_cpu_map *map, struct vh_mask *mask)
{
    enum vh_verdict verdict = VH_VERDICT_OK;

    memset(mask, 0, sizeof(*mask));
    if (!bound->has_target)
        return VH_VERDICT_OK;
    if (bound->target.type == VH_FIELD_INT && bound->rule->action != VH_ACTION_GROUP &&
        bound->rule->action != VH_ACTION_NEAR) {
        uint64_t cpu = vh_fieldref_number(&bound->target, record);

        if (cpu >= VH_CPUS_MAX)
            return VH_VERDICT_BEYOND;
        mask_add(mask, (unsigned)cpu);
    } else {
        vh_fieldref_mask(&bound->target, record, mask->words, VH_MASK_WORDS);
    }
    verdict = judge(mask, map);
    if (verdict == VH_VERDICT_OK && bound->rule->action == VH_ACTION_PIN && weight(mask) > 1)
        return VH_VERDICT_SEVERAL;
    return verdict;
}

/* ---- one hint ---- */

enum vh_verdict vh_rules_see(VhRules *rules, const struct vh_kind *kind, const uint8_t *record, bool news,
                             const struct vh_cpu_map *map, gint64 now, bool *event, VhRuleLogFunc log,
                             gpointer data)
{
    const struct bound_kind *bound = bound_of(rules, kind);
    enum vh_verdict worst = VH_VERDICT_OTHER;
    struct vh_hint hint;

    memcpy(&hint, record, sizeof(hint));
    for (unsigned i = 0; i < bound->count; i++) {
        const struct vh_bound_rule *rule = &bound->rules[i];
        enum vh_verdict verdict = VH_VERDICT_OK;
        struct vh_mask mask;

        if (!vh_tests_hold(&rule->tests, record))
            continue;
        if (rule->rule->action == VH_ACTION_LOG) {
            g_autofree char *text = news && log ? vh_rule_text(rule->rule, kind, record) : NULL;

            if (text && vh_memory_log(rules->memory, rule->rule, now))
                log(rule->rule, text, data);
        } else {
            verdict = read_target(rule, record, map, &mask);
            if (verdict == VH_VERDICT_OK && !hint.key_size && rule->rule->hold_us &&
                vh_memory_event(rules->memory, rule->rule, &mask, now))
                *event = true;
        }
        if (worst == VH_VERDICT_OTHER || (worst == VH_VERDICT_OK && verdict != VH_VERDICT_OK))
            worst = verdict;
    }
    return worst;
}

/* ---- wishes ---- */

static void note_tried(const struct vh_rule **tried, const struct vh_rule *rule)
{
    if (rule->trial && (!*tried || strcmp(rule->name, (*tried)->name) < 0))
        *tried = rule;
}

/* Merges `mask` with all groups that it touches. */
static void add_group(struct round *round, struct vh_mask mask, const struct vh_rule *rule)
{
    const struct vh_rule *tried = rule->trial ? rule : NULL;
    const char *name = rule->name;

    for (unsigned i = 0; i < round->group_count;) {
        struct group *group = &round->groups[i];
        uint64_t common = 0;

        for (unsigned word = 0; word < VH_MASK_WORDS; word++)
            common |= group->mask.words[word] & mask.words[word];
        if (!common) {
            i++;
            continue;
        }
        for (unsigned word = 0; word < VH_MASK_WORDS; word++)
            mask.words[word] |= group->mask.words[word];
        if (strcmp(group->rule, name) < 0)
            name = group->rule;
        if (group->tried)
            note_tried(&tried, group->tried);
        *group = round->groups[--round->group_count];
    }
    round->groups[round->group_count++] = (struct group){mask, name, tried};
}

/* The wish of the vCPU that serves guest CPU `cpu`; NULL: none does now. */
static struct vh_wish *wish_of(const struct round *round, unsigned cpu)
{
    int vcpu = round->map->cpus[cpu].vcpu;

    return vcpu >= 0 && (unsigned)vcpu < round->count && round->map->cpus[cpu].online ? &round->wishes[vcpu]
                                                                                      : NULL;
}

/* The lower name, so that it does not depend on the order of facts. */
static void note_rule(struct vh_wish *wish, const char *rule)
{
    if (!wish->rule || strcmp(rule, wish->rule) < 0)
        wish->rule = rule;
}

static void add_boost(struct vh_wish *wish, const struct vh_rule *rule, double figure)
{
    if (!wish)
        return;
    if (!wish->boost || rule->order > wish->boost->order)
        wish->boost = rule;
    if (isnan(wish->figure) || figure > wish->figure)
        wish->figure = figure;
}

/* Guest CPUs become vCPUs here: those that are not there are nobody's neighbours. */
static void add_near(struct round *round, const struct vh_rule *rule, const struct vh_mask *mask)
{
    struct vh_near near = {.strength = round->strength, .by = rule};

    for (unsigned cpu = next_cpu(mask, 0); cpu < VH_CPUS_MAX; cpu = next_cpu(mask, cpu + 1))
        if (wish_of(round, cpu))
            vh_vcpuset_add(&near.vcpus, (unsigned)round->map->cpus[cpu].vcpu);
    if (round->nears->len < VH_NEAR_MAX)
        g_array_append_val(round->nears, near);
}

static void add_memory(struct vh_ram_wish *ram, const struct vh_rule *rule, double figure)
{
    if (!ram->asked || strcmp(rule->name, ram->rule->name) < 0)
        ram->rule = rule;
    ram->asked = true;
    if (isnan(ram->stall) || figure > ram->stall)
        ram->stall = figure;
}

/* A fact that a memory rule is about, whether its condition holds or not. */
static void note_room(struct vh_ram_wish *ram, const struct vh_bound_rule *bound, const uint8_t *record)
{
    gint64 room = -1;

    if (!ram->rule)
        ram->rule = bound->rule;
    if (bound->has_room)
        room = (gint64)(MIN(vh_fieldref_number(&bound->room, record), (uint64_t)G_MAXINT64 >> 20) << 20);
    if (room >= 0 && (ram->room < 0 || room < ram->room))
        ram->room = room;
}

/* `figure`: NAN for none. */
static void add_wish(struct round *round, const struct vh_rule *rule, const struct vh_mask *mask, double figure)
{
    unsigned cpu = next_cpu(mask, 0);
    struct vh_wish *wish = NULL;

    if (rule->action == VH_ACTION_FLOAT) {
        round->float_all = round->float_all || cpu == VH_CPUS_MAX;
        for (; cpu < VH_CPUS_MAX; cpu = next_cpu(mask, cpu + 1))
            mask_add(&round->floats, cpu);
        return;
    }
    if (rule->action == VH_ACTION_NEAR) {
        add_near(round, rule, mask);
        return;
    }
    if (rule->action == VH_ACTION_MEMORY) {
        add_memory(&round->ram, rule, figure);
        return;
    }
    if (rule->action == VH_ACTION_GROUP) {
        if (weight(mask) > 1)
            add_group(round, *mask, rule);
        return;
    }
    if (rule->action == VH_ACTION_BOOST) {
        for (; cpu < VH_CPUS_MAX; cpu = next_cpu(mask, cpu + 1))
            add_boost(wish_of(round, cpu), rule, figure);
        return;
    }
    wish = wish_of(round, cpu);
    if (!wish)
        return;
    note_tried(&wish->tried, rule);
    wish->kind = VH_WISH_ANCHOR;
    wish->guest_cpu = (int)cpu;
    wish->tasks += !round->held;
    note_rule(wish, rule->name);
}

/* The CPU map may have changed since a held wish was made. */
static void add_held(const struct vh_rule *rule, const struct vh_mask *mask, gpointer data)
{
    struct round *round = data;
    bool all = next_cpu(mask, 0) == VH_CPUS_MAX;

    if (all ? rule->action == VH_ACTION_FLOAT || rule->action == VH_ACTION_MEMORY
            : judge(mask, round->map) == VH_VERDICT_OK)
        add_wish(round, rule, mask, NAN);
}

static void collect(VhRules *rules, const VhFacts *facts, struct round *round, gint64 now)
{
    VhFactsIter iter;
    const struct vh_fact *fact = NULL;

    vh_facts_iter_init(&iter, facts);
    while ((fact = vh_facts_iter_next(&iter))) {
        const struct bound_kind *bound = bound_of(rules, fact->kind);

        for (unsigned i = 0; i < bound->count; i++) {
            const struct vh_bound_rule *rule = &bound->rules[i];
            /* A boost ends with its fact, at the latest; its hold and cooldown are its trial's business. */
            bool remembers =
                (rule->rule->hold_us || rule->rule->cooldown_us) && rule->rule->action != VH_ACTION_BOOST;
            double figure = NAN;
            struct vh_mask mask;

            round->strength = rule->has_strength ? vh_fieldref_number(&rule->strength, fact->record) : 0;
            if (rule->rule->action == VH_ACTION_MEMORY)
                note_room(&round->ram, rule, fact->record);
            if (rule->rule->action == VH_ACTION_LOG || !vh_tests_hold(&rule->tests, fact->record) ||
                read_target(rule, fact->record, round->map, &mask) != VH_VERDICT_OK)
                continue;
            if (rule->rule->figure)
                figure = (double)vh_fieldref_number(&rule->figure, fact->record);
            if (!remembers || vh_memory_wish(rules->memory, rule->rule, &mask, now))
                add_wish(round, rule->rule, &mask, figure);
        }
    }
}

static int by_lowest_cpu(gconstpointer a, gconstpointer b)
{
    return (int)next_cpu(&((const struct group *)a)->mask, 0) - (int)next_cpu(&((const struct group *)b)->mask, 0);
}

/* Groups' numbers follow their lowest CPU, so that they do not depend on the order of facts either. */
static void apply_groups(struct round *round)
{
    qsort(round->groups, round->group_count, sizeof(round->groups[0]), by_lowest_cpu);
    for (unsigned i = 0; i < round->group_count; i++) {
        const struct group *group = &round->groups[i];

        for (unsigned cpu = next_cpu(&group->mask, 0); cpu < VH_CPUS_MAX; cpu = next_cpu(&group->mask, cpu + 1)) {
            struct vh_wish *wish = wish_of(round, cpu);

            if (!wish)
                continue;
            wish->group = i + 1;
            if (wish->kind == VH_WISH_NONE) {
                wish->kind = VH_WISH_GROUP;
                wish->rule = group->rule;
                wish->tried = group->tried;
            }
        }
    }
}

static void apply_floats(struct round *round)
{
    if (!round->float_all && !weight(&round->floats))
        return;
    for (unsigned cpu = 0; cpu < VH_CPUS_MAX; cpu++) {
        struct vh_wish *wish = round->float_all || mask_has(&round->floats, cpu) ? wish_of(round, cpu) : NULL;

        if (!wish)
            continue;
        *wish = (struct vh_wish){.guest_cpu = -1, .figure = NAN};
        for (guint i = 0; i < round->nears->len; i++)
            vh_vcpuset_del(&g_array_index(round->nears, struct vh_near, i).vcpus,
                           (unsigned)round->map->cpus[cpu].vcpu);
    }
}

/* At most max-pins anchors: those that were there before, then those of the lowest vCPUs. */
static void apply_limit(VhRules *rules, struct round *round)
{
    unsigned left = rules->policy ? rules->policy->max_pins : VH_GUEST_PINS_MAX;
    struct vh_mask granted = {0};

    for (int before = 1; before >= 0; before--) {
        for (unsigned i = 0; i < round->count && left; i++) {
            if (round->wishes[i].kind != VH_WISH_ANCHOR || mask_has(&rules->anchored, i) != (before == 1))
                continue;
            mask_add(&granted, i);
            left--;
        }
    }
    for (unsigned i = 0; i < round->count; i++) {
        struct vh_wish *wish = &round->wishes[i];

        if (wish->kind != VH_WISH_ANCHOR || mask_has(&granted, i))
            continue;
        wish->kind = wish->group ? VH_WISH_GROUP : VH_WISH_NONE;
        wish->over_limit = true;
    }
    rules->anchored = granted;
}

gint64 vh_rules_wishes(VhRules *rules, const VhFacts *facts, const struct vh_cpu_map *map, gint64 now,
                       struct vh_wish *wishes, unsigned count)
{
    struct round round = {.wishes = wishes, .count = count, .map = map, .ram = {.stall = NAN, .room = -1}};
    gint64 next = -1;

    for (unsigned i = 0; i < count; i++)
        wishes[i] = (struct vh_wish){.guest_cpu = -1, .figure = NAN};
    round.nears = rules->nears;
    g_array_set_size(rules->nears, 0);
    vh_memory_begin(rules->memory);
    collect(rules, facts, &round, now);
    round.held = true;
    round.strength = 0;
    next = vh_memory_end(rules->memory, now, add_held, &round);
    apply_groups(&round);
    apply_floats(&round);
    apply_limit(rules, &round);
    rules->ram = round.ram;
    return next;
}

const struct vh_near *vh_rules_nears(const VhRules *rules, unsigned *count)
{
    *count = rules->nears->len;
    return (const struct vh_near *)(const void *)rules->nears->data;
}

const struct vh_ram_wish *vh_rules_ram(const VhRules *rules)
{
    return &rules->ram;
}

/* ---- max-hints ---- */

gint64 vh_rules_admit(VhRules *rules, unsigned hints, gint64 now)
{
    double rate = rules->policy ? rules->policy->max_hints : 0;

    if (rate < 1)
        return 0;
    rules->tokens += (double)(now - rules->filled) * rate / G_USEC_PER_SEC;
    rules->filled = now;
    /* A second's worth at most is saved up, and owed. */
    rules->tokens = CLAMP(rules->tokens, -rate, rate) - hints;
    rules->tokens = MAX(rules->tokens, -rate);
    return rules->tokens >= 0 ? 0 : (gint64)(-rules->tokens / rate * G_USEC_PER_SEC) + 1;
}

/* ---- what is behind a wish ---- */

void vh_rules_behind(VhRules *rules, const VhFacts *facts, const struct vh_cpu_map *map, unsigned vcpu,
                     VhBehindFunc func, gpointer data)
{
    int cpu = vh_cpu_map_find(map, vcpu);
    VhFactsIter iter;
    const struct vh_fact *fact = NULL;

    vh_facts_iter_init(&iter, facts);
    while (cpu >= 0 && (fact = vh_facts_iter_next(&iter))) {
        const struct bound_kind *bound = bound_of(rules, fact->kind);

        for (unsigned i = 0; i < bound->count; i++) {
            const struct vh_bound_rule *rule = &bound->rules[i];
            struct vh_mask mask;

            if (rule->rule->action != VH_ACTION_LOG && vh_tests_hold(&rule->tests, fact->record) &&
                read_target(rule, fact->record, map, &mask) == VH_VERDICT_OK && mask_has(&mask, (unsigned)cpu))
                func(rule->rule, fact, data);
        }
    }
}
