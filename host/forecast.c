// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps guests and facts as told, and plans for them.
#include "forecast.h"

#include <string.h>

#include "error.h"
#include "hint-encode.h"
#include "policy.h"
#include "survey.h"

struct member {
    struct vh_forecast_guest *told; /* as it is now */
    GArray *first;                  /* struct vh_forecast_vcpu: as it was when it came */
    VhGuestPolicy *policy;
    VhRules *rules;
    VhFacts *facts;
    struct vh_cpu_map map;
    struct vh_wish *wishes;
    struct vh_forecast_vcpu emulator; /* where the last plan has it */
    GHashTable *complained;           /* of rules' misfits, texts */
};

struct VhForecast {
    VhPolicy *policy;
    const struct vh_topology *topology;
    GPtrArray *members; /* struct member, oldest first */
    GPtrArray *lines;   /* struct vh_forecast_line */
    GPtrArray *problems;
    VhSurvey *survey;
    gint64 next;
    bool steps;
};

/* ---- guests ---- */

static void member_free(gpointer data)
{
    struct member *member = data;

    vh_forecast_guest_free(member->told);
    g_array_unref(member->first);
    vh_rules_free(member->rules);
    vh_guest_policy_free(member->policy);
    vh_facts_free(member->facts);
    g_free(member->wishes);
    g_hash_table_unref(member->complained);
    g_free(member);
}

static void line_free(gpointer data)
{
    struct vh_forecast_line *line = data;

    g_free(line->guest);
    g_free(line->thread);
    g_free(line->reason);
    g_free(line);
}

VhForecast *vh_forecast_new(VhPolicy *policy, const struct vh_topology *topology)
{
    VhForecast *forecast = g_new0(VhForecast, 1);

    forecast->policy = vh_policy_ref(policy);
    forecast->topology = topology;
    forecast->members = g_ptr_array_new_with_free_func(member_free);
    forecast->lines = g_ptr_array_new_with_free_func(line_free);
    forecast->problems = g_ptr_array_new_with_free_func(g_free);
    forecast->survey = vh_survey_new();
    forecast->next = -1;
    return forecast;
}

void vh_forecast_free(VhForecast *forecast)
{
    if (!forecast)
        return;
    vh_survey_free(forecast->survey);
    g_ptr_array_unref(forecast->members);
    g_ptr_array_unref(forecast->lines);
    g_ptr_array_unref(forecast->problems);
    vh_policy_unref(forecast->policy);
    g_free(forecast);
}

static struct member *find(const VhForecast *forecast, const char *name)
{
    for (guint i = 0; i < forecast->members->len; i++) {
        struct member *member = g_ptr_array_index(forecast->members, i);

        if (g_str_equal(member->told->name, name))
            return member;
    }
    return NULL;
}

static struct member *member_new(VhForecast *forecast, const struct vh_forecast_guest *guest)
{
    struct member *member = g_new0(struct member, 1);

    member->told = vh_forecast_guest_copy(guest);
    member->first = g_array_copy(guest->vcpus);
    member->facts = vh_facts_new();
    member->rules = vh_rules_new();
    member->complained = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    member->policy =
        vh_policy_for(forecast->policy, &(struct vh_guest_id){guest->name, guest->uuid, guest->profile});
    vh_rules_set(member->rules, member->policy);
    g_ptr_array_add(forecast->members, member);
    return member;
}

static const struct vh_forecast_vcpu *vcpu_of(const GArray *vcpus, unsigned index)
{
    for (guint i = 0; i < vcpus->len; i++)
        if (g_array_index(vcpus, struct vh_forecast_vcpu, i).index == index)
            return &g_array_index(vcpus, struct vh_forecast_vcpu, i);
    return NULL;
}

/* What was placed stays as planned; a vCPU that is new is held to nothing. */
static void keep_places(struct vh_forecast_guest *now, const struct vh_forecast_guest *before)
{
    for (guint i = 0; i < now->vcpus->len; i++) {
        struct vh_forecast_vcpu *vcpu = &g_array_index(now->vcpus, struct vh_forecast_vcpu, i);
        const struct vh_forecast_vcpu *known = vcpu_of(before->vcpus, vcpu->index);

        vcpu->held = known && known->held;
        if (vcpu->held)
            vcpu->held_to = known->held_to;
    }
}

