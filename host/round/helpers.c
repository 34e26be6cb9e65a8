// SPDX-License-Identifier: GPL-2.0-or-later
// Takes emulator, IOThreads and vhost workers from the plan to the actuator.
#include "round/helpers.h"

#include "inventory/maker.h"
#include "machine/tid.h"

/* The plan's number of each thread in turn. */
struct numbering {
    struct vh_placement_guest shape;
    unsigned iothreads, vhosts; /* so far */
};

/* Counts threads once: a QEMU may have thousands. */
static struct numbering numbering_begin(const VhGuest *guest)
{
    struct numbering at = {.iothreads = 0};

    vh_guest_vcpus(guest, &at.shape.vcpus);
    vh_helpers_count(guest, &at.shape.iothreads, &at.shape.vhosts);
    return at;
}

static unsigned next_number(const struct vh_thread *thread, struct numbering *at)
{
    switch (thread->kind) {
    case VH_THREAD_IOTHREAD:
        return vh_placement_iothread(&at->shape, at->iothreads++);
    case VH_THREAD_VHOST:
        return vh_placement_vhost(&at->shape, at->vhosts++);
    default:
        return vh_placement_emulator(&at->shape);
    }
}

static enum vh_target_kind kind_of(const struct vh_thread *thread)
{
    switch (thread->kind) {
    case VH_THREAD_IOTHREAD:
        return VH_TARGET_IOTHREAD;
    case VH_THREAD_VHOST:
        return VH_TARGET_VHOST;
    default:
        return VH_TARGET_EMULATOR;
    }
}

struct vh_target vh_helpers_target(const VhGuest *guest, const struct vh_thread *thread)
{
    const struct vh_thread_id process = vh_guest_process(guest);

    return (struct vh_target){
        .key = {vh_guest_config(guest)->name, kind_of(thread), (unsigned)thread->thread},
        .on = vh_thread_identity(thread, &process)};
}

bool vh_helpers_seat(const struct vh_thread *thread, struct vh_seat *seat)
{
    *seat = (struct vh_seat){.kind = thread->kind == VH_THREAD_IOTHREAD ? VH_SEAT_IOTHREAD
                                                                        : VH_SEAT_EMULATOR,
                             .id = thread->number};
    return thread->kind == VH_THREAD_EMULATOR ||
           (thread->kind == VH_THREAD_IOTHREAD && thread->number);
}

static const char *off_of(GHashTable *off, const struct vh_thread *thread)
{
    struct vh_seat seat;

    return off && vh_helpers_seat(thread, &seat)
               ? g_hash_table_lookup(off, GUINT_TO_POINTER(vh_seat_key(seat)))
               : NULL;
}

void vh_helpers_count(const VhGuest *guest, unsigned *iothreads, unsigned *vhosts)
{
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);

    *iothreads = 0;
    *vhosts = 0;
    for (unsigned i = 0; i < count; i++) {
        *iothreads += threads[i].kind == VH_THREAD_IOTHREAD;
        *vhosts += threads[i].kind == VH_THREAD_VHOST;
    }
}

void vh_helpers_take_over(VhActuate *actuate, const VhGuest *guest)
{
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);

    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = vh_helpers_target(guest, &threads[i]);

        vh_actuate_take_over(actuate, &target);
    }
}

static bool is_any_set(const VhActuate *actuate, const VhGuest *guest)
{
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);

    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = vh_helpers_target(guest, &threads[i]);

        if (vh_actuate_setting(actuate, &target.key))
            return true;
    }
    return false;
}

void vh_helpers_want(VhActuate *actuate, const VhGuest *guest, unsigned number,
                     const struct vh_plan *plan, GHashTable *off)
{
    struct numbering at = numbering_begin(guest);
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);
    bool touched = is_any_set(actuate, guest);

    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = vh_helpers_target(guest, &threads[i]);
        unsigned position = next_number(&threads[i], &at);
        const struct vh_placed *placed = plan ? vh_plan_thread(plan, number, position) : NULL;
        const struct vh_cpuset *usual = NULL;
        union vh_setting setting;
        struct vh_seat seat;
        const struct vh_cpuset *cpus =
            placed && !off_of(off, &threads[i]) ? vh_plan_set(plan, placed) : NULL;

        if (cpus)
            setting.cpus = *cpus;
        /* One that came since has inherited what its maker was held to: it is to be put back like
         * that one. */
        if (cpus ||
            (touched && (vh_actuate_setting(actuate, &target.key) || !off_of(off, &threads[i]))))
            vh_actuate_want(actuate, &target, cpus ? &setting : NULL, placed);
        if (vh_guest_echoes(guest, vh_helpers_seat(&threads[i], &seat) ? &seat : NULL, &usual))
            vh_actuate_assume(actuate, &target.key, usual);
    }
}

void vh_helpers_mirror(const VhActuate *actuate, const VhGuest *guest)
{
    const struct vh_config_guest *config = vh_guest_config(guest);
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);

    for (unsigned i = 0; config->maker && i < count; i++) {
        const struct vh_target target = vh_helpers_target(guest, &threads[i]);
        const union vh_setting *setting = vh_actuate_setting(actuate, &target.key);
        struct vh_seat seat;

        if (!vh_helpers_seat(&threads[i], &seat) ||
            (seat.kind == VH_SEAT_EMULATOR && threads[i].thread != vh_guest_process(guest).thread))
            continue;
        /* What the control group bars the guest's maker may be able to do: the group may be its
         * own. */
        if (!setting)
            setting = vh_actuate_barred(actuate, &target.key);
        config->maker->mirror(config, seat, setting ? &setting->cpus : NULL);
    }
}

void vh_helpers_yield(VhActuate *actuate, const VhGuest *guest, struct vh_seat seat)
{
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);

    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = vh_helpers_target(guest, &threads[i]);
        struct vh_seat its;

        if (vh_helpers_seat(&threads[i], &its) && vh_seat_key(its) == vh_seat_key(seat) &&
            (seat.kind != VH_SEAT_EMULATOR || threads[i].thread == vh_guest_process(guest).thread))
            vh_actuate_yield(actuate, &target);
    }
}

bool vh_helpers_barred(const VhActuate *actuate, const VhGuest *guest)
{
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);

    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = vh_helpers_target(guest, &threads[i]);

        if (vh_actuate_barred(actuate, &target.key))
            return true;
    }
    return false;
}

void vh_helpers_number(const VhGuest *guest, GArray *planned)
{
    struct numbering at = numbering_begin(guest);
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);

    for (unsigned i = 0; i < count; i++) {
        const struct vh_planned its = {.thread = threads[i].thread,
                                       .number = next_number(&threads[i], &at)};

        g_array_append_val(planned, its);
    }
}
