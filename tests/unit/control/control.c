/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: who gets in, what is limited, and what becomes of errors. */
#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/watches.h"
#include "io/listen.h"
#include "io/peer.h"
#include "lib/fake-manager.h"
#include "lib/loop.h"
#include "wire.h"

struct fixture {
    char *directory;
    char *path;
    VhManager *manager;
    VhControl *control;
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    GError *error = NULL;
    f->directory = g_dir_make_tmp("vhint-control-XXXXXX", &error);
    g_assert_no_error(error);
    g_chmod(f->directory, 0755);
    f->path = g_build_filename(f->directory, "run", "control", NULL);
    f->manager = fake_manager_new();
    f->control = vh_control_new(f->manager, f->path, &error);
    g_assert_no_error(error);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (f->control != NULL)
        vh_control_free(f->control);
    vh_manager_free(f->manager);
    loop_turn();
    g_assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));
    g_autofree char *run = g_path_get_dirname(f->path);
    g_rmdir(run);
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->path);
    g_free(f->directory);
}

/* ---- a client that the main loop drives ---- */

static void keep_result(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    *(GAsyncResult **)data = g_object_ref(result);
}

static void wait_for(GAsyncResult **result)
{
    LOOP_UNTIL(*result);
}

static GDBusConnection *dial(struct fixture *f, GError **error)
{
    g_autofree char *escaped = g_dbus_address_escape_value(f->path);
    g_autofree char *address = g_strdup_printf("unix:path=%s", escaped);
    g_autoptr(GAsyncResult) result = NULL;
    g_dbus_connection_new_for_address(address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL,
                                      NULL, keep_result, &result);
    wait_for(&result);
    return g_dbus_connection_new_for_address_finish(result, error);
}

static GVariant *call(GDBusConnection *connection, const char *method, GVariant *parameters,
                      GUnixFDList **fds, GError **error)
{
    g_autoptr(GAsyncResult) result = NULL;
    g_dbus_connection_call_with_unix_fd_list(
        connection, NULL, VH_CONTROL_OBJECT, "org.vhint.Manager1", method, parameters, NULL,
        G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL, keep_result, &result);
    wait_for(&result);
    return g_dbus_connection_call_with_unix_fd_list_finish(connection, fds, result, error);
}

static GVariant *inject_parameters(const char *guest, const void *object, gsize size)
{
    return g_variant_new("(ss@aya{ss}b)", guest, "",
                         g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, object, size, 1), NULL,
                         FALSE);
}

static void assert_fails(GDBusConnection *connection, const char *method, GVariant *parameters,
                         int code, const char *part)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) answer = call(connection, method, parameters, NULL, &error);
    g_assert_null(answer);
    g_assert_error(error, VH_ERROR, code);
    g_assert_nonnull(strstr(error->message, part));
}

/* ---- calls ---- */

