// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl plan: what a policy would do. Guests and their hints come from a recording, from the
// daemon, or from the configuration's [guest ...] sections; nothing is done to any of them.
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "config/vhintd.h"
#include "ctl/plan.h"
#include "policy/load.h"

/* ---- feeding ---- */

static void step(struct plan *plan)
{
    const GPtrArray *lines = vh_forecast_plan(plan->forecast, plan->now);

    if (plan->ctl->steps)
        vh_plan_show_step(plan, lines);
}

/* Lets time pass until `us`, with what ends by itself on the way. */
static void advance(struct plan *plan, gint64 us)
{
    gint64 next = 0;

    plan->at = NULL;
    while (!plan->pending && (next = vh_forecast_next(plan->forecast)) >= 0 && next <= us) {
        plan->now = MAX(next, plan->now + 1);
        step(plan);
    }
    plan->now = MAX(us, plan->now);
}

static int take_hint(struct plan *plan, const struct vh_forecast_hint *hint, const char *label,
                     unsigned line, GError **error)
{
    g_autoptr(GError) bad = NULL;
    int taken = vh_forecast_hint(plan->forecast, hint, plan->now, &bad);

    if (taken < 0) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "%s:%u: %s", label, line, bad->message);
        return -1;
    }
    if (taken == 0) {
        guint count = GPOINTER_TO_UINT(g_hash_table_lookup(plan->unknown, hint->program));

        g_hash_table_insert(plan->unknown, g_strdup(hint->program), GUINT_TO_POINTER(count + 1));
    }
    return 0;
}

/* One of those that hold says nothing by itself: what they change, all of them do. */
static int take_hint_event(struct plan *plan, const struct vh_event *event, GError **error)
{
    struct vh_forecast_hint hint = event->hint;

    hint.standing = plan->pending > 0;
    if (take_hint(plan, &hint, plan->ctl->replay, event->line, error) < 0)
        return -1;
    if (hint.standing) {
        plan->pending--;
        plan->at = plan->facts;
    }
    return 0;
}

static int take_event(struct plan *plan, const struct vh_event *event, GError **error)
{
    bool known = false;

    advance(plan, event->us);
    plan->at = event;
    switch (event->kind) {
    case VH_EVENT_GUEST:
        known = vh_forecast_knows(plan->forecast, event->guest->name);
        vh_forecast_tell(plan->forecast, event->guest);
        /* The hints of one that is new are told next: before that there is nothing to plan by. */
        if (!known)
            return 0;
        break;
    case VH_EVENT_GONE:
        vh_forecast_leave(plan->forecast, event->name);
        break;
    case VH_EVENT_FACTS:
        vh_forecast_forget(plan->forecast, event->name);
        plan->facts = event;
        plan->pending = event->count;
        break;
    case VH_EVENT_DROPPED:
        g_ptr_array_add(plan->notes,
                        g_strdup_printf("%s:%u: %" G_GUINT64_FORMAT " hints were lost here",
                                        plan->ctl->replay, event->line, event->count));
        return 0;
    case VH_EVENT_HINT:
        if (take_hint_event(plan, event, error) < 0)
            return -1;
        break;
    }
    if (!plan->pending)
        step(plan);
    return 0;
}

static int feed_recording(struct plan *plan, GError **error)
{
    g_autoptr(GError) bad = NULL;
    g_autoptr(GPtrArray) events = NULL;
    g_autofree char *text = NULL;
    gsize len = 0;

    if (vh_file_read(plan->ctl->replay, &text, &len, &bad))
        events = vh_recording_read(plan->ctl->replay, text, len, &bad);
    if (!events) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "%s", bad->message);
        return -1;
    }
    plan->from = plan->ctl->replay;
    for (guint i = 0; i < events->len; i++)
        if (take_event(plan, g_ptr_array_index(events, i), error) < 0)
            return -1;
    return 0;
}

