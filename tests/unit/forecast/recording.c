/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recordings: what is written is read again, and every way to write them wrong is told with its
 * line. */
#include "forecast/recording.h"

#include <string.h>

#include "base/error.h"

#define HEAD "{\"vhint-recording\":1}\n"
#define HINT \
    "{\"t\":2.5,\"hint\":{\"guest\":\"web\",\"program\":\"affinity\",\"kind\":\"affinity\"," \
    "\"gone\":false," \
    "\"key\":4," \
    "\"fields\":{\"pid\":7}}}\n"

static GPtrArray *read_text(const char *text)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *events = vh_recording_read("x.rec", text, strlen(text), &error);

    g_assert_no_error(error);
    g_assert_nonnull(events);
    return events;
}

static void test_written(void)
{
    struct vh_forecast_guest *guest = vh_forecast_guest_new("we\"b");
    struct vh_forecast_vcpu vcpu = {.index = 3, .guest_cpu = 1, .held = true, .held_to = {{0x30}}};
    const struct vh_forecast_thread iothread = {.name = "io1", .held = true, .held_to = {{0x3}}};
    const struct vh_forecast_thread worker = {.vhost = true, .name = "vhost-7"};
    g_autofree char *head = vh_recording_head("host", "0-3");
    g_autofree char *lines[5] = {NULL};
    g_autoptr(GPtrArray) events = NULL;

    g_array_append_val(guest->vcpus, vcpu);
    vh_forecast_guest_add_thread(guest, &worker);
    vh_forecast_guest_add_thread(guest, &iothread);
    guest->emulator_held = true;
    guest->emulator_to.words[0] = 8;
    g_free(guest->boot_id);
    guest->boot_id = g_strdup("1-2");
    g_free(guest->title);
    guest->title = g_strdup("we b");
    guest->nodes_known = true;
    guest->nodes.words[0] = 2;
    lines[0] = vh_recording_guest(1000001, guest);
    lines[1] = vh_recording_facts(1000001, "we\"b", 1);
    lines[2] = vh_recording_hint(
        1500000, "{\"guest\":\"we\\\"b\",\"program\":\"p\",\"kind\":\"k\",\"gone\":true,"
                 "\"key\":4,\"cpu\":0,\"fields\":{}}");
    lines[3] = vh_recording_hint(2000000, "{\"dropped\":12}");
    lines[4] = vh_recording_gone(60000000, "we\"b");
    g_autofree char *text = g_strjoin("\n", head, lines[0], lines[1], lines[2], lines[3], lines[4],
                                      "{\"t\":61,\"cut", NULL);
    events = read_text(text);
    for (int i = 0; i < 5; i++)
        g_free(g_steal_pointer(&lines[i]));

    g_assert_cmpuint(events->len, ==, 5);
    const struct vh_event *event = g_ptr_array_index(events, 0);
    g_assert_cmpint(event->kind, ==, VH_EVENT_GUEST);
    g_assert_cmpint(event->us, ==, 1000001);
    g_assert_cmpuint(event->line, ==, 2);
    g_assert_cmpstr(event->guest->name, ==, "we\"b");
    g_assert_cmpstr(event->guest->boot_id, ==, "1-2");
    g_assert_cmpstr(event->guest->title, ==, "we b");
    g_assert_true(event->guest->nodes_known && event->guest->nodes.words[0] == 2);
    g_assert_cmpuint(event->guest->vcpus->len, ==, 1);
    g_assert_cmpmem(event->guest->vcpus->data, sizeof(vcpu), &vcpu, sizeof(vcpu));
    g_assert_cmpuint(event->guest->threads->len, ==, 2);
    const struct vh_forecast_thread *threads =
        (const struct vh_forecast_thread *)(void *)event->guest->threads->data;
    g_assert_cmpstr(threads[0].name, ==, "io1");
    g_assert_true(!threads[0].vhost && threads[0].held &&
                  vh_cpuset_equal(&threads[0].held_to, &iothread.held_to));
    g_assert_cmpstr(threads[1].name, ==, "vhost-7");
    g_assert_true(threads[1].vhost && !threads[1].held);
    g_assert_true(event->guest->emulator_held && event->guest->emulator_to.words[0] == 8);
    event = g_ptr_array_index(events, 1);
    g_assert_cmpint(event->kind, ==, VH_EVENT_FACTS);
    g_assert_cmpuint(event->count, ==, 1);
    event = g_ptr_array_index(events, 2);
    g_assert_cmpint(event->kind, ==, VH_EVENT_HINT);
    g_assert_cmpstr(event->hint.program, ==, "p");
    g_assert_true(event->hint.gone);
    g_assert_cmpuint(event->hint.key_size, ==, 4);
    event = g_ptr_array_index(events, 3);
    g_assert_cmpint(event->kind, ==, VH_EVENT_DROPPED);
    g_assert_cmpuint(event->count, ==, 12);
    event = g_ptr_array_index(events, 4);
    g_assert_cmpint(event->kind, ==, VH_EVENT_GONE);
    g_assert_cmpint(event->us, ==, 60000000);
    vh_forecast_guest_free(guest);
}

