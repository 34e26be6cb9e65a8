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

static struct vh_saved_slot *add_mask(struct stage *stage, const struct vh_thread_id *thread,
                                      unsigned cpu)
{
    struct vh_saved_slot *slot = vh_saved_take(stage->saved);

    vh_saved_set_thread(slot, thread);
    vh_cpuset_add(&slot->former, cpu);
    slot->state = VH_SAVED_APPLIED;
    return slot;
}

/* Of two threads that have had one number, each has what is its own; of two masks of one thread the
 * first counts. */
static void test_left(struct stage *stage, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_thread_id threads[] = {{77, 77, 1000}, {77, 77, 2000}, {77, 77, 1000}};
    const struct vh_thread_id other = {77, 77, 3000};
    g_autoptr(GError) error = NULL;
    const struct vh_saved_slot *slot = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        add_mask(stage, &threads[i], i);
    vh_saved_close(stage->saved);
    stage->saved = vh_saved_open(stage->path, &error);
    g_assert_no_error(error);
    g_assert_false(vh_saved_is_left(stage->saved, &other));
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(vh_saved_is_left(stage->saved, &threads[i]));
        slot = vh_saved_claim(stage->saved, &threads[i]);
        g_assert_true(slot && vh_cpuset_has(&slot->former, i));
        g_assert_false(vh_saved_is_left(stage->saved, &threads[i]));
    }
    g_assert_null(vh_saved_next_left(stage->saved, NULL));
    slot = vh_saved_next(stage->saved, VH_SAVED_MASK, NULL);
    slot = vh_saved_next(stage->saved, VH_SAVED_MASK, slot);
    g_assert_null(vh_saved_next(stage->saved, VH_SAVED_MASK, slot));
}

#define ADD(name, func) g_test_add("/saved/" name, struct stage, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("file-is-locked", test_file_is_locked);
    ADD("file-is-damaged", test_file_is_damaged);
    ADD("left", test_left);
    ADD("slots-run-out", test_slots_run_out);
    return g_test_run();
}
