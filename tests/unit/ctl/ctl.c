/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vhintctl as its users run it, against a served fake manager: output, JSON, every exit code. */
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/control.h"
#include "lib/fake-manager.h"
#include "lib/loop.h"
#include "wire.h"

struct fixture {
    char *directory;
    char *path;
    char *object; /* a file that injects well */
    VhManager *manager;
    VhControl *control;
    /* the last run */
    int code;
    char *out;
    char *err;
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    GError *error = NULL;
    f->directory = g_dir_make_tmp("vhint-ctl-XXXXXX", &error);
    g_assert_no_error(error);
    f->path = g_build_filename(f->directory, "control", NULL);
    f->object = g_build_filename(f->directory, "good.bpf.o", NULL);
    g_assert_true(g_file_set_contents(f->object, "an object", -1, NULL));
    f->manager = fake_manager_new();
    f->control = vh_control_new(f->manager, f->path, &error);
    g_assert_no_error(error);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_clear_pointer(&f->control, vh_control_free);
    vh_manager_free(f->manager);
    g_assert_cmpint(g_unlink(f->object), ==, 0);
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->directory);
    g_free(f->path);
    g_free(f->object);
    g_free(f->out);
    g_free(f->err);
}

/* ---- running it ---- */

static void keep_result(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    *(GAsyncResult **)data = g_object_ref(result);
}

static GSubprocess *start(struct fixture *f, const char *const *args)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_ptr_array_add(argv, (gpointer)VHINTCTL);
    for (; *args != NULL; args++)
        g_ptr_array_add(argv, (gpointer)*args);
    g_ptr_array_add(argv, NULL);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_subprocess_launcher_setenv(launcher, "VHINT_SOCKET", f->path, TRUE);
    g_subprocess_launcher_setenv(launcher, "LC_ALL", "C.UTF-8", TRUE);
    GSubprocess *process =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)argv->pdata, &error);
    g_assert_no_error(error);
    return process;
}

static void finish(struct fixture *f, GSubprocess *process)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GAsyncResult) result = NULL;
    g_subprocess_communicate_utf8_async(process, NULL, NULL, keep_result, &result);
    LOOP_UNTIL(result);
    g_clear_pointer(&f->out, g_free);
    g_clear_pointer(&f->err, g_free);
    g_subprocess_communicate_utf8_finish(process, result, &f->out, &f->err, &error);
    g_assert_no_error(error);
    g_assert_true(g_subprocess_get_if_exited(process));
    f->code = g_subprocess_get_exit_status(process);
}

static void run(struct fixture *f, const char *const *args)
{
    g_autoptr(GSubprocess) process = start(f, args);
    finish(f, process);
}

#define RUN(f, ...) run(f, (const char *const[]){__VA_ARGS__, NULL})

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        g_test_message("\"%s\" is not in \"%s\"", part, text);
        g_assert_not_reached();
    }
}

static void G_GNUC_PRINTF(2, 3) assert_matches(const char *text, const char *format, ...)
{
    g_autofree char *pattern = NULL;
    va_list args;

    va_start(args, format);
    pattern = g_strdup_vprintf(format, args);
    va_end(args);
    if (!g_regex_match_simple(pattern, text, 0, 0)) {
        g_error("\"%s\" does not match \"%s\"", text, pattern);
    }
}

static JsonNode *parse(const struct fixture *f)
{
    g_autoptr(GError) error = NULL;
    JsonNode *root = json_from_string(f->out, &error);
    g_assert_no_error(error);
    g_assert_nonnull(root);
    return root;
}

/* ---- tests ---- */

