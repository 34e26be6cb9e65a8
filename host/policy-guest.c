// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [guest PATTERN] sections and tells what applies to one guest.
#include <string.h>

#include "config.h"
#include "error.h"
#include "nearest.h"
#include "policy-private.h"

#define PROFILE "profile:"
#define RANK_PROFILE (1u << 16)
#define RANK_EXACT (2u << 16)

/* A key: reads its value into the guest's policy. */
struct key {
    const char *name;
    const char *fallback;
    int (*take)(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest, GError **error);
};

static int refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static int refuse(GError **error, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, text);
    return -1;
}

/* ---- values ---- */

/* The words of a list, without empty ones. */
static char **split(const char *value)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_auto(GStrv) parts = g_strsplit_set(value, ",; \t", -1);

    for (guint i = 0; parts[i]; i++)
        if (*parts[i])
            g_ptr_array_add(words, g_strdup(parts[i]));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

/* The position of `word` in the NULL-terminated `words`; -1 and an error. */
static int choose(const char *word, const char *const *words, GError **error)
{
    g_autofree char *all = NULL;
    const char *best = vh_nearest(word, words);

    for (int i = 0; words[i]; i++)
        if (g_str_equal(word, words[i]))
            return i;
    all = g_strjoinv(", ", (char **)words);
    return refuse(error, "\"%s\" is none of %s; did you mean \"%s\"?", word, all, best ? best : words[0]);
}

static int take_actions(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                        GError **error)
{
    static const char *const words[] = {"pin", "group", "float", "log", "all", "none", NULL};
    g_auto(GStrv) list = split(value);
    unsigned actions = 0;

    (void)world;
    G_STATIC_ASSERT(G_N_ELEMENTS(words) == VH_ACTION_COUNT + 3);
    for (guint i = 0; list[i]; i++) {
        int found = choose(list[i], words, error);

        if (found < 0)
            return -1;
        if (found >= VH_ACTION_COUNT && list[1])
            return refuse(error, "\"%s\" stands alone", list[i]);
        actions |= found < VH_ACTION_COUNT ? 1u << found : found == VH_ACTION_COUNT ? VH_ACTIONS_ALL : 0;
    }
    if (!list[0])
        return refuse(error, "names no action: write none");
    guest->actions = actions;
    return 0;
}

static int take_pool(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest, GError **error)
{
    struct vh_cpuset pool = {0};

    if (!g_str_equal(value, "all") && vh_policy_cpus(value, world, &pool, error) < 0)
        return -1;
    if (!g_str_equal(value, "all") && vh_cpuset_empty(&pool))
        return refuse(error, "names no CPU: write all, or leave the key out");
    guest->placement.pool = pool;
    return 0;
}

static int take_sharing(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                        GError **error)
{
    static const char *const words[] = {"shared", "dedicated", NULL};
    int found = choose(value, words, error);

    (void)world;
    guest->placement.dedicated = found == 1;
    return MIN(found, 0);
}

static int take_smt(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest, GError **error)
{
    static const char *const words[] = {"avoid", "pair", "ignore", NULL};
    int found = choose(value, words, error);

    (void)world;
    G_STATIC_ASSERT(G_N_ELEMENTS(words) == VH_SMT_COUNT + 1);
    guest->placement.smt = found < 0 ? VH_SMT_AVOID : (enum vh_smt)found;
    return MIN(found, 0);
}

static int take_floating(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                         GError **error)
{
    static const char *const words[] = {"free", "pool", "node", NULL};
    int found = choose(value, words, error);

    (void)world;
    G_STATIC_ASSERT(G_N_ELEMENTS(words) == VH_FLOAT_COUNT + 1);
    guest->placement.floating = found < 0 ? VH_FLOAT_FREE : (enum vh_float)found;
    return MIN(found, 0);
}

static int take_overcommit(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                           GError **error)
{
    (void)world;
    return vh_policy_bool(value, &guest->placement.overcommit, error);
}

static int take_off_anchors(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                            GError **error)
{
    (void)world;
    return vh_policy_bool(value, &guest->placement.off_anchors, error);
}

