// SPDX-License-Identifier: GPL-2.0-or-later
// The keys of [guest PATTERN] and their values.
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "policy/reader.h"

/* The position of `word` in the NULL-terminated `words`; -1 and an error. */
static int choose(const char *word, const char *const *words, GError **error)
{
    g_autofree char *all = NULL;
    const char *best = vh_nearest(word, words);

    for (int i = 0; words[i]; i++)
        if (g_str_equal(word, words[i]))
            return i;
    all = g_strjoinv(", ", (char **)words);
    return vh_invalid(error, "\"%s\" is none of %s; did you mean \"%s\"?", word, all,
                      best ? best : words[0]);
}

static int take_actions(const char *value, const struct vh_policy_world *world,
                        VhGuestPolicy *guest, GError **error)
{
    static const char *const alone[] = {"all", "none", NULL};
    g_autofree const char **words = vh_action_names(alone);
    g_auto(GStrv) list = vh_policy_split(value);
    unsigned actions = 0;

    (void)world;
    for (guint i = 0; list[i]; i++) {
        int found = choose(list[i], words, error);

        if (found < 0)
            return -1;
        if (!g_strv_contains(alone, list[i]))
            actions |= vh_action_bit(vh_actions[found]);
        else if (list[1])
            return vh_invalid(error, "\"%s\" must stand alone", list[i]);
        else if (g_str_equal(list[i], "all"))
            actions = vh_actions_all();
    }
    if (!list[0])
        return vh_invalid(error, "names no action: write none");
    guest->actions = actions;
    return 0;
}

static int take_pool(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                     GError **error)
{
    struct vh_cpuset pool = {0};

    if (!g_str_equal(value, "all") && vh_policy_cpus(value, world, &pool, error) < 0)
        return -1;
    if (!g_str_equal(value, "all") && vh_cpuset_empty(&pool))
        return vh_invalid(error, "names no CPU: write all, or leave the key out");
    guest->placement.pool = pool;
    return 0;
}

static int take_sharing(const char *value, const struct vh_policy_world *world,
                        VhGuestPolicy *guest, GError **error)
{
    static const char *const words[] = {"shared", "dedicated", NULL};
    int found = choose(value, words, error);

    (void)world;
    guest->placement.dedicated = found == 1;
    return MIN(found, 0);
}

static int take_smt(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                    GError **error)
{
    static const char *const words[] = {"avoid", "pair", "ignore", NULL};
    int found = choose(value, words, error);

    (void)world;
    G_STATIC_ASSERT(G_N_ELEMENTS(words) == VH_SMT_COUNT + 1);
    guest->placement.smt = found < 0 ? VH_SMT_AVOID : (enum vh_smt)found;
    return MIN(found, 0);
}

static int take_floating(const char *value, const struct vh_policy_world *world,
                         VhGuestPolicy *guest, GError **error)
{
    static const char *const words[] = {"free", "pool", "node", NULL};
    int found = choose(value, words, error);

    (void)world;
    G_STATIC_ASSERT(G_N_ELEMENTS(words) == VH_FLOAT_COUNT + 1);
    guest->placement.floating = found < 0 ? VH_FLOAT_FREE : (enum vh_float)found;
    return MIN(found, 0);
}

static int take_overcommit(const char *value, const struct vh_policy_world *world,
                           VhGuestPolicy *guest, GError **error)
{
    (void)world;
    return vh_policy_bool(value, &guest->placement.overcommit, error);
}

static int take_off_anchors(const char *value, const struct vh_policy_world *world,
                            VhGuestPolicy *guest, GError **error)
{
    (void)world;
    return vh_policy_bool(value, &guest->placement.off_anchors, error);
}

static int take_helper(const char *value, const struct vh_policy_world *world,
                       struct vh_helper *helper, GError **error)
{
    struct vh_helper made = {.where = VH_WHERE_SET};

