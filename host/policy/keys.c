// SPDX-License-Identifier: GPL-2.0-or-later
// The keys of [guest PATTERN] and their values.
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "net/words.h"
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

static int take_actions(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error)
{
    static const char *const alone[] = {"all", "none", NULL};
    g_autofree const char **words = vh_action_names(alone);
    g_auto(GStrv) list = vh_policy_split(value);
    unsigned actions = 0;

    (void)reader;
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
    *(unsigned *)into = actions;
    return 0;
}

static int take_pool(const char *value, const struct vh_policy_reader *reader, gpointer into,
                     GError **error)
{
    struct vh_cpuset pool = {0};

    if (!g_str_equal(value, "all") && vh_policy_take_cpus(value, reader, &pool, error) < 0)
        return -1;
    if (!g_str_equal(value, "all") && vh_cpuset_empty(&pool))
        return vh_invalid(error, "names no CPU: write all, or leave the key out");
    *(struct vh_cpuset *)into = pool;
    return 0;
}

static int take_sharing(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error)
{
    static const char *const words[] = {"shared", "dedicated", NULL};
    int found = choose(value, words, error);

    (void)reader;
    if (found < 0)
        return -1;
    *(bool *)into = found == 1;
    return 0;
}

static int take_smt(const char *value, const struct vh_policy_reader *reader, gpointer into,
                    GError **error)
{
    static const char *const words[] = {"avoid", "pair", "ignore", NULL};
    int found = choose(value, words, error);

    (void)reader;
    G_STATIC_ASSERT(G_N_ELEMENTS(words) == VH_SMT_COUNT + 1);
    if (found < 0)
        return -1;
    *(enum vh_smt *)into = (enum vh_smt)found;
    return 0;
}

static int take_floating(const char *value, const struct vh_policy_reader *reader, gpointer into,
                         GError **error)
{
    static const char *const words[] = {"free", "pool", "node", NULL};
    int found = choose(value, words, error);

    (void)reader;
    G_STATIC_ASSERT(G_N_ELEMENTS(words) == VH_FLOAT_COUNT + 1);
    if (found < 0)
        return -1;
    *(enum vh_float *)into = (enum vh_float)found;
    return 0;
}

static int take_helper(const char *value, const struct vh_policy_reader *reader, gpointer into,
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
        return vh_invalid(error, "\"%s\" is none of free, pool, off-anchors, and no list of CPUs",
                          value);
    else if (vh_policy_take_cpus(value, reader, &made.cpus, error) < 0)
        return -1;
    *(struct vh_helper *)into = made;
    return 0;
}

static int take_max_pins(const char *value, const struct vh_policy_reader *reader, gpointer into,
                         GError **error)
{
    guint64 number = 0;

    (void)reader;
    if (!g_ascii_string_to_unsigned(value, 10, 0, VH_GUEST_PINS_MAX, &number, NULL))
        return vh_invalid(error, "\"%s\" is no number of vCPUs from 0 to %u", value,
                          VH_GUEST_PINS_MAX);
    *(unsigned *)into = (unsigned)number;
    return 0;
}

