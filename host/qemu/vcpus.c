// SPDX-License-Identifier: GPL-2.0-or-later
// Learns a guest's vCPUs through QMP and joins them with the guest's own CPU numbers.
#include "qemu/vcpus.h"

#include <string.h>

#include "base/json.h"

/* One query under way: query-cpus-fast, then one qom-get per vCPU. */
struct query {
    VhQmp *qmp;
    GArray *vcpus;
    pid_t process; /* of their threads; 0: not known */
    unsigned left; /* replies to come */
    VhVcpusFunc func;
    gpointer data;
};

struct apic_query {
    struct query *query;
    unsigned position;
};

static void finish(struct query *query, const char *error)
{
    GArray *vcpus = g_steal_pointer(&query->vcpus);

    if (error)
        g_clear_pointer(&vcpus, g_array_unref);
    query->func(vcpus, query->process, error, query->data);
    g_free(query);
}

/* A vCPU without an APIC id (another architecture, or unplugged meanwhile) stays, and is never
 * matched. */
static void on_apic_id(JsonNode *result, const char *error, gpointer data)
{
    g_autofree struct apic_query *apic = data;
    struct query *query = apic->query;

    (void)error;
    vh_json_int(result, 0, G_MAXUINT32,
                &g_array_index(query->vcpus, struct vh_vcpu, apic->position).apic_id);
    if (--query->left == 0)
        finish(query, NULL);
}

static void ask_apic_id(struct query *query, unsigned position, const char *path)
{
    struct apic_query *apic = g_new0(struct apic_query, 1);
    JsonObject *arguments = json_object_new();

    apic->query = query;
    apic->position = position;
    json_object_set_string_member(arguments, "path", path);
    json_object_set_string_member(arguments, "property", "apic-id");
    vh_qmp_command(query->qmp, "qom-get", arguments, on_apic_id, apic);
}

/* The process that `thread` is part of and its effective user; -1: it is gone. */
static pid_t process_of(pid_t thread, uid_t *user)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", thread);
    g_autofree char *text = NULL;
    const char *process = NULL;
    const char *ids = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return -1;
    process = strstr(text, "\nTgid:");
    ids = strstr(text, "\nUid:");
    if (!process || !ids)
        return -1;
    *user = (uid_t)g_ascii_strtoull(strchr(ids + strlen("\nUid:\t"), '\t'), NULL, 10);
    return (pid_t)g_ascii_strtoll(process + strlen("\nTgid:"), NULL, 10);
}

/* NULL: fine, and `*found` is their process (0: none is there any longer); else what is wrong with
 * the threads that the monitor, served by `peer`, names. */
static const char *judge_threads(const GArray *vcpus, struct vh_qmp_peer peer, pid_t *found)
{
    pid_t process = peer.process;

    *found = 0;
    for (guint i = 0; i < vcpus->len; i++) {
        uid_t owner = 0;
        pid_t of = process_of(g_array_index(vcpus, struct vh_vcpu, i).thread, &owner);

        if (of < 0)
            continue;
        if (process && of != process)
            return peer.process ? "the monitor names a thread that is not QEMU's own"
                                : "the monitor names threads of several processes";
        if (peer.user != 0 && owner != peer.user)
            return "the monitor names a thread of another user than its own";
        process = of;
    }
    *found = process;
    return NULL;
}

static void on_cpus(JsonNode *result, const char *error, gpointer data)
{
    struct query *query = data;
    JsonArray *list = vh_json_array(result);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    const char *problem = NULL;

    if (!list) {
        finish(query, result ? "query-cpus-fast did not return a list" : error);
        return;
    }
    for (guint i = 0; i < vh_json_length(list) && i < VH_CPUS_MAX; i++) {
        JsonObject *cpu = vh_json_object(vh_json_element(list, i));
        const char *path = vh_json_member_text(cpu, "qom-path", NULL);
        gint64 index = vh_json_member_int(cpu, "cpu-index", 0, VH_VCPU_INDEX_MAX, -1);
        struct vh_vcpu vcpu = {.index = (unsigned)index,
                               .thread =
                                   (pid_t)vh_json_member_int(cpu, "thread-id", 1, G_MAXINT32, 0),
                               .apic_id = -1};

        if (!path || index < 0 || !vcpu.thread)
            continue;
        g_array_append_val(query->vcpus, vcpu);
        g_ptr_array_add(paths, g_strdup(path));
    }
    problem = judge_threads(query->vcpus, vh_qmp_peer(query->qmp), &query->process);
    if (problem || !paths->len) {
        finish(query, problem);
        return;
    }
    query->left = paths->len;
    for (guint i = 0, count = paths->len; i < count; i++)
        ask_apic_id(query, i, g_ptr_array_index(paths, i));
}

void vh_vcpus_query(VhQmp *qmp, VhVcpusFunc func, gpointer data)
{
    struct query *query = g_new0(struct query, 1);

    query->qmp = qmp;
    query->vcpus = g_array_new(FALSE, TRUE, sizeof(struct vh_vcpu));
    query->func = func;
    query->data = data;
    vh_qmp_command(qmp, "query-cpus-fast", NULL, on_cpus, query);
}