    if (g_str_equal(value, "free"))
        made.where = VH_WHERE_FREE;
    else if (g_str_equal(value, "pool"))
        made.where = VH_WHERE_POOL;
    else if (g_str_equal(value, "off-anchors"))
        made.where = VH_WHERE_OFF_ANCHORS;
    else if (!g_ascii_isdigit(*value))
        return vh_invalid(error, "\"%s\" is none of free, pool, off-anchors, and no list of CPUs",
                          value);
    else if (vh_policy_cpus(value, world, &made.cpus, error) < 0)
        return -1;
    *helper = made;
    return 0;
}

static int take_emulator(const char *value, const struct vh_policy_world *world,
                         VhGuestPolicy *guest, GError **error)
{
    return take_helper(value, world, &guest->placement.emulator, error);
}

static int take_iothreads(const char *value, const struct vh_policy_world *world,
                          VhGuestPolicy *guest, GError **error)
{
    return take_helper(value, world, &guest->placement.iothreads, error);
}

static int take_vhost(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                      GError **error)
{
    return take_helper(value, world, &guest->placement.vhosts, error);
}

static int take_max_pins(const char *value, const struct vh_policy_world *world,
                         VhGuestPolicy *guest, GError **error)
{
    guint64 number = 0;

    (void)world;
    if (!g_ascii_string_to_unsigned(value, 10, 0, VH_GUEST_PINS_MAX, &number, NULL))
        return vh_invalid(error, "\"%s\" is no number of vCPUs from 0 to %u", value,
                          VH_GUEST_PINS_MAX);
    guest->max_pins = (unsigned)number;
    return 0;
}

static int take_max_hints(const char *value, const struct vh_policy_world *world,
                          VhGuestPolicy *guest, GError **error)
{
    g_autofree char *plain =
        g_strndup(value, strlen(value) - (g_str_has_suffix(value, "/s") ? 2 : 0));
    guint64 number = 0;

    (void)world;
    if (g_str_equal(value, "unlimited")) {
        guest->max_hints = 0;
        return 0;
    }
    if (!g_ascii_string_to_unsigned(plain, 10, 1, VH_GUEST_HINTS_MAX, &number, NULL))
        return vh_invalid(error, "\"%s\" is no number of hints from 1/s to %u/s, nor unlimited",
                          value, VH_GUEST_HINTS_MAX);
    guest->max_hints = (unsigned)number;
    return 0;
}

/* "512M", "2G", in bytes. 0, or -1 and an error. */
static int take_size(const char *value, guint64 least, guint64 *bytes, GError **error)
{
    static const char units[] = "MGT";
    char *end = NULL;
    guint64 number = g_ascii_strtoull(value, &end, 10);
    const char *unit = *end ? strchr(units, g_ascii_toupper(*end)) : NULL;
    unsigned shift = unit ? 20 + 10 * (unsigned)(unit - units) : 0;

    if (!g_ascii_isdigit(*value) || !unit || end[1])
        return vh_invalid(error, "\"%s\" is no size: write 512M, 2G or 1T", value);
    if (number > (guint64)G_MAXINT64 >> shift || number << shift < least)
        return vh_invalid(error, "\"%s\" is not from %" G_GUINT64_FORMAT "M to 8388607T", value,
                          least >> 20);
    *bytes = number << shift;
    return 0;
}

static int take_memory_min(const char *value, const struct vh_policy_world *world,
                           VhGuestPolicy *guest, GError **error)
{
    (void)world;
    guest->memory.min = 0;
    return g_str_equal(value, "none") ? 0 : take_size(value, 1, &guest->memory.min, error);
}

static int take_memory_max(const char *value, const struct vh_policy_world *world,
                           VhGuestPolicy *guest, GError **error)
{
    (void)world;
    guest->memory.max = 0;
    return g_str_equal(value, "none") ? 0 : take_size(value, 1, &guest->memory.max, error);
}

