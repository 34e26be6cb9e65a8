// SPDX-License-Identifier: GPL-2.0-or-later
// Brings a guest's programs in line with what policy wants.
#include <errno.h>
#include <string.h>

#include "decide/reconcile.h"
#include "programs/state.h"

/* ---- one load, one unload ---- */

static void on_loaded(const struct vh_answer *answer, const char *text, const char *log,
                      gpointer data);

/* Is there something that the guest must not be asked now? It is once it has answered something. */
static bool put_off(VhPrograms *programs, bool too_much)
{
    g_autofree char *why = NULL;

    if (!too_much || programs->deferred)
        return too_much;
    programs->deferred = true;
    why = g_strdup_printf("the guest owes %u answers: it is not asked more before it gives some",
                          vh_session_owed(programs->session));
    programs->funcs->step("programs wait", why, programs->data);
    return true;
}

static void start_load(VhPrograms *programs, struct vh_managed *managed, bool replace)
{
    struct vh_load_call *load = NULL;

    g_assert(!managed->load);
    if (put_off(programs, !vh_session_may_ask(programs->session)))
        return;
    load = g_new0(struct vh_load_call, 1);
    load->programs = programs;
    load->managed = managed;
    load->since = g_get_monotonic_time();
    managed->load = load;
    vh_programs_send_load(programs, managed, replace, on_loaded, load);
}

static void on_unloaded(const struct vh_answer *answer, const char *text, const char *log,
                        gpointer data)
{
    VhPrograms *programs = data;

    programs->unloads--;
    if (answer && answer->error && answer->error != ENOENT) {
        g_autofree char *why = vh_answer_text(text, log);

        programs->funcs->step("unload", why, programs->data);
    }
}

static void start_unload(VhPrograms *programs, uint32_t index)
{
    g_autofree char *what = g_strdup_printf("unload %s", programs->running[index].name);

    /* A guest may name ever new programs, and answer nothing. */
    if (programs->unloading[index] || put_off(programs, programs->unloads == VH_PROGRAMS_MAX ||
                                                            !vh_session_may_ask(programs->session)))
        return;
    programs->unloads++;
    programs->funcs->step(what, "it runs, but nobody wants it", programs->data);
    programs->unloading[index] =
        vh_session_unload(programs->session, programs->running[index].name, on_unloaded, programs);
}

/* What the guest has not been told yet of a program that has left, it need not be told. */
static void withdraw(VhPrograms *programs, uint32_t request)
{
    if (request && vh_session_withdraw(programs->session, request))
        programs->unloads--;
}

/* ---- what runs, against what is wanted ---- */

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
    g_assert(step_count <= G_N_ELEMENTS(steps));
    for (uint32_t i = 0; i < step_count; i++) {
        if (steps[i].kind == VH_STEP_UNLOAD)
            start_unload(programs, steps[i].index);
        else
            start_load(programs, g_ptr_array_index(programs->managed, steps[i].index),
                       steps[i].kind == VH_STEP_REPLACE);
    }
    for (guint i = 0; i < programs->managed->len; i++) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        /* Other tunables do not show in what the guest reports. */
        if (managed->renew && managed->id && !is_busy(programs, managed))
            start_load(programs, managed, true);
    }
}

void vh_programs_go_on(VhPrograms *programs)
{
    if (!programs->deferred)
        return;
    programs->deferred = false;
    reconcile(programs);
}

/* Takes over what the guest says of one program; `reported` NULL: it does not run. */
static void update(VhPrograms *programs, struct vh_managed *managed,
                   const struct vh_program *reported)
{
    bool same = reported &&
                memcmp(reported->digest, managed->object->digest, sizeof(reported->digest)) == 0;
    uint32_t id = same ? reported->id : 0;

    vh_programs_set_id(programs, managed, id);
    managed->attached = same ? reported->attached : 0;
    managed->has_state = same && reported->flags & VH_PROGRAM_STATE;
    managed->lost = same ? reported->lost : 0;
    managed->troubled = false;
    if (same && managed->stuck && !managed->renew) { /* it was not the program's fault */
        managed->stuck = 0;
        managed->refused = false;
        vh_programs_set_text(&managed->problem, "");
    }
}

void vh_programs_report(VhPrograms *programs, const struct vh_program *running, uint32_t count)
{
    uint32_t unloading[VH_PROGRAMS_MAX] = {0};

    g_assert(programs->session && count <= VH_PROGRAMS_MAX);
    programs->reported = true;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < programs->running_count; j++)
            if (programs->running[j].id == running[i].id) {
                unloading[i] = programs->unloading[j];
                programs->unloading[j] = 0;
            }
    for (uint32_t j = 0; j < programs->running_count; j++)
        withdraw(programs, programs->unloading[j]);
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

