/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/policy/load.c: what is on the disk, and what is said of what is not. */
#include "policy/load.h"

#include <string.h>

#include "lib/scratch.h"

struct fixture {
    char *directory;
    GPtrArray *problems;
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->directory = g_dir_make_tmp("vhint-load-XXXXXX", NULL);
    f->problems = g_ptr_array_new_with_free_func(g_free);
    /* In the place of the built-in ones, whose programs are not there. */
    scratch_write(f->directory, "policy.d/00-affinity.conf", "");
    scratch_write(f->directory, "policy.d/00-sched.conf", "");
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    scratch_remove(f->directory);
    g_ptr_array_unref(f->problems);
}

/* Checks vhint.conf with this text, and the directory beside it. */
static void check(struct fixture *f, const char *text)
{
    g_autofree char *path = g_build_filename(f->directory, "vhint.conf", NULL);
    g_autoptr(VhPolicy) policy = NULL;

    scratch_write(f->directory, "vhint.conf", text);
    g_ptr_array_set_size(f->problems, 0);
    policy = vh_policy_check(&(struct vh_policy_place){.main = path, .program_dir = f->directory},
                             f->problems);
    g_assert_true(!policy == (f->problems->len > 0));
}

static void assert_problem(const struct fixture *f, guint number, const char *words)
{
    g_assert_cmpuint(f->problems->len, >, number);
    if (!strstr(g_ptr_array_index(f->problems, number), words))
        g_error("\"%s\" does not say \"%s\"", (char *)g_ptr_array_index(f->problems, number),
                words);
}

static void test_good(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    check(f, "[daemon]\nrun-dir = /tmp/run\n[guest web]\npool = all\n");
    g_assert_cmpuint(f->problems->len, ==, 0);
}

static void test_no_object(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *text = NULL;
    g_autofree char *words = NULL;

    check(f, "[program p]\npath = /nonexistent/p.bpf.o\n");
    g_assert_cmpuint(f->problems->len, ==, 1);
    assert_problem(
        f, 0,
        "vhint.conf:2: [program p] path: there is no file /nonexistent/p.bpf.o: name the "
        "object of the program");
    text = g_strdup_printf("[program p]\npath = %s\n", f->directory);
    words = g_strdup_printf("path: %s: Is a directory", f->directory);
    check(f, text);
    assert_problem(f, 0, words);
}

/* What is wrong with the daemon's own keys, and with policy, is told at once, and each line once.
 */
static void test_both(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    check(f, "[daemon]\nrundir = /x\ncontrol = y\n[guest web]\nsmt = x\n");
    g_assert_cmpuint(f->problems->len, ==, 3);
    assert_problem(f, 0, ":5: [guest web] smt: ");
    assert_problem(f, 1, ":2: [daemon] rundir: ");
    assert_problem(f, 2, ":3: [daemon] control: ");
    check(f, "nonsense\n[daemon]\n");
    g_assert_cmpuint(f->problems->len, ==, 1);
}

static void test_no_directory(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *file = g_build_filename(f->directory, "vhint.conf", NULL);
    g_autofree char *text = g_strdup_printf("[daemon]\npolicy-dir = %s\n", file);
    g_autofree char *words = g_strdup_printf("%s: Not a directory", file);

    check(f, text);
    assert_problem(f, 0, words);
}

#define ADD(name, func) g_test_add("/load/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("good", test_good);
    ADD("no-object", test_no_object);
    ADD("both", test_both);
    ADD("no-directory", test_no_directory);
    return g_test_run();
}