static int take_memory_step(const char *value, const struct vh_policy_world *world,
                            VhGuestPolicy *guest, GError **error)
{
    (void)world;
    return take_size(value, VH_GROWTH_STEP_MIN, &guest->memory.step, error);
}

static int take_memory_linger(const char *value, const struct vh_policy_world *world,
                              VhGuestPolicy *guest, GError **error)
{
    gint64 linger = 0;

    (void)world;
    if (vh_duration_parse(value, &linger, error) < 0)
        return -1;
    if (linger < G_USEC_PER_SEC / 10 || linger > 3600 * (gint64)G_USEC_PER_SEC)
        return vh_invalid(error, "\"%s\" is not from 100ms to 1h", value);
    guest->memory.linger = linger;
    return 0;
}

static int take_programs(const char *value, const struct vh_policy_world *world,
                         VhGuestPolicy *guest, GError **error)
{
    g_auto(GStrv) words = vh_policy_split(value);

    (void)world;
    if (g_strv_length(words) > VH_PROGRAMS_MAX)
        return vh_invalid(error, "names %u programs, the limit is %u", g_strv_length(words),
                          VH_PROGRAMS_MAX);
    g_ptr_array_set_size(guest->programs, 0);
    for (guint i = 0; words[i]; i++) {
        const struct vh_policy_program *program = vh_policy_program(guest->policy, words[i]);
        struct vh_guest_program *made = NULL;

        if (!program || g_str_equal(words[i], "none"))
            continue;
        made = g_new0(struct vh_guest_program, 1);
        made->program = program;
        made->tunables = g_byte_array_new();
        g_byte_array_append(made->tunables, program->tunables->data, program->tunables->len);
        g_ptr_array_add(guest->programs, made);
    }
    return 0;
}

static int take_bootstrap(const char *value, const struct vh_policy_world *world,
                          VhGuestPolicy *guest, GError **error)
{
    (void)world;
    return vh_policy_bool(value, &guest->bootstrap, error);
}

static int take_rules(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                      GError **error)
{
    g_auto(GStrv) words = vh_policy_split(value);

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

const struct vh_policy_key vh_policy_keys[VH_POLICY_KEYS] = {
    {"programs", "none", take_programs},       {"rules", "*", take_rules},
    {"actions", "all", take_actions},          {"pool", "all", take_pool},
    {"sharing", "shared", take_sharing},       {"smt", "avoid", take_smt},
    {"overcommit", "no", take_overcommit},     {"floating", "free", take_floating},
    {"off-anchors", "no", take_off_anchors},   {"emulator", "free", take_emulator},
    {"iothreads", "free", take_iothreads},     {"vhost", "free", take_vhost},
    {"max-pins", "512", take_max_pins},        {"max-hints", "unlimited", take_max_hints},
    {"memory-min", "none", take_memory_min},   {"memory-max", "none", take_memory_max},
    {"memory-step", "256M", take_memory_step}, {"memory-linger", "5s", take_memory_linger},
    {"bootstrap", "no", take_bootstrap},
};
G_STATIC_ASSERT(VH_GUEST_PINS_MAX == 512);

const char *const vh_policy_guest_keys[] = {
    "programs",   "rules",       "actions",       "pool",        "sharing",
    "smt",        "overcommit",  "floating",      "off-anchors", "emulator",
    "iothreads",  "vhost",       "max-pins",      "max-hints",   "memory-min",
    "memory-max", "memory-step", "memory-linger", "bootstrap",   VH_POLICY_SET "PROGRAM.TUNABLE",
    NULL,
};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_policy_guest_keys) == VH_POLICY_KEYS + 2);

const struct vh_policy_key *vh_policy_key(const char *name)
{
    for (gsize i = 0; i < VH_POLICY_KEYS; i++)
        if (g_str_equal(vh_policy_keys[i].name, name))
            return &vh_policy_keys[i];
    return NULL;
}
