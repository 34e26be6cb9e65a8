// SPDX-License-Identifier: GPL-2.0-or-later
// Injects and ejects programs for callers that wait.
#include <errno.h>

#include "base/error.h"
#include "decide/reconcile.h"
#include "programs/kept.h"
#include "programs/state.h"
#include "programs/travel.h"

/* Nobody waits any longer. Policy may have changed meanwhile. */
static void call_end(struct vh_call *call)
{
    VhPrograms *programs = call->programs;

    vh_call_free(call);
    vh_programs_apply_wishes(programs);
}

static void call_fail(struct vh_call *call, enum vh_error_code code, const char *text)
{
    if (call->candidate)
        vh_programs_set_id(call->programs, call->candidate, 0);
    g_task_return_error(call->task, g_error_new_literal(VH_ERROR, code, text));
    call_end(call);
}

/* Why the caller need not wait any longer; NULL: it is to. */
static char *lost_patience(const struct vh_call *call)
{
    gint64 now = g_get_monotonic_time();
    gint64 silent = (now - vh_session_heard(call->programs->session)) / G_USEC_PER_SEC;
    gint64 waited = (now - call->since) / G_USEC_PER_SEC;

    if (silent >= VH_SILENCE_SECONDS)
        return g_strdup_printf(
            "the guest has not answered for %d seconds: is it paused, or out of CPU?", (int)silent);
    if (waited >= VH_ANSWER_SECONDS)
        return g_strdup_printf("the guest's kernel has not come to an end with it for %d seconds",
                               (int)waited);
    return NULL;
}

/* An eject ends with the program's facts, whatever the guest says to it. The journal is told why
 * nobody waits for it any longer. */
static void finish_eject(const struct vh_call *call, const char *why)
{
    VhPrograms *programs = call->programs;
    struct vh_managed *managed = vh_programs_find(programs, call->name);
    g_autofree char *what = g_strdup_printf("unload %s", call->name);

    if (managed)
        vh_programs_drop(programs, managed);
    programs->funcs->step(what, why, programs->data);
}

static gboolean on_timeout(gpointer data)
{
    struct vh_call *call = data;
    VhPrograms *programs = call->programs;
    g_autofree char *text = lost_patience(call);

    if (!text)
        return G_SOURCE_CONTINUE;
    call->timer = 0;
    vh_session_forget(programs->session, call->request);
    if (!call->candidate)
        finish_eject(call, text);
    call_fail(call, VH_ERROR_TIMED_OUT, text);
    programs->funcs->ended(programs->data);
    return G_SOURCE_REMOVE;
}

static struct vh_call *call_new(VhPrograms *programs, const char *name, GTask *task)
{
    struct vh_call *call = g_new0(struct vh_call, 1);

    call->programs = programs;
    call->task = task;
    call->name = g_strdup(name);
    g_ptr_array_add(programs->calls, call);
    call->since = g_get_monotonic_time();
    call->timer = g_timeout_add_seconds(VH_LOOK_SECONDS, on_timeout, call);
    return call;
}