void vh_forecast_tell(VhForecast *forecast, const struct vh_forecast_guest *guest)
{
    struct member *member = find(forecast, guest->name);

    if (!member) {
        member = member_new(forecast, guest);
    } else {
        struct vh_forecast_guest *now = vh_forecast_guest_copy(guest);

        if (*guest->boot_id && *member->told->boot_id && !g_str_equal(guest->boot_id, member->told->boot_id))
            vh_facts_clear(member->facts);
        keep_places(now, member->told);
        vh_forecast_guest_free(member->told);
        member->told = now;
    }
    memset(&member->map, 0, sizeof(member->map));
    for (guint i = 0; i < guest->vcpus->len; i++) {
        int cpu = g_array_index(guest->vcpus, struct vh_forecast_vcpu, i).guest_cpu;

        if (cpu < 0 || cpu >= (int)VH_CPUS_MAX)
            continue;
        member->map.count = MAX(member->map.count, (uint32_t)cpu + 1);
        member->map.cpus[cpu].known = true;
        member->map.cpus[cpu].online = true;
        member->map.cpus[cpu].vcpu = (int)i;
    }
    g_free(member->wishes);
    member->wishes = g_new0(struct vh_wish, guest->vcpus->len + 1);
}

void vh_forecast_leave(VhForecast *forecast, const char *name)
{
    struct member *member = find(forecast, name);

    if (member)
        g_ptr_array_remove(forecast->members, member);
}

void vh_forecast_forget(VhForecast *forecast, const char *name)
{
    struct member *member = find(forecast, name);

    if (member)
        vh_facts_clear(member->facts);
}

/* ---- hints ---- */

/* The number that tells its facts from those of others; -1: nobody knows such a program. */
static int find_program(const VhForecast *forecast, const char *name)
{
    for (guint i = 0; i < forecast->policy->programs->len; i++) {
        const struct vh_policy_program *program = g_ptr_array_index(forecast->policy->programs, i);

        if (program->object && (g_str_equal(program->object->name, name) || g_str_equal(program->name, name)))
            return (int)i;
    }
    return -1;
}

static const struct vh_kind *find_kind(const VhObject *object, const char *name)
{
    for (guint i = 0; i < object->kind_count; i++)
        if (g_str_equal(object->kinds[i].name, name))
            return &object->kinds[i];
    return NULL;
}

static void note_misfit(struct member *member)
{
    char *misfit = vh_rules_misfit(member->rules);

    if (misfit)
        g_hash_table_add(member->complained, misfit);
}

int vh_forecast_hint(VhForecast *forecast, const struct vh_forecast_hint *hint, gint64 now, GError **error)
{
    struct member *member = find(forecast, hint->guest);
    int program = find_program(forecast, hint->program);
    const struct vh_kind *kind = NULL;
    g_autofree uint8_t *record = NULL;
    struct vh_hint head;
    bool event = false;
    int result = 0;

    if (!member) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "guest \"%s\" has not been told of", hint->guest);
        return -1;
    }
    if (program < 0)
        return 0;
    const VhObject *object =
        ((const struct vh_policy_program *)g_ptr_array_index(forecast->policy->programs, program))->object;
    kind = find_kind(object, hint->kind);
    if (!kind) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "program %s (%s) has no kind of hint \"%s\"",
                    hint->program, object->version, hint->kind);
        return -1;
    }
    record = vh_hint_encode(kind, &(struct vh_encoded){.gone = hint->gone, .key_size = hint->key_size},
                            hint->fields, error);
    if (!record) {
        g_prefix_error(error, "hint %s of %s: ", hint->kind, hint->program);
        return -1;
    }
    memcpy(&head, record, sizeof(head));
    result = vh_facts_take(member->facts, (uint32_t)program, kind, &head, record);
    if (!hint->gone)
        vh_rules_see(member->rules, kind, record, result > 0 || !head.key_size, &member->map, now, &event, NULL,
                     NULL);
    note_misfit(member);
    return 1;
}

/* ---- plans ---- */

gint64 vh_forecast_next(const VhForecast *forecast)
{
    return forecast->next;
}

void vh_forecast_by_steps(VhForecast *forecast, bool steps)
{
    forecast->steps = steps;
}

const struct vh_cpuset *vh_forecast_reserve(const VhForecast *forecast)
{
    return &forecast->policy->reserve;
}

const GPtrArray *vh_forecast_problems(const VhForecast *forecast)
{
    return forecast->problems;
}

