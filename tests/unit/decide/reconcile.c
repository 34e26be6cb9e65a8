/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/decide/reconcile.c: tables of what is wanted and what runs, and the steps between. */
#include "decide/reconcile.h"

#include <glib.h>
#include <string.h>

/* Programs are written "name:digest", a busy one with a '!' before. Steps: "+name" load, "=name"
 * replace, "-name".
 */
static const struct {
    const char *wanted, *running, *steps;
} cases[] = {
    {"", "", ""},
    {"a:1", "", "+a"},
    {"a:1", "a:1", ""},
    {"a:2", "a:1", "=a"},
    {"", "a:1", "-a"},
    {"a:1 b:1", "b:1 c:1", "-c +a"},
    {"!a:1", "", ""},
    {"!a:2", "a:1", ""},
    {"b:1", "a:1", "-a +b"},
    {"a:1 b:2 c:3", "c:3 b:1 x:1 y:1", "-x -y +a =b"},
};

static void check(const char *wanted_text, const char *running_text, const char *steps_text)
{
    g_auto(GStrv) wanted_words = g_strsplit(wanted_text, " ", -1);
    g_auto(GStrv) running_words = g_strsplit(running_text, " ", -1);
    struct vh_wanted wanted[8] = {{0}};
    struct vh_program running[8] = {{0}};
    uint8_t digests[8][VH_DIGEST_SIZE] = {{0}};
    struct vh_step steps[16];
    uint32_t wanted_count = 0, running_count = 0;
    g_autoptr(GString) got = g_string_new(NULL);

    for (; wanted_words[wanted_count]; wanted_count++) {
        char *word = wanted_words[wanted_count];
        char *digest = strchr(word, ':');

        *digest = 0;
        digests[wanted_count][0] = (uint8_t)digest[1];
        wanted[wanted_count] =
            (struct vh_wanted){word + (*word == '!'), digests[wanted_count], *word == '!'};
    }
    for (; running_words[running_count]; running_count++) {
        char *digest = strchr(running_words[running_count], ':');

        *digest = 0;
        running[running_count].digest[0] = (uint8_t)digest[1];
        g_strlcpy(running[running_count].name, running_words[running_count], VH_NAME_SIZE);
    }
    for (uint32_t i = 0, count = vh_reconcile(wanted, wanted_count, running, running_count, steps);
         i < count; i++)
        g_string_append_printf(got, "%s%c%s", i ? " " : "", "+=-"[steps[i].kind],
                               steps[i].kind == VH_STEP_UNLOAD ? running[steps[i].index].name
                                                               : wanted[steps[i].index].name);
    g_assert_cmpstr(got->str, ==, steps_text);
}

static void test_cases(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
        check(cases[i].wanted, cases[i].running, cases[i].steps);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/reconcile/cases", test_cases);
    return g_test_run();
}