static void test_people(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    unsigned cpu = 0;
    pid_t thread = fake_manager_thread(f->manager, &cpu);

    RUN(f, "status");
    g_assert_cmpstr(f->err, ==, "");
    g_assert_cmpint(f->code, ==, 0);
    assert_has(f->out, "vhintd " VH_VERSION " at ");
    assert_has(f->out, "web: connected, kernel 6.1\\x1b[2J\\x9b\\u202eé, programs 1");
    assert_matches(f->out,
                   "\nVCPU  GUEST CPU  APIC ID  THREAD +HOST CPUS  FORMER  STATE     "
                   "REASON\n0 +0 +0 +%d +%u +0-1 +pinned +4 hints pin guest CPU 0 "
                   "\\(rule affinity-pin\\); CPU %u of NUMA node 0: no other anchor on "
                   "its core\n1 +- +- +- +- +- +floating +no plan has been made for it yet\n",
                   thread, cpu, cpu);
    g_assert_null(strchr(f->out, '\033'));

    RUN(f, "status", "web");
    g_assert_cmpint(f->code, ==, 0);
    RUN(f, "guests");
    g_assert_cmpint(f->code, ==, 0);
    assert_has(f->out, "GUEST  CONNECTED  KERNEL");
    assert_has(f->out, "web    yes        6.1\\x1b[2J\\x9b\\u202eé ");
    RUN(f, "programs", "web");
    assert_has(f->out, "affinity  1.0      running");
    assert_has(f->out, "0123456789ab");
    g_assert_null(strstr(f->out, "0123456789abc"));
    RUN(f, "why", "web");
    g_assert_cmpint(f->code, ==, 0);
    assert_has(f->out, "vCPU 1: pin to CPUs 5: applied, for 1 h 2 min (since ");
    assert_has(
        f->out,
        ")\n"
        "  hint     web affinity/affinity pid=812 comm=\"x \\u001b\"\n"
        "           and 3 more\n"
        "  rule     affinity-pin (00-affinity.conf:5): on affinity when cpus == 1 do pin mask\n"
        "  why      4 hints pin guest CPU 1 (rule affinity-pin); CPU 5 of NUMA node 0\n"
        "  limits   pool 2-5 (10-web.conf:3), max-pins 512 (default)\n"
        "  before   0-7\n\n"
        "vCPU 2: boost by nice: kept, not in force\n"
        "  rule     urgent\n"
        "  why      the rule says by nice\n"
        "  trial    kept: it waits less than before; waits 65.2% -> 2.8%\n"
        "           taken back 1 time\n");
    g_assert_null(strchr(f->out, '\033'));
    RUN(f, "why", "idle");
    g_assert_cmpint(f->code, ==, 0);
    g_assert_cmpstr(f->out, ==,
                    "idle is released: nothing is done for it until vhintctl resume idle\n"
                    "idle is not connected: no injector has answered yet\n");
    RUN(f, "hints", "web");
    g_assert_cmpstr(f->out, ==, "web affinity/affinity pid=812 mask=[4,0] in.a=1 comm=\"x y\"\n");
    RUN(f, "status");
    assert_has(f->out,
               "have mistakes; the last good policy is in force:\n  10-web.conf:3: [guest web] "
               "pol: unknown key\\x1b");
    RUN(f, "policy", "show", "web");
    g_assert_cmpint(f->code, ==, 0);
    assert_has(f->out, "10-web.conf:3: [guest web] pol: unknown key");
    assert_has(f->out, "KEY   VALUE  FROM\n"
                       "pool  2-5    /etc/vhint/policy.d/10-web.conf:3\n"
                       "smt   avoid  default\n");
    RUN(f, "release");
    g_assert_cmpstr(f->out, ==, "released all guests: 2 actions undone\n");
    RUN(f, "resume", "web");
    g_assert_cmpstr(f->out, ==, "resumed web\n");
    RUN(f, "bootstrap", "web");
    g_assert_cmpstr(f->out, ==,
                    "web: vhint-injector 0.1 answers, kernel 6.1\\x1b[2J; it is in "
                    "/run/vhint-injector/vhint-injector, until the guest's next boot, and systemd "
                    "restarts it\n");
    RUN(f, "handover");
    g_assert_nonnull(strstr(f->out, "within 60 seconds"));
    RUN(f, "eject", "web", "made");
    g_assert_cmpstr(f->out, ==, "ejected made from web\n");
}

