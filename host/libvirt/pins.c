// SPDX-License-Identifier: GPL-2.0-or-later
// Tells our pins from others', and decides what libvirt is to be told.
//
// Theory of operation
//
// The actuator pins a thread at once. libvirt does not know of that. It tells people where a thread
// is pinned, it sets that mask again when it has a reason to, and it takes the pin along when the
// domain migrates. So libvirt must hear of each pin of ours, and get its own back in the end. Its
// calls are slow, so it hears of them later, in jobs (pins-tell.c).
//
// Of each seat we know three things: what we want (`ours`, `cpus`), what libvirt was told last
// (`told`, `told_cpus`), and what it had before (`former`). A job carries every seat where the
// first two differ. One job is under way at a time. What changes meanwhile waits for its end, and
// the next job carries what is wanted then: a pin that comes and goes a thousand times costs a few
// calls.
//
// libvirt announces each pin that anybody sets, but not who has set it. told.h remembers what we
// have told, so an announcement that matches is ours. Any other is somebody else's, and the seat is
// theirs from then on (`foreign`), until they pin it to every CPU or people want it to be ours
// again.
//
// Three things can cross:
//  1. Somebody pins a seat while a job of ours is under way. Our call may come after theirs, and
//     undo it. So the next job tells libvirt theirs once more (`restore`).
//  2. A domain ends and starts while a job is under way. Our call may meet the new instance, which
//     was not meant. Its own pin is told once more (`restore`).
//  3. libvirt carries out a pin when the actuator has set the next one already, and sets the older
//     mask. The round is asked to look at the thread again (`outdated`).
//
// Before libvirt is told of a pin, the pin is on record: in a file, for the next daemon on this
// host, and in the domain's metadata, for the host that it migrates to. Which of the two has it
// says what it means. What the file has counts as wanted, until the next round says otherwise. What
// only the metadata has was meant for another host: libvirt gets the former pin back.
#include "libvirt/pins.h"

#include <glib/gstdio.h>
#include <string.h>

#include "libvirt/pins-state.h"
#include "libvirt/pins-sync.h"

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
    struct vh_virt_pin *pin = vh_virt_pins_at(pins, seat);
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
static void note_astray(struct vh_virt_pin *pin)
{
    pin->told = false;
    pin->restore = true;
}

/* libvirt has carried out what it was told for the instance `id`, and set the thread's mask so. */
static void take_ours(VhVirtPins *pins, int id, struct vh_seat seat, const struct vh_cpuset *cpus)
{
    const struct vh_virt_pin *pin = vh_virt_pins_find(pins, seat);

    if (id != pins->id) {
        note_astray(vh_virt_pins_at(pins, seat));
        vh_virt_pins_tell(pins);
    }
    if (pin && pin->ours && !vh_cpuset_equal(&pin->cpus, cpus))
        pins->funcs->outdated(pins->data);
}

void vh_virt_pins_announced(VhVirtPins *pins, struct vh_seat seat, const struct vh_cpuset *cpus)
{
    int told = vh_virt_told_heard(pins->told, pins->uuid, seat, cpus);
    struct vh_virt_pin *pin = NULL;

    if (told >= 0) {
        take_ours(pins, told, seat, cpus);
        return;
    }
    if (!everywhere(pins, cpus)) {
        leave_to_others(pins, seat, cpus);
        return;
    }
    pin = vh_virt_pins_at(pins, seat);
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
        ((struct vh_virt_pin *)value)->foreign = false;
}

/* ---- ours ---- */

void vh_virt_pins_set(VhVirtPins *pins, struct vh_seat seat, const struct vh_cpuset *cpus)
{
    struct vh_virt_pin *pin = cpus && seat.id <= VH_SEAT_ID_MAX ? vh_virt_pins_at(pins, seat)
                                                                : vh_virt_pins_find(pins, seat);

    if (!pin || pin->foreign || (seat.kind == VH_SEAT_IOTHREAD && pins->automatic) ||
        (pin->ours == (cpus != NULL) && (!cpus || vh_cpuset_equal(&pin->cpus, cpus))))
        return;
    pin->ours = cpus != NULL;
    if (cpus)
        pin->cpus = *cpus;
    vh_virt_pins_tell(pins);
}

bool vh_virt_pins_settled(const VhVirtPins *pins, struct vh_seat seat)
{
    const struct vh_virt_pin *pin = vh_virt_pins_find(pins, seat);

    return !vh_virt_told_astray(pins->told, pins->uuid, pins->id, seat, NULL) &&
           (!pin || !(pin->ours || pin->told || pin->restore || pins->busy));
}

void vh_virt_pins_set_none(VhVirtPins *pins)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, pins->pins);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        ((struct vh_virt_pin *)value)->ours = false;
    vh_virt_pins_tell(pins);
}

/* ---- at the start ---- */

/* A pin that a former daemon set for this very instance. It counts as ours until the next round
 * says otherwise; then libvirt is told the former one. */
static void on_record(struct vh_seat seat, const struct vh_cpuset *former,
                      const struct vh_cpuset *ours, gpointer data)
{
    struct vh_virt_pin *pin = vh_virt_pins_at(data, seat);

    pin->ours = true;
    pin->cpus = *ours;
    if (former)
        pin->former = *former;
}

/* One that was ours on the host that it comes from: libvirt is to be told the former one. */
static void on_carried(struct vh_seat seat, const struct vh_cpuset *former,
                       const struct vh_cpuset *ours, gpointer data)
{
    struct vh_virt_pin *pin = vh_virt_pins_at(data, seat);

    pin->told = true;
    pin->told_cpus = *ours;
    if (former)
        pin->former = *former;
}

static void read_pin(VhVirtPins *pins, struct vh_seat seat, const char *list)
{
    struct vh_cpuset cpus;
    struct vh_virt_pin *pin = seat.id <= VH_SEAT_ID_MAX ? vh_virt_pins_find(pins, seat) : NULL;

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
        note_astray(vh_virt_pins_at(pins, seat));
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
    vh_virt_pins_tell(pins);
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
    vh_virt_pins_unref(pins);
}
