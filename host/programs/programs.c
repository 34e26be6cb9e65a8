// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps one guest's programs as wanted, and carries inject and eject out.
#include "programs/programs.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "decide/reconcile.h"
#include "programs/kept.h"
#include "programs/state.h"

/* A load that reconcile has sent. */
struct vh_load_call {
    VhPrograms *programs;
    struct vh_managed *managed; /* NULL: not wanted any longer */
};

void vh_managed_free(gpointer data)
{
    struct vh_managed *managed = data;

    vh_object_unref(managed->object);
    g_free(managed->name);
    g_bytes_unref(managed->tunables);
    g_free(managed->problem);
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

/* Forgets a program; its facts refer to its object, so they go first. */
void vh_programs_drop(VhPrograms *programs, struct vh_managed *managed)
{
    bool injected = managed->injected;

    if (managed->id)
        programs->funcs->gone(managed->id, programs->data);
    if (managed->load)
        managed->load->managed = NULL;
    g_ptr_array_remove(programs->managed, managed);
    if (injected)
        programs->funcs->injected(programs->data);
}

static void on_read(VhObject *object, GBytes *tunables, gpointer data)
{
    VhPrograms *programs = data;

    if (programs->managed->len < VH_PROGRAMS_MAX && !vh_programs_find(programs, object->name)) {
        g_ptr_array_add(programs->managed, vh_managed_new(object, tunables, true));
        return;
    }
    g_warning("injected program %s is one too many", object->name);
    vh_object_unref(object);
    g_bytes_unref(tunables);
}

VhPrograms *vh_programs_new(const char *directory, const struct vh_programs_funcs *funcs,
                            gpointer data)
{
    VhPrograms *programs = g_new0(VhPrograms, 1);

    programs->directory = g_strdup(directory);
    programs->funcs = funcs;
    programs->data = data;
    programs->managed = g_ptr_array_new_with_free_func(vh_managed_free);
    programs->wishes = g_array_new(FALSE, FALSE, sizeof(struct vh_program_wish));
    g_array_set_clear_func(programs->wishes, vh_wish_clear);
    programs->calls = g_ptr_array_new();
    vh_injected_read(directory, on_read, programs);
    return programs;
}

void vh_programs_free(VhPrograms *programs)
{
    if (!programs)
        return;
    while (programs->calls->len) {
        struct vh_call *call = g_ptr_array_steal_index(programs->calls, 0);

        call->programs = NULL;
        g_clear_handle_id(&call->timer, g_source_remove);
        g_task_return_new_error(call->task, VH_ERROR, VH_ERROR_NOT_CONNECTED, "vhintd stops");
        /* What is being written ends in on_written. */
        if (call->request)
            vh_call_free(call);
        else
            g_clear_object(&call->task);
    }
    g_ptr_array_unref(programs->calls);
    g_ptr_array_unref(programs->managed);
    g_array_unref(programs->wishes);
    g_free(programs->directory);
    g_free(programs);
}

/* ---- what runs ---- */

void vh_programs_forget_running(VhPrograms *programs, const char *name)
{
    int at = vh_running_find(programs->running, programs->running_count, name);

    if (at < 0)
        return;
    programs->running_count--;
    programs->running[at] = programs->running[programs->running_count];
    programs->unloading[at] = programs->unloading[programs->running_count];
}

/* The guest has said that `managed` runs as `id`; its PROGRAMS may come before or after. */
void vh_programs_note_running(VhPrograms *programs, struct vh_managed *managed, uint32_t id)
{
    int at = vh_running_find(programs->running, programs->running_count, managed->name);
    struct vh_program program = {.id = id};

    managed->id = id;
    if (at >= 0 && programs->running[at].id == id)
        return;
    vh_programs_forget_running(programs, managed->name);
    if (programs->running_count == VH_PROGRAMS_MAX)
        return;
    g_strlcpy(program.name, managed->name, sizeof(program.name));
    memcpy(program.digest, managed->object->digest, sizeof(program.digest));
    programs->unloading[programs->running_count] = false;
    programs->running[programs->running_count++] = program;
}

char *vh_answer_text(const char *text, const char *log)
{
    if (!*text)
        text = "the guest refused it without saying why";
    return *log ? g_strdup_printf("%s\nverifier log:\n%s", text, log) : g_strdup(text);
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

static void on_loaded(const struct vh_answer *answer, const char *text, const char *log,
                      gpointer data)
{
    g_autofree struct vh_load_call *load = data;
    VhPrograms *programs = load->programs;
    struct vh_managed *managed = load->managed;
    g_autofree char *what = NULL;

    if (!managed)
        return;
    managed->load = NULL;
    if (!answer)
        return;
    what = g_strdup_printf("load %s", managed->name);
    g_free(managed->problem);
    if (answer->error) {
        managed->problem = vh_answer_text(text, log);
        managed->refused = true;
        memcpy(managed->refused_by, programs->boot_id, sizeof(managed->refused_by));
        programs->funcs->step(what, managed->problem, programs->data);
    } else {
        managed->problem = g_strdup("");
        vh_programs_note_running(programs, managed, answer->program);
        programs->funcs->step(what, "wanted, and did not run", programs->data);
    }
    /* Policy may have changed meanwhile. */
    vh_programs_apply_wishes(programs);
}

void vh_programs_start_load(VhPrograms *programs, struct vh_managed *managed, bool replace)
{
    struct vh_load_call *load = g_new0(struct vh_load_call, 1);

    load->programs = programs;
    load->managed = managed;
    managed->load = load;
    vh_programs_send_load(programs, managed, replace, on_loaded, load);
}

static void on_unloaded(const struct vh_answer *answer, const char *text, const char *log,
                        gpointer data)
{
    VhPrograms *programs = data;

    (void)log;
    if (answer && answer->error && answer->error != ENOENT)
        programs->funcs->step("unload", text, programs->data);
}

static void start_unload(VhPrograms *programs, uint32_t index)
{
    g_autofree char *what = g_strdup_printf("unload %s", programs->running[index].name);

    if (programs->unloading[index])
        return;
    programs->unloading[index] = true;
    programs->funcs->step(what, "it runs, but nobody wants it", programs->data);
    vh_session_unload(programs->session, programs->running[index].name, on_unloaded, programs);
}

static bool is_busy(const VhPrograms *programs, const struct vh_managed *managed)
{
    return managed->load || managed->refused || managed->ejected ||
           vh_programs_find_call(programs, managed->name);
}

static void reconcile(VhPrograms *programs)
{
    struct vh_wanted wanted[2 * VH_PROGRAMS_MAX];
    struct vh_step steps[3 * VH_PROGRAMS_MAX];
    static const uint8_t no_digest[VH_DIGEST_SIZE];
    uint32_t count = 0;
    uint32_t step_count = 0;

    if (!programs->session)
        return;
    for (guint i = 0; i < programs->managed->len && i < VH_PROGRAMS_MAX; i++) {
        const struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        wanted[count++] =
            (struct vh_wanted){managed->name, managed->object->digest, is_busy(programs, managed)};
    }
    for (guint i = 0; i < programs->calls->len && i < VH_PROGRAMS_MAX; i++) {
        const struct vh_call *call = g_ptr_array_index(programs->calls, i);

        wanted[count++] = (struct vh_wanted){call->name, no_digest, true};
    }
    step_count = vh_reconcile(wanted, count, programs->running, programs->running_count, steps);
    for (uint32_t i = 0; i < step_count; i++) {
        if (steps[i].kind == VH_STEP_UNLOAD)
            start_unload(programs, steps[i].index);
        else
            vh_programs_start_load(programs, g_ptr_array_index(programs->managed, steps[i].index),
                                   steps[i].kind == VH_STEP_REPLACE);
    }
}

void vh_programs_up(VhPrograms *programs, VhSession *session, const uint8_t boot_id[16])
{
    programs->session = session;
    programs->running_count = 0;
    programs->reported = false;
    memcpy(programs->boot_id, boot_id, sizeof(programs->boot_id));
    for (guint i = 0; i < programs->managed->len; i++) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        if (!managed->refused ||
            memcmp(managed->refused_by, boot_id, sizeof(managed->refused_by)) == 0)
            continue;
        managed->refused = false;
        g_free(managed->problem);
        managed->problem = g_strdup("");
    }
}

void vh_programs_down(VhPrograms *programs)
{
    programs->session = NULL;
    programs->running_count = 0;
    programs->reported = false;
    for (guint i = 0; i < programs->managed->len; i++)
        ((struct vh_managed *)g_ptr_array_index(programs->managed, i))->id = 0;
}

/* Takes over what the guest says of one program; `reported` NULL: it does not run. */
static void update(VhPrograms *programs, struct vh_managed *managed,
                   const struct vh_program *reported)
{
    bool same = reported &&
                memcmp(reported->digest, managed->object->digest, sizeof(reported->digest)) == 0;
    uint32_t id = same ? reported->id : 0;

    if (managed->id && managed->id != id)
        programs->funcs->gone(managed->id, programs->data);
    managed->id = id;
    managed->attached = same ? reported->attached : 0;
    managed->lost = same ? reported->lost : 0;
}

void vh_programs_report(VhPrograms *programs, const struct vh_program *running, uint32_t count)
{
    bool unloading[VH_PROGRAMS_MAX] = {false};

    programs->reported = true;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < programs->running_count; j++)
            if (programs->running[j].id == running[i].id)
                unloading[i] = programs->unloading[j];
    memcpy(programs->running, running, count * sizeof(running[0]));
    memcpy(programs->unloading, unloading, sizeof(unloading));
    programs->running_count = count;
    for (guint i = 0; i < programs->managed->len; i++) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i);
        struct vh_call *call = vh_programs_find_call(programs, managed->name);
        int at = vh_running_find(running, count, managed->name);

        /* While it is being replaced by an equal object, only its id tells it from the new one. */
        if (at >= 0 && call && call->candidate && managed->id != running[at].id)
            at = -1;
        update(programs, managed, at >= 0 ? &running[at] : NULL);
    }
    for (guint i = 0; i < programs->calls->len; i++) {
        struct vh_call *call = g_ptr_array_index(programs->calls, i);
        const struct vh_managed *old = vh_programs_find(programs, call->name);
        int at = vh_running_find(running, count, call->name);

        if (call->candidate)
            update(programs, call->candidate,
                   at >= 0 && !(old && old->id == running[at].id) ? &running[at] : NULL);
    }
    reconcile(programs);
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

guint vh_programs_count(const VhPrograms *programs)
{
    return programs->managed->len;
}

const struct vh_managed *vh_programs_get(const VhPrograms *programs, guint index)
{
    return g_ptr_array_index(programs->managed, index);
}

const char *vh_programs_state(const struct vh_managed *managed)
{
    if (managed->refused)
        return "refused";
    if (managed->id)
        return "running";
    return managed->load ? "loading" : "wanted";
}
