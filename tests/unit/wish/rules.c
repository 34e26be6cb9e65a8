/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts and rules to wishes: the default rules, a stranger's kind, hold and cooldown, limits. */
#include "wish/rules.h"

#include <math.h>
#include <string.h>

#include "lib/fake-object.h"

#define SECOND G_USEC_PER_SEC
#define VCPUS 4

static const char defaults[] =
#include "policy/policy-default.inc"
    ;

/* A guest of four vCPUs: guest CPU i is served by vCPU 3 - i. */
struct fixture {
    VhPolicy *policy;
    VhGuestPolicy *guest;
    VhRules *rules;
    VhFacts *facts;
    VhObject *affinity, *stranger;
    struct vh_cpu_map map;
    struct vh_wish wishes[VCPUS];
    gint64 now, next;
    GString *log;
};

static VhGuestPolicy *parse(const char *text, VhPolicy **policy)
{
    const struct vh_policy_world world = {.read_object = fake_object_read,
                                          .list_objects = fake_object_list};
    const struct vh_policy_text texts[] = {{"default", defaults, sizeof(defaults) - 1, false},
                                           {"test", text, strlen(text), false}};
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    *policy = vh_policy_parse(texts, 2, &world, problems);
    if (!*policy)
        g_error("%s", (const char *)g_ptr_array_index(problems, 0));
    return vh_policy_for(*policy, &(struct vh_guest_id){.name = "guest"});
}

static struct fixture *begin(const char *text)
{
    struct fixture *f = g_new0(struct fixture, 1);

    f->guest = parse(text, &f->policy);
    f->rules = vh_rules_new();
    vh_rules_set(f->rules, f->guest);
    f->facts = vh_facts_new();
    f->affinity = fake_object_affinity();
    f->stranger = fake_object_stranger();
    f->map.count = VCPUS;
    for (int i = 0; i < VCPUS; i++) {
        f->map.cpus[i].known = true;
        f->map.cpus[i].online = true;
        f->map.cpus[i].vcpu = VCPUS - 1 - i;
    }
    f->log = g_string_new(NULL);
    return f;
}

static void end(struct fixture *f)
{
    vh_rules_free(f->rules);
    vh_facts_free(f->facts);
    vh_guest_policy_free(f->guest);
    vh_policy_unref(f->policy);
    vh_object_unref(f->affinity);
    vh_object_unref(f->stranger);
    g_string_free(f->log, TRUE);
    g_free(f);
}

static void on_log(const struct vh_rule *rule, const char *text, gpointer data)
{
    struct fixture *f = data;

    g_string_append_printf(f->log, "%s: %s\n", rule->name, text);
}

static enum vh_verdict take(struct fixture *f, VhObject *object, const struct vh_hint *hint,
                            const void *record, bool *event)
{
    const struct vh_kind *kind = &object->kinds[0];
    struct vh_seen seen = {.kind = kind, .record = record};
    int result = vh_facts_take(f->facts, 1, kind, hint, record, &seen.fact);
    bool unused = false;

    if (hint->flags & VH_HINT_GONE)
        return VH_VERDICT_OTHER;
    seen.news = result > 0 || !hint->key_size;
    return vh_rules_see(f->rules, &seen, &f->map, f->now, event ? event : &unused, on_log, f);
}

/* A task bound to the CPUs of `mask`; 0: gone. */
static enum vh_verdict task(struct fixture *f, guint32 pid, guint64 mask)
{
    struct fake_affinity record = {.h = fake_hint(sizeof(record), 1, 4), .pid = pid};

    record.mask[0] = mask;
    record.cpus = (guint32)__builtin_popcountll(mask);
    record.h.flags = mask ? 0 : VH_HINT_GONE;
    g_strlcpy(record.comm, "worker", sizeof(record.comm));
    return take(f, f->affinity, &record.h, &record, NULL);
}

static void wish(struct fixture *f)
{
    f->next = vh_rules_wishes(f->rules, f->facts, &f->map, f->now, f->wishes, VCPUS);
}

