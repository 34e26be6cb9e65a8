// SPDX-License-Identifier: GPL-2.0-or-later
// Learns a guest's vCPUs through QMP and joins them with the guest's own CPU numbers.
#include "qemu/vcpus.h"

#include "base/json.h"
#include "machine/tid.h"

/* One query under way: query-cpus-fast, then one qom-get per vCPU. */
struct query {
    VhQmp *qmp;
    GArray *vcpus;
    struct vh_thread_id process; /* that their threads are of */
    unsigned left;               /* replies to come */
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
    query->func(vcpus, error ? NULL : &query->process, error, query->data);
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

/* What the process is called, for people. g_free() it. */
static char *name_of(const struct vh_thread_id *process)
{
    struct vh_tid_stat stat;

    if (vh_tid_stat("/proc", process->process, process->thread, &stat) < 0)
        return g_strdup_printf("process %d", process->process);
    return g_strdup_printf("process %d (%s)", process->process, stat.name);
}

static char *stranger_text(const struct query *query, pid_t thread)
{
    g_autofree char *name = name_of(&query->process);

    if (vh_qmp_has_road(query->qmp))
        return g_strdup_printf("the monitor names thread %d, which is not one of %s, as which "
                               "libvirt runs the domain: it is left alone",
                               thread, name);
    return g_strdup_printf("the monitor names thread %d, which is not one of %s that serves the "
                           "monitor: let vhintd connect to QEMU's own socket",
                           thread, name);
}

/* Notes which threads those are, of the process that answers. Returns whether the vCPU has one;
 * sets
 * `*problem` if it is somebody else's. g_free() that. */
static bool judge_thread(const struct query *query, struct vh_vcpu *vcpu, char **problem)
{
    struct vh_thread_id id;

    if (vh_tid_identify("/proc", query->process.process, vcpu->thread, &id) == 0) {
        vcpu->start = id.start;
        return true;
    }
    if (vh_tid_process(vcpu->thread))
        *problem = stranger_text(query, vcpu->thread);
    return false;
}

static bool is_known(const GArray *vcpus, unsigned index)
{
    for (guint i = 0; i < vcpus->len; i++)
        if (g_array_index(vcpus, struct vh_vcpu, i).index == index)
            return true;
    return false;
}

/* Takes one entry of the list, and its path. NULL, or what is wrong with it; g_free() that. */
static char *take_cpu(struct query *query, JsonObject *cpu, GPtrArray *paths)
{
    const char *path = vh_json_member_text(cpu, "qom-path", NULL);
    gint64 index = vh_json_member_int(cpu, "cpu-index", 0, VH_VCPU_INDEX_MAX, -1);
    gint64 thread = vh_json_member_int(cpu, "thread-id", 1, G_MAXINT32, 0);
    struct vh_vcpu vcpu = {.index = (unsigned)index, .thread = (pid_t)thread, .apic_id = -1};
    char *problem = NULL;

    if (!path || index < 0 || !thread)
        return NULL;
    if (is_known(query->vcpus, vcpu.index))
        return g_strdup_printf("the monitor names vCPU %u twice", vcpu.index);
    if (judge_thread(query, &vcpu, &problem)) {
        g_array_append_val(query->vcpus, vcpu);
        g_ptr_array_add(paths, g_strdup(path));
    }
    return problem;
}

/* NULL, or what is wrong with the answer; g_free() that. */
static char *take_cpus(struct query *query, JsonArray *list, GPtrArray *paths)
{
    query->process = vh_qmp_peer(query->qmp);
    if (!query->process.thread)
        return g_strdup("it is not known which process serves the monitor, so that its vCPUs are "
                        "left alone: QEMU has to be in vhintd's PID namespace");
    for (guint i = 0; i < vh_json_length(list) && i < VH_CPUS_MAX; i++) {
        char *problem = take_cpu(query, vh_json_object(vh_json_element(list, i)), paths);

        if (problem)
            return problem;
    }
    if (vh_tid_check("/proc", &query->process) < 0)
        return g_strdup("the process that served the monitor is gone");
    return NULL;
}

static void on_cpus(JsonNode *result, const char *error, gpointer data)
{
    struct query *query = data;
    JsonArray *list = vh_json_array(result);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *problem = NULL;

    if (!list) {
        finish(query, result ? "query-cpus-fast did not return a list" : error);
        return;
    }
    problem = take_cpus(query, list, paths);
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
