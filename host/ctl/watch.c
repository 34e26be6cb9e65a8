// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl watch: prints hints as they come out of the daemon's pipe.
#include <errno.h>
#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

FILE *vh_ctl_open_watch(struct vh_ctl *ctl, const char *guest, GError **error)
{
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, "Watch", g_variant_new("(s)", guest), "(h)", false, &fds, error);
    if (answer == NULL)
        return NULL;
    gint32 index = 0;
    g_variant_get(answer, "(h)", &index);
    int fd = fds ? g_unix_fd_list_get(fds, index, error) : -1;
    if (fd < 0) {
        g_clear_error(error);
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_REFUSED, "vhintd at %s sent no pipe to watch",
                    ctl->socket);
        return NULL;
    }
    return fdopen(fd, "r");
}

/* Prints one line; whether it is a hint, which counts. */
static bool print_line(const struct vh_ctl *ctl, const char *line)
{
    guint64 dropped = 0;
    bool is_hint = !vh_hint_line_dropped(line, &dropped);
    if (ctl->json) {
        vh_ctl_print_json_text(line);
    } else if (is_hint) {
        g_autofree char *pretty = vh_hint_line_pretty(line);
        puts(pretty ? pretty : "(a line that is no hint)");
    } else {
        printf("(%" G_GUINT64_FORMAT " hints dropped here: this reader was too slow)\n", dropped);
    }
    return is_hint;
}

int vh_ctl_watch(struct vh_ctl *ctl, GError **error)
{
    FILE *pipe = vh_ctl_open_watch(ctl, ctl->args ? ctl->args[0] : "", error);
    if (pipe == NULL)
        return -1;
    char *line = NULL;
    size_t room = 0;
    int left = ctl->count;
    bool written = true;
    ssize_t len = 0;
    while (left != 0 && written && (len = getline(&line, &room, pipe)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        if (print_line(ctl, line) && left > 0)
            left--;
        written = fflush(stdout) == 0; /* hints are read as they come, also through a pipe */
    }
    free(line);
    fclose(pipe);
    if (left == 0 || !written)
        return VH_EXIT_OK;
    g_set_error(error, VH_CTL_ERROR, VH_EXIT_UNREACHABLE, "vhintd at %s has ended the watch",
                ctl->socket);
    return -1;
}
