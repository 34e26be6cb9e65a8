// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps alarms in a heap: the one that is to ring next is on top.
#include "io/alarms.h"

struct VhAlarms {
    GSource *source;
    GPtrArray *heap; /* struct vh_alarm, from place 1: none is before the one at half its place */
};

struct alarms_source {
    GSource source;
    VhAlarms *alarms;
};

static struct vh_alarm *at(const VhAlarms *alarms, guint position)
{
    return g_ptr_array_index(alarms->heap, position);
}

static void put(const VhAlarms *alarms, struct vh_alarm *alarm, guint position)
{
    alarms->heap->pdata[position] = alarm;
    alarm->position = position;
}

/* To its place, from `position`, which is free. */
static void sift(const VhAlarms *alarms, struct vh_alarm *alarm, guint position)
{
    guint count = alarms->heap->len;

    for (; position > 1 && at(alarms, position / 2)->when > alarm->when; position /= 2)
        put(alarms, at(alarms, position / 2), position);
    for (guint next = 2 * position; next < count; next = 2 * position) {
        if (next + 1 < count && at(alarms, next + 1)->when < at(alarms, next)->when)
            next++;
        if (at(alarms, next)->when >= alarm->when)
            break;
        put(alarms, at(alarms, next), position);
        position = next;
    }
    put(alarms, alarm, position);
}

static void wait_for_next(const VhAlarms *alarms)
{
    g_source_set_ready_time(alarms->source, alarms->heap->len > 1 ? at(alarms, 1)->when : -1);
}

static void take_out(VhAlarms *alarms, struct vh_alarm *alarm)
{
    guint position = alarm->position;
    struct vh_alarm *last = at(alarms, alarms->heap->len - 1);

    g_assert(at(alarms, position) == alarm);
    g_ptr_array_set_size(alarms->heap, (gint)alarms->heap->len - 1);
    if (last != alarm)
        sift(alarms, last, position);
    alarm->position = 0;
}

void vh_alarms_set(VhAlarms *alarms, struct vh_alarm *alarm, gint64 when)
{
    g_assert(alarm->func);
    if (alarm->position)
        take_out(alarms, alarm);
    alarm->when = when;
    g_ptr_array_add(alarms->heap, alarm);
    sift(alarms, alarm, alarms->heap->len - 1);
    wait_for_next(alarms);
}

void vh_alarms_stop(VhAlarms *alarms, struct vh_alarm *alarm)
{
    if (!alarm->position)
        return;
    take_out(alarms, alarm);
    wait_for_next(alarms);
}

static gboolean ring(GSource *source, GSourceFunc func, gpointer data)
{
    VhAlarms *alarms = ((struct alarms_source *)source)->alarms;
    gint64 now = g_get_monotonic_time();
    gint64 end = now + VH_ALARMS_TURN_US;

    (void)func;
    (void)data;
    while (alarms->heap->len > 1 && at(alarms, 1)->when <= now && g_get_monotonic_time() < end) {
        struct vh_alarm *alarm = at(alarms, 1);

        take_out(alarms, alarm);
        alarm->func(alarm->data);
    }
    wait_for_next(alarms);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = ring};

VhAlarms *vh_alarms_new(void)
{
    VhAlarms *alarms = g_new0(VhAlarms, 1);

    alarms->heap = g_ptr_array_new();
    g_ptr_array_add(alarms->heap, NULL);
    alarms->source = g_source_new(&source_funcs, sizeof(struct alarms_source));
    ((struct alarms_source *)alarms->source)->alarms = alarms;
    g_source_set_name(alarms->source, "alarms");
    g_source_attach(alarms->source, NULL);
    return alarms;
}

void vh_alarms_free(VhAlarms *alarms)
{
    if (!alarms)
        return;
    g_assert(alarms->heap->len == 1);
    g_source_destroy(alarms->source);
    g_source_unref(alarms->source);
    g_ptr_array_unref(alarms->heap);
    g_free(alarms);
}
