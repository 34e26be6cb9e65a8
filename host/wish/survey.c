// SPDX-License-Identifier: GPL-2.0-or-later
// Turns vCPUs' wishes into sets of anchors and groups, and the sets that threads are held to into
// places.
#include "wish/survey.h"

#include <string.h>

/* Where a guest's share of the arrays begins; pointers follow once they do not grow any more. */
struct share {
    guint vcpus;  /* in `wishes` and `now` */
    guint groups; /* in `groups` */
};

struct VhSurvey {
    const struct vh_topology *topology;
    const struct vh_cpuset *reserved;
    GArray *guests;  /* struct vh_placement_guest */
    GArray *shares;  /* struct share, one for each guest */
    GArray *anchors; /* struct vh_mask, one for each guest */
    GArray *groups;  /* struct vh_mask */
    GArray *wishes;  /* struct vh_wish */
    GArray *now;     /* struct vh_placed */
    GArray *left;    /* struct vh_placement_left */
    const uint16_t *load;
    bool seeks;
    struct vh_placement_input input;
    struct vh_plan *plan;
};

VhSurvey *vh_survey_new(void)
{
    VhSurvey *survey = g_new0(VhSurvey, 1);

    survey->guests = g_array_new(FALSE, TRUE, sizeof(struct vh_placement_guest));
    survey->shares = g_array_new(FALSE, TRUE, sizeof(struct share));
    survey->anchors = g_array_new(FALSE, TRUE, sizeof(struct vh_mask));
    survey->groups = g_array_new(FALSE, TRUE, sizeof(struct vh_mask));
    survey->wishes = g_array_new(FALSE, TRUE, sizeof(struct vh_wish));
    survey->now = g_array_new(FALSE, TRUE, sizeof(struct vh_placed));
    survey->left = g_array_new(FALSE, TRUE, sizeof(struct vh_placement_left));
    return survey;
}

void vh_survey_free(VhSurvey *survey)
{
    if (!survey)
        return;
    g_array_unref(survey->guests);
    g_array_unref(survey->shares);
    g_array_unref(survey->anchors);
    g_array_unref(survey->groups);
    g_array_unref(survey->wishes);
    g_array_unref(survey->now);
    g_array_unref(survey->left);
    vh_plan_free(survey->plan);
    g_free(survey);
}

void vh_survey_begin(VhSurvey *survey, const struct vh_topology *topology,
                     const struct vh_cpuset *reserved)
{
    survey->reserved = reserved;
    survey->load = NULL;
    survey->seeks = false;
    survey->topology = topology;
    g_array_set_size(survey->guests, 0);
    g_array_set_size(survey->shares, 0);
    g_array_set_size(survey->anchors, 0);
    g_array_set_size(survey->groups, 0);
    g_array_set_size(survey->wishes, 0);
    g_array_set_size(survey->now, 0);
    g_array_set_size(survey->left, 0);
    g_clear_pointer(&survey->plan, vh_plan_free);
}

static void add_vcpu(VhSurvey *survey, const struct share *share, struct vh_mask *anchors,
                     unsigned vcpu, const struct vh_wish *wish, const struct vh_cpuset *now)
{
    struct vh_placed placed = {.level = VH_LEVEL_NONE, .cpu = -1, .set = -1};

    if (now)
        placed = vh_placed_now(survey->topology, now);
    g_array_append_val(survey->now, placed);
    g_array_append_val(survey->wishes, *wish);
    if (wish->kind == VH_WISH_ANCHOR)
        vh_mask_add(anchors, vcpu);
    survey->seeks = survey->seeks || (wish->kind == VH_WISH_ANCHOR && placed.level != VH_LEVEL_CPU);
    if (wish->kind == VH_WISH_NONE || wish->group == 0)
        return;
    if (share->groups + wish->group > survey->groups->len)
        g_array_set_size(survey->groups, share->groups + wish->group);
    vh_mask_add(&g_array_index(survey->groups, struct vh_mask, share->groups + wish->group - 1),
                vcpu);
}

/* Makes groups of what is to be near; a vCPU that nothing else places is placed with its. */
static void add_nears(VhSurvey *survey, const struct share *share,
                      const struct vh_survey_guest *guest)
{
    g_autofree struct vh_near *nears = g_memdup2(guest->nears, guest->near_count * sizeof(*nears));
    unsigned room = vh_near_room(survey->topology, &guest->options->pool, survey->reserved);
    unsigned count = 0;

    for (unsigned i = 0; i < guest->near_count; i++)
        for (unsigned v = 0; guest->off && v < guest->vcpus; v++)
            if (vh_mask_has(guest->off, v))
                vh_mask_del(&nears[i].vcpus, v);
    count = vh_near_join(nears, guest->near_count, room);
    for (unsigned i = 0; i < count; i++) {
        const struct vh_rule *rule = nears[i].by;

        g_array_append_val(survey->groups, nears[i].vcpus);
        for (unsigned v = 0; v < guest->vcpus; v++) {
            struct vh_wish *wish = &g_array_index(survey->wishes, struct vh_wish, share->vcpus + v);

            if (!vh_mask_has(&nears[i].vcpus, v) || wish->kind != VH_WISH_NONE)
                continue;
            wish->kind = VH_WISH_GROUP;
            wish->group = survey->groups->len - share->groups;
            wish->rule = rule;
            wish->tried = rule->trial ? rule : NULL;
        }
    }
}

