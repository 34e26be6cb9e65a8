// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps one guest's programs as wanted, and carries inject and eject out.
#include "programs.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "injected.h"
#include "reconcile.h"

/* An inject or eject that somebody waits for. */
struct call {
    VhPrograms *programs; /* NULL: they are gone, and the task has returned */
    GTask *task;
    char *name;
    struct vh_managed *candidate; /* inject: the new program until it is committed; eject: NULL */
    uint32_t request;
    guint timer;
};

struct VhPrograms {
    char *directory;
    const struct vh_programs_funcs *funcs;
    gpointer data;
    VhSession *session; /* NULL: down */
    uint8_t boot_id[16];
    GPtrArray *managed; /* struct vh_managed, owned */
    GPtrArray *calls;   /* struct call */
    struct vh_program running[VH_PROGRAMS_MAX];
    bool unloading[VH_PROGRAMS_MAX]; /* an UNLOAD was sent; it is not repeated in this session */
    uint32_t running_count;
};

/* A load that reconcile has sent. */
struct load {
    VhPrograms *programs;
    struct vh_managed *managed;
};

static void managed_free(gpointer data)
{
    struct vh_managed *managed = data;

    g_clear_pointer(&managed->object, vh_object_unref);
    g_free(managed->name);
    g_bytes_unref(managed->tunables);
    g_free(managed->problem);
    g_free(managed);
}

static struct vh_managed *managed_new(const char *name, VhObject *object, GBytes *tunables, bool injected)
{
    struct vh_managed *managed = g_new0(struct vh_managed, 1);

    managed->name = g_strdup(object ? object->name : name);
    managed->object = object;
    managed->tunables = tunables;
    managed->injected = injected;
    managed->problem = g_strdup("");
    return managed;
}

static struct vh_managed *find(const VhPrograms *programs, const char *name)
{
    for (guint i = 0; i < programs->managed->len; i++) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        if (g_str_equal(managed->name, name))
            return managed;
    }
    return NULL;
}

static struct call *find_call(const VhPrograms *programs, const char *name)
{
    for (guint i = 0; i < programs->calls->len; i++) {
        struct call *call = g_ptr_array_index(programs->calls, i);

        if (g_str_equal(call->name, name))
            return call;
    }
    return NULL;
}

/* Forgets a program; its facts refer to its object, so they go first. */
static void drop(VhPrograms *programs, struct vh_managed *managed)
{
    if (managed->id)
        programs->funcs->gone(managed->id, programs->data);
    g_ptr_array_remove(programs->managed, managed);
}

static void on_read(VhObject *object, GBytes *tunables, gpointer data)
{
    VhPrograms *programs = data;

    if (programs->managed->len < VH_PROGRAMS_MAX && !find(programs, object->name)) {
        g_ptr_array_add(programs->managed, managed_new(NULL, object, tunables, true));
        return;
    }
    g_warning("injected program %s is one too many", object->name);
    vh_object_unref(object);
    g_bytes_unref(tunables);
}

VhPrograms *vh_programs_new(const char *directory, const struct vh_programs_funcs *funcs, gpointer data)
{
    VhPrograms *programs = g_new0(VhPrograms, 1);

    programs->directory = g_strdup(directory);
    programs->funcs = funcs;
    programs->data = data;
    programs->managed = g_ptr_array_new_with_free_func(managed_free);
    programs->calls = g_ptr_array_new();
    vh_injected_read(directory, on_read, programs);
    return programs;
}

/* ---- calls ---- */

static void call_free(struct call *call)
{
    g_clear_handle_id(&call->timer, g_source_remove);
    if (call->programs)
        g_ptr_array_remove(call->programs->calls, call);
    if (call->candidate)
        managed_free(call->candidate);
    g_clear_object(&call->task);
    g_free(call->name);
    g_free(call);
}

static void call_fail(struct call *call, enum vh_error_code code, const char *text)
{
    if (call->candidate && call->candidate->id && call->programs)
        call->programs->funcs->gone(call->candidate->id, call->programs->data);
    g_task_return_error(call->task, g_error_new_literal(VH_ERROR, code, text));
    call_free(call);
}