static void survey_member(VhForecast *forecast, struct member *member, gint64 now)
{
    const struct vh_forecast_guest *told = member->told;
    g_autofree const struct vh_cpuset **held = g_new0(const struct vh_cpuset *, told->vcpus->len + 1);
    gint64 next =
        vh_rules_wishes(member->rules, member->facts, &member->map, now, member->wishes, told->vcpus->len);

    unsigned near_count = 0;
    const struct vh_near *nears = vh_rules_nears(member->rules, &near_count);

    note_misfit(member);
    if (next >= 0 && (forecast->next < 0 || next < forecast->next))
        forecast->next = next;
    for (guint i = 0; i < told->vcpus->len; i++) {
        const struct vh_forecast_vcpu *vcpu = &g_array_index(told->vcpus, struct vh_forecast_vcpu, i);

        /* A place on another host than this means nothing here. */
        if (vcpu->held && vh_cpuset_within(&vcpu->held_to, &forecast->topology->online))
            held[i] = &vcpu->held_to;
    }
    vh_survey_add(forecast->survey,
                  &(struct vh_survey_guest){.name = told->name,
                                            .options = &member->policy->placement,
                                            .memory_nodes = told->nodes_known ? &told->nodes : NULL,
                                            .wishes = member->wishes,
                                            .now = held,
                                            .vcpus = told->vcpus->len,
                                            .nears = nears,
                                            .near_count = near_count});
}

static char *reason_of(const VhForecast *forecast, unsigned guest, unsigned thread, const struct vh_wish *wish)
{
    g_autofree char *reason = vh_survey_reason(forecast->survey, guest, thread);

    if (!wish || (!wish->tried && !wish->boost))
        return g_steal_pointer(&reason);
    if (!wish->boost)
        return g_strdup_printf("%s; on trial", reason);
    return g_strdup_printf("%s; %sboosted by %s (rule %s)%s", reason, wish->tried ? "on trial; " : "",
                           vh_boost_names[wish->boost->boost], wish->boost->name,
                           wish->boost->trial ? ", on trial" : "");
}

/* Sets what the line says of before and after, and whether they differ. */
static void compare(struct vh_forecast_line *line, const struct vh_forecast_vcpu *before,
                    const struct vh_cpuset *planned)
{
    line->held = before && before->held;
    if (line->held)
        line->before = before->held_to;
    line->would = planned != NULL;
    if (planned)
        line->planned = *planned;
    line->changes = line->held != line->would || (line->held && !vh_cpuset_equal(&line->before, &line->planned));
}

static void add_lines(VhForecast *forecast, const struct vh_plan *plan, unsigned number)
{
    struct member *member = g_ptr_array_index(forecast->members, number);
    GArray *vcpus = member->told->vcpus;

    for (unsigned thread = 0; thread <= vcpus->len; thread++) {
        const struct vh_cpuset *planned = vh_plan_set(plan, vh_plan_thread(plan, number, thread));
        struct vh_forecast_vcpu *vcpu =
            thread < vcpus->len ? &g_array_index(vcpus, struct vh_forecast_vcpu, thread) : NULL;
        struct vh_forecast_vcpu *last = vcpu ? vcpu : &member->emulator;
        struct vh_forecast_line *line = NULL;

        if (!vcpu && !planned && !last->held)
            continue;
        line = g_new0(struct vh_forecast_line, 1);
        line->guest = g_strdup(member->told->name);
        line->vcpu = vcpu ? (int)vcpu->index : -1;
        line->thread = vcpu ? g_strdup_printf("vCPU %u", vcpu->index) : g_strdup("emulator");
        line->reason = reason_of(forecast, number, thread, vcpu ? &member->wishes[thread] : NULL);
        compare(line, forecast->steps ? last : vcpu ? vcpu_of(member->first, vcpu->index) : NULL, planned);
        g_ptr_array_add(forecast->lines, line);
        last->held = planned != NULL;
        if (planned)
            last->held_to = *planned;
    }
}

const GPtrArray *vh_forecast_plan(VhForecast *forecast, gint64 now)
{
    const struct vh_plan *plan = NULL;

    forecast->next = -1;
    g_ptr_array_set_size(forecast->lines, 0);
    g_ptr_array_set_size(forecast->problems, 0);
    vh_survey_begin(forecast->survey, forecast->topology, &forecast->policy->reserve);
    for (guint i = 0; i < forecast->members->len; i++)
        survey_member(forecast, g_ptr_array_index(forecast->members, i), now);
    plan = vh_survey_plan(forecast->survey);
    for (guint i = 0; i < plan->problem_count; i++)
        g_ptr_array_add(forecast->problems, vh_survey_problem(forecast->survey, i));
    for (guint i = 0; i < forecast->members->len; i++) {
        const struct member *member = g_ptr_array_index(forecast->members, i);
        GHashTableIter iter;
        gpointer text = NULL;

        add_lines(forecast, plan, i);
        g_hash_table_iter_init(&iter, member->complained);
        while (g_hash_table_iter_next(&iter, &text, NULL))
            g_ptr_array_add(forecast->problems,
                            g_strdup_printf("guest \"%s\": %s", member->told->name, (char *)text));
    }
    return forecast->lines;
}
