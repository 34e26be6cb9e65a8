/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/monitor.c and what goes with it, against a monitor that says what it likes. */
#include "lib/monitored.h"

#include <string.h>
#include <unistd.h>

#include "lib/loop.h"

static void set_up(struct monitored *m, G_GNUC_UNUSED gconstpointer data)
{
    monitored_begin(m);
}

static void tear_down(struct monitored *m, G_GNUC_UNUSED gconstpointer data)
{
    monitored_end(m);
}

static const char *const commands[] = {"query-status", "qom-list",     "query-iothreads",
                                       "query-kvm",    "query-memdev", "query-cpus-fast"};

/* Answers of the wrong type at every place. Each is as good as none. */
static void test_types(void)
{
    static const char *const answers[] = {
        "1",
        "\"x\"",
        "null",
        "true",
        "{}",
        "[]",
        "[1]",
        "[null]",
        "[[]]",
        "[{}]",
        "[{\"type\": 1, \"name\": 1}]",
        "[{\"type\": null, \"name\": {}}]",
        "[{\"type\": \"child<virtserialport>\", \"name\": 1}]",
        "[{\"thread-id\": \"1\", \"id\": 1}]",
        "[{\"policy\": 1, \"host-nodes\": [1, \"2\", -1, null]}]",
        "[{\"policy\": \"bind\", \"host-nodes\": 1}]",
        "[{\"cpu-index\": \"0\", \"qom-path\": 1, \"thread-id\": {}}]",
        "[{\"cpu-index\": 0, \"qom-path\": [], \"thread-id\": 1}]",
        "{\"status\": 1}",
        "{\"enabled\": 1}",
    };

    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        struct monitored m;
        unsigned count = 0;

        g_test_message("%s", answers[i]);
        monitored_begin(&m);
        m.funcs->ready(m.data);
        for (guint j = 0; j < G_N_ELEMENTS(commands); j++)
            monitored_answer(&m, commands[j], answers[i]);
        while (m.asked->len)
            monitored_answer_at(&m, 0, json_from_string(answers[i], NULL));
        vh_guest_vcpus(m.guest, &count);
        g_assert_cmpuint(count, ==, 0);
        monitored_end(&m);
    }
}

/* Details of the wrong type. */
static void test_event_types(struct monitored *m, G_GNUC_UNUSED gconstpointer data)
{
    static const char *const names[] = {"VSERPORT_CHANGE", "MIGRATION", "RESET", "STOP", "x"};
    static const char *const details[] = {NULL,
                                          "{}",
                                          "{\"status\": 1}",
                                          "{\"status\": null}",
                                          "{\"open\": 1, \"id\": 1}",
                                          "{\"open\": true, \"id\": []}"};

    m->funcs->ready(m->data);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        for (guint j = 0; j < G_N_ELEMENTS(details); j++)
            monitored_event(m, names[i], details[j]);
    g_assert_null(vh_guest_unsteady(m->guest));
}

/* ---- a monitor that sends events and does not answer ---- */

static void test_events_without_answers(struct monitored *m, G_GNUC_UNUSED gconstpointer data)
{
    static const char *const names[] = {"RESET", "DEVICE_DELETED", "ACPI_DEVICE_OST",
                                        "STOP",  "RESUME",         "MIGRATION"};
    guint asked = 0;

    m->funcs->ready(m->data);
    asked = m->asked->len;
    for (guint i = 0; i < 60000; i++)
        monitored_event(m, names[i % G_N_ELEMENTS(names)], NULL);
    loop_turn();
    g_assert_cmpuint(m->asked->len, ==, asked);
}

static void answer_all(struct monitored *m)
{
    while (m->asked->len)
        monitored_answer_at(m, 0, NULL);
}

