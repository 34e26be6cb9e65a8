// SPDX-License-Identifier: GPL-2.0-or-later
// One guest's programs, from what is kept on disk to what is told of them.
#include "programs/programs.h"

#include <string.h>

#include "base/error.h"
#include "programs/kept.h"
#include "programs/state.h"

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
    g_assert(!programs->session); /* what it has not answered refers to us */
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

void vh_programs_up(VhPrograms *programs, VhSession *session, const uint8_t boot_id[16])
{
    g_assert(!programs->session && vh_session_is_up(session));
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
        managed->stuck = 0;
        vh_programs_set_text(&managed->problem, "");
    }
}

void vh_programs_down(VhPrograms *programs)
{
    g_assert(programs->session && !vh_session_is_up(programs->session));
    programs->session = NULL;
    programs->running_count = 0;
    programs->reported = false;
    programs->deferred = false;
    for (guint i = 0; i < programs->managed->len; i++)
        vh_programs_set_id(programs, g_ptr_array_index(programs->managed, i), 0);
    /* What was under way has ended, and policy may have changed meanwhile. */
    vh_programs_apply_wishes(programs);
}

unsigned vh_programs_owed(const VhPrograms *programs)
{
    return programs->deferred ? vh_session_owed(programs->session) : 0;
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
