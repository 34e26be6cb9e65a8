/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said of a domain's pins: by its metadata, which whoever may define domains can write, and
 * by the file, in the same words. Then what is made of it, with announcements in any order.
 *
 * The input is a text, a NUL, and a script. */
#include "libvirt/pins.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/quiet.h"
#include "lib/script.h"
#include "libvirt/pins-sync.h"

#define INSTANCE 7

static const char xml[] =
    "<domain type='kvm' id='7'><name>web</name><uuid>11111111-2222-3333-4444-555555555555</uuid>"
    "<vcpu>8</vcpu><iothreads>2</iothreads><cputune><vcpupin vcpu='1' cpuset='1'/>"
    "<emulatorpin cpuset='0'/><iothreadpin iothread='1' cpuset='0-1'/></cputune></domain>";

static void on_foreign(G_GNUC_UNUSED struct vh_seat seat, const char *cpus,
                       G_GNUC_UNUSED gpointer data)
{
    struct vh_cpuset set;

    g_assert(!cpus || vh_cpuset_parse(&set, cpus, NULL) == 0);
}

static void on_nothing(G_GNUC_UNUSED gpointer data)
{
}

static const struct vh_virt_pins_funcs funcs = {
    .foreign = on_foreign, .synced = on_nothing, .outdated = on_nothing};

/* What is read can be written, and is then read as the same. */
static void on_pin(struct vh_seat seat, const struct vh_cpuset *former,
                   const struct vh_cpuset *ours, gpointer data)
{
    struct vh_cpuset all;

    g_assert(seat.kind < VH_SEAT_KINDS && seat.id <= VH_SEAT_ID_MAX);
    memset(&all, 0xff, sizeof(all));
    vh_pin_sync_keep(data, seat, former ? former : &all, ours);
}

static void read_text(const char *text, int depth)
{
    struct vh_cpuset all;
    struct vh_pin_sync *sync = NULL;

    memset(&all, 0xff, sizeof(all));
    sync = vh_pin_sync_new("uuid", INSTANCE, "/nonexistent", "", &all);
    vh_pin_record_parse(text, on_pin, sync);
    if (depth)
        g_assert(g_str_equal(sync->kept_carried->str, text));
    else
        read_text(sync->kept_carried->str, 1);
    vh_pin_sync_free(sync);
}

static void read_file(const char *path)
{
    struct vh_cpuset all;
    struct vh_pin_sync *sync = NULL;

    memset(&all, 0xff, sizeof(all));
    sync = vh_pin_sync_new("uuid", INSTANCE, "/nonexistent", "", &all);
    (void)vh_pin_record_read(path, INSTANCE, on_pin, sync);
    vh_pin_sync_free(sync);
}

static void step(VhVirtPins *pins, VhVirtTold *told, struct script *script)
{
    uint8_t what = script_byte(script);
    struct vh_seat seat = {what / 8 % VH_SEAT_KINDS, script_byte(script) % 4};
    struct vh_cpuset cpus = {{0}};

    vh_cpuset_add(&cpus, script_byte(script) % 8);
    switch (what % 8) {
    case 0:
        vh_virt_pins_set(pins, seat, &cpus);
        break;
    case 1:
        vh_virt_pins_set(pins, seat, NULL);
        break;
    case 2:
    case 3:
        vh_virt_pins_announced(pins, seat, &cpus);
        break;
    case 4:
        vh_virt_pins_set_none(pins);
        break;
    case 5:
        vh_virt_pins_retake(pins);
        break;
    case 6:
        vh_virt_told_add(told, "11111111-2222-3333-4444-555555555555", what / 128 + 6, seat, &cpus);
        break;
    default:
        (void)vh_virt_pins_settled(pins, seat);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text =
        g_utf8_make_valid((const char *)data, (gssize)strnlen((const char *)data, size));
    size_t used = MIN(strnlen((const char *)data, size) + 1, size);
    struct script script = {data + used, size - used};
    int fd = memfd_create("record", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    VhVirtTold *told = vh_virt_told_new();
    VhDomain *domain = vh_domain_parse(xml, strlen(xml), NULL);
    VhVirtPins *pins = NULL;

    log_begin();
    g_assert(domain && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    read_text(text, 0);
    read_file(path);
    domain->pins_ours = g_strdup(text);
    pins =
        vh_virt_pins_new(NULL, told, domain, script.left % 2 ? path : "/nonexistent", &funcs, NULL);
    while (script.left)
        step(pins, told, &script);
    vh_virt_pins_free(pins, false);
    vh_domain_free(domain);
    vh_virt_told_free(told);
    close(fd);
    return 0;
}
