/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vhint-libvirt-hook as libvirtd runs it: whatever is wrong, it ends with 0 and in time; what is
 * right arrives. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook/port.h"
#include "lib/loop.h"

/* The hook's own deadline, and what a machine takes to start a process. One with more to do than it
 * has cores takes any time, and may leave the hook none to speak: so a call is made up to TRIES
 * times, and must be good once. */
#ifdef __SANITIZE_ADDRESS__ /* which looks for leaks at the end */
#define START_MS 2000
#define ROUNDS 2
#else
#define START_MS 50
#define ROUNDS 4
#endif
#define LIMIT_US ((VH_HOOK_DEADLINE_MS + START_MS) * 1000)
#define TRIES 200

struct fixture {
    char *directory;
    char *path;
    VhHookPort *port;
    /* what arrived */
    guint calls;
    char *guest, *operation;
    GBytes *xml;
    uint32_t flags;
};

static void on_call(const struct vh_hook_call *call, gpointer data)
{
    struct fixture *f = data;
    f->calls++;
    g_free(f->guest);
    g_free(f->operation);
    g_clear_pointer(&f->xml, g_bytes_unref);
    f->guest = g_strdup(call->guest);
    f->operation = g_strdup(call->operation);
    f->xml = g_bytes_ref(call->xml);
    f->flags = call->flags;
}

static void listen_now(struct fixture *f)
{
    GError *error = NULL;
    f->port = vh_hook_port_new(f->path, on_call, f, &error);
    g_assert_no_error(error);
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    GError *error = NULL;
    /* A hook that ran out of time in the middle is a warning of the daemon's, and no failure. */
    g_log_set_always_fatal((GLogLevelFlags)(G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL));
    f->directory = g_dir_make_tmp("vhint-hook-XXXXXX", &error);
    g_assert_no_error(error);
    f->path = g_build_filename(f->directory, "hook", NULL);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_hook_port_free(f->port);
    g_unlink(f->path);
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->directory);
    g_free(f->path);
    g_free(f->guest);
    g_free(f->operation);
    g_clear_pointer(&f->xml, g_bytes_unref);
}

/* Under sanitizers the hook is searched for leaks when it ends, which takes longer than all else
 * that it does. */
static bool search_leaks = true;

/* Starts the hook with `in` as its stdin. */
static pid_t start_at(const char *path, int in, const char *guest)
{
    g_autofree char *variable = g_strconcat("VHINT_HOOK_SOCKET=", path, NULL);
    char *const environment[] = {variable, search_leaks ? NULL : "ASAN_OPTIONS=detect_leaks=0",
                                 NULL};
    pid_t pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        if (in >= 0)
            dup2(in, 0);
        else
            close(0);
        execle(HOOK, HOOK, guest, "prepare", "begin", "-", NULL, environment);
        _exit(99);
    }
    return pid;
}

static pid_t start(const struct fixture *f, int in, const char *guest)
{
    return start_at(f->path, in, guest);
}

/* Waits for the hook, asserts its status; was it in time? */
static bool finish(pid_t pid, gint64 begin)
{
    int status = -1;
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    return g_get_monotonic_time() - begin < LIMIT_US;
}

static bool run_once(const struct fixture *f, int in)
{
    gint64 begin = g_get_monotonic_time();
    if (in >= 0)
        lseek(in, 0, SEEK_SET);
    return finish(start(f, in, "web"), begin);
}

/* Whether to call the hook, once more after `tries` calls. It is told in the end
 * (tests/conftest.py).
 */
static bool try_again(int tries, bool done)
{
    if (done || tries == TRIES)
        return false;
    if (tries)
        g_test_message("second try: the hook had no time to say it all");
    return true;
}

/* For a hook that nobody hears. */
static void run(const struct fixture *f, int in)
{
    bool in_time = false;

    for (int i = 0; try_again(i, in_time); i++)
        in_time = run_once(f, in);
    g_assert_true(in_time);
}

/* A descriptor from which `len` bytes of `c` can be read. */
static int file_of(gsize len, char c)
{
    g_autofree char *text = g_strnfill(len, c);
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, len), ==, len);
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    return fd;
}

