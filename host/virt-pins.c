/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells libvirt of pins, and notices those of others. */
#include "virt-pins.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

/* What libvirt is told at most without its announcement having come back; more only delays the noticing. */
#define UNHEARD_MAX 64

struct pin {
    bool ours; /* wanted: pinned to `cpus` by us */
    struct vh_cpuset cpus;
    bool told; /* libvirt knows our pin `told_cpus`; its own former one is `former` */
    struct vh_cpuset told_cpus;
    struct vh_cpuset former;
    bool foreign; /* left to others */
    bool restore; /* libvirt is to be told `former` although it may have been told already: theirs came first */
};

struct VhVirtPins {
    gint refs; /* the owner's, and a job's; main loop only */
    VhVirt *virt;
    char *uuid;
    int id; /* of the instance */
    char *record;
    VhVirtPinsForeign foreign;
    VhVirtPinsSynced synced;
    gpointer data;
    GArray *pins;           /* struct pin, by vCPU */
    struct vh_cpuset all;   /* host CPUs that are online */
    struct vh_cpuset usual; /* <vcpu cpuset>, else `all` */
    GPtrArray *unheard;     /* "vcpupin0=0-3": told, not announced yet */
    bool busy;
    bool closed;
    bool gone;
};

static struct pin *pin_at(VhVirtPins *pins, unsigned vcpu)
{
    if (vcpu >= VH_DOMAIN_VCPUS_MAX)
        return NULL;
    if (vcpu >= pins->pins->len)
        g_array_set_size(pins->pins, vcpu + 1);
    return &g_array_index(pins->pins, struct pin, vcpu);
}

static void pins_unref(VhVirtPins *pins)
{
    if (--pins->refs)
        return;
    g_array_unref(pins->pins);
    g_ptr_array_unref(pins->unheard);
    g_free(pins->uuid);
    g_free(pins->record);
    g_free(pins);
}

/* ---- the job ---- */

struct change {
    unsigned vcpu;
    bool ours;             /* else: back to the former one */
    struct vh_cpuset cpus; /* to be told */
    bool know_former;
    struct vh_cpuset former;
    bool done;
};

struct sync {
    VhVirtPins *pins;
    char *uuid;
    int id;
    char instance[16]; /* `id` in words */
    char *record;
    GArray *changes; /* struct change */
    GString *kept;   /* of the record: lines for pins that stay as they are */
    char *problem;
};

static void sync_free(gpointer data)
{
    struct sync *sync = data;

    pins_unref(sync->pins);
    g_array_unref(sync->changes);
    g_string_free(sync->kept, TRUE);
    g_free(sync->uuid);
    g_free(sync->record);
    g_free(sync->problem);
    g_free(sync);
}

static void add_line(GString *text, unsigned vcpu, const struct vh_cpuset *former, const struct vh_cpuset *ours)
{
    g_autofree char *former_text = vh_cpuset_format(former);
    g_autofree char *ours_text = vh_cpuset_format(ours);

    g_string_append_printf(text, "%u %s %s\n", vcpu, former_text, ours_text);
}

static bool read_formers(virDomainPtr domain, struct sync *sync)
{
    unsigned count = 0;
    g_autofree unsigned char *maps = NULL;
    const int len = (int)sizeof(struct vh_cpuset);
    int known;

    for (guint i = 0; i < sync->changes->len; i++) {
        const struct change *change = &g_array_index(sync->changes, struct change, i);

        if (!change->know_former)
            count = MAX(count, change->vcpu + 1);
    }
    if (!count)
        return true;
    maps = g_malloc0_n(count, (gsize)len);
    known = virDomainGetVcpuPinInfo(domain, (int)count, maps, len, VIR_DOMAIN_AFFECT_LIVE);
    for (guint i = 0; i < sync->changes->len; i++) {
        struct change *change = &g_array_index(sync->changes, struct change, i);

        if (!change->know_former && (int)change->vcpu < known)
            memcpy(&change->former, maps + change->vcpu * (gsize)len, (gsize)len);
    }
    return known >= (int)count;
}

/* What is about to be ours goes on record first. */
static void write_record(struct sync *sync, bool after)
{
    g_autoptr(GString) text = g_string_new(sync->kept->str);
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < sync->changes->len; i++) {
        const struct change *change = &g_array_index(sync->changes, struct change, i);

        if (change->ours || !(after && change->done))
            add_line(text, change->vcpu, &change->former, &change->cpus);
    }
    if (!text->len) {
        g_unlink(sync->record);
        return;
    }
    g_string_prepend(text, "\n");
    g_string_prepend(text, sync->instance);
    if (!g_file_set_contents(sync->record, text->str, (gssize)text->len, &error) && !sync->problem)
        sync->problem = g_strdup(error->message);
}

