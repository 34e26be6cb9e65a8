/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/explain.c: the stories of a guest's memory. Those of its threads are compared with all
 * that else is said of them by standing-property.c. */
#include <math.h>
#include <string.h>

#include "lib/herd.h"

#define FIRST 5000000

static struct vh_rule more = {.name = (char *)"more",
                              .summary = (char *)"on pressure/pressure, do memory",
                              .origin = {"10-web.conf", 7}};

static void set_up(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_begin(f, "[guest web]\nmemory-min = 1G\n");
}

static void tear_down(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_end(f);
}

/* What is told of the guest's memory; NULL: nothing. */
static GVariant *story_of_memory(struct herd *f, const struct vh_entry *entry)
{
    g_autoptr(GVariant) stories = g_variant_ref_sink(vh_round_explain(f->round, entry));

    for (gsize i = 0; i < g_variant_n_children(stories); i++) {
        g_autoptr(GVariant) story = g_variant_get_child_value(stories, i);
        const char *action = "";

        (void)g_variant_lookup(story, "action", "&s", &action);
        if (g_str_equal(action, "memory"))
            return g_steal_pointer(&story);
    }
    return NULL;
}

static void assert_text(GVariant *dict, const char *key, const char *expected)
{
    const char *text = NULL;

    g_assert_true(g_variant_lookup(dict, key, "&s", &text));
    g_assert_cmpstr(text, ==, expected);
}

static struct vh_entry *add_guest(struct herd *f)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    VhGuestPolicy *policy = entry->guest->policy;

    entry->guest->process = FIRST;
    entry->guest->memory = (struct vh_ram_wish){.stall = NAN, .room = -1};
    g_ptr_array_add(policy->rules, &more);
    return entry;
}

/* Whose rule asks for it, what that says and where it is from; and what bounds it, likewise. */
static void test_memory(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = add_guest(f);
    g_autoptr(GVariant) story = NULL;
    const char *limits = NULL;

    entry->guest->memory.rule = &more;
    entry->guest->memory.asked = true;
    vh_round_run(f->round, "hints");
    story = story_of_memory(f, entry);
    g_assert_nonnull(story);
    assert_text(story, "rule", "more");
    assert_text(story, "rule_from", "10-web.conf:7");
    assert_text(story, "rule_text", "on pressure/pressure, do memory");
    assert_text(story, "reason", "it asks for more, but the policy gives it no memory-max");
    g_assert_true(g_variant_lookup(story, "limits", "&s", &limits));
    g_assert_nonnull(strstr(limits, "/vhint.conf:2)"));
    g_assert_true(g_str_has_prefix(limits, "memory-min 1G ("));
    g_assert_nonnull(strstr(limits, ", memory-max none (default), memory-step 256M (default), "));
}

static void test_nothing_of_memory(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = add_guest(f);

    vh_round_run(f->round, "hints");
    g_assert_null(story_of_memory(f, entry));
}

#define ADD(name, func) g_test_add("/explain/" name, struct herd, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("memory", test_memory);
    ADD("nothing-of-memory", test_nothing_of_memory);
    return g_test_run();
}
