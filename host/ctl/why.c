// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl why: of each action upon a guest the hint, the rule and the limits behind it, what it
// replaced, since when, and what its trial found.
#include <math.h>
#include <stdio.h>

#include "ctl/ctl.h"

/* "": there is no such text. */
static const char *text_of(GVariant *dict, const char *key)
{
    const char *text = "";

    (void)g_variant_lookup(dict, key, "&s", &text);
    return text;
}

static void print_line(const char *label, const char *text)
{
    g_autofree char *printable = vh_text_printable(text, false);

    if (*printable)
        printf("  %-8s %s\n", label, printable);
}

/* "3 min 12 s" */
static char *age_text(double seconds)
{
    guint64 whole = (guint64)seconds;

    if (seconds < 60)
        return g_strdup_printf("%.1f s", seconds);
    if (whole < 3600)
        return g_strdup_printf("%" G_GUINT64_FORMAT " min %" G_GUINT64_FORMAT " s", whole / 60,
                               whole % 60);
    if (whole < 86400)
        return g_strdup_printf("%" G_GUINT64_FORMAT " h %" G_GUINT64_FORMAT " min", whole / 3600,
                               whole / 60 % 60);
    return g_strdup_printf("%" G_GUINT64_FORMAT " d %" G_GUINT64_FORMAT " h", whole / 86400,
                           whole / 3600 % 24);
}

/* Who: "vCPU 2", "emulator CPU 0/KVM"; "" for the guest itself. */
static char *subject(GVariant *dict)
{
    guint32 vcpu = 0;

    if (g_variant_lookup(dict, "vcpu", "u", &vcpu))
        return g_strdup_printf("vCPU %u: ", vcpu);
    if (*text_of(dict, "role"))
        return g_strdup_printf("%s %s: ", text_of(dict, "role"), text_of(dict, "name"));
    return g_strdup("");
}

static void print_heading(GVariant *dict)
{
    g_autofree char *who = subject(dict);
    g_autofree char *cpus = *text_of(dict, "host_cpus")
                                ? g_strdup_printf(" to CPUs %s", text_of(dict, "host_cpus"))
                                : g_strdup("");
    g_autofree char *since = NULL;
    g_autofree char *heading = NULL;
    g_autofree char *printable = NULL;
    gboolean in_force = FALSE;
    double age = -1;

    (void)g_variant_lookup(dict, "in_force", "b", &in_force);
    if (g_variant_lookup(dict, "age", "d", &age) && age >= 0) {
        g_autoptr(GDateTime) now = g_date_time_new_now_local();
        g_autoptr(GDateTime) then = g_date_time_add_seconds(now, -age);
        g_autofree char *clock = then ? g_date_time_format(then, "%F %T") : g_strdup("?");
        g_autofree char *length = age_text(age);

        since = g_strdup_printf(", for %s (since %s)", length, clock);
    }
    heading = g_strdup_printf("%s%s%s: %s%s%s", who, text_of(dict, "action"), in_force ? cpus : "",
                              text_of(dict, "state"), in_force ? "" : ", not in force",
                              since ? since : "");
    printable = vh_text_printable(heading, false);
    puts(printable);
}

static void print_hints(GVariant *dict)
{
    g_autofree const char **hints = NULL;
    guint32 count = 0;
    guint shown = 0;

    (void)g_variant_lookup(dict, "hint_count", "u", &count);
    if (!g_variant_lookup(dict, "hints", "^a&s", &hints))
        return;
    for (; hints[shown]; shown++) {
        g_autofree char *pretty = vh_hint_line_pretty(hints[shown]);

        print_line("hint", pretty ? pretty : hints[shown]);
    }
    if (count > shown)
        printf("  %-8s and %u more\n", "", count - shown);
}

static void print_rule(GVariant *dict)
{
    const char *from = text_of(dict, "rule_from");
    g_autofree char *text = *from ? g_strdup_printf("%s (%s): %s", text_of(dict, "rule"), from,
                                                    text_of(dict, "rule_text"))
                                  : g_strdup(text_of(dict, "rule"));

    print_line("rule", text);
}

