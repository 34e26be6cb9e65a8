// SPDX-License-Identifier: GPL-2.0-or-later
// Tells libvirt of pins, in a worker thread, and keeps the record of them.
#include "libvirt/pins-sync.h"

#include <glib/gstdio.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "libvirt/xml.h"

#define MAP_LEN ((int)sizeof(struct vh_cpuset))
#define ANY "*"

struct vh_pin_sync *vh_pin_sync_new(const char *uuid, int id, const char *record,
                                    const char *carried, const struct vh_cpuset *all)
{
    struct vh_pin_sync *sync = g_new0(struct vh_pin_sync, 1);

    sync->uuid = g_strdup(uuid);
    sync->id = id;
    sync->record = g_strdup(record);
    sync->changes = g_array_new(FALSE, TRUE, sizeof(struct vh_pin_change));
    sync->kept = g_string_new(NULL);
    sync->kept_carried = g_string_new(NULL);
    sync->carried = g_strdup(carried);
    sync->all = *all;
    return sync;
}

void vh_pin_sync_free(struct vh_pin_sync *sync)
{
    g_array_unref(sync->changes);
    g_string_free(sync->kept, TRUE);
    g_string_free(sync->kept_carried, TRUE);
    g_free(sync->carried);
    g_free(sync->uuid);
    g_free(sync->record);
    g_free(sync->problem);
    g_free(sync);
}

/* ---- the record ---- */

/* For the file, and for the metadata. */
static void add_line(const struct vh_pin_sync *sync, GString *file, GString *carried,
                     struct vh_seat seat, const struct vh_cpuset *former,
                     const struct vh_cpuset *ours)
{
    g_autofree char *name = vh_seat_pin_name(seat);
    g_autofree char *former_text = vh_cpuset_format(former);
    g_autofree char *ours_text = vh_cpuset_format(ours);
    struct vh_cpuset missing = sync->all;

    vh_cpuset_sub(&missing, former);
    g_string_append_printf(file, "%s %s %s\n", name, former_text, ours_text);
    g_string_append_printf(carried, "%s%s %s %s", carried->len ? ";" : "", name,
                           vh_cpuset_empty(&missing) ? ANY : former_text, ours_text);
}

void vh_pin_sync_keep(struct vh_pin_sync *sync, struct vh_seat seat, const struct vh_cpuset *former,
                      const struct vh_cpuset *ours)
{
    add_line(sync, sync->kept, sync->kept_carried, seat, former, ours);
}

static void write_file(struct vh_pin_sync *sync, GString *text)
{
    g_autofree char *instance = g_strdup_printf("%d\n", sync->id);
    g_autoptr(GError) error = NULL;

    if (!text->len) {
        g_unlink(sync->record);
        return;
    }
    g_string_prepend(text, instance);
    if (!g_file_set_contents(sync->record, text->str, (gssize)text->len, &error) && !sync->problem)
        sync->problem = g_strdup(error->message);
}

/* libvirt lets callers wait for half a minute; whoever comes next would wait as long. */
static bool timed_out(struct vh_pin_sync *sync)
{
    const virError *error = virGetLastError();

    sync->late = error && error->code == VIR_ERR_OPERATION_TIMEOUT;
    return sync->late;
}

/* What libvirt does not take is tried again with the next change; the pins themselves do not depend
 * on it. */
static void write_metadata(virDomainPtr domain, struct vh_pin_sync *sync, const char *text)
{
    g_autofree char *xml = *text ? g_strdup_printf("<pins>%s</pins>", text) : NULL;

    if (g_str_equal(text, sync->carried))
        return;
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml,
                             xml ? VH_DOMAIN_PINS_PREFIX : NULL, VH_DOMAIN_PINS_NAMESPACE,
                             VIR_DOMAIN_AFFECT_LIVE) < 0) {
        timed_out(sync);
        return;
    }
    g_free(sync->carried);
    sync->carried = g_strdup(text);
}

/* `domain` NULL: it is gone, and its metadata with it, or there is no use in asking. */
static void write_record(virDomainPtr domain, struct vh_pin_sync *sync, bool after)
{
    g_autoptr(GString) file = g_string_new(sync->kept->str);
    g_autoptr(GString) carried = g_string_new(sync->kept_carried->str);

    for (guint i = 0; i < sync->changes->len; i++) {
        const struct vh_pin_change *change = &g_array_index(sync->changes, struct vh_pin_change, i);

        /* What failed without a former pin was never told. */
        if ((change->failed && !change->know_former) || (after && change->done && !change->ours))
            continue;
        add_line(sync, file, carried, change->seat, &change->former, &change->cpus);
    }
    write_file(sync, file);
    if (domain)
        write_metadata(domain, sync, carried->str);
}

static void read_line(const char *line, VhPinRecordFunc func, gpointer data)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    bool known = g_strv_length(words) == 3;
    bool any = known && g_str_equal(words[1], ANY);
    struct vh_seat seat;
    struct vh_cpuset former, ours;

    if (known && vh_seat_parse(words[0], &seat) &&
        (any || vh_cpuset_parse(&former, words[1], NULL) == 0) &&
        vh_cpuset_parse(&ours, words[2], NULL) == 0)
        func(seat, any ? NULL : &former, &ours, data);
}

bool vh_pin_record_read(const char *record, int id, VhPinRecordFunc func, gpointer data)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(record, &text, NULL, NULL))
        return false;
    lines = g_strsplit(text, "\n", -1);
    if (!lines[0] || g_ascii_strtoll(lines[0], NULL, 10) != id)
        return false;
    for (guint i = 1; lines[i]; i++)
        read_line(lines[i], func, data);
    return true;
}

void vh_pin_record_parse(const char *carried, VhPinRecordFunc func, gpointer data)
{
    g_auto(GStrv) lines = g_strsplit(carried, ";", -1);

    for (guint i = 0; lines[i]; i++)
        read_line(lines[i], func, data);
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
    change->late = timed_out(sync);
    if (!change->late && !sync->problem)
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
    return virDomainGetEmulatorPinInfo(domain, (unsigned char *)&change->former, MAP_LEN,
                                       VIR_DOMAIN_AFFECT_LIVE);
}

static void read_formers(virDomainPtr domain, struct vh_pin_sync *sync)
{
    read_vcpus(domain, sync);
    for (guint i = 0; i < sync->changes->len; i++) {
        struct vh_pin_change *change = change_at(sync, i);

        if (!change->know_former && change->seat.kind == VH_SEAT_EMULATOR &&
            read_emulator(domain, change) < 0)
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
    bool lost = false;

    /* What a former run has come to when the connection was lost does not count. */
    sync->late = false;
    g_clear_pointer(&sync->problem, g_free);
    for (guint i = 0; i < sync->changes->len; i++) {
        change_at(sync, i)->failed = !there;
        change_at(sync, i)->late = change_at(sync, i)->done = false;
    }
    if (there) {
        read_formers(domain, sync);
        write_record(domain, sync, false);
    } else {
        sync->problem = g_strdup("the domain is gone");
    }
    for (guint i = 0; i < sync->changes->len; i++) {
        struct vh_pin_change *change = change_at(sync, i);

        if (change->failed)
            continue;
        if (sync->late) {
            change->failed = change->late = true;
            continue;
        }
        change->done = tell(domain, change) == 0;
        if (!change->done)
            note_failure(sync, change);
    }
    lost = sync->problem && vh_virt_lost(connection);
    if (!lost)
        write_record(there && !sync->late ? domain : NULL, sync, true);
    if (domain)
        virDomainFree(domain);
    return !lost;
}