/* In a worker. */
static bool sync_work(virConnectPtr connection, gpointer data)
{
    struct sync *sync = data;
    virDomainPtr domain = virDomainLookupByUUIDString(connection, sync->uuid);
    bool fine = domain && virDomainGetID(domain) == (unsigned)sync->id && read_formers(domain, sync);

    if (fine)
        write_record(sync, false);
    for (guint i = 0; fine && i < sync->changes->len; i++) {
        struct change *change = &g_array_index(sync->changes, struct change, i);

        fine = virDomainPinVcpuFlags(domain, change->vcpu, (unsigned char *)&change->cpus, sizeof(change->cpus),
                                     VIR_DOMAIN_AFFECT_LIVE) == 0;
        change->done = fine;
    }
    if (!fine && !vh_virt_lost(connection))
        sync->problem = domain ? vh_virt_error() : g_strdup("the domain is gone");
    if (domain)
        virDomainFree(domain);
    if (!fine && !sync->problem)
        return false;
    write_record(sync, true);
    return true;
}

static void begin_sync(VhVirtPins *pins);

static void sync_done(gpointer data)
{
    struct sync *sync = data;
    VhVirtPins *pins = sync->pins;

    pins->busy = false;
    if (pins->closed) {
        if (pins->gone)
            g_unlink(sync->record); /* the job may have made it anew */
        return;
    }
    if (sync->problem)
        g_message("libvirt does not take the pins of domain %s: %s", pins->uuid, sync->problem);
    for (guint i = 0; i < sync->changes->len; i++) {
        const struct change *change = &g_array_index(sync->changes, struct change, i);
        struct pin *pin = pin_at(pins, change->vcpu);

        /* What failed counts as done: it is not tried again until something else is wanted. */
        pin->told = change->ours;
        pin->told_cpus = change->cpus;
        if (!change->know_former && !pin->foreign)
            pin->former = change->former;
    }
    begin_sync(pins);
    if (!pins->busy)
        pins->synced(pins->data);
}

static const struct vh_virt_job sync_job = {.work = sync_work, .done = sync_done, .free = sync_free};

static void expect(VhVirtPins *pins, unsigned vcpu, const struct vh_cpuset *cpus)
{
    g_autofree char *list = vh_cpuset_format(cpus);

    if (pins->unheard->len >= UNHEARD_MAX)
        g_ptr_array_remove_index(pins->unheard, 0);
    g_ptr_array_add(pins->unheard, g_strdup_printf("vcpupin%u=%s", vcpu, list));
}

/* Is libvirt to be told something of `pin`? */
static bool plan_change(const struct pin *pin, struct change *change)
{
    *change = (struct change){.know_former = pin->told || pin->restore, .former = pin->former};
    if (pin->restore || (pin->told && !pin->ours)) {
        change->cpus = pin->former;
        return true;
    }
    change->ours = true;
    change->cpus = pin->cpus;
    return !pin->foreign && pin->ours && !(pin->told && vh_cpuset_equal(&pin->told_cpus, &pin->cpus));
}

static void begin_sync(VhVirtPins *pins)
{
    struct sync *sync;

    if (pins->busy || pins->closed)
        return;
    sync = g_new0(struct sync, 1);
    sync->pins = pins;
    pins->refs++;
    sync->uuid = g_strdup(pins->uuid);
    sync->id = pins->id;
    g_snprintf(sync->instance, sizeof(sync->instance), "%d", pins->id);
    sync->record = g_strdup(pins->record);
    sync->changes = g_array_new(FALSE, TRUE, sizeof(struct change));
    sync->kept = g_string_new(NULL);
    for (unsigned vcpu = 0; vcpu < pins->pins->len; vcpu++) {
        struct pin *pin = pin_at(pins, vcpu);
        struct change change;

        if (plan_change(pin, &change)) {
            change.vcpu = vcpu;
            pin->restore = false;
            expect(pins, vcpu, &change.cpus);
            g_array_append_val(sync->changes, change);
        } else if (pin->told) {
            add_line(sync->kept, vcpu, &pin->former, &pin->told_cpus);
        }
    }
    if (!sync->changes->len) {
        sync_free(sync);
        return;
    }
    pins->busy = true;
    vh_virt_submit(pins->virt, pins->uuid, &sync_job, sync);
}

/* ---- what others do ---- */

static bool heard(VhVirtPins *pins, const char *what, const char *cpus)
{
    g_autofree char *text = g_strdup_printf("%s=%s", what, cpus);
    guint index = 0;

    if (!g_ptr_array_find_with_equal_func(pins->unheard, text, g_str_equal, &index))
        return false;
    g_ptr_array_remove_index(pins->unheard, index);
    return true;
}

/* Is `cpus` as good as no pin? */
static bool everywhere(const VhVirtPins *pins, const struct vh_cpuset *cpus)
{
    struct vh_cpuset missing = pins->all;

    vh_cpuset_sub(&missing, cpus);
    return vh_cpuset_empty(&missing) || vh_cpuset_equal(&pins->usual, cpus);
}

static void leave_to_others(VhVirtPins *pins, unsigned vcpu, const struct vh_cpuset *cpus)
{
    struct pin *pin = pin_at(pins, vcpu);
    g_autofree char *list = vh_cpuset_format(cpus);

    pin->foreign = true;
    pin->told = false;
    pin->ours = false;
    pin->former = *cpus;
    /* A job of ours that runs now may overwrite it. */
    pin->restore = pins->busy;
    pins->foreign(vcpu, list, pins->data);
}

