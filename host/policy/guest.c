// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [guest PATTERN] sections.
#include <string.h>

#include "base/error.h"
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

/* "set.PROGRAM.TUNABLE": the tunable is a C name, a program's may have dots. Is there such a
 * program, and does it have that? 0, or -1 and an error. */
static int read_tunable(const struct vh_policy_reader *reader, struct vh_guest_entry *entry,
                        GError **error)
{
    const char *name = entry->name + strlen(VH_POLICY_SET);
    const char *dot = strrchr(name, '.');
    g_autofree char *program = dot ? g_strndup(name, (gsize)(dot - name)) : NULL;
    g_autoptr(GByteArray) alone = g_byte_array_new();

    if (!dot || !dot[1] || !*program)
        return vh_invalid(error, "a tunable is set by " VH_POLICY_SET "PROGRAM.TUNABLE = VALUE");
    entry->tunable = dot + 1;
    entry->program = vh_policy_need_program(reader, program, error);
    if (!entry->program ||
        vh_tunables_check(entry->program->object, entry->tunable, entry->text, error) < 0)
        return -1;
    return vh_tunables_pack(alone, entry->tunable, entry->text, error);
}

/* NULL and an error. `key` NULL: it is a tunable. */
static struct vh_guest_entry *read_entry(const struct vh_policy_reader *reader,
                                         const struct vh_policy_key *key,
                                         const struct vh_policy_entry *entry, GError **error)
{
    struct vh_guest_entry *made = g_new0(struct vh_guest_entry, 1);
    int result = 0;

    made->name = g_strdup(entry->key);
    made->text = g_strdup(entry->value);
    made->origin = entry->origin;
    made->key = key;
    made->value = key ? g_malloc0(key->size) : NULL;
    result = key ? key->take(entry->value, reader, made->value, error)
                 : read_tunable(reader, made, error);
    if (result == 0)
        return made;
    vh_guest_entry_free(made);
    return NULL;
}

void vh_policy_read_fallbacks(const struct vh_policy_reader *reader)
{
    for (const struct vh_policy_key *key = vh_policy_guest_keys; key->name; key++) {
        const struct vh_policy_entry entry = {
            (char *)key->name, (char *)key->fallback, {g_intern_static_string(""), 0}};
        struct vh_guest_entry *made = read_entry(reader, key, &entry, NULL);

        g_assert(made);
        g_ptr_array_add(reader->policy->fallbacks, made);
    }
}

static void refuse_key(const struct vh_policy_reader *reader,
                       const struct vh_policy_section *section, const struct vh_policy_entry *entry)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();

    for (guint i = 0; section->main && vh_config_guest_keys[i]; i++)
        g_ptr_array_add(known, (char *)vh_config_guest_keys[i]);
    g_ptr_array_add(known, (char *)VH_POLICY_SET "PROGRAM.TUNABLE");
    g_ptr_array_add(known, NULL);
    vh_policy_refuse_key(reader, section, entry, vh_policy_guest_keys,
                         (const char *const *)known->pdata);
}

/* Adds an entry of policy to what was made of the section, unless it is config/vhintd.h's business.
 */
static void take_entry(const struct vh_policy_reader *reader,
                       const struct vh_policy_section *section, const struct vh_policy_entry *entry,
                       struct vh_guest_section *made)
{
    const struct vh_policy_key *key = vh_policy_key(vh_policy_guest_keys, entry->key);
    g_autoptr(GError) error = NULL;
    struct vh_guest_entry *taken = NULL;

    if (g_strv_contains(vh_config_guest_keys, entry->key)) {
        if (!section->main)
            vh_policy_refuse(
                reader, section, entry,
                "belongs in vhint.conf, which names the guests that are not libvirt's");
        return;
    }
    if (!key && !g_str_has_prefix(entry->key, VH_POLICY_SET)) {
        refuse_key(reader, section, entry);
        return;
    }
    taken = read_entry(reader, key, entry, &error);
    if (taken)
        g_ptr_array_add(made->entries, taken);
    else
        vh_policy_refuse(reader, section, entry, "%s", error->message);
}

void vh_policy_read_guest(struct vh_policy_reader *reader, const struct vh_policy_section *section)
{
    struct vh_guest_section *made = g_new0(struct vh_guest_section, 1);

    made->pattern = g_strdup(section->name + strlen("guest "));
    made->rank = rank(made->pattern);
    made->origin = section->origin;
    made->entries = g_ptr_array_new_with_free_func(vh_guest_entry_free);
    if (g_str_equal(made->pattern, VH_POLICY_PROFILE))
        vh_policy_refuse(reader, section, NULL, "it matches nothing: write profile:NAME");
    for (guint i = 0; i < section->entries->len; i++)
        take_entry(reader, section, g_ptr_array_index(section->entries, i), made);
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
        if (guest->refusal)
            refuse_line(reader, section, g_ptr_array_index(guest->lines, guest->refused),
                        guest->refusal);
        for (guint j = 0; j < i; j++)
            check_overlap(reader, section, guest, g_ptr_array_index(sections, j),
                          g_ptr_array_index(samples, j));
    }
}