/* The guest's facts as the daemon has them now. */
static int feed_facts(struct plan *plan, const char *guest, GError **error)
{
    g_autoptr(GVariant) answer = vh_ctl_list_hints(plan->ctl, guest, error);
    g_autofree const char **lines = NULL;
    g_autoptr(GPtrArray) events = NULL;
    g_autoptr(GString) text = g_string_new("{\"vhint-recording\":1}\n");

    if (!answer)
        return -1;
    g_variant_get(answer, "(^a&s)", &lines);
    for (guint i = 0; lines[i]; i++) {
        g_autofree char *line = vh_recording_hint(0, lines[i]);

        g_string_append_printf(text, "%s\n", line);
    }
    events = vh_recording_read("the daemon's hints", text->str, text->len, error);
    for (guint i = 0; events && i < events->len; i++) {
        const struct vh_event *event = g_ptr_array_index(events, i);
        struct vh_forecast_hint hint = event->hint;

        hint.standing = true;
        if (take_hint(plan, &hint, "the daemon's hints", event->line, error) < 0)
            return -1;
    }
    return events ? 0 : -1;
}

static int feed_daemon(struct plan *plan, GError **error)
{
    g_autoptr(GVariant) guests = vh_ctl_get_guests(plan->ctl, NULL, error);

    plan->from = "the daemon";
    for (gsize i = 0; guests && i < g_variant_n_children(guests); i++) {
        g_autoptr(GVariant) details = g_variant_get_child_value(guests, i);
        struct vh_forecast_guest *guest = vh_ctl_told_guest(details);
        g_autofree char *name = g_strdup(guest->name);

        vh_forecast_tell(plan->forecast, guest);
        vh_forecast_guest_free(guest);
        if (feed_facts(plan, name, error) < 0)
            return -1;
    }
    return guests ? 0 : -1;
}

/* Guests of the configuration: nobody says how many vCPUs they have, or what they ask for. */
static void feed_configuration(struct plan *plan, const char *main_file)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhConfig) config = vh_config_load(main_file, problems, NULL);

    plan->from = "the configuration";
    for (guint i = 0; config && i < config->guests->len; i++) {
        const struct vh_config_guest *section = g_ptr_array_index(config->guests, i);
        struct vh_forecast_guest *guest = vh_forecast_guest_new(section->name);

        g_free(guest->uuid);
        g_free(guest->profile);
        guest->uuid = g_strdup(section->uuid);
        guest->profile = g_strdup(section->profile);
        for (int v = 0; v < plan->ctl->vcpus; v++) {
            struct vh_forecast_vcpu vcpu = {.index = (unsigned)v, .guest_cpu = v};

            g_array_append_val(guest->vcpus, vcpu);
        }
        vh_forecast_tell(plan->forecast, guest);
        vh_forecast_guest_free(guest);
    }
    g_ptr_array_add(
        plan->notes,
        g_strdup_printf(
            "without a daemon or a recording there are no hints; each guest is taken to have "
            "%d vCPUs (--vcpus)",
            plan->ctl->vcpus));
}

/* ---- the whole ---- */

static VhPolicy *load_policy(const struct vh_ctl *ctl, const struct vh_topology *topology,
                             const char *main_file, GError **error)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    struct vh_policy_place place = {
        .main = main_file, .program_dir = ctl->program_dir, .cpus = &topology->online};
    g_autoptr(VhPolicy) policy = NULL;

    libbpf_set_print(NULL);
    policy = vh_policy_check(&place, problems);
    if (policy)
        return g_steal_pointer(&policy);
    g_ptr_array_add(problems, NULL);
    g_autofree char *all = g_strjoinv("\n  ", (char **)problems->pdata);
    g_set_error(error, VH_CTL_ERROR, VH_EXIT_REFUSED, "the policy has mistakes:\n  %s", all);
    return NULL;
}

static int feed(struct plan *plan, const char *main_file, GError **error)
{
    if (plan->ctl->replay)
        return feed_recording(plan, error);
    if (!plan->ctl->topology) {
        g_autoptr(GError) unreachable = NULL;

        if (vh_ctl_connect(plan->ctl, &unreachable) == 0)
            return feed_daemon(plan, error);
        g_ptr_array_add(plan->notes, g_strdup(unreachable->message));
    }
    feed_configuration(plan, main_file);
    return 0;
}

