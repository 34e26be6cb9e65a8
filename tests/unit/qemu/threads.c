/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The threads of a QEMU, in a /proc laid out in a directory. */
#include "qemu/threads.h"
#include "lib/fake-proc.h"

#include <glib/gstdio.h>

#define UUID "04e404a5-4fac-4774-b77a-4a52a787257e"

struct fixture {
    char *proc;
};

static void put(const struct fixture *f, const char *path, const char *text, gssize len)
{
    g_autofree char *file = g_build_filename(f->proc, path, NULL);
    g_autofree char *directory = g_path_get_dirname(file);
    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_assert_true(g_file_set_contents(file, text, len, NULL));
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->proc = g_dir_make_tmp("vhint-threads-XXXXXX", NULL);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    scratch_remove(f->proc);
}

static const struct vh_thread_id qemu = {.process = 100, .thread = 100, .start = 5000};

/* Each is started at 50 times its number. */
static void put_thread(const struct fixture *f, pid_t process, pid_t thread, const char *name,
                       unsigned flags, pid_t parent)
{
    fake_proc_thread(f->proc, process, thread, name, flags, parent, 50 * (guint64)thread);
}

static void put_own(const struct fixture *f, pid_t thread, const char *name)
{
    put_thread(f, 100, thread, name, 0, FAKE_PROC_INIT);
}

static void test_list(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const struct {
        pid_t process, thread;
        const char *name;
        unsigned flags;
        pid_t parent;
    } files[] = {{100, 100, "qemu-system-x86", 0, FAKE_PROC_INIT},
                 {100, 107, "CPU 11/KVM", 0, FAKE_PROC_INIT},
                 {100, 103, "IO iothread2", 0, FAKE_PROC_INIT},
                 {100, 104, "IO mon_iothread", 0, FAKE_PROC_INIT},
                 {100, 105, "CPU 0/TCG", 0, FAKE_PROC_INIT},
                 {100, 106, "vhost-100", FAKE_PROC_WORKER, FAKE_PROC_INIT},
                 {100, 108, "CPU worker", 0, FAKE_PROC_INIT},
                 {100, 109, "vhost-99", FAKE_PROC_WORKER, FAKE_PROC_INIT},
                 {100, 110, "IO iothread", 0, FAKE_PROC_INIT},
                 {100, 111, "vhost-100", 0, FAKE_PROC_INIT}, /* QEMU's own, only called so */
                 {100, 112, "a) R 1 (b", 0, FAKE_PROC_INIT},
                 {55, 55, "vhost-100", FAKE_PROC_KERNEL, FAKE_PROC_KTHREADD},
                 {56, 56, "vhost-1000", FAKE_PROC_KERNEL, FAKE_PROC_KTHREADD}};
    static const struct {
        pid_t thread;
        enum vh_thread_kind kind;
        unsigned number;
    } expected[] = {
        {55, VH_THREAD_VHOST, 0},     {100, VH_THREAD_EMULATOR, 0}, {103, VH_THREAD_IOTHREAD, 2},
        {104, VH_THREAD_EMULATOR, 0}, {105, VH_THREAD_VCPU, 0},     {106, VH_THREAD_VHOST, 0},
        {107, VH_THREAD_VCPU, 11},    {108, VH_THREAD_EMULATOR, 0}, {109, VH_THREAD_EMULATOR, 0},
        {110, VH_THREAD_EMULATOR, 0}, {111, VH_THREAD_EMULATOR, 0}, {112, VH_THREAD_EMULATOR, 0}};
    g_autoptr(GArray) threads = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(files); i++)
        put_thread(f, files[i].process, files[i].thread, files[i].name, files[i].flags,
                   files[i].parent);
    threads = vh_threads_list(f->proc, &qemu);
    g_assert_cmpuint(threads->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < threads->len; i++) {
        const struct vh_thread *thread = &g_array_index(threads, struct vh_thread, i);
        const struct vh_thread_id id = vh_thread_identity(thread, &qemu);

        g_assert_cmpint(thread->thread, ==, expected[i].thread);
        g_assert_cmpstr(vh_thread_kind_text(thread->kind), ==,
                        vh_thread_kind_text(expected[i].kind));
        g_assert_cmpuint(thread->number, ==, expected[i].number);
        g_assert_cmpint(thread->kernel, ==, thread->thread == 55);
        g_assert_cmpint(id.process, ==, thread->kernel ? 55 : 100);
        g_assert_cmpint(id.thread, ==, thread->thread);
        g_assert_cmpuint(id.start, ==, 50 * (guint)thread->thread);
    }
}

/* Anybody may call his process like a vhost worker, and take its command line away. */
static void test_impostor(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GArray) threads = NULL;

    put_own(f, 100, "qemu");
    put_thread(f, 56, 56, "vhost-100", 0, FAKE_PROC_INIT);
    put(f, "56/cmdline", "", 0);
    put_thread(f, 57, 57, "vhost-100", 0, FAKE_PROC_KTHREADD);
    put_thread(f, 58, 58, "vhost-100", FAKE_PROC_KERNEL, FAKE_PROC_INIT);
    put_thread(f, 59, 59, "vhost-100", FAKE_PROC_WORKER,
               FAKE_PROC_INIT); /* of a process of its own */
    threads = vh_threads_list(f->proc, &qemu);
    g_assert_cmpuint(threads->len, ==, 1);
    g_assert_cmpint(g_array_index(threads, struct vh_thread, 0).thread, ==, 100);
}