/* What came while a question was under way is a question of its own, and only one. */
static void test_asked_again(struct monitored *m, G_GNUC_UNUSED gconstpointer data)
{
    m->funcs->ready(m->data);
    for (guint i = 0; i < 10; i++) {
        monitored_event(m, "RESET", NULL);
        monitored_event(m, "STOP", NULL);
    }
    answer_all(m);
    LOOP_UNTIL(monitored_count(m, "query-cpus-fast") && monitored_count(m, "query-status"));
    g_assert_cmpuint(monitored_count(m, "query-cpus-fast"), ==, 1);
    g_assert_cmpuint(monitored_count(m, "query-status"), ==, 1);
    answer_all(m);
    monitored_event(m, "RESET", NULL);
    g_assert_cmpuint(monitored_count(m, "query-cpus-fast"), ==, 0); /* not that soon */
    LOOP_UNTIL(monitored_count(m, "query-cpus-fast"));
}

/* Only the answer to the last question tells whether the guest stands still. */
static void test_last_word(struct monitored *m, G_GNUC_UNUSED gconstpointer data)
{
    m->funcs->ready(m->data);
    monitored_event(m, "STOP", NULL);
    monitored_answer(m, "query-status", "{\"status\": \"paused\"}");
    g_assert_null(vh_guest_unsteady(m->guest));
    LOOP_UNTIL(monitored_count(m, "query-status"));
    monitored_answer(m, "query-status", "{\"status\": \"paused\"}");
    g_assert_nonnull(vh_guest_unsteady(m->guest));
}

/* A monitor that is gone is asked nothing. */
static void test_gone(struct monitored *m, G_GNUC_UNUSED gconstpointer data)
{
    m->funcs->ready(m->data);
    monitored_event(m, "RESET", NULL);
    monitored_event(m, "STOP", NULL);
    m->funcs->closed("so it ends", m->data);
    answer_all(m);
    loop_turn();
    g_assert_cmpuint(m->asked->len, ==, 0);
}

/* A guest that goes away and comes back while its memory is asked about is asked about it again:
 * what was asked first says nothing any longer, and leaves nothing behind. */
static void test_memory_is_asked_twice(struct monitored *m, G_GNUC_UNUSED gconstpointer data)
{
    VhRamDevice *ram = vh_guest_ram(m->guest);

    m->funcs->ready(m->data);
    monitored_answer(m, "query-status", "{\"status\": \"running\"}");
    g_assert_false(vh_ram_device_need(ram));
    monitored_event(m, "STOP", NULL);
    LOOP_UNTIL(monitored_count(m, "query-status"));
    monitored_answer(m, "query-status", "{\"status\": \"postmigrate\"}");
    monitored_event(m, "RESUME", NULL);
    LOOP_UNTIL(monitored_count(m, "query-status"));
    monitored_answer(m, "query-status", "{\"status\": \"running\"}");
    g_assert_false(vh_ram_device_need(ram));
    g_assert_cmpuint(monitored_count(m, "query-memory-devices"), ==, 2);
    monitored_answer(m, "query-memory-devices", "[]");
    g_assert_cmpuint(monitored_count(m, "query-balloon"), ==, 0);
    monitored_answer(m, "query-memory-devices", "[]");
    monitored_answer(m, "query-balloon", "{\"actual\": 1}");
    LOOP_UNTIL(monitored_count(m, "query-balloon")); /* is it still the same? */
    monitored_answer(m, "query-balloon", "{\"actual\": 1}");
    monitored_answer(m, "query-memory-size-summary", "{\"base-memory\": 2}");
    g_assert_cmpint(vh_ram_device_state(ram).kind, ==, VH_RAM_BALLOON);
    g_assert_cmpuint(vh_ram_device_state(ram).has, ==, 1);
}

#define ADD(name, func) \
    g_test_add("/monitor/" name, struct monitored, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/monitor/types", test_types);
    ADD("event-types", test_event_types);
    ADD("events-without-answers", test_events_without_answers);
    ADD("asked-again", test_asked_again);
    ADD("last-word", test_last_word);
    ADD("gone", test_gone);
    ADD("memory-is-asked-twice", test_memory_is_asked_twice);
    return g_test_run();
}
