/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One more action is one file and one row: here both are the test's, and nothing else knows of it.
 * The table below takes the place of host/action/table.c. */
#include <math.h>
#include <string.h>

#include "action/fields.h"
#include "base/error.h"
#include "lib/fake-object.h"
#include "wish/rules.h"

#define VCPUS 4

/* ---- the action: spread FIELD [TIMES], each of these guest CPUs is pinned ---- */

static int parse(const char *words, struct vh_do *what, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(words, " ", 2);

    what->how = parts[1] ? atoi(parts[1]) : 1;
    if (what->how < 1)
        return vh_invalid(error, "spread how many times? write: spread FIELD 2");
    what->first = g_strdup(parts[0]);
    return 0;
}

static int check(const struct vh_rule *rule, const char **key, GError **error)
{
    *key = "hold";
    return rule->hold_us > 5 * G_USEC_PER_SEC
               ? vh_invalid(error, "a spread is held for 5s at most: lower it")
               : 0;
}

static void add(struct vh_sum *sum, const struct vh_ask *asked)
{
    for (unsigned cpu = vh_mask_next(asked->mask, 0); cpu < VH_CPUS_MAX;
         cpu = vh_mask_next(asked->mask, cpu + 1)) {
        struct vh_wish *wish = vh_sum_wish(sum, cpu);

        if (!wish)
            continue;
        wish->kind = VH_WISH_ANCHOR;
        wish->guest_cpu = (int)cpu;
        wish->tasks += (unsigned)asked->rule->what.how;
        wish->rule = vh_sum_first(wish->rule, asked->rule);
    }
}

static char *explain(const struct vh_wish *wish)
{
    return g_strdup_printf("spread %u times over guest CPU %d", wish->tasks, wish->guest_cpu);
}

static const struct vh_action spread = {
    .name = "spread",
    .words = "FIELD [TIMES]",
    .actuator = "pin",
    .traits = VH_ACTION_TRIES | VH_ACTION_TRIED,
    .hold_us = G_USEC_PER_SEC,
    .parse = parse,
    .check = check,
    .bind = vh_fields_bind,
    .ask = vh_fields_mask,
    .add = add,
    .explain = explain,
};

/* ---- its row ---- */

const struct vh_action *const vh_actions[] = {&vh_action_pin, &vh_action_log, &spread, NULL};

/* ---- from a policy's text to a wish ---- */

static VhPolicy *parse_policy(const char *text, GPtrArray *problems)
{
    const struct vh_policy_world world = {.read_object = fake_object_read,
                                          .list_objects = fake_object_list};
    const struct vh_policy_text texts[] = {{"test", text, strlen(text), false}};

    return vh_policy_parse(texts, 1, &world, problems);
}

static void test_text_to_wish(void)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhPolicy) policy =
        parse_policy("[guest *]\nactions = spread\n"
                     "[rule r]\non = affinity\nwhen = cpus > 1\ndo = spread mask 3\n"
                     "[rule barred]\non = affinity\ndo = pin mask\n",
                     problems);
    g_autoptr(VhGuestPolicy) guest = vh_policy_for(policy, &(struct vh_guest_id){.name = "guest"});
    VhRules *rules = vh_rules_new();
    VhFacts *facts = vh_facts_new();
    g_autoptr(VhObject) object = fake_object_affinity();
    struct fake_affinity record = {
        .h = fake_hint(sizeof(record), 1, 4), .pid = 7, .cpus = 2, .mask = {0x5}};
    struct vh_cpu_map map = {.count = VCPUS};
    struct vh_wish wishes[VCPUS];
    g_autofree char *text = NULL;

    for (int i = 0; i < VCPUS; i++) {
        map.cpus[i].known = map.cpus[i].online = true;
        map.cpus[i].vcpu = i;
    }
    vh_rules_set(rules, guest);
    vh_facts_take(facts, 1, &object->kinds[0], &record.h, (const uint8_t *)&record, NULL);
    /* Held for a second by its own default, it is granted to nobody else than these two. */
    g_assert_cmpint(vh_rules_wishes(rules, facts, &map, 0, wishes, VCPUS), ==, -1);
    for (int i = 0; i < VCPUS; i++)
        g_assert_cmpint(wishes[i].kind, ==, i % 2 ? VH_WISH_NONE : VH_WISH_ANCHOR);
    g_assert_true(wishes[2].rule->trial);
    text = vh_wish_text(&wishes[2]);
    g_assert_cmpstr(text, ==, "spread 3 times over guest CPU 2 (rule r)");
    record.h.flags = VH_HINT_GONE;
    vh_facts_take(facts, 1, &object->kinds[0], &record.h, (const uint8_t *)&record, NULL);
    g_assert_cmpint(vh_rules_wishes(rules, facts, &map, 5, wishes, VCPUS), ==, G_USEC_PER_SEC + 5);
    g_assert_cmpint(wishes[2].kind, ==, VH_WISH_ANCHOR);
    vh_rules_free(rules);
    vh_facts_free(facts);
}

/* Its own words are refused by itself, and its name is among those that there are. */
static void test_problems(void)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"do = sprd mask\n",
         "do: there is no action \"sprd\"; did you mean \"spread\"? (pin FIELD, "
         "log TEXT, spread FIELD [TIMES])"},
        {"do = spread mask 0\n", "do: spread how many times?"},
        {"do = spread comm\n", "do: \"comm\" is neither an integer nor"},
        {"do = spread\n", "do: spread what? write: spread FIELD [TIMES]"},
        {"do = spread mask\nhold = 6s\n", "hold: a spread is held for 5s at most"},
        {"do = spread mask\nmax-loss = 5%\n", "max-loss: only pin can have a max-loss"},
        {"do = group mask\n", "do: there is no action \"group\""},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = g_strdup_printf("[rule r]\non = affinity\n%s", cases[i].text);

        g_assert_null(parse_policy(text, problems));
        g_assert_cmpuint(problems->len, >=, 1);
        if (!strstr(g_ptr_array_index(problems, 0), cases[i].problem))
            g_error("\"%s\" should have \"%s\"", (const char *)g_ptr_array_index(problems, 0),
                    cases[i].problem);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/action/own/text-to-wish", test_text_to_wish);
    g_test_add_func("/action/own/problems", test_problems);
    return g_test_run();
}
