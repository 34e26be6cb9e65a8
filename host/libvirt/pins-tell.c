// SPDX-License-Identifier: GPL-2.0-or-later
// Tells libvirt of a domain's pins: one job at a time, with all that has changed since the last.
#include "libvirt/pins-state.h"
#include "libvirt/pins-sync.h"

struct job {
    VhVirtPins *pins;
    struct vh_pin_sync *sync;
};

static void job_free(gpointer data)
{
    struct job *job = data;

    vh_virt_pins_unref(job->pins);
    vh_pin_sync_free(job->sync);
    g_free(job);
}

/* In a worker. */
static bool job_work(virConnectPtr connection, gpointer data)
{
    return vh_pin_sync_work(connection, ((const struct job *)data)->sync);
}

static void job_done(gpointer data)
{
    const struct job *job = data;
    VhVirtPins *pins = job->pins;

    pins->busy = false;
    for (guint i = 0; i < job->sync->changes->len; i++) {
        const struct vh_pin_change *change =
            &g_array_index(job->sync->changes, struct vh_pin_change, i);

        if (!change->done)
            vh_virt_told_drop(pins->told, pins->uuid, pins->id, change->seat, &change->cpus);
    }
    vh_virt_told_done(pins->told, pins->uuid, pins->id);
    if (pins->closed)
        return;
    if (job->sync->problem)
        g_message("libvirt does not take the pins of domain %s: %s", pins->uuid,
                  job->sync->problem);
    g_free(pins->carried);
    pins->carried = g_strdup(job->sync->carried);
    for (guint i = 0; i < job->sync->changes->len; i++) {
        const struct vh_pin_change *change =
            &g_array_index(job->sync->changes, struct vh_pin_change, i);
        struct vh_virt_pin *pin = vh_virt_pins_at(pins, change->seat);

        /* libvirt has waited for half a minute already: what is wanted by now is tried at once. */
        if (change->late) {
            pin->restore = pin->restore || change->restore;
            continue;
        }
        /* What failed otherwise counts as done: it is not tried again until something else is
         * wanted. */
        pin->told = change->ours;
        pin->told_cpus = change->cpus;
        if (!change->know_former && !change->failed && !pin->foreign)
            pin->former = change->former;
    }
    vh_virt_pins_tell(pins);
    if (!pins->busy)
        pins->funcs->synced(pins->data);
}

static const struct vh_virt_job sync_job = {.work = job_work, .done = job_done, .free = job_free};

/* Is libvirt to be told something of `pin`? */
static bool plan_change(const struct vh_virt_pin *pin, struct vh_pin_change *change)
{
    /* Of an IOThread without a pin libvirt tells its mask, which is ours by then. */
    bool known = pin->told || pin->restore || pin->seat.kind == VH_SEAT_IOTHREAD;

    *change = (struct vh_pin_change){
        .seat = pin->seat, .know_former = known, .former = pin->former, .restore = pin->restore};
    if (pin->restore || (pin->told && !pin->ours)) {
        change->cpus = pin->former;
        return true;
    }
    change->ours = true;
    change->cpus = pin->cpus;
    return !pin->foreign && pin->ours &&
           !(pin->told && vh_cpuset_equal(&pin->told_cpus, &pin->cpus));
}

void vh_virt_pins_tell(VhVirtPins *pins)
{
    struct vh_pin_sync *sync = NULL;
    struct job *job = NULL;
    GHashTableIter iter;
    gpointer value = NULL;

    if (pins->busy || pins->closed || !pins->going)
        return;
    sync = vh_pin_sync_new(pins->uuid, pins->id, pins->record, pins->carried, &pins->all);
    g_hash_table_iter_init(&iter, pins->pins);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct vh_virt_pin *pin = value;
        struct vh_pin_change change;

        if (plan_change(pin, &change)) {
            pin->restore = false;
            vh_virt_told_add(pins->told, pins->uuid, pins->id, pin->seat, &change.cpus);
            g_array_append_val(sync->changes, change);
        } else if (pin->told) {
            vh_pin_sync_keep(sync, pin->seat, &pin->former, &pin->told_cpus);
        }
    }
    if (!sync->changes->len) {
        vh_pin_sync_free(sync);
        return;
    }
    job = g_new0(struct job, 1);
    job->pins = pins;
    job->sync = sync;
    pins->refs++;
    pins->busy = true;
    vh_virt_submit(pins->virt, pins->uuid, &sync_job, job);
}
