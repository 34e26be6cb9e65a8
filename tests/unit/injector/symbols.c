/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/symbols.c: names that a list like /proc/kallsyms has, and has not. */
#include "symbols.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

static char *list_of(const char *text)
{
    char *path = NULL;
    int fd = g_file_open_tmp("symbols-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static void test_find(void)
{
    g_autofree char *path = list_of("0000000000000000 T do_exit\n"
                                    "0000000000000000 t static_one.isra.0\n"
                                    "0000000000000000 t kvm_vcpu_run\t[kvm]\n"
                                    "rubbish\n"
                                    "\n"
                                    "0000000000000000\n"
                                    "0000000000000000 T \n"
                                    "0000000000000000 T both\n"
                                    "0000000000000000 t both\t[kvm]\n"
                                    "ffffffff81000000 T last");
    static const char *const wanted[] = {"last", "do_exit",      "none", "static_one",
                                         "both", "kvm_vcpu_run", "",     "do_exit"};
    g_autofree char *longest = g_strnfill(VH_SYMBOL_SIZE - 1, 'x');
    g_autofree char *longer = g_strnfill(VH_SYMBOL_SIZE, 'x');
    struct vh_symbols symbols = {0};

    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++)
        g_assert_cmpint(vh_symbols_want(&symbols, wanted[i]), ==, 0);
    for (int i = 0; i < 100; i++)
        g_assert_cmpint(vh_symbols_want(&symbols, longest), ==, 0);
    g_assert_cmpint(vh_symbols_want(&symbols, longer), ==, 0);
    g_assert_null(vh_symbols_find(&symbols, "do_exit")); /* nobody has looked yet */
    g_assert_cmpint(vh_symbols_read(&symbols, path), ==, 0);
    g_assert_nonnull(vh_symbols_find(&symbols, "do_exit"));
    g_assert_nonnull(vh_symbols_find(&symbols, "last"));
    g_assert_false(vh_symbols_find(&symbols, "do_exit")->module);
    g_assert_true(vh_symbols_find(&symbols, "kvm_vcpu_run")->module);
    g_assert_true(vh_symbols_find(&symbols, "both")->module);
    g_assert_null(vh_symbols_find(&symbols, "static_one"));
    g_assert_null(vh_symbols_find(&symbols, "none"));
    g_assert_null(vh_symbols_find(&symbols, longest));
    g_assert_null(vh_symbols_find(&symbols, longer));
    g_assert_null(vh_symbols_find(&symbols, "static_one.isra.0")); /* not asked for */
    vh_symbols_free(&symbols);
    g_unlink(path);
}

static void test_no_list(void)
{
    struct vh_symbols symbols = {0};

    g_assert_cmpint(vh_symbols_read(&symbols, "/nowhere/at/all"), ==, -ENOENT);
    g_assert_false(symbols.read);
    g_assert_null(vh_symbols_find(&symbols, "do_exit"));
    vh_symbols_free(&symbols);
}

/* Of the kernel that runs here. */
static void test_kallsyms(void)
{
    struct vh_symbols symbols = {0};

    if (access("/proc/kallsyms", R_OK)) {
        g_test_skip("this kernel shows no /proc/kallsyms");
        return;
    }
    g_assert_cmpint(vh_symbols_want(&symbols, "schedule"), ==, 0);
    g_assert_cmpint(vh_symbols_want(&symbols, "no_such_function_at_all"), ==, 0);
    g_assert_cmpint(vh_symbols_read(&symbols, "/proc/kallsyms"), ==, 0);
    g_assert_nonnull(vh_symbols_find(&symbols, "schedule"));
    g_assert_null(vh_symbols_find(&symbols, "no_such_function_at_all"));
    vh_symbols_free(&symbols);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/symbols/find", test_find);
    g_test_add_func("/symbols/no-list", test_no_list);
    g_test_add_func("/symbols/kallsyms", test_kallsyms);
    return g_test_run();
}