void vh_programs_free(VhPrograms *programs)
{
    if (!programs)
        return;
    while (programs->calls->len) {
        struct call *call = g_ptr_array_steal_index(programs->calls, 0);

        call->programs = NULL;
        g_clear_handle_id(&call->timer, g_source_remove);
        g_task_return_new_error(call->task, VH_ERROR, VH_ERROR_NOT_CONNECTED, "vhintd stops");
        /* What is being written ends in on_written. */
        if (call->request)
            call_free(call);
        else
            g_clear_object(&call->task);
    }
    g_ptr_array_unref(programs->calls);
    g_ptr_array_unref(programs->managed);
    g_free(programs->directory);
    g_free(programs);
}

static gboolean on_timeout(gpointer data)
{
    struct call *call = data;
    g_autofree char *text = g_strdup_printf(
        "the guest has not answered for %u seconds: is it paused, or out of CPU?", VH_ANSWER_SECONDS);

    call->timer = 0;
    vh_session_forget(call->programs->session, call->request);
    if (!call->candidate) {
        struct vh_managed *managed = find(call->programs, call->name);

        if (managed)
            drop(call->programs, managed);
    }
    call_fail(call, VH_ERROR_TIMED_OUT, text);
    return G_SOURCE_REMOVE;
}

static struct call *call_new(VhPrograms *programs, const char *name, GTask *task)
{
    struct call *call = g_new0(struct call, 1);

    call->programs = programs;
    call->task = task;
    call->name = g_strdup(name);
    g_ptr_array_add(programs->calls, call);
    call->timer = g_timeout_add_seconds(VH_ANSWER_SECONDS, on_timeout, call);
    return call;
}

static void refuse_task(GTask *task, enum vh_error_code code, const char *format, ...) G_GNUC_PRINTF(3, 4);
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

/* ---- what runs ---- */

static void forget_running(VhPrograms *programs, const char *name)
{
    int at = vh_running_find(programs->running, programs->running_count, name);

    if (at < 0)
        return;
    programs->running_count--;
    programs->running[at] = programs->running[programs->running_count];
    programs->unloading[at] = programs->unloading[programs->running_count];
}

/* The guest has said that `managed` runs as `id`; its PROGRAMS may come before or after. */
static void note_running(VhPrograms *programs, struct vh_managed *managed, uint32_t id)
{
    int at = vh_running_find(programs->running, programs->running_count, managed->name);
    struct vh_program program = {.id = id};

    managed->id = id;
    if (at >= 0 && programs->running[at].id == id)
        return;
    forget_running(programs, managed->name);
    if (programs->running_count == VH_PROGRAMS_MAX)
        return;
    g_strlcpy(program.name, managed->name, sizeof(program.name));
    memcpy(program.digest, managed->object->digest, sizeof(program.digest));
    programs->unloading[programs->running_count] = false;
    programs->running[programs->running_count++] = program;
}

static char *answer_text(const char *text, const char *log)
{
    if (!*text)
        text = "the guest refused it without saying why";
    return *log ? g_strdup_printf("%s\nverifier log:\n%s", text, log) : g_strdup(text);
}

static uint32_t send_load(VhPrograms *programs, const struct vh_managed *managed, bool replace, VhAnswerFunc func,
                          gpointer data)
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

static void on_loaded(const struct vh_answer *answer, const char *text, const char *log, gpointer data)
{
    g_autofree struct load *load = data;
    VhPrograms *programs = load->programs;
    struct vh_managed *managed = load->managed;
    g_autofree char *what = g_strdup_printf("load %s", managed->name);

    managed->loading = false;
    if (!answer)
        return;
    g_free(managed->problem);
    if (answer->error) {
        managed->problem = answer_text(text, log);
        managed->refused = true;
        memcpy(managed->refused_by, programs->boot_id, sizeof(managed->refused_by));
        programs->funcs->step(what, managed->problem, programs->data);
        return;
    }
    managed->problem = g_strdup("");
    note_running(programs, managed, answer->program);
    programs->funcs->step(what, "wanted, and did not run", programs->data);
}

static void start_load(VhPrograms *programs, struct vh_managed *managed, bool replace)
{
    struct load *load = g_new0(struct load, 1);

    load->programs = programs;
    load->managed = managed;
    managed->loading = true;
    send_load(programs, managed, replace, on_loaded, load);
}