/* Guest CPUs that are to be pinned, as bits. */
static unsigned anchors(struct fixture *f)
{
    unsigned bits = 0;

    wish(f);
    for (int i = 0; i < VCPUS; i++) {
        if (f->wishes[i].kind != VH_WISH_ANCHOR)
            continue;
        g_assert_cmpint(f->wishes[i].guest_cpu, ==, VCPUS - 1 - i);
        bits |= 1u << f->wishes[i].guest_cpu;
    }
    return bits;
}

/* ---- the default rules ---- */

static void test_affinity(void)
{
    struct fixture *f = begin("");

    g_assert_cmpuint(anchors(f), ==, 0);
    g_assert_cmpint(task(f, 10, 1 << 2), ==, VH_VERDICT_OK);
    task(f, 11, 1 << 2);
    g_assert_cmpuint(anchors(f), ==, 1 << 2);
    g_assert_cmpuint(f->wishes[1].tasks, ==, 2);
    g_assert_cmpstr(f->wishes[1].rule->name, ==, "affinity-pin");
    task(f, 10, 1 << 0);
    g_assert_cmpuint(anchors(f), ==, 1 << 2 | 1 << 0);
    task(f, 11, 0);
    g_assert_cmpuint(anchors(f), ==, 1 << 0);
    task(f, 10, 0);
    g_assert_cmpuint(anchors(f), ==, 0);
    g_assert_cmpint(f->next, ==, -1);
    end(f);
}

static void note_behind(const struct vh_rule *rule, const struct vh_fact *fact, gpointer data)
{
    const struct fake_affinity *affinity = (const void *)fact->record;

    g_string_append_printf(data, "%s:%u ", rule->name, affinity->pid);
}

/* What is behind the wishes of one vCPU, and of no other. VCPUS - 1 - N serves guest CPU N. */
static void test_behind(void)
{
    struct fixture *f = begin("[rule affinity-boost]\nenabled = no\n");
    g_autoptr(GString) text = g_string_new(NULL);

    task(f, 10, 1 << 2);
    task(f, 12, 1 << 0 | 1 << 1);
    vh_rules_behind(f->rules, f->facts, &f->map, VCPUS - 1 - 2, note_behind, text);
    g_assert_cmpstr(text->str, ==, "affinity-pin:10 ");
    g_string_truncate(text, 0);
    vh_rules_behind(f->rules, f->facts, &f->map, VCPUS - 1 - 1, note_behind, text);
    g_assert_cmpstr(text->str, ==, "affinity-group:12 ");
    g_string_truncate(text, 0);
    task(f, 12, 0);
    vh_rules_behind(f->rules, f->facts, &f->map, VCPUS - 1 - 1, note_behind, text);
    vh_rules_behind(f->rules, f->facts, &f->map, VCPUS, note_behind, text);
    g_assert_cmpstr(text->str, ==, "");
    end(f);
}

static void test_groups(void)
{
    struct fixture *f = begin("");

    task(f, 10, 0x3);
    task(f, 11, 0xc);
    g_assert_cmpuint(anchors(f), ==, 0);
    g_assert_cmpuint(f->wishes[3].group, ==, 1); /* guest CPUs 0 and 1 */
    g_assert_cmpuint(f->wishes[2].group, ==, 1);
    g_assert_cmpuint(f->wishes[1].group, ==, 2);
    g_assert_cmpuint(f->wishes[0].group, ==, 2);
    task(f, 12, 0x6); /* joins them */
    task(f, 13, 0x2);
    g_assert_cmpuint(anchors(f), ==, 0x2);
    for (int i = 0; i < VCPUS; i++)
        g_assert_cmpuint(f->wishes[i].group, ==, 1);
    g_assert_cmpint(f->wishes[0].kind, ==, VH_WISH_GROUP);
    end(f);
}

static void test_verdicts(void)
{
    struct fixture *f = begin("");
    struct fake_affinity lies = {
        .h = fake_hint(sizeof(lies), 1, 4), .pid = 5, .cpus = 1, .mask = {0x7}};
    struct fake_affinity empty = {.h = fake_hint(sizeof(empty), 1, 4), .pid = 6, .cpus = 1};

    g_assert_cmpint(task(f, 10, 1 << 9), ==, VH_VERDICT_BEYOND);
    f->map.cpus[1].vcpu = -1;
    g_assert_cmpint(task(f, 11, 1 << 1), ==, VH_VERDICT_NO_VCPU);
    f->map.cpus[1].online = false;
    g_assert_cmpint(task(f, 11, 1 << 1), ==, VH_VERDICT_OK);
    g_assert_cmpint(take(f, f->affinity, &lies.h, &lies, NULL), ==, VH_VERDICT_SEVERAL);
    g_assert_cmpint(take(f, f->affinity, &empty.h, &empty, NULL), ==, VH_VERDICT_EMPTY);
    g_assert_cmpuint(anchors(f), ==, 0);
    end(f);
}

