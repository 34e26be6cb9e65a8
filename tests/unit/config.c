/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/config.c: a whole file is read, and every mistake is named with its line. */
#include "config.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

static VhConfig *load(const char *text, GError **error)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("vhint-config-XXXXXX", &path, NULL);
    VhConfig *config = NULL;

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    config = vh_config_load(path, error);
    g_unlink(path);
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
                                      "programs=affinity, mine;/x/other.bpf.o\n"
                                      "pool=0\n"
                                      "[guest db]\n"
                                      "qmp=/tmp/db.qmp\n"
                                      "channel=/tmp/db.channel\n"
                                      "programs=affinity\n"
                                      "[program mine]\n"
                                      "path=/y/mine.o\n"
                                      "set.threshold=5\n"
                                      "set.mode=fast\n",
                                      &error);
    const struct vh_config_guest *web = NULL;
    const struct vh_config_guest *db = NULL;
    const struct vh_config_program *program = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(config->control, ==, "/tmp/run/control");
    g_assert_cmpstr(config->journal, ==, "/tmp/run/journal");
    g_assert_cmpstr(config->state_dir, ==, "/tmp/state");
    g_assert_cmpuint(config->guests->len, ==, 2);
    web = g_ptr_array_index(config->guests, 0);
    db = g_ptr_array_index(config->guests, 1);
    g_assert_cmpstr(web->name, ==, "web");
    g_assert_cmpstr(web->qmp, ==, "/tmp/web.qmp");
    g_assert_true(web->has_pool);
    g_assert_true(vh_cpuset_has(&web->pool, 0));
    g_assert_false(db->has_pool);
    g_assert_cmpuint(web->programs->len, ==, 3);
    program = g_ptr_array_index(web->programs, 0);
    g_assert_cmpstr(program->path, ==, "/usr/programs/affinity.bpf.o");
    g_assert_true(program == g_ptr_array_index(db->programs, 0));
    program = g_ptr_array_index(web->programs, 1);
    g_assert_cmpstr(program->path, ==, "/y/mine.o");
    g_assert_cmpuint(program->tunables->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(program->tunables, 0), ==, "threshold=5");
    program = g_ptr_array_index(web->programs, 2);
    g_assert_cmpstr(program->name, ==, "other");
    g_assert_cmpstr(program->path, ==, "/x/other.bpf.o");
}

#define GUEST "[guest g]\nqmp=/q\nchannel=/c\n"
#define LONG \
    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaa"

static const struct {
    const char *text, *message;
} mistakes[] = {
    {"[daemon]\nrundir=/x\n", ":2: [daemon] rundir: unknown key; did you mean \"run-dir\"?"},
    {GUEST "pol=1\n", ":4: [guest g] pol: unknown key; did you mean \"pool\"?"},
    {"[guets g]\nqmp=/q\n", ":1: [guets g]: unknown section; did you mean [guest NAME]?"},
    {"[guest g]\nchannel=/c\n", ":1: [guest g]: the key \"qmp\" is missing"},
    {"[guest g]\nqmp=q\nchannel=/c\n", ":2: [guest g] qmp: \"q\" is not an absolute path"},
    {"[guest g]\nqmp=" LONG "\nchannel=/c\n",
     ":2: [guest g] qmp: " LONG " has 114 bytes, a socket's path has at most 107"},
    {GUEST "pool=1-\n", ":4: [guest g] pool: \"1-\" is not a list of CPUs"},
    {GUEST "pool=4095\n", ":4: [guest g] pool: CPU 4095 is not on this host ("},
    {GUEST "pool=\n", ":4: [guest g] pool: names no CPU"},
    {GUEST GUEST, ":1: [guest g]: is there twice (again in line 4)"},
    {GUEST "qmp=/other\n", ":2: [guest g] qmp: is there twice (again in line 4)"},
    {GUEST "[guest h]\nqmp=/q\nchannel=/d\n", ":5: [guest h] qmp: /q serves another guest already"},
    {"[guest a/b]\nqmp=/q\nchannel=/c\n", ":1: [guest a/b]: a guest's name has"},
    {GUEST "programs=./x.o\n", ":4: [guest g] programs: \"./x.o\" is neither a name nor an absolute path"},
    {"[program p]\nset.=1\n", ":2: [program p] set.: a tunable is set by set.NAME=VALUE"},
    {"[program p]\nsett.a=1\n", "did you mean"},
    {"nonsense\n", "nonsense"},
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

static void test_no_file(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_config_load("/nonexistent/vhint.conf", &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
}

static void test_libvirt(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhConfig) config = load("[daemon]\nrun-dir=/tmp/run\n[libvirt]\n"
                                      "[domain web-*]\nprograms=affinity\npool=0\n[domain profile:batch]\n",
                                      &error);
    static const struct {
        const char *text, *pattern;
    } cases[] = {
        {"[libvirt]\nuri=qemu+ssh://far/system\n", "*:2: [libvirt] uri: *far*qemu:///system*"},
        {"[libvirt]\nurl=qemu:///system\n", "*:2: [libvirt] url: unknown key; did you mean \"uri\"?*"},
        {"[libvirt]\nhook=hook\n", "*:2: [libvirt] hook: *not an absolute path*"},
        {"[domain web-*]\n", "*[libvirt]*section is missing*"},
        {"[libvirt]\n[domain profile:]\n", "*:2: [domain profile:]: it matches nothing*"},
        {"[libvirt]\n[domain a]\nqmp=/x\n", "*:3: [domain a] qmp: unknown key*"},
        {"[libvirt]\n[domain a]\npool=\n", "*:3: [domain a] pool: names no CPU*"},
    };

    g_assert_no_error(error);
    g_assert_cmpstr(config->libvirt, ==, "qemu:///system");
    g_assert_cmpstr(config->hook, ==, "/tmp/run/hook");
    g_assert_cmpuint(config->domains->len, ==, 2);
    g_assert_cmpuint(config->guests->len, ==, 0);
    g_assert_cmpstr(((const struct vh_config_guest *)g_ptr_array_index(config->domains, 1))->name, ==,
                    "profile:batch");
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
    g_test_add_func("/config/no-file", test_no_file);
    g_test_add_func("/config/libvirt", test_libvirt);
    return g_test_run();
}
