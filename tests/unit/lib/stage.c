/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/stage.h"

#include "lib/scratch.h"

void stage_begin(struct stage *stage)
{
    g_autofree char *journal = NULL;
    g_autoptr(GError) error = NULL;

    stage->directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    stage->path = g_build_filename(stage->directory, "saved", NULL);
    journal = g_build_filename(stage->directory, "journal", NULL);
    stage->saved = vh_saved_open(stage->path, &error);
    g_assert_no_error(error);
    stage->journal = vh_journal_new(journal, &error);
    g_assert_no_error(error);
    victim_start(&stage->victim);
}

void stage_end(struct stage *stage)
{
    victim_end(&stage->victim);
    vh_saved_close(stage->saved);
    vh_journal_free(stage->journal);
    scratch_remove(stage->directory);
    g_free(stage->path);
}