/* ---- a kind that vhint does not know ---- */

static enum vh_verdict stranger(struct fixture *f, guint32 worker, int home, enum fake_phase phase,
                                bool *event)
{
    struct fake_stranger record = {.h = fake_hint(sizeof(record), 7, event ? 0 : 4),
                                   .worker = worker,
                                   .home = home,
                                   .phase = phase};

    strcpy(record.name, "db");
    record.cores[0] = 0x5;
    return take(f, f->stranger, &record.h, &record, event);
}

static void test_stranger_pins(void)
{
    struct fixture *f = begin(
        "[rule hot]\non = stranger\nwhen = phase == FAKE_HOT && name == \"db\"\ndo = pin home\n");

    g_assert_cmpint(stranger(f, 1, 3, FAKE_HOT, NULL), ==, VH_VERDICT_OK);
    g_assert_cmpint(stranger(f, 2, 1, FAKE_WARM, NULL), ==, VH_VERDICT_OTHER);
    g_assert_cmpint(stranger(f, 3, -1, FAKE_HOT, NULL), ==, VH_VERDICT_BEYOND);
    g_assert_cmpint(stranger(f, 4, 4, FAKE_HOT, NULL), ==, VH_VERDICT_BEYOND);
    g_assert_cmpuint(anchors(f), ==, 1 << 3);
    g_assert_cmpstr(f->wishes[0].rule->name, ==, "hot");
    stranger(f, 1, 3, FAKE_COLD, NULL);
    stranger(f, 2, 1, FAKE_HOT, NULL);
    g_assert_cmpuint(anchors(f), ==, 1 << 1);
    end(f);
}

static void test_stranger_groups(void)
{
    struct fixture *f = begin("[rule near]\non = stranger\ndo = group cores\n");

    stranger(f, 1, 0, FAKE_COLD, NULL);
    wish(f);
    g_assert_cmpint(f->wishes[3].kind, ==, VH_WISH_GROUP);
    g_assert_cmpint(f->wishes[1].kind, ==, VH_WISH_GROUP);
    g_assert_cmpint(f->wishes[2].kind, ==, VH_WISH_NONE);
    end(f);
}

/* A program that nobody knows calls its kind like one of ours: our rules are not about it. */
static void test_foreign_kind(void)
{
    struct fixture *f = begin("[rule any]\non = affinity\ndo = log {pid}\n");

    g_strlcpy(f->affinity->name, "tool", sizeof(f->affinity->name));
    g_assert_cmpint(task(f, 10, 1 << 2), ==, VH_VERDICT_OTHER);
    g_assert_cmpuint(anchors(f), ==, 0);
    g_assert_cmpstr(f->log->str, ==, "");
    g_assert_null(vh_rules_misfit(f->rules));
    end(f);
}

/* An object of the same kind name that the rule does not fit: said once, and nothing else happens.
 */
static void test_misfit(void)
{
    struct fixture *f = begin("[rule r]\non = stranger\nwhen = where.node == 1\ndo = pin home\n");
    g_autofree char *text = NULL;

    g_free(f->affinity->kinds[0].name);
    f->affinity->kinds[0].name = g_strdup("stranger");
    g_strlcpy(f->affinity->name, "stranger", sizeof(f->affinity->name));
    g_assert_cmpint(task(f, 1, 1), ==, VH_VERDICT_OTHER);
    g_assert_cmpuint(anchors(f), ==, 0);
    text = vh_rules_misfit(f->rules);
    g_assert_nonnull(strstr(text, "rule r"));
    g_assert_null(vh_rules_misfit(f->rules));
    end(f);
}

/* ---- float and log ---- */