static int take_helper(const char *value, const struct vh_policy_world *world, struct vh_helper *helper,
                       GError **error)
{
    struct vh_helper made = {.where = VH_WHERE_SET};

    if (g_str_equal(value, "free"))
        made.where = VH_WHERE_FREE;
    else if (g_str_equal(value, "pool"))
        made.where = VH_WHERE_POOL;
    else if (g_str_equal(value, "off-anchors"))
        made.where = VH_WHERE_OFF_ANCHORS;
    else if (!g_ascii_isdigit(*value))
        return refuse(error, "\"%s\" is none of free, pool, off-anchors and no list of CPUs", value);
    else if (vh_policy_cpus(value, world, &made.cpus, error) < 0)
        return -1;
    *helper = made;
    return 0;
}

static int take_emulator(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                         GError **error)
{
    return take_helper(value, world, &guest->placement.emulator, error);
}

static int take_iothreads(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                          GError **error)
{
    return take_helper(value, world, &guest->placement.iothreads, error);
}

static int take_vhost(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest, GError **error)
{
    return take_helper(value, world, &guest->placement.vhosts, error);
}

static int take_max_pins(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                         GError **error)
{
    guint64 number = 0;

    (void)world;
    if (!g_ascii_string_to_unsigned(value, 10, 0, VH_GUEST_PINS_MAX, &number, NULL))
        return refuse(error, "\"%s\" is no number of vCPUs from 0 to %u", value, VH_GUEST_PINS_MAX);
    guest->max_pins = (unsigned)number;
    return 0;
}

static int take_max_hints(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                          GError **error)
{
    g_autofree char *plain = g_strndup(value, strlen(value) - (g_str_has_suffix(value, "/s") ? 2 : 0));
    guint64 number = 0;

    (void)world;
    if (g_str_equal(value, "unlimited")) {
        guest->max_hints = 0;
        return 0;
    }
    if (!g_ascii_string_to_unsigned(plain, 10, 1, VH_GUEST_HINTS_MAX, &number, NULL))
        return refuse(error, "\"%s\" is no number of hints from 1/s to %u/s, nor unlimited", value,
                      VH_GUEST_HINTS_MAX);
    guest->max_hints = (unsigned)number;
    return 0;
}

static int take_programs(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                         GError **error)
{
    g_auto(GStrv) words = split(value);

    (void)world;
    if (g_strv_length(words) > VH_PROGRAMS_MAX)
        return refuse(error, "%u programs, the limit is %u", g_strv_length(words), VH_PROGRAMS_MAX);
    g_ptr_array_set_size(guest->programs, 0);
    for (guint i = 0; words[i]; i++) {
        const struct vh_policy_program *program = vh_policy_program(guest->policy, words[i]);
        struct vh_guest_program *made = NULL;

        if (!program || g_str_equal(words[i], "none"))
            continue;
        made = g_new0(struct vh_guest_program, 1);
        made->program = program;
        made->tunables = g_ptr_array_new_with_free_func(g_free);
        for (guint j = 0; j < program->tunables->len; j++)
            g_ptr_array_add(made->tunables, g_strdup(g_ptr_array_index(program->tunables, j)));
        g_ptr_array_add(guest->programs, made);
    }
    return 0;
}

static int take_rules(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest, GError **error)
{
    g_auto(GStrv) words = split(value);

    (void)world;
    (void)error;
    g_ptr_array_set_size(guest->rules, 0);
    for (guint i = 0; i < guest->policy->rules->len; i++) {
        struct vh_rule *rule = g_ptr_array_index(guest->policy->rules, i);
        bool named = false;

        for (guint j = 0; words[j]; j++)
            named = named || g_pattern_match_simple(words[j], rule->name);
        if (named)
            g_ptr_array_add(guest->rules, rule);
    }
    return 0;
}

static const struct key keys[] = {
    {"programs", "none", take_programs},     {"rules", "*", take_rules},
    {"actions", "all", take_actions},        {"pool", "all", take_pool},
    {"sharing", "shared", take_sharing},     {"smt", "avoid", take_smt},
    {"overcommit", "no", take_overcommit},   {"floating", "free", take_floating},
    {"off-anchors", "no", take_off_anchors}, {"emulator", "free", take_emulator},
    {"iothreads", "free", take_iothreads},   {"vhost", "free", take_vhost},
    {"max-pins", "512", take_max_pins},      {"max-hints", "unlimited", take_max_hints},
};
G_STATIC_ASSERT(VH_GUEST_PINS_MAX == 512);