static void test_calls(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = dial(f, &error);
    g_assert_no_error(error);
    static const struct {
        const char *method, *guest, *type;
    } good[] = {{"GetGuest", "web", "(a{sv})"},
                {"ListPrograms", "web", "(aa{sv})"},
                {"ListHints", "web", "(as)"},
                {"Release", "", "(u)"},
                {"Resume", "web", "()"}};
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GVariant) answer =
            call(connection, good[i].method, g_variant_new("(s)", good[i].guest), NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(g_variant_get_type_string(answer), ==, good[i].type);
        assert_fails(connection, good[i].method, g_variant_new("(s)", "ghost"),
                     VH_ERROR_NO_SUCH_GUEST, "ghost");
    }
    g_autoptr(GVariant) guests = call(connection, "ListGuests", NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(g_variant_get_type_string(guests), ==, "(aa{sv})");
    g_autoptr(GVariant) all =
        call(connection, "GetGuests", g_variant_new("(t)", (guint64)0), NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(g_variant_get_type_string(all), ==, "(aa{sv}t)");
    assert_fails(connection, "Watch", g_variant_new("(s)", "ghost"), VH_ERROR_NO_SUCH_GUEST,
                 "ghost");
    assert_fails(connection, "Eject", g_variant_new("(ss)", "web", "x"), VH_ERROR_NO_SUCH_PROGRAM,
                 "'x'");
    g_autoptr(GVariant) ejected =
        call(connection, "Eject", g_variant_new("(ss)", "web", "made"), NULL, &error);
    g_assert_no_error(error);
}

static void test_inject(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = dial(f, &error);
    g_assert_no_error(error);
    assert_fails(connection, "Inject", inject_parameters("web", "BROKEN", 6),
                 VH_ERROR_INVALID_OBJECT, "not an ELF");
    assert_fails(connection, "Inject", inject_parameters("web", "EXISTS", 6), VH_ERROR_EXISTS,
                 "--replace");
    assert_fails(connection, "Inject", inject_parameters("web", "DISK", 4), VH_ERROR_FAILED,
                 "no space left");
    assert_fails(connection, "Inject", inject_parameters("web", "REFUSE", 6), VH_ERROR_REFUSED,
                 "\nverifier log:\n0: (85) call 1\n");

    g_autofree char *big = g_malloc0(VH_OBJECT_MAX + 1);
    g_autoptr(GVariant) answer =
        call(connection, "Inject", inject_parameters("web", big, VH_OBJECT_MAX), NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(g_variant_get_type_string(answer), ==, "(a{sv})");
    g_assert_cmpuint(fake_manager_last_size(f->manager), ==, VH_OBJECT_MAX);
    assert_fails(connection, "Inject", inject_parameters("web", big, VH_OBJECT_MAX + 1),
                 VH_ERROR_INVALID_OBJECT, "16777217");

    /* A message that cannot be an inject at all ends the connection; the next client is served. */
    g_autofree char *huge = g_malloc0(VH_CONTROL_MESSAGE_MAX + 1);
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*the limit is*cut off");
    g_autoptr(GVariant) none =
        call(connection, "Inject", inject_parameters("web", huge, VH_CONTROL_MESSAGE_MAX + 1), NULL,
             &error);
    g_test_assert_expected_messages();
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CLOSED);
    g_clear_error(&error);
    g_autoptr(GDBusConnection) next = dial(f, &error);
    g_assert_no_error(error);
}

static bool is_closed(GDBusConnection *connection)
{
    return g_dbus_connection_is_closed(connection);
}

/* What waits for a client that reads no answers does not grow, whether it wants them or not. */
static void test_calls_without_end(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) other = dial(f, &error);
    g_autoptr(GDBusConnection) connection = dial(f, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < 2 * VH_CONTROL_CALLS_MAX; i++) {
        g_autoptr(GVariant) guests = call(connection, "ListGuests", NULL, NULL, &error);
        g_assert_no_error(error);
    }
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*does not read the answers to 16 calls*");
    for (unsigned i = 0; i < VH_CONTROL_CALLS_MAX + 4; i++)
        g_dbus_connection_call(connection, NULL, VH_CONTROL_OBJECT, "org.vhint.Manager1", "Inject",
                               inject_parameters("web", "WAIT", 4), NULL, G_DBUS_CALL_FLAGS_NONE,
                               -1, NULL, NULL, NULL);
    LOOP_UNTIL(is_closed(connection));
    g_test_assert_expected_messages();
    g_assert_cmpuint(fake_manager_waiting(f->manager), <=, VH_CONTROL_CALLS_MAX);
    g_autoptr(GVariant) guests = call(other, "ListGuests", NULL, NULL, &error);
    g_assert_no_error(error);
    fake_manager_answer(f->manager);
}

/* Others are served while an inject is under way, and its client may go away. */
static void test_inject_waits(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) one = dial(f, &error);
    g_autoptr(GDBusConnection) two = dial(f, &error);
    g_assert_no_error(error);
    g_autoptr(GAsyncResult) result = NULL, lost = NULL;
    g_dbus_connection_call(one, NULL, VH_CONTROL_OBJECT, "org.vhint.Manager1", "Inject",
                           inject_parameters("web", "WAIT", 4), NULL, G_DBUS_CALL_FLAGS_NONE, -1,
                           NULL, keep_result, &result);
    g_dbus_connection_call(two, NULL, VH_CONTROL_OBJECT, "org.vhint.Manager1", "Inject",
                           inject_parameters("web", "WAIT", 4), NULL, G_DBUS_CALL_FLAGS_NONE, -1,
                           NULL, keep_result, &lost);
    LOOP_UNTIL(fake_manager_waiting(f->manager) >= 2);
    g_autoptr(GVariant) guests = call(one, "ListGuests", NULL, NULL, &error);
    g_assert_no_error(error);
    g_dbus_connection_close(two, NULL, NULL, NULL);
    wait_for(&lost);
    g_assert_null(result);
    fake_manager_answer(f->manager);
    wait_for(&result);
    g_autoptr(GVariant) answer = g_dbus_connection_call_finish(one, result, &error);
    g_assert_no_error(error);
}

