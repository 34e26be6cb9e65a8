/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest agent behind its socket: whatever it says, in whatever lines.
 *
 * The input is all that it says; at each NUL, and at the end, it hangs up. The number that
 * synchronizes is always the same, so that an input can have it. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/quiet.h"
#include "qemu/qga.h"

static bool is_done;

/* In GLib's place: nobody waits, and nothing is random here. */
void g_usleep(G_GNUC_UNUSED gulong us)
{
}

guint32 g_random_int(void)
{
    return 7;
}

static void check(const GError *error)
{
    g_assert(error && *error->message && g_utf8_validate(error->message, -1, NULL));
}

static void work(struct vh_qga *agent, G_GNUC_UNUSED gpointer data)
{
    static const char *const commands[] = {"guest-exec", "guest-file-open", NULL};
    static const char *const arguments[] = {"one", NULL};
    g_autoptr(GError) missing_error = NULL;
    g_autoptr(GError) shell_error = NULL;
    g_autoptr(GError) write_error = NULL;
    g_autofree char *missing = vh_qga_missing(agent, commands, &missing_error);
    g_autofree char *output = NULL;
    g_autoptr(GBytes) bytes = g_bytes_new_static("file", 4);

    if (!missing)
        check(missing_error);
    if (vh_qga_shell(agent, "true", arguments, &output, &shell_error) < 0)
        check(shell_error);
    else
        g_assert(g_utf8_validate(output, -1, NULL));
    if (vh_qga_write(agent, "/file", bytes, &write_error) < 0)
        check(write_error);
}

static void done(G_GNUC_UNUSED gpointer data)
{
    is_done = true;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    unlink(path);
    g_assert(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
             listen(fd, 8) == 0);
    return fd;
}

/* A connection is told what there is up to the next NUL, and then hung up on. */
static size_t serve(int listener, const uint8_t *bytes, size_t len)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    const uint8_t *end = len ? memchr(bytes, 0, len) : NULL;
    size_t all = end ? (size_t)(end - bytes) : len;

    if (fd < 0)
        return 0;
    (void)!send(fd, bytes, all, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    close(fd);
    return end ? all + 1 : all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct vh_qga_job job = {.work = work, .done = done};
    static char *path;
    static int listener;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    size_t said = 0;

    if (!path) {
        log_begin();
        path = g_strdup_printf("%s/vhint-fuzz-agent-%d", g_get_tmp_dir(), (int)getpid());
        listener = listen_at(path);
        g_assert(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
    }
    is_done = false;
    vh_qga_use_socket(path, cancellable, &job, NULL);
    while (!is_done) {
        said += serve(listener, data + said, size - said);
        g_main_context_iteration(NULL, FALSE);
    }
    serve(listener, NULL, 0);
    return 0;
}