static void test_float(void)
{
    struct fixture *f =
        begin("[rule some]\non = stranger\nwhen = phase == FAKE_COLD\ndo = float home\n"
              "[rule all]\non = stranger\nwhen = phase == FAKE_HOT\ndo = float\n");

    task(f, 1, 1 << 0);
    task(f, 2, 1 << 1);
    g_assert_cmpuint(anchors(f), ==, 0x3);
    stranger(f, 1, 1, FAKE_COLD, NULL);
    g_assert_cmpuint(anchors(f), ==, 0x1);
    stranger(f, 1, 1, FAKE_HOT, NULL);
    g_assert_cmpuint(anchors(f), ==, 0);
    stranger(f, 1, 1, FAKE_WARM, NULL);
    g_assert_cmpuint(anchors(f), ==, 0x3);
    end(f);
}

static void test_log(void)
{
    struct fixture *f = begin("[rule l]\non = stranger\ncooldown = 10s\n"
                              "do = log {name} on {home} is {phase}, {load[0]}; cores {cores}\n");

    stranger(f, 1, -1, FAKE_HOT, NULL);
    g_assert_cmpstr(f->log->str, ==, "l: db on -1 is FAKE_HOT, 0; cores 5,0\n");
    g_string_truncate(f->log, 0);
    f->now = 9 * SECOND;
    stranger(f, 1, 2, FAKE_HOT, NULL);
    g_assert_cmpstr(f->log->str, ==, "");
    f->now = 10 * SECOND;
    stranger(f, 1, 2, FAKE_HOT, NULL); /* no news */
    g_assert_cmpstr(f->log->str, ==, "");
    stranger(f, 1, 3, FAKE_HOT, NULL);
    g_assert_nonnull(strstr(f->log->str, "on 3"));
    end(f);
}

/* ---- time ---- */

static void test_hold(void)
{
    struct fixture *f = begin("[rule affinity-pin]\nhold = 2s\n");

    f->now = 100 * SECOND;
    task(f, 1, 1 << 1);
    g_assert_cmpuint(anchors(f), ==, 0x2);
    g_assert_cmpint(f->next, ==, -1);
    task(f, 1, 0);
    f->now += SECOND;
    g_assert_cmpuint(anchors(f), ==, 0x2);
    g_assert_cmpint(f->next, ==, 103 * SECOND);
    f->now += SECOND;
    task(f, 1, 1 << 1); /* again in time: nothing ends */
    g_assert_cmpuint(anchors(f), ==, 0x2);
    g_assert_cmpint(f->next, ==, -1);
    task(f, 1, 0);
    g_assert_cmpuint(anchors(f), ==, 0x2);
    f->now = f->next - 1;
    g_assert_cmpuint(anchors(f), ==, 0x2);
    f->now = f->next;
    g_assert_cmpuint(anchors(f), ==, 0);
    g_assert_cmpint(f->next, ==, -1);
    end(f);
}

static void test_cooldown(void)
{
    struct fixture *f = begin("[rule affinity-pin]\ncooldown = 5s\n");

    f->now = 1;
    task(f, 1, 1 << 1);
    g_assert_cmpuint(anchors(f), ==, 0x2);
    task(f, 1, 0);
    g_assert_cmpuint(anchors(f), ==, 0);
    g_assert_cmpint(f->next, ==, -1); /* nobody waits for it */
    f->now = SECOND;
    task(f, 1, 1 << 1);
    task(f, 2, 1 << 2); /* another CPU is not concerned */
    g_assert_cmpuint(anchors(f), ==, 0x4);
    g_assert_cmpint(f->next, ==, 5 * SECOND + 1);
    f->now = f->next;
    g_assert_cmpuint(anchors(f), ==, 0x6);
    g_assert_cmpint(f->next, ==, -1);
    end(f);
}

