// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps guests and facts as told.
#include <string.h>

#include "base/error.h"
#include "forecast/state.h"
#include "hint/encode.h"

/* ---- guests ---- */

static void member_free(gpointer data)
{
    struct vh_forecast_member *member = data;

    vh_forecast_guest_free(member->told);
    vh_forecast_guest_free(member->first);
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

static struct vh_forecast_member *find(const VhForecast *forecast, const char *name)
{
    for (guint i = 0; i < forecast->members->len; i++) {
        struct vh_forecast_member *member = g_ptr_array_index(forecast->members, i);

        if (g_str_equal(member->told->name, name))
            return member;
    }
    return NULL;
}

static struct vh_forecast_member *member_new(VhForecast *forecast,
                                             const struct vh_forecast_guest *guest)
{
    struct vh_forecast_member *member = g_new0(struct vh_forecast_member, 1);

    member->told = vh_forecast_guest_copy(guest);
    member->first = vh_forecast_guest_copy(guest);
    member->facts = vh_facts_new();
    member->rules = vh_rules_new();
    member->complained = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    member->policy = vh_policy_for(
        forecast->policy, &(struct vh_guest_id){guest->title, guest->uuid, guest->profile});
    vh_rules_set(member->rules, member->policy);
    g_ptr_array_add(forecast->members, member);
    return member;
}

const struct vh_forecast_vcpu *vh_forecast_vcpu_of(const GArray *vcpus, unsigned index)
{
    for (guint i = 0; i < vcpus->len; i++)
        if (g_array_index(vcpus, struct vh_forecast_vcpu, i).index == index)
            return &g_array_index(vcpus, struct vh_forecast_vcpu, i);
    return NULL;
}

static bool same_name(const struct vh_forecast_thread *a, const struct vh_forecast_thread *b)
{
    return a->vhost == b->vhost && g_str_equal(a->name, b->name);
}

const struct vh_forecast_thread *vh_forecast_thread_of(const struct vh_forecast_guest *other,
                                                       const struct vh_forecast_guest *own,
                                                       guint position)
{
    const struct vh_forecast_thread *threads =
        (const struct vh_forecast_thread *)(void *)own->threads->data;
    unsigned skip = 0;

    for (guint i = 0; i < position; i++)
        skip += same_name(&threads[i], &threads[position]);
    for (guint i = 0; i < other->threads->len; i++) {
        const struct vh_forecast_thread *known =
            &g_array_index(other->threads, struct vh_forecast_thread, i);

        if (same_name(known, &threads[position]) && !skip--)
            return known;
    }
    return NULL;
}

/* What was placed stays as planned; a vCPU that is new is held to nothing. */
static void keep_places(struct vh_forecast_guest *now, const struct vh_forecast_guest *before)
{
    for (guint i = 0; i < now->vcpus->len; i++) {
        struct vh_forecast_vcpu *vcpu = &g_array_index(now->vcpus, struct vh_forecast_vcpu, i);
        const struct vh_forecast_vcpu *known = vh_forecast_vcpu_of(before->vcpus, vcpu->index);

        vcpu->held = known && known->held;
        if (vcpu->held)
            vcpu->held_to = known->held_to;
    }
    for (guint i = 0; i < now->threads->len; i++) {
        struct vh_forecast_thread *thread =
            &g_array_index(now->threads, struct vh_forecast_thread, i);
        const struct vh_forecast_thread *known = vh_forecast_thread_of(before, now, i);

        thread->held = known && known->held;
        if (thread->held)
            thread->held_to = known->held_to;
    }
    now->emulator_held = before->emulator_held;
    now->emulator_to = before->emulator_to;
}

void vh_forecast_tell(VhForecast *forecast, const struct vh_forecast_guest *guest)
{
    struct vh_forecast_member *member = find(forecast, guest->name);

    if (!member) {
        member = member_new(forecast, guest);
    } else {
        struct vh_forecast_guest *now = vh_forecast_guest_copy(guest);

        if (*guest->boot_id && *member->told->boot_id &&
            !g_str_equal(guest->boot_id, member->told->boot_id))
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
    member->moved = true;
}

bool vh_forecast_knows(const VhForecast *forecast, const char *name)
{
    return find(forecast, name) != NULL;
}

void vh_forecast_leave(VhForecast *forecast, const char *name)
{
    struct vh_forecast_member *member = find(forecast, name);

    if (member)
        g_ptr_array_remove(forecast->members, member);
}

void vh_forecast_forget(VhForecast *forecast, const char *name)
{
    struct vh_forecast_member *member = find(forecast, name);

    if (!member)
        return;
    vh_facts_clear(member->facts);
    member->moved = true;
}

/* ---- hints ---- */

/* The number that tells its facts from those of others; -1: nobody knows such a program. */
static int find_program(const VhForecast *forecast, const char *name)
{
    for (guint i = 0; i < forecast->policy->programs->len; i++) {
        const struct vh_policy_program *program = g_ptr_array_index(forecast->policy->programs, i);

        if (program->object &&
            (g_str_equal(program->object->name, name) || g_str_equal(program->name, name)))
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

void vh_forecast_note_misfit(struct vh_forecast_member *member)
{
    char *misfit = vh_rules_misfit(member->rules);

    if (misfit)
        g_hash_table_add(member->complained, misfit);
}

int vh_forecast_hint(VhForecast *forecast, const struct vh_forecast_hint *hint, gint64 now,
                     GError **error)
{
    struct vh_forecast_member *member = find(forecast, hint->guest);
    int program = find_program(forecast, hint->program);
    const struct vh_kind *kind = NULL;
    g_autofree uint8_t *record = NULL;
    struct vh_hint head;
    struct vh_seen seen;
    bool event = false;
    int result = 0;

    if (!member) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                    "guest \"%s\" has no line of its own (\"guest\") before this one", hint->guest);
        return -1;
    }
    if (program < 0)
        return 0;
    const VhObject *object =
        ((const struct vh_policy_program *)g_ptr_array_index(forecast->policy->programs, program))
            ->object;
    kind = find_kind(object, hint->kind);
    if (!kind) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                    "program %s (%s) has no kind of hint \"%s\"", hint->program, object->version,
                    hint->kind);
        return -1;
    }
    record =
        vh_hint_encode(kind, &(struct vh_encoded){.gone = hint->gone, .key_size = hint->key_size},
                       hint->fields, error);
    if (!record) {
        g_prefix_error(error, "hint %s of %s: ", hint->kind, hint->program);
        return -1;
    }
    memcpy(&head, record, sizeof(head));
    member->batch += !hint->standing;
    member->moved = member->moved || hint->standing;
    seen = (struct vh_seen){.kind = kind, .record = record};
    result = vh_facts_take(member->facts, (uint32_t)program, kind, &head, record, &seen.fact);
    seen.news = result > 0 || !head.key_size;
    if (!hint->gone)
        vh_rules_see(member->rules, &seen, &member->map, now, &event, NULL, NULL);
    vh_forecast_note_misfit(member);
    return 1;
}
