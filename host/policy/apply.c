// SPDX-License-Identifier: GPL-2.0-or-later
// Tells what applies to one guest.
#include <stddef.h>
#include <string.h>

#include "policy/reader.h"

static void line_free(gpointer data)
{
    struct vh_policy_line *line = data;

    g_free(line->key);
    g_free(line->value);
    g_free(line);
}

static void guest_program_free(gpointer data)
{
    struct vh_guest_program *program = data;

    g_byte_array_unref(program->tunables);
    g_free(program);
}

void vh_guest_policy_free(VhGuestPolicy *guest)
{
    if (!guest)
        return;
    g_ptr_array_unref(guest->programs);
    g_ptr_array_unref(guest->rules);
    g_ptr_array_unref(guest->lines);
    g_free(guest->refusal);
    vh_policy_unref(guest->policy);
    g_free(guest);
}

static bool matches(const struct vh_guest_section *section, const struct vh_guest_id *id)
{
    const char *pattern = section->pattern;

    if (g_str_has_prefix(pattern, VH_POLICY_PROFILE))
        return id->profile && *id->profile &&
               g_pattern_match_simple(pattern + strlen(VH_POLICY_PROFILE), id->profile);
    if (id->uuid && *id->uuid && g_ascii_strcasecmp(pattern, id->uuid) == 0)
        return true;
    return id->name && g_pattern_match_simple(pattern, id->name);
}

bool vh_policy_matches(const VhPolicy *policy, const struct vh_guest_id *id)
{
    for (guint i = 0; i < policy->sections->len; i++)
        if (matches(g_ptr_array_index(policy->sections, i), id))
            return true;
    return false;
}

bool vh_policy_offloads(const VhPolicy *policy)
{
    const gsize at = offsetof(VhGuestPolicy, offload.kinds);

    for (guint i = 0; i < policy->sections->len; i++) {
        const struct vh_guest_section *section = g_ptr_array_index(policy->sections, i);

        for (guint j = 0; j < section->entries->len; j++) {
            const struct vh_guest_entry *entry = g_ptr_array_index(section->entries, j);

            if (entry->key && entry->key->at == at && *(const unsigned *)entry->value)
                return true;
        }
    }
    return false;
}

/* Puts the entry in place of an earlier one of its name. */
static void choose(GPtrArray *chosen, struct vh_guest_entry *entry)
{
    for (guint i = 0; i < chosen->len; i++) {
        const struct vh_guest_entry *known = g_ptr_array_index(chosen, i);

        if (g_str_equal(known->name, entry->name)) {
            chosen->pdata[i] = entry;
            return;
        }
    }
    g_ptr_array_add(chosen, entry);
}

/* What counts for the guest: of each key the most specific section's. */
static GPtrArray *choose_all(const VhPolicy *policy, const struct vh_guest_id *id)
{
    GPtrArray *chosen = g_ptr_array_new();

    for (guint i = 0; i < policy->fallbacks->len; i++)
        choose(chosen, g_ptr_array_index(policy->fallbacks, i));
    for (guint i = 0; i < policy->sections->len; i++) {
        const struct vh_guest_section *section = g_ptr_array_index(policy->sections, i);

        for (guint j = 0; matches(section, id) && j < section->entries->len; j++)
            choose(chosen, g_ptr_array_index(section->entries, j));
    }
    return chosen;
}

static void add_line(VhGuestPolicy *guest, const char *key, const char *value,
                     struct vh_origin origin)
{
    struct vh_policy_line *line = g_new0(struct vh_policy_line, 1);

    *line = (struct vh_policy_line){g_strdup(key), g_strdup(value), origin};
    g_ptr_array_add(guest->lines, line);
}

static void give_programs(VhGuestPolicy *guest)
{
    g_assert(guest->named_programs);
    for (guint i = 0; i < guest->named_programs->len; i++) {
        const struct vh_policy_program *program = g_ptr_array_index(guest->named_programs, i);
        struct vh_guest_program *made = g_new0(struct vh_guest_program, 1);

        made->program = program;
        made->tunables = g_byte_array_new();
        g_byte_array_append(made->tunables, program->tunables->data, program->tunables->len);
        g_ptr_array_add(guest->programs, made);
    }
}

static void set_tunable(VhGuestPolicy *guest, const struct vh_guest_entry *entry)
{
    for (guint i = 0; i < guest->programs->len; i++) {
        const struct vh_guest_program *given = g_ptr_array_index(guest->programs, i);
        g_autoptr(GError) error = NULL;

        if (given->program != entry->program ||
            vh_tunables_pack(given->tunables, entry->tunable, entry->text, &error) == 0 ||
            guest->refusal)
            continue;
        guest->refused = guest->lines->len - 1;
        guest->refusal = g_strdup(error->message);
    }
}

/* The rules that may act, each with its line. */
static void give_rules(VhGuestPolicy *guest)
{
    for (guint i = 0; i < guest->named_rules->len; i++) {
        struct vh_rule *rule = g_ptr_array_index(guest->named_rules, i);
        g_autofree char *key = g_strdup_printf("rule %s", rule->name);

        if (!rule->enabled || !(guest->actions & vh_action_bit(rule->what.action)))
            continue;
        g_ptr_array_add(guest->rules, rule);
        add_line(guest, key, rule->summary, rule->origin);
    }
}

VhGuestPolicy *vh_policy_for(VhPolicy *policy, const struct vh_guest_id *id)
{
    g_autoptr(GPtrArray) chosen = choose_all(policy, id);
    VhGuestPolicy *guest = g_new0(VhGuestPolicy, 1);

    guest->policy = vh_policy_ref(policy);
    guest->programs = g_ptr_array_new_with_free_func(guest_program_free);
    guest->rules = g_ptr_array_new();
    guest->lines = g_ptr_array_new_with_free_func(line_free);
    for (guint i = 0; i < chosen->len; i++) {
        const struct vh_guest_entry *entry = g_ptr_array_index(chosen, i);

        if (entry->key)
            memcpy((char *)guest + entry->key->at, entry->value, entry->key->size);
    }
    give_programs(guest);
    for (guint i = 0; i < chosen->len; i++) {
        const struct vh_guest_entry *entry = g_ptr_array_index(chosen, i);

        add_line(guest, entry->name, entry->text, entry->origin);
        if (!entry->key)
            set_tunable(guest, entry);
    }
    give_rules(guest);
    return guest;
}