static int take_max_hints(const char *value, const struct vh_policy_reader *reader, gpointer into,
                          GError **error)
{
    bool rate = g_str_has_suffix(value, "/s");
    g_autofree char *plain = g_strndup(value, strlen(value) - (rate ? 2 : 0));
    guint64 number = 0;

    (void)reader;
    if (!g_str_equal(value, "unlimited") &&
        !g_ascii_string_to_unsigned(plain, 10, 1, VH_GUEST_HINTS_MAX, &number, NULL))
        return vh_invalid(error, "\"%s\" is no number of hints from 1/s to %u/s, nor unlimited",
                          value, VH_GUEST_HINTS_MAX);
    if (number && !rate)
        return vh_invalid(error, "\"%s\" does not say per what time: write %s/s", value, value);
    *(unsigned *)into = (unsigned)number;
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

static int take_memory(const char *value, const struct vh_policy_reader *reader, gpointer into,
                       GError **error)
{
    guint64 size = 0;

    (void)reader;
    if (!g_str_equal(value, "none") && take_size(value, 1, &size, error) < 0)
        return -1;
    *(guint64 *)into = size;
    return 0;
}

static int take_step(const char *value, const struct vh_policy_reader *reader, gpointer into,
                     GError **error)
{
    (void)reader;
    return take_size(value, VH_GROWTH_STEP_MIN, into, error);
}

static int take_linger(const char *value, const struct vh_policy_reader *reader, gpointer into,
                       GError **error)
{
    (void)reader;
    return vh_policy_time(value, G_USEC_PER_SEC / 10, (gint64)3600 * G_USEC_PER_SEC, into, error);
}

#if VH_NET_KINDS
/* ---- offloads ---- */

/* Bits by stage. */
static int take_offloads(const char *value, const struct vh_policy_reader *reader, gpointer into,
                         GError **error)
{
    const char *words[VH_STAGES + 2] = {"none"};
    unsigned stages[VH_STAGES + 1] = {0};
    g_auto(GStrv) list = vh_policy_split(value);
    unsigned count = 1;
    unsigned kinds = 0;

    (void)reader;
    for (unsigned stage = 0; stage < VH_STAGES; stage++) {
        if (!vh_net_names[stage])
            continue;
        words[count] = vh_net_names[stage];
        stages[count++] = stage;
    }
    for (guint i = 0; list[i]; i++) {
        int found = choose(list[i], words, error);

        if (found < 0)
            return -1;
        if (found == 0 && list[1])
            return vh_invalid(error, "\"none\" must stand alone");
        if (found > 0)
            kinds |= 1u << stages[found];
    }
    if (!list[0])
        return vh_invalid(error, "names no offload: write none");
    *(unsigned *)into = kinds;
    return 0;
}

/* What the kernel takes for an interface's name. */
static int take_uplink(const char *value, const struct vh_policy_reader *reader, gpointer into,
                       GError **error)
{
    char name[IFNAMSIZ] = "";

    (void)reader;
    if (!*value || strlen(value) >= IFNAMSIZ || strpbrk(value, "/: \t") ||
        g_str_equal(value, ".") || g_str_equal(value, ".."))
        return vh_invalid(error,
                          "\"%s\" is no name of an interface: it has 1 to %d characters, and "
                          "neither / nor : nor a space",
                          value, IFNAMSIZ - 1);
    if (!g_str_equal(value, "none"))
        g_strlcpy(name, value, sizeof(name));
    memcpy(into, name, sizeof(name));
    return 0;
}

static int take_cycles(const char *value, const struct vh_policy_reader *reader, gpointer into,
                       GError **error)
{
    unsigned share = 0;

    if (vh_policy_take_share(value, reader, &share, error) < 0)
        return -1;
    if (share < 1 || share > 100)
        return vh_invalid(error, "\"%s\" is not from 1%% to 100%% of a host CPU", value);
    *(unsigned *)into = share;
    return 0;
}

static int take_offload_memory(const char *value, const struct vh_policy_reader *reader,
                               gpointer into, GError **error)
{
    (void)reader;
    return take_size(value, (guint64)1 << 20, into, error);
}
#endif

/* ---- lists: GPtrArray * of what the policy has, owned by the policy ---- */

/* struct vh_policy_program *. */
static int take_programs(const char *value, const struct vh_policy_reader *reader, gpointer into,
                         GError **error)
{
    g_auto(GStrv) words = vh_policy_split(value);
    g_autoptr(GPtrArray) programs = g_ptr_array_new();

    if (g_strv_length(words) > VH_PROGRAMS_MAX)
        return vh_invalid(error, "names %u programs, the limit is %u", g_strv_length(words),
                          VH_PROGRAMS_MAX);
    for (guint i = 0; words[i]; i++) {
        struct vh_policy_program *program = NULL;

        if (g_str_equal(words[i], "none"))
            continue;
        program = vh_policy_need_program(reader, words[i], error);
        if (!program)
            return -1;
        g_ptr_array_add(programs, program);
    }
    *(GPtrArray **)into = programs;
    g_ptr_array_add(reader->policy->lists, g_steal_pointer(&programs));
    return 0;
}

/* Is there a rule that a word of `rules` means, good or not? */
static int check_rule_name(const struct vh_policy_reader *reader, const char *word, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *best = NULL;

    for (guint i = 0; i < reader->sections->len; i++) {
        const struct vh_policy_section *section = g_ptr_array_index(reader->sections, i);
        const char *name = section->name + strlen("rule ");

        if (!g_str_has_prefix(section->name, "rule "))
            continue;
        if (g_pattern_match_simple(word, name))
            return 0;
        g_ptr_array_add(names, (char *)name);
    }
    g_ptr_array_add(names, NULL);
    best = vh_nearest(word, (const char *const *)names->pdata);
    return vh_invalid(error, "no rule is called \"%s\"%s%s%s", word,
                      best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
}

/* struct vh_rule *, in the files' order. */
static int take_rules(const char *value, const struct vh_policy_reader *reader, gpointer into,
                      GError **error)
{
    g_auto(GStrv) words = vh_policy_split(value);
    g_autoptr(GPtrArray) rules = g_ptr_array_new();

    for (guint i = 0; words[i]; i++)
        if (!g_str_equal(words[i], "none") && !g_str_equal(words[i], "*") &&
            check_rule_name(reader, words[i], error) < 0)
            return -1;
    for (guint i = 0; i < reader->policy->rules->len; i++) {
        struct vh_rule *rule = g_ptr_array_index(reader->policy->rules, i);
        bool named = false;

        for (guint j = 0; words[j]; j++)
            named = named || g_pattern_match_simple(words[j], rule->name);
        if (named)
            g_ptr_array_add(rules, rule);
    }
    *(GPtrArray **)into = rules;
    g_ptr_array_add(reader->policy->lists, g_steal_pointer(&rules));
    return 0;
}

/* ---- the table ---- */

#define GUEST(member) offsetof(VhGuestPolicy, member), sizeof(((VhGuestPolicy *)NULL)->member)

const struct vh_policy_key vh_policy_guest_keys[] = {
    {"programs", "none", GUEST(named_programs), take_programs},
    {"rules", "*", GUEST(named_rules), take_rules},
    {"actions", "all", GUEST(actions), take_actions},
    {"pool", "all", GUEST(placement.pool), take_pool},
    {"sharing", "shared", GUEST(placement.dedicated), take_sharing},
    {"smt", "avoid", GUEST(placement.smt), take_smt},
    {"overcommit", "no", GUEST(placement.overcommit), vh_policy_take_bool},
    {"floating", "free", GUEST(placement.floating), take_floating},
    {"off-anchors", "no", GUEST(placement.off_anchors), vh_policy_take_bool},
    {"emulator", "free", GUEST(placement.emulator), take_helper},
    {"iothreads", "free", GUEST(placement.iothreads), take_helper},
    {"vhost", "free", GUEST(placement.vhosts), take_helper},
    {"max-pins", "512", GUEST(max_pins), take_max_pins},
    {"max-hints", "unlimited", GUEST(max_hints), take_max_hints},
    {"memory-min", "none", GUEST(memory.min), take_memory},
    {"memory-max", "none", GUEST(memory.max), take_memory},
    {"memory-step", "256M", GUEST(memory.step), take_step},
    {"memory-linger", "5s", GUEST(memory.linger), take_linger},
    {"bootstrap", "no", GUEST(bootstrap), vh_policy_take_bool},
#if VH_NET_KINDS
    {"offloads", "none", GUEST(offload.kinds), take_offloads},
    {"uplink", "none", GUEST(offload.uplink), take_uplink},
    {"offload-cycles", "20%", GUEST(offload.cycles), take_cycles},
    {"offload-memory", "64M", GUEST(offload.memory), take_offload_memory},
#endif
    {0},
};
G_STATIC_ASSERT(VH_GUEST_PINS_MAX == 512);