static void note_unknown(struct plan *plan)
{
    GHashTableIter iter;
    gpointer name = NULL;
    gpointer count = NULL;

    g_hash_table_iter_init(&iter, plan->unknown);
    while (g_hash_table_iter_next(&iter, &name, &count))
        g_ptr_array_add(
            plan->notes,
            g_strdup_printf(
                "%u hints of program %s are left out: neither the policy nor the program "
                "directory (--program-dir) has it",
                GPOINTER_TO_UINT(count), (const char *)name));
}

/* Fills the forecast. The lines of its last plan; NULL and an error. */
static const GPtrArray *make(struct plan *plan, GError **error)
{
    const char *directory = plan->ctl->policy ? plan->ctl->policy : VH_POLICY_DIR;
    g_autofree char *main_file = g_build_filename(directory, "vhint.conf", NULL);
    g_autoptr(VhPolicy) policy = NULL;

    if (!g_file_test(directory, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE,
                    "%s is no directory: name the one that has vhint.conf and policy.d", directory);
        return NULL;
    }
    policy = load_policy(plan->ctl, plan->topology, main_file, error);
    if (!policy)
        return NULL;
    plan->forecast = vh_forecast_new(policy, plan->topology);
    vh_forecast_by_steps(plan->forecast, plan->ctl->steps);
    if (feed(plan, main_file, error) < 0)
        return NULL;
    note_unknown(plan);
    vh_forecast_by_steps(plan->forecast, false);
    return vh_forecast_plan(plan->forecast, plan->now);
}

static void draw(const struct plan *plan, const GPtrArray *lines, VhMap *map)
{
    const char *guest = "";

    for (guint i = 0; i < lines->len; i++) {
        const struct vh_forecast_line *line = g_ptr_array_index(lines, i);

        if (i == 0 || !g_str_equal(line->guest, guest))
            vh_map_add_guest(map, line->guest);
        guest = line->guest;
        vh_map_add_thread(map, &(struct vh_map_thread){.vcpu = line->vcpu,
                                                       .role = line->thread,
                                                       .cpus = line->would ? &line->planned : NULL,
                                                       .why = line->reason});
    }
    vh_map_reserve(map, vh_forecast_reserve(plan->forecast));
}

/* `map`: draw into it and show nothing else; NULL: show the plan. */
static int run(struct vh_ctl *ctl, struct vh_topology *topology, VhMap *map, GError **error)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) unknown = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(JsonBuilder) steps = ctl->steps && ctl->json ? json_builder_new() : NULL;
    struct plan plan = {
        .ctl = ctl, .topology = topology, .notes = notes, .unknown = unknown, .steps = steps};
    const GPtrArray *lines = NULL;
    int code = -1;

    if (steps)
        json_builder_begin_array(steps);
    lines = make(&plan, error);
    if (lines) {
        code = vh_forecast_problems(plan.forecast)->len ? VH_EXIT_UNMET : VH_EXIT_OK;
        if (map)
            draw(&plan, lines, map);
        else if (ctl->json)
            vh_plan_show_json(&plan, lines);
        else
            vh_plan_show_people(&plan, lines);
    }
    vh_forecast_free(plan.forecast);
    return code;
}

int vh_ctl_plan_into(struct vh_ctl *ctl, struct vh_topology *topology, VhMap *map, GError **error)
{
    return run(ctl, topology, map, error);
}

int vh_ctl_plan(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(VhTopology) topology = vh_ctl_topology(ctl, error);

    if (!topology)
        return -1;
    if (ctl->vcpus < 1 || ctl->vcpus > (int)VH_CPUS_MAX) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "--vcpus takes a number from 1 to %u",
                    VH_CPUS_MAX);
        return -1;
    }
    return run(ctl, topology, NULL, error);
}