const char *const vh_policy_guest_keys[] = {
    "programs",  "rules",      "actions",  "pool",        "sharing",
    "smt",       "overcommit", "floating", "off-anchors", "emulator",
    "iothreads", "vhost",      "max-pins", "max-hints",   VH_POLICY_SET "PROGRAM.TUNABLE",
    NULL,
};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_policy_guest_keys) == G_N_ELEMENTS(keys) + 2);

static const struct key *find_key(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++)
        if (g_str_equal(keys[i].name, name))
            return &keys[i];
    return NULL;
}

/* ---- what applies ---- */

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

    g_ptr_array_unref(program->tunables);
    g_free(program);
}

static VhGuestPolicy *guest_policy_new(VhPolicy *policy)
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
    vh_policy_unref(guest->policy);
    g_free(guest);
}

static bool matches(const struct vh_guest_section *section, const struct vh_guest_id *id)
{
    const char *pattern = section->pattern;

    if (g_str_has_prefix(pattern, PROFILE))
        return id->profile && *id->profile && g_pattern_match_simple(pattern + strlen(PROFILE), id->profile);
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

static void set_line(VhGuestPolicy *guest, const char *key, const char *value, const struct vh_origin *origin)
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

/* "PROGRAM.TUNABLE": a tunable is a C name, a program's may have dots. NULL: there is no dot. */
static const char *tunable_of(const char *key)
{
    const char *dot = strrchr(key + strlen(VH_POLICY_SET), '.');

    return dot ? dot + 1 : NULL;
}

static void set_tunable(VhGuestPolicy *guest, const char *key, const char *value)
{
    const char *program = key + strlen(VH_POLICY_SET);
    const char *tunable = tunable_of(key);
    gsize len = (gsize)(tunable - program) - 1;
    g_autofree char *assignment = g_strconcat(tunable, "=", NULL);

    for (guint i = 0; i < guest->programs->len; i++) {
        const struct vh_guest_program *given = g_ptr_array_index(guest->programs, i);

        if (strlen(given->program->name) != len || strncmp(given->program->name, program, len) != 0)
            continue;
        for (guint j = given->tunables->len; j > 0; j--)
            if (g_str_has_prefix(g_ptr_array_index(given->tunables, j - 1), assignment))
                g_ptr_array_remove_index(given->tunables, j - 1);
        g_ptr_array_add(given->tunables, g_strconcat(assignment, value, NULL));
    }
}

/* The rules that may act, each with its line. */
static void apply_rules(VhGuestPolicy *guest)
{
    for (guint i = guest->rules->len; i > 0; i--) {
        const struct vh_rule *rule = g_ptr_array_index(guest->rules, i - 1);

        if (!rule->enabled || !(guest->actions & 1u << rule->action))
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
    VhGuestPolicy *guest = guest_policy_new(policy);

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++)
        set_line(guest, keys[i].name, keys[i].fallback, &nowhere);
    for (guint i = 0; i < policy->sections->len; i++) {
        const struct vh_guest_section *section = g_ptr_array_index(policy->sections, i);

        for (guint j = 0; matches(section, id) && j < section->entries->len; j++) {
            const struct vh_policy_entry *entry = g_ptr_array_index(section->entries, j);

            set_line(guest, entry->key, entry->value, &entry->origin);
        }
    }
    /* The programs are there before their tunables, and all values have been checked when the policy was read. */
    for (guint i = 0; i < guest->lines->len; i++) {
        const struct vh_policy_line *line = g_ptr_array_index(guest->lines, i);
        const struct key *key = find_key(line->key);

        if (key && key->take(line->value, &anywhere, guest, NULL) < 0)
            g_warning("policy: %s = %s is not taken any longer", line->key, line->value);
        else if (!key)
            set_tunable(guest, line->key, line->value);
    }
    apply_rules(guest);
    return guest;
}

/* ---- sections ---- */

void vh_guest_section_free(gpointer data)
{
    struct vh_guest_section *section = data;

    g_free(section->pattern);
    g_ptr_array_unref(section->entries);
    g_free(section);
}

static bool is_exact(const char *pattern)
{
    return !strpbrk(pattern, "*?") && !g_str_has_prefix(pattern, PROFILE);
}

static unsigned rank(const char *pattern)
{
    unsigned plain = 0;

    for (const char *at = pattern; *at; at++)
        plain += *at != '*' && *at != '?';
    if (is_exact(pattern))
        return RANK_EXACT;
    plain = MIN(plain, RANK_PROFILE - 1);
    return g_str_has_prefix(pattern, PROFILE) ? RANK_PROFILE + plain : plain;
}

static int check_programs(const struct vh_policy_reader *reader, const struct vh_policy_entry *entry,
                          GError **error)
{
    g_auto(GStrv) words = split(entry->value);

    for (guint i = 0; words[i]; i++)
        if (!g_str_equal(words[i], "none") && !vh_policy_need_program(reader, words[i], &entry->origin, error))
            return -1;
    return 0;
}

static int check_rule_names(const struct vh_policy_reader *reader, const char *value, GError **error)
{
    g_auto(GStrv) words = split(value);
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
            return refuse(error, "no rule is called \"%s\"%s%s%s", words[i], best ? "; did you mean \"" : "",
                          best ? best : "", best ? "\"?" : "");
    }
    return 0;
}