void vh_survey_add(VhSurvey *survey, const struct vh_survey_guest *guest)
{
    struct share share = {.vcpus = survey->wishes->len, .groups = survey->groups->len};
    struct vh_mask anchors = {{0}};
    struct vh_placement_guest entry = {.name = guest->name,
                                       .options = guest->options,
                                       .memory_nodes = guest->memory_nodes,
                                       .vcpus = guest->vcpus,
                                       .iothreads = guest->iothreads,
                                       .vhosts = guest->vhosts,
                                       .current_count = guest->vcpus};

    for (unsigned v = 0; v < guest->vcpus; v++)
        add_vcpu(survey, &share, &anchors, v, &guest->wishes[v], guest->now[v]);
    if (guest->near_count)
        add_nears(survey, &share, guest);
    entry.group_count = survey->groups->len - share.groups;
    g_array_append_val(survey->guests, entry);
    g_array_append_val(survey->shares, share);
    g_array_append_val(survey->anchors, anchors);
}

void vh_survey_left(VhSurvey *survey, int guest, const struct vh_cpuset *now)
{
    struct vh_placed placed = vh_placed_now(survey->topology, now);
    struct vh_placement_left left = {.cpu = placed.cpu, .guest = guest};

    if (placed.level == VH_LEVEL_CPU)
        g_array_append_val(survey->left, left);
}

bool vh_survey_seeks(const VhSurvey *survey)
{
    return survey->seeks;
}

void vh_survey_set_load(VhSurvey *survey, const uint16_t *load)
{
    survey->load = load;
}

const struct vh_plan *vh_survey_plan(VhSurvey *survey)
{
    struct vh_placement_guest *guests = (struct vh_placement_guest *)(gpointer)survey->guests->data;

    for (guint g = 0; g < survey->guests->len; g++) {
        const struct share *share = &g_array_index(survey->shares, struct share, g);

        guests[g].anchors = &g_array_index(survey->anchors, struct vh_mask, g);
        /* An array without elements has no data to point into. */
        if (survey->groups->len)
            guests[g].groups =
                (const struct vh_mask *)(gconstpointer)survey->groups->data + share->groups;
        if (survey->now->len)
            guests[g].current =
                (const struct vh_placed *)(gconstpointer)survey->now->data + share->vcpus;
    }
    survey->input = (struct vh_placement_input){.topology = survey->topology,
                                                .reserved = survey->reserved,
                                                .load = survey->load,
                                                .guests = guests,
                                                .guest_count = survey->guests->len,
                                                .left = (gconstpointer)survey->left->data,
                                                .left_count = survey->left->len};
    vh_plan_free(survey->plan);
    survey->plan = vh_placement_plan(&survey->input);
    return survey->plan;
}

const struct vh_wish *vh_survey_wish(const VhSurvey *survey, unsigned guest, unsigned vcpu)
{
    const struct share *share = &g_array_index(survey->shares, struct share, guest);

    return &g_array_index(survey->wishes, struct vh_wish, share->vcpus + vcpu);
}

const struct vh_wish *vh_survey_wishes(const VhSurvey *survey, unsigned guest, unsigned *count)
{
    const struct share *share = &g_array_index(survey->shares, struct share, guest);

    *count = survey->input.guests[guest].vcpus;
    return (const struct vh_wish *)(gconstpointer)survey->wishes->data + share->vcpus;
}

void vh_survey_place(const VhSurvey *survey, unsigned guest, unsigned thread,
                     struct vh_place *place)
{
    vh_place_take(place, &survey->input, survey->plan, guest, thread);
}

char *vh_survey_words(const char *wished, const struct vh_place *place)
{
    g_autofree char *placed = NULL;

    if (wished && place->reason == VH_REASON_NONE)
        return g_strdup(wished);
    placed = vh_place_text(place);
    return wished ? g_strdup_printf("%s; %s", wished, placed) : g_steal_pointer(&placed);
}

char *vh_survey_reason(const VhSurvey *survey, unsigned guest, unsigned thread)
{
    g_auto(VhPlace) place = {0};
    g_autofree char *wished = NULL;

    if (thread < survey->input.guests[guest].vcpus)
        wished = vh_wish_text(vh_survey_wish(survey, guest, thread));
    vh_survey_place(survey, guest, thread, &place);
    return vh_survey_words(wished, &place);
}

char *vh_survey_reason_of(const VhSurvey *survey, const struct vh_placed *placed)
{
    const struct vh_plan *plan = survey->plan;
    unsigned place = (unsigned)(placed - plan->threads);
    unsigned low = 0;
    unsigned high = plan->guest_count;

    g_assert(place < plan->thread_count);
    while (low + 1 < high) {
        unsigned middle = (low + high) / 2;

        if (plan->first[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    return vh_survey_reason(survey, low, place - plan->first[low]);
}

char *vh_survey_problem(const VhSurvey *survey, unsigned index)
{
    return vh_problem_text(&survey->input, survey->plan, &survey->plan->problems[index]);
}
