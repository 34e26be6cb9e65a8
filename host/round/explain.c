// SPDX-License-Identifier: GPL-2.0-or-later
// Gathers what is known of a guest's actions, in the words of org.vhint.Manager1.xml.
#include "base/cpu-map.h"
#include "machine/tid.h"
#include "round/helpers.h"
#include "round/standing.h"

#define HINTS_MAX 8u /* shown of each action; how many there are is told */

struct story {
    const VhRound *round;
    const struct vh_entry *entry;
    GPtrArray *trials; /* GVariant, a{sv}; as far as they have not been told yet */
    GVariantBuilder *builder;
};

/* What was on trial for the thread, and is a pin or else a boost; NULL: nothing. The caller's. */
static GVariant *take_trial(struct story *story, gint32 thread, bool pin)
{
    for (guint i = 0; i < story->trials->len; i++) {
        GVariant *dict = g_ptr_array_index(story->trials, i);
        const char *action = "";
        gint32 its = 0;

        (void)g_variant_lookup(dict, "action", "&s", &action);
        (void)g_variant_lookup(dict, "thread", "i", &its);
        if (its == thread && g_str_equal(action, "pin") == pin)
            return g_ptr_array_steal_index(story->trials, i);
    }
    return NULL;
}

static const struct vh_rule *find_rule(const VhGuestPolicy *policy, const char *name)
{
    for (guint i = 0; policy && name && i < policy->rules->len; i++) {
        const struct vh_rule *rule = g_ptr_array_index(policy->rules, i);

        if (g_str_equal(rule->name, name))
            return rule;
    }
    return NULL;
}

static char *origin_text(struct vh_origin origin)
{
    return origin.line ? g_strdup_printf("%s:%u", origin.file, origin.line) : g_strdup("default");
}

/* "pool 2-5 (web.conf:3), max-pins 512 (default)" */
static char *limits_text(const VhGuestPolicy *policy, const char *const *keys)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; policy && i < policy->lines->len; i++) {
        const struct vh_policy_line *line = g_ptr_array_index(policy->lines, i);
        g_autofree char *origin = origin_text(line->origin);

        if (g_strv_contains(keys, line->key))
            g_string_append_printf(text, "%s%s %s (%s)", text->len ? ", " : "", line->key,
                                   line->value, origin);
    }
    return g_string_free(text, FALSE);
}

/* The rule, what it says and where it is from. */
static void insert_rule(const struct vh_entry *entry, GVariantDict *dict, const char *name)
{
    const struct vh_rule *rule = find_rule(vh_guest_policy(entry->guest), name);
    g_autofree char *origin = rule ? origin_text(rule->origin) : NULL;

    g_variant_dict_insert(dict, "rule", "s", name ? name : "");
    if (!rule)
        return;
    g_variant_dict_insert(dict, "rule_from", "s", origin);
    g_variant_dict_insert(dict, "rule_text", "s", rule->summary);
}

/* The rule, and the hints that it is about. */
static void insert_cause(const struct vh_entry *entry, GVariantDict *dict, const char *rule_name,
                         unsigned position, const char *actuator)
{
    unsigned count = 0;
    g_auto(GStrv) hints =
        vh_guest_describe_behind(entry->guest, position, actuator, HINTS_MAX, &count);

    insert_rule(entry, dict, rule_name);
    g_variant_dict_insert(dict, "hints", "^as", hints);
    g_variant_dict_insert(dict, "hint_count", "u", count);
}

static void insert_state(const VhActuate *actuate, GVariantDict *dict,
                         const struct vh_target_key *key)
{
    g_autofree char *former = NULL;
    const char *problem = NULL;
    gint64 age = vh_actuate_age(actuate, key);

    vh_actuate_describe(actuate, key, &former, &problem);
    g_variant_dict_insert(dict, "former", "s", former);
    g_variant_dict_insert(dict, "age", "d", age < 0 ? -1.0 : (double)age / G_USEC_PER_SEC);
    if (*problem)
        g_variant_dict_insert(dict, "problem", "s", problem);
}

/* A pin that was never on trial, in the words of trials. */
static void insert_untried(GVariantDict *dict, const struct vh_vcpu *vcpu, bool in_force)
{
    g_variant_dict_insert(dict, "vcpu", "u", vcpu->index);
    g_variant_dict_insert(dict, "thread", "i", (gint32)vcpu->thread);
    g_variant_dict_insert(dict, "action", "s", "pin");
    g_variant_dict_insert(dict, "trial", "b", FALSE);
    g_variant_dict_insert(dict, "state", "s", in_force ? "applied" : "wanted");
    g_variant_dict_insert(dict, "in_force", "b", (gboolean)in_force);
    g_variant_dict_insert(dict, "next", "d", -1.0);
    g_variant_dict_insert(dict, "reverts", "u", 0u);
    g_variant_dict_insert(dict, "problem", "s", "");
    g_variant_dict_insert(dict, "verdict", "s", "");
    g_variant_dict_insert(dict, "reason", "s", "");
}

/* What its pin holds it to; a pin that was left is what the kernel has. */
static char *pinned_text(const VhRound *round, const struct vh_target_key *key,
                         const VhStanding *standing)
{
    if (standing->held)
        return vh_cpuset_format(vh_round_pin(round, key));
    return standing->left ? vh_standing_cpus(standing) : g_strdup("");
}

