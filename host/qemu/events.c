// SPDX-License-Identifier: GPL-2.0-or-later
// Names QEMU's events.
#include "qemu/events.h"

#include <glib.h>

const char *const vh_qmp_events[] = {
    [VH_QMP_PORT_CHANGE] = "VSERPORT_CHANGE",
    [VH_QMP_RESET] = "RESET",
    [VH_QMP_SHUTDOWN] = "SHUTDOWN",
    [VH_QMP_DEVICE_DELETED] = "DEVICE_DELETED",
    [VH_QMP_DEVICE_OST] = "ACPI_DEVICE_OST",
    [VH_QMP_STOP] = "STOP",
    [VH_QMP_RESUME] = "RESUME",
    [VH_QMP_MIGRATION] = "MIGRATION",
    NULL,
};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_qmp_events) == VH_QMP_EVENT_COUNT + 1);

enum vh_qmp_event vh_qmp_event_find(const char *name)
{
    unsigned event = 0;

    while (event < VH_QMP_EVENT_COUNT && !g_str_equal(vh_qmp_events[event], name))
        event++;
    return (enum vh_qmp_event)event;
}