static void on_unloaded(const struct vh_answer *answer, const char *text, const char *log, gpointer data)
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
    return managed->loading || managed->refused || managed->ejected || find_call(programs, managed->name);
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

        wanted[count++] = (struct vh_wanted){managed->name, managed->object ? managed->object->digest : no_digest,
                                             !managed->object || is_busy(programs, managed)};
    }
    for (guint i = 0; i < programs->calls->len && i < VH_PROGRAMS_MAX; i++) {
        const struct call *call = g_ptr_array_index(programs->calls, i);

        wanted[count++] = (struct vh_wanted){call->name, no_digest, true};
    }
    step_count = vh_reconcile(wanted, count, programs->running, programs->running_count, steps);
    for (uint32_t i = 0; i < step_count; i++) {
        if (steps[i].kind == VH_STEP_UNLOAD)
            start_unload(programs, steps[i].index);
        else
            start_load(programs, g_ptr_array_index(programs->managed, steps[i].index),
                       steps[i].kind == VH_STEP_REPLACE);
    }
}

void vh_programs_add(VhPrograms *programs, const char *name, VhObject *object, GBytes *tunables,
                     const char *problem)
{
    struct vh_managed *managed = managed_new(name, object, tunables, false);
    struct vh_managed *known = find(programs, managed->name);

    g_free(managed->problem);
    managed->problem = g_strdup(problem);
    if (known)
        drop(programs, known);
    g_ptr_array_add(programs->managed, managed);
}

void vh_programs_up(VhPrograms *programs, VhSession *session, const uint8_t boot_id[16])
{
    programs->session = session;
    programs->running_count = 0;
    memcpy(programs->boot_id, boot_id, sizeof(programs->boot_id));
    for (guint i = 0; i < programs->managed->len; i++) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        if (!managed->refused || memcmp(managed->refused_by, boot_id, sizeof(managed->refused_by)) == 0)
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
    for (guint i = 0; i < programs->managed->len; i++)
        ((struct vh_managed *)g_ptr_array_index(programs->managed, i))->id = 0;
}

/* Takes over what the guest says of one program; `reported` NULL: it does not run. */
static void update(VhPrograms *programs, struct vh_managed *managed, const struct vh_program *reported)
{
    bool same = reported && managed->object &&
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

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < programs->running_count; j++)
            if (programs->running[j].id == running[i].id)
                unloading[i] = programs->unloading[j];
    memcpy(programs->running, running, count * sizeof(running[0]));
    memcpy(programs->unloading, unloading, sizeof(unloading));
    programs->running_count = count;
    for (guint i = 0; i < programs->managed->len; i++) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i);
        struct call *call = find_call(programs, managed->name);
        int at = vh_running_find(running, count, managed->name);

        /* While it is being replaced by an equal object, only its id tells it from the new one. */
        if (at >= 0 && call && call->candidate && managed->id != running[at].id)
            at = -1;
        update(programs, managed, at >= 0 ? &running[at] : NULL);
    }
    for (guint i = 0; i < programs->calls->len; i++) {
        struct call *call = g_ptr_array_index(programs->calls, i);
        const struct vh_managed *old = find(programs, call->name);
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
        struct call *call = g_ptr_array_index(programs->calls, i);

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
    if (managed->refused || !managed->object)
        return "refused";
    if (managed->id)
        return "running";
    return managed->loading ? "loading" : "wanted";
}

/* ---- inject ---- */

static void on_written(GObject *source, GAsyncResult *result, gpointer data)
{
    struct call *call = data;
    g_autoptr(GError) error = NULL;
    int written = vh_injected_write_finish(result, &error);
    struct vh_managed *managed = call->programs ? find(call->programs, call->name) : NULL;

    (void)source;
    if (!call->programs) {
        call_free(call);
        return;
    }
    if (written < 0 || !managed) {
        g_autofree char *text = g_strdup_printf("%s runs now, but is not kept for the next start: %s", call->name,
                                                error ? error->message : "it was ejected meanwhile");

        call_fail(call, VH_ERROR_FAILED, text);
        return;
    }
    g_task_return_pointer(call->task, g_strdup(call->name), g_free);
    call_free(call);
}

