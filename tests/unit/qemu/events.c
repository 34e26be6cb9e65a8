/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every event has a name, and is found by it. */
#include "qemu/events.h"

#include <glib.h>

static void test_names(void)
{
    for (unsigned i = 0; i < VH_QMP_EVENT_COUNT; i++) {
        g_assert_nonnull(vh_qmp_events[i]);
        g_assert_cmpuint(vh_qmp_event_find(vh_qmp_events[i]), ==, i);
    }
    g_assert_null(vh_qmp_events[VH_QMP_EVENT_COUNT]);
    g_assert_cmpuint(vh_qmp_event_find("RTC_CHANGE"), ==, VH_QMP_EVENT_COUNT);
    g_assert_cmpuint(vh_qmp_event_find(""), ==, VH_QMP_EVENT_COUNT);
    g_assert_cmpuint(vh_qmp_event_find("RESETS"), ==, VH_QMP_EVENT_COUNT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp-events/names", test_names);
    return g_test_run();
}
