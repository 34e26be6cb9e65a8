/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/qemu/qmp.c and qemu/vcpus.c against a monitor made of a socketpair. */
#include "qemu/qmp.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/chosen.h"
#include "lib/loop.h"
#include "lib/target.h"
#include "qemu/vcpus.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

static VhTurn *turns;

struct fixture {
    VhQmp *qmp;
    int monitor; /* the test's end */
    GString *log;
    int client; /* what the client has */
    bool closed;
    char *why; /* then */
};

static void on_ready(gpointer data)
{
    g_string_append(((struct fixture *)data)->log, "ready ");
}

static void on_event(enum vh_qmp_event event, JsonObject *details, gpointer data)
{
    g_string_append_printf(((struct fixture *)data)->log, "%s%s ", vh_qmp_events[event],
                           details ? "+" : "");
}

static void on_closed(const char *why, gpointer data)
{
    struct fixture *f = data;

    f->why = g_strdup(why);
    f->closed = true;
    vh_qmp_free(g_steal_pointer(&f->qmp));
}

static const struct vh_qmp_funcs funcs = {
    .ready = on_ready, .event = on_event, .closed = on_closed};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    f->client = fds[0];
    f->monitor = fds[1];
    f->log = g_string_new(NULL);
    f->qmp = vh_qmp_new(turns, fds[0], &funcs, f);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_qmp_free(f->qmp);
    if (f->monitor >= 0)
        close(f->monitor);
    g_string_free(f->log, TRUE);
    g_free(f->why);
    loop_turn();
}

static void say(struct fixture *f, const char *text)
{
    g_assert_cmpint(write(f->monitor, text, strlen(text)), ==, (ssize_t)strlen(text));
    loop_turn();
}

/* What the client sent since the last call. */
static char *heard(struct fixture *f)
{
    static char text[65536];
    ssize_t len = 0;

    loop_turn();
    len = read(f->monitor, text, sizeof(text) - 1);
    text[MAX(len, 0)] = 0;
    return text;
}

static void hands_shaken(struct fixture *f)
{
    say(f, GREETING);
    g_assert_cmpstr(heard(f), ==, "{\"execute\":\"qmp_capabilities\",\"id\":1}");
    say(f, "{\"return\": {}, \"id\": 1}\r\n");
    g_assert_cmpstr(f->log->str, ==, "ready ");
}

static void on_reply(JsonNode *result, const char *error, gpointer data)
{
    GString *log = data;

    g_string_append_printf(log, "%s ", result ? "result" : error);
}

static void test_handshake_and_commands(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) replies = g_string_new(NULL);
    JsonObject *arguments = json_object_new();

    vh_qmp_command(f->qmp, "query-name", NULL, on_reply, replies); /* waits */
    say(f, GREETING);
    g_assert_cmpstr(heard(f), ==, "{\"execute\":\"qmp_capabilities\",\"id\":2}");
    say(f, "{\"return\": {}, \"id\": 2}\r\n");
    g_assert_cmpstr(heard(f), ==, "{\"execute\":\"query-name\",\"id\":1}");
    json_object_set_string_member(arguments, "path", "/x");
    vh_qmp_command(f->qmp, "qom-list", arguments, on_reply, replies);
    g_assert_cmpstr(heard(f), ==,
                    "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/x\"},\"id\":3}");
    say(f, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not there\"}, \"id\": 3}\n");
    say(f, "{\"return\": {}, \"id\": 1}\n{\"return\": {}, \"id\": 99}\n");
    g_assert_cmpstr(replies->str, ==, "not there result ");
}

static void test_events(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    hands_shaken(f);
    say(f, "{\"timestamp\": {}, \"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": "
           "true}}\r\n{\"event\": \"RES");
    say(f, "ET\"}\r\n");
    g_assert_cmpstr(f->log->str, ==, "ready VSERPORT_CHANGE+ RESET ");
    /* What nobody listens to is no answer either. */
    say(f, "{\"event\": \"RTC_CHANGE\", \"data\": {\"offset\": 78}}\r\n{\"event\": \"STOP\"}\r\n");
    g_assert_cmpstr(f->log->str, ==, "ready VSERPORT_CHANGE+ RESET STOP ");
}

