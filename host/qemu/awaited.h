/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that a monitor has not answered yet: in the order in which they were given, and for
 * how long. */
#pragma once

#include "qemu/qmp.h"

typedef struct VhAwaited VhAwaited;

/* `overdue` is called when a command has not been answered for VH_QMP_PATIENCE_MS; it must end the
 * wait of all (vh_awaited_fail). */
VhAwaited *vh_awaited_new(void (*overdue)(gpointer data), gpointer data);
/* Nobody may be waiting any more. */
void vh_awaited_free(VhAwaited *awaited);

/* But for tests it is VH_QMP_PATIENCE_MS. For commands that follow. */
void vh_awaited_set_patience(VhAwaited *awaited, guint ms);

guint vh_awaited_count(const VhAwaited *awaited);

/* `reply` may be NULL. Returns the command's number, above 0 and above all before. */
gint64 vh_awaited_add(VhAwaited *awaited, VhQmpReply reply, gpointer data);

/* Gives `result`, or NULL and `error`, to who waits for command `id`. Returns whether anybody did,
 * or would have with a `reply`. */
bool vh_awaited_answer(VhAwaited *awaited, gint64 id, JsonNode *result, const char *error);

/* Ends everybody's wait; some may give new commands meanwhile, whose wait ends, too. Returns how
 * many there were. */
guint vh_awaited_fail(VhAwaited *awaited, const char *why);