/* The guest runs it: from now on it is wanted, and what it replaced is not. */
static void commit(struct call *call, uint32_t id)
{
    VhPrograms *programs = call->programs;
    struct vh_managed *managed = g_steal_pointer(&call->candidate);
    struct vh_managed *old = find(programs, call->name);
    g_autofree char *what = g_strdup_printf("load %s", call->name);

    g_clear_handle_id(&call->timer, g_source_remove);
    call->request = 0;
    if (old && old->id == id)
        old->id = 0;
    if (old)
        drop(programs, old);
    if (managed->id && managed->id != id)
        programs->funcs->gone(managed->id, programs->data);
    g_ptr_array_add(programs->managed, managed);
    note_running(programs, managed, id);
    programs->funcs->step(what, "injected by hand", programs->data);
    vh_injected_write(programs->directory, managed->object, managed->tunables, on_written, call);
}

static void on_injected(const struct vh_answer *answer, const char *text, const char *log, gpointer data)
{
    struct call *call = data;
    g_autofree char *why = NULL;

    if (!answer) {
        why = g_strdup_printf("the guest went before it had answered: %s", text);
        call_fail(call, VH_ERROR_NOT_CONNECTED, why);
        return;
    }
    if (!answer->error) {
        commit(call, answer->program);
        return;
    }
    why = answer_text(text, log);
    call_fail(call, answer->error == EEXIST ? VH_ERROR_EXISTS : VH_ERROR_REFUSED, why);
}

void vh_programs_inject(VhPrograms *programs, VhObject *object, GBytes *tunables, bool replace, GTask *task)
{
    struct vh_managed *candidate = managed_new(NULL, object, tunables, true);
    const struct vh_managed *known = find(programs, candidate->name);
    struct call *call = NULL;

    if (!programs->session) {
        refuse_task(task, VH_ERROR_NOT_CONNECTED, "no injector is connected: start vhint-injector in the guest");
    } else if (find_call(programs, candidate->name) || (known && known->loading)) {
        refuse_task(task, VH_ERROR_BUSY, "%s is being loaded or unloaded: try again", candidate->name);
    } else if (known && !known->injected) {
        refuse_task(task, VH_ERROR_EXISTS, "%s belongs to the configuration: change it there, or use another name",
                    candidate->name);
    } else if (known && !replace) {
        refuse_task(task, VH_ERROR_EXISTS,
                    "%s is there already: replace it (--replace) or eject it, or use another name",
                    candidate->name);
    } else if (!known && programs->managed->len >= VH_PROGRAMS_MAX) {
        refuse_task(task, VH_ERROR_INVALID_ARGUMENT, "the guest has %u programs, which is the limit: eject one",
                    programs->managed->len);
    } else {
        bool runs = vh_running_find(programs->running, programs->running_count, candidate->name) >= 0;

        call = call_new(programs, candidate->name, task);
        call->candidate = candidate;
        call->request = send_load(programs, candidate, runs || replace, on_injected, call);
        return;
    }
    managed_free(candidate);
}

/* ---- eject ---- */

static void on_ejected(const struct vh_answer *answer, const char *text, const char *log, gpointer data)
{
    struct call *call = data;
    VhPrograms *programs = call->programs;
    struct vh_managed *managed = find(programs, call->name);

    (void)log;
    if (managed) {
        forget_running(programs, call->name);
        drop(programs, managed);
    }
    /* Without an answer it is unloaded at the next connection: nobody wants it any longer. */
    if (answer && answer->error && answer->error != ENOENT) {
        call_fail(call, VH_ERROR_REFUSED, text);
        return;
    }
    g_task_return_int(call->task, 0);
    call_free(call);
}

void vh_programs_eject(VhPrograms *programs, const char *name, GTask *task)
{
    struct vh_managed *managed = find(programs, name);
    struct call *call = NULL;

    if (!managed) {
        refuse_task(task, VH_ERROR_NO_SUCH_PROGRAM, "no program %s is wanted in this guest", name);
        return;
    }
    if (!managed->injected) {
        refuse_task(task, VH_ERROR_INVALID_ARGUMENT, "%s belongs to the configuration: take it out there", name);
        return;
    }
    if (find_call(programs, name) || managed->loading) {
        refuse_task(task, VH_ERROR_BUSY, "%s is being loaded or unloaded: try again", name);
        return;
    }
    vh_injected_remove(programs->directory, name);
    if (!programs->session || !managed->id) {
        drop(programs, managed);
        g_task_return_int(task, 0);
        g_object_unref(task);
        return;
    }
    managed->ejected = true;
    call = call_new(programs, name, task);
    call->request = vh_session_unload(programs->session, name, on_ejected, call);
}