static void print_trial(GVariant *dict)
{
    const char *verdict = text_of(dict, "verdict");
    const char *reason = text_of(dict, "reason");
    const char *numbers = text_of(dict, "numbers");
    guint32 reverts = 0;
    double next = -1;

    if (*verdict || *reason) {
        g_autofree char *text =
            g_strdup_printf("%s%s%s%s%s", verdict, *verdict && *reason ? ": " : "", reason,
                            *numbers ? "; " : "", numbers);

        print_line("trial", text);
    }
    if (g_variant_lookup(dict, "reverts", "u", &reverts) && reverts)
        printf("  %-8s taken back %u time%s\n", "", reverts, reverts == 1 ? "" : "s");
    if (g_variant_lookup(dict, "next", "d", &next) && next >= 0)
        printf("  %-8s looked at again in %.1f s\n", "", next);
}

static void print_action(GVariant *dict)
{
    print_heading(dict);
    print_hints(dict);
    print_rule(dict);
    print_line("why", text_of(dict, "why"));
    print_line("limits", text_of(dict, "limits"));
    print_line("before", text_of(dict, "former"));
    print_trial(dict);
    print_line("problem", text_of(dict, "problem"));
}

/* It is not asked for any more, and nothing was found out about it: no story for people. */
static bool is_over(GVariant *dict)
{
    return g_str_equal(text_of(dict, "state"), "off") && !*text_of(dict, "verdict") &&
           !*text_of(dict, "problem");
}

static void print_about(const char *name, const char *what, const char *more)
{
    g_autofree char *line = g_strdup_printf("%s%s%s", name, what, more);
    g_autofree char *printable = vh_text_printable(line, false);

    puts(printable);
}

/* What holds for the guest as a whole, in one line each. */
struct whole {
    bool told; /* any */
    bool idle; /* it is released, or not connected: so nothing is done */
};

static struct whole print_whole(GVariant *guest)
{
    gboolean held = FALSE;
    gboolean connected = TRUE;
    const char *problem = text_of(guest, "problem");
    const char *name = text_of(guest, "name");

    (void)g_variant_lookup(guest, "held", "b", &held);
    (void)g_variant_lookup(guest, "connected", "b", &connected);
    if (held)
        print_about(name, " is released: nothing is done for it until vhintctl resume ", name);
    if (!connected)
        print_about(name, *problem ? " is not connected: " : " is not connected", problem);
    else if (*problem)
        print_about(name, ": ", problem);
    return (struct whole){.told = held || !connected || *problem, .idle = held || !connected};
}

int vh_ctl_why(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) answer = vh_ctl_call(ctl, "Explain", g_variant_new("(s)", ctl->args[0]),
                                             "(aa{sv})", false, NULL, error);
    g_autoptr(GVariant) actions = answer ? g_variant_get_child_value(answer, 0) : NULL;
    g_autoptr(GVariant) guests = NULL;
    g_autoptr(GVariant) guest = NULL;
    struct whole whole;
    unsigned told = 0;

    if (!actions)
        return -1;
    if (ctl->json) {
        vh_ctl_print_variant_json(actions);
        return VH_EXIT_OK;
    }
    guests = vh_ctl_get_guests(ctl, ctl->args[0], error);
    if (!guests)
        return -1;
    guest = g_variant_get_child_value(guests, 0);
    whole = print_whole(guest);
    for (gsize i = 0; i < g_variant_n_children(actions); i++) {
        g_autoptr(GVariant) action = g_variant_get_child_value(actions, i);

        if (is_over(action))
            continue;
        if (told++ || whole.told)
            putchar('\n');
        print_action(action);
    }
    if (!told && !whole.idle)
        puts("vhint does nothing for this guest, did nothing lately, and nothing is wished");
    return VH_EXIT_OK;
}
