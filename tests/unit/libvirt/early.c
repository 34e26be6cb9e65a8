/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A QEMU that libvirt starts, in a /proc laid out in a directory. */
#include "libvirt/early.h"
#include "lib/scratch.h"

#include <glib/gstdio.h>
#include <stdbool.h>
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
    pid_t process;
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
    g_autofree char *comm = g_strdup_printf("%s/comm", name);
    g_autofree char *cmdline = g_strdup_printf("%s/cmdline", name);
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_len(text, "qemu\0-uuid\0", 11);
    g_string_append_len(text, uuid, (gssize)strlen(uuid) + 1);
    put(f, comm, "qemu-system-x86\n", -1);
    put(f, cmdline, text->str, (gssize)text->len);
}

static void on_look(pid_t process, gpointer data)
{
    struct fixture *f = data;

    f->looks++;
    f->process = process;
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
    g_assert_cmpint(f->process, ==, 77);
}

static void test_ends_with_the_process(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *comm = g_build_filename(f->directory, "77/comm", NULL);
    guint looks = 0;

    put_process(f, "77", UUID);
    put(f, "guest.pid", "77", -1);
    wait_looks(f, 1);
    g_assert_cmpint(truncate(comm, 0), ==, 0); /* a dead one's cannot be read any more */
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
#define ADD(path, func) g_test_add(path, struct fixture, NULL, set_up, func, tear_down)
    ADD("/virt-early/found-once-it-is-itself", test_found_once_it_is_itself);
    ADD("/virt-early/ends-with-the-process", test_ends_with_the_process);
    ADD("/virt-early/freed-while-it-seeks", test_freed_while_it_seeks);
    return g_test_run();
}
