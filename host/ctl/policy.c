// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl policy: checks the policy files without a daemon, shows what applies to a guest.
#include <bpf/libbpf.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "policy/load.h"

/* ---- check ---- */

/* What each kind means that stands alone. */
static void add_kinds_json(JsonBuilder *builder, const VhPolicy *policy)
{
    json_builder_set_member_name(builder, "kinds");
    json_builder_begin_array(builder);
    for (guint i = 0; policy != NULL && i < policy->rules->len; i++) {
        const struct vh_rule *rule = g_ptr_array_index(policy->rules, i);
        g_autofree char *means = g_strdup_printf("%s/%s", rule->program, rule->kind);

        if (!rule->bare)
            continue;
        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "rule");
        json_builder_add_string_value(builder, rule->name);
        json_builder_set_member_name(builder, "on");
        json_builder_add_string_value(builder, rule->kind);
        json_builder_set_member_name(builder, "means");
        json_builder_add_string_value(builder, means);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void print_kinds(const VhPolicy *policy)
{
    for (guint i = 0; i < policy->rules->len; i++) {
        const struct vh_rule *rule = g_ptr_array_index(policy->rules, i);
        g_autofree char *line =
            g_strdup_printf("%s:%u: [rule %s] on: %s means %s/%s", rule->origin.file,
                            rule->origin.line, rule->name, rule->kind, rule->program, rule->kind);
        g_autofree char *text = vh_text_printable(line, false);

        if (rule->bare)
            puts(text);
    }
}

static void print_problems_json(const GPtrArray *problems, const VhPolicy *policy)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "problems");
    json_builder_begin_array(builder);
    for (guint i = 0; i < problems->len; i++) {
        g_autofree char *valid = g_utf8_make_valid(g_ptr_array_index(problems, i), -1);
        json_builder_add_string_value(builder, valid);
    }
    json_builder_end_array(builder);
    add_kinds_json(builder, policy);
    json_builder_end_object(builder);
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    vh_ctl_print_json(root);
}

static int check(struct vh_ctl *ctl, GError **error)
{
    const char *directory = ctl->args[1] ? ctl->args[1] : VH_POLICY_DIR;
    g_autofree char *main_file = g_build_filename(directory, "vhint.conf", NULL);
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    struct vh_cpuset cpus;
    struct vh_policy_place place = {.main = main_file, .program_dir = ctl->program_dir};
    if (ctl->cpus != NULL) {
        g_autoptr(GError) bad = NULL;
        if (vh_cpuset_parse(&cpus, ctl->cpus, &bad) < 0) {
            g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "--cpus: %s", bad->message);
            return -1;
        }
        place.cpus = &cpus;
    }
    if (!g_file_test(directory, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE,
                    "%s is no directory: name the one that has vhint.conf and "
                    "policy.d",
                    directory);
        return -1;
    }
    libbpf_set_print(NULL);
    g_autoptr(VhPolicy) policy = vh_policy_check(&place, problems);
    if (ctl->json)
        print_problems_json(problems, policy);
    for (guint i = 0; !ctl->json && i < problems->len; i++) {
        g_autofree char *text = vh_text_printable(g_ptr_array_index(problems, i), false);
        fprintf(stderr, "%s\n", text);
    }
    if (problems->len > 0)
        return VH_EXIT_REFUSED;
    if (!ctl->json)
        print_kinds(policy);
    if (!ctl->json)
        printf("%s: %u guest section%s, %u rule%s, %u program%s: good\n", directory,
               policy->sections->len, policy->sections->len == 1 ? "" : "s", policy->rules->len,
               policy->rules->len == 1 ? "" : "s", policy->programs->len,
               policy->programs->len == 1 ? "" : "s");
    return VH_EXIT_OK;
}

/* ---- show ---- */

GVariant *vh_ctl_get_policy(struct vh_ctl *ctl, const char *guest, GError **error)
{
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, "GetPolicy", g_variant_new("(s)", guest), "(a{sv})", false, NULL, error);
    return answer ? g_variant_get_child_value(answer, 0) : NULL;
}

void vh_ctl_print_policy_problems(GVariant *policy)
{
    g_autofree const char **problems = NULL;
    if (!g_variant_lookup(policy, "problems", "^a&s", &problems) || problems[0] == NULL)
        return;
    puts("the policy files have mistakes; the last good policy is in force:");
    for (guint i = 0; problems[i] != NULL; i++) {
        g_autofree char *text = vh_text_printable(problems[i], false);
        printf("  %s\n", text);
    }
}

static void print_lines(GVariant *policy)
{
    static const char *const columns[] = {"KEY", "VALUE", "FROM", NULL};
    g_autoptr(GVariant) lines = g_variant_lookup_value(policy, "lines", G_VARIANT_TYPE("a(sssu)"));
    g_autoptr(VhTable) table = vh_table_new(columns);
    for (gsize i = 0; lines != NULL && i < g_variant_n_children(lines); i++) {
        const char *key, *value, *file;
        guint32 line;
        g_variant_get_child(lines, i, "(&s&s&su)", &key, &value, &file, &line);
        vh_table_add(table, key);
        vh_table_add(table, value);
        if (file[0] != '\0')
            vh_table_addf(table, "%s:%u", file, line);
        else
            vh_table_add(table, "default");
    }
    vh_table_print(table);
}

/* {"problems":[...],"lines":[{"key":..,"value":..,"file":..,"line":..}]} */
static void print_policy_json(GVariant *policy)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(GVariant) lines = g_variant_lookup_value(policy, "lines", G_VARIANT_TYPE("a(sssu)"));
    g_autofree const char **problems = NULL;
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "problems");
    json_builder_begin_array(builder);
    if (g_variant_lookup(policy, "problems", "^a&s", &problems))
        for (guint i = 0; problems[i] != NULL; i++)
            json_builder_add_string_value(builder, problems[i]);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "lines");
    json_builder_begin_array(builder);
    for (gsize i = 0; lines != NULL && i < g_variant_n_children(lines); i++) {
        const char *key, *value, *file;
        guint32 line;
        g_variant_get_child(lines, i, "(&s&s&su)", &key, &value, &file, &line);
        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "key");
        json_builder_add_string_value(builder, key);
        json_builder_set_member_name(builder, "value");
        json_builder_add_string_value(builder, value);
        json_builder_set_member_name(builder, "file");
        json_builder_add_string_value(builder, file);
        json_builder_set_member_name(builder, "line");
        json_builder_add_int_value(builder, line);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    vh_ctl_print_json(root);
}

static int show(struct vh_ctl *ctl, GError **error)
{
    if (vh_ctl_connect(ctl, error) < 0)
        return -1;
    g_autoptr(GVariant) policy = vh_ctl_get_policy(ctl, ctl->args[1], error);
    if (policy == NULL)
        return -1;
    if (ctl->json) {
        print_policy_json(policy);
        return VH_EXIT_OK;
    }
    vh_ctl_print_policy_problems(policy);
    print_lines(policy);
    return VH_EXIT_OK;
}

int vh_ctl_policy(struct vh_ctl *ctl, GError **error)
{
    if (g_str_equal(ctl->args[0], "check"))
        return check(ctl, error);
    if (g_str_equal(ctl->args[0], "show") && ctl->args[1] != NULL)
        return show(ctl, error);
    g_set_error_literal(error, VH_CTL_ERROR, VH_EXIT_USAGE,
                        "policy takes: check [DIR], or show GUEST");
    return -1;
}
