/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/config/vhintd.c: a whole file is read, and every mistake is named with its line. */
#include "config/vhintd.h"

#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static VhConfig *load_all(const char *text, GPtrArray *problems, GError **error)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("vhint-config-XXXXXX", &path, NULL);
    VhConfig *config = NULL;

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    config = vh_config_load(path, problems, error);
    g_unlink(path);
    return config;
}

static VhConfig *load(const char *text, GError **error)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    VhConfig *config = load_all(text, problems, error);

    g_assert_true(!config == (problems->len > 0));
    return config;
}

static void test_whole(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhConfig) config = load("# a comment\n"
                                      "[daemon]\n"
                                      "run-dir=/tmp/run\n"
                                      "state-dir=/tmp/state\n"
                                      "program-dir=/usr/programs\n"
                                      "\n"
                                      "[guest web]\n"
                                      "qmp=/tmp/web.qmp\n"
                                      "channel=/tmp/web.channel\n"
                                      "programs=affinity\n"
                                      "uuid=5c2b3f0e-7a11-4d6e-9d3c-0c1f7f6f8a10\n"
                                      "profile=front\n"
                                      "agent=/tmp/web.agent\n"
                                      "bootstrap=yes\n"
                                      "pool=0\n"
                                      "[guest db]\n"
                                      "qmp=/tmp/db.qmp\n"
                                      "channel=/tmp/db.channel\n"
                                      "programs=affinity\n"
                                      "[guest db-*]\n"
                                      "smt=pair\n"
                                      "[libvirt]\n"
                                      "[rule any]\n"
                                      "on=anything\n",
                                      &error);
    const struct vh_config_guest *web = NULL;
    const struct vh_config_guest *db = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(config->control, ==, "/tmp/run/control");
    g_assert_cmpstr(config->journal, ==, "/tmp/run/journal");
    g_assert_cmpstr(config->state_dir, ==, "/tmp/state");
    g_assert_cmpuint(config->guests->len, ==, 2);
    web = g_ptr_array_index(config->guests, 0);
    db = g_ptr_array_index(config->guests, 1);
    g_assert_cmpstr(web->name, ==, "web");
    g_assert_cmpstr(web->qmp, ==, "/tmp/web.qmp");
    g_assert_cmpstr(web->uuid, ==, "5c2b3f0e-7a11-4d6e-9d3c-0c1f7f6f8a10");
    g_assert_cmpstr(web->profile, ==, "front");
    g_assert_cmpstr(web->agent, ==, "/tmp/web.agent");
    g_assert_null(db->agent);
    g_assert_true(g_str_has_suffix(config->injector, "/vhint-injector"));
    g_assert_cmpstr(db->name, ==, "db");
    g_assert_cmpstr(db->profile, ==, "");
    g_assert_cmpstr(config->libvirt, ==, "qemu:///system");
    g_assert_cmpstr(config->hook, ==, "/tmp/run/hook");
}

#define GUEST "[guest g]\nqmp=/q\nchannel=/c\n"
#define LONG \
    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaa" \
    "aaaaaaa"

static const struct {
    const char *text, *message;
} mistakes[] = {
    {"[daemon]\nrundir=/x\n", ":2: [daemon] rundir: unknown key; did you mean \"run-dir\"?"},
    {"[guest g]\nchannel=/c\n", ":1: [guest g]: the key \"qmp\" is missing"},
    {"[guest g]\nqmp=q\nchannel=/c\n", ":2: [guest g] qmp: \"q\" is not an absolute path"},
    {"[guest g]\nqmp=" LONG "\nchannel=/c\n",
     ":2: [guest g] qmp: " LONG " has 114 bytes, a socket's path has at most 107"},
    {GUEST GUEST, ":4: [guest g] is there twice (first in line 1)"},
    {GUEST "qmp=/other\n", ":4: [guest g] qmp is there twice (first in line 2)"},
    {GUEST "[guest h]\nqmp=/q\nchannel=/d\n", ":5: [guest h] qmp: /q serves another guest already"},
    {GUEST "agent=/c\n", ":4: [guest g] agent: /c is used already"},
    {GUEST "agent=a\n", ":4: [guest g] agent: \"a\" is not an absolute path"},
    {"[daemon]\ninjector=i\n", ":2: [daemon] injector: \"i\" is not an absolute path"},
    {"[guest a/b]\nqmp=/q\nchannel=/c\n", ":1: [guest a/b]: a guest's name has"},
    {"[libvirt]\nurl=qemu:///system\n", ":2: [libvirt] url: unknown key; did you mean \"uri\"?"},
    {"[libvirt]\nuri=xen:///system\n",
     ":2: [libvirt] uri: \"xen:///system\" is not libvirt's QEMU"},
    {"nonsense\n", ":1: \"nonsense\" is neither a section"},
};

