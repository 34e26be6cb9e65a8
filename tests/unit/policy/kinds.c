/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which program's hints a rule is about: its own word, and what a kind alone means. */
#include "policy/policy.h"

#include <string.h>

#include "base/error.h"
#include "lib/fake-object.h"

/* An object of the stranger's layout that calls itself and its kind as it likes. */
static VhObject *named(const char *program, const char *kind)
{
    VhObject *object = fake_object_stranger();

    g_strlcpy(object->name, program, sizeof(object->name));
    g_free(object->kinds[0].name);
    object->kinds[0].name = g_strdup(kind);
    return object;
}

/* The program directory has "affinity", and files FILE.KIND whose program is called FILE. */
static VhObject *read_object(const char *name, const char *path, G_GNUC_UNUSED gpointer data,
                             GError **error)
{
    g_auto(GStrv) parts = g_strsplit(path ? path + strlen("/opt/") : name, ".", 2);

    if (!path && g_str_equal(name, "affinity"))
        return fake_object_affinity();
    if (parts[1])
        return named(parts[0], parts[1]);
    g_set_error(error, VH_ERROR, VH_ERROR_INVALID_OBJECT, "program %s: no such file", name);
    return NULL;
}

static void list_objects(GPtrArray *names, G_GNUC_UNUSED gpointer data)
{
    g_ptr_array_add(names, g_strdup("affinity"));
}

static VhPolicy *parse(const char *text, GPtrArray *problems)
{
    const struct vh_policy_world world = {.read_object = read_object, .list_objects = list_objects};
    const struct vh_policy_text texts[] = {{"10.conf", text, strlen(text), false}};

    return vh_policy_parse(texts, 1, &world, problems);
}

#define PROGRAM(name, file) "[program " name "]\npath = /opt/" file "\n"
#define RULE(on) "[rule r]\non = " on "\ndo = float home\n"
#define OUR_RULE(on) "[rule r]\non = " on "\ndo = pin mask\n"

static void test_found(void)
{
    static const struct {
        const char *text, *program, *kind;
        bool bare;
    } cases[] = {
        /* A stranger's kind of the same name is not ours, whoever has it. */
        {PROGRAM("tool", "tool.affinity") OUR_RULE("affinity"), "affinity", "affinity", true},
        {PROGRAM("tool", "tool.affinity") OUR_RULE("affinity/affinity"), "affinity", "affinity",
         false},
        {PROGRAM("tool", "tool.affinity") RULE("tool/affinity"), "tool", "affinity", false},
        /* The only one that has it. */
        {PROGRAM("web", "web.request") RULE("request"), "web", "request", true},
        {PROGRAM("web", "web.request") RULE("web/request"), "web", "request", false},
        /* What the manifest says counts, not the section; two versions of one program are one. */
        {PROGRAM("a", "web.request") PROGRAM("b", "web.request") RULE("request"), "web", "request",
         true},
        {PROGRAM("web", "my.web.request") RULE("my/web.request"), "my", "web.request", false},
        /* Of several the one that is called so. */
        {PROGRAM("x", "x.request") PROGRAM("y", "request.request") RULE("request"), "request",
         "request", true},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(VhPolicy) policy = parse(cases[i].text, problems);
        g_autofree char *on = g_strdup_printf("on %s/%s, do ", cases[i].program, cases[i].kind);
        const struct vh_rule *rule = NULL;

        if (!policy)
            g_error("%s: %s", cases[i].text, (const char *)g_ptr_array_index(problems, 0));
        rule = g_ptr_array_index(policy->rules, 0);
        g_assert_cmpstr(rule->program, ==, cases[i].program);
        g_assert_cmpstr(rule->kind, ==, cases[i].kind);
        g_assert_true(rule->bare == cases[i].bare);
        g_assert_true(g_str_has_prefix(rule->summary, on));
    }
}

static void test_refused(void)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {PROGRAM("x", "x.request") PROGRAM("y", "y.request") RULE("request"),
         "10.conf:6: [rule r] on: several programs have hints of kind \"request\": write x/request "
         "or y/request"},
        {RULE("afinity"), "10.conf:2: [rule r] on: no program has hints of kind \"afinity\"; did "
                          "you mean \"affinity\"? (to make"},
        {PROGRAM("web", "web.request") RULE("wb/request"),
         "10.conf:4: [rule r] on: no program has hints of kind \"wb/request\"; did you mean "
         "\"web/request\"?"},
        {PROGRAM("web", "web.request") RULE("affinity/request"),
         "10.conf:4: [rule r] on: no program has hints of kind \"affinity/request\""},
        {RULE("a/b/c"), "10.conf:2: [rule r] on: \"a/b/c\" is no kind of hint: write PROGRAM/KIND"},
        {RULE("/affinity"), "10.conf:2: [rule r] on: \"/affinity\" is no kind of hint"},
        {RULE("affinity/"), "10.conf:2: [rule r] on: \"affinity/\" is no kind of hint"},
        {RULE(""), "10.conf:2: [rule r] on: \"\" is no kind of hint"},
        /* It fits the stranger's, and is about ours. */
        {PROGRAM("tool", "tool.affinity") RULE("affinity"),
         "10.conf:5: [rule r] do: hints of kind \"affinity\" have no field \"home\""},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(VhPolicy) policy = parse(cases[i].text, problems);
        const char *first = problems->len ? g_ptr_array_index(problems, 0) : "nothing";

        if (policy || !g_str_has_prefix(first, cases[i].problem))
            g_error("\"%s\": \"%s\" should be \"%s...\"", cases[i].text, first, cases[i].problem);
        g_assert_cmpuint(problems->len, ==, 1);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kinds/found", test_found);
    g_test_add_func("/kinds/refused", test_refused);
    return g_test_run();
}
