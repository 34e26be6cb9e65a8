// SPDX-License-Identifier: GPL-2.0-or-later
// Turns facts into wishes for vCPUs, by rules.
#include "wish/rules.h"

#include <math.h>
#include <string.h>

#include "policy/rule.h"
#include "wish/held.h"

#define KINDS_MAX 4096u /* compiled for one guest; then they are compiled anew */

/* The rules that are about one kind, compiled. */
struct bound_kind {
    uint64_t serial; /* the kind's */
    uint64_t mark;   /* of this compilation alone: facts that it has judged bear it */
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

static uint64_t next_mark(void)
{
    static uint64_t last;

    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

static bool same_field(const struct vh_fieldref *a, const struct vh_fieldref *b)
{
    return a->type == b->type && a->bit == b->bit && a->bits == b->bits && a->count == b->count;
}

/* Which of the rules so far reads the same guest CPUs as the last in the same way: itself at the
 * latest. */
static unsigned like(const struct bound_kind *bound)
{
    const struct vh_bound_rule *last = &bound->rules[bound->count - 1];
    const struct vh_bound_rule *rule = bound->rules;

    while (rule->rule->what.action->ask != last->rule->what.action->ask ||
           rule->what.has_first != last->what.has_first ||
           !same_field(&rule->what.first, &last->what.first))
        rule++;
    return (unsigned)(rule - bound->rules);
}

static struct bound_kind *compile(VhRules *rules, const struct vh_kind *kind)
{
    guint count = rules->policy ? rules->policy->rules->len : 0;
    struct bound_kind *bound = g_malloc0(sizeof(*bound) + count * sizeof(bound->rules[0]));

    bound->serial = kind->serial;
    bound->mark = next_mark();
    for (guint i = 0; i < count; i++) {
        const struct vh_rule *rule = g_ptr_array_index(rules->policy->rules, i);
        const char *key = NULL;
        g_autoptr(GError) error = NULL;

        if (!vh_rule_meets(rule, kind))
            continue;
        if (vh_rule_bind(rule, kind, &bound->rules[bound->count], &key, &error) == 0) {
            bound->count++;
            bound->rules[bound->count - 1].like = like(bound);
        } else if (!rules->misfit) {
            rules->misfit = g_strdup_printf("the rule %s does not fit: %s: %s", rule->name, key,
                                            error->message);
        }
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

/* The guest CPUs that a record asks for, and what is to be said of them. Rules of one kind often
 * read the same, so it is kept from one to the next. */
struct reading {
    unsigned of; /* what the rules that read so are like */
    enum vh_verdict verdict;
    struct vh_mask mask;
};

#define NOT_READ G_MAXUINT

/* By a rule whose condition holds. */
static enum vh_verdict ask(const struct vh_bound_rule *bound, const uint8_t *record,
                           const struct vh_cpu_map *map, struct reading *reading)
{
    const struct vh_action *action = bound->rule->what.action;

    if (reading->of != bound->like) {
        reading->of = bound->like;
        reading->verdict = VH_VERDICT_OK;
        if (action->ask)
            reading->verdict = action->ask(&bound->what, record, map, &reading->mask);
        else
            reading->mask = (struct vh_mask){0};
    }
    if (reading->verdict == VH_VERDICT_OK && (action->traits & VH_ACTION_SINGLE) &&
        vh_mask_several(&reading->mask))
        return VH_VERDICT_SEVERAL;
    return reading->verdict;
}

/* ---- conditions ---- */

G_STATIC_ASSERT(VH_RULES_MAX <= 64 * G_N_ELEMENTS(((struct vh_mark *)NULL)->bits));

/* Which of the rules' conditions hold for the record. */
static void judge(const struct bound_kind *bound, const uint8_t *record, struct vh_mark *mark)
{
    *mark = (struct vh_mark){.by = bound->mark};
    for (unsigned i = 0; i < bound->count; i++)
        if (vh_tests_hold(&bound->rules[i].tests, record))
            vh_bits_add(mark->bits, i);
}

/* Does the condition of the `i`th rule hold for the fact? */
static bool holds(const struct bound_kind *bound, struct vh_fact *fact, unsigned i)
{
    if (fact->mark.by != bound->mark)
        judge(bound, fact->record, &fact->mark);
    return vh_bits_has(fact->mark.bits, i);
}

/* ---- one hint ---- */

static void say(VhRules *rules, const struct vh_rule *rule, const struct vh_seen *seen, gint64 now,
                VhRuleLogFunc log, gpointer data)
{
    g_autofree char *text = NULL;

    if (!seen->news || !log)
        return;
    text = rule->what.action->say(&rule->what, seen->kind, seen->record);
    if (vh_memory_log(rules->memory, rule, now))
        log(rule, text, data);
}

enum vh_verdict vh_rules_see(VhRules *rules, const struct vh_seen *seen,
                             const struct vh_cpu_map *map, gint64 now, bool *event,
                             VhRuleLogFunc log, gpointer data)
{
    const struct bound_kind *bound = bound_of(rules, seen->kind);
    struct vh_mark of_event;
    struct vh_mark *mark = seen->fact ? &seen->fact->mark : &of_event;
    struct reading reading = {.of = NOT_READ};
    enum vh_verdict worst = VH_VERDICT_OTHER;
    struct vh_hint hint;

    memcpy(&hint, seen->record, sizeof(hint));
    judge(bound, seen->record, mark);
    for (unsigned i = 0; i < bound->count; i++) {
        const struct vh_bound_rule *rule = &bound->rules[i];
        enum vh_verdict verdict = VH_VERDICT_OK;

        if (!vh_bits_has(mark->bits, i))
            continue;
        if (rule->rule->what.action->say) {
            say(rules, rule->rule, seen, now, log, data);
        } else {
            verdict = ask(rule, seen->record, map, &reading);
            if (verdict == VH_VERDICT_OK && !hint.key_size && rule->rule->hold_us &&
                vh_memory_event(rules->memory, rule->rule, &reading.mask, now))
                *event = true;
        }
        if (worst == VH_VERDICT_OTHER || (worst == VH_VERDICT_OK && verdict != VH_VERDICT_OK))
            worst = verdict;
    }
    return worst;
}

/* ---- wishes ---- */

/* The CPU map may have changed since a held wish was made. */
static void add_held(const struct vh_rule *rule, const struct vh_mask *mask, gpointer data)
{
    const struct vh_action *action = rule->what.action;
    struct vh_sum *sum = data;
    enum vh_verdict verdict = vh_mask_judge(mask, sum->map);

    if (verdict == VH_VERDICT_OK ||
        (verdict == VH_VERDICT_EMPTY && (action->traits & VH_ACTION_WHOLE)))
        action->add(sum, &(struct vh_ask){.rule = rule, .mask = mask, .figure = NAN, .held = true});
}

/* What a fact asks for by a rule whose condition holds. */
static void collect_one(VhRules *rules, const struct vh_bound_rule *bound, const uint8_t *record,
                        struct reading *reading, struct vh_sum *sum, gint64 now)
{
    const struct vh_rule *rule = bound->rule;
    const struct vh_action *action = rule->what.action;
    /* What ends with its fact at the latest has nothing that is remembered here. */
    bool remembers = (rule->hold_us || rule->cooldown_us) && !(action->traits & VH_ACTION_BRIEF);
    struct vh_ask asked = {.rule = rule, .mask = &reading->mask, .figure = NAN};

    if (!action->add || ask(bound, record, sum->map, reading) != VH_VERDICT_OK)
        return;
    if (rule->figure)
        asked.figure = (double)vh_fieldref_number(&bound->figure, record);
    if (bound->what.has_second)
        asked.number = vh_fieldref_number(&bound->what.second, record);
    if (!remembers || vh_memory_wish(rules->memory, rule, asked.mask, now))
        action->add(sum, &asked);
}

static void collect(VhRules *rules, const VhFacts *facts, struct vh_sum *sum, gint64 now)
{
    VhFactsIter iter;
    struct vh_fact *fact = NULL;
    struct reading reading;

    vh_facts_iter_init(&iter, facts);
    while ((fact = vh_facts_iter_next(&iter))) {
        const struct bound_kind *bound = bound_of(rules, fact->kind);

        reading.of = NOT_READ;
        for (unsigned i = 0; i < bound->count; i++) {
            const struct vh_bound_rule *rule = &bound->rules[i];
            const struct vh_action *action = rule->rule->what.action;

            if (action->note)
                action->note(sum, rule->rule, &rule->what, fact->record);
            if (holds(bound, fact, i))
                collect_one(rules, rule, fact->record, &reading, sum, now);
        }
    }
}

gint64 vh_rules_wishes(VhRules *rules, const VhFacts *facts, const struct vh_cpu_map *map,
                       gint64 now, struct vh_wish *wishes, unsigned count)
{
    struct vh_sum sum = {.wishes = wishes,
                         .count = count,
                         .map = map,
                         .ram = {.stall = NAN, .room = -1},
                         .nears = rules->nears};
    gint64 next = -1;

    for (unsigned i = 0; i < count; i++)
        wishes[i] = (struct vh_wish){.guest_cpu = -1, .figure = NAN};
    g_array_set_size(rules->nears, 0);
    vh_memory_begin(rules->memory);
    collect(rules, facts, &sum, now);
    next = vh_memory_end(rules->memory, now, add_held, &sum);
    vh_actions_end(&sum, rules->policy ? rules->policy->max_pins : VH_GUEST_PINS_MAX,
                   &rules->anchored);
    rules->ram = sum.ram;
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

void vh_rules_behind(VhRules *rules, const VhFacts *facts, const struct vh_cpu_map *map,
                     unsigned vcpu, VhBehindFunc func, gpointer data)
{
    int cpu = vh_cpu_map_find(map, vcpu);
    VhFactsIter iter;
    struct vh_fact *fact = NULL;

    vh_facts_iter_init(&iter, facts);
    while (cpu >= 0 && (fact = vh_facts_iter_next(&iter))) {
        const struct bound_kind *bound = bound_of(rules, fact->kind);
        struct reading reading = {.of = NOT_READ};

        for (unsigned i = 0; i < bound->count; i++) {
            const struct vh_bound_rule *rule = &bound->rules[i];

            if (holds(bound, fact, i) && ask(rule, fact->record, map, &reading) == VH_VERDICT_OK &&
                vh_mask_has(&reading.mask, (unsigned)cpu))
                func(rule->rule, fact, data);
        }
    }
}
