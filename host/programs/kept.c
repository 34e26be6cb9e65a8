// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps injected programs on disk.
#include "programs/kept.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "hint/tunables.h"

#define OBJECT ".bpf.o"
#define TUNABLES ".tunables"

struct writing {
    char *directory;
    VhObject *object;
    GBytes *tunables;
};

static char *file_name(const char *directory, const char *name, const char *suffix)
{
    g_autofree char *file = g_strconcat(name, suffix, NULL);

    return g_build_filename(directory, file, NULL);
}

static void read_one(const char *directory, const char *name, VhInjectedFunc func, gpointer data)
{
    g_autofree char *object_path = file_name(directory, name, OBJECT);
    g_autofree char *tunables_path = file_name(directory, name, TUNABLES);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GBytes) tunables = NULL;
    g_autoptr(VhObject) object = NULL;
    char *text = NULL;
    gsize size = 0;

    if (vh_file_read(object_path, &text, &size, &error)) {
        bytes = g_bytes_new_take(text, size);
        object = vh_object_read(bytes, name, &error);
    }
    if (!object) {
        g_warning("injected program %s: %s", object_path, error->message);
        return;
    }
    if (!g_file_get_contents(tunables_path, &text, &size, NULL)) {
        text = NULL;
        size = 0;
    }
    tunables = g_bytes_new_take(text, size);
    if (!vh_tunables_good(tunables)) {
        g_warning("injected program %s: the tunables saved with it are damaged: inject it again",
                  object_path);
        return;
    }
    func(g_steal_pointer(&object), g_steal_pointer(&tunables), data);
}

void vh_injected_read(const char *directory, VhInjectedFunc func, gpointer data)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *file = NULL;

    while (dir && (file = g_dir_read_name(dir))) {
        g_autofree char *name = NULL;

        if (!g_str_has_suffix(file, OBJECT))
            continue;
        name = g_strndup(file, strlen(file) - strlen(OBJECT));
        read_one(directory, name, func, data);
    }
}

static void writing_free(gpointer data)
{
    struct writing *writing = data;

    g_free(writing->directory);
    vh_object_unref(writing->object);
    g_bytes_unref(writing->tunables);
    g_free(writing);
}

static gboolean write_bytes(const char *directory, const char *name, const char *suffix,
                            GBytes *bytes, GError **error)
{
    g_autofree char *path = file_name(directory, name, suffix);
    gsize size = 0;
    const char *data = g_bytes_get_data(bytes, &size);

    return g_file_set_contents(path, data ? data : "", (gssize)size, error);
}

static void write_in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    const struct writing *writing = data;
    const VhObject *object = writing->object;
    GError *error = NULL;

    (void)source;
    (void)cancellable;
    if (g_mkdir_with_parents(writing->directory, 0700) < 0)
        g_set_error(&error, VH_ERROR, VH_ERROR_FAILED, "%s: %s", writing->directory,
                    g_strerror(errno));
    else if (write_bytes(writing->directory, object->name, TUNABLES, writing->tunables, &error))
        write_bytes(writing->directory, object->name, OBJECT, object->bytes, &error);
    if (error)
        g_task_return_error(task, error);
    else
        g_task_return_int(task, 0);
}

void vh_injected_write(const char *directory, VhObject *object, GBytes *tunables,
                       GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, callback, data);
    struct writing *writing = g_new0(struct writing, 1);

    writing->directory = g_strdup(directory);
    writing->object = vh_object_ref(object);
    writing->tunables = g_bytes_ref(tunables);
    g_task_set_task_data(task, writing, writing_free);
    g_task_run_in_thread(task, write_in_thread);
}

int vh_injected_write_finish(GAsyncResult *result, GError **error)
{
    return (int)g_task_propagate_int(G_TASK(result), error);
}

void vh_injected_remove(const char *directory, const char *name)
{
    g_autofree char *object = file_name(directory, name, OBJECT);
    g_autofree char *tunables = file_name(directory, name, TUNABLES);

    g_unlink(object);
    g_unlink(tunables);
}