static void test_top(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    RUN(f, "top", "--batch");
    g_assert_cmpint(f->code, ==, 0);
    assert_has(f->out, "GUEST  VCPU  ON");
    assert_has(f->out, "its core\n");
    assert_has(f->out, "web    1     -   floats   -     -      0.0      no plan has been made");
    RUN(f, "top");
    g_assert_cmpint(f->code, ==, 2);
    assert_has(f->err, "top needs a terminal");
    RUN(f, "top", "--interval", "0");
    g_assert_cmpint(f->code, ==, 2);
    RUN(f, "top", "--socket", "/nowhere");
    g_assert_cmpint(f->code, ==, 3);
}

static void test_map(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *svg = g_build_filename(f->directory, "map.svg", NULL);
    g_autofree char *nowhere = g_build_filename(f->directory, "no", "map.svg", NULL);
    g_autofree char *text = NULL;
    unsigned cpu = 0;

    fake_manager_thread(f->manager, &cpu);
    RUN(f, "map");
    g_assert_cmpint(f->code, ==, 0);
    assert_has(f->out, "socket 0\n");
    assert_matches(f->out, " %u web/0\\]", cpu);
    assert_has(f->out, "\nweb: 2 vCPUs: 1 on a CPU of its own, 1 floats\n");
    RUN(f, "map", "--svg", svg, "--topology", "package:2 l3:8 core:8 pu:2");
    g_assert_cmpint(f->code, ==, 0);
    g_assert_cmpstr(f->out, ==, "");
    g_assert_true(g_file_get_contents(svg, &text, NULL, NULL));
    assert_has(text, "256 CPUs, 128 cores, 16 L3 caches");
    g_assert_cmpint(g_unlink(svg), ==, 0);
    RUN(f, "map", "--svg", nowhere);
    g_assert_cmpint(f->code, ==, 2);
    RUN(f, "map", "--topology", "nonsense");
    g_assert_cmpint(f->code, ==, 2);
    assert_has(f->err, "topology \"nonsense\": not hwloc's synthetic format");
    RUN(f, "map", "--socket", "/nowhere");
    g_assert_cmpint(f->code, ==, 3);
    RUN(f, "map", "--socket", "/nowhere", "--topology", "core:4 pu:1");
    g_assert_cmpint(f->code, ==, 0);
}

