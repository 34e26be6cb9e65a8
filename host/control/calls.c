/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns the calls of the control interface into the manager's, and its answers and errors into
 * D-Bus. */
#include "control/calls.h"

#include <gio/gunixfdlist.h>
#include <stdbool.h>
#include <unistd.h>

#include "control/control-dbus.h"
#include "control/watch.h"
#include "wire.h"

struct VhCalls {
    VhManager *manager;
    VhDbusManager1 *skeleton;
    GPtrArray *watches; /* struct watcher */
};

struct watcher {
    VhCalls *calls;
    VhWatch *watch;
    guint number; /* the manager's */
};

/* ---- calls ---- */

/* Takes `error`. What is no VH_ERROR is the host's own failure; D-Bus wants UTF-8, which a guest
 * may not send. */
static void return_error(GDBusMethodInvocation *invocation, GError *error)
{
    g_autofree char *message = g_utf8_make_valid(error->message, -1);
    int code = error->domain == VH_ERROR ? error->code : VH_ERROR_FAILED;
    g_dbus_method_invocation_return_error_literal(invocation, VH_ERROR, code, message);
    g_error_free(error);
}

static void return_value(GDBusMethodInvocation *invocation, const char *format, GVariant *value,
                         GError *error)
{
    if (value == NULL)
        return_error(invocation, error);
    else
        g_dbus_method_invocation_return_value(invocation, g_variant_new(format, value));
}

static gboolean on_list_guests(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                               GDBusMethodInvocation *invocation, VhCalls *calls)
{
    return_value(invocation, "(@aa{sv})", vh_manager_guests(calls->manager), NULL);
    return TRUE;
}

/* A question about one guest. */
static gboolean answer(GDBusMethodInvocation *invocation, const VhCalls *calls, const char *guest,
                       GVariant *(*ask)(VhManager *manager, const char *guest, GError **error),
                       const char *format)
{
    GError *error = NULL;
    GVariant *value = ask(calls->manager, guest, &error);
    return_value(invocation, format, value, error);
    return TRUE;
}

static gboolean on_get_guest(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                             GDBusMethodInvocation *invocation, const char *guest, VhCalls *calls)
{
    return answer(invocation, calls, guest, vh_manager_guest, "(@a{sv})");
}

static gboolean on_list_programs(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                                 GDBusMethodInvocation *invocation, const char *guest,
                                 VhCalls *calls)
{
    return answer(invocation, calls, guest, vh_manager_programs, "(@aa{sv})");
}

static gboolean on_explain(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                           GDBusMethodInvocation *invocation, const char *guest, VhCalls *calls)
{
    return answer(invocation, calls, guest, vh_manager_explain, "(@aa{sv})");
}

static gboolean on_get_policy(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                              GDBusMethodInvocation *invocation, const char *guest, VhCalls *calls)
{
    return answer(invocation, calls, guest, vh_manager_policy, "(@a{sv})");
}

static gboolean on_list_hints(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                              GDBusMethodInvocation *invocation, const char *guest, VhCalls *calls)
{
    GError *error = NULL;
    g_auto(GStrv) hints = vh_manager_hints(calls->manager, guest, &error);
    return_value(invocation, "(@as)",
                 hints ? g_variant_new_strv((const char *const *)hints, -1) : NULL, error);
    return TRUE;
}

/* What a call that took its time has come to: a dictionary. */
static void return_finished(GDBusMethodInvocation *invocation, GAsyncResult *result,
                            GVariant *(*finish)(VhManager *manager, GAsyncResult *result,
                                                GError **error))
{
    GError *error = NULL;
    GVariant *value = finish(g_object_get_data(G_OBJECT(invocation), "manager"), result, &error);
    return_value(invocation, "(@a{sv})", value, error);
}

static void on_injected(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    return_finished(data, result, vh_manager_inject_finish);
}

static gboolean on_inject(G_GNUC_UNUSED VhDbusManager1 *skeleton, GDBusMethodInvocation *invocation,
                          const char *guest, const char *name, GVariant *object, GVariant *tunables,
                          gboolean replace, VhCalls *calls)
{
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
    g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(object);
    g_object_set_data(G_OBJECT(invocation), "manager", calls->manager);
    vh_manager_inject(calls->manager, guest, name, bytes, tunables, replace, NULL, on_injected,
                      invocation);
    return TRUE;
}

static void on_ejected(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    GDBusMethodInvocation *invocation = data;
    VhManager *manager = g_object_get_data(G_OBJECT(invocation), "manager");
    GError *error = NULL;
    if (vh_manager_eject_finish(manager, result, &error) < 0)
        return_error(invocation, error);
    else
        g_dbus_method_invocation_return_value(invocation, NULL);
}

static gboolean on_eject(G_GNUC_UNUSED VhDbusManager1 *skeleton, GDBusMethodInvocation *invocation,
                         const char *guest, const char *program, VhCalls *calls)
{
    g_object_set_data(G_OBJECT(invocation), "manager", calls->manager);
    vh_manager_eject(calls->manager, guest, program, NULL, on_ejected, invocation);
    return TRUE;
}

static void on_bootstrapped(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    return_finished(data, result, vh_manager_bootstrap_finish);
}

static gboolean on_bootstrap(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                             GDBusMethodInvocation *invocation, const char *guest, VhCalls *calls)
{
    g_object_set_data(G_OBJECT(invocation), "manager", calls->manager);
    vh_manager_bootstrap(calls->manager, guest, NULL, on_bootstrapped, invocation);
    return TRUE;
}

