// SPDX-License-Identifier: GPL-2.0-or-later
// From all guests' wishes to the plan, and what that cannot do.
#include <string.h>
#include <time.h>

#include "round/helpers.h"
#include "round/state.h"

static void survey_guest(VhRound *round, const struct vh_entry *entry)
{
    unsigned count = 0;
    unsigned iothreads = 0;
    unsigned vhosts = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    bool idle = entry->held || vh_round_is_left(entry);
    struct vh_mask off = {{0}};
    unsigned near_count = 0;
    const struct vh_near *nears = NULL;

    vh_helpers_count(entry->guest, &iothreads, &vhosts);
    g_array_set_size(round->wishes, count);
    g_ptr_array_set_size(round->now, (gint)count);
    if (!idle)
        nears = vh_guest_nears(entry->guest, &near_count);
    if (count && !idle)
        memcpy(round->wishes->data, vh_guest_wishes(entry->guest), count * sizeof(struct vh_wish));
    else if (count)
        memset(round->wishes->data, 0, count * sizeof(struct vh_wish));
    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = vh_entry_vcpu(entry, &vcpus[i]);

        round->now->pdata[i] = (gpointer)vh_round_pin(round, &target.key);
        if (!vh_round_off(entry, &vcpus[i]))
            continue;
        memset(&g_array_index(round->wishes, struct vh_wish, i), 0, sizeof(struct vh_wish));
        vh_mask_add(&off, i);
    }
    vh_survey_add(round->survey,
                  &(struct vh_survey_guest){
                      .name = vh_entry_name(entry),
                      .options = &vh_guest_policy(entry->guest)->placement,
                      .memory_nodes = vh_entry_nodes(entry),
                      .wishes = (const struct vh_wish *)(const void *)round->wishes->data,
                      .now = (const struct vh_cpuset *const *)round->now->pdata,
                      .vcpus = count,
                      .nears = nears,
                      .near_count = near_count,
                      .off = &off,
                      .iothreads = iothreads,
                      .vhosts = vhosts});
}

/* Which of the plan's numbers each of the guest's threads has: whoever asks later may find others.
 */
static void note_numbers(struct vh_entry *entry, unsigned number)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    entry->number = number;
    g_array_set_size(entry->planned, 0);
    for (unsigned i = 0; i < count; i++) {
        const struct vh_planned planned = {.thread = vcpus[i].thread, .number = i};

        g_array_append_val(entry->planned, planned);
    }
    vh_helpers_number(entry->guest, entry->planned);
}

/* What this thread has computed so far, ns: what else runs on the machine does not count. */
static uint64_t cpu_time(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const struct vh_plan *vh_round_plan(VhRound *round)
{
    uint64_t begin = cpu_time();

    vh_survey_begin(round->survey, round->topology, &vh_policy_store_get(round->policy)->reserve);
    for (unsigned i = 0; i < round->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(round->entries, i);

        survey_guest(round, entry);
        note_numbers(entry, i);
    }
    for (unsigned i = 0; i < round->entries->len; i++)
        vh_round_survey_left(round, g_ptr_array_index(round->entries, i), i);
    vh_round_survey_absent(round);
    if (vh_survey_seeks(round->survey))
        vh_survey_set_load(round->survey, vh_load_read(round->load, round->topology->cpu_count,
                                                       g_get_monotonic_time()));
    round->plan = vh_survey_plan(round->survey);
    round->made.plans++;
    round->made.ns += cpu_time() - begin;
    return round->plan;
}

struct vh_round_made vh_round_made(const VhRound *round)
{
    return round->made;
}

void vh_round_outdate(VhRound *round)
{
    for (unsigned i = 0; i < round->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(round->entries, i);

        g_array_set_size(entry->planned, 0);
        vh_entry_redraw(entry);
    }
    vh_survey_begin(round->survey, round->topology, NULL);
    round->plan = NULL;
}

static int by_guest(gconstpointer a, gconstpointer b, gpointer data)
{
    const struct vh_plan *made = data;
    unsigned x = made->problems[*(const unsigned *)a].guest;
    unsigned y = made->problems[*(const unsigned *)b].guest;

    return x < y ? -1 : x > y;
}

/* What the plan cannot do for whole guests (what it cannot for one thread is told with that one):
 * numbers of problems, by guest. */
static GArray *problems_of(const struct vh_plan *made)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(unsigned));

    for (unsigned i = 0; i < made->problem_count; i++)
        if (made->problems[i].thread < 0)
            g_array_append_val(numbers, i);
    g_array_sort_with_data(numbers, by_guest, (gpointer)made);
    return numbers;
}

void vh_round_note(VhRound *round, const struct vh_plan *made)
{
    g_autoptr(GArray) numbers = problems_of(made);
    g_autoptr(GString) text = g_string_new(NULL);
    guint next = 0;

    for (unsigned i = 0; i < round->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(round->entries, i);

        g_string_truncate(text, 0);
        for (; next < numbers->len; next++) {
            unsigned number = g_array_index(numbers, unsigned, next);
            g_autofree char *problem = NULL;

            if (made->problems[number].guest != i)
                break;
            problem = vh_survey_problem(round->survey, number);
            g_string_append_printf(text, "%s%s", text->len ? "; " : "", problem);
        }
        if (g_strcmp0(entry->problem, text->len ? text->str : NULL) == 0)
            continue;
        vh_entry_redraw(entry);
        vh_journal_change(round->journal, vh_entry_name(entry), "placement",
                          text->len ? text->str : "no problem any longer", NULL, NULL);
        g_free(entry->problem);
        entry->problem = text->len ? g_strdup(text->str) : NULL;
    }
}
