// SPDX-License-Identifier: GPL-2.0-or-later
// What every part of the manager asks of its guests.
#include "manager/state.h"

struct vh_entry *vh_manager_find(const VhManager *manager, const char *guest, GError **error)
{
    struct vh_entry *entry = vh_round_find(manager->round, guest);

    if (!entry)
        g_set_error(error, VH_ERROR, VH_ERROR_NO_SUCH_GUEST,
                    "no guest is called \"%s\": vhintctl guests lists them", guest);
    return entry;
}

void vh_manager_refresh_threads(const VhManager *manager)
{
    for (guint i = 0; i < manager->entries->len; i++)
        vh_guest_refresh_threads(
            ((const struct vh_entry *)g_ptr_array_index(manager->entries, i))->guest);
}