static void test_mistakes(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(load(mistakes[i].text, &error));
        g_assert_nonnull(error);
        if (!strstr(error->message, mistakes[i].message))
            g_error("\"%s\" does not say \"%s\"", error->message, mistakes[i].message);
    }
}

/* Who mends the first finds no second one that was there before. */
static void test_all_mistakes(void)
{
    static const char *const lines[] = {
        ":2: ", ":3: ", ":4: ", ":5: ", ":6: ", ":8: ", ":9: ", ":10: ", ":13: ", ":14: "};
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    g_assert_null(load_all("[daemon]\nrun-dir=run\nstat-dir=/x\nmetrics=0.0.0.0:1\n"
                           "injector=i\nsuccessor-timeout=soon\n"
                           "[libvirt]\nuri=xen:///system\nhok=/h\n"
                           "[guest a]\nchannel=/c\n"
                           "[guest b]\nqmp=q\nchannel=/c\n",
                           problems, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    g_assert_cmpuint(problems->len, ==, G_N_ELEMENTS(lines));
    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        bool told = false;

        for (guint j = 0; j < problems->len; j++)
            told = told || strstr(g_ptr_array_index(problems, j), lines[i]);
        if (!told)
            g_error("nothing is said of %s", lines[i]);
    }
}

static void test_no_file(void)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_config_load("/nonexistent/vhint.conf", problems, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    g_assert_cmpstr(error->message, ==, "/nonexistent/vhint.conf: No such file or directory");
    g_assert_cmpuint(problems->len, ==, 0);
}

static void test_libvirt(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhConfig) config =
        load("[daemon]\nrun-dir=/tmp/run\n[libvirt]\n"
             "[guest web-*]\nprograms=affinity\npool=0\n[guest profile:batch]\n",
             &error);
    static const struct {
        const char *text, *pattern;
    } cases[] = {
        {"[libvirt]\nuri=qemu+ssh://far/system\n", "*:2: [libvirt] uri: *far*qemu:///system*"},
        {"[libvirt]\nurl=qemu:///system\n",
         "*:2: [libvirt] url: unknown key; did you mean \"uri\"?*"},
        {"[libvirt]\nhook=hook\n", "*:2: [libvirt] hook: *not an absolute path*"},
    };

    g_assert_no_error(error);
    g_assert_cmpstr(config->libvirt, ==, "qemu:///system");
    g_assert_cmpstr(config->hook, ==, "/tmp/run/hook");
    g_assert_cmpuint(config->guests->len, ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) refusal = NULL;
        g_autoptr(VhConfig) none = load(cases[i].text, &refusal);

        g_assert_null(none);
        if (!g_pattern_match_simple(cases[i].pattern, refusal->message))
            g_error("\"%s\" does not match \"%s\"", refusal->message, cases[i].pattern);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/whole", test_whole);
    g_test_add_func("/config/mistakes", test_mistakes);
    g_test_add_func("/config/all-mistakes", test_all_mistakes);
    g_test_add_func("/config/no-file", test_no_file);
    g_test_add_func("/config/libvirt", test_libvirt);
    return g_test_run();
}
