// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a thread's cpuset.
#include "machine/cgroup.h"

#include <string.h>

/* Line "ID:CONTROLLERS:PATH" of /proc/PID/cgroup: is it the hierarchy that has `controller` (v1),
 * or v2's (NULL)?
 */
static bool is_hierarchy(const char *controllers, const char *controller)
{
    g_auto(GStrv) names = g_strsplit(controllers, ",", -1);

    return controller ? g_strv_contains((const char *const *)names, controller) : !*controllers;
}

/* The thread's path in that hierarchy; NULL: it has none. */
static char *path_in(const char *lines, const char *controller)
{
    g_auto(GStrv) all = g_strsplit(lines, "\n", -1);

    for (guint i = 0; all[i]; i++) {
        g_auto(GStrv) fields = g_strsplit(all[i], ":", 3);

        if (g_strv_length(fields) == 3 && is_hierarchy(fields[1], controller))
            return g_strdup(fields[2]);
    }
    return NULL;
}

static bool read_list(const char *directory, const char *file, struct vh_cpuset *cpus)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) &&
           vh_cpuset_parse(cpus, g_strstrip(text), NULL) == 0 && !vh_cpuset_empty(cpus);
}

/* From the group upwards: in v2 only some groups have the controller, and what is above them holds.
 */
static bool read_upwards(const char *root, const char *file, const char *path,
                         struct vh_cpuset *cpus)
{
    g_autofree char *at = g_strdup(path);

    for (;;) {
        g_autofree char *directory = g_build_filename(root, at, NULL);
        char *slash = strrchr(at, '/');

        if (read_list(directory, file, cpus))
            return true;
        if (!slash)
            return false;
        *slash = 0;
    }
}

bool vh_cgroup_cpus(const char *proc, const char *cgroup, pid_t thread, struct vh_cpuset *cpus,
                    char **path)
{
    g_autofree char *file = g_strdup_printf("%s/%d/cgroup", proc, thread);
    g_autofree char *v1_root = g_build_filename(cgroup, "cpuset", NULL);
    g_autofree char *unified = g_build_filename(cgroup, "unified", NULL);
    g_autofree char *lines = NULL;
    g_autofree char *v1 = NULL;
    g_autofree char *v2 = NULL;

    if (!g_file_get_contents(file, &lines, NULL, NULL))
        return false;
    v1 = path_in(lines, "cpuset");
    v2 = path_in(lines, NULL);
    if (v1 && read_upwards(v1_root, "cpuset.effective_cpus", v1, cpus)) {
        *path = g_steal_pointer(&v1);
        return true;
    }
    if (v2 && (read_upwards(cgroup, "cpuset.cpus.effective", v2, cpus) ||
               read_upwards(unified, "cpuset.cpus.effective", v2, cpus))) {
        *path = g_steal_pointer(&v2);
        return true;
    }
    return false;
}
