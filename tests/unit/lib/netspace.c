// SPDX-License-Identifier: GPL-2.0-or-later
// A network namespace of the test's own.
#include "lib/netspace.h"

#include <errno.h>
#include <gio/gio.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "nft.h"

static void write_file(const char *path, const char *text)
{
    g_assert(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

bool netspace_enter(void)
{
    g_autofree char *nft = g_find_program_in_path("nft");
    g_autofree char *map = g_strdup_printf("0 %u 1", getuid());
    uint32_t generation = 0;
    int fd = -1;
    bool good = false;

    if (!nft)
        return false;
    if (geteuid() == 0) {
        good = unshare(CLONE_NEWNET) == 0;
    } else if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) {
        write_file("/proc/self/uid_map", map);
        good = true;
    }
    fd = good ? vh_nft_open() : -1;
    good = fd >= 0 && vh_nft_generation(fd, &generation) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

/* nft wants a line's end behind what it takes for a block, which rules in a test need not have. */
static char *in_lines(const char *rules)
{
    static const char *const ends[] = {"} }", "; }", "}; chain", "} chain", "} table"};
    GString *text = g_string_new(rules);

    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        const char *gap = strchr(ends[i], ' ');
        g_autofree char *broken =
            g_strdup_printf("%.*s\n%s", (int)(gap - ends[i]), ends[i], gap + 1);

        /* Twice, for ends that overlap. */
        g_string_replace(text, ends[i], broken, 0);
        g_string_replace(text, ends[i], broken, 0);
    }
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}

char *netspace_add(const char *rules)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *said = NULL;
    g_autoptr(GSubprocess) nft =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
                             G_SUBPROCESS_FLAGS_STDERR_PIPE,
                         &error, "nft", "-f", "-", NULL);

    g_assert_no_error(error);
    g_assert(g_subprocess_communicate_utf8(nft, rules, NULL, NULL, &said, NULL));
    return g_subprocess_get_successful(nft) ? NULL : g_steal_pointer(&said);
}

char *netspace_try(const char *rules)
{
    g_autofree char *all = g_strconcat("flush ruleset\n", rules, NULL);

    return netspace_add(all);
}

/* Not what begins or ends a block. */
static bool is_rule(const char *line)
{
    return *line != '}' && !g_str_has_prefix(line, "chain ") && !g_str_has_prefix(line, "table ") &&
           !g_str_has_prefix(line, "set ");
}

/* The text without the lines that nft complains of: "/dev/stdin:LINE:...". */
static char *without(const char *rules, const char *said)
{
    g_auto(GStrv) lines = g_strsplit(rules, "\n", -1);
    guint count = g_strv_length(lines);

    for (const char *at = said; (at = strstr(at, "/dev/stdin:")); at++) {
        /* The first line of what nft reads is not of this text. */
        guint64 line = g_ascii_strtoull(at + strlen("/dev/stdin:"), NULL, 10);

        if (line > 1 && line <= count + 1 && is_rule(lines[line - 2]))
            *lines[line - 2] = '\0';
    }
    return g_strjoinv("\n", lines);
}

bool netspace_set_most(char **rules)
{
    for (int i = 0; i < 8; i++) {
        g_autofree char *said = netspace_try(*rules);
        char *rest = said ? without(*rules, said) : NULL;

        if (!said)
            return true;
        g_free(*rules);
        *rules = rest;
    }
    return false;
}

void netspace_set(const char *rules)
{
    g_autofree char *lines = in_lines(rules);
    g_autofree char *said = netspace_try(lines);

    g_assert_cmpstr(said, ==, NULL);
}

/* VH_RECORD=DIRECTORY keeps dumps: the seeds of tests/fuzz/corpus/rules are of that making. */
static void record(GBytes *bytes)
{
    static unsigned number;
    const char *directory = g_getenv("VH_RECORD");
    g_autofree char *path = directory ? g_strdup_printf("%s/%02u", directory, number++) : NULL;

    if (path)
        g_assert(g_file_set_contents(path, g_bytes_get_data(bytes, NULL),
                                     (gssize)g_bytes_get_size(bytes), NULL));
}

GBytes *netspace_dump(void)
{
    struct vh_nft_dump dump = {0};
    GBytes *bytes = NULL;
    int fd = vh_nft_open();

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(vh_nft_dump(fd, &dump), ==, 0);
    close(fd);
    bytes = g_bytes_new(dump.bytes, dump.size);
    vh_nft_dump_free(&dump);
    record(bytes);
    return bytes;
}
