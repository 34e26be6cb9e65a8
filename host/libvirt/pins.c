/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells our pins from others', and decides what libvirt is to be told. */
#include "libvirt/pins.h"

#include <glib/gstdio.h>
#include <string.h>

#include "libvirt/pins-sync.h"

struct pin {
    struct vh_seat seat;
    bool ours; /* wanted: pinned to `cpus` by us */
    struct vh_cpuset cpus;
    bool told; /* libvirt knows our pin `told_cpus`; its own former one is `former` */
    struct vh_cpuset told_cpus;
    struct vh_cpuset former;
    bool foreign; /* left to others */
    bool restore; /* libvirt is to be told `former` first of all, although it may have been told
                     already: a call of ours has come after theirs, or to the wrong instance */
};

struct VhVirtPins {
    gint refs; /* the owner's, and a job's; main loop only */
    VhVirt *virt;
    VhVirtTold *told;
    char *uuid;
    int id; /* of the instance */
    char *record;
    const struct vh_virt_pins_funcs *funcs;
    gpointer data;
    char *carried;          /* what the domain's metadata has of the record; "": nothing */
    GHashTable *pins;       /* vh_seat_key -> struct pin */
    struct vh_cpuset all;   /* host CPUs that are online */
    struct vh_cpuset usual; /* <vcpu cpuset>, else `all` */
    bool automatic;         /* numad has chosen what is usual, and nobody tells what that is */
    bool going;             /* it runs */
    bool busy;
    bool closed;
};

static struct pin *find_pin(const VhVirtPins *pins, struct vh_seat seat)
{
    return g_hash_table_lookup(pins->pins, GUINT_TO_POINTER(vh_seat_key(seat)));
}

static struct pin *pin_of(VhVirtPins *pins, struct vh_seat seat)
{
    struct pin *pin = find_pin(pins, seat);

    if (pin)
        return pin;
    pin = g_new0(struct pin, 1);
    pin->seat = seat;
    pin->former = pins->usual;
    g_hash_table_insert(pins->pins, GUINT_TO_POINTER(vh_seat_key(seat)), pin);
    return pin;
}

static void pins_unref(VhVirtPins *pins)
{
    if (--pins->refs)
        return;
    g_hash_table_unref(pins->pins);
    g_free(pins->uuid);
    g_free(pins->record);
    g_free(pins->carried);
    g_free(pins);
}

/* ---- the job ---- */

struct job {
    VhVirtPins *pins;
    struct vh_pin_sync *sync;
};

static void job_free(gpointer data)
{
    struct job *job = data;

    pins_unref(job->pins);
    vh_pin_sync_free(job->sync);
    g_free(job);
}

/* In a worker. */
static bool job_work(virConnectPtr connection, gpointer data)
{
    return vh_pin_sync_work(connection, ((const struct job *)data)->sync);
}

static void begin_sync(VhVirtPins *pins);

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
        struct pin *pin = pin_of(pins, change->seat);

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
    begin_sync(pins);
    if (!pins->busy)
        pins->funcs->synced(pins->data);
}

static const struct vh_virt_job sync_job = {.work = job_work, .done = job_done, .free = job_free};

/* Is libvirt to be told something of `pin`? */
static bool plan_change(const struct pin *pin, struct vh_pin_change *change)
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

static void begin_sync(VhVirtPins *pins)
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
        struct pin *pin = value;
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

/* ---- what others do ---- */

/* Is `cpus` as good as no pin? */
static bool everywhere(const VhVirtPins *pins, const struct vh_cpuset *cpus)
{
    struct vh_cpuset missing = pins->all;

    vh_cpuset_sub(&missing, cpus);
    return vh_cpuset_empty(&missing) || vh_cpuset_equal(&pins->usual, cpus);
}