static gboolean on_release(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                           GDBusMethodInvocation *invocation, const char *guest, VhCalls *calls)
{
    GError *error = NULL;
    int undone = vh_manager_release(calls->manager, guest, &error);
    if (undone < 0)
        return_error(invocation, error);
    else
        g_dbus_method_invocation_return_value(invocation, g_variant_new("(u)", (guint32)undone));
    return TRUE;
}

static gboolean on_resume(G_GNUC_UNUSED VhDbusManager1 *skeleton, GDBusMethodInvocation *invocation,
                          const char *guest, VhCalls *calls)
{
    GError *error = NULL;
    if (vh_manager_resume(calls->manager, guest, &error) < 0)
        return_error(invocation, error);
    else
        g_dbus_method_invocation_return_value(invocation, NULL);
    return TRUE;
}

static gboolean on_handover(G_GNUC_UNUSED VhDbusManager1 *skeleton,
                            GDBusMethodInvocation *invocation, VhCalls *calls)
{
    guint seconds = vh_manager_hand_over(calls->manager, "asked for by hand");
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(u)", seconds));
    return TRUE;
}

/* ---- watches ---- */

static void watcher_free(struct watcher *watcher)
{
    if (watcher->number != 0)
        vh_manager_unwatch(watcher->calls->manager, watcher->number);
    vh_watch_free(watcher->watch);
    g_free(watcher);
}

static void on_watch_closed(G_GNUC_UNUSED VhWatch *watch, gpointer data)
{
    struct watcher *watcher = data;
    g_ptr_array_remove_fast(watcher->calls->watches, watcher);
}

static void on_hint(const char *line, gsize len, gpointer data)
{
    struct watcher *watcher = data;
    vh_watch_line(watcher->watch, line, len);
}

/* The read end of a new watch's pipe, or -1. */
static int watch_open(VhCalls *calls, const char *guest, GError **error)
{
    if (calls->watches->len >= VH_CONTROL_WATCHES_MAX) {
        g_set_error(error, VH_ERROR, VH_ERROR_BUSY,
                    "there are %u watches already, which is the limit: end one",
                    calls->watches->len);
        return -1;
    }
    struct watcher *watcher = g_new0(struct watcher, 1);
    watcher->calls = calls;
    int fd = -1;
    watcher->watch = vh_watch_new(on_watch_closed, watcher, &fd, error);
    if (watcher->watch == NULL) {
        g_free(watcher);
        return -1;
    }
    watcher->number = vh_manager_watch(calls->manager, guest, on_hint, watcher, error);
    if (watcher->number == 0) {
        watcher_free(watcher);
        close(fd);
        return -1;
    }
    g_ptr_array_add(calls->watches, watcher);
    return fd;
}

static gboolean on_watch(G_GNUC_UNUSED VhDbusManager1 *skeleton, GDBusMethodInvocation *invocation,
                         G_GNUC_UNUSED GUnixFDList *in, const char *guest, VhCalls *calls)
{
    GError *error = NULL;
    int fd = watch_open(calls, guest, &error);
    if (fd < 0) {
        return_error(invocation, error);
        return TRUE;
    }
    g_autoptr(GUnixFDList) out = g_unix_fd_list_new_from_array(&fd, 1);
    g_dbus_method_invocation_return_value_with_unix_fd_list(invocation, g_variant_new("(h)", 0),
                                                            out);
    return TRUE;
}

/* ---- life ---- */

static VhDbusManager1 *skeleton_new(VhCalls *calls)
{
    VhDbusManager1 *skeleton = vh_dbus_manager1_skeleton_new();
    vh_dbus_manager1_set_version(skeleton, VH_VERSION);
    const struct {
        const char *signal;
        GCallback handler;
    } handlers[] = {
        {"handle-list-guests", G_CALLBACK(on_list_guests)},
        {"handle-get-guest", G_CALLBACK(on_get_guest)},
        {"handle-list-programs", G_CALLBACK(on_list_programs)},
        {"handle-inject", G_CALLBACK(on_inject)},
        {"handle-eject", G_CALLBACK(on_eject)},
        {"handle-bootstrap", G_CALLBACK(on_bootstrap)},
        {"handle-explain", G_CALLBACK(on_explain)},
        {"handle-list-hints", G_CALLBACK(on_list_hints)},
        {"handle-get-policy", G_CALLBACK(on_get_policy)},
        {"handle-watch", G_CALLBACK(on_watch)},
        {"handle-release", G_CALLBACK(on_release)},
        {"handle-resume", G_CALLBACK(on_resume)},
        {"handle-handover", G_CALLBACK(on_handover)},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(handlers); i++)
        g_signal_connect(skeleton, handlers[i].signal, handlers[i].handler, calls);
    return skeleton;
}

VhCalls *vh_calls_new(VhManager *manager)
{
    VhCalls *calls = g_new0(VhCalls, 1);
    calls->manager = manager;
    calls->skeleton = skeleton_new(calls);
    calls->watches = g_ptr_array_new_with_free_func((GDestroyNotify)watcher_free);
    return calls;
}

GDBusInterfaceSkeleton *vh_calls_skeleton(VhCalls *calls)
{
    return G_DBUS_INTERFACE_SKELETON(calls->skeleton);
}

void vh_calls_free(VhCalls *calls)
{
    g_ptr_array_unref(calls->watches);
    g_signal_handlers_disconnect_by_data(calls->skeleton, calls);
    g_object_unref(calls->skeleton);
    g_free(calls);
}
