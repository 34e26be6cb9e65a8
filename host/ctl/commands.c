// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl's commands that show what is and tell what to do; inject and watch have files of their
// own.
#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <stdio.h>

#include "ctl/ctl.h"

#define COLUMNS_MAX 12

/* A column of a table over dictionaries. */
struct column {
    const char *heading;
    const char *key;
    enum { PLAIN, SHORT, ZERO_IS_NONE } show;
};

static const struct column guest_columns[] = {
    {"GUEST", "name", PLAIN},
    {"CONNECTED", "connected", PLAIN},
    {"KERNEL", "release", PLAIN},
    {"VCPUS", "vcpus", PLAIN},
    {"PROGRAMS", "programs", PLAIN},
    {"FACTS", "facts", PLAIN},
    {"HINTS", "hints", PLAIN},
    {"LOST", "lost", PLAIN},
    {"RELEASED", "held", PLAIN},
    {"PROBLEM", "problem", PLAIN},
    {0},
};

static const struct column vcpu_columns[] = {
    {"VCPU", "index", PLAIN},
    {"GUEST CPU", "guest_cpu", PLAIN},
    {"APIC ID", "apic_id", PLAIN},
    {"THREAD", "thread", ZERO_IS_NONE},
    {"HOST CPUS", "host_cpus", PLAIN},
    {"FORMER", "former", PLAIN},
    {"STATE", "state", PLAIN},
    {"REASON", "reason", PLAIN},
    {0},
};

static const struct column thread_columns[] = {
    {"ROLE", "role", PLAIN},     {"NAME", "name", PLAIN},
    {"THREAD", "thread", PLAIN}, {"HOST CPUS", "host_cpus", PLAIN},
    {"FORMER", "former", PLAIN}, {"STATE", "state", PLAIN},
    {"REASON", "reason", PLAIN}, {0},
};

static const struct column program_columns[] = {
    {"PROGRAM", "name", PLAIN},
    {"VERSION", "version", PLAIN},
    {"STATE", "state", PLAIN},
    {"ORIGIN", "origin", PLAIN},
    {"ATTACHED", "attached", PLAIN},
    {"FACTS", "facts", PLAIN},
    {"HINTS", "hints", PLAIN},
    {"LOST", "lost", PLAIN},
    {"DIGEST", "digest", SHORT},
    {"PROBLEM", "problem", PLAIN},
    {0},
};

/* ---- printing ---- */

/* A value as people read it; "-" for what is not there, unknown or empty. */
static char *value_text(GVariant *dict, const char *key)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(dict, key, NULL);
    if (value == NULL)
        return g_strdup("-");
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        return g_strdup(g_variant_get_boolean(value) ? "yes" : "no");
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)) {
        const char *text = g_variant_get_string(value, NULL);
        return g_strdup(text[0] != '\0' ? text : "-");
    }
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT32) && g_variant_get_int32(value) < 0)
        return g_strdup("-");
    return g_variant_print(value, FALSE);
}

static void print_table(GVariant *dicts, const struct column *columns)
{
    const char *headings[COLUMNS_MAX + 1] = {NULL};
    for (guint i = 0; columns[i].heading != NULL; i++)
        headings[i] = columns[i].heading;
    g_autoptr(VhTable) table = vh_table_new(headings);
    for (gsize row = 0; row < g_variant_n_children(dicts); row++) {
        g_autoptr(GVariant) dict = g_variant_get_child_value(dicts, row);
        for (guint i = 0; columns[i].heading != NULL; i++) {
            g_autofree char *text = value_text(dict, columns[i].key);
            if (columns[i].show == SHORT)
                vh_table_addf(table, "%.12s", text);
            else
                vh_table_add(
                    table, columns[i].show == ZERO_IS_NONE && g_str_equal(text, "0") ? "-" : text);
        }
    }
    vh_table_print(table);
}

/* {"NAME":VALUE,...} of string pairs ending with NULL. */
static void print_strings_json(const char *name, ...)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    va_list args;
    va_start(args, name);
    for (; name != NULL; name = va_arg(args, const char *)) {
        json_builder_set_member_name(builder, name);
        json_builder_add_string_value(builder, va_arg(args, const char *));
    }
    va_end(args);
    json_builder_end_object(builder);
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    vh_ctl_print_json(root);
}