static void test_hung_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) replies = g_string_new(NULL);

    hands_shaken(f);
    vh_qmp_command(f->qmp, "stop", NULL, on_reply, replies);
    heard(f);
    close(f->monitor);
    f->monitor = -1;
    loop_turn();
    g_assert_true(f->closed);
    g_assert_cmpstr(replies->str, ==, "the monitor hung up ");
}

static void test_garbage(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    say(f, "SSH-2.0-OpenSSH\r\n");
    g_assert_true(f->closed);
}

static void test_not_an_object(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    say(f, "[1,2]\r\n");
    g_assert_true(f->closed);
}

static void test_not_utf8(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    say(f, "{\"event\": \"\xff\xfe\"}\r\n");
    g_assert_true(f->closed);
    g_assert_cmpstr(f->log->str, ==, "");
}

static void test_deep(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *deep = g_strnfill(50000, '[');
    g_autofree char *line = g_strdup_printf("%s\n", deep);

    say(f, line);
    g_assert_true(f->closed);
}

/* Brackets behind a quotation mark in a comment, which json-glib's parser would follow. */
static void test_deep_in_hiding(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *deep = g_strnfill(50000, '[');
    g_autofree char *line = g_strdup_printf("{/*\"*/\"return\":%s\n", deep);

    hands_shaken(f);
    say(f, line);
    g_assert_true(f->closed);
}

/* What is there, but of another type, is not there. */
static void test_types(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) replies = g_string_new(NULL);

    hands_shaken(f);
    say(f, "{\"event\": 1}\n{\"event\": [\"RESET\"]}\n{\"event\": \"RESET\", \"data\": 5}\n");
    g_assert_cmpstr(f->log->str, ==, "ready RESET ");
    vh_qmp_command(f->qmp, "stop", NULL, on_reply, replies);
    heard(f);
    say(f, "{\"return\": {}, \"id\": \"2\"}\n{\"return\": {}, \"id\": 2.0}\n");
    g_assert_cmpstr(replies->str, ==, "");
    say(f, "{\"error\": {\"desc\": 1}, \"id\": 2}\n");
    g_assert_cmpstr(replies->str, ==, "the monitor reports an error without saying which ");
}

static void test_endless_line(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *piece = g_strnfill(60000, 'x');

    for (int i = 0; i < 30 && !f->closed; i++)
        say(f, piece);
    g_assert_true(f->closed);
}

/* A monitor that never reads does not make commands pile up. */
static void test_unread_commands(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) replies = g_string_new(NULL);

    hands_shaken(f);
    for (int i = 0; i < 100000 && !replies->len; i++) {
        vh_qmp_command(f->qmp, "query-status", NULL, on_reply, replies);
        loop_turn();
    }
    g_assert_cmpstr(replies->str, ==, "the monitor does not take commands ");
    vh_qmp_free(g_steal_pointer(&f->qmp)); /* all others fail now, into `replies` */
}

/* Nor does one that reads them and never answers. */
static void test_unanswered_commands(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) replies = g_string_new(NULL);
    guint given = 0;

    hands_shaken(f);
    for (; given < 100000 && !replies->len; given++) {
        vh_qmp_command(f->qmp, "query-status", NULL, on_reply, replies);
        heard(f);
    }
    g_assert_cmpuint(given, ==, VH_QMP_AWAITED_MAX + 1);
    g_assert_cmpstr(replies->str, ==, "the monitor does not take commands ");
    vh_qmp_free(g_steal_pointer(&f->qmp)); /* all others fail now, into `replies` */
}

static void test_overdue(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) replies = g_string_new(NULL);

    vh_qmp_set_patience(f->qmp, 20);
    hands_shaken(f);
    vh_qmp_command(f->qmp, "query-status", NULL, on_reply, replies);
    say(f, "{\"return\": {}, \"id\": 2}\n"); /* in time */
    g_assert_cmpstr(replies->str, ==, "result ");
    vh_qmp_command(f->qmp, "query-status", NULL, on_reply, replies);
    LOOP_UNTIL(f->closed);
    g_assert_cmpstr(replies->str, ==, "result the monitor has not answered for a minute ");
}

/* ---- a road ---- */

struct road_test {
    VhQmpReply reply[VH_QMP_AWAITED_MAX + 1];
    gpointer data[VH_QMP_AWAITED_MAX + 1];
    guint given, revived, freed;
};

static void on_road_command(gpointer data, G_GNUC_UNUSED const char *command, JsonObject *arguments,
                            VhQmpReply reply, gpointer reply_data)
{
    struct road_test *road = data;

    g_assert_null(arguments);
    road->reply[road->given] = reply;
    road->data[road->given++] = reply_data;
}

