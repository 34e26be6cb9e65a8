// SPDX-License-Identifier: GPL-2.0-or-later
// Changes how much memory a guest has, by the device that qemu/memory.h finds, and puts the former
// value back.
//
// What is asked of QEMU is answered later. A former value stays on record until QEMU has taken it
// back, so that neither a lost monitor nor a daemon that dies in between loses it: the next hold on
// the same thread finds it.
#include "act/actuator.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "machine/tid.h"
#include "qemu/memory.h"

struct VhHold {
    gint refs; /* the owner's, and one of each command under way */
    VhSaved *saved;
    VhRamDevice *device;
    struct vh_saved_slot *slot;
    int alive;
    bool applied; /* something else than the former value is wanted */
    unsigned under_way;
};

static void hold_unref(VhHold *hold)
{
    if (--hold->refs)
        return;
    /* Not put back, and QEMU is still there: on record for the next one, here or in the next
     * daemon. */
    hold->slot->memory.owner = 0;
    if (hold->slot->state != VH_SAVED_APPLIED || !vh_tid_alive(hold->alive))
        vh_saved_free_slot(hold->saved, hold->slot);
    if (hold->alive >= 0)
        close(hold->alive);
    vh_ram_device_unref(hold->device);
    g_free(hold);
}

/* What a dead daemon, or one that lost the monitor, left changed for this very thread; NULL:
 * nothing. */
static struct vh_saved_slot *find_left(VhSaved *saved, const struct vh_target *target)
{
    struct vh_saved_slot *slot = NULL;

    while ((slot = vh_saved_next(saved, VH_SAVED_MEMORY, slot)))
        if (slot->thread == target->on.thread && slot->start == target->on.start &&
            !slot->memory.owner)
            return slot;
    return NULL;
}

static VhHold *probe(VhSaved *saved, const struct vh_target *target, GError **error)
{
    int alive = vh_tid_open(&target->on);
    int result = alive < 0 ? -errno : 0;
    struct vh_saved_slot *slot = result == 0 ? find_left(saved, target) : NULL;
    VhHold *hold = NULL;
    bool left = slot != NULL;

    if (result == 0 && !slot)
        slot = vh_saved_take(saved);
    if (result < 0 || !slot) {
        if (alive >= 0)
            close(alive);
        if (result < 0)
            vh_tid_fail(error, -result, "probing it", target->on.thread);
        else
            g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "more than %u actions at a time",
                        VH_SAVED_MAX);
        return NULL;
    }
    hold = g_new0(VhHold, 1);
    hold->refs = 1;
    hold->saved = saved;
    hold->device = vh_ram_device_ref(target->ram);
    hold->slot = slot;
    hold->alive = alive;
    hold->applied = left;
    slot->memory.owner = (uint64_t)getpid();
    slot->kind = VH_SAVED_MEMORY;
    vh_saved_set_thread(slot, &target->on);
    vh_saved_set_key(slot, &target->key);
    return hold;
}

static void rename_hold(VhHold *hold, const struct vh_target_key *key)
{
    vh_saved_set_key(hold->slot, key);
}

static bool found(const VhHold *hold, union vh_setting *setting)
{
    setting->memory = hold->slot->memory.set;
    return hold->applied;
}

static void on_reverted(const char *problem, gpointer data)
{
    VhHold *hold = data;

    /* Wanted again meanwhile, or another revert follows: that one ends it. */
    if (--hold->under_way == 0 && !problem && !hold->applied)
        __atomic_store_n(&hold->slot->state, VH_SAVED_NOTED, __ATOMIC_RELEASE);
    hold_unref(hold);
}

static void on_applied(const char *problem, gpointer data)
{
    VhHold *hold = data;

    (void)problem; /* the device tells, and all is decided anew */
    hold->under_way--;
    hold_unref(hold);
}

/* One command; on failure nobody will call back. */
static int order(VhHold *hold, int result)
{
    if (result == 0)
        return 0;
    hold->under_way--;
    hold->refs--; /* the owner has another */
    return -1;
}

