/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists the threads that serve a guest. */
#include "qemu/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KTHREADD 2
#define PID_DIRECTORY "/run/libvirt/qemu"

const char *vh_thread_kind_text(enum vh_thread_kind kind)
{
    static const char *const texts[] = {"emulator", "vcpu", "iothread", "vhost"};
    G_STATIC_ASSERT(G_N_ELEMENTS(texts) == VH_THREAD_KINDS);

    return texts[kind];
}

/* A directory's name that is a number above 0; else 0. */
static pid_t number_of(const char *name)
{
    guint64 value = 0;

    return g_ascii_string_to_unsigned(name, 10, 1, G_MAXINT, &value, NULL) ? (pid_t)value : 0;
}

static char *read_comm(const char *directory, pid_t thread)
{
    g_autofree char *path = g_strdup_printf("%s/%d/comm", directory, thread);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

/* What QEMU (vCPU threads, "CPU 0/KVM"; IOThreads, "IO " and their id, which libvirt makes
 * "iothread1") and the kernel (vhost workers) call their threads. A name has 15 bytes: "IO
 * iothread1000" just fits. */
static void classify(struct vh_thread *thread, const char *comm, pid_t process)
{
    char slash = 0;
    int owner = 0;

    if (sscanf(comm, "CPU %u%c", &thread->number, &slash) == 2 && slash == '/')
        thread->kind = VH_THREAD_VCPU;
    else if (sscanf(comm, "IO iothread%u", &thread->number) == 1)
        thread->kind = VH_THREAD_IOTHREAD;
    else if (sscanf(comm, "vhost-%d", &owner) == 1 && owner == process)
        thread->kind = VH_THREAD_VHOST;
    else
        thread->number = 0;
    g_strlcpy(thread->name, comm, sizeof(thread->name));
}

static void add_own_thread(GArray *threads, const char *directory, pid_t number, pid_t process)
{
    struct vh_thread thread = {.thread = number};
    g_autofree char *comm =
        number && threads->len < VH_THREADS_MAX ? read_comm(directory, number) : NULL;

    if (!comm)
        return;
    classify(&thread, comm, process);
    g_array_append_val(threads, thread);
}

static void add_own(GArray *threads, const char *proc, pid_t process)
{
    g_autofree char *directory = g_strdup_printf("%s/%d/task", proc, process);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir)))
        add_own_thread(threads, directory, number_of(name), process);
}

/* Takes thread `number` if the kernel calls it `wanted`. */
static void add_vhost_thread(GArray *threads, const char *proc, pid_t number, const char *wanted)
{
    struct vh_thread thread = {.thread = number, .kind = VH_THREAD_VHOST, .kernel = true};
    g_autofree char *comm =
        number && threads->len < VH_THREADS_MAX ? read_comm(proc, number) : NULL;
    g_autofree char *cmdline_path = NULL;
    g_autofree char *cmdline = NULL;
    gsize len = 0;

    if (!comm || !g_str_equal(comm, wanted))
        return;
    g_strlcpy(thread.name, comm, sizeof(thread.name));
    /* Anybody may call his process so; only a kernel thread has no command line. */
    cmdline_path = g_strdup_printf("%s/%d/cmdline", proc, number);
    if (g_file_get_contents(cmdline_path, &cmdline, &len, NULL) && len == 0)
        g_array_append_val(threads, thread);
}

/* Kernel threads are kthreadd's children: a list far shorter than that of all processes where there
 * are many guests. A kernel without CONFIG_PROC_CHILDREN, or a container, does not have it. */
static void add_vhost(GArray *threads, const char *proc, pid_t process)
{
    g_autofree char *wanted = g_strdup_printf("vhost-%d", process);
    g_autofree char *path = g_strdup_printf("%s/%d/task/%d/children", proc, KTHREADD, KTHREADD);
    g_autofree char *children = NULL;
    g_autoptr(GDir) dir = NULL;
    const char *name = NULL;

    if (g_file_get_contents(path, &children, NULL, NULL) && *children) {
        g_auto(GStrv) numbers = g_strsplit(children, " ", -1);

        for (guint i = 0; numbers[i]; i++)
            add_vhost_thread(threads, proc, number_of(numbers[i]), wanted);
        return;
    }
    dir = g_dir_open(proc, 0, NULL);
    while (dir && (name = g_dir_read_name(dir)))
        add_vhost_thread(threads, proc, number_of(name), wanted);
}

