// SPDX-License-Identifier: GPL-2.0-or-later
// The threads that serve a guest beside its vCPUs: from the monitor and /proc.
#include <string.h>

#include "base/json.h"
#include "guest/state.h"
#include "placement/placement.h"

#define GLANCE_US (2 * G_USEC_PER_SEC) /* between looks for threads that nobody tells of */
/* For so long the names that were read are good: a thread gets its own once it runs. */
#define LIST_US (10 * G_USEC_PER_SEC)

/* QEMU names its IOThreads' threads only with -name debug-threads=on; its monitor always tells. */
static void on_iothreads(JsonNode *result, const char *error, gpointer data)
{
    VhGuest *guest = data;
    JsonArray *list = vh_json_array(result);

    (void)error;
    g_array_set_size(guest->iothreads, 0);
    for (guint i = 0; i < vh_json_length(list) && i < VH_THREADS_MAX; i++) {
        JsonObject *told = vh_json_object(vh_json_element(list, i));
        struct vh_thread thread = {
            .kind = VH_THREAD_IOTHREAD,
            .thread = (pid_t)vh_json_member_int(told, "thread-id", 1, G_MAXINT32, 0)};

        if (!thread.thread)
            continue;
        g_strlcpy(thread.name, vh_json_member_text(told, "id", ""), sizeof(thread.name));
        g_array_append_val(guest->iothreads, thread);
    }
}

void vh_guest_query_iothreads(VhGuest *guest)
{
    vh_qmp_command(guest->monitor, "query-iothreads", NULL, on_iothreads, guest);
}

static void on_kvm(JsonNode *result, const char *error, gpointer data)
{
    (void)error;
    ((VhGuest *)data)->emulated = !vh_json_member_bool(vh_json_object(result), "enabled", true);
}

void vh_guest_query_kvm(VhGuest *guest)
{
    vh_qmp_command(guest->monitor, "query-kvm", NULL, on_kvm, guest);
}

bool vh_guest_is_emulated(const VhGuest *guest)
{
    return guest->emulated;
}

static bool is_vcpu(const VhGuest *guest, const struct vh_thread *thread)
{
    for (guint i = 0; i < guest->vcpus->len; i++)
        if (g_array_index(guest->vcpus, struct vh_vcpu, i).thread == thread->thread)
            return true;
    return thread->kind == VH_THREAD_VCPU; /* plugged in or out just now */
}

static int by_kind(gconstpointer a, gconstpointer b)
{
    const struct vh_thread *x = a;
    const struct vh_thread *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->thread - y->thread;
}

/* What the monitor says of IOThreads, by thread: it may tell of thousands. */
static GHashTable *iothreads_by_thread(const VhGuest *guest)
{
    GHashTable *table = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < guest->iothreads->len; i++) {
        struct vh_thread *told = &g_array_index(guest->iothreads, struct vh_thread, i);

        g_hash_table_replace(table, GINT_TO_POINTER(told->thread), told);
    }
    return table;
}

/* The monitor's word on IOThreads counts only for threads of the process itself. */
static void sort_out(VhGuest *guest)
{
    g_autoptr(GHashTable) iothreads = iothreads_by_thread(guest);

    vh_guest_show(guest);
    g_array_set_size(guest->helpers, 0);
    for (guint i = 0; i < guest->threads->len; i++) {
        struct vh_thread thread = g_array_index(guest->threads, struct vh_thread, i);
        const struct vh_thread *told =
            thread.kernel ? NULL : g_hash_table_lookup(iothreads, GINT_TO_POINTER(thread.thread));

        if (told) {
            thread.kind = VH_THREAD_IOTHREAD;
            memcpy(thread.name, told->name, sizeof(thread.name));
        }
        if (!is_vcpu(guest, &thread))
            g_array_append_val(guest->helpers, thread);
    }
    g_array_sort(guest->helpers, by_kind);
}

/* All of the process's, read anew. `process` NULL: it is not known, and there are none. */
static void list_threads(VhGuest *guest, const struct vh_thread_id *process)
{
    guest->process = process ? *process : (struct vh_thread_id){0};
    guest->listed = process ? g_get_monotonic_time() : 0;
    g_array_unref(guest->threads);
    guest->threads = process ? vh_threads_list("/proc", process)
                             : g_array_new(FALSE, TRUE, sizeof(struct vh_thread));
}

/* A QEMU may have thousands of threads, and cause us to look for them again and again. */
static void find_threads(VhGuest *guest, const struct vh_thread_id *process)
{
    if (process && guest->listed && vh_thread_id_equal(process, &guest->process) &&
        g_get_monotonic_time() < guest->listed + LIST_US)
        vh_threads_renew(guest->threads, "/proc", process);
    else
        list_threads(guest, process);
    guest->unasked = true; /* it may have made some since */
    sort_out(guest);
}

