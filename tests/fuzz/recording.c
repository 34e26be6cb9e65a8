/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzes recordings: their lines, and what a forecast makes of them by a policy with rules for both
 * fake programs. Whatever the reader takes must be planned for without reading outside of a record.
 */
#include "forecast/recording.h"

#include <string.h>

#include "lib/fake-object.h"

static void take(VhForecast *forecast, const struct vh_event *event)
{
    switch (event->kind) {
    case VH_EVENT_GUEST:
        vh_forecast_tell(forecast, event->guest);
        break;
    case VH_EVENT_GONE:
        vh_forecast_leave(forecast, event->name);
        break;
    case VH_EVENT_FACTS:
        vh_forecast_forget(forecast, event->name);
        break;
    case VH_EVENT_HINT: {
        g_autoptr(GError) error = NULL;

        if (vh_forecast_hint(forecast, &event->hint, event->us, &error) < 0 && !error)
            __builtin_trap();
        break;
    }
    case VH_EVENT_DROPPED:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static VhPolicy *policy;
    static struct vh_topology *topology;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) events = vh_recording_read("x", (const char *)data, size, &error);
    g_autoptr(VhForecast) forecast = NULL;

    if (!events) {
        if (!error || !g_str_has_prefix(error->message, "x:"))
            __builtin_trap();
        return 0;
    }
    if (!policy) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
        const struct vh_policy_text texts[] = {{"10.conf", fake_rules, strlen(fake_rules), false}};

        topology = vh_topology_synthetic("l3:2 core:2 pu:2", NULL);
        policy = vh_policy_parse(texts, 1,
                                 &(struct vh_policy_world){.cpus = &topology->online,
                                                           .read_object = fake_object_read,
                                                           .list_objects = fake_object_list},
                                 problems);
    }
    forecast = vh_forecast_new(policy, topology);
    for (guint i = 0; i < events->len && i < 64; i++) {
        take(forecast, g_ptr_array_index(events, i));
        vh_forecast_plan(forecast, ((const struct vh_event *)g_ptr_array_index(events, i))->us);
    }
    return 0;
}
