/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells libvirt of pins, in a worker thread, and keeps the record of them. */
#include "virt-pins-sync.h"

#include <glib/gstdio.h>
#include <string.h>

#define MAP_LEN ((int)sizeof(struct vh_cpuset))

struct vh_pin_sync *vh_pin_sync_new(const char *uuid, int id, const char *record)
{
    struct vh_pin_sync *sync = g_new0(struct vh_pin_sync, 1);

    sync->uuid = g_strdup(uuid);
    sync->id = id;
    sync->record = g_strdup(record);
    sync->changes = g_array_new(FALSE, TRUE, sizeof(struct vh_pin_change));
    sync->kept = g_string_new(NULL);
    return sync;
}

void vh_pin_sync_free(struct vh_pin_sync *sync)
{
    g_array_unref(sync->changes);
    g_string_free(sync->kept, TRUE);
    g_free(sync->uuid);
    g_free(sync->record);
    g_free(sync->problem);
    g_free(sync);
}

/* ---- the record ---- */

static void add_line(GString *text, struct vh_seat seat, const struct vh_cpuset *former,
                     const struct vh_cpuset *ours)
{
    g_autofree char *name = vh_seat_pin_name(seat);
    g_autofree char *former_text = vh_cpuset_format(former);
    g_autofree char *ours_text = vh_cpuset_format(ours);

    g_string_append_printf(text, "%s %s %s\n", name, former_text, ours_text);
}

void vh_pin_sync_keep(struct vh_pin_sync *sync, struct vh_seat seat, const struct vh_cpuset *former,
                      const struct vh_cpuset *ours)
{
    add_line(sync->kept, seat, former, ours);
}

static void write_record(struct vh_pin_sync *sync, bool after)
{
    g_autoptr(GString) text = g_string_new(sync->kept->str);
    g_autofree char *instance = g_strdup_printf("%d\n", sync->id);
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < sync->changes->len; i++) {
        const struct vh_pin_change *change = &g_array_index(sync->changes, struct vh_pin_change, i);

        /* What failed without a former pin was never told. */
        if ((change->failed && !change->know_former) || (after && change->done && !change->ours))
            continue;
        add_line(text, change->seat, &change->former, &change->cpus);
    }
    if (!text->len) {
        g_unlink(sync->record);
        return;
    }
    g_string_prepend(text, instance);
    if (!g_file_set_contents(sync->record, text->str, (gssize)text->len, &error) && !sync->problem)
        sync->problem = g_strdup(error->message);
}

void vh_pin_record_read(const char *record, int id, VhPinRecordFunc func, gpointer data)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(record, &text, NULL, NULL))
        return;
    lines = g_strsplit(text, "\n", -1);
    if (!lines[0] || g_ascii_strtoll(lines[0], NULL, 10) != id)
        return;
    for (guint i = 1; lines[i]; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", 3);
        struct vh_seat seat;
        struct vh_cpuset former, ours;

        if (g_strv_length(words) == 3 && vh_seat_parse(words[0], &seat) &&
            vh_cpuset_parse(&former, words[1], NULL) == 0 && vh_cpuset_parse(&ours, words[2], NULL) == 0)
            func(seat, &former, &ours, data);
    }
}

/* ---- what libvirt says, and is told ---- */

static struct vh_pin_change *change_at(struct vh_pin_sync *sync, guint i)
{
    return &g_array_index(sync->changes, struct vh_pin_change, i);
}

static void note_failure(struct vh_pin_sync *sync, struct vh_pin_change *change)
{
    g_autofree char *text = vh_virt_error();
    g_autofree char *seat = vh_seat_text(change->seat);

    change->failed = true;
    if (!sync->problem)
        sync->problem = g_strdup_printf("%s: %s", seat, text);
}

static void read_vcpus(virDomainPtr domain, struct vh_pin_sync *sync)
{
    unsigned count = 0;
    g_autofree unsigned char *maps = NULL;
    int known = 0;

    for (guint i = 0; i < sync->changes->len; i++)
        if (!change_at(sync, i)->know_former && change_at(sync, i)->seat.kind == VH_SEAT_VCPU)
            count = MAX(count, change_at(sync, i)->seat.id + 1);
    if (!count)
        return;
    maps = g_malloc0_n(count, MAP_LEN);
    known = virDomainGetVcpuPinInfo(domain, (int)count, maps, MAP_LEN, VIR_DOMAIN_AFFECT_LIVE);
    for (guint i = 0; i < sync->changes->len; i++) {
        struct vh_pin_change *change = change_at(sync, i);

        if (change->know_former || change->seat.kind != VH_SEAT_VCPU)
            continue;
        if ((int)change->seat.id < known)
            memcpy(&change->former, maps + change->seat.id * (gsize)MAP_LEN, MAP_LEN);
        else
            note_failure(sync, change);
    }
}

static int read_emulator(virDomainPtr domain, struct vh_pin_change *change)
{
    memset(&change->former, 0, sizeof(change->former));
    return virDomainGetEmulatorPinInfo(domain, (unsigned char *)&change->former, MAP_LEN, VIR_DOMAIN_AFFECT_LIVE);
}

static void read_formers(virDomainPtr domain, struct vh_pin_sync *sync)
{
    read_vcpus(domain, sync);
    for (guint i = 0; i < sync->changes->len; i++) {
        struct vh_pin_change *change = change_at(sync, i);

        if (!change->know_former && change->seat.kind == VH_SEAT_EMULATOR && read_emulator(domain, change) < 0)
            note_failure(sync, change);
    }
}

static int tell(virDomainPtr domain, struct vh_pin_change *change)
{
    unsigned char *map = (unsigned char *)&change->cpus;

    switch (change->seat.kind) {
    case VH_SEAT_EMULATOR:
        return virDomainPinEmulator(domain, map, MAP_LEN, VIR_DOMAIN_AFFECT_LIVE);
    case VH_SEAT_IOTHREAD:
        return virDomainPinIOThread(domain, change->seat.id, map, MAP_LEN, VIR_DOMAIN_AFFECT_LIVE);
    default:
        return virDomainPinVcpuFlags(domain, change->seat.id, map, MAP_LEN, VIR_DOMAIN_AFFECT_LIVE);
    }
}

bool vh_pin_sync_work(virConnectPtr connection, struct vh_pin_sync *sync)
{
    virDomainPtr domain = virDomainLookupByUUIDString(connection, sync->uuid);
    bool there = domain && virDomainGetID(domain) == (unsigned)sync->id;

    g_clear_pointer(&sync->problem, g_free); /* of a former run, when the connection was lost */
    for (guint i = 0; i < sync->changes->len; i++)
        change_at(sync, i)->failed = !there;
    if (there) {
        read_formers(domain, sync);
        write_record(sync, false);
    } else {
        sync->problem = g_strdup("the domain is gone");
    }
    for (guint i = 0; i < sync->changes->len; i++) {
        struct vh_pin_change *change = change_at(sync, i);

        if (change->failed)
            continue;
        change->done = tell(domain, change) == 0;
        if (!change->done)
            note_failure(sync, change);
    }
    if (domain)
        virDomainFree(domain);
    if (sync->problem && vh_virt_lost(connection))
        return false;
    write_record(sync, true);
    return true;
}
