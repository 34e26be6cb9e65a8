/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts back guests' memory that a dead vhintd has left changed, by whoever manages no guests.
 *
 * It goes by QEMU's own monitor, if only vhintd was its client. libvirt's domains have a monitor
 * that libvirtd alone reaches: those wait for the next vhintd, which asks libvirtd. */
#pragma once

#include "act/saved.h"
#include "io/journal.h"

#define VH_MEMORY_LEFT_PATIENCE_MS 5000u

/* Asks all QEMUs at the same time, and waits until each has answered, `patience_ms` are over, or
 * somebody rings the bell: a successor, who waits for the file. The journal is told of each guest.
 * What could not be put back stays in `saved`. Returns for how many guests that is so. */
guint vh_memory_left_put_back(VhSaved *saved, VhJournal *journal, guint patience_ms);