static void on_revived(gpointer data)
{
    ((struct road_test *)data)->revived++;
}

static void on_road_freed(gpointer data)
{
    ((struct road_test *)data)->freed++;
}

static const struct vh_qmp_road test_road = {
    .command = on_road_command, .revived = on_revived, .free = on_road_freed};

/* A road that is silent has the same bounds, keeps what it was given, and may answer at last. */
static void test_road_overdue(void)
{
    g_autofree struct road_test *road = g_new0(struct road_test, 1);
    VhQmp *qmp = vh_qmp_new_over(&test_road, road);
    g_autoptr(JsonNode) result = json_node_new(JSON_NODE_NULL);
    g_autoptr(GString) replies = g_string_new(NULL);

    vh_qmp_set_patience(qmp, 20);
    for (guint i = 0; i < VH_QMP_AWAITED_MAX; i++)
        vh_qmp_command(qmp, "query-status", NULL, NULL, NULL);
    vh_qmp_command(qmp, "query-status", NULL, on_reply, replies);
    g_assert_cmpstr(replies->str, ==, "the monitor does not take commands ");
    for (guint i = 0; i + 1 < VH_QMP_AWAITED_MAX; i++)
        road->reply[i](result, NULL, road->data[i]);
    g_string_truncate(replies, 0);
    vh_qmp_command(qmp, "query-status", NULL, on_reply, replies);
    LOOP_UNTIL(replies->len);
    g_assert_cmpstr(replies->str, ==, "the monitor has not answered for a minute ");
    g_assert_cmpuint(road->revived, ==, 0);
    for (guint i = VH_QMP_AWAITED_MAX - 1; i <= VH_QMP_AWAITED_MAX; i++)
        road->reply[i](result, NULL, road->data[i]);
    g_assert_cmpuint(road->revived, ==, 1);
    vh_qmp_free(qmp);
    g_assert_cmpuint(road->freed, ==, 1);
}

/* The client goes first: who waits is told, and a late answer is nobody's. */
static void test_road_freed(void)
{
    g_autofree struct road_test *road = g_new0(struct road_test, 1);
    VhQmp *qmp = vh_qmp_new_over(&test_road, road);
    g_autoptr(GString) replies = g_string_new(NULL);

    vh_qmp_command(qmp, "query-status", NULL, on_reply, replies);
    vh_qmp_free(qmp);
    g_assert_cmpstr(replies->str, ==, "the monitor's connection was closed ");
    g_assert_cmpuint(road->freed, ==, 1);
    road->reply[0](NULL, "late", road->data[0]);
    g_assert_cmpuint(road->revived, ==, 0);
}

static void on_vcpus(GArray *vcpus, const struct vh_thread_id *process, const char *error,
                     gpointer data)
{
    const struct vh_thread_id ours = thread_id(getpid());
    GString *log = data;

    g_assert_true((process == NULL) == (error != NULL));
    g_assert_true(error || vh_thread_id_equal(process, &ours));
    if (error)
        g_string_append(log, error);
    for (guint i = 0; vcpus && i < vcpus->len; i++) {
        const struct vh_vcpu *vcpu = &g_array_index(vcpus, struct vh_vcpu, i);

        g_string_append_printf(log, "%u:%s:%d ", vcpu->index, vcpu->thread > 0 ? "t" : "-",
                               (int)vcpu->apic_id);
    }
    if (vcpus)
        g_array_unref(vcpus);
}

static void test_vcpus(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) got = g_string_new(NULL);
    pid_t thread = (pid_t)syscall(SYS_gettid);
    g_autofree char *cpus = g_strdup_printf(
        "{\"return\": [{\"cpu-index\": 0, \"qom-path\": \"/a\", \"thread-id\": %d}, "
        "{\"cpu-index\": 1, "
        "\"qom-path\": \"/b\", \"thread-id\": %d}, 7, {\"cpu-index\": 2}], \"id\": 2}\n",
        thread, thread);

    hands_shaken(f);
    vh_vcpus_query(f->qmp, on_vcpus, got);
    g_assert_cmpstr(heard(f), ==, "{\"execute\":\"query-cpus-fast\",\"id\":2}");
    say(f, cpus);
    g_assert_nonnull(
        strstr(heard(f),
               "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/a\",\"property\":\"apic-id\"}"
               ",\"id\":3}{\"execute\":\"qom-get\""));
    say(f, "{\"return\": 8, \"id\": 4}\n{\"error\": {}, \"id\": 3}\n");
    g_assert_cmpstr(got->str, ==, "0:t:-1 1:t:8 ");
}

