// SPDX-License-Identifier: GPL-2.0-or-later
// Compares the keys of targets.
#include "base/target.h"

guint vh_target_hash(gconstpointer data)
{
    const struct vh_target_key *key = data;

    return (g_str_hash(key->guest) * 31 + key->kind) * 31 + key->id;
}

gboolean vh_target_equal(gconstpointer a, gconstpointer b)
{
    const struct vh_target_key *x = a;
    const struct vh_target_key *y = b;

    return x->kind == y->kind && x->id == y->id && g_str_equal(x->guest, y->guest);
}
