// SPDX-License-Identifier: GPL-2.0-or-later
// A guest as a forecast is told of it.
#include "forecast/forecast.h"

struct vh_forecast_guest *vh_forecast_guest_new(const char *name)
{
    struct vh_forecast_guest *guest = g_new0(struct vh_forecast_guest, 1);

    guest->name = g_strdup(name);
    guest->uuid = g_strdup("");
    guest->profile = g_strdup("");
    guest->title = g_strdup(name);
    guest->boot_id = g_strdup("");
    guest->vcpus = g_array_new(FALSE, TRUE, sizeof(struct vh_forecast_vcpu));
    guest->threads = g_array_new(FALSE, TRUE, sizeof(struct vh_forecast_thread));
    return guest;
}

void vh_forecast_guest_add_thread(struct vh_forecast_guest *guest,
                                  const struct vh_forecast_thread *thread)
{
    guint at = guest->threads->len;

    while (!thread->vhost && at &&
           g_array_index(guest->threads, struct vh_forecast_thread, at - 1).vhost)
        at--;
    if (guest->threads->len < VH_FORECAST_THREADS_MAX)
        g_array_insert_vals(guest->threads, at, thread, 1);
}

void vh_forecast_guest_free(struct vh_forecast_guest *guest)
{
    if (!guest)
        return;
    g_free(guest->name);
    g_free(guest->uuid);
    g_free(guest->profile);
    g_free(guest->title);
    g_free(guest->boot_id);
    g_array_unref(guest->vcpus);
    g_array_unref(guest->threads);
    g_free(guest);
}

struct vh_forecast_guest *vh_forecast_guest_copy(const struct vh_forecast_guest *guest)
{
    struct vh_forecast_guest *made = g_new(struct vh_forecast_guest, 1);

    *made = *guest;
    made->name = g_strdup(guest->name);
    made->uuid = g_strdup(guest->uuid);
    made->profile = g_strdup(guest->profile);
    made->title = g_strdup(guest->title);
    made->boot_id = g_strdup(guest->boot_id);
    made->vcpus = g_array_copy(guest->vcpus);
    made->threads = g_array_copy(guest->threads);
    return made;
}
