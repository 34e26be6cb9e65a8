// SPDX-License-Identifier: GPL-2.0-or-later
// What is known of a guest's programs: those wanted, those that run, and who waits for one.
#include "programs/state.h"

#include <string.h>

#include "base/assert.h"
#include "decide/reconcile.h"

void vh_managed_free(gpointer data)
{
    struct vh_managed *managed = data;

    vh_object_unref(managed->object);
    g_free(managed->name);
    g_bytes_unref(managed->tunables);
    g_free(managed->problem);
    g_free(managed->trouble);
    g_free(managed->misfit);
    g_free(managed);
}

struct vh_managed *vh_managed_new(VhObject *object, GBytes *tunables, bool injected)
{
    struct vh_managed *managed = g_new0(struct vh_managed, 1);

    managed->name = g_strdup(object->name);
    managed->object = object;
    managed->tunables = tunables;
    managed->injected = injected;
    managed->problem = g_strdup("");
    managed->trouble = g_strdup("");
    managed->misfit = g_strdup("");
    return managed;
}

struct vh_managed *vh_programs_find(const VhPrograms *programs, const char *name)
{
    for (guint i = 0; i < programs->managed->len; i++) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        if (g_str_equal(managed->name, name))
            return managed;
    }
    return NULL;
}

struct vh_call *vh_programs_find_call(const VhPrograms *programs, const char *name)
{
    for (guint i = 0; i < programs->calls->len; i++) {
        struct vh_call *call = g_ptr_array_index(programs->calls, i);

        if (g_str_equal(call->name, name))
            return call;
    }
    return NULL;
}

void vh_call_free(struct vh_call *call)
{
    g_clear_handle_id(&call->timer, g_source_remove);
    if (call->programs)
        g_ptr_array_remove(call->programs->calls, call);
    if (call->candidate)
        vh_managed_free(call->candidate);
    g_clear_object(&call->task);
    g_free(call->name);
    g_free(call);
}

struct vh_managed *vh_programs_by_id(VhPrograms *programs, uint32_t id)
{
    for (guint i = 0; id && i < programs->managed->len; i++) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        if (managed->id == id)
            return managed;
    }
    for (guint i = 0; id && i < programs->calls->len; i++) {
        struct vh_call *call = g_ptr_array_index(programs->calls, i);

        if (call->candidate && call->candidate->id == id)
            return call->candidate;
    }
    return NULL;
}

void vh_programs_set_id(VhPrograms *programs, struct vh_managed *managed, uint32_t id)
{
    struct vh_managed *holder = vh_programs_by_id(programs, id);
    uint32_t former = managed->id;

    if (former == id)
        return;
    if (holder)
        vh_programs_set_id(programs, holder, 0);
    managed->id = id;
    if (former)
        programs->funcs->gone(former, programs->data);
}

char *vh_programs_doubt(VhPrograms *programs, const struct vh_managed *managed, uint32_t id)
{
    const struct vh_managed *holder = vh_programs_by_id(programs, id);
    bool other = holder && holder != managed;

    for (uint32_t i = 0; i < programs->running_count; i++) {
        const struct vh_program *running = &programs->running[i];

        other = other || (running->id == id &&
                          (!g_str_equal(running->name, managed->name) ||
                           memcmp(running->digest, managed->object->digest, VH_DIGEST_SIZE) != 0));
    }
    if (id && !other)
        return NULL;
    return g_strdup_printf("the guest says that it runs as program %u, which is %s: is its "
                           "vhint-injector the one that came with vhint?",
                           id, id ? "another one" : "no number of a program");
}

void vh_programs_drop(VhPrograms *programs, struct vh_managed *managed)
{
    bool injected = managed->injected;

    VH_ASSERT_DEEP(g_ptr_array_find(programs->managed, managed, NULL));
    vh_programs_set_id(programs, managed, 0);
    if (managed->load)
        managed->load->managed = NULL;
    g_ptr_array_remove(programs->managed, managed);
    if (injected)
        programs->funcs->injected(programs->data);
}

void vh_programs_forget_running(VhPrograms *programs, const char *name)
{
    int at = vh_running_find(programs->running, programs->running_count, name);

    if (at < 0)
        return;
    programs->running_count--;
    programs->running[at] = programs->running[programs->running_count];
    programs->unloading[at] = programs->unloading[programs->running_count];
}

void vh_programs_note_running(VhPrograms *programs, struct vh_managed *managed, uint32_t id)
{
    int at = vh_running_find(programs->running, programs->running_count, managed->name);
    struct vh_program program = {.id = id};

    vh_programs_set_id(programs, managed, id);
    if (at >= 0 && programs->running[at].id == id)
        return;
    vh_programs_forget_running(programs, managed->name);
    if (programs->running_count == VH_PROGRAMS_MAX)
        return;
    g_strlcpy(program.name, managed->name, sizeof(program.name));
    memcpy(program.digest, managed->object->digest, sizeof(program.digest));
    programs->unloading[programs->running_count] = 0;
    programs->running[programs->running_count++] = program;
}

void vh_programs_set_text(char **text, const char *fresh)
{
    char *former = *text;

    *text = g_strdup(fresh);
    g_free(former);
}

char *vh_answer_text(const char *text, const char *log)
{
    /* libbpf marks the verifier's part; where the beginning was cut, only its end is there. */
    bool verifier = strstr(log, "BEGIN PROG LOAD LOG") || strstr(log, "END PROG LOAD LOG");

    if (!*text)
        text = "the guest refused it without saying why";
    if (!*log)
        return g_strdup(text);
    return g_strdup_printf("%s\n%s:\n%s", text, verifier ? "verifier log" : "libbpf said", log);
}

uint32_t vh_programs_send_load(VhPrograms *programs, const struct vh_managed *managed, bool replace,
                               VhAnswerFunc func, gpointer data)
{
    gsize tunables_len = 0;
    const char *tunables = g_bytes_get_data(managed->tunables, &tunables_len);
    struct vh_load load = {
        .size = (uint32_t)g_bytes_get_size(managed->object->bytes),
        .flags = replace ? VH_LOAD_REPLACE : 0,
        .tunables_len = (uint32_t)tunables_len,
    };

    g_strlcpy(load.name, managed->name, sizeof(load.name));
    memcpy(load.digest, managed->object->digest, sizeof(load.digest));
    return vh_session_load(programs->session, &load, tunables, managed->object->bytes, func, data);
}