static void leave_to_others(VhVirtPins *pins, struct vh_seat seat, const struct vh_cpuset *cpus)
{
    struct pin *pin = pin_of(pins, seat);
    g_autofree char *list = vh_cpuset_format(cpus);

    pin->foreign = true;
    pin->told = false;
    pin->ours = false;
    pin->former = *cpus;
    /* A job of ours that runs now may overwrite it. */
    pin->restore = pins->busy;
    pins->funcs->foreign(seat, list, pins->data);
}

/* What a former instance was to be pinned to has come to this one. */
static void note_astray(struct pin *pin)
{
    pin->told = false;
    pin->restore = true;
}

/* libvirt has carried out what it was told for the instance `id`, and set the thread's mask so. */
static void take_ours(VhVirtPins *pins, int id, struct vh_seat seat, const struct vh_cpuset *cpus)
{
    const struct pin *pin = find_pin(pins, seat);

    if (id != pins->id) {
        note_astray(pin_of(pins, seat));
        begin_sync(pins);
    }
    if (pin && pin->ours && !vh_cpuset_equal(&pin->cpus, cpus))
        pins->funcs->outdated(pins->data);
}

void vh_virt_pins_announced(VhVirtPins *pins, struct vh_seat seat, const struct vh_cpuset *cpus)
{
    int told = vh_virt_told_heard(pins->told, pins->uuid, seat, cpus);
    struct pin *pin = NULL;

    if (told >= 0) {
        take_ours(pins, told, seat, cpus);
        return;
    }
    if (!everywhere(pins, cpus)) {
        leave_to_others(pins, seat, cpus);
        return;
    }
    pin = pin_of(pins, seat);
    pin->foreign = false;
    pin->former = *cpus;
    pins->funcs->foreign(seat, NULL, pins->data);
}

void vh_virt_pins_retake(VhVirtPins *pins)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, pins->pins);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        ((struct pin *)value)->foreign = false;
}

/* ---- ours ---- */

void vh_virt_pins_set(VhVirtPins *pins, struct vh_seat seat, const struct vh_cpuset *cpus)
{
    struct pin *pin = cpus && seat.id <= VH_SEAT_ID_MAX ? pin_of(pins, seat) : find_pin(pins, seat);

    if (!pin || pin->foreign || (seat.kind == VH_SEAT_IOTHREAD && pins->automatic) ||
        (pin->ours == (cpus != NULL) && (!cpus || vh_cpuset_equal(&pin->cpus, cpus))))
        return;
    pin->ours = cpus != NULL;
    if (cpus)
        pin->cpus = *cpus;
    begin_sync(pins);
}

bool vh_virt_pins_settled(const VhVirtPins *pins, struct vh_seat seat)
{
    const struct pin *pin = find_pin(pins, seat);

    return !vh_virt_told_astray(pins->told, pins->uuid, pins->id, seat, NULL) &&
           (!pin || !(pin->ours || pin->told || pin->restore || pins->busy));
}

void vh_virt_pins_set_none(VhVirtPins *pins)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, pins->pins);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        ((struct pin *)value)->ours = false;
    begin_sync(pins);
}

/* ---- at the start ---- */

/* A pin that a former daemon set for this very instance. It counts as ours until the next round
 * says otherwise; then libvirt is told the former one. */
static void on_record(struct vh_seat seat, const struct vh_cpuset *former,
                      const struct vh_cpuset *ours, gpointer data)
{
    struct pin *pin = pin_of(data, seat);

    pin->ours = true;
    pin->cpus = *ours;
    if (former)
        pin->former = *former;
}

/* One that was ours on the host that it comes from: libvirt is to be told the former one. */
static void on_carried(struct vh_seat seat, const struct vh_cpuset *former,
                       const struct vh_cpuset *ours, gpointer data)
{
    struct pin *pin = pin_of(data, seat);

    pin->told = true;
    pin->told_cpus = *ours;
    if (former)
        pin->former = *former;
}

