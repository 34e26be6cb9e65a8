/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is pinned for the next vhintd, taken away by names alone: it takes no more than the right to
 * remove files, and nothing of the dispatcher.
 *
 * While there are offloads, a note beside the file of former states says where their pins are. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Notes `folder` beside the file `saved`. Returns whether that could be written. */
bool vh_net_pins_note(const char *saved, const char *folder);
/* Is there a note? */
bool vh_net_pins_noted(const char *saved);
/* Removes all that is pinned in the folder of the note, the folder and the note. Links are detached
 * by that. Arrays of slots are emptied, so that filters that stay have nothing to call. Returns how
 * many pins there were; none without a note. */
guint vh_net_pins_remove(const char *saved);
