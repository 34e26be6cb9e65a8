// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [guest PATTERN] sections.
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "config/vhintd.h"
#include "policy/reader.h"

#define RANK_PROFILE (1u << 16)
#define RANK_EXACT (2u << 16)

static bool is_exact(const char *pattern)
{
    return !strpbrk(pattern, "*?") && !g_str_has_prefix(pattern, VH_POLICY_PROFILE);
}

static unsigned rank(const char *pattern)
{
    unsigned plain = 0;

    for (const char *at = pattern; *at; at++)
        plain += *at != '*' && *at != '?';
    if (is_exact(pattern))
        return RANK_EXACT;
    plain = MIN(plain, RANK_PROFILE - 1);
    return g_str_has_prefix(pattern, VH_POLICY_PROFILE) ? RANK_PROFILE + plain : plain;
}

static int check_programs(const struct vh_policy_reader *reader,
                          const struct vh_policy_entry *entry, GError **error)
{
    g_auto(GStrv) words = vh_policy_split(entry->value);

    for (guint i = 0; words[i]; i++)
        if (!g_str_equal(words[i], "none") &&
            !vh_policy_need_program(reader, words[i], &entry->origin, error))
            return -1;
    return 0;
}

static int check_rule_names(const struct vh_policy_reader *reader, const char *value,
                            GError **error)
{
    g_auto(GStrv) words = vh_policy_split(value);
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (guint i = 0; i < reader->sections->len; i++) {
        const struct vh_policy_section *section = g_ptr_array_index(reader->sections, i);

        if (g_str_has_prefix(section->name, "rule "))
            g_ptr_array_add(names, section->name + strlen("rule "));
    }
    g_ptr_array_add(names, NULL);
    for (guint i = 0; words[i]; i++) {
        bool found = g_str_equal(words[i], "none") || g_str_equal(words[i], "*");
        const char *best = vh_nearest(words[i], (const char *const *)names->pdata);

        for (guint j = 0; j + 1 < names->len; j++)
            found = found || g_pattern_match_simple(words[i], g_ptr_array_index(names, j));
        if (!found)
            return vh_invalid(error, "no rule is called \"%s\"%s%s%s", words[i],
                              best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
    }
    return 0;
}

/* Is there such a program, and such a variable in its object? */
static int check_tunable(const struct vh_policy_reader *reader, const struct vh_policy_entry *entry,
                         GError **error)
{
    const char *name = entry->key + strlen(VH_POLICY_SET);
    const char *tunable = vh_policy_tunable(entry->key);
    g_autofree char *program_name = tunable ? g_strndup(name, (gsize)(tunable - name) - 1) : NULL;
    const struct vh_policy_program *program = NULL;

    if (!tunable || !*tunable || !*program_name)
        return vh_invalid(error, "a tunable is set by " VH_POLICY_SET "PROGRAM.TUNABLE = VALUE");
    program = vh_policy_need_program(reader, program_name, &entry->origin, error);
    return program ? vh_tunables_find(program->object, tunable, error) : -1;
}

static int refuse_key(const struct vh_policy_section *section, const char *key, GError **error)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();
    const char *best = NULL;

    for (guint i = 0; vh_policy_guest_keys[i]; i++)
        g_ptr_array_add(known, (char *)vh_policy_guest_keys[i]);
    for (guint i = 0; section->main && vh_config_guest_keys[i]; i++)
        g_ptr_array_add(known, (char *)vh_config_guest_keys[i]);
    g_ptr_array_add(known, NULL);
    best = vh_nearest(key, (const char *const *)known->pdata);
    return vh_invalid(error, "unknown key; did you mean \"%s\"?",
                      best ? best : vh_policy_guest_keys[0]);
}

/* 1: a checked entry of policy; 0: config/vhintd.h's business; -1 and an error. */
static int check_entry(struct vh_policy_reader *reader, const struct vh_policy_section *section,
                       const struct vh_policy_entry *entry, VhGuestPolicy *scratch, GError **error)
{
    const struct vh_policy_key *key = vh_policy_key(entry->key);

    if (section->main && g_strv_contains(vh_config_guest_keys, entry->key))
        return 0;
    if (g_strv_contains(vh_config_guest_keys, entry->key))
        return vh_invalid(error,
                          "belongs in vhint.conf, which names the guests that are not libvirt's");
    if (g_str_has_prefix(entry->key, VH_POLICY_SET))
        return check_tunable(reader, entry, error) < 0 ? -1 : 1;
    if (!key)
        return refuse_key(section, entry->key, error);
    if (g_str_equal(key->name, "programs") && check_programs(reader, entry, error) < 0)
        return -1;
    if (g_str_equal(key->name, "rules") && check_rule_names(reader, entry->value, error) < 0)
        return -1;
    return key->take(entry->value, reader->world, scratch, error) < 0 ? -1 : 1;
}

void vh_policy_read_guest(struct vh_policy_reader *reader, const struct vh_policy_section *section)
{
    struct vh_guest_section *made = g_new0(struct vh_guest_section, 1);
    g_autoptr(VhGuestPolicy) scratch = vh_guest_policy_new(reader->policy);

    made->pattern = g_strdup(section->name + strlen("guest "));
    made->rank = rank(made->pattern);
    made->origin = section->origin;
    made->entries = g_ptr_array_new_with_free_func(vh_policy_entry_free);
    if (g_str_equal(made->pattern, VH_POLICY_PROFILE))
        vh_policy_refuse(reader, section, NULL, "it matches nothing: write profile:NAME");
    for (guint i = 0; i < section->entries->len; i++) {
        const struct vh_policy_entry *entry = g_ptr_array_index(section->entries, i);
        g_autoptr(GError) error = NULL;
        int result = check_entry(reader, section, entry, scratch, &error);
        struct vh_policy_entry *copy = NULL;

        if (result < 0)
            vh_policy_refuse(reader, section, entry, "%s", error->message);
        if (result <= 0)
            continue;
        copy = g_new0(struct vh_policy_entry, 1);
        *copy =
            (struct vh_policy_entry){g_strdup(entry->key), g_strdup(entry->value), entry->origin};
        g_ptr_array_add(made->entries, copy);
    }
    g_ptr_array_add(reader->policy->sections, made);
}

