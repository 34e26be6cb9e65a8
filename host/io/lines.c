// SPDX-License-Identifier: GPL-2.0-or-later
// Appends lines to a file.
#include "io/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct VhLines {
    char *path;
    goffset most;
    int fd;
    bool torn; /* the file may end in the middle of a line */
};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

/* Goes on in the file that is at the path now, whoever has put it there. */
static void reopen(VhLines *lines)
{
    int fd = open_file(lines->path);

    if (fd < 0)
        return;
    close(lines->fd);
    lines->fd = fd;
    lines->torn = false;
}

VhLines *vh_lines_open(const char *path, goffset most, GError **error)
{
    VhLines *lines = NULL;
    int fd = open_file(path);

    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    lines = g_new0(VhLines, 1);
    lines->path = g_strdup(path);
    lines->most = most;
    lines->fd = fd;
    return lines;
}

void vh_lines_close(VhLines *lines)
{
    close(lines->fd);
    g_free(lines->path);
    g_free(lines);
}

/* Has somebody moved or removed the file? Has it grown too large? What was truncated is found out
 * by its size. */
static void look_after(VhLines *lines)
{
    struct stat ours;
    struct stat theirs;

    if (fstat(lines->fd, &ours) < 0)
        return;
    if (stat(lines->path, &theirs) < 0 || theirs.st_ino != ours.st_ino ||
        theirs.st_dev != ours.st_dev) {
        reopen(lines);
    } else if (ours.st_size > lines->most) {
        g_autofree char *old = g_strconcat(lines->path, ".1", NULL);

        if (g_rename(lines->path, old) == 0)
            reopen(lines);
    }
}

/* Takes a line back of which only `written` bytes had room. */
static void take_back(VhLines *lines, size_t written)
{
    struct stat st;

    lines->torn = written && (fstat(lines->fd, &st) < 0 || st.st_size < (off_t)written ||
                              ftruncate(lines->fd, st.st_size - (off_t)written) < 0);
}

int vh_lines_write(VhLines *lines, const char *line)
{
    size_t len = strlen(line);
    size_t written = 0;

    look_after(lines);
    if (lines->torn && write(lines->fd, "\n", 1) == 1)
        lines->torn = false;
    while (written < len) {
        ssize_t done = write(lines->fd, line + written, len - written);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            int error = -errno;

            take_back(lines, written);
            return error;
        }
        written += (size_t)done;
    }
    return 0;
}
