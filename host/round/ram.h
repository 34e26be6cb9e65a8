/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All guests' memory: leads each through decide/growth.h's states, by its device.
 *
 * A round says what each guest asks for; a guest that it does not name is put back and forgotten.
 * There is a timer only while a guest has more than it had, or asks and may not have it yet. */
#pragma once

#include <gio/gio.h>

#include "act/actuate.h"
#include "decide/growth.h"
#include "qemu/memory.h"
#include "wish/rules.h"

typedef struct VhRam VhRam;

/* `due`: a guest's turn has come, or its device has changed: make a round. `proc` is /proc but for
 * tests. All are borrowed. */
VhRam *vh_ram_new(const char *proc, VhSaved *saved, VhJournal *journal, void (*due)(gpointer data),
                  gpointer data);
/* Puts all back, saying `why`: it is asked for, not waited for. */
void vh_ram_free(VhRam *ram, const char *why);
/* Leaves it to the next daemon. */
void vh_ram_leave(VhRam *ram);

void vh_ram_begin(VhRam *ram);
/* Has a guest without limits anything to do with it? What a dead daemon left may be any guest's. */
bool vh_ram_concerns(const VhRam *ram, const struct vh_growth_limits *limits,
                     const struct vh_ram_wish *wish);
/* `target` is the guest's memory, `wish` NULL: put it back. */
void vh_ram_ask(VhRam *ram, const struct vh_target *target, const struct vh_growth_limits *limits,
                const struct vh_ram_wish *wish);
/* Carries the round out. `why`: the occasion. Returns how many guests were put back. */
guint vh_ram_end(VhRam *ram, const char *why);

/* Is it, or was it lately, led by this? */
bool vh_ram_knows(const VhRam *ram, const char *guest);
/* GetGuest's a{sv} about its memory; NULL: no rule has to do with it. Floating. */
GVariant *vh_ram_describe(const VhRam *ram, const char *guest);
/* Explain's a{sv}; NULL likewise. Floating. */
GVariant *vh_ram_explain(const VhRam *ram, const char *guest);
