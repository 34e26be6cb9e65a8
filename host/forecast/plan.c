// SPDX-License-Identifier: GPL-2.0-or-later
// Plans for guests as told.
#include "forecast/state.h"

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

static unsigned count_vhosts(const struct vh_forecast_guest *guest)
{
    unsigned count = 0;

    for (guint i = 0; i < guest->threads->len; i++)
        count += g_array_index(guest->threads, struct vh_forecast_thread, i).vhost;
    return count;
}

/* As a guest does when a turn ends (guest/guest.c). Returns when to look again; -1: never. */
static gint64 renew(struct vh_forecast_member *member, gint64 now)
{
    gint64 wait = 0;

    if (member->deferred && now < member->deferred && !member->moved)
        return member->deferred;
    member->deferred = 0;
    wait = member->batch ? vh_rules_admit(member->rules, member->batch, now) : 0;
    member->batch = 0;
    if (wait && !member->moved)
        return member->deferred = now + wait;
    member->moved = false;
    return vh_rules_wishes(member->rules, member->facts, &member->map, now, member->wishes,
                           member->told->vcpus->len);
}

static void survey_member(VhForecast *forecast, struct vh_forecast_member *member, gint64 now)
{
    const struct vh_forecast_guest *told = member->told;
    g_autofree const struct vh_cpuset **held =
        g_new0(const struct vh_cpuset *, told->vcpus->len + 1);
    gint64 next = renew(member, now);
    unsigned near_count = 0;
    const struct vh_near *nears = vh_rules_nears(member->rules, &near_count);

    vh_forecast_note_misfit(member);
    if (next >= 0 && (forecast->next < 0 || next < forecast->next))
        forecast->next = next;
    for (guint i = 0; i < told->vcpus->len; i++) {
        const struct vh_forecast_vcpu *vcpu =
            &g_array_index(told->vcpus, struct vh_forecast_vcpu, i);

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
                                            .near_count = near_count,
                                            .iothreads = told->threads->len - count_vhosts(told),
                                            .vhosts = count_vhosts(told)});
}

static char *reason_of(const VhForecast *forecast, unsigned guest, unsigned thread,
                       const struct vh_wish *wish)
{
    g_autofree char *reason = vh_survey_reason(forecast->survey, guest, thread);
    g_autofree char *boost = NULL;

    if (!wish || (!wish->tried && !wish->boost))
        return g_steal_pointer(&reason);
    if (!wish->boost)
        return g_strdup_printf("%s; on trial", reason);
    boost = wish->boost->what.action->explain(wish);
    return g_strdup_printf("%s; %s%s (rule %s)%s", reason, wish->tried ? "on trial; " : "", boost,
                           wish->boost->name, wish->boost->trial ? ", on trial" : "");
}

/* One of a guest's threads: what it was held to when the guest came, and is by the last plan. */
struct seat {
    int vcpu; /* -1: it is none */
    char *name;
    const struct vh_wish *wish; /* NULL: it has none */
    bool first;
    const struct vh_cpuset *first_to;
    bool *held;
    struct vh_cpuset *held_to;
};

/* `thread` is its position in the plan: vCPUs, the emulator, IOThreads, vhost workers. */
static struct seat seat_of(const struct vh_forecast_member *member, unsigned thread)
{
    struct vh_forecast_guest *told = member->told;

    if (thread < told->vcpus->len) {
        struct vh_forecast_vcpu *vcpu =
            &g_array_index(told->vcpus, struct vh_forecast_vcpu, thread);
        const struct vh_forecast_vcpu *first =
            vh_forecast_vcpu_of(member->first->vcpus, vcpu->index);

        return (struct seat){.vcpu = (int)vcpu->index,
                             .name = g_strdup_printf("vCPU %u", vcpu->index),
                             .wish = &member->wishes[thread],
                             .first = first && first->held,
                             .first_to = first ? &first->held_to : NULL,
                             .held = &vcpu->held,
                             .held_to = &vcpu->held_to};
    }
    if (thread > told->vcpus->len) {
        struct vh_forecast_thread *at =
            &g_array_index(told->threads, struct vh_forecast_thread, thread - told->vcpus->len - 1);
        const struct vh_forecast_thread *first =
            vh_forecast_thread_of(member->first, told, thread - told->vcpus->len - 1);

        return (struct seat){.vcpu = -1,
                             .name =
                                 g_strdup_printf("%s%s%s", at->vhost ? "vhost worker" : "IOThread",
                                                 *at->name ? " " : "", at->name),
                             .first = first && first->held,
                             .first_to = first ? &first->held_to : NULL,
                             .held = &at->held,
                             .held_to = &at->held_to};
    }
    return (struct seat){.vcpu = -1,
                         .name = g_strdup("emulator"),
                         .first = member->first->emulator_held,
                         .first_to = &member->first->emulator_to,
                         .held = &told->emulator_held,
                         .held_to = &told->emulator_to};
}

/* Sets what the line says of before and after, and whether they differ. */
static void compare(struct vh_forecast_line *line, bool held, const struct vh_cpuset *before,
                    const struct vh_cpuset *planned)
{
    line->held = held;
    if (line->held)
        line->before = *before;
    line->would = planned != NULL;
    if (planned)
        line->planned = *planned;
    line->changes = line->held != line->would ||
                    (line->held && !vh_cpuset_equal(&line->before, &line->planned));
}

static void add_lines(VhForecast *forecast, const struct vh_plan *plan, unsigned number)
{
    const struct vh_forecast_member *member = g_ptr_array_index(forecast->members, number);
    const struct vh_forecast_guest *told = member->told;

    for (unsigned thread = 0; thread <= told->vcpus->len + told->threads->len; thread++) {
        const struct vh_cpuset *planned = vh_plan_set(plan, vh_plan_thread(plan, number, thread));
        struct seat seat = seat_of(member, thread);
        bool held = forecast->steps ? *seat.held : seat.first;
        struct vh_forecast_line *line = NULL;

        if (seat.vcpu < 0 && !planned && !held && !*seat.held) {
            g_free(seat.name);
            continue;
        }
        line = g_new0(struct vh_forecast_line, 1);
        line->guest = g_strdup(told->name);
        line->vcpu = seat.vcpu;
        line->thread = seat.name;
        line->reason = reason_of(forecast, number, thread, seat.wish);
        compare(line, held, forecast->steps ? seat.held_to : seat.first_to, planned);
        g_ptr_array_add(forecast->lines, line);
        *seat.held = planned != NULL;
        if (planned)
            *seat.held_to = *planned;
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
        const struct vh_forecast_member *member = g_ptr_array_index(forecast->members, i);
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