static void test_event(void)
{
    struct fixture *f = begin("[rule e]\non = stranger\ndo = pin home\nhold = 1s\ncooldown = 3s\n");
    bool event = false;

    g_assert_cmpint(stranger(f, 1, 2, FAKE_COLD, &event), ==, VH_VERDICT_OK);
    g_assert_true(event);
    g_assert_cmpuint(anchors(f), ==, 0x4);
    g_assert_cmpint(f->next, ==, SECOND);
    f->now = SECOND / 2;
    stranger(f, 1, 2, FAKE_COLD, &event);
    g_assert_cmpuint(anchors(f), ==, 0x4);
    g_assert_cmpint(f->next, ==, 3 * SECOND / 2);
    f->now = 2 * SECOND;
    g_assert_cmpuint(anchors(f), ==, 0);
    event = false;
    stranger(f, 1, 2, FAKE_COLD, &event);
    g_assert_false(event);
    f->now = 5 * SECOND;
    stranger(f, 1, 2, FAKE_COLD, &event);
    g_assert_true(event);
    g_assert_cmpuint(anchors(f), ==, 0x4);
    end(f);
}

/* A boost ends with its fact: its hold is no longer than that. Several CPUs may be boosted by one.
 */
static void test_boost(void)
{
    struct fixture *f =
        begin("[rule urgent]\non = affinity\ndo = boost mask rr\nhold = 9s\nfigure = pid\n"
              "[rule affinity-pin]\ntrial = on\n");

    task(f, 10, 1 << 1);
    task(f, 11, 1 << 1 | 1 << 2);
    wish(f);
    g_assert_nonnull(f->wishes[2].boost);
    g_assert_cmpstr(f->wishes[2].boost->name, ==, "urgent");
    g_assert_cmpfloat(f->wishes[2].figure, ==, 11);
    g_assert_nonnull(f->wishes[2].tried);
    g_assert_cmpstr(f->wishes[2].tried->name, ==, "affinity-pin");
    g_assert_nonnull(f->wishes[1].boost);
    g_assert_null(f->wishes[1].tried);
    g_assert_null(f->wishes[0].boost);
    g_assert_cmpint(f->next, ==, -1);
    task(f, 10, 0);
    task(f, 11, 0);
    wish(f);
    for (int i = 0; i < VCPUS; i++)
        g_assert_null(f->wishes[i].boost);
    g_assert_cmpint(f->next, ==, -1);
    end(f);
}

/* New rules of the same name go on holding; without the rule there is nothing to hold. */
static void test_reload(void)
{
    struct fixture *f = begin("[rule affinity-pin]\nhold = 2s\n");
    VhPolicy *policy = NULL;
    VhGuestPolicy *guest = parse("[rule affinity-pin]\nhold = 9s\n", &policy);
    VhPolicy *other = NULL;
    VhGuestPolicy *without = parse("[rule affinity-pin]\nenabled = no\n", &other);

    task(f, 1, 1 << 1);
    wish(f);
    task(f, 1, 0);
    g_assert_cmpuint(anchors(f), ==, 0x2);
    vh_rules_set(f->rules, guest);
    f->now = SECOND;
    g_assert_cmpuint(anchors(f), ==, 0x2);
    g_assert_cmpint(f->next, ==, 2 * SECOND);
    vh_rules_set(f->rules, without);
    g_assert_cmpuint(anchors(f), ==, 0);
    vh_rules_set(f->rules, NULL);
    g_assert_cmpuint(anchors(f), ==, 0);
    vh_guest_policy_free(guest);
    vh_policy_unref(policy);
    vh_guest_policy_free(without);
    vh_policy_unref(other);
    end(f);
}

/* A guest that makes up ever new sets of CPUs is remembered up to a limit, and never granted a
 * cooldown's skip. */
static void test_memory_is_bounded(void)
{
    struct fixture *f = begin("[rule affinity-group]\ncooldown = 1h\n");

    for (unsigned i = 0; i < VH_POLICY_MEMORY_MAX + 100; i++) {
        f->map.cpus[i % 400 + 4].known = true;
        struct fake_affinity record = {.h = fake_hint(sizeof(record), 1, 4), .pid = 7, .cpus = 2};
        record.mask[0] = i + 1;
        record.mask[7] = 0;
        f->map.count = 512;
        for (int j = 0; j < 64; j++)
            f->map.cpus[j].known = true;
        take(f, f->affinity, &record.h, &record, NULL);
        wish(f);
    }
    g_assert_cmpint(f->wishes[0].kind, ==, VH_WISH_NONE); /* the last set is one too many */
    end(f);
}