static int by_rank(gconstpointer a, gconstpointer b)
{
    const struct vh_guest_section *x = *(struct vh_guest_section *const *)a;
    const struct vh_guest_section *y = *(struct vh_guest_section *const *)b;

    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

void vh_policy_sort_guests(VhPolicy *policy)
{
    g_ptr_array_sort(policy->sections, by_rank); /* stable */
}

/* ---- pools ---- */

/* What a guest that the section is about would get. */
static VhGuestPolicy *sample(const struct vh_policy_reader *reader,
                             const struct vh_guest_section *section)
{
    g_autoptr(GString) name = g_string_new(NULL);
    bool profile = g_str_has_prefix(section->pattern, VH_POLICY_PROFILE);

    for (const char *at = section->pattern + (profile ? strlen(VH_POLICY_PROFILE) : 0); *at; at++)
        if (*at != '*')
            g_string_append_c(name, *at == '?' ? 'x' : *at);
    return vh_policy_for(reader->policy,
                         &(struct vh_guest_id){.name = profile ? NULL : name->str,
                                               .profile = profile ? name->str : NULL});
}

static const struct vh_policy_line *line_of(const VhGuestPolicy *guest, const char *key)
{
    for (guint i = 0; i < guest->lines->len; i++) {
        const struct vh_policy_line *line = g_ptr_array_index(guest->lines, i);

        if (g_str_equal(line->key, key))
            return line;
    }
    return NULL;
}

static void refuse_line(const struct vh_policy_reader *reader,
                        const struct vh_guest_section *section, const struct vh_policy_line *line,
                        const char *text)
{
    g_autofree char *name = g_strdup_printf("guest %s", section->pattern);
    struct vh_policy_section about = {.name = name, .origin = section->origin};
    struct vh_policy_entry entry = {line->key, line->value, line->origin};

    vh_policy_refuse(reader, &about, line->origin.line ? &entry : NULL, "%s", text);
}

static void check_pool(const struct vh_policy_reader *reader,
                       const struct vh_guest_section *section, const VhGuestPolicy *guest)
{
    const struct vh_placement_options *options = &guest->placement;
    struct vh_cpuset left = options->pool;

    vh_cpuset_sub(&left, &reader->policy->reserve);
    if (options->dedicated && vh_cpuset_empty(&options->pool))
        refuse_line(
            reader, section, line_of(guest, "sharing"),
            "a dedicated pool needs CPUs: add pool = CPUS, or no other guest would have any");
    else if (!vh_cpuset_empty(&options->pool) && vh_cpuset_empty(&left))
        refuse_line(reader, section, line_of(guest, "pool"),
                    "[host] reserve has all of these CPUs: name others");
}

static bool same_origin(const struct vh_policy_line *a, const struct vh_policy_line *b)
{
    return a->origin.file == b->origin.file && a->origin.line == b->origin.line;
}

static void check_overlap(const struct vh_policy_reader *reader,
                          const struct vh_guest_section *section, const VhGuestPolicy *guest,
                          const struct vh_guest_section *earlier, const VhGuestPolicy *other)
{
    const struct vh_policy_line *line = line_of(guest, "pool");
    const struct vh_policy_line *other_line = line_of(other, "pool");
    struct vh_cpuset common = guest->placement.pool;
    g_autofree char *cpus = NULL;
    g_autofree char *text = NULL;

    vh_cpuset_and(&common, &other->placement.pool);
    if (!guest->placement.dedicated || !other->placement.dedicated || vh_cpuset_empty(&common))
        return;
    /* One pool that several patterns leave to the same line: perhaps one guest only. */
    if (same_origin(line, other_line) &&
        !(is_exact(section->pattern) && is_exact(earlier->pattern)))
        return;
    cpus = vh_cpuset_format(&common);
    text = g_strdup_printf(
        "CPU %s %s dedicated to [guest %s] already (%s:%u): give each its own, or share", cpus,
        strpbrk(cpus, ",-") ? "are" : "is", earlier->pattern, other_line->origin.file,
        other_line->origin.line);
    refuse_line(reader, section, line, text);
}

void vh_policy_check_pools(struct vh_policy_reader *reader)
{
    GPtrArray *sections = reader->policy->sections;
    g_autoptr(GPtrArray) samples =
        g_ptr_array_new_with_free_func((GDestroyNotify)vh_guest_policy_free);

    for (guint i = 0; i < sections->len; i++) {
        const struct vh_guest_section *section = g_ptr_array_index(sections, i);
        VhGuestPolicy *guest = sample(reader, section);

        g_ptr_array_add(samples, guest);
        check_pool(reader, section, guest);
        if (guest->memory.max && guest->memory.min > guest->memory.max)
            refuse_line(reader, section, line_of(guest, "memory-min"),
                        "is more than memory-max: lower it, or raise memory-max");
        if (guest->refused)
            refuse_line(reader, section, guest->refused, guest->refusal);
        for (guint j = 0; j < i; j++)
            check_overlap(reader, section, guest, g_ptr_array_index(sections, j),
                          g_ptr_array_index(samples, j));
    }
}