static void tell_pin(struct story *story, unsigned position, const struct vh_vcpu *vcpu)
{
    static const char *const limits[] = {"pool", "sharing", "smt", "overcommit", "max-pins", NULL};
    const struct vh_entry *entry = story->entry;
    const struct vh_target target = vh_entry_vcpu(entry, vcpu);
    g_autoptr(GVariant) trial = take_trial(story, vcpu->thread, true);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(trial);
    g_auto(VhStanding) standing = {0};
    g_autofree char *cpus = NULL;
    g_autofree char *why = NULL;
    g_autofree char *limit = NULL;
    const char *rule = NULL;

    vh_standing_vcpu(story->round, entry, position, &standing);
    if (!trial && standing.state == VH_STANDING_FLOATING)
        return;
    if (trial)
        (void)g_variant_lookup(trial, "rule", "&s", &rule);
    else
        rule = standing.rule;
    if (!trial)
        insert_untried(&dict, vcpu, standing.state == VH_STANDING_PINNED);
    insert_cause(entry, &dict, rule, position, "pin");
    cpus = pinned_text(story->round, &target.key, &standing);
    why = vh_standing_why(&standing);
    limit = limits_text(vh_guest_policy(entry->guest), limits);
    g_variant_dict_insert(&dict, "host_cpus", "s", cpus);
    g_variant_dict_insert(&dict, "why", "s", why);
    g_variant_dict_insert(&dict, "limits", "s", limit);
    insert_state(story->round->actuate, &dict, &target.key);
    g_variant_builder_add_value(story->builder, g_variant_dict_end(&dict));
}

static void tell_boost(struct story *story, unsigned position, const struct vh_vcpu *vcpu)
{
    const struct vh_target target = vh_entry_vcpu(story->entry, vcpu);
    g_autoptr(GVariant) trial = take_trial(story, vcpu->thread, false);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(trial);
    const char *rule = "";

    if (!trial)
        return;
    (void)g_variant_lookup(trial, "rule", "&s", &rule);
    insert_cause(story->entry, &dict, rule, position, "boost");
    insert_state(story->round->boosts, &dict, &target.key);
    g_variant_builder_add_value(story->builder, g_variant_dict_end(&dict));
}

/* Emulator, IOThreads, vhost workers: what the policy says without any hint. */
static void tell_helper(struct story *story, const struct vh_thread *thread, const char *limit)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    struct vh_portrait_thread portrait = {0};
    g_auto(VhStanding) standing = {0};
    const struct vh_target target = vh_helpers_target(story->entry->guest, thread);
    g_autofree char *why = NULL;
    bool in_force = false;

    vh_portray_helper(story->round, story->entry, thread, &portrait);
    standing = portrait.standing; /* which frees it */
    if (standing.state == VH_STANDING_FLOATING)
        return;
    in_force = standing.state == VH_STANDING_PINNED;
    why = vh_standing_why(&standing);
    vh_portrait_describe_helper(&portrait, &dict);
    g_variant_dict_insert(&dict, "action", "s", "pin");
    g_variant_dict_insert(&dict, "state", "s", in_force ? "applied" : "wanted");
    g_variant_dict_insert(&dict, "in_force", "b", (gboolean)in_force);
    g_variant_dict_insert(&dict, "why", "s", why);
    g_variant_dict_insert(&dict, "reason", "s", "");
    g_variant_dict_insert(&dict, "limits", "s", limit);
    insert_state(story->round->actuate, &dict, &target.key);
    g_variant_builder_add_value(story->builder, g_variant_dict_end(&dict));
}

static void tell_helpers(struct story *story)
{
    static const char *const limits[] = {"pool", "sharing", "emulator", "iothreads", "vhost", NULL};
    g_autofree char *limit = limits_text(vh_guest_policy(story->entry->guest), limits);
    unsigned count = 0;
    const struct vh_thread *helpers = vh_guest_helpers(story->entry->guest, &count);

    for (unsigned i = 0; i < count; i++)
        tell_helper(story, &helpers[i], limit);
}

static void tell_memory(struct story *story)
{
    static const char *const limits[] = {"memory-min", "memory-max", "memory-step", "memory-linger",
                                         NULL};
    const struct vh_entry *entry = story->entry;
    GVariant *told = vh_ram_explain(story->round->ram, vh_entry_name(entry));
    g_autoptr(GVariant) memory = told ? g_variant_ref_sink(told) : NULL;
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(memory);
    g_autofree char *limit = limits_text(vh_guest_policy(entry->guest), limits);
    const char *rule = "";

    if (!memory)
        return;
    (void)g_variant_lookup(memory, "rule", "&s", &rule);
    insert_rule(entry, &dict, rule);
    g_variant_dict_insert(&dict, "limits", "s", limit);
    g_variant_builder_add_value(story->builder, g_variant_dict_end(&dict));
}

GVariant *vh_round_explain(const VhRound *round, const struct vh_entry *entry)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(GVariant) trials =
        g_variant_ref_sink(vh_trials_describe(round->trials, vh_entry_name(entry)));
    g_autoptr(GPtrArray) left = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
    struct story story = {.round = round, .entry = entry, .trials = left, .builder = &builder};
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    for (gsize i = 0; i < g_variant_n_children(trials); i++)
        g_ptr_array_add(left, g_variant_get_child_value(trials, i));
    for (unsigned i = 0; i < count; i++) {
        tell_pin(&story, i, &vcpus[i]);
        tell_boost(&story, i, &vcpus[i]);
    }
    for (guint i = 0; i < left->len; i++)
        g_variant_builder_add_value(&builder, g_ptr_array_index(left, i));
    tell_helpers(&story);
    tell_memory(&story);
    return g_variant_builder_end(&builder);
}
