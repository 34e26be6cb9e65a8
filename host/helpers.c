// SPDX-License-Identifier: GPL-2.0-or-later
// Takes emulator, IOThreads and vhost workers from the plan to the actuator.
#include "helpers.h"

/* The plan's number of each thread in turn: `at` begins as zeros. */
struct numbering {
    unsigned iothreads, vhosts;
};

static unsigned next_number(const VhGuest *guest, const struct vh_thread *thread, struct numbering *at)
{
    struct vh_placement_guest shape = {0};

    vh_guest_vcpus(guest, &shape.vcpus);
    vh_helpers_count(guest, &shape.iothreads, &shape.vhosts);
    switch (thread->kind) {
    case VH_THREAD_IOTHREAD:
        return vh_placement_iothread(&shape, at->iothreads++);
    case VH_THREAD_VHOST:
        return vh_placement_vhost(&shape, at->vhosts++);
    default:
        return vh_placement_emulator(&shape);
    }
}

static unsigned role_of(const struct vh_thread *thread)
{
    return thread->kind == VH_THREAD_IOTHREAD ? VH_TARGET_IOTHREAD
           : thread->kind == VH_THREAD_VHOST  ? VH_TARGET_VHOST
                                              : VH_TARGET_EMULATOR;
}

bool vh_helpers_placed(const VhGuest *guest)
{
    const VhGuestPolicy *policy = vh_guest_policy(guest);

    return policy && (policy->placement.emulator.where != VH_WHERE_FREE ||
                      policy->placement.iothreads.where != VH_WHERE_FREE ||
                      policy->placement.vhosts.where != VH_WHERE_FREE || policy->placement.dedicated);
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

void vh_helpers_want(VhActuate *actuate, const VhGuest *guest, unsigned number, const struct vh_plan *plan)
{
    struct numbering at = {0};
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);
    bool touched = false;

    for (unsigned i = 0; i < count && !touched; i++)
        touched = vh_actuate_setting(actuate, threads[i].thread) != NULL;
    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = {vh_guest_config(guest)->name, role_of(&threads[i]), threads[i].thread};
        unsigned position = next_number(guest, &threads[i], &at);
        union vh_setting setting;
        const struct vh_cpuset *cpus = plan ? vh_plan_set(plan, vh_plan_thread(plan, number, position)) : NULL;

        if (cpus)
            setting.cpus = *cpus;
        /* One that came since has inherited what its maker was held to: it is to be put back like that one. */
        if (cpus || touched)
            vh_actuate_want(actuate, &target, number, position, cpus ? &setting : NULL);
    }
}

static GVariant *describe_one(const VhActuate *actuate, const struct vh_thread *thread,
                              const struct vh_placed *placed, bool held, const char *why)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    struct vh_cpuset allowed;
    bool applied = vh_actuate_setting(actuate, thread->thread) != NULL;
    bool wanted = !held && (placed->set >= 0 || placed->reason == VH_REASON_NO_CPU);
    g_autofree char *host_cpus =
        vh_thread_cpus(thread->thread, &allowed) ? vh_cpuset_format(&allowed) : g_strdup("");
    g_autofree char *name = g_utf8_make_valid(thread->name, -1);
    g_autofree char *former = NULL;
    const char *problem = NULL;

    vh_actuate_describe(actuate, thread->thread, &former, &problem);
    g_variant_dict_insert(&dict, "role", "s", vh_thread_kind_text(thread->kind));
    g_variant_dict_insert(&dict, "name", "s", name);
    g_variant_dict_insert(&dict, "thread", "i", (gint32)thread->thread);
    g_variant_dict_insert(&dict, "host_cpus", "s", host_cpus);
    g_variant_dict_insert(&dict, "former", "s", former);
    g_variant_dict_insert(&dict, "state", "s", applied ? "pinned" : wanted ? "wanted" : "floating");
    g_variant_dict_insert(&dict, "reason", "s", *problem ? problem : why);
    return g_variant_dict_end(&dict);
}

GVariant *vh_helpers_describe(const VhActuate *actuate, const VhGuest *guest, unsigned number,
                              const VhSurvey *survey, const struct vh_plan *plan, bool held)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    struct numbering at = {0};
    unsigned count = 0;
    const struct vh_thread *threads = vh_guest_helpers(guest, &count);

    for (unsigned i = 0; i < count; i++) {
        unsigned position = next_number(guest, &threads[i], &at);
        g_autofree char *reason =
            held ? g_strdup("released by hand until resumed") : vh_survey_reason(survey, number, position);

        g_variant_builder_add_value(
            &builder, describe_one(actuate, &threads[i], vh_plan_thread(plan, number, position), held, reason));
    }
    return g_variant_builder_end(&builder);
}