/* Clients are let in, and told what needs no manager, whatever the hint thread does: here it waits
 * for their answers. */
static void test_hint_thread_busy(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *escaped = g_dbus_address_escape_value(f->path);
    g_autofree char *address = g_strdup_printf("unix:path=%s", escaped);
    g_autoptr(GDBusConnection) connection = g_dbus_connection_new_for_address_sync(
        address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, &error);
    g_autoptr(GVariant) version = NULL;
    g_autoptr(GAsyncResult) asked = NULL;

    g_assert_no_error(error);
    g_dbus_connection_call(connection, NULL, VH_CONTROL_OBJECT, "org.vhint.Manager1", "ListGuests",
                           NULL, NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, keep_result, &asked);
    version = g_dbus_connection_call_sync(connection, NULL, VH_CONTROL_OBJECT,
                                          "org.freedesktop.DBus.Properties", "Get",
                                          g_variant_new("(ss)", "org.vhint.Manager1", "Version"),
                                          NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
    g_assert_no_error(error);
    g_assert_null(asked);
    wait_for(&asked);
    /* And it may end while something is asked. */
    g_dbus_connection_call(connection, NULL, VH_CONTROL_OBJECT, "org.vhint.Manager1", "ListGuests",
                           NULL, NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL, NULL);
    g_dbus_connection_flush_sync(connection, NULL, &error);
    g_assert_no_error(error);
    vh_control_free(g_steal_pointer(&f->control));
}

/* ---- watches ---- */

static int open_watch(GDBusConnection *connection, const char *guest)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GVariant) answer =
        call(connection, "Watch", g_variant_new("(s)", guest), &fds, &error);
    g_assert_no_error(error);
    gint32 index = -1;
    g_variant_get(answer, "(h)", &index);
    int fd = g_unix_fd_list_get(fds, index, &error);
    g_assert_no_error(error);
    return fd;
}

static void test_watch(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = dial(f, &error);
    g_assert_no_error(error);
    int slow = open_watch(connection, "web"), quick = open_watch(connection, "");
    g_autofree char *line = g_strnfill(999, 'x');
    g_autofree char *buffer = g_malloc(65536);
    gsize got = 0;
    for (int i = 0; i < 5000; i++) {
        fake_manager_hint(f->manager, line);
        ssize_t n = read(quick, buffer, 65536);
        g_assert_cmpint(n, >, 0);
        got += (gsize)n;
    }
    g_assert_cmpuint(got, ==, 5000 * 1000);

    g_assert_cmpuint(fake_manager_watches(f->manager), ==, 2);
    close(slow);
    LOOP_UNTIL(fake_manager_watches(f->manager) <= 1);

    /* The pipe, not the connection, is the watch. */
    g_dbus_connection_close_sync(connection, NULL, NULL);
    fake_manager_hint(f->manager, "{}");
    g_assert_cmpint(read(quick, buffer, 65536), ==, 3);

    vh_control_free(g_steal_pointer(&f->control));
    g_assert_cmpuint(fake_manager_watches(f->manager), ==, 0);
    g_assert_cmpint(read(quick, buffer, 65536), ==, 0);
    close(quick);
}

static void test_watch_limit(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = dial(f, &error);
    int fds[VH_CONTROL_WATCHES_MAX];
    for (guint i = 0; i < VH_CONTROL_WATCHES_MAX; i++)
        fds[i] = open_watch(connection, "");
    assert_fails(connection, "Watch", g_variant_new("(s)", ""), VH_ERROR_BUSY, "64 watches");
    for (guint i = 0; i < VH_CONTROL_WATCHES_MAX; i++)
        close(fds[i]);
    LOOP_UNTIL(fake_manager_watches(f->manager) == 0);
    close(open_watch(connection, ""));
}

