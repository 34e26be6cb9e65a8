/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads in a /proc that is laid out in a directory. */
#pragma once

#include "lib/scratch.h"

#define FAKE_PROC_INIT 1
#define FAKE_PROC_KTHREADD 2
#define FAKE_PROC_KERNEL 0x00200000u /* PF_KTHREAD */
#define FAKE_PROC_WORKER 0x00004000u /* PF_USER_WORKER */

/* What stat says of a thread of `process`. */
static inline void fake_proc_thread(const char *directory, int process, int thread,
                                    const char *name, unsigned flags, int parent, guint64 start)
{
    g_autofree char *path = g_strdup_printf("%d/task/%d/stat", process, thread);
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "%d (%s) S %d 0 0 0 -1 %u", thread, name, parent, flags);
    for (int field = 10; field <= 52; field++)
        g_string_append_printf(text, " %" G_GUINT64_FORMAT, field == 22 ? start : 0);
    scratch_write(directory, path, text->str);
}