static int revert(VhHold *hold, GError **error)
{
    const struct vh_saved_memory *memory = &hold->slot->memory;

    if (hold->slot->state != VH_SAVED_APPLIED)
        return 0;
    hold->applied = false;
    if (!vh_tid_alive(hold->alive))
        return vh_tid_fail(error, ESRCH, "putting its memory back", hold->slot->thread);
    hold->refs++;
    hold->under_way++;
    return order(hold, vh_ram_device_restore(hold->device, memory->value, memory->name, on_reverted,
                                             hold, error));
}

/* Notes what is to be put back. Returns -1 when it does not fit. */
static int note(VhHold *hold, GError **error)
{
    struct vh_saved_memory memory = {.former = vh_ram_device_state(hold->device).has,
                                     .owner = hold->slot->memory.owner};
    const char *name = NULL;

    memory.value = vh_ram_device_value(hold->device, &name);
    if (g_strlcpy(memory.name, name, sizeof(memory.name)) >= sizeof(memory.name)) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED,
                    "the id of its virtio-mem device is too long: shorten it");
        return -1;
    }
    hold->slot->memory = memory;
    __atomic_store_n(&hold->slot->state, VH_SAVED_APPLIED, __ATOMIC_RELEASE);
    return 0;
}

/* For whoever puts it back without the guest (act/memory-left.h). It may have been noted by a
 * vhintd that knew no road, or another. */
static void note_road(const VhHold *hold)
{
    struct vh_saved_memory *memory = &hold->slot->memory;
    const char *road = vh_ram_device_road(hold->device);

    if (!g_str_equal(memory->road, road))
        g_strlcpy(memory->road, road, sizeof(memory->road));
}

static int apply(VhHold *hold, const union vh_setting *setting, GError **error)
{
    bool first = hold->slot->state != VH_SAVED_APPLIED;

    if (!vh_tid_alive(hold->alive))
        return vh_tid_fail(error, ESRCH, "changing its memory", hold->slot->thread);
    if (first && note(hold, error) < 0)
        return -1;
    hold->slot->memory.set = setting->memory;
    note_road(hold);
    hold->refs++;
    hold->under_way++;
    if (order(hold, vh_ram_device_set(hold->device, setting->memory, on_applied, hold, error)) ==
        0) {
        hold->applied = true;
        return 0;
    }
    if (first)
        __atomic_store_n(&hold->slot->state, VH_SAVED_NOTED, __ATOMIC_RELEASE);
    return -1;
}

static char *words(guint64 bytes)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT " MiB", bytes >> 20);
}

static char *former(const VhHold *hold)
{
    return hold->slot->state == VH_SAVED_APPLIED ? words(hold->slot->memory.former) : g_strdup("");
}

/* Where a guest's memory is on its way to is not told by QEMU. */
static bool stands(const VhHold *hold, const union vh_setting *setting)
{
    (void)setting;
    return hold->applied;
}

static bool same(const union vh_setting *a, const union vh_setting *b)
{
    return a->memory == b->memory;
}

static char *text(const union vh_setting *setting)
{
    return words(setting->memory);
}

/* The guest's monitor is needed for it: left on record, as long as QEMU lives, for probe, or for
 * memory-left.c where there are no guests. */
static int recover(VhSaved *saved, struct vh_saved_slot *slot, GError **error)
{
    const struct vh_thread_id process = vh_saved_thread(slot);

    slot->memory.owner = 0;
    if (vh_tid_check("/proc", &process) == 0)
        return 1;
    vh_saved_free_slot(saved, slot);
    return vh_tid_fail(error, ESRCH, "putting its memory back", process.thread);
}

const struct vh_actuator vh_actuator_memory = {
    .name = "memory",
    .saved = VH_SAVED_MEMORY,
    .probe = probe,
    .rename = rename_hold,
    .found = found,
    .apply = apply,
    .revert = revert,
    .former = former,
    .stands = stands,
    .same = same,
    .text = text,
    .forget = hold_unref,
    .leave = hold_unref,
    .recover = recover,
};