static int show(struct vh_ctl *ctl, GVariant *dicts, const struct column *columns, const char *none)
{
    if (ctl->json)
        vh_ctl_print_variant_json(dicts);
    else if (g_variant_n_children(dicts) == 0)
        puts(none);
    else
        print_table(dicts, columns);
    return VH_EXIT_OK;
}

/* ---- status ---- */

/* Threads that nobody asks to be placed anywhere are of no interest. */
static bool any_placed(GVariant *threads)
{
    for (gsize i = 0; i < g_variant_n_children(threads); i++) {
        g_autoptr(GVariant) thread = g_variant_get_child_value(threads, i);
        const char *state = "floating";
        (void)g_variant_lookup(thread, "state", "&s", &state);
        if (!g_str_equal(state, "floating"))
            return true;
    }
    return false;
}

static void print_memory(GVariant *memory)
{
    static const char *const keys[] = {"device", "former", "state", "reason", "problem"};
    g_autoptr(GPtrArray) text = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *raw = value_text(memory, keys[i]);
        g_ptr_array_add(text, vh_text_printable(raw, false));
    }
    const char **t = (const char **)text->pdata;
    guint64 bytes = 0;
    (void)g_variant_lookup(memory, "bytes", "t", &bytes);
    printf("memory: ");
    if (bytes)
        printf("%" G_GUINT64_FORMAT " MiB by %s", bytes >> 20, t[0]);
    else
        printf("not known");
    if (!g_str_equal(t[1], "-"))
        printf(" (before: %s)", t[1]);
    printf(", %s: %s\n", t[2], t[3]);
    if (!g_str_equal(t[4], "-"))
        printf("memory's problem: %s\n", t[4]);
}

static void print_guest(GVariant *guest)
{
    static const char *const keys[] = {"name",  "release", "programs", "facts",
                                       "hints", "lost",    "problem"};
    g_autoptr(GPtrArray) text = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *raw = value_text(guest, keys[i]);
        g_ptr_array_add(text, vh_text_printable(raw, false));
    }
    const char **t = (const char **)text->pdata;
    gboolean connected = FALSE, held = FALSE;
    (void)g_variant_lookup(guest, "connected", "b", &connected);
    (void)g_variant_lookup(guest, "held", "b", &held);
    printf("\n%s: ", t[0]);
    if (connected)
        printf("connected, kernel %s, programs %s, facts %s, hints %s, lost %s", t[1], t[2], t[3],
               t[4], t[5]);
    else
        printf("not connected");
    if (held)
        printf(", released by hand (vhintctl resume %s)", t[0]);
    puts("");
    if (!g_str_equal(t[6], "-"))
        printf("problem: %s\n", t[6]);
    g_autoptr(GVariant) vcpus = g_variant_lookup_value(guest, "vcpu", G_VARIANT_TYPE("aa{sv}"));
    if (vcpus != NULL && g_variant_n_children(vcpus) > 0)
        print_table(vcpus, vcpu_columns);
    g_autoptr(GVariant) threads = g_variant_lookup_value(guest, "thread", G_VARIANT_TYPE("aa{sv}"));
    if (threads != NULL && any_placed(threads))
        print_table(threads, thread_columns);
    g_autoptr(GVariant) memory = g_variant_lookup_value(guest, "memory", G_VARIANT_TYPE_VARDICT);
    if (memory != NULL)
        print_memory(memory);
}

