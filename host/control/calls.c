// SPDX-License-Identifier: GPL-2.0-or-later
// Turns the calls of the control interface into errands for the hint thread, and what they come to
// into D-Bus.
#include "control/calls.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

#include "control/control-dbus.h"
#include "control/state.h"
#include "wire.h"

struct VhCalls {
    VhErrands *errands;
    VhManager *manager;
    VhWatches *watches;
    VhDbusManager1 *skeleton;
};

/* Takes `error`. What is no VH_ERROR is the host's own failure; D-Bus wants UTF-8, which a guest
 * may not send. */
static void return_error(GDBusMethodInvocation *invocation, GError *error)
{
    g_autofree char *message = g_utf8_make_valid(error->message, -1);
    int code = error->domain == VH_ERROR ? error->code : VH_ERROR_FAILED;

    g_dbus_method_invocation_return_error_literal(invocation, VH_ERROR, code, message);
    g_error_free(error);
}

/* ---- calls as errands ---- */

static void call_free(struct vh_call *call)
{
    g_clear_pointer(&call->object, g_bytes_unref);
    g_clear_pointer(&call->tunables, g_variant_unref);
    g_clear_pointer(&call->value, g_variant_unref);
    g_clear_pointer(&call->portraits, g_ptr_array_unref);
    g_clear_pointer(&call->list, g_variant_builder_unref);
    g_clear_error(&call->error);
    if (call->fd >= 0)
        close(call->fd);
    g_free(call->guest);
    g_free(call->name);
    g_free(call);
}

static void on_done(struct vh_errand *errand)
{
    struct vh_call *call = (struct vh_call *)(void *)errand;
    int fd = call->fd;

    if (!call->error && call->words && !call->words(call)) {
        vh_errands_send(errand->errands, errand);
        return;
    }
    if (call->error) {
        return_error(call->invocation, g_steal_pointer(&call->error));
    } else if (fd >= 0) {
        g_autoptr(GUnixFDList) out = g_unix_fd_list_new_from_array(&fd, 1);

        call->fd = -1; /* the list's now */
        g_dbus_method_invocation_return_value_with_unix_fd_list(call->invocation, call->value, out);
    } else {
        g_dbus_method_invocation_return_value(call->invocation, call->value);
    }
    call_free(call);
}

static void on_dropped(struct vh_errand *errand)
{
    struct vh_call *call = (struct vh_call *)(void *)errand;

    g_object_unref(call->invocation);
    call_free(call);
}

static struct vh_call *call_new(const VhCalls *calls, GDBusMethodInvocation *invocation,
                                const char *guest)
{
    struct vh_call *call = g_new0(struct vh_call, 1);

    call->errand.done = on_done;
    call->errand.drop = on_dropped;
    call->invocation = invocation;
    call->manager = calls->manager;
    call->watches = calls->watches;
    call->guest = g_strdup(guest);
    call->fd = -1;
    return call;
}

/* Returns TRUE, as a handler that has taken the invocation over. */
static gboolean send(const VhCalls *calls, struct vh_call *call,
                     void (*work)(struct vh_errand *errand))
{
    call->errand.work = work;
    vh_errands_send(calls->errands, &call->errand);
    return TRUE;
}

/* ---- portraits in words ---- */

static void add_words(struct vh_call *call, GVariant *(*describe)(const VhPortrait *portrait))
{
    if (!call->list)
        call->list = g_variant_builder_new(G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < call->portraits->len; i++)
        g_variant_builder_add_value(call->list, describe(g_ptr_array_index(call->portraits, i)));
}

static bool words_of_guest(struct vh_call *call)
{
    GVariant *words = vh_portrait_describe(g_ptr_array_index(call->portraits, 0));

    call->value = g_variant_ref_sink(g_variant_new("(@a{sv})", words));
    return true;
}

static bool words_of_guests(struct vh_call *call)
{
    add_words(call, vh_portrait_describe);
    call->value = g_variant_ref_sink(
        g_variant_new("(@aa{sv}t)", g_variant_builder_end(call->list), call->after));
    return true;
}

static bool words_of_list(struct vh_call *call)
{
    add_words(call, vh_portrait_summary);
    g_clear_pointer(&call->portraits, g_ptr_array_unref);
    if (call->after)
        return false;
    call->value = g_variant_ref_sink(g_variant_new("(@aa{sv})", g_variant_builder_end(call->list)));
    return true;
}

/* ---- methods ---- */

static gboolean on_list_guests(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                               GDBusMethodInvocation *invocation, VhCalls *calls)
{
    struct vh_call *call = call_new(calls, invocation, NULL);

    call->words = words_of_list;
    return send(calls, call, vh_answer_list_guests);
}

static gboolean on_get_guest(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                             GDBusMethodInvocation *invocation, const char *guest, VhCalls *calls)
{
    struct vh_call *call = call_new(calls, invocation, guest);

    call->words = words_of_guest;
    return send(calls, call, vh_answer_get_guest);
}

static gboolean on_get_guests(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                              GDBusMethodInvocation *invocation, guint64 after, VhCalls *calls)
{
    struct vh_call *call = call_new(calls, invocation, NULL);

    call->after = after;
    call->words = words_of_guests;
    return send(calls, call, vh_answer_get_guests);
}