static int by_thread(gconstpointer a, gconstpointer b)
{
    return ((const struct vh_thread *)a)->thread - ((const struct vh_thread *)b)->thread;
}

GArray *vh_threads_own(const char *proc, pid_t process)
{
    GArray *threads = g_array_new(FALSE, TRUE, sizeof(struct vh_thread));

    add_own(threads, proc, process);
    g_array_sort(threads, by_thread);
    return threads;
}

GArray *vh_threads_list(const char *proc, pid_t process)
{
    GArray *threads = vh_threads_own(proc, process);

    if (threads->len)
        add_vhost(threads, proc, process);
    g_array_sort(threads, by_thread);
    return threads;
}

bool vh_threads_update(GArray *threads, const char *proc, pid_t process)
{
    g_autofree char *directory = g_strdup_printf("%s/%d/task", proc, process);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    g_autoptr(GHashTable) there = g_hash_table_new(NULL, NULL);
    const char *name = NULL;
    guint before = threads->len;
    guint kept = 0;
    GHashTableIter iter;
    gpointer number = NULL;

    while (dir && (name = g_dir_read_name(dir)))
        g_hash_table_add(there, GINT_TO_POINTER(number_of(name)));
    for (guint i = 0; i < before; i++) {
        const struct vh_thread thread = g_array_index(threads, struct vh_thread, i);

        /* A process that is gone has taken its kernel threads along. */
        if (thread.kernel ? dir == NULL
                          : !g_hash_table_remove(there, GINT_TO_POINTER(thread.thread)))
            continue;
        g_array_index(threads, struct vh_thread, kept++) = thread;
    }
    g_array_set_size(threads, kept);
    g_hash_table_iter_init(&iter, there);
    while (g_hash_table_iter_next(&iter, &number, NULL))
        add_own_thread(threads, directory, GPOINTER_TO_INT(number), process);
    g_array_sort(threads, by_thread);
    return kept < before || threads->len > kept;
}

/* Does the process's command line say -uuid UUID? */
static bool has_uuid(const char *proc, pid_t process, const char *uuid)
{
    g_autofree char *path = g_strdup_printf("%s/%d/cmdline", proc, process);
    g_autofree char *text = NULL;
    gsize len = 0;
    bool flag = false;

    if (!g_file_get_contents(path, &text, &len, NULL))
        return false;
    for (gsize at = 0; at < len; at += strlen(text + at) + 1) {
        if (flag && g_ascii_strcasecmp(text + at, uuid) == 0)
            return true;
        flag = g_str_equal(text + at, "-uuid");
    }
    return false;
}

/* For a libvirt that keeps its files elsewhere. Two such processes: which one it is cannot be told.
 */
static pid_t scan(const char *proc, const char *uuid)
{
    g_autoptr(GDir) dir = g_dir_open(proc, 0, NULL);
    const char *name = NULL;
    pid_t found = 0;

    while (dir && (name = g_dir_read_name(dir))) {
        pid_t process = number_of(name);

        if (!process || !has_uuid(proc, process, uuid))
            continue;
        if (found)
            return 0;
        found = process;
    }
    return found;
}

char *vh_threads_pid_file(const char *name)
{
    return strchr(name, '/') ? NULL : g_strdup_printf("%s/%s.pid", PID_DIRECTORY, name);
}

pid_t vh_threads_read_process(const char *proc, const char *pid_file, const char *uuid)
{
    g_autofree char *text = NULL;
    pid_t process = 0;

    if (pid_file && g_file_get_contents(pid_file, &text, NULL, NULL))
        process = number_of(g_strstrip(text));
    return process && has_uuid(proc, process, uuid) ? process : 0;
}

pid_t vh_threads_find_process(const char *proc, const char *name, const char *uuid)
{
    g_autofree char *path = vh_threads_pid_file(name);
    pid_t process = vh_threads_read_process(proc, path, uuid);

    return process ? process : scan(proc, uuid);
}