/* ---- what policy wants ---- */

void vh_wish_clear(gpointer data)
{
    struct vh_program_wish *wish = data;

    vh_object_unref(wish->object);
    g_bytes_unref(wish->tunables);
}

static bool is_wanted(const VhPrograms *programs, const char *name)
{
    for (guint i = 0; i < programs->wishes->len; i++)
        if (g_str_equal(g_array_index(programs->wishes, struct vh_program_wish, i).object->name,
                        name))
            return true;
    return false;
}

/* A guest cannot run more. */
static bool is_full(VhPrograms *programs, const char *name)
{
    g_autofree char *what = g_strdup_printf("load %s", name);

    if (programs->managed->len < VH_PROGRAMS_MAX)
        return false;
    programs->funcs->step(what, "the guest has 32 programs, which is the limit: eject one",
                          programs->data);
    return true;
}

static void apply(VhPrograms *programs, const struct vh_program_wish *wish)
{
    struct vh_managed *known = vh_programs_find(programs, wish->object->name);
    struct vh_managed *managed = NULL;
    bool same = known && memcmp(known->object->digest, wish->object->digest, VH_DIGEST_SIZE) == 0;

    if (known && (known->load || vh_programs_find_call(programs, known->name)))
        return;
    if (same && !known->injected && g_bytes_equal(known->tunables, wish->tunables))
        return;
    if (!known && is_full(programs, wish->object->name))
        return;
    if (known)
        vh_programs_drop(programs, known);
    managed = vh_managed_new(vh_object_ref(wish->object), g_bytes_ref(wish->tunables), false);
    managed->renew = same;
    g_ptr_array_add(programs->managed, managed);
}

void vh_programs_apply_wishes(VhPrograms *programs)
{
    struct vh_program running[VH_PROGRAMS_MAX];

    for (guint i = programs->managed->len; i > 0; i--) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i - 1);

        if (!managed->injected && !managed->load &&
            !vh_programs_find_call(programs, managed->name) && !is_wanted(programs, managed->name))
            vh_programs_drop(programs, managed);
    }
    for (guint i = 0; i < programs->wishes->len; i++)
        apply(programs, &g_array_index(programs->wishes, struct vh_program_wish, i));
    if (!programs->reported || !vh_session_is_up(programs->session))
        return;
    memcpy(running, programs->running, sizeof(running));
    vh_programs_report(programs, running, programs->running_count);
}

static void on_loaded(const struct vh_answer *answer, const char *text, const char *log,
                      gpointer data)
{
    g_autofree struct vh_load_call *load = data;
    VhPrograms *programs = load->programs;
    struct vh_managed *managed = load->managed;
    g_autofree char *doubt = NULL;

    if (!managed)
        return;
    managed->load = NULL;
    if (!answer) {
        vh_programs_note_stuck(programs, managed, load->since);
        return;
    }
    managed->stuck = 0;
    if (!answer->error)
        doubt = vh_programs_doubt(programs, managed, answer->program);
    if (answer->error || doubt) {
        g_autofree char *why = doubt ? g_steal_pointer(&doubt) : vh_answer_text(text, log);

        vh_programs_refuse(programs, managed, why);
    } else {
        g_autofree char *what = g_strdup_printf("load %s", managed->name);

        vh_programs_set_text(&managed->problem, "");
        managed->renew = false;
        vh_programs_note_running(programs, managed, answer->program);
        programs->funcs->step(what, "it is wanted and did not run", programs->data);
    }
    /* Policy may have changed meanwhile. */
    vh_programs_apply_wishes(programs);
}

void vh_programs_want(VhPrograms *programs, const struct vh_program_wish *wishes, uint32_t count)
{
    g_array_set_size(programs->wishes, 0);
    for (uint32_t i = 0; i < MIN(count, VH_PROGRAMS_MAX); i++) {
        struct vh_program_wish wish = wishes[i];

        /* Of two objects that bear one name, the first. */
        if (is_wanted(programs, wish.object->name))
            continue;
        vh_object_ref(wish.object);
        g_bytes_ref(wish.tunables);
        g_array_append_val(programs->wishes, wish);
    }
    vh_programs_apply_wishes(programs);
}

bool vh_programs_are_settled(const VhPrograms *programs)
{
    bool settled = programs->session && programs->reported;

    for (guint i = 0; settled && i < programs->managed->len; i++) {
        const struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        settled = managed->refused || (managed->id && !managed->load &&
                                       vh_session_is_current(programs->session, managed->id));
    }
    return settled;
}
