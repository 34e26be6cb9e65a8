/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The threads of a QEMU, in a /proc laid out in a directory. */
#include "qemu/threads.h"
#include "lib/scratch.h"

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

static void test_list(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const struct {
        const char *path, *comm;
    } files[] = {{"100/task/100/comm", "qemu-system-x86\n"},
                 {"100/task/107/comm", "CPU 11/KVM\n"},
                 {"100/task/103/comm", "IO iothread2\n"},
                 {"100/task/104/comm", "IO mon_iothread\n"},
                 {"100/task/105/comm", "CPU 0/TCG\n"},
                 {"100/task/106/comm", "vhost-100\n"},
                 {"100/task/108/comm", "CPU worker\n"},
                 {"100/task/109/comm", "vhost-99\n"},
                 {"100/task/110/comm", "IO iothread\n"},
                 {"55/comm", "vhost-100\n"},
                 {"56/comm", "vhost-1000\n"},
                 {"57/comm", "vhost-100\n"}};
    static const struct {
        pid_t thread;
        enum vh_thread_kind kind;
        unsigned number;
    } expected[] = {{55, VH_THREAD_VHOST, 0},     {100, VH_THREAD_EMULATOR, 0},
                    {103, VH_THREAD_IOTHREAD, 2}, {104, VH_THREAD_EMULATOR, 0},
                    {105, VH_THREAD_VCPU, 0},     {106, VH_THREAD_VHOST, 0},
                    {107, VH_THREAD_VCPU, 11},    {108, VH_THREAD_EMULATOR, 0},
                    {109, VH_THREAD_EMULATOR, 0}, {110, VH_THREAD_EMULATOR, 0}};
    g_autoptr(GArray) threads = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++)
        put(f, files[i].path, files[i].comm, -1);
    put(f, "55/cmdline", "", 0);
    put(f, "56/cmdline", "", 0);
    put(f, "57/cmdline", "/bin/sh\0-c\0", 11); /* no kernel thread, only its name */
    threads = vh_threads_list(f->proc, 100);
    g_assert_cmpuint(threads->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < threads->len; i++) {
        const struct vh_thread *thread = &g_array_index(threads, struct vh_thread, i);
        g_assert_cmpint(thread->thread, ==, expected[i].thread);
        g_assert_cmpstr(vh_thread_kind_text(thread->kind), ==,
                        vh_thread_kind_text(expected[i].kind));
        g_assert_cmpuint(thread->number, ==, expected[i].number);
        g_assert_cmpint(thread->kernel, ==, thread->thread == 55);
    }
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

    put(f, "100/task/100/comm", "qemu\n", -1);
    put(f, "100/task/102/comm", "worker\n", -1);
    put(f, "55/comm", "vhost-100\n", -1);
    put(f, "55/cmdline", "", 0);
    threads = vh_threads_list(f->proc, 100);
    assert_numbers(threads, "55:vhost:vhost-100 100:emulator:qemu 102:emulator:worker ");
    g_assert_false(vh_threads_update(threads, f->proc, 100));
    put(f, "100/task/100/comm", "IO iothread7\n", -1);
    put(f, "100/task/99/comm", "IO iothread1\n", -1);
    scratch_remove(g_steal_pointer(&gone));
    g_assert_true(vh_threads_update(threads, f->proc, 100));
    assert_numbers(threads, "55:vhost:vhost-100 99:iothread:IO iothread1 100:emulator:qemu ");
    scratch_remove(g_steal_pointer(&process));
    g_assert_true(vh_threads_update(threads, f->proc, 100));
    assert_numbers(threads, "");
}

static void test_gone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GArray) threads = vh_threads_list(f->proc, 100);
    g_assert_cmpuint(threads->len, ==, 0);
}

static void test_find_process(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const char ours[] = "qemu\0-name\0guest=x\0-uuid\0" UUID "\0-m\0"
                               "64";
    static const char others[] = "qemu\0-uuid\0"
                                 "14e404a5-4fac-4774-b77a-4a52a787257e";
    static const char mention[] = "grep\0" UUID;
    put(f, "20/cmdline", others, sizeof(others));
    put(f, "21/cmdline", mention, sizeof(mention));
    put(f, "self/cmdline", ours, sizeof(ours));
    g_assert_cmpint(vh_threads_find_process(f->proc, "no such domain", UUID), ==, 0);
    put(f, "22/cmdline", ours, sizeof(ours));
    g_assert_cmpint(vh_threads_find_process(f->proc, "no such domain", UUID), ==, 22);
    g_assert_cmpint(vh_threads_find_process(f->proc, "../escape", UUID), ==, 22);
    put(f, "23/cmdline", ours, sizeof(ours)); /* an impostor: neither is taken */
    g_assert_cmpint(vh_threads_find_process(f->proc, "no such domain", UUID), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/threads/list", struct fixture, NULL, set_up, test_list, tear_down);
    g_test_add("/threads/update", struct fixture, NULL, set_up, test_update, tear_down);
    g_test_add("/threads/gone", struct fixture, NULL, set_up, test_gone, tear_down);
    g_test_add("/threads/find-process", struct fixture, NULL, set_up, test_find_process, tear_down);
    return g_test_run();
}
