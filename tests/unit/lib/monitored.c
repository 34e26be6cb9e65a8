/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/monitored.h"

#include "lib/scratch.h"

static void on_command(gpointer data, const char *command, JsonObject *arguments, VhQmpReply reply,
                       gpointer reply_data)
{
    struct monitored *m = data;
    struct question *question = g_new0(struct question, 1);

    *question = (struct question){g_strdup(command), arguments, reply, reply_data};
    g_ptr_array_add(m->asked, question);
}

static struct vh_thread_id on_peer(G_GNUC_UNUSED gpointer data)
{
    return (struct vh_thread_id){0};
}

static void on_nothing(G_GNUC_UNUSED gpointer data)
{
}

static const struct vh_qmp_road road = {
    .command = on_command, .peer = on_peer, .revived = on_nothing, .free = on_nothing};

static struct VhQmp *open_monitor(const struct vh_config_guest *guest,
                                  const struct vh_qmp_funcs *funcs, void *data)
{
    struct monitored *m = guest->owner;

    m->funcs = funcs;
    m->data = data;
    m->qmp = vh_qmp_new_over(&road, m);
    return m->qmp;
}

static const struct vh_maker maker = {.open_monitor = open_monitor};

static void on_changed(G_GNUC_UNUSED VhGuest *guest, G_GNUC_UNUSED const char *why, gpointer data)
{
    ((struct monitored *)data)->changed++;
}

static const struct vh_guest_funcs funcs = {.changed = on_changed};

void monitored_begin(struct monitored *m)
{
    *m = (struct monitored){.directory = g_dir_make_tmp("vhint-monitored-XXXXXX", NULL)};
    m->watch = vh_path_watch_new(NULL);
    m->turn = vh_turn_new(NULL);
    m->scratch = vh_scratch_new();
    m->asked = g_ptr_array_new();
    m->config = (struct vh_config_guest){.name = g_strdup("guest"),
                                         .title = g_strdup("guest"),
                                         .uuid = g_strdup(""),
                                         .profile = g_strdup(""),
                                         .maker = &maker,
                                         .owner = m};
    m->guest =
        vh_guest_new(&m->config, m->directory, m->watch, m->turn, m->scratch, NULL, &funcs, m);
    vh_guest_start(m->guest);
}

void monitored_end(struct monitored *m)
{
    vh_guest_free(m->guest);
    while (m->asked->len)
        monitored_answer_at(m, 0, NULL);
    g_ptr_array_unref(m->asked);
    vh_scratch_free(m->scratch);
    vh_turn_free(m->turn);
    vh_path_watch_free(m->watch);
    g_free(m->config.name);
    g_free(m->config.title);
    g_free(m->config.uuid);
    g_free(m->config.profile);
    scratch_remove(m->directory);
}

guint monitored_count(const struct monitored *m, const char *command)
{
    guint count = 0;

    for (guint i = 0; i < m->asked->len; i++)
        count += g_str_equal(((const struct question *)g_ptr_array_index(m->asked, i))->command,
                             command);
    return count;
}

void monitored_answer_at(struct monitored *m, guint position, JsonNode *result)
{
    struct question *question = g_ptr_array_steal_index(m->asked, position);

    question->reply(result, result ? NULL : "no such thing", question->data);
    g_clear_pointer(&result, json_node_unref);
    g_clear_pointer(&question->arguments, json_object_unref);
    g_free(question->command);
    g_free(question);
}

void monitored_answer(struct monitored *m, const char *command, const char *json)
{
    for (guint i = 0; i < m->asked->len; i++) {
        const struct question *question = g_ptr_array_index(m->asked, i);

        if (!g_str_equal(question->command, command))
            continue;
        monitored_answer_at(m, i, json ? json_from_string(json, NULL) : NULL);
        return;
    }
    g_error("nobody asks %s", command);
}

void monitored_event(struct monitored *m, const char *name, const char *json)
{
    g_autoptr(JsonNode) node = json ? json_from_string(json, NULL) : NULL;
    enum vh_qmp_event event = vh_qmp_event_find(name);

    if (event != VH_QMP_EVENT_COUNT)
        m->funcs->event(event, node ? json_node_get_object(node) : NULL, m->data);
}
