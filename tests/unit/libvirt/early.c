/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A QEMU that libvirt starts, in a /proc laid out in a directory. */
#include "libvirt/early.h"
#include "lib/fake-proc.h"

#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/loop.h"

#define UUID "04e404a5-4fac-4774-b77a-4a52a787257e"
#define TIMEOUT_US (20 * G_USEC_PER_SEC)

struct fixture {
    char *directory;
    char *pid_file;
    VhEarly *early;
    guint looks;
    struct vh_thread_id process;
};

static void put(const struct fixture *f, const char *path, const char *text, gssize len)
{
    g_autofree char *file = g_build_filename(f->directory, path, NULL);
    g_autofree char *above = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(above, 0755), ==, 0);
    g_assert_true(g_file_set_contents(file, text, len, NULL));
}

static void put_process(const struct fixture *f, const char *name, const char *uuid)
{
    g_autofree char *cmdline = g_strdup_printf("%s/cmdline", name);
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_len(text, "qemu\0-uuid\0", 11);
    g_string_append_len(text, uuid, (gssize)strlen(uuid) + 1);
    fake_proc_thread(f->directory, atoi(name), atoi(name), "qemu-system-x86", 0, FAKE_PROC_INIT,
                     4321);
    put(f, cmdline, text->str, (gssize)text->len);
}

static void on_look(const struct vh_thread_id *process, gpointer data)
{
    struct fixture *f = data;

    f->looks++;
    f->process = *process;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->directory = g_dir_make_tmp("vhint-early-XXXXXX", NULL);
    f->pid_file = g_build_filename(f->directory, "guest.pid", NULL);
    f->early = vh_early_new(f->directory, f->pid_file, "guest", UUID, on_look, f);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_early_free(f->early);
    scratch_remove(f->directory);
    g_free(f->pid_file);
}

static void wait_looks(struct fixture *f, guint count)
{
    LOOP_UNTIL(f->looks >= count);
}

static void test_found_once_it_is_itself(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    loop_pass(0.01);
    put_process(f, "77",
                "11111111-2222-3333-4444-555555555555"); /* not its own yet, or not at all */
    put(f, "guest.pid", "77\n", -1);
    loop_pass(0.02);
    g_assert_cmpuint(f->looks, ==, 0);
    put_process(f, "77", UUID);
    wait_looks(f, 3);
    g_assert_cmpint(f->process.process, ==, 77);
    g_assert_cmpint(f->process.thread, ==, 77);
    g_assert_cmpuint(f->process.start, ==, 4321);
}

/* It has ended; or another one has its number, and even its UUID. */
static void test_ends_with_the_process(struct fixture *f, gconstpointer reused)
{
    g_autofree char *stat = g_build_filename(f->directory, "77/task/77/stat", NULL);
    guint looks = 0;

    put_process(f, "77", UUID);
    put(f, "guest.pid", "77", -1);
    wait_looks(f, 1);
    if (reused)
        fake_proc_thread(f->directory, 77, 77, "qemu-system-x86", 0, FAKE_PROC_INIT, 4322);
    else
        g_assert_cmpint(unlink(stat), ==, 0);
    loop_pass(0.01);
    looks = f->looks;
    loop_pass(0.03);
    g_assert_cmpuint(f->looks, ==, looks);
}

static void test_freed_while_it_seeks(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    loop_pass(0.005);
    g_clear_pointer(&f->early, vh_early_free);
    put_process(f, "77", UUID);
    put(f, "guest.pid", "77", -1);
    loop_pass(0.02);
    g_assert_cmpuint(f->looks, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, data, func) g_test_add(path, struct fixture, data, set_up, func, tear_down)
    ADD("/virt-early/found-once-it-is-itself", NULL, test_found_once_it_is_itself);
    ADD("/virt-early/ends-with-the-process", NULL, test_ends_with_the_process);
    ADD("/virt-early/ends-when-it-is-another", "another", test_ends_with_the_process);
    ADD("/virt-early/freed-while-it-seeks", NULL, test_freed_while_it_seeks);
    return g_test_run();
}