/* For a hook that is heard. */
static void run_heard(struct fixture *f, int in)
{
    bool heard = false;

    for (int i = 0; try_again(i, heard); i++) {
        guint before = f->calls;
        bool in_time = run_once(f, in);
        loop_pass(0.02);
        heard = in_time && f->calls > before;
    }
    g_assert_true(heard);
}

/* ---- what is right arrives ---- */

static void test_arrives(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const char text[] = "<domain/>";
    listen_now(f);
    for (int i = 0; try_again(i, f->calls > 0 && !f->flags); i++) {
        int pipe_fds[2];
        g_assert_cmpint(pipe(pipe_fds), ==, 0);
        g_assert_cmpint(write(pipe_fds[1], text, strlen(text)), ==, strlen(text));
        close(pipe_fds[1]);
        run_once(f, pipe_fds[0]);
        close(pipe_fds[0]);
        loop_pass(0.02);
    }
    g_assert_cmpstr(f->guest, ==, "web");
    g_assert_cmpstr(f->operation, ==, "prepare");
    g_assert_cmpuint(f->flags, ==, 0);
    g_assert_cmpmem(g_bytes_get_data(f->xml, NULL), g_bytes_get_size(f->xml), text, strlen(text));
}

/* As long as it may be: the daemon reads while the hook writes. */
static gpointer turn_loop(gpointer data)
{
    LOOP_UNTIL(g_atomic_int_get((int *)data));
    return NULL;
}

static void test_longest(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int in = file_of(VH_HOOK_XML_MAX, 'x');
    listen_now(f);
    for (int i = 0; try_again(i, f->calls > 0 && !f->flags); i++) {
        int stop = 0;
        GThread *thread = g_thread_new("loop", turn_loop, &stop);
        run_once(f, in);
        g_usleep(20000);
        g_atomic_int_set(&stop, 1);
        g_thread_join(thread);
    }
    close(in);
    g_assert_cmpuint(f->calls, >, 0);
    g_assert_cmpuint(f->flags, ==, 0);
    g_assert_cmpuint(g_bytes_get_size(f->xml), ==, VH_HOOK_XML_MAX);
}

static void test_too_long(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int in = file_of(VH_HOOK_XML_MAX + 1, 'x');
    listen_now(f);
    run_heard(f, in);
    close(in);
    g_assert_cmpuint(f->flags, !=, 0);
    g_assert_cmpuint(g_bytes_get_size(f->xml), ==, 0);
    g_assert_cmpstr(f->guest, ==, "web");
}

static void test_endless(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int in = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    listen_now(f);
    run_heard(f, in);
    close(in);
    g_assert_cmpuint(f->flags, !=, 0);
}

static void test_never_closing(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int pipe_fds[2];
    listen_now(f);
    g_assert_cmpint(pipe(pipe_fds), ==, 0);
    g_assert_cmpint(write(pipe_fds[1], "<domain>", 8), ==, 8);
    run_heard(f, pipe_fds[0]);
    g_assert_cmpuint(f->flags, ==, VH_HOOK_XML_TOO_LATE);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void test_no_stdin(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    listen_now(f);
    run_heard(f, -1);
    g_assert_cmpuint(f->flags, ==, VH_HOOK_XML_TOO_LATE);
}

/* ---- the daemon is not well ---- */

static void test_absent(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int in = file_of(VH_HOOK_XML_MAX, 'x');
    g_autofree char *path = g_steal_pointer(&f->path);
    g_autofree char *too_long = g_strnfill(500, '/');
    run(&(struct fixture){.path = path}, in);
    g_assert_true(g_file_set_contents(path, "no socket", -1, NULL));
    run(&(struct fixture){.path = path}, in);
    run(&(struct fixture){.path = too_long}, in);
    f->path = g_steal_pointer(&path);
    close(in);
}

static int listening_socket(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(bind(fd, (const struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, backlog), ==, 0);
    return fd;
}

/* Accepts nothing: the first connections and some bytes fit into the kernel's queues, then nothing
 * does. */
static void test_hung(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int in = file_of(VH_HOOK_XML_MAX, 'x');
    int listener = listening_socket(f->path, 1);
    for (int i = 0; i < 6; i++)
        run(f, in);
    close(listener);
    close(in);
}

/* ---- what the daemon makes of calls ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(connect(fd, (const struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

static bool hung_up(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR);
}

static void await_hang_up(int fd)
{
    LOOP_UNTIL(hung_up(fd));
    close(fd);
}

static void test_nonsense(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_hook_header headers[] = {
        {.magic = VH_HOOK_MAGIC + 1, .text_len = {1}},
        {.magic = VH_HOOK_MAGIC, .text_len = {VH_HOOK_TEXT_MAX + 1}},
        {.magic = VH_HOOK_MAGIC, .text_len = {1}, .xml_len = VH_HOOK_XML_MAX + 1},
        {.magic = VH_HOOK_MAGIC, .text_len = {UINT32_MAX, UINT32_MAX}},
        {.magic = VH_HOOK_MAGIC},                  /* no guest */
        {.magic = VH_HOOK_MAGIC, .text_len = {1}}, /* not UTF-8: see below */
    };
    listen_now(f);
    for (gsize i = 0; i < G_N_ELEMENTS(headers); i++) {
        g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*dropped a call*");
        int fd = connect_to(f->path);
        g_assert_cmpint(write(fd, &headers[i], sizeof(headers[i])), ==, sizeof(headers[i]));
        if (i == G_N_ELEMENTS(headers) - 1)
            g_assert_cmpint(write(fd, "\xff", 1), ==, 1);
        await_hang_up(fd);
        g_test_assert_expected_messages();
    }
    g_assert_cmpuint(f->calls, ==, 0);
}

