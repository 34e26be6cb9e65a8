/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/act/saved.c: the file of former states. */
#include "act/saved.h"

#include "base/error.h"
#include "lib/stage.h"

static void set_up(struct stage *stage, G_GNUC_UNUSED gconstpointer data)
{
    stage_begin(stage);
}

static void tear_down(struct stage *stage, G_GNUC_UNUSED gconstpointer data)
{
    stage_end(stage);
}

static void test_file_is_locked(struct stage *stage, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_saved_open(stage->path, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_BUSY);
}

static void test_file_is_damaged(struct stage *stage, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    vh_saved_close(stage->saved);
    g_assert_true(g_file_set_contents(stage->path, "something else", -1, NULL));
    stage->saved = vh_saved_open(stage->path, &error);
    g_assert_null(stage->saved);
    g_assert_error(error, VH_ERROR, VH_ERROR_FAILED);
}

static void test_slots_run_out(struct stage *stage, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_saved_slot *slot = NULL;

    for (guint i = 0; i < VH_SAVED_MAX; i++) {
        slot = vh_saved_take(stage->saved);
        g_assert_nonnull(slot);
    }
    g_assert_null(vh_saved_take(stage->saved));
    vh_saved_free_slot(stage->saved, slot);
    g_assert_true(vh_saved_take(stage->saved) == slot);
}

#define ADD(name, func) g_test_add("/saved/" name, struct stage, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("file-is-locked", test_file_is_locked);
    ADD("file-is-damaged", test_file_is_damaged);
    ADD("slots-run-out", test_slots_run_out);
    return g_test_run();
}