/* A record passes the rules when it comes, and again only when the rules are others: here it is
 * changed behind their back meanwhile. */
static void test_once(void)
{
    struct fixture *f = begin("");
    VhFactsIter iter;
    struct fake_affinity *record = NULL;

    task(f, 1, 1 << 1);
    vh_facts_iter_init(&iter, f->facts);
    record = (struct fake_affinity *)(void *)vh_facts_iter_next(&iter)->record;
    record->cpus = 2;
    g_assert_cmpuint(anchors(f), ==, 0x2);
    g_assert_cmpuint(anchors(f), ==, 0x2);
    vh_rules_set(f->rules, f->guest);
    g_assert_cmpuint(anchors(f), ==, 0);
    task(f, 1, 1 << 1);
    g_assert_cmpuint(anchors(f), ==, 0x2);
    end(f);
}

/* Which of 256 rules about one kind hold is kept for each. */
static void test_many_rules(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    struct fixture *f = NULL;

    for (unsigned i = 3; i < VH_RULES_MAX; i++)
        g_string_append_printf(
            text, "[rule r%03u]\non = affinity\nwhen = pid == %u\ndo = pin mask\n", i, i);
    f = begin(text->str);
    task(f, VH_RULES_MAX - 1, 0x6);
    g_assert_cmpuint(anchors(f), ==, 0); /* it pins several */
    for (unsigned i = 3; i < VH_RULES_MAX; i++) {
        struct fake_affinity record = {
            .h = fake_hint(sizeof(record), 1, 4), .pid = i, .cpus = 9, .mask = {1}};

        take(f, f->affinity, &record.h, &record, NULL);
    }
    g_assert_cmpuint(anchors(f), ==, 0x1);
    g_assert_cmpuint(f->wishes[VCPUS - 1].tasks, ==, VH_RULES_MAX - 3);
    g_assert_cmpstr(f->wishes[VCPUS - 1].rule->name, ==, "r003");
    end(f);
}

/* ---- limits ---- */

static void test_max_pins(void)
{
    struct fixture *f = begin("[guest *]\nmax-pins = 2\n");

    task(f, 1, 1 << 0);
    task(f, 2, 1 << 1);
    g_assert_cmpuint(anchors(f), ==, 0x3);
    task(f, 3, 1 << 3); /* vCPU 0, yet it does not push out those that were first */
    g_assert_cmpuint(anchors(f), ==, 0x3);
    g_assert_true(f->wishes[0].over_limit);
    task(f, 1, 0);
    g_assert_cmpuint(anchors(f), ==, 0xa);
    end(f);
}

static void test_max_hints(void)
{
    struct fixture *f = begin("[guest *]\nmax-hints = 100/s\n");
    gint64 wait = 0;

    f->now = 1000 * SECOND;
    g_assert_cmpint(vh_rules_admit(f->rules, 100, f->now), ==, 0);
    wait = vh_rules_admit(f->rules, 50, f->now);
    g_assert_cmpint(wait, >, SECOND / 2 - 10);
    g_assert_cmpint(wait, <, SECOND / 2 + 10);
    wait = vh_rules_admit(f->rules, 1000000, f->now);
    g_assert_cmpint(wait, <=, SECOND + 1);
    f->now += 3 * SECOND;
    g_assert_cmpint(vh_rules_admit(f->rules, 100, f->now), ==, 0);
    end(f);
}

static void test_actions(void)
{
    struct fixture *f = begin("[guest *]\nactions = group\n");

    task(f, 1, 1 << 0);
    task(f, 2, 0x6);
    g_assert_cmpuint(anchors(f), ==, 0);
    g_assert_cmpint(f->wishes[1].kind, ==, VH_WISH_GROUP);
    end(f);
}

