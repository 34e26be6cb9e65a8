// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a listening UNIX socket, taking the place of one that nobody serves any more.
#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/peer.h"
#include "io/service.h"

#define BACKLOG 16
#define PASSED "vh-passed" /* set on sockets that are not ours to remove */

static bool fail(GError **error, int errnum, const char *what, const char *path)
{
    g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errnum), "%s %s: %s", what, path,
                g_strerror(errnum));
    return false;
}

/* Opens the directory of `path`, made if need be, and locks it while two daemons might look for the
 * same place. */
static int open_locked_directory(const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    if (g_mkdir_with_parents(directory, 0755)) {
        fail(error, errno, "cannot make the directory", directory);
        return -1;
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        fail(error, errno, "cannot open the directory", directory);
        return -1;
    }
    if (flock(fd, LOCK_EX)) {
        fail(error, errno, "cannot lock the directory", directory);
        close(fd);
        return -1;
    }
    return fd;
}

/* Sees to it that nothing is at `path`. */
static bool clear_path(const char *path, const struct sockaddr_un *address, GError **error)
{
    struct stat st;
    if (lstat(path, &st))
        return errno == ENOENT || fail(error, errno, "cannot look at", path);
    if (!S_ISSOCK(st.st_mode)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                    "%s is there and is not a socket: remove it, or choose another path", path);
        return false;
    }
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return fail(error, errno, "cannot make a socket to try", path);
    int failed = connect(probe, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
    close(probe);
    if (failed == 0 || failed == EAGAIN) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
                    "%s is served by a running daemon: stop that one, or choose another path",
                    path);
        return false;
    }
    if (failed != ECONNREFUSED)
        return fail(error, failed, "cannot try", path);
    return g_unlink(path) == 0 || fail(error, errno, "cannot remove the stale socket", path);
}

static bool bind_and_listen(int fd, const char *path, const struct sockaddr_un *address,
                            gid_t group, GError **error)
{
    /* The mode before bind(2) is the mode of the file it makes: nobody gets in between. */
    if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)address, sizeof(*address)))
        return fail(error, errno, "cannot bind", path);
    if (group != VH_PEER_NO_GROUP && (chown(path, (uid_t)-1, group) || chmod(path, 0660)))
        return fail(error, errno, "cannot give to the group vhint", path);
    return listen(fd, BACKLOG) == 0 || fail(error, errno, "cannot listen at", path);
}

/* The service manager's socket at `path`, if it holds one; its mode and group are its unit's. */
static GSocket *take_passed(const char *path)
{
    int fd = vh_service_socket(path);
    GSocket *listener = fd < 0 ? NULL : g_socket_new_from_fd(fd, NULL);
    if (listener)
        g_object_set_data(G_OBJECT(listener), PASSED, listener);
    return listener;
}

GSocket *vh_listen_unix(const char *path, gid_t group, GError **error)
{
    g_autoptr(GSocket) passed = take_passed(path);
    if (passed)
        return g_steal_pointer(&passed);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
                    "the socket's path %s has %zu bytes, a UNIX socket's may have %zu: choose a "
                    "shorter one",
                    path, strlen(path), sizeof(address.sun_path) - 1);
        return NULL;
    }
    int directory = open_locked_directory(path, error);
    if (directory < 0)
        return NULL;
    g_autoptr(GSocket) listener = NULL;
    if (clear_path(path, &address, error)) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) {
            fail(error, errno, "cannot make a socket for", path);
        } else if (!bind_and_listen(fd, path, &address, group, error)) {
            close(fd);
        } else {
            listener = g_socket_new_from_fd(fd, error);
            if (listener == NULL)
                close(fd);
        }
    }
    close(directory);
    return g_steal_pointer(&listener);
}

void vh_listen_remove(const char *path, GSocket *listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (g_object_get_data(G_OBJECT(listener), PASSED)) {
        g_socket_close(listener, NULL);
        return;
    }
    int directory = open_locked_directory(path, NULL);
    g_socket_close(listener, NULL);
    clear_path(path, &address, NULL);
    if (directory >= 0)
        close(directory);
}