/* Those that take nothing. */
#define PLAIN(method) \
    static gboolean on_##method(G_GNUC_UNUSED VhDbusManager1 *skeleton, \
                                GDBusMethodInvocation *invocation, VhCalls *calls) \
    { \
        return send(calls, call_new(calls, invocation, NULL), vh_answer_##method); \
    }
PLAIN(handover)

/* Those about one guest. */
#define ABOUT_GUEST(method) \
    static gboolean on_##method(G_GNUC_UNUSED VhDbusManager1 *skeleton, \
                                GDBusMethodInvocation *invocation, const char *guest, \
                                VhCalls *calls) \
    { \
        return send(calls, call_new(calls, invocation, guest), vh_answer_##method); \
    }
ABOUT_GUEST(list_programs)
ABOUT_GUEST(explain)
ABOUT_GUEST(offloads)
ABOUT_GUEST(get_policy)
ABOUT_GUEST(list_hints)
ABOUT_GUEST(bootstrap)
ABOUT_GUEST(release)
ABOUT_GUEST(resume)

static gboolean on_inject(G_GNUC_UNUSED VhDbusManager1 *skeleton, GDBusMethodInvocation *invocation,
                          const char *guest, const char *name, GVariant *object, GVariant *tunables,
                          gboolean replace, VhCalls *calls)
{
    struct vh_call *call = NULL;
    gsize size = g_variant_get_size(object);

    if (size > VH_OBJECT_MAX) {
        return_error(
            invocation,
            g_error_new(VH_ERROR, VH_ERROR_INVALID_OBJECT,
                        "the object has %zu bytes, the limit is %u: strip its debug sections "
                        "(llvm-strip -g), which keeps BTF",
                        size, VH_OBJECT_MAX));
        return TRUE;
    }
    call = call_new(calls, invocation, guest);
    call->name = g_strdup(name);
    call->object = g_variant_get_data_as_bytes(object);
    call->tunables = g_variant_ref(tunables);
    call->replace = replace;
    return send(calls, call, vh_answer_inject);
}

static gboolean on_eject(G_GNUC_UNUSED VhDbusManager1 *skeleton, GDBusMethodInvocation *invocation,
                         const char *guest, const char *program, VhCalls *calls)
{
    struct vh_call *call = call_new(calls, invocation, guest);

    call->name = g_strdup(program);
    return send(calls, call, vh_answer_eject);
}

static gboolean on_watch(G_GNUC_UNUSED VhDbusManager1 *skeleton, GDBusMethodInvocation *invocation,
                         G_GNUC_UNUSED GUnixFDList *in, const char *guest, VhCalls *calls)
{
    return send(calls, call_new(calls, invocation, guest), vh_answer_watch);
}

/* ---- life ---- */

static VhDbusManager1 *skeleton_new(VhCalls *calls)
{
    VhDbusManager1 *skeleton = vh_dbus_manager1_skeleton_new();
    const struct {
        const char *signal;
        GCallback handler;
    } handlers[] = {
        {"handle-list-guests", G_CALLBACK(on_list_guests)},
        {"handle-get-guest", G_CALLBACK(on_get_guest)},
        {"handle-get-guests", G_CALLBACK(on_get_guests)},
        {"handle-list-programs", G_CALLBACK(on_list_programs)},
        {"handle-inject", G_CALLBACK(on_inject)},
        {"handle-eject", G_CALLBACK(on_eject)},
        {"handle-bootstrap", G_CALLBACK(on_bootstrap)},
        {"handle-explain", G_CALLBACK(on_explain)},
        {"handle-list-hints", G_CALLBACK(on_list_hints)},
        {"handle-offloads", G_CALLBACK(on_offloads)},
        {"handle-get-policy", G_CALLBACK(on_get_policy)},
        {"handle-watch", G_CALLBACK(on_watch)},
        {"handle-release", G_CALLBACK(on_release)},
        {"handle-resume", G_CALLBACK(on_resume)},
        {"handle-handover", G_CALLBACK(on_handover)},
    };

    vh_dbus_manager1_set_version(skeleton, VH_VERSION);
    for (gsize i = 0; i < G_N_ELEMENTS(handlers); i++)
        g_signal_connect(skeleton, handlers[i].signal, handlers[i].handler, calls);
    return skeleton;
}

VhCalls *vh_calls_new(VhErrands *errands, VhManager *manager, VhWatches *watches)
{
    VhCalls *calls = g_new0(VhCalls, 1);

    calls->errands = errands;
    calls->manager = manager;
    calls->watches = watches;
    calls->skeleton = skeleton_new(calls);
    return calls;
}

GDBusInterfaceSkeleton *vh_calls_skeleton(VhCalls *calls)
{
    return G_DBUS_INTERFACE_SKELETON(calls->skeleton);
}

void vh_calls_free(VhCalls *calls)
{
    g_signal_handlers_disconnect_by_data(calls->skeleton, calls);
    g_object_unref(calls->skeleton);
    g_free(calls);
}
