// SPDX-License-Identifier: GPL-2.0-or-later
// Answers calls of the control interface on the hint thread: each asks the manager.
#include "control/state.h"

static struct vh_call *call_of(struct vh_errand *errand)
{
    return (struct vh_call *)(void *)errand;
}

/* `value`, floating, is one of what the method returns by this format; NULL: call->error is set. */
static void finish(struct vh_call *call, const char *format, GVariant *value)
{
    if (value)
        call->value = g_variant_ref_sink(g_variant_new(format, value));
    vh_errand_finish(&call->errand);
}

void vh_answer_list_guests(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    call->portraits = vh_manager_portraits(call->manager, &call->after, true);
    vh_errand_finish(errand);
}

void vh_answer_get_guest(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);
    VhPortrait *portrait = vh_manager_portrait(call->manager, call->guest, &call->error);

    call->portraits = g_ptr_array_new_with_free_func((GDestroyNotify)vh_portrait_unref);
    if (portrait)
        g_ptr_array_add(call->portraits, portrait);
    vh_errand_finish(errand);
}

void vh_answer_get_guests(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    call->portraits = vh_manager_portraits(call->manager, &call->after, false);
    vh_errand_finish(errand);
}

void vh_answer_list_programs(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    finish(call, "(@aa{sv})", vh_manager_programs(call->manager, call->guest, &call->error));
}

void vh_answer_explain(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    finish(call, "(@aa{sv})", vh_manager_explain(call->manager, call->guest, &call->error));
}

void vh_answer_offloads(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    finish(call, "(@aa{sv})", vh_manager_offload(call->manager, call->guest, &call->error));
}

void vh_answer_get_policy(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    finish(call, "(@a{sv})", vh_manager_policy(call->manager, call->guest, &call->error));
}

void vh_answer_list_hints(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);
    g_auto(GStrv) hints = vh_manager_hints(call->manager, call->guest, &call->error);

    finish(call, "(@as)", hints ? g_variant_new_strv((const char *const *)hints, -1) : NULL);
}

static void on_injected(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct vh_call *call = data;

    finish(call, "(@a{sv})", vh_manager_inject_finish(call->manager, result, &call->error));
}

void vh_answer_inject(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    vh_manager_inject(call->manager, call->guest, call->name, call->object, call->tunables,
                      call->replace, NULL, on_injected, call);
}

static void on_ejected(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct vh_call *call = data;

    if (vh_manager_eject_finish(call->manager, result, &call->error) < 0)
        g_assert(call->error);
    vh_errand_finish(&call->errand);
}

void vh_answer_eject(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    vh_manager_eject(call->manager, call->guest, call->name, NULL, on_ejected, call);
}

static void on_bootstrapped(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    struct vh_call *call = data;

    finish(call, "(@a{sv})", vh_manager_bootstrap_finish(call->manager, result, &call->error));
}

void vh_answer_bootstrap(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    vh_manager_bootstrap(call->manager, call->guest, NULL, on_bootstrapped, call);
}

void vh_answer_release(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);
    int undone = vh_manager_release(call->manager, call->guest, &call->error);

    finish(call, "(@u)", undone < 0 ? NULL : g_variant_new_uint32((guint32)undone));
}

void vh_answer_resume(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    if (vh_manager_resume(call->manager, call->guest, &call->error) < 0)
        g_assert(call->error);
    vh_errand_finish(errand);
}

void vh_answer_handover(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    finish(call, "(@u)",
           g_variant_new_uint32(vh_manager_hand_over(call->manager, "asked for by hand")));
}

void vh_answer_watch(struct vh_errand *errand)
{
    struct vh_call *call = call_of(errand);

    call->fd = vh_watches_open(call->watches, call->guest, &call->error);
    finish(call, "(@h)", call->fd < 0 ? NULL : g_variant_new_handle(0));
}