static void refuse_task(GTask *task, enum vh_error_code code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
static void refuse_task(GTask *task, enum vh_error_code code, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_task_return_error(task, g_error_new_literal(VH_ERROR, code, text));
    g_object_unref(task);
}

/* Says how the write went. */
static void end_written(struct vh_call *call, int written, const GError *error)
{
    if (written < 0 || !vh_programs_find(call->programs, call->name)) {
        g_autofree char *text =
            g_strdup_printf("%s runs now, but is not kept for the next start: %s", call->name,
                            error ? error->message : "it was ejected meanwhile");

        call_fail(call, VH_ERROR_FAILED, text);
        return;
    }
    g_task_return_pointer(call->task, g_strdup(call->name), g_free);
    call_end(call);
}

static void on_written(GObject *source, GAsyncResult *result, gpointer data)
{
    struct vh_call *call = data;
    VhPrograms *programs = call->programs;
    g_autoptr(GError) error = NULL;
    int written = vh_injected_write_finish(result, &error);

    (void)source;
    if (!programs) {
        vh_call_free(call);
        return;
    }
    end_written(call, written, error);
    programs->funcs->ended(programs->data);
}

/* The guest runs it: from now on it is wanted, and what it replaced is not. */
static void commit(struct vh_call *call, uint32_t id)
{
    VhPrograms *programs = call->programs;
    struct vh_managed *managed = g_steal_pointer(&call->candidate);
    struct vh_managed *old = vh_programs_find(programs, call->name);
    g_autofree char *what = g_strdup_printf("load %s", call->name);

    g_clear_handle_id(&call->timer, g_source_remove);
    call->request = 0;
    if (old)
        vh_programs_drop(programs, old);
    g_ptr_array_add(programs->managed, managed);
    programs->funcs->injected(programs->data);
    vh_programs_note_running(programs, managed, id);
    programs->funcs->step(what, "injected by hand", programs->data);
    vh_injected_write(programs->directory, managed->object, managed->tunables, on_written, call);
}

static void on_injected(const struct vh_answer *answer, const char *text, const char *log,
                        gpointer data)
{
    struct vh_call *call = data;
    g_autofree char *why = NULL;

    if (!answer) {
        why = g_strdup_printf("the guest went before it had answered: %s", text);
        call_fail(call, VH_ERROR_NOT_CONNECTED, why);
        return;
    }
    if (!answer->error)
        why = vh_programs_doubt(call->programs, call->candidate, answer->program);
    if (!answer->error && !why) {
        commit(call, answer->program);
        return;
    }
    if (!why)
        why = vh_answer_text(text, log);
    call_fail(call, answer->error == EEXIST ? VH_ERROR_EXISTS : VH_ERROR_REFUSED, why);
}

/* New programs that callers wait for. */
static guint candidates(const VhPrograms *programs)
{
    guint count = 0;

    for (guint i = 0; i < programs->calls->len; i++) {
        const struct vh_call *call = g_ptr_array_index(programs->calls, i);

        count += call->candidate && !vh_programs_find(programs, call->name);
    }
    return count;
}

/* Why nothing can be asked of the guest now; NULL: it can. */
static char *is_overdue(const VhPrograms *programs)
{
    if (programs->calls->len < VH_PROGRAMS_MAX && vh_session_may_ask(programs->session))
        return NULL;
    return g_strdup_printf("the guest owes %u answers: try again once it has given some, or "
                           "restart its vhint-injector",
                           vh_session_owed(programs->session));
}

void vh_programs_inject(VhPrograms *programs, VhObject *object, GBytes *tunables, bool replace,
                        GTask *task)
{
    struct vh_managed *candidate = vh_managed_new(object, tunables, true);
    const struct vh_managed *known = vh_programs_find(programs, candidate->name);
    g_autofree char *overdue = programs->session ? is_overdue(programs) : NULL;
    struct vh_call *call = NULL;

    if (!programs->session) {
        refuse_task(task, VH_ERROR_NOT_CONNECTED,
                    "no injector is connected: start vhint-injector in the guest");
    } else if (vh_programs_find_call(programs, candidate->name) || (known && known->load)) {
        refuse_task(task, VH_ERROR_BUSY, "%s is being loaded or unloaded: try again",
                    candidate->name);
    } else if (known && !known->injected) {
        refuse_task(task, VH_ERROR_EXISTS,
                    "%s comes from the policy: change it there, or use another name",
                    candidate->name);
    } else if (known && !replace) {
        refuse_task(task, VH_ERROR_EXISTS,
                    "%s is there already: replace it (--replace) or eject it, or use another name",
                    candidate->name);
    } else if (!known && programs->managed->len + candidates(programs) >= VH_PROGRAMS_MAX) {
        refuse_task(task, VH_ERROR_INVALID_ARGUMENT,
                    "the guest has %u programs, which is the limit: eject one", VH_PROGRAMS_MAX);
    } else if (overdue) {
        refuse_task(task, VH_ERROR_BUSY, "%s", overdue);
    } else {
        bool runs =
            vh_running_find(programs->running, programs->running_count, candidate->name) >= 0;

        call = call_new(programs, candidate->name, task);
        call->candidate = candidate;
        call->request =
            vh_programs_send_load(programs, candidate, runs || replace, on_injected, call);
        return;
    }
    vh_managed_free(candidate);
}

static void on_ejected(const struct vh_answer *answer, const char *text, const char *log,
                       gpointer data)
{
    struct vh_call *call = data;

    if (vh_programs_find(call->programs, call->name))
        vh_programs_forget_running(call->programs, call->name);
    /* Without an answer it is unloaded at the next connection: nobody wants it any longer. */
    if (answer && answer->error && answer->error != ENOENT) {
        g_autofree char *why = vh_answer_text(text, log);

        finish_eject(call, why);
        call_fail(call, VH_ERROR_REFUSED, why);
        return;
    }
    finish_eject(call, "ejected by hand");
    g_task_return_int(call->task, 0);
    call_end(call);
}

static void on_kept(GObject *source, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)source;
    (void)data;
    if (vh_injected_write_finish(result, &error) < 0)
        g_warning("a program that came with its guest is not kept for the next start: %s",
                  error->message);
}

void vh_programs_replace_injected(VhPrograms *programs, const GPtrArray *list)
{
    g_assert(!programs->session);
    for (guint i = programs->managed->len; i > 0; i--) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i - 1);

        if (!managed->injected)
            continue;
        vh_injected_remove(programs->directory, managed->name);
        vh_programs_drop(programs, managed);
    }
    for (guint i = 0; i < list->len && programs->managed->len < VH_PROGRAMS_MAX; i++) {
        const struct vh_travel_program *program = g_ptr_array_index(list, i);

        if (vh_programs_find(programs, program->object->name))
            continue;
        g_ptr_array_add(programs->managed, vh_managed_new(vh_object_ref(program->object),
                                                          g_bytes_ref(program->tunables), true));
        vh_injected_write(programs->directory, program->object, program->tunables, on_kept, NULL);
    }
}

void vh_programs_eject(VhPrograms *programs, const char *name, GTask *task)
{
    struct vh_managed *managed = vh_programs_find(programs, name);
    g_autofree char *overdue = programs->session ? is_overdue(programs) : NULL;
    struct vh_call *call = NULL;

    if (!managed) {
        refuse_task(task, VH_ERROR_NO_SUCH_PROGRAM,
                    "this guest has no program %s: vhintctl programs GUEST lists those it has",
                    name);
        return;
    }
    if (!managed->injected) {
        refuse_task(task, VH_ERROR_INVALID_ARGUMENT, "%s comes from the policy: remove it there",
                    name);
        return;
    }
    if (vh_programs_find_call(programs, name) || managed->load) {
        refuse_task(task, VH_ERROR_BUSY, "%s is being loaded or unloaded: try again", name);
        return;
    }
    if (overdue && managed->id) {
        refuse_task(task, VH_ERROR_BUSY, "%s", overdue);
        return;
    }
    vh_injected_remove(programs->directory, name);
    if (!programs->session || !managed->id) {
        vh_programs_drop(programs, managed);
        g_task_return_int(task, 0);
        g_object_unref(task);
        return;
    }
    managed->ejected = true;
    programs->funcs->injected(programs->data);
    call = call_new(programs, name, task);
    call->request = vh_session_unload(programs->session, name, on_ejected, call);
}