/* ---- who gets in ---- */

static int raw_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Whether the daemon closes `fd` within `seconds`; the main loop runs meanwhile. */
static gboolean closed_within(int fd, double seconds)
{
    char c;
    LOOP_FOR(seconds)
    {
        ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return TRUE;
    }
    return FALSE;
}

/* Half-open clients are limited in number, and in time. */
static void test_limits(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int fds[VH_CONTROL_CLIENTS_MAX];
    for (guint i = 0; i < VH_CONTROL_CLIENTS_MAX; i++) {
        fds[i] = raw_connect(f->path);
        g_assert_cmpint(fds[i], >=, 0);
        loop_turn();
    }
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*64 clients already*");
    int one_more = raw_connect(f->path);
    g_assert_true(closed_within(one_more, 2));
    g_test_assert_expected_messages();
    close(one_more);

    for (guint i = 0; i < VH_CONTROL_CLIENTS_MAX; i++)
        g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*did not authenticate*");
    for (guint i = 0; i < VH_CONTROL_CLIENTS_MAX; i++) {
        g_assert_true(closed_within(fds[i], VH_CONTROL_AUTH_SECONDS + 5));
        close(fds[i]);
    }
    g_test_assert_expected_messages();
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = dial(f, &error);
    g_assert_no_error(error);
}

static void test_external_only(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int fd = raw_connect(f->path);
    char answer[256];
    static const char *const mechanisms[] = {"ANONYMOUS 61", "DBUS_COOKIE_SHA1 30"};
    g_assert_cmpint(write(fd, "", 1), ==, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(mechanisms); i++) {
        g_autofree char *line = g_strdup_printf("AUTH %s\r\n", mechanisms[i]);
        g_assert_cmpint(write(fd, line, strlen(line)), ==, strlen(line));
        ssize_t n = -1;
        LOOP_UNTIL((n = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT)) >= 0);
        answer[n] = '\0';
        g_assert_cmpstr(answer, ==, "REJECTED EXTERNAL\r\n");
    }
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*did not authenticate*");
    shutdown(fd, SHUT_WR);
    g_assert_true(closed_within(fd, 2));
    g_test_assert_expected_messages();
    close(fd);
}

/* Starts a process of user 65534 with `group` as a supplementary one that connects to `path` and
 * waits until the other side has answered or closed; returns its pid. */
static pid_t stranger(const char *path, gid_t group)
{
    pid_t pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid > 0)
        return pid;
    char c;
    if (setgroups(1, &group) || setgid(65533) || setuid(65534))
        _exit(10);
    int fd = raw_connect(path);
    if (fd < 0)
        _exit(11);
    _exit(read(fd, &c, 1) == 0 ? 12 : 13);
}

static void test_stranger_refused(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (geteuid() != 0) {
        g_test_skip("needs root, to be somebody else");
        return;
    }
    int status = 0;
    pid_t pid = stranger(f->path, 65532);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(WEXITSTATUS(status), ==, 11); /* the file's mode */

    g_chmod(f->path, 0666); /* and the daemon does not rely on it */
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*user 65534 refused*");
    pid = stranger(f->path, 65532);
    LOOP_UNTIL(waitpid(pid, &status, WNOHANG) != 0);
    g_assert_cmpint(WEXITSTATUS(status), ==, 12);
    g_test_assert_expected_messages();
}