int vh_ctl_status(struct vh_ctl *ctl, GError **error)
{
    g_autofree char *version = vh_ctl_daemon_version(ctl, error);
    if (version == NULL)
        return -1;
    g_autoptr(GVariant) guests = vh_ctl_get_guests(ctl, ctl->args ? ctl->args[0] : NULL, error);
    if (guests == NULL)
        return -1;
    g_autoptr(GVariant) policy = vh_ctl_get_policy(ctl, "", error);
    if (policy == NULL)
        return -1;
    gsize count = g_variant_n_children(guests);
    if (ctl->json) {
        g_autoptr(GVariant) all = g_variant_ref_sink(g_variant_new_parsed(
            "{'version': <%s>, 'socket': <%s>, 'policy': <%@a{sv}>, 'guests': <%@aa{sv}>}", version,
            ctl->socket, policy, guests));
        vh_ctl_print_variant_json(all);
        return VH_EXIT_OK;
    }
    g_autofree char *printable = vh_text_printable(version, false);
    printf("vhintd %s at %s, %zu guest%s\n", printable, ctl->socket, count, count == 1 ? "" : "s");
    vh_ctl_print_policy_problems(policy);
    for (gsize i = 0; i < count; i++) {
        g_autoptr(GVariant) guest = g_variant_get_child_value(guests, i);
        print_guest(guest);
    }
    return VH_EXIT_OK;
}

/* ---- the others ---- */

int vh_ctl_guests(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) guests = vh_ctl_list(ctl, "ListGuests", NULL, error);
    return guests ? show(ctl, guests, guest_columns, "no guests") : -1;
}

int vh_ctl_programs(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) programs =
        vh_ctl_list(ctl, "ListPrograms", g_variant_new("(s)", ctl->args[0]), error);
    return programs ? show(ctl, programs, program_columns, "no programs") : -1;
}

int vh_ctl_hints(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) answer = vh_ctl_call(ctl, "ListHints", g_variant_new("(s)", ctl->args[0]),
                                             "(as)", false, NULL, error);
    if (answer == NULL)
        return -1;
    g_autofree const char **lines = NULL;
    g_variant_get(answer, "(^a&s)", &lines);
    if (ctl->json) {
        g_autofree char *joined = g_strjoinv(",\n", (char **)lines);
        g_autofree char *all = g_strdup_printf("[%s]", joined);
        vh_ctl_print_json_text(all);
        return VH_EXIT_OK;
    }
    for (guint i = 0; lines[i] != NULL; i++) {
        g_autofree char *pretty = vh_hint_line_pretty(lines[i]);
        puts(pretty ? pretty : "(a line that is no hint)");
    }
    if (lines[0] == NULL)
        puts("no facts");
    return VH_EXIT_OK;
}

int vh_ctl_eject(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) answer = vh_ctl_call(
        ctl, "Eject", g_variant_new("(ss)", ctl->args[0], ctl->args[1]), "()", true, NULL, error);
    if (answer == NULL)
        return -1;
    if (ctl->json)
        print_strings_json("guest", ctl->args[0], "ejected", ctl->args[1], NULL);
    else
        printf("ejected %s from %s\n", ctl->args[1], ctl->args[0]);
    return VH_EXIT_OK;
}

int vh_ctl_release(struct vh_ctl *ctl, GError **error)
{
    const char *guest = ctl->args ? ctl->args[0] : "";
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, "Release", g_variant_new("(s)", guest), "(u)", false, NULL, error);
    if (answer == NULL)
        return -1;
    guint32 undone = 0;
    g_variant_get(answer, "(u)", &undone);
    if (ctl->json) {
        g_autoptr(GVariant) all = g_variant_ref_sink(
            g_variant_new_parsed("{'guest': <%s>, 'undone': <%u>}", guest, undone));
        vh_ctl_print_variant_json(all);
    } else {
        printf("released %s: %u action%s undone\n", guest[0] ? guest : "all guests", undone,
               undone == 1 ? "" : "s");
    }
    return VH_EXIT_OK;
}

int vh_ctl_resume(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, "Resume", g_variant_new("(s)", ctl->args[0]), "()", false, NULL, error);
    if (answer == NULL)
        return -1;
    if (ctl->json)
        print_strings_json("resumed", ctl->args[0], NULL);
    else
        printf("resumed %s\n", ctl->args[0]);
    return VH_EXIT_OK;
}

int vh_ctl_handover(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) answer = vh_ctl_call(ctl, "Handover", NULL, "(u)", false, NULL, error);
    if (answer == NULL)
        return -1;
    guint32 seconds = 0;
    g_variant_get(answer, "(u)", &seconds);
    if (ctl->json)
        printf("{\"seconds\":%u}\n", seconds);
    else
        printf("restart vhintd within %u seconds: the next vhintd takes all pins over\n", seconds);
    return VH_EXIT_OK;
}
