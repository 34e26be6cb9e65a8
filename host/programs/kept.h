/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs injected by hand, on disk: STATE-DIR/injected/GUEST/NAME.bpf.o and NAME.tunables
 * beside it.
 *
 * Objects are large, so they are written by a thread; reading happens once per guest, at the
 * daemon's start. */
#pragma once

#include <gio/gio.h>

#include "hint/object.h"

/* Tunables as LOAD carries them: "name=value" strings, each with its NUL. */

/* One program read back; `object` and `tunables` are the callee's. */
typedef void (*VhInjectedFunc)(VhObject *object, GBytes *tunables, gpointer data);

/* Reads all programs of `directory`; what cannot be read is logged and left alone. */
void vh_injected_read(const char *directory, VhInjectedFunc func, gpointer data);

/* Writes one program. finish: 0, or -1 and an error. */
void vh_injected_write(const char *directory, VhObject *object, GBytes *tunables,
                       GAsyncReadyCallback callback, gpointer data);
int vh_injected_write_finish(GAsyncResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void vh_injected_remove(const char *directory, const char *name);