/* Time never goes back, whatever the file says. */
static void test_order(void)
{
    g_autoptr(GPtrArray) events =
        read_text(HEAD HINT "{\"t\":1,\"dropped\":1}\n{\"t\":2.75,\"gone\":\"web\"}\n");

    g_assert_cmpuint(events->len, ==, 3);
    g_assert_cmpint(((struct vh_event *)g_ptr_array_index(events, 1))->us, ==, 2500000);
    g_assert_cmpint(((struct vh_event *)g_ptr_array_index(events, 2))->us, ==, 2750000);
}

static void test_refused(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "x.rec:1: is empty: no recording"},
        {"{}\n", "x.rec:1: is no recording: its first line is to be {\"vhint-recording\":1,...}"},
        {"hello\n", "x.rec:1: is no JSON: "},
        {"{\"vhint-recording\":2}\n",
         "x.rec:1: is a recording of version 2, this vhintctl reads version 1: use a later one"},
        {HEAD "[]\n", "x.rec:2: is no JSON object"},
        {HEAD "\n", "x.rec:2: is no JSON object"},
        {HEAD HINT "{\"t\":3,\n", "x.rec:3: is no JSON: "},
        {HEAD "{\"t\":1,\"x\":\"\xff\"}\n", "x.rec:2: is not UTF-8"},
        {HEAD "{\"hint\":{}}\n", "x.rec:2: needs \"t\", the seconds since the recording began"},
        {HEAD "{\"t\":-1,\"gone\":\"a\"}\n",
         "x.rec:2: needs \"t\", the seconds since the recording began"},
        {HEAD "{\"t\":\"1\",\"gone\":\"a\"}\n",
         "x.rec:2: needs \"t\", the seconds since the recording began"},
        {HEAD "{\"t\":1}\n",
         "x.rec:2: is neither \"guest\", \"hint\", \"facts\", \"gone\" nor \"dropped\""},
        {HEAD "{\"t\":1,\"hint\":{\"guest\":\"a\",\"program\":\"p\",\"kind\":\"k\",\"key\":4}}\n",
         "x.rec:2: a hint needs \"guest\", \"program\", \"kind\", and \"fields\", an object"},
        {HEAD
         "{\"t\":1,\"hint\":{\"guest\":\"a\",\"program\":\"p\",\"kind\":\"k\",\"fields\":{}}}\n",
         "x.rec:2: a hint needs \"key\", the bytes of its key (0 to "},
        {HEAD "{\"t\":1,\"guest\":{\"vcpus\":[]}}\n", "x.rec:2: a guest needs a \"name\""},
        {HEAD "{\"t\":1,\"guest\":{\"name\":\"a\"}}\n",
         "x.rec:2: a guest needs \"vcpus\", an array"},
        {HEAD "{\"t\":1,\"guest\":{\"name\":\"a\",\"vcpus\":[{\"index\":0,\"guest_cpu\":512}]}}\n",
         "x.rec:2: vCPU 0 of guest \"a\": needs \"index\" and \"guest_cpu\" (-1 to 511)"},
        {HEAD
         "{\"t\":1,\"guest\":{\"name\":\"a\",\"vcpus\":[],\"threads\":[{\"role\":\"cook\"}]}}\n",
         "x.rec:2: thread 0 of guest \"a\": \"role\" is \"emulator\", \"iothread\" or \"vhost\""},
        {HEAD "{\"t\":1,\"guest\":{\"name\":\"a\",\"vcpus\":[7]}}\n",
         "x.rec:2: vCPU 0 of guest \"a\": needs"},
        {HEAD "{\"t\":1,\"guest\":{\"name\":\"a\",\"vcpus\":[{\"index\":0,\"guest_cpu\":0,\"held_"
              "to\":\"z\"}]}}\n",
         "x.rec:2: \"held_to\": "},
        {HEAD "{\"t\":1,\"facts\":\"a\"}\n",
         "x.rec:2: \"facts\" needs \"count\", how many hints follow for it"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", rows[i].text);
        g_assert_null(vh_recording_read("x.rec", rows[i].text, strlen(rows[i].text), &error));
        g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
        if (!g_str_has_prefix(error->message, rows[i].message))
            g_error("%s", error->message);
    }
}

/* A file that would end a recursive reader. */
static void test_nesting(void)
{
    g_autoptr(GString) text = g_string_new(HEAD "{\"t\":1,\"x\":");
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < 1000000; i++)
        g_string_append_c(text, '[');
    g_string_append_c(text, '\n');
    g_assert_null(vh_recording_read("x.rec", text->str, text->len, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    g_assert_cmpstr(error->message, ==, "x.rec:2: nests deeper than 32 levels");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/recording/written", test_written);
    g_test_add_func("/recording/order", test_order);
    g_test_add_func("/recording/refused", test_refused);
    g_test_add_func("/recording/nesting", test_nesting);
    return g_test_run();
}
