// SPDX-License-Identifier: GPL-2.0-or-later
// Finds actions in the table, and reads what stands behind `do`.
#include "action/action.h"

#include <string.h>

#include "base/error.h"
#include "base/nearest.h"

#define ACTIONS_MAX 32u /* bits of a set */

static unsigned count(void)
{
    unsigned all = 0;

    while (vh_actions[all])
        all++;
    g_assert(all < ACTIONS_MAX);
    return all;
}

unsigned vh_action_bit(const struct vh_action *action)
{
    unsigned i = 0;

    while (vh_actions[i] && vh_actions[i] != action)
        i++;
    g_assert(vh_actions[i]);
    return 1u << i;
}

unsigned vh_actions_all(void)
{
    return (1u << count()) - 1;
}

const char **vh_action_names(const char *const *more)
{
    GPtrArray *names = g_ptr_array_new();

    for (unsigned i = 0; vh_actions[i]; i++)
        g_ptr_array_add(names, (char *)vh_actions[i]->name);
    for (unsigned i = 0; more && more[i]; i++)
        g_ptr_array_add(names, (char *)more[i]);
    g_ptr_array_add(names, NULL);
    return (const char **)g_ptr_array_free(names, FALSE);
}

char *vh_actions_with(enum vh_action_trait trait)
{
    GString *text = g_string_new(NULL);
    const char *last = NULL;

    for (unsigned i = 0; vh_actions[i]; i++) {
        if (!(vh_actions[i]->traits & trait))
            continue;
        if (last)
            g_string_append_printf(text, "%s%s", text->len ? ", " : "", last);
        last = vh_actions[i]->name;
    }
    if (last)
        g_string_append_printf(text, "%s%s", text->len ? " and " : "", last);
    return g_string_free(text, FALSE);
}

static int refuse_name(const char *name, GError **error)
{
    g_autofree const char **names = vh_action_names(NULL);
    const char *best = vh_nearest(name, names);
    g_autoptr(GString) all = g_string_new(NULL);

    for (unsigned i = 0; vh_actions[i]; i++)
        g_string_append_printf(all, "%s%s %s", i ? ", " : "", vh_actions[i]->name,
                               vh_actions[i]->words);
    return vh_invalid(error, "there is no action \"%s\"; did you mean \"%s\"? (%s)", name,
                      best ? best : names[0], all->str);
}

int vh_do_parse(const char *text, struct vh_do *what, GError **error)
{
    gsize len = strcspn(text, " \t");
    g_autofree char *name = g_strndup(text, len);
    g_autofree char *words = g_strstrip(g_strdup(text + len));
    struct vh_do made = {0};

    for (unsigned i = 0; vh_actions[i]; i++)
        if (g_str_equal(vh_actions[i]->name, name))
            made.action = vh_actions[i];
    if (!made.action)
        return refuse_name(name, error);
    if (!*words && *made.action->words != '[')
        return vh_invalid(error, "%s what? write: %s %s", name, name, made.action->words);
    if (made.action->parse(words, &made, error) < 0) {
        vh_do_clear(&made);
        return -1;
    }
    *what = made;
    return 0;
}

void vh_do_clear(struct vh_do *what)
{
    g_free(what->first);
    g_free(what->second);
    *what = (struct vh_do){0};
}

void vh_actions_end(struct vh_sum *sum, unsigned most, struct vh_mask *anchored)
{
    for (unsigned i = 0; vh_actions[i]; i++)
        if (vh_actions[i]->end)
            vh_actions[i]->end(sum);
    vh_sum_limit(sum, most, anchored);
}