static void test_memory(void)
{
    struct fixture *f =
        begin("[guest *]\nmemory-max = 2G\nmemory-min = 512m\nmemory-step = 64M\n"
              "[rule more]\non = affinity\nwhen = cpus == 1\ndo = memory pid\nfigure = pid\n"
              "hold = 1s\n");
    const struct vh_ram_wish *ram = vh_rules_ram(f->rules);

    g_assert_cmpuint(f->guest->memory.max, ==, (guint64)2 << 30);
    g_assert_cmpuint(f->guest->memory.min, ==, (guint64)512 << 20);
    g_assert_cmpuint(f->guest->memory.step, ==, (guint64)64 << 20);
    g_assert_true(ram->rule == NULL && !ram->asked && ram->room < 0 && isnan(ram->stall));
    /* One that does not ask says its room all the same; the least counts. */
    task(f, 30, 0x6);
    anchors(f);
    g_assert_cmpstr(ram->rule->name, ==, "more");
    g_assert_true(ram->rule->trial);
    g_assert_false(ram->asked);
    g_assert_cmpint(ram->room, ==, (gint64)30 << 20);
    task(f, 20, 1 << 0);
    task(f, 40, 1 << 1);
    g_assert_cmpuint(anchors(f), ==, 0x3); /* other rules are none the worse */
    g_assert_true(ram->asked);
    g_assert_cmpint(ram->room, ==, (gint64)20 << 20);
    g_assert_cmpfloat(ram->stall, ==, 40);
    /* Held, it still asks, and says nothing any more. */
    task(f, 20, 0);
    task(f, 30, 0);
    task(f, 40, 0);
    anchors(f);
    g_assert_true(ram->asked && ram->room < 0 && isnan(ram->stall));
    f->now += 2 * SECOND;
    anchors(f);
    g_assert_false(ram->asked);
    end(f);
}

static void test_near(void)
{
    struct fixture *f = begin("[rule affinity-group]\nenabled = no\n"
                              "[rule close]\non = affinity\nwhen = cpus > 1\ndo = near mask pid\n"
                              "[rule apart]\non = affinity\nwhen = pid == 99\ndo = float mask\n");
    unsigned count = 0;
    const struct vh_near *near = NULL;

    task(f, 7, 0x3);
    anchors(f);
    near = vh_rules_nears(f->rules, &count);
    g_assert_cmpuint(count, ==, 1);
    /* Guest CPU i is served by vCPU 3 - i. */
    g_assert_cmpuint(near->vcpus.words[0], ==, 0xc);
    g_assert_cmpuint(near->strength, ==, 7);
    g_assert_cmpstr(((const struct vh_rule *)near->by)->name, ==, "close");
    g_assert_true(((const struct vh_rule *)near->by)->trial);
    g_assert_cmpint(f->wishes[2].kind, ==, VH_WISH_NONE);
    /* What floats by a rule is nobody's neighbour. */
    task(f, 99, 0x1);
    anchors(f);
    near = vh_rules_nears(f->rules, &count);
    g_assert_cmpuint(near[0].vcpus.words[0] & 0x8, ==, 0);
    task(f, 7, 0);
    task(f, 99, 0);
    anchors(f);
    vh_rules_nears(f->rules, &count);
    g_assert_cmpuint(count, ==, 0);
    end(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/affinity", test_affinity);
    g_test_add_func("/policy/behind", test_behind);
    g_test_add_func("/policy/groups", test_groups);
    g_test_add_func("/policy/verdicts", test_verdicts);
    g_test_add_func("/policy/stranger/pins", test_stranger_pins);
    g_test_add_func("/policy/stranger/groups", test_stranger_groups);
    g_test_add_func("/policy/foreign-kind", test_foreign_kind);
    g_test_add_func("/policy/misfit", test_misfit);
    g_test_add_func("/policy/float", test_float);
    g_test_add_func("/policy/log", test_log);
    g_test_add_func("/policy/hold", test_hold);
    g_test_add_func("/policy/boost", test_boost);
    g_test_add_func("/policy/cooldown", test_cooldown);
    g_test_add_func("/policy/event", test_event);
    g_test_add_func("/policy/reload", test_reload);
    g_test_add_func("/policy/bounded", test_memory_is_bounded);
    g_test_add_func("/policy/once", test_once);
    g_test_add_func("/policy/many-rules", test_many_rules);
    g_test_add_func("/policy/max-pins", test_max_pins);
    g_test_add_func("/policy/max-hints", test_max_hints);
    g_test_add_func("/policy/actions", test_actions);
    g_test_add_func("/policy/memory", test_memory);
    g_test_add_func("/policy/near", test_near);
    return g_test_run();
}