static void test_json(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const struct {
        const char *args[5];
        const char *path;
        const char *value; /* of what stands there, as JSON */
    } cases[] = {
        {{"--json", "status"}, "$.guests[0].vcpu[0].guest_cpu", "[0]"},
        {{"status", "web", "--json"}, "$.guests[0].vcpu[0].state", "[\"pinned\"]"},
        {{"--json", "guests"}, "$[0].connected", "[true]"},
        {{"--json", "map"}, "$.guests[0].threads[0].thread", "[\"vCPU 0\"]"},
        {{"--json", "programs", "web"}, "$[0].hints", "[12]"},
        {{"--json", "hints", "web"}, "$[0].fields.in.a", "[1]"},
        {{"--json", "why", "web"}, "$[1].before", "[0.625]"},
        {{"--json", "why", "web"}, "$[0].hint_count", "[4]"},
        {{"--json", "policy", "show", "web"}, "$.lines[0].line", "[3]"},
        {{"--json", "status"},
         "$.policy.problems[0]",
         "[\"10-web.conf:3: [guest web] pol: unknown key\\u001b[2J\"]"},
        {{"--json", "eject", "web", "made"}, "$.ejected", "[\"made\"]"},
        {{"--json", "bootstrap", "web"}, "$.how", "[\"systemd\"]"},
        {{"--json", "release", "web"}, "$.undone", "[2]"},
        {{"--json", "resume", "web"}, "$.resumed", "[\"web\"]"},
        {{"--json", "hints", "ghost"}, "$.error.name", "[\"org.vhint.Error.NoSuchGuest\"]"},
        {{"--json", "--socket", "/nowhere", "guests"}, "$.error.exit_code", "[3]"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        run(f, cases[i].args);
        g_autoptr(JsonNode) root = parse(f);
        g_assert_null(strstr(f->out, "\xc2\x9b"));
        g_assert_null(strstr(f->out, "\xe2\x80\xae"));
        g_autoptr(JsonNode) found = json_path_query(cases[i].path, root, &error);
        g_assert_no_error(error);
        g_autofree char *text = json_to_string(found, FALSE);
        g_assert_cmpstr(text, ==, cases[i].value);
    }
    RUN(f, "--json", "inject", "web", f->object);
    g_autoptr(JsonNode) root = parse(f);
    g_assert_cmpint(json_object_get_int_member(json_node_get_object(root), "attached"), ==, 3);
}

/* A file beside the good object, with this content; removed by the caller. */
static char *make_file(struct fixture *f, const char *content, gssize len)
{
    char *path = g_build_filename(f->directory, "other.bpf.o", NULL);
    g_assert_true(g_file_set_contents(path, content, len, NULL));
    return path;
}

static void test_inject(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    RUN(f, "inject", "web", f->object, "--name", "fallback", "--set", "a=1", "--set", "b=x=y",
        "--replace");
    g_assert_cmpstr(f->err, ==, "");
    g_assert_cmpstr(f->out, ==, "injected made 2 into web: 3 BPF programs attached\n");
    g_assert_cmpstr(fake_manager_last_call(f->manager), ==,
                    "inject web fallback replace=1 {'a': '1', 'b': 'x=y'}");

    RUN(f, "inject", "web", f->object);
    g_assert_cmpstr(fake_manager_last_call(f->manager), ==, "inject web good replace=0 {}");

    RUN(f, "inject", "web", f->object, "--partial", "--map", "start=1024", "--every", "49", "--set",
        "a=1");
    g_assert_cmpint(f->code, ==, 0);
    g_assert_cmpstr(fake_manager_last_call(f->manager), ==,
                    "inject web good replace=0 {'a': '1', '.map.start': '1024', '.partial': "
                    "'true', '.every': '49'}");

    g_autofree char *refused = make_file(f, "REFUSE", -1);
    RUN(f, "inject", "web", refused);
    g_assert_cmpint(f->code, ==, 1);
    g_assert_cmpstr(f->out, ==, "");
    assert_has(f->err, "other.bpf.o: the kernel refused hook\uFFFD\nverifier log:\n0: (85) call "
                       "1\n\tR1\\x1b[31m bad\n");
    RUN(f, "--json", "inject", "web", refused);
    g_assert_cmpint(f->code, ==, 1);
    g_autoptr(JsonNode) root = parse(f);

    g_autofree char *broken = make_file(f, "BROKEN", -1);
    RUN(f, "inject", "web", broken);
    g_assert_cmpint(f->code, ==, 1);
    assert_has(f->err, "not an ELF file");
    g_autofree char *exists = make_file(f, "EXISTS", -1);
    RUN(f, "inject", "web", exists);
    g_assert_cmpint(f->code, ==, 1);
    g_unlink(exists);

    RUN(f, "inject", "ghost", f->object);
    g_assert_cmpint(f->code, ==, 4);
}

static void test_inject_files(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *bytes = g_malloc0(VH_OBJECT_MAX + 1);
    g_autofree char *most = make_file(f, bytes, VH_OBJECT_MAX);
    RUN(f, "inject", "web", most);
    g_assert_cmpint(f->code, ==, 0);
    g_assert_cmpuint(fake_manager_last_size(f->manager), ==, VH_OBJECT_MAX);
    g_autofree char *more = make_file(f, bytes, VH_OBJECT_MAX + 1);
    RUN(f, "inject", "web", more);
    g_assert_cmpint(f->code, ==, 2);
    assert_has(f->err, "over 16 MiB, the limit: strip");
    g_autofree char *empty = make_file(f, "", 0); /* for the daemon to judge */
    RUN(f, "inject", "web", empty);
    g_assert_cmpint(f->code, ==, 0);
    g_assert_cmpuint(fake_manager_last_size(f->manager), ==, 0);
    g_unlink(empty);
    RUN(f, "inject", "web", empty);
    g_assert_cmpint(f->code, ==, 2);
    assert_has(f->err, "No such file");
    RUN(f, "inject", "web", f->directory);
    g_assert_cmpint(f->code, ==, 2);
    assert_has(f->err, "Is a directory");
}

static void test_usage(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const struct {
        const char *args[8];
        const char *part;
    } cases[] = {
        {{NULL}, "usage: vhintctl"},
        {{"nonsense"}, "no command 'nonsense'"},
        {{"stauts"}, "there is no command 'stauts'; did you mean 'status'?"},
        {{"--nonsense", "guests"}, "--nonsense"},
        {{"guests", "--count", "1"}, "--count"},
        {{"guests", "web"}, "too many arguments"},
        {{"programs"}, "it takes: GUEST"},
        {{"inject", "web"}, "too few arguments, it takes: GUEST FILE"},
        {{"inject", "web", "/dev/null", "--set", "novalue"}, "NAME=VALUE"},
        {{"inject", "web", "/dev/null", "--set", "a=1", "--set", "a=2"}, "twice"},
        {{"inject", "web", "/dev/null", "--map", "start"}, "NAME=ENTRIES"},
        {{"inject", "web", "/dev/null", "--map", "a=1", "--map", "a=2"}, "twice"},
        {{"eject", "web", "x", "--partial"}, "partial"},
        {{"watch", "--count", "0"}, "above 0"},
        {{"watch", "--count", "x"}, "count"},
        {{"programs", "\xff"}, "UTF-8"},
        {{"--socket"}, "--socket"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        run(f, cases[i].args);
        g_assert_cmpint(f->code, ==, 2);
        g_assert_cmpstr(f->out, ==, "");
        assert_has(f->err, cases[i].part);
    }
    RUN(f, "--help");
    g_assert_cmpint(f->code, ==, 0);
    assert_has(f->out, "inject GUEST FILE");
    assert_has(f->out, "4  no such guest or program");
    RUN(f, "inject", "--help");
    g_assert_cmpint(f->code, ==, 0);
    assert_has(f->out, "--set NAME=VALUE");
    g_assert_null(strstr(f->out, "--count"));
    RUN(f, "--version");
    g_assert_cmpstr(f->out, ==, "vhintctl " VH_VERSION "\n");
}

static void test_not_found(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const char *const cases[][4] = {
        {"status", "ghost"},         {"programs", "ghost"}, {"hints", "ghost"},
        {"policy", "show", "ghost"}, {"why", "ghost"},      {"watch", "ghost"},
        {"release", "ghost"},        {"resume", "ghost"},   {"eject", "web", "x"},
        {"eject", "ghost", "x"},     {"bootstrap", "ghost"}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        run(f, cases[i]);
        g_assert_cmpint(f->code, ==, 4);
        assert_has(f->err, "vhintctl: there is no ");
        g_assert_cmpstr(f->out, ==, "");
    }
}

static void test_unreachable(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    RUN(f, "--socket", "/nowhere/control", "guests");
    g_assert_cmpint(f->code, ==, 3);
    g_assert_cmpstr(
        f->err, ==,
        "vhintctl: cannot reach vhintd at /nowhere/control: no such file: is vhintd running? "
        "(systemctl start vhintd, or --socket PATH)\n");
    RUN(f, "--socket", f->object, "guests");
    g_assert_cmpint(f->code, ==, 3);
    assert_has(f->err, "nobody listens there");
    g_autofree char *name = g_strnfill(120, 'x');
    RUN(f, "--socket", name, "guests");
    g_assert_cmpint(f->code, ==, 3);
    assert_has(f->err, "107 bytes");

    /* Served to everyone else but this client: all places are taken. */
    int fds[VH_CONTROL_CLIENTS_MAX];
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(f->path);
    char native[256];
    gssize len = g_socket_address_get_native_size(address);
    g_assert_true(g_socket_address_to_native(address, native, sizeof(native), NULL));
    for (guint i = 0; i < VH_CONTROL_CLIENTS_MAX; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(connect(fds[i], (struct sockaddr *)native, (socklen_t)len), ==, 0);
        loop_turn();
    }
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING, "*64 clients already*");
    RUN(f, "guests");
    g_test_assert_expected_messages();
    g_assert_cmpint(f->code, ==, 3);
    assert_has(f->err, "it closed the connection: it serves root and members of the group vhint");
    vh_control_free(g_steal_pointer(&f->control));
    for (guint i = 0; i < VH_CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
}

#define HINT \
    "{\"guest\":\"web\",\"program\":\"p\",\"kind\":\"k\",\"cpu\":0,\"ktime\":1,\"fields\":{\"n\":" \
    "7,\"e\":" \
    "\"RED\"}}"
#define GONE \
    "{\"guest\":\"web\",\"program\":\"p\",\"kind\":\"k\",\"gone\":true,\"cpu\":0,\"ktime\":1," \
    "\"fields\":{\"n\":" \
    "7}}"

static GSubprocess *start_watch(struct fixture *f, const char *const *args)
{
    GSubprocess *process = start(f, args);
    LOOP_UNTIL(fake_manager_watches(f->manager) > 0);
    return process;
}

static void test_watch(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const char *pretty[] = {"watch", "web", "--count", "2", NULL};
    g_autoptr(GSubprocess) people = start_watch(f, pretty);
    fake_manager_hint(f->manager, HINT);
    fake_manager_hint(f->manager, "{\"dropped\":3}");
    fake_manager_hint(f->manager, GONE);
    finish(f, people);
    g_assert_cmpint(f->code, ==, 0);
    g_assert_cmpstr(
        f->out, ==,
        "web p/k n=7 e=RED\n(3 hints dropped here: this reader was too slow)\nweb p/k gone n=7\n");
    LOOP_UNTIL(fake_manager_watches(f->manager) == 0);

    const char *raw[] = {"--json", "watch", "--count", "1", NULL};
    g_autoptr(GSubprocess) programs = start_watch(f, raw);
    fake_manager_hint(f->manager, HINT);
    finish(f, programs);
    g_assert_cmpint(f->code, ==, 0);
    g_assert_cmpstr(f->out, ==, HINT "\n");

    LOOP_UNTIL(fake_manager_watches(f->manager) == 0);
    const char *endless[] = {"watch", NULL};
    g_autoptr(GSubprocess) cut = start_watch(f, endless);
    fake_manager_hint(f->manager, HINT);
    char first[64] = "";
    g_autoptr(GAsyncResult) result = NULL;
    g_input_stream_read_async(g_subprocess_get_stdout_pipe(cut), first, sizeof(first) - 1, 0, NULL,
                              keep_result, &result);
    LOOP_UNTIL(result);
    g_assert_cmpstr(first, ==, "web p/k n=7 e=RED\n"); /* at once, though stdout is a pipe */
    vh_control_free(g_steal_pointer(&f->control));
    finish(f, cut);
    g_assert_cmpint(f->code, ==, 3);
    g_assert_cmpstr(f->out, ==, "");
    assert_has(f->err, "has ended the watch");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    static const struct {
        const char *name;
        void (*test)(struct fixture *, gconstpointer);
    } tests[] = {
        {"/vhintctl/people", test_people},
        {"/vhintctl/json", test_json},
        {"/vhintctl/map", test_map},
        {"/vhintctl/top", test_top},
        {"/vhintctl/inject", test_inject},
        {"/vhintctl/inject-files", test_inject_files},
        {"/vhintctl/usage", test_usage},
        {"/vhintctl/not-found", test_not_found},
        {"/vhintctl/unreachable", test_unreachable},
        {"/vhintctl/watch", test_watch},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