/* Connections that say nothing are let go after their time, and do not keep others out for longer.
 */
static void test_silent_callers(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int fds[VH_HOOK_CALLS_MAX + 8];
    listen_now(f);
    for (gsize i = 0; i < G_N_ELEMENTS(fds); i++)
        g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*not finished in time*");
    for (gsize i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = connect_to(f->path);
    int in = file_of(10, 'x');
    for (int i = 0; try_again(i, f->calls > 0); i++) {
        run_once(f, in);
        loop_pass(0.3);
    }
    close(in);
    g_assert_cmpuint(f->calls, >, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(fds); i++)
        await_hang_up(fds[i]);
    g_test_assert_expected_messages();
}

/* Hundreds of calls, 50 at a time: all succeed, and what is called afterwards is heard whole. */
static void test_burst(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int stop = 0;
    int in = file_of(3000, 'x');
    listen_now(f);
    search_leaks = false;
    GThread *thread = g_thread_new("loop", turn_loop, &stop);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pids[50];
        for (int i = 0; i < 50; i++) {
            g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", in);
            int own = open(path, O_RDONLY | O_CLOEXEC); /* an offset of its own */
            pids[i] = start(f, own, "web");
            close(own);
        }
        for (int i = 0; i < 50; i++) {
            int status = -1;
            g_assert_cmpint(waitpid(pids[i], &status, 0), ==, pids[i]);
            g_assert_cmpint(status, ==, 0);
        }
    }
    g_atomic_int_set(&stop, 1);
    g_thread_join(thread);
    loop_turn();
    search_leaks = true;
    g_test_message("%u of %u calls heard", f->calls, ROUNDS * 50);
    g_assert_cmpuint(f->calls, >, ROUNDS * 5);
    /* The last one heard may have had no time left for its XML. */
    for (int i = 0; try_again(i, g_bytes_get_size(f->xml) == 3000); i++) {
        g_assert_cmpint(lseek(in, 0, SEEK_SET), ==, 0);
        run_once(f, in);
        loop_pass(0.3);
    }
    g_assert_cmpuint(g_bytes_get_size(f->xml), ==, 3000);
    close(in);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
#define TEST(path, func) g_test_add("/hook/" path, struct fixture, NULL, set_up, func, tear_down)
    TEST("arrives", test_arrives);
    TEST("longest", test_longest);
    TEST("too-long", test_too_long);
    TEST("endless", test_endless);
    TEST("never-closing", test_never_closing);
    TEST("no-stdin", test_no_stdin);
    TEST("absent", test_absent);
    TEST("hung", test_hung);
    TEST("nonsense", test_nonsense);
    TEST("silent-callers", test_silent_callers);
    TEST("burst", test_burst);
    return g_test_run();
}
