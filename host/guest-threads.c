// SPDX-License-Identifier: GPL-2.0-or-later
// The threads that serve a guest beside its vCPUs: from the monitor and /proc.
#include <string.h>

#include "guest-private.h"

/* QEMU names its IOThreads' threads only with -name debug-threads=on; its monitor always tells. */
static void on_iothreads(JsonNode *result, const char *error, gpointer data)
{
    VhGuest *guest = data;
    JsonArray *list = result && JSON_NODE_HOLDS_ARRAY(result) ? json_node_get_array(result) : NULL;

    (void)error;
    g_array_set_size(guest->iothreads, 0);
    for (guint i = 0; list && i < json_array_get_length(list) && i < VH_THREADS_MAX; i++) {
        JsonNode *node = json_array_get_element(list, i);
        JsonObject *told = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        struct vh_thread thread = {.kind = VH_THREAD_IOTHREAD};

        if (!told)
            continue;
        thread.thread = (pid_t)json_object_get_int_member_with_default(told, "thread-id", 0);
        g_strlcpy(thread.name, json_object_get_string_member_with_default(told, "id", ""), sizeof(thread.name));
        g_array_append_val(guest->iothreads, thread);
    }
}

void vh_guest_query_iothreads(VhGuest *guest)
{
    vh_qmp_command(guest->monitor, "query-iothreads", NULL, on_iothreads, guest);
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

/* The monitor's word on IOThreads counts only for threads of the process itself. */
static void sort_out(VhGuest *guest)
{
    g_array_set_size(guest->helpers, 0);
    for (guint i = 0; i < guest->threads->len; i++) {
        struct vh_thread thread = g_array_index(guest->threads, struct vh_thread, i);

        for (guint j = 0; !thread.kernel && j < guest->iothreads->len; j++) {
            const struct vh_thread *told = &g_array_index(guest->iothreads, struct vh_thread, j);

            if (told->thread != thread.thread)
                continue;
            thread.kind = VH_THREAD_IOTHREAD;
            memcpy(thread.name, told->name, sizeof(thread.name));
        }
        if (!is_vcpu(guest, &thread))
            g_array_append_val(guest->helpers, thread);
    }
    g_array_sort(guest->helpers, by_kind);
}

void vh_guest_find_threads(VhGuest *guest, pid_t process)
{
    guest->process = process;
    g_array_unref(guest->threads);
    guest->threads =
        process ? vh_threads_list("/proc", process) : g_array_new(FALSE, TRUE, sizeof(struct vh_thread));
    sort_out(guest);
}

void vh_guest_refresh_threads(VhGuest *guest)
{
    if (guest->process && vh_threads_update(guest->threads, "/proc", guest->process))
        sort_out(guest);
}

const struct vh_thread *vh_guest_helpers(const VhGuest *guest, unsigned *count)
{
    *count = guest->helpers->len;
    return (const struct vh_thread *)(void *)guest->helpers->data;
}

pid_t vh_guest_process(const VhGuest *guest)
{
    return guest->process;
}
