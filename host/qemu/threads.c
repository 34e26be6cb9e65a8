// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the threads that serve a guest.
#include "qemu/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/tid.h"

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

/* What QEMU (vCPU threads, "CPU 0/KVM"; IOThreads, "IO " and their id, which libvirt makes
 * "iothread1") and the kernel (vhost workers) call their threads. A name has 15 bytes: "IO
 * iothread1000" just fits. */
static void classify(struct vh_thread *thread, const struct vh_tid_stat *stat, pid_t process)
{
    const char *name = stat->name;
    char slash = 0;
    int owner = 0;

    if (sscanf(name, "CPU %u%c", &thread->number, &slash) == 2 && slash == '/')
        thread->kind = VH_THREAD_VCPU;
    else if (sscanf(name, "IO iothread%u", &thread->number) == 1)
        thread->kind = VH_THREAD_IOTHREAD;
    else if (sscanf(name, "vhost-%d", &owner) == 1 && owner == process &&
             stat->flags & VH_TID_WORKER)
        thread->kind = VH_THREAD_VHOST;
    else
        thread->number = 0;
    thread->start = stat->start;
    g_strlcpy(thread->name, name, sizeof(thread->name));
}

static void add_own_thread(GArray *threads, const char *proc, pid_t number, pid_t process)
{
    struct vh_thread thread = {.thread = number};
    struct vh_tid_stat stat;

    if (!number || threads->len >= VH_THREADS_MAX || vh_tid_stat(proc, process, number, &stat) < 0)
        return;
    classify(&thread, &stat, process);
    g_array_append_val(threads, thread);
}

/* Another process may have got its number before, or while, its threads were read. */
static void check(GArray *threads, const char *proc, const struct vh_thread_id *process)
{
    if (vh_tid_check(proc, process) < 0)
        g_array_set_size(threads, 0);
}

static void add_own(GArray *threads, const char *proc, pid_t process)
{
    g_autofree char *directory = g_strdup_printf("%s/%d/task", proc, process);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir)))
        add_own_thread(threads, proc, number_of(name), process);
}

/* Takes thread `number` if it is the kernel's own and called `wanted`: anybody may call his process
 * so. */
static void add_vhost_thread(GArray *threads, const char *proc, pid_t number, const char *wanted)
{
    struct vh_thread thread = {.thread = number, .kind = VH_THREAD_VHOST, .kernel = true};
    struct vh_tid_stat stat;

    if (!number || threads->len >= VH_THREADS_MAX || vh_tid_stat(proc, number, number, &stat) < 0 ||
        !(stat.flags & VH_TID_KERNEL) || stat.parent != KTHREADD || !g_str_equal(stat.name, wanted))
        return;
    thread.start = stat.start;
    g_strlcpy(thread.name, stat.name, sizeof(thread.name));
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

struct vh_thread_id vh_thread_identity(const struct vh_thread *thread,
                                       const struct vh_thread_id *process)
{
    return (struct vh_thread_id){thread->kernel ? thread->thread : process->process, thread->thread,
                                 thread->start};
}

GArray *vh_threads_own(const char *proc, const struct vh_thread_id *process)
{
    GArray *threads = g_array_new(FALSE, TRUE, sizeof(struct vh_thread));

    add_own(threads, proc, process->process);
    check(threads, proc, process);
    g_array_sort(threads, by_thread);
    return threads;
}

GArray *vh_threads_list(const char *proc, const struct vh_thread_id *process)
{
    GArray *threads = vh_threads_own(proc, process);

    if (threads->len)
        add_vhost(threads, proc, process->process);
    check(threads, proc, process);
    g_array_sort(threads, by_thread);
    return threads;
}

bool vh_threads_update(GArray *threads, const char *proc, const struct vh_thread_id *process)
{
    g_autofree char *directory = g_strdup_printf("%s/%d/task", proc, process->process);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    g_autoptr(GHashTable) there = g_hash_table_new(NULL, NULL);
    const char *name = NULL;
    guint before = threads->len;
    guint kept = 0;
    bool fresh = false;
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
        add_own_thread(threads, proc, GPOINTER_TO_INT(number), process->process);
    fresh = threads->len > kept;
    check(threads, proc, process);
    g_array_sort(threads, by_thread);
    return kept < before || fresh || threads->len < kept;
}

static void drop_kernel(GArray *threads)
{
    guint kept = 0;

    for (guint i = 0; i < threads->len; i++) {
        const struct vh_thread thread = g_array_index(threads, struct vh_thread, i);

        if (!thread.kernel)
            g_array_index(threads, struct vh_thread, kept++) = thread;
    }
    g_array_set_size(threads, kept);
}

void vh_threads_renew(GArray *threads, const char *proc, const struct vh_thread_id *process)
{
    drop_kernel(threads);
    vh_threads_update(threads, proc, process);
    if (threads->len)
        add_vhost(threads, proc, process->process);
    check(threads, proc, process);
    g_array_sort(threads, by_thread);
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

/* The process with that number, if its command line has the UUID. */
static struct vh_thread_id process_with(const char *proc, pid_t process, const char *uuid)
{
    const struct vh_thread_id none = {0};
    struct vh_thread_id id = {0};

    if (!process || vh_tid_identify(proc, process, process, &id) < 0 ||
        !has_uuid(proc, process, uuid) || vh_tid_check(proc, &id) < 0)
        return none;
    return id;
}

/* For a libvirt that keeps its files elsewhere. Two such processes: which one it is cannot be told.
 */
static struct vh_thread_id scan(const char *proc, const char *uuid)
{
    g_autoptr(GDir) dir = g_dir_open(proc, 0, NULL);
    const char *name = NULL;
    struct vh_thread_id found = {0};

    while (dir && (name = g_dir_read_name(dir))) {
        const struct vh_thread_id id = process_with(proc, number_of(name), uuid);

        if (!id.process)
            continue;
        if (found.process)
            return (struct vh_thread_id){0};
        found = id;
    }
    return found;
}

char *vh_threads_pid_file(const char *name)
{
    return strchr(name, '/') ? NULL : g_strdup_printf("%s/%s.pid", PID_DIRECTORY, name);
}

struct vh_thread_id vh_threads_read_process(const char *proc, const char *pid_file,
                                            const char *uuid)
{
    g_autofree char *text = NULL;
    pid_t process = 0;

    if (pid_file && g_file_get_contents(pid_file, &text, NULL, NULL))
        process = number_of(g_strstrip(text));
    return process_with(proc, process, uuid);
}

struct vh_thread_id vh_threads_find_process(const char *proc, const char *name, const char *uuid)
{
    g_autofree char *path = vh_threads_pid_file(name);
    const struct vh_thread_id id = vh_threads_read_process(proc, path, uuid);

    return id.process ? id : scan(proc, uuid);
}