static void test_peer_groups(void)
{
    if (geteuid() != 0) {
        g_test_skip("needs root, to be somebody else");
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = g_dir_make_tmp("vhint-peer-XXXXXX", &error);
    g_chmod(directory, 0755);
    g_autofree char *path = g_build_filename(directory, "s", NULL);
    g_autoptr(GSocket) listener = vh_listen_unix(path, 65532, &error);
    g_assert_no_error(error);
    struct stat st;
    g_assert_cmpint(g_stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0660);
    g_assert_cmpint(st.st_gid, ==, 65532);
    pid_t pid = stranger(path, 65532); /* in by its supplementary group */
    g_socket_set_blocking(listener, TRUE);
    g_autoptr(GSocket) accepted = g_socket_accept(listener, NULL, &error);
    g_assert_no_error(error);
    struct vh_peer peer = {0};
    g_assert_cmpint(vh_peer_read(g_socket_get_fd(accepted), &peer), ==, 0);
    g_assert_cmpint(peer.pid, ==, pid);
    g_assert_cmpuint(peer.uid, ==, 65534);
    g_assert_cmpuint(peer.gid, ==, 65533);
    g_assert_cmpuint(peer.group_count, ==, 1);
    g_assert_true(vh_peer_allowed(&peer, 1, 65532));
    g_assert_true(vh_peer_allowed(&peer, 1, 65533));
    g_assert_true(vh_peer_allowed(&peer, 65534, VH_PEER_NO_GROUP));
    g_assert_false(vh_peer_allowed(&peer, 1, 65531));
    g_assert_false(vh_peer_allowed(&peer, 1, VH_PEER_NO_GROUP));
    vh_peer_clear(&peer);
    g_socket_close(accepted, NULL);
    waitpid(pid, NULL, 0);
    vh_listen_remove(path, listener);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

/* ---- the socket's place ---- */

/* Who only looks whether somebody serves the socket has gone before it says who it is. */
static gboolean is_fatal(G_GNUC_UNUSED const char *domain, G_GNUC_UNUSED GLogLevelFlags level,
                         const char *message, G_GNUC_UNUSED gpointer data)
{
    return strstr(message, "did not authenticate") == NULL;
}

static void test_place(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    struct stat st;
    g_test_log_set_fatal_handler(is_fatal, NULL);
    g_assert_cmpint(g_stat(f->path, &st), ==, 0);
    g_assert_cmpint(
        st.st_mode & 07777, ==,
        geteuid() == 0 && vh_peer_group_lookup(VH_PEER_GROUP) != VH_PEER_NO_GROUP ? 0660 : 0600);

    g_assert_null(vh_control_new(f->manager, f->path, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
    g_assert_nonnull(strstr(error->message, f->path));
    g_clear_error(&error);

    vh_control_free(g_steal_pointer(&f->control));
    g_assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));

    /* What a killed daemon leaves. */
    g_autoptr(GSocket) dead = vh_listen_unix(f->path, VH_PEER_NO_GROUP, &error);
    g_assert_no_error(error);
    g_socket_close(dead, NULL);
    g_assert_true(g_file_test(f->path, G_FILE_TEST_EXISTS));
    f->control = vh_control_new(f->manager, f->path, &error);
    g_assert_no_error(error);
    g_autoptr(GDBusConnection) connection = dial(f, &error);
    g_assert_no_error(error);
    vh_control_free(g_steal_pointer(&f->control));

    g_assert_true(g_file_set_contents(f->path, "mine", -1, NULL));
    g_assert_null(vh_control_new(f->manager, f->path, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    g_clear_error(&error);
    g_assert_cmpint(g_unlink(f->path), ==, 0);

    g_autofree char *name = g_strnfill(108, 'x');
    g_autofree char *longer = g_build_filename(f->directory, name, NULL);
    g_assert_null(vh_control_new(f->manager, longer, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG);
}

/* Freed with clients in every state. */
static void test_free(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) connection = dial(f, &error);
    g_assert_no_error(error);
    int half = raw_connect(f->path);
    loop_pass(0.02);
    vh_control_free(g_steal_pointer(&f->control));
    g_assert_true(closed_within(half, 2));
    close(half);
    LOOP_UNTIL(g_dbus_connection_is_closed(connection));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    static const struct {
        const char *name;
        void (*test)(struct fixture *, gconstpointer);
    } tests[] = {
        {"/control/calls", test_calls},
        {"/control/inject", test_inject},
        {"/control/calls-without-end", test_calls_without_end},
        {"/control/inject-waits", test_inject_waits},
        {"/control/hint-thread-busy", test_hint_thread_busy},
        {"/control/watch", test_watch},
        {"/control/watch-limit", test_watch_limit},
        {"/control/limits", test_limits},
        {"/control/external-only", test_external_only},
        {"/control/stranger-refused", test_stranger_refused},
        {"/control/place", test_place},
        {"/control/free", test_free},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].test, tear_down);
    g_test_add_func("/control/peer-groups", test_peer_groups);
    return g_test_run();
}
