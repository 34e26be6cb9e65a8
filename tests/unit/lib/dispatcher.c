/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/dispatcher.h"

VhNetObject *dispatcher_new(guint32 guest, VhNetMaps **maps)
{
    g_autoptr(GError) error = NULL;
    VhNetObject *dispatcher = NULL;

    *maps = vh_net_maps_new(SLOT_OBJECTS, NULL, &error);
    g_assert_no_error(error);
    dispatcher = vh_net_object_open(*maps, "dispatch", &error);
    g_assert_no_error(error);
    vh_net_object_set(dispatcher, "vh_tap_guest", &guest, sizeof(guest));
    if (vh_net_object_load(dispatcher, &error) < 0)
        g_error("%s", error->message);
    return dispatcher;
}
