// SPDX-License-Identifier: GPL-2.0-or-later
// Reads which taps serve a guest's network interfaces.
#include "qemu/nics.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "machine/tid.h"

#define LINES_MAX 256u
#define NO_FDINFO \
    "the kernel does not say which tap QEMU's descriptor is of: vhintd lacks CAP_SYS_PTRACE"
#define NO_TAP "one of its network interfaces is not served by a tap"

/* The value of `key` in "a=b,key=value,c=d", copied into `into`; false: there is none, or it does
 * not fit. */
static bool value_of(const char *line, const char *key, char *into, gsize room)
{
    g_auto(GStrv) parts = g_strsplit(line, ",", -1);
    gsize len = strlen(key);

    for (guint i = 0; parts[i]; i++) {
        const char *part = g_strstrip(parts[i]);

        if (strncmp(part, key, len) == 0 && part[len] == '=')
            return g_strlcpy(into, part + len + 1, room) < room;
    }
    return false;
}

static bool read_mac(const char *text, uint8_t *mac)
{
    unsigned bytes[6];
    char more = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &bytes[0], &bytes[1], &bytes[2], &bytes[3],
               &bytes[4], &bytes[5], &more) != 6)
        return false;
    for (gsize i = 0; i < G_N_ELEMENTS(bytes); i++)
        mac[i] = (uint8_t)bytes[i];
    return true;
}

/* Which tap the descriptor is of, by the line "iff:" of its fdinfo. */
static bool read_fdinfo(const char *proc, const struct vh_thread_id *process, const char *fd,
                        char *tap)
{
    guint64 number = 0;
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    const char *line = NULL;

    if (!process->process || !g_ascii_string_to_unsigned(fd, 10, 0, G_MAXINT, &number, NULL))
        return false;
    path = g_strdup_printf("%s/%d/fdinfo/%" G_GUINT64_FORMAT, proc, process->process, number);
    if (!g_file_get_contents(path, &text, NULL, NULL) || vh_tid_check(proc, process) < 0)
        return false;
    line = g_str_has_prefix(text, "iff:") ? text : strstr(text, "\niff:");
    return line && sscanf(line + (*line == '\n'), "iff: %15s", tap) == 1;
}

/* An interface's line, and of the lines below it the first, which says what serves it. */
static bool read_nic(const char *line, const char *below, const char *proc,
                     const struct vh_thread_id *process, struct vh_nic *nic, const char **problem)
{
    char mac[18];
    char type[8];
    char fd[12];

    if (!value_of(line, "macaddr", mac, sizeof(mac)) || !read_mac(mac, nic->mac))
        return false;
    if (!below || !value_of(below, "type", type, sizeof(type)) || !g_str_equal(type, "tap")) {
        *problem = NO_TAP;
        return false;
    }
    if (value_of(below, "ifname", nic->tap, sizeof(nic->tap)) && *nic->tap)
        return true;
    if (value_of(below, "fd", fd, sizeof(fd)) && read_fdinfo(proc, process, fd, nic->tap))
        return true;
    *problem = NO_FDINFO;
    return false;
}

/* "NAME: key=value,..."; what is below an interface begins with a backslash. */
static const char *fields_of(const char *line)
{
    const char *colon = strstr(line, ": ");

    return colon ? colon + 2 : "";
}

static bool is_below(const char *line)
{
    return g_str_has_prefix(line, " \\ ");
}

GArray *vh_nics_read(const char *text, const char *proc, const struct vh_thread_id *process,
                     const char **problem)
{
    GArray *nics = g_array_new(FALSE, TRUE, sizeof(struct vh_nic));
    g_auto(GStrv) lines = g_strsplit(text, "\n", LINES_MAX);

    *problem = NULL;
    for (guint i = 0; lines[i] && nics->len < VH_NICS_MAX; i++) {
        const char *below = lines[i + 1] && is_below(lines[i + 1]) ? fields_of(lines[i + 1]) : NULL;
        struct vh_nic nic = {0};
        char type[8];

        if (is_below(lines[i]) || !value_of(fields_of(lines[i]), "type", type, sizeof(type)) ||
            !g_str_equal(type, "nic"))
            continue;
        if (read_nic(fields_of(lines[i]), below, proc, process, &nic, problem))
            g_array_append_val(nics, nic);
    }
    return nics;
}
