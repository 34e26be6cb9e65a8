// SPDX-License-Identifier: GPL-2.0-or-later
// Tells what applies to one guest.
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

VhGuestPolicy *vh_guest_policy_new(VhPolicy *policy)
{
    VhGuestPolicy *guest = g_new0(VhGuestPolicy, 1);

    guest->policy = vh_policy_ref(policy);
    guest->programs = g_ptr_array_new_with_free_func(guest_program_free);
    guest->rules = g_ptr_array_new();
    guest->lines = g_ptr_array_new_with_free_func(line_free);
    return guest;
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

static void set_line(VhGuestPolicy *guest, const char *key, const char *value,
                     const struct vh_origin *origin)
{
    struct vh_policy_line *line = NULL;

    for (guint i = 0; i < guest->lines->len; i++) {
        struct vh_policy_line *known = g_ptr_array_index(guest->lines, i);

        if (g_str_equal(known->key, key))
            line = known;
    }
    if (!line) {
        line = g_new0(struct vh_policy_line, 1);
        line->key = g_strdup(key);
        g_ptr_array_add(guest->lines, line);
    }
    g_free(line->value);
    line->value = g_strdup(value);
    line->origin = *origin;
}

const char *vh_policy_tunable(const char *key)
{
    const char *dot = strrchr(key + strlen(VH_POLICY_SET), '.');

    return dot ? dot + 1 : NULL;
}

static void set_tunable(VhGuestPolicy *guest, const struct vh_policy_line *line)
{
    const char *program = line->key + strlen(VH_POLICY_SET);
    const char *tunable = vh_policy_tunable(line->key);
    gsize len = (gsize)(tunable - program) - 1;

    for (guint i = 0; i < guest->programs->len; i++) {
        const struct vh_guest_program *given = g_ptr_array_index(guest->programs, i);

        g_autoptr(GError) error = NULL;

        if (strlen(given->program->name) != len || strncmp(given->program->name, program, len) != 0)
            continue;
        if (vh_tunables_pack(given->tunables, tunable, line->value, &error) == 0 || guest->refused)
            continue;
        guest->refused = line;
        guest->refusal = g_strdup(error->message);
    }
}

/* The rules that may act, each with its line. */
static void apply_rules(VhGuestPolicy *guest)
{
    for (guint i = guest->rules->len; i > 0; i--) {
        const struct vh_rule *rule = g_ptr_array_index(guest->rules, i - 1);

        if (!rule->enabled || !(guest->actions & vh_action_bit(rule->what.action)))
            g_ptr_array_remove_index(guest->rules, i - 1);
    }
    for (guint i = 0; i < guest->rules->len; i++) {
        const struct vh_rule *rule = g_ptr_array_index(guest->rules, i);
        g_autofree char *key = g_strdup_printf("rule %s", rule->name);

        set_line(guest, key, rule->summary, &rule->origin);
    }
}

VhGuestPolicy *vh_policy_for(VhPolicy *policy, const struct vh_guest_id *id)
{
    static const struct vh_policy_world anywhere = {0};
    const struct vh_origin nowhere = {g_intern_static_string(""), 0};
    VhGuestPolicy *guest = vh_guest_policy_new(policy);

    for (gsize i = 0; i < VH_POLICY_KEYS; i++)
        set_line(guest, vh_policy_keys[i].name, vh_policy_keys[i].fallback, &nowhere);
    for (guint i = 0; i < policy->sections->len; i++) {
        const struct vh_guest_section *section = g_ptr_array_index(policy->sections, i);

        for (guint j = 0; matches(section, id) && j < section->entries->len; j++) {
            const struct vh_policy_entry *entry = g_ptr_array_index(section->entries, j);

            set_line(guest, entry->key, entry->value, &entry->origin);
        }
    }
    /* The programs are there before their tunables, and all values have been checked when the
     * policy was read. */
    for (guint i = 0; i < guest->lines->len; i++) {
        const struct vh_policy_line *line = g_ptr_array_index(guest->lines, i);
        const struct vh_policy_key *key = vh_policy_key(line->key);

        if (key && key->take(line->value, &anywhere, guest, NULL) < 0)
            g_warning("policy: %s = %s is not taken any longer", line->key, line->value);
        else if (!key)
            set_tunable(guest, line);
    }
    apply_rules(guest);
    return guest;
}
