/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A manager with one guest, "web", that no machine is behind: for tests of what stands before a
 * manager.
 *
 * Objects injected into it succeed as the program "made", but for those that begin with
 * "REFUSE" (VH_ERROR_REFUSED with a log), "BROKEN" (VH_ERROR_INVALID_OBJECT), "EXISTS", "DISK" (a
 * GFileError), and "WAIT" (unanswered until fake_manager_answer). */
#pragma once

#include "manager/manager.h"

VhManager *fake_manager_new(void);

/* The thread of "web"'s vCPU 0, which is bound to `*cpu`; vCPU 1 has none. */
pid_t fake_manager_thread(const VhManager *manager, unsigned *cpu);

/* Sends `line` to everyone who watches "web" or all. */
void fake_manager_hint(VhManager *manager, const char *line);

/* What the manager has seen. */
guint fake_manager_watches(const VhManager *manager);
guint fake_manager_waiting(const VhManager *manager);
gsize fake_manager_last_size(const VhManager *manager);
const char *fake_manager_last_call(
    const VhManager *manager); /* "inject web NAME replace=1 {'a': 'b'}" and the like */

/* Answers every inject that waits. */
void fake_manager_answer(VhManager *manager);