void vh_guest_set_vcpus(VhGuest *guest, GArray *vcpus, const struct vh_thread_id *process,
                        const char *why)
{
    g_array_unref(guest->vcpus);
    guest->vcpus = vcpus;
    guest->preview = false;
    find_threads(guest, process);
    vh_guest_take_vcpus(guest, vcpus, why);
}

void vh_guest_refresh_threads(VhGuest *guest)
{
    if (!guest->process.thread || !vh_threads_update(guest->threads, "/proc", &guest->process))
        return;
    guest->unasked = true;
    sort_out(guest);
}

static void on_iothreads_again(JsonNode *result, const char *error, gpointer data)
{
    VhGuest *guest = data;

    if (!result)
        return;
    on_iothreads(result, error, guest);
    sort_out(guest);
    vh_guest_touch(guest, "the guest's threads have changed");
    vh_guest_settle(guest);
}

bool vh_guest_places_threads(const VhGuest *guest)
{
    return guest->policy && vh_placement_places_threads(&guest->policy->placement);
}

void vh_guest_glance_at_threads(VhGuest *guest)
{
    gint64 now = g_get_monotonic_time();

    if (now < guest->glanced + GLANCE_US || !guest->monitor_ready || !guest->process.thread ||
        !vh_guest_places_threads(guest))
        return;
    guest->glanced = now;
    vh_guest_refresh_threads(guest);
    if (!guest->unasked)
        return;
    guest->unasked = false;
    vh_qmp_command(guest->monitor, "query-iothreads", NULL, on_iothreads_again, guest);
}

const struct vh_thread *vh_guest_helpers(const VhGuest *guest, unsigned *count)
{
    *count = guest->helpers->len;
    return (const struct vh_thread *)(void *)guest->helpers->data;
}

struct vh_thread_id vh_guest_process(const VhGuest *guest)
{
    return guest->process;
}

static int by_index(gconstpointer a, gconstpointer b)
{
    return (int)((const struct vh_vcpu *)a)->index - (int)((const struct vh_vcpu *)b)->index;
}

static void read_usual(VhGuest *guest)
{
    g_autofree char *online = NULL;

    if (guest->config->cpus && vh_cpuset_parse(&guest->usual, guest->config->cpus, NULL) == 0)
        return;
    if (!g_file_get_contents("/sys/devices/system/cpu/online", &online, NULL, NULL) ||
        vh_cpuset_parse(&guest->usual, g_strstrip(online), NULL) < 0)
        memset(&guest->usual, 0xff, sizeof(guest->usual));
}

static bool same_threads(const GArray *a, const GArray *b)
{
    for (guint i = 0; a->len == b->len && i < a->len; i++) {
        const struct vh_thread *x = &g_array_index(a, struct vh_thread, i);
        const struct vh_thread *y = &g_array_index(b, struct vh_thread, i);

        if (x->thread != y->thread || x->start != y->start || x->kind != y->kind ||
            x->number != y->number)
            return false;
    }
    return a->len == b->len;
}

/* QEMU names a thread once it runs; until then it has its maker's name. So all names are read
 * again. */
void vh_guest_preview(VhGuest *guest, const struct vh_thread_id *process)
{
    g_autoptr(GArray) threads = guest->monitor_ready ? NULL : vh_threads_own("/proc", process);
    GArray *vcpus = NULL;

    if (!threads ||
        (vh_thread_id_equal(&guest->process, process) && same_threads(threads, guest->threads)))
        return;
    vcpus = g_array_new(FALSE, TRUE, sizeof(struct vh_vcpu));
    for (guint i = 0; i < threads->len; i++) {
        const struct vh_thread *thread = &g_array_index(threads, struct vh_thread, i);
        const struct vh_vcpu vcpu = {.index = thread->number,
                                     .thread = thread->thread,
                                     .start = thread->start,
                                     .apic_id = -1};

        if (thread->kind == VH_THREAD_VCPU && vcpus->len < VH_CPUS_MAX)
            g_array_append_val(vcpus, vcpu);
    }
    g_array_sort(vcpus, by_index);
    if (!guest->preview)
        read_usual(guest);
    guest->preview = true;
    guest->listed = 0; /* without vhost workers */
    guest->process = *process;
    g_array_unref(guest->threads);
    guest->threads = g_steal_pointer(&threads);
    sort_out(guest);
    vh_guest_take_vcpus(guest, vcpus, "QEMU comes up");
}

bool vh_guest_echoes(const VhGuest *guest, const struct vh_seat *seat,
                     const struct vh_cpuset **usual)
{
    *usual = guest->preview ? &guest->usual : NULL;
    return guest->preview ||
           (seat && guest->config->maker && !guest->config->maker->settled(guest->config, *seat));
}