/* Is there such a program, and such a variable in its object? */
static int check_tunable(const struct vh_policy_reader *reader, const struct vh_policy_entry *entry,
                         GError **error)
{
    const char *name = entry->key + strlen(VH_POLICY_SET);
    const char *tunable = tunable_of(entry->key);
    g_autofree char *program_name = tunable ? g_strndup(name, (gsize)(tunable - name) - 1) : NULL;
    const struct vh_policy_program *program = NULL;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const struct btf *btf = NULL;
    const char *best = NULL;

    if (!tunable || !*tunable || !*program_name)
        return refuse(error, "a tunable is set by " VH_POLICY_SET "PROGRAM.TUNABLE = VALUE");
    program = vh_policy_need_program(reader, program_name, &entry->origin, error);
    if (!program)
        return -1;
    if (strlen(tunable) + strlen(entry->value) + 2 > VH_TUNABLES_MAX)
        return refuse(error, "the tunables have more than %u bytes", VH_TUNABLES_MAX);
    btf = program->object->btf;
    for (uint32_t i = 1; btf && i < btf__type_cnt(btf); i++) {
        const struct btf_type *type = btf__type_by_id(btf, i);
        const char *found = btf_is_var(type) ? btf__name_by_offset(btf, type->name_off) : NULL;

        if (found && g_str_equal(found, tunable))
            return 0;
        if (found && !g_str_has_prefix(found, "vh_"))
            g_ptr_array_add(names, (char *)found);
    }
    g_ptr_array_add(names, NULL);
    best = vh_nearest(tunable, (const char *const *)names->pdata);
    return refuse(error, "the program %s has no variable \"%s\"%s%s%s", program_name, tunable,
                  best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
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
    return refuse(error, "unknown key; did you mean \"%s\"?", best ? best : vh_policy_guest_keys[0]);
}

/* 1: a checked entry of policy; 0: config.h's business; -1 and an error. */
static int check_entry(struct vh_policy_reader *reader, const struct vh_policy_section *section,
                       const struct vh_policy_entry *entry, VhGuestPolicy *scratch, GError **error)
{
    const struct key *key = find_key(entry->key);

    if (section->main && g_strv_contains(vh_config_guest_keys, entry->key))
        return 0;
    if (g_strv_contains(vh_config_guest_keys, entry->key))
        return refuse(error, "belongs into vhint.conf, which names the guests that are not libvirt's");
    if (g_str_has_prefix(entry->key, VH_POLICY_SET))
        return check_tunable(reader, entry, error) < 0 ? -1 : 1;
    if (!key)
        return refuse_key(section, entry->key, error);
    if (key->take == take_programs && check_programs(reader, entry, error) < 0)
        return -1;
    if (key->take == take_rules && check_rule_names(reader, entry->value, error) < 0)
        return -1;
    return key->take(entry->value, reader->world, scratch, error) < 0 ? -1 : 1;
}

void vh_policy_read_guest(struct vh_policy_reader *reader, const struct vh_policy_section *section)
{
    struct vh_guest_section *made = g_new0(struct vh_guest_section, 1);
    g_autoptr(VhGuestPolicy) scratch = guest_policy_new(reader->policy);

    made->pattern = g_strdup(section->name + strlen("guest "));
    made->rank = rank(made->pattern);
    made->origin = section->origin;
    made->entries = g_ptr_array_new_with_free_func(vh_policy_entry_free);
    if (g_str_equal(made->pattern, PROFILE))
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
        *copy = (struct vh_policy_entry){g_strdup(entry->key), g_strdup(entry->value), entry->origin};
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
static VhGuestPolicy *sample(const struct vh_policy_reader *reader, const struct vh_guest_section *section)
{
    g_autoptr(GString) name = g_string_new(NULL);
    bool profile = g_str_has_prefix(section->pattern, PROFILE);

    for (const char *at = section->pattern + (profile ? strlen(PROFILE) : 0); *at; at++)
        if (*at != '*')
            g_string_append_c(name, *at == '?' ? 'x' : *at);
    return vh_policy_for(reader->policy, &(struct vh_guest_id){.name = profile ? NULL : name->str,
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

static void refuse_line(const struct vh_policy_reader *reader, const struct vh_guest_section *section,
                        const struct vh_policy_line *line, const char *text)
{
    g_autofree char *name = g_strdup_printf("guest %s", section->pattern);
    struct vh_policy_section about = {.name = name, .origin = section->origin};
    struct vh_policy_entry entry = {line->key, line->value, line->origin};

    vh_policy_refuse(reader, &about, line->origin.line ? &entry : NULL, "%s", text);
}

static void check_pool(const struct vh_policy_reader *reader, const struct vh_guest_section *section,
                       const VhGuestPolicy *guest)
{
    const struct vh_placement_options *options = &guest->placement;
    struct vh_cpuset left = options->pool;

    vh_cpuset_sub(&left, &reader->policy->reserve);
    if (options->dedicated && vh_cpuset_empty(&options->pool))
        refuse_line(reader, section, line_of(guest, "sharing"),
                    "no pool is named: add pool = CPUS, or no other guest would have any");
    else if (!vh_cpuset_empty(&options->pool) && vh_cpuset_empty(&left))
        refuse_line(reader, section, line_of(guest, "pool"), "[host] reserve has all of these CPUs");
}

static bool same_origin(const struct vh_policy_line *a, const struct vh_policy_line *b)
{
    return a->origin.file == b->origin.file && a->origin.line == b->origin.line;
}

static void check_overlap(const struct vh_policy_reader *reader, const struct vh_guest_section *section,
                          const VhGuestPolicy *guest, const struct vh_guest_section *earlier,
                          const VhGuestPolicy *other)
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
    if (same_origin(line, other_line) && !(is_exact(section->pattern) && is_exact(earlier->pattern)))
        return;
    cpus = vh_cpuset_format(&common);
    text = g_strdup_printf("CPU %s %s dedicated to [guest %s] already (%s:%u): give each its own, or share", cpus,
                           strpbrk(cpus, ",-") ? "are" : "is", earlier->pattern, other_line->origin.file,
                           other_line->origin.line);
    refuse_line(reader, section, line, text);
}

void vh_policy_check_pools(struct vh_policy_reader *reader)
{
    GPtrArray *sections = reader->policy->sections;
    g_autoptr(GPtrArray) samples = g_ptr_array_new_with_free_func((GDestroyNotify)vh_guest_policy_free);

    for (guint i = 0; i < sections->len; i++) {
        const struct vh_guest_section *section = g_ptr_array_index(sections, i);
        VhGuestPolicy *guest = sample(reader, section);

        g_ptr_array_add(samples, guest);
        check_pool(reader, section, guest);
        for (guint j = 0; j < i; j++)
            check_overlap(reader, section, guest, g_ptr_array_index(sections, j), g_ptr_array_index(samples, j));
    }
}
