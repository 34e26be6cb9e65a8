// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps portraits as long as they are like: round/portrait.h tells how that is known.
#include <string.h>

#include "base/assert.h"
#include "round/standing.h"

void vh_gallery_init(struct vh_gallery *gallery)
{
    gallery->first = g_array_new(FALSE, FALSE, sizeof(unsigned));
    gallery->threads = g_array_new(FALSE, FALSE, sizeof(struct vh_placed));
    gallery->sets = g_array_new(FALSE, FALSE, sizeof(struct vh_cpuset));
    gallery->begins = g_array_new(FALSE, FALSE, sizeof(guint));
    gallery->wishes = g_array_new(FALSE, FALSE, sizeof(struct vh_wish));
}

void vh_gallery_clear(struct vh_gallery *gallery)
{
    g_clear_pointer(&gallery->first, g_array_unref);
    g_clear_pointer(&gallery->threads, g_array_unref);
    g_clear_pointer(&gallery->sets, g_array_unref);
    g_clear_pointer(&gallery->begins, g_array_unref);
    g_clear_pointer(&gallery->wishes, g_array_unref);
}

/* ---- the plan that portraits show ---- */

static void copy_plan(struct vh_gallery *gallery, const struct vh_plan *plan)
{
    g_array_set_size(gallery->first, 0);
    g_array_set_size(gallery->threads, 0);
    g_array_set_size(gallery->sets, 0);
    g_array_append_vals(gallery->first, plan->first, plan->guest_count + 1);
    if (plan->thread_count)
        g_array_append_vals(gallery->threads, plan->threads, plan->thread_count);
    if (plan->set_count)
        g_array_append_vals(gallery->sets, plan->sets, plan->set_count);
}

static void copy_wishes(struct vh_gallery *gallery, const VhSurvey *survey, unsigned guests)
{
    g_array_set_size(gallery->begins, 0);
    g_array_set_size(gallery->wishes, 0);
    g_array_append_val(gallery->begins, gallery->wishes->len);
    for (unsigned i = 0; i < guests; i++) {
        unsigned count = 0;
        const struct vh_wish *wishes = vh_survey_wishes(survey, i, &count);

        if (count)
            g_array_append_vals(gallery->wishes, wishes, count);
        g_array_append_val(gallery->begins, gallery->wishes->len);
    }
}

static bool same_wishes(const struct vh_gallery *gallery, const VhSurvey *survey, unsigned shown,
                        unsigned number)
{
    const guint *begin = &g_array_index(gallery->begins, guint, shown);
    unsigned count = 0;
    const struct vh_wish *wishes = vh_survey_wishes(survey, number, &count);

    if (begin[1] - begin[0] != count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        const struct vh_wish *was = &g_array_index(gallery->wishes, struct vh_wish, begin[0] + i);

        if (was->tasks != wishes[i].tasks || !vh_wish_equal(was, &wishes[i]))
            return false;
    }
    return true;
}

static bool same_place(const struct vh_gallery *gallery, const struct vh_plan *plan,
                       const struct vh_placed *was, const struct vh_placed *now)
{
    if (was->level != now->level || was->reason != now->reason || was->cpu != now->cpu ||
        (was->set < 0) != (now->set < 0))
        return false;
    return now->set < 0 || now->level == VH_LEVEL_CPU ||
           vh_cpuset_equal(&g_array_index(gallery->sets, struct vh_cpuset, was->set),
                           &plan->sets[now->set]);
}

/* Has the plan for the guest what the gallery's has, where it has the number `shown`? */
static bool same_places(const struct vh_gallery *gallery, const struct vh_plan *plan,
                        unsigned shown, unsigned number)
{
    const unsigned *first = &g_array_index(gallery->first, unsigned, shown);
    unsigned count = plan->first[number + 1] - plan->first[number];

    if (first[1] - first[0] != count)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (!same_place(gallery, plan,
                        &g_array_index(gallery->threads, struct vh_placed, first[0] + i),
                        vh_plan_thread(plan, number, i)))
            return false;
    return true;
}

void vh_gallery_refresh(VhRound *round)
{
    struct vh_gallery *gallery = &round->gallery;

    if (gallery->plans == round->made.plans || !round->plan)
        return;
    for (unsigned i = 0; i < round->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(round->entries, i);

        if (entry->portrait &&
            (!same_places(gallery, round->plan, entry->portrayed_as, entry->number) ||
             !same_wishes(gallery, round->survey, entry->portrayed_as, entry->number)))
            vh_entry_redraw(entry);
        entry->portrayed_as = entry->number;
    }
    copy_plan(gallery, round->plan);
    copy_wishes(gallery, round->survey, round->plan->guest_count);
    gallery->plans = round->made.plans;
}

void vh_gallery_empty(const VhRound *round)
{
    for (unsigned i = 0; i < round->entries->len; i++)
        vh_entry_redraw(g_ptr_array_index(round->entries, i));
}

/* ---- portraits ---- */

static bool is_like(const VhRound *round, const struct vh_entry *entry)
{
    bool holds = false;
    g_autoptr(VhPortrait) fresh = vh_portray(round, entry, &holds);

    return holds && vh_portrait_equal(entry->portrait, fresh);
}

VhPortrait *vh_round_show(VhRound *round, struct vh_entry *entry)
{
    VhPortrait *portrait = NULL;
    bool holds = false;

    vh_gallery_refresh(round);
    if (entry->portrait) {
        VH_ASSERT_DEEP(is_like(round, entry));
        return vh_portrait_ref(entry->portrait);
    }
    portrait = vh_portray(round, entry, &holds);
    if (holds)
        entry->portrait = vh_portrait_ref(portrait);
    return portrait;
}

void vh_round_changed(const char *guest, gpointer data)
{
    const VhRound *round = data;
    struct vh_entry *entry = g_hash_table_lookup(round->names, guest);

    if (entry)
        vh_entry_redraw(entry);
}
