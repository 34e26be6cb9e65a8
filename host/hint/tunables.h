/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program's tunables, which are its `const volatile` globals: which there are, and how they
 * travel. Packed they are "name=value" texts, each with its NUL, one behind the other, as LOAD
 * carries them. */
#pragma once

#include "hint/object.h"

/* Has the program a tunable `name`, and is `value` one that it takes? 0; or -1 and
 * VH_ERROR_INVALID_ARGUMENT, which names the tunables that it has, the nearest first, or what a
 * value has to be. */
int vh_tunables_check(const VhObject *object, const char *name, const char *value,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Adds one, in place of its former value if it has one. 0; or -1 and VH_ERROR_INVALID_ARGUMENT for
 * what LOAD cannot carry, with `packed` as it was. */
int vh_tunables_pack(GByteArray *packed, const char *name, const char *value,
                     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same bytes, for who keeps them. */
GBytes *vh_tunables_bytes(const GByteArray *packed);

/* What a file or another host says: is it packed as LOAD carries it? */
bool vh_tunables_good(GBytes *packed);
