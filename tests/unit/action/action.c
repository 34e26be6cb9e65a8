/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of actions: every row is whole, and `do` is read by it. */
#include "action/action.h"

#include <string.h>

#include "act/actuator.h"
#include "decide/boost.h"

/* Who acts is there, what is optional fits together, and each name is there once. */
static void test_rows(void)
{
    static const struct vh_actuator *const actuators[] = {&vh_actuator_pin, &vh_actuator_boost,
                                                          &vh_actuator_memory};
    unsigned all = 0;

    for (unsigned i = 0; vh_actions[i]; i++) {
        const struct vh_action *action = vh_actions[i];
        bool found = !action->actuator;

        for (unsigned j = 0; j < G_N_ELEMENTS(actuators); j++)
            found = found || g_str_equal(action->actuator, actuators[j]->name);
        for (unsigned j = 0; j < i; j++)
            g_assert_cmpstr(action->name, !=, vh_actions[j]->name);
        g_assert_true(found);
        g_assert_true(action->parse && action->bind);
        g_assert_true(!action->add == (action->say != NULL));
        g_assert_true(!(action->traits & VH_ACTION_TRIED) || (action->traits & VH_ACTION_TRIES));
        g_assert_cmpuint(vh_action_bit(action), ==, 1u << i);
        all |= vh_action_bit(action);
    }
    g_assert_cmpuint(vh_actions_all(), ==, all);
}

static void test_names(void)
{
    static const char *const more[] = {"all", NULL};
    g_autofree const char **names = vh_action_names(more);
    g_autofree char *joined = g_strjoinv(" ", (char **)names);
    g_autofree char *figure = vh_actions_with(VH_ACTION_FIGURE);
    g_autofree char *loss = vh_actions_with(VH_ACTION_LOSS);
    g_autofree char *brief = vh_actions_with(VH_ACTION_BRIEF);

    g_assert_cmpstr(joined, ==, "pin group near float boost memory log all");
    g_assert_cmpstr(figure, ==, "boost and memory");
    g_assert_cmpstr(loss, ==, "pin, group, near and boost");
    g_assert_cmpstr(brief, ==, "boost");
}

/* What is read is kept as values; what is refused leaves what there was. */
static void test_parse(void)
{
    static const struct {
        const char *text, *first, *second;
        const struct vh_action *action;
        int how;
    } good[] = {
        {"pin cpu", "cpu", NULL, &vh_action_pin, 0},
        {"group\t mask", "mask", NULL, &vh_action_group, 0},
        {"near mask", "mask", NULL, &vh_action_near, 0},
        {"near mask \t wakeups", "mask", "wakeups", &vh_action_near, 0},
        {"float", "", NULL, &vh_action_float, 0},
        {"boost cpu", "cpu", NULL, &vh_action_boost, VH_BOOST_NICE},
        {"boost cpu  auto", "cpu", NULL, &vh_action_boost, VH_BOOST_AUTO},
        {"memory", "", NULL, &vh_action_memory, 0},
        {"log  {a} is  {b}", "{a} is  {b}", NULL, &vh_action_log, 0},
    };
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"pni cpu", "did you mean \"pin\"? (pin FIELD, group FIELD, near FIELD [FIELD]"},
        {"boost", "boost what? write: boost FIELD [KIND]"},
        {"log", "log what? write: log TEXT"},
        {"float a b", "float takes one field, not \"a b\""},
        {"near a b c", "near takes one field or two, not \"a b c\""},
        {"boost cpu nise", "did you mean \"nice\"? (nice, rr, weight, uclamp, auto)"},
        {"", "there is no action \"\""},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        struct vh_do what = {0};
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(vh_do_parse(good[i].text, &what, &error), ==, 0);
        g_assert_true(what.action == good[i].action);
        g_assert_cmpstr(what.first, ==, good[i].first);
        g_assert_cmpstr(what.second, ==, good[i].second);
        g_assert_cmpint(what.how, ==, good[i].how);
        vh_do_clear(&what);
        g_assert_null(what.first);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct vh_do what = {.how = 77};
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(vh_do_parse(bad[i].text, &what, &error), ==, -1);
        g_assert_nonnull(strstr(error->message, bad[i].words));
        g_assert_true(what.how == 77 && !what.action && !what.first);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/action/rows", test_rows);
    g_test_add_func("/action/names", test_names);
    g_test_add_func("/action/parse", test_parse);
    return g_test_run();
}