static void test_vcpus_of_strangers(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) got = g_string_new(NULL);
    g_autofree char *cpus =
        g_strdup_printf("{\"return\": [{\"cpu-index\": 0, \"qom-path\": \"/a\", "
                        "\"thread-id\": %d}, {\"cpu-index\": 1, \"qom-path\": "
                        "\"/b\", \"thread-id\": 1}], \"id\": 2}\n",
                        getpid());

    hands_shaken(f);
    vh_vcpus_query(f->qmp, on_vcpus, got);
    heard(f);
    say(f, cpus);
    g_assert_true(g_str_has_prefix(got->str, "the monitor names thread 1, which is not one of "));
    g_assert_true(g_str_has_suffix(got->str, "let vhintd connect to QEMU's own socket"));
}

/* All of one process, which is not the one that answers, be that root's. */
static void test_vcpus_of_a_stranger(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) got = g_string_new(NULL);

    hands_shaken(f);
    vh_vcpus_query(f->qmp, on_vcpus, got);
    heard(f);
    say(f,
        "{\"return\": [{\"cpu-index\": 0, \"qom-path\": \"/a\", \"thread-id\": 1}], \"id\": 2}\n");
    g_assert_true(g_str_has_prefix(got->str, "the monitor names thread 1, which is not one of "));
}

/* Whose thread is nowhere is left out. */
static void test_vcpus_without_thread(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) got = g_string_new(NULL);

    hands_shaken(f);
    vh_vcpus_query(f->qmp, on_vcpus, got);
    heard(f);
    say(f,
        "{\"return\": [{\"cpu-index\": 0, \"qom-path\": \"/a\", \"thread-id\": 4194304}], \"id\": "
        "2}\n");
    g_assert_cmpstr(got->str, ==, "");
    g_assert_cmpstr(heard(f), ==, ""); /* nor is anything asked about it */
}

static void test_vcpus_twice(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) got = g_string_new(NULL);
    g_autofree char *cpus = g_strdup_printf(
        "{\"return\": [{\"cpu-index\": 4, \"qom-path\": \"/a\", \"thread-id\": %d}, "
        "{\"cpu-index\": 4, \"qom-path\": \"/b\", \"thread-id\": %d}], \"id\": 2}\n",
        getpid(), getpid());

    hands_shaken(f);
    vh_vcpus_query(f->qmp, on_vcpus, got);
    heard(f);
    say(f, cpus);
    g_assert_cmpstr(got->str, ==, "the monitor names vCPU 4 twice");
}

/* Who has answered before he was asked may have done so under another's name. */
static void test_vcpus_told_in_advance(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) got = g_string_new(NULL);
    g_autofree char *all = g_strdup_printf(
        GREETING
        "{\"return\": {}, \"id\": 2}\n{\"return\": [{\"cpu-index\": 0, \"qom-path\": \"/a\", "
        "\"thread-id\": %d}], \"id\": 1}\n",
        getpid());
    int fds[2];

    vh_qmp_free(g_steal_pointer(&f->qmp));
    close(f->monitor);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    f->monitor = fds[1];
    g_assert_cmpint(write(f->monitor, all, strlen(all)), ==, (ssize_t)strlen(all));
    f->qmp = vh_qmp_new(turns, fds[0], &funcs, f);
    vh_vcpus_query(f->qmp, on_vcpus, got);
    loop_turn();
    g_assert_true(g_str_has_prefix(got->str, "it is not known which process serves the monitor"));
    g_assert_false(f->closed);
}

/* ---- who speaks ---- */

struct speech {
    int fd;
    const char *text;
};

static void speak(gpointer data)
{
    const struct speech *speech = data;

    if (write(speech->fd, speech->text, strlen(speech->text)) < 0)
        _exit(1);
}

/* Says it as another process, which has said it when this returns. */
static void say_as(struct fixture *f, pid_t number, const char *text)
{
    struct speech speech = {f->monitor, text};
    struct pollfd readable = {.fd = f->client, .events = POLLIN};

    chosen_start(number, speak, &speech);
    g_assert_cmpint(poll(&readable, 1, -1), ==, 1);
}

