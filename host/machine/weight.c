// SPDX-License-Identifier: GPL-2.0-or-later
// Finds and sets the CPU weight of a thread's cgroup.
#include "machine/weight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

/* The two hierarchies, in the words of their files. */
struct hierarchy {
    const char *type;   /* of its mount */
    const char *option; /* that the mount's own options must have; NULL: any */
    const char *threads;
    const char *weight;
    uint64_t most;
};
static const struct hierarchy v2 = {"cgroup2", NULL, "cgroup.threads", "cpu.weight", 10000};
static const struct hierarchy v1 = {"cgroup", "cpu", "tasks", "cpu.shares", 262144};

static bool has_word(const char *list, const char *word)
{
    g_auto(GStrv) words = g_strsplit(list, ",", -1);

    return g_strv_contains((const char *const *)words, word);
}

/* Where the hierarchy is mounted, by /proc/self/mountinfo: "ID PARENT DEVICE ROOT POINT OPTIONS ...
 * - TYPE SOURCE SUPER". NULL: it is not. */
static char *find_mount(const char *proc, const struct hierarchy *hierarchy, char **root)
{
    g_autofree char *path = g_strdup_printf("%s/self/mountinfo", proc);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        char *tail = strstr(lines[i], " - ");
        g_auto(GStrv) head = g_strsplit(lines[i], " ", 7);
        g_auto(GStrv) type = tail ? g_strsplit(tail + 3, " ", 3) : NULL;

        if (!type || g_strv_length(head) < 6 || g_strv_length(type) < 3 ||
            !g_str_equal(type[0], hierarchy->type))
            continue;
        if (hierarchy->option && !has_word(type[2], hierarchy->option))
            continue;
        *root = g_strdup(head[3]);
        return g_strdup(head[4]);
    }
    return NULL;
}

/* The thread's path in the hierarchy: lines "ID:CONTROLLERS:PATH", of which v2's has no
 * controllers. */
static char *find_path(const char *text, const struct hierarchy *hierarchy)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(lines[i], ":", 3);

        if (g_strv_length(parts) == 3 &&
            (hierarchy->option ? has_word(parts[1], hierarchy->option) : !*parts[1]))
            return g_strdup(parts[2]);
    }
    return NULL;
}

/* The cgroup's directory; NULL: the thread is in none of this hierarchy, or in its root. */
static char *find_directory(const char *proc, const char *cgroups,
                            const struct hierarchy *hierarchy)
{
    g_autofree char *root = NULL;
    g_autofree char *mount = find_mount(proc, hierarchy, &root);
    g_autofree char *path = find_path(cgroups, hierarchy);
    const char *below = path;

    if (!mount || !path || g_str_equal(path, "/"))
        return NULL;
    /* A mount may show a part of the hierarchy only. */
    if (!g_str_equal(root, "/")) {
        if (!g_str_has_prefix(path, root))
            return NULL;
        below = path + strlen(root);
    }
    return g_strconcat(mount, below, NULL);
}

/* Is the thread the only one in it? */
static bool is_alone(const char *directory, const struct hierarchy *hierarchy, pid_t thread)
{
    g_autofree char *path = g_build_filename(directory, hierarchy->threads, NULL);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && !strchr(g_strchomp(text), '\n') &&
           g_ascii_strtoll(text, NULL, 10) == thread;
}

int vh_weight_find(const char *proc, pid_t thread, struct vh_weight_file *file, GError **error)
{
    static const struct hierarchy *const hierarchies[] = {&v2, &v1};
    g_autofree char *path = g_strdup_printf("%s/%d/cgroup", proc, thread);
    g_autofree char *text = NULL;
    const char *why =
        "its cgroup has no CPU weight: enable the cpu controller for it, or boost by nice";

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        g_set_error(error, VH_ERROR, VH_ERROR_NOT_CONNECTED, "thread %d: the thread is gone",
                    thread);
        return -1;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(hierarchies); i++) {
        g_autofree char *directory = find_directory(proc, text, hierarchies[i]);
        g_autofree char *weight =
            directory ? g_build_filename(directory, hierarchies[i]->weight, NULL) : NULL;

        if (!weight || access(weight, F_OK) < 0)
            continue;
        if (is_alone(directory, hierarchies[i], thread)) {
            file->path = g_steal_pointer(&weight);
            file->most = hierarchies[i]->most;
            return 0;
        }
        why = "its cgroup has other threads, which the weight would favour too: boost by nice";
    }
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "thread %d: %s", thread, why);
    return -1;
}

int vh_weight_read(const char *path, uint64_t *weight)
{
    char text[32];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int number = errno;

    if (fd >= 0)
        close(fd);
    if (len < 0)
        return -number;
    text[len] = 0;
    *weight = strtoull(text, NULL, 10);
    return *weight ? 0 : -EBADMSG;
}

int vh_weight_write(const char *path, uint64_t weight)
{
    char text[32];
    int len = g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, weight);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t done = fd < 0 ? -1 : write(fd, text, (size_t)len);
    int number = errno;

    if (fd >= 0)
        close(fd);
    return done < 0 ? -number : 0;
}