void vh_virt_pins_announced(VhVirtPins *pins, const char *what, const char *cpus)
{
    struct vh_cpuset set;
    guint64 vcpu = 0;

    if (!g_str_has_prefix(what, "vcpupin") ||
        !g_ascii_string_to_unsigned(what + strlen("vcpupin"), 10, 0, VH_DOMAIN_VCPUS_MAX - 1, &vcpu, NULL) ||
        vh_cpuset_parse(&set, cpus, NULL) < 0 || heard(pins, what, cpus))
        return;
    if (!everywhere(pins, &set)) {
        leave_to_others(pins, (unsigned)vcpu, &set);
        return;
    }
    pin_at(pins, (unsigned)vcpu)->foreign = false;
    pins->foreign((unsigned)vcpu, NULL, pins->data);
}

void vh_virt_pins_retake(VhVirtPins *pins)
{
    for (unsigned vcpu = 0; vcpu < pins->pins->len; vcpu++)
        pin_at(pins, vcpu)->foreign = false;
}

/* ---- ours ---- */

void vh_virt_pins_set(VhVirtPins *pins, unsigned vcpu, const struct vh_cpuset *cpus)
{
    struct pin *pin = vcpu < pins->pins->len || cpus ? pin_at(pins, vcpu) : NULL;

    if (!pin || pin->foreign || (pin->ours == (cpus != NULL) && (!cpus || vh_cpuset_equal(&pin->cpus, cpus))))
        return;
    pin->ours = cpus != NULL;
    if (cpus)
        pin->cpus = *cpus;
    begin_sync(pins);
}

void vh_virt_pins_set_none(VhVirtPins *pins)
{
    for (unsigned vcpu = 0; vcpu < pins->pins->len; vcpu++)
        pin_at(pins, vcpu)->ours = false;
    begin_sync(pins);
}

/* ---- the record ---- */

/* Pins that a former daemon set for this very instance: libvirt is to be told the former ones. */
static void read_record(VhVirtPins *pins)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(pins->record, &text, NULL, NULL))
        return;
    lines = g_strsplit(text, "\n", -1);
    if (!lines[0] || g_ascii_strtoll(lines[0], NULL, 10) != pins->id)
        return;
    for (guint i = 1; lines[i]; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", 3);
        guint64 vcpu = 0;
        struct pin *pin;
        struct vh_cpuset former, ours;

        if (g_strv_length(words) != 3 ||
            !g_ascii_string_to_unsigned(words[0], 10, 0, VH_DOMAIN_VCPUS_MAX - 1, &vcpu, NULL) ||
            vh_cpuset_parse(&former, words[1], NULL) < 0 || vh_cpuset_parse(&ours, words[2], NULL) < 0)
            continue;
        pin = pin_at(pins, (unsigned)vcpu);
        pin->told = true;
        pin->told_cpus = ours;
        pin->former = former;
    }
}

static void read_pins(VhVirtPins *pins, const struct vh_domain *xml)
{
    for (guint i = 0; i < xml->vcpu_pins->len; i++) {
        const struct vh_domain_pin *found = &g_array_index(xml->vcpu_pins, struct vh_domain_pin, i);
        struct vh_cpuset cpus;
        const struct pin *pin = found->id < pins->pins->len ? pin_at(pins, found->id) : NULL;

        if (vh_cpuset_parse(&cpus, found->cpus, NULL) < 0 || everywhere(pins, &cpus))
            continue;
        if (pin && pin->told && vh_cpuset_equal(&pin->told_cpus, &cpus))
            continue;
        leave_to_others(pins, found->id, &cpus);
    }
}

VhVirtPins *vh_virt_pins_new(VhVirt *virt, const struct vh_domain *xml, const char *record,
                             VhVirtPinsForeign foreign, VhVirtPinsSynced synced, gpointer data)
{
    VhVirtPins *pins = g_new0(VhVirtPins, 1);
    g_autofree char *present = NULL;

    pins->refs = 1;
    pins->virt = virt;
    pins->uuid = g_strdup(xml->uuid);
    pins->id = xml->id;
    pins->record = g_strdup(record);
    pins->foreign = foreign;
    pins->synced = synced;
    pins->data = data;
    pins->pins = g_array_new(FALSE, TRUE, sizeof(struct pin));
    pins->unheard = g_ptr_array_new_with_free_func(g_free);
    if (!g_file_get_contents("/sys/devices/system/cpu/online", &present, NULL, NULL) ||
        vh_cpuset_parse(&pins->all, g_strstrip(present), NULL) < 0)
        memset(&pins->all, 0xff, sizeof(pins->all));
    if (!xml->cpus || vh_cpuset_parse(&pins->usual, xml->cpus, NULL) < 0)
        pins->usual = pins->all;
    read_record(pins);
    read_pins(pins, xml);
    begin_sync(pins);
    return pins;
}

void vh_virt_pins_free(VhVirtPins *pins, bool gone)
{
    if (!pins)
        return;
    pins->closed = true;
    pins->gone = gone;
    if (!pins->busy && gone)
        g_unlink(pins->record);
    pins_unref(pins);
}