static void test_another_speaks(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    pid_t number = chosen_number();

    if (!number)
        return;
    hands_shaken(f);
    g_assert_cmpint(vh_qmp_peer(f->qmp).process, ==, getpid());
    say_as(f, number, "{\"event\": \"RESET\"}\n");
    loop_turn();
    g_assert_true(f->closed);
    g_assert_cmpstr(f->log->str, ==, "ready "); /* his word is nobody's */
    g_assert_cmpstr(f->why, ==, "another process answers for the monitor than before");
    chosen_end(number);
}

static void test_speaker_is_gone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    pid_t number = chosen_number();

    if (!number)
        return;
    say_as(f, number, GREETING);
    chosen_end(number);
    loop_turn();
    g_assert_true(f->closed);
    g_assert_cmpstr(f->why, ==, "the process that answered for the monitor is gone");
}

/* Another process has his number by the time that it is read. */
static void test_speaker_is_another(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    pid_t number = chosen_number();
    uint64_t before = vh_tid_now();

    if (!number)
        return;
    say_as(f, number, GREETING);
    chosen_end(number);
    g_usleep(20000); /* two ticks of the clock that tells the start of processes */
    g_assert_cmpuint(vh_tid_now(), >, before);
    chosen_start(number, NULL, NULL);
    loop_turn();
    g_assert_true(f->closed);
    g_assert_cmpstr(f->why, ==,
                    "the process that answers for the monitor is younger than the connection");
    chosen_end(number);
}

static struct vh_thread_id peer_of_road(gpointer data)
{
    (void)data;
    return thread_id(getpid());
}

/* Where libvirt says which process it is, the message does, too. */
static void test_road_of_strangers(void)
{
    static const struct vh_qmp_road known = {
        .command = on_road_command, .peer = peer_of_road, .free = on_road_freed};
    g_autofree struct road_test *road = g_new0(struct road_test, 1);
    VhQmp *qmp = vh_qmp_new_over(&known, road);
    g_autoptr(JsonNode) cpus =
        json_from_string("[{\"cpu-index\": 0, \"qom-path\": \"/a\", \"thread-id\": 1}]", NULL);
    g_autoptr(GString) got = g_string_new(NULL);

    vh_vcpus_query(qmp, on_vcpus, got);
    road->reply[0](cpus, NULL, road->data[0]);
    g_assert_nonnull(strstr(got->str, "as which libvirt runs the domain"));
    vh_qmp_free(qmp);
}

static void test_vcpus_never_told(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GString) got = g_string_new(NULL);

    hands_shaken(f);
    vh_vcpus_query(f->qmp, on_vcpus, got);
    vh_qmp_free(g_steal_pointer(&f->qmp));
    g_assert_cmpuint(got->len, >, 0);
}

#define ADD(name, func) g_test_add("/qmp/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    turns = vh_turn_new(NULL);
    ADD("handshake-and-commands", test_handshake_and_commands);
    ADD("events", test_events);
    ADD("hung-up", test_hung_up);
    ADD("garbage", test_garbage);
    ADD("not-an-object", test_not_an_object);
    ADD("not-utf8", test_not_utf8);
    ADD("deep", test_deep);
    ADD("deep-in-hiding", test_deep_in_hiding);
    ADD("types", test_types);
    ADD("endless-line", test_endless_line);
    ADD("unread-commands", test_unread_commands);
    ADD("unanswered-commands", test_unanswered_commands);
    ADD("overdue", test_overdue);
    g_test_add_func("/qmp/road-overdue", test_road_overdue);
    g_test_add_func("/qmp/road-freed", test_road_freed);
    ADD("vcpus", test_vcpus);
    ADD("vcpus-of-strangers", test_vcpus_of_strangers);
    ADD("vcpus-of-a-stranger", test_vcpus_of_a_stranger);
    ADD("vcpus-without-thread", test_vcpus_without_thread);
    ADD("vcpus-twice", test_vcpus_twice);
    ADD("vcpus-told-in-advance", test_vcpus_told_in_advance);
    ADD("vcpus-never-told", test_vcpus_never_told);
    ADD("another-speaks", test_another_speaks);
    ADD("speaker-is-gone", test_speaker_is_gone);
    ADD("speaker-is-another", test_speaker_is_another);
    g_test_add_func("/qmp/road-of-strangers", test_road_of_strangers);
    return g_test_run();
}