static void read_pin(VhVirtPins *pins, struct vh_seat seat, const char *list)
{
    struct vh_cpuset cpus;
    struct pin *pin = seat.id <= VH_SEAT_ID_MAX ? find_pin(pins, seat) : NULL;

    if (seat.id > VH_SEAT_ID_MAX || vh_cpuset_parse(&cpus, list, NULL) < 0)
        return;
    if (pin && pin->ours && vh_cpuset_equal(&pin->cpus, &cpus)) {
        pin->told = true;
        pin->told_cpus = cpus;
        return;
    }
    if (everywhere(pins, &cpus) || (pin && pin->told && vh_cpuset_equal(&pin->told_cpus, &cpus)))
        return;
    if (vh_virt_told_astray(pins->told, pins->uuid, pins->id, seat, &cpus))
        note_astray(pin_of(pins, seat));
    else
        leave_to_others(pins, seat, &cpus);
}

static void read_pins(VhVirtPins *pins, const struct vh_domain *xml)
{
    if (xml->emulator)
        read_pin(pins, (struct vh_seat){.kind = VH_SEAT_EMULATOR}, xml->emulator);
    for (guint i = 0; i < xml->vcpu_pins->len; i++) {
        const struct vh_domain_pin *found = &g_array_index(xml->vcpu_pins, struct vh_domain_pin, i);

        read_pin(pins, (struct vh_seat){VH_SEAT_VCPU, found->id}, found->cpus);
    }
    for (guint i = 0; i < xml->iothread_pins->len; i++) {
        const struct vh_domain_pin *found =
            &g_array_index(xml->iothread_pins, struct vh_domain_pin, i);

        read_pin(pins, (struct vh_seat){VH_SEAT_IOTHREAD, found->id}, found->cpus);
    }
}

VhVirtPins *vh_virt_pins_new(VhVirt *virt, VhVirtTold *told, const struct vh_domain *xml,
                             const char *record, const struct vh_virt_pins_funcs *funcs,
                             gpointer data)
{
    VhVirtPins *pins = g_new0(VhVirtPins, 1);
    g_autofree char *present = NULL;

    pins->refs = 1;
    pins->virt = virt;
    pins->told = told;
    pins->uuid = g_strdup(xml->uuid);
    pins->id = xml->id;
    pins->record = g_strdup(record);
    pins->funcs = funcs;
    pins->data = data;
    pins->pins = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    if (!g_file_get_contents("/sys/devices/system/cpu/online", &present, NULL, NULL) ||
        vh_cpuset_parse(&pins->all, g_strstrip(present), NULL) < 0)
        memset(&pins->all, 0xff, sizeof(pins->all));
    if (!xml->cpus || vh_cpuset_parse(&pins->usual, xml->cpus, NULL) < 0)
        pins->usual = pins->all;
    pins->automatic = xml->cpus_auto;
    pins->carried = g_strdup(xml->pins_ours ? xml->pins_ours : "");
    if (!vh_pin_record_read(record, xml->id, on_record, pins))
        vh_pin_record_parse(pins->carried, on_carried, pins);
    read_pins(pins, xml);
    return pins;
}

void vh_virt_pins_go(VhVirtPins *pins)
{
    pins->going = true;
    begin_sync(pins);
}

/* In a worker, after the job that may write the record and before any of the next instance. */
static bool forget_record(G_GNUC_UNUSED virConnectPtr connection, gpointer record)
{
    g_unlink(record);
    return true;
}

static const struct vh_virt_job forget_job = {.local = true, .work = forget_record, .free = g_free};

void vh_virt_pins_free(VhVirtPins *pins, bool gone)
{
    if (!pins)
        return;
    pins->closed = true;
    if (gone && pins->busy)
        vh_virt_submit(pins->virt, pins->uuid, &forget_job, g_strdup(pins->record));
    else if (gone)
        g_unlink(pins->record);
    pins_unref(pins);
}