/* Another process has QEMU's number by now. */
static void test_reused(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_thread_id former = {.process = 100, .thread = 100, .start = 4999};
    g_autoptr(GArray) threads = NULL;
    g_autoptr(GArray) none = NULL;

    put_own(f, 100, "qemu");
    put_own(f, 101, "CPU 0/KVM");
    none = vh_threads_list(f->proc, &former);
    g_assert_cmpuint(none->len, ==, 0);
    threads = vh_threads_list(f->proc, &qemu);
    g_assert_cmpuint(threads->len, ==, 2);
    g_assert_true(vh_threads_update(threads, f->proc, &former));
    g_assert_cmpuint(threads->len, ==, 0);
}

static char *numbers(const GArray *threads)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < threads->len; i++) {
        const struct vh_thread *thread = &g_array_index(threads, struct vh_thread, i);
        g_string_append_printf(text, "%d:%s:%s ", thread->thread, vh_thread_kind_text(thread->kind),
                               thread->name);
    }
    return g_string_free(text, FALSE);
}

static void assert_numbers(const GArray *threads, const char *expected)
{
    g_autofree char *text = numbers(threads);
    g_assert_cmpstr(text, ==, expected);
}

/* Only the new are read: a thread that is known keeps its kind, whatever it calls itself now. */
static void test_update(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GArray) threads = NULL;
    g_autofree char *gone = g_build_filename(f->proc, "100/task/102", NULL);
    g_autofree char *process = g_build_filename(f->proc, "100", NULL);
    g_autofree char *worker = g_build_filename(f->proc, "55", NULL);

    put_own(f, 100, "qemu");
    put_own(f, 102, "worker");
    put_thread(f, 55, 55, "vhost-100", FAKE_PROC_KERNEL, FAKE_PROC_KTHREADD);
    threads = vh_threads_list(f->proc, &qemu);
    assert_numbers(threads, "55:vhost:vhost-100 100:emulator:qemu 102:emulator:worker ");
    g_assert_false(vh_threads_update(threads, f->proc, &qemu));
    put_own(f, 100, "IO iothread7");
    put_own(f, 99, "IO iothread1");
    scratch_remove(g_steal_pointer(&gone));
    g_assert_true(vh_threads_update(threads, f->proc, &qemu));
    assert_numbers(threads, "55:vhost:vhost-100 99:iothread:IO iothread1 100:emulator:qemu ");
    /* Workers come with devices: they are looked for on another occasion. */
    put_thread(f, 56, 56, "vhost-100", FAKE_PROC_KERNEL, FAKE_PROC_KTHREADD);
    g_assert_false(vh_threads_update(threads, f->proc, &qemu));
    vh_threads_renew(threads, f->proc, &qemu);
    assert_numbers(threads, "55:vhost:vhost-100 56:vhost:vhost-100 99:iothread:IO iothread1 "
                            "100:emulator:qemu ");
    scratch_remove(g_steal_pointer(&worker));
    vh_threads_renew(threads, f->proc, &qemu);
    assert_numbers(threads, "56:vhost:vhost-100 99:iothread:IO iothread1 100:emulator:qemu ");
    scratch_remove(g_steal_pointer(&process));
    g_assert_true(vh_threads_update(threads, f->proc, &qemu));
    assert_numbers(threads, "");
}

static void test_gone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GArray) threads = vh_threads_list(f->proc, &qemu);
    g_assert_cmpuint(threads->len, ==, 0);
}

static void put_process(const struct fixture *f, pid_t process, const char *cmdline, gssize len)
{
    g_autofree char *path = g_strdup_printf("%d/cmdline", process);

    put_thread(f, process, process, "qemu", 0, FAKE_PROC_INIT);
    put(f, path, cmdline, len);
}

static void assert_found(const struct fixture *f, const char *name, pid_t process)
{
    const struct vh_thread_id id = vh_threads_find_process(f->proc, name, UUID);

    g_assert_cmpint(id.process, ==, process);
    g_assert_cmpint(id.thread, ==, process);
    g_assert_cmpuint(id.start, ==, 50 * (guint)process);
}

static void test_find_process(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const char ours[] = "qemu\0-name\0guest=x\0-uuid\0" UUID "\0-m\0"
                               "64";
    static const char others[] = "qemu\0-uuid\0"
                                 "14e404a5-4fac-4774-b77a-4a52a787257e";
    static const char mention[] = "grep\0" UUID;
    put_process(f, 20, others, sizeof(others));
    put_process(f, 21, mention, sizeof(mention));
    put(f, "self/cmdline", ours, sizeof(ours));
    assert_found(f, "no such domain", 0);
    put_process(f, 22, ours, sizeof(ours));
    assert_found(f, "no such domain", 22);
    assert_found(f, "../escape", 22);
    put_process(f, 23, ours, sizeof(ours)); /* an impostor: neither is taken */
    assert_found(f, "no such domain", 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/threads/list", struct fixture, NULL, set_up, test_list, tear_down);
    g_test_add("/threads/impostor", struct fixture, NULL, set_up, test_impostor, tear_down);
    g_test_add("/threads/reused", struct fixture, NULL, set_up, test_reused, tear_down);
    g_test_add("/threads/update", struct fixture, NULL, set_up, test_update, tear_down);
    g_test_add("/threads/gone", struct fixture, NULL, set_up, test_gone, tear_down);
    g_test_add("/threads/find-process", struct fixture, NULL, set_up, test_find_process, tear_down);
    return g_test_run();
}
