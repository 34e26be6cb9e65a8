// SPDX-License-Identifier: GPL-2.0-or-later
// One round: from the plan to the host's threads.
//
// Theory of operation
//
// A round commands nothing. It says what every thread of every guest is to have now, from the
// beginning, and the actuators do what is missing and undo what is too much. So it may come at any
// time and any number of times: a hint that was lost, or a round that was not made, leaves nothing
// wrong for longer than until the next one.
//
// The steps of one round:
//  1. plan.c asks each guest for its wishes, and the planner for one plan for all of them. A guest
//     that is released by hand, or still as a former daemon left it, wishes nothing.
//  2. Each vCPU gets what the plan has for it, unless its trial says that it must not have it now
//     (boost.c asks the trials), or somebody else has pinned it (its seat is off).
//  3. The guest's other threads get theirs (helpers.c).
//  4. The actuator carries that out: first all that is to be undone, then all that is new.
//  5. The trials learn that the round is over, and say which boosts are to be in force. boost.c
//     plays a round of its own for these, and does so between two rounds, too, when no more than a
//     boost begins or ends.
//  6. Memory has a round of its own, too (ram.c).
//  7. What was to be taken over from a former daemon and is nobody's is put back (adopt.c), and the
//     guests' makers are told what their threads are pinned to.
//
// If the actuator finds that a CPU of the plan is offline, the topology is read again, and steps 1
// to 6 are done once more.
//
// Who is left out: a guest that has not said yet what holds, since a former daemon died or handed
// over. Nobody touches its threads until then, and plans for others go around its pins.
//
// The end: vh_round_leave undoes all that was done for one guest. When vhintd stops, vh_round_undo
// does so for all guests. When it hands over, vh_round_leave_all leaves pins and memory to the next
// daemon.
#include "act/bell.h"
#include "act/warden.h"
#include "inventory/maker.h"
#include "machine/tid.h"
#include "round/helpers.h"
#include "round/ram.h"
#include "round/state.h"

/* Also by a former daemon. */
static bool is_pinned(const VhRound *round, const struct vh_target *target)
{
    return vh_round_pin(round, &target->key) || vh_actuate_is_left(round->actuate, target);
}

/* What the target was to be pinned to and its control group bars; NULL: it does not. */
static const struct vh_cpuset *barred_from(const VhRound *round, const struct vh_target_key *key)
{
    const union vh_setting *setting = vh_actuate_barred(round->actuate, key);

    return setting ? &setting->cpus : NULL;
}

/* `cause` is the thread's place in the plan. */
static char *reason_of(const struct vh_target *target, gconstpointer cause, gpointer data)
{
    (void)target;
    return vh_survey_reason_of(((const VhRound *)data)->survey, cause);
}

/* After the wishes. Returns how many guests' memory was put back. */
static guint act_on_memory(VhRound *round, const char *why)
{
    vh_ram_begin(round->ram);
    for (unsigned i = 0; i < round->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(round->entries, i);
        const struct vh_growth_limits *limits = &vh_guest_policy(entry->guest)->memory;
        const struct vh_ram_wish *wish = entry->held ? NULL : vh_guest_ram_wish(entry->guest);
        const struct vh_target target = {.key = {vh_entry_name(entry), VH_TARGET_MEMORY, 0},
                                         .on = vh_guest_process(entry->guest),
                                         .ram = vh_guest_ram(entry->guest)};

        if (target.on.thread && !vh_round_is_left(entry) &&
            vh_ram_concerns(round->ram, limits, wish)) {
            vh_entry_redraw(entry);
            vh_ram_ask(round->ram, &target, limits, wish);
        }
    }
    return vh_ram_end(round->ram, why);
}

/* Returns how many guests have lost theirs. Where vhintd has said that a guest's policy allows
 * none, it is not even named. */
static guint act_on_offloads(VhRound *round, const char *why)
{
    if (!round->offloads)
        return 0;
    vh_offloads_begin(round->offloads);
    for (unsigned i = 0; i < round->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(round->entries, i);
        struct vh_offloads_ask ask = {.guest = vh_entry_name(entry),
                                      .limits = &vh_guest_policy(entry->guest)->offload,
                                      .facts = vh_guest_facts(entry->guest),
                                      .process = vh_guest_process(entry->guest)};

        if (entry->held || !ask.limits->kinds)
            continue;
        vh_guest_look_at_nics(entry->guest);
        ask.nics = vh_guest_nics(entry->guest, &ask.nic_count, &ask.nic_problem);
        vh_offloads_ask(round->offloads, &ask);
    }
    return vh_offloads_end(round->offloads, why);
}

static guint act(VhRound *round, const char *why, bool *retry)
{
    const struct vh_plan *made = vh_round_plan(round);
    guint undone = 0;

    vh_round_note(round, made);
    round->unboosted = 0;
    vh_warden_limit(round->saved, &vh_policy_store_get(round->policy)->budget);
    vh_trials_limit(round->trials, &vh_policy_store_get(round->policy)->budget,
                    vh_bell_is_warded(round->saved));
    vh_trials_begin(round->trials);
    vh_actuate_begin(round->actuate, reason_of, round);
    for (unsigned i = 0; i < round->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(round->entries, i);
        unsigned count = 0;
        const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

        if (vh_round_is_left(entry))
            continue;
        vh_actuate_because(round->actuate, entry->held ? NULL : entry->why);
        if (!vh_guest_is_connected(entry->guest))
            vh_trials_interrupt(round->trials, vh_entry_name(entry),
                                "the guest went away meanwhile");
        for (unsigned j = 0; j < count; j++) {
            const struct vh_target target = vh_entry_vcpu(entry, &vcpus[j]);
            const struct vh_placed *placed = vh_plan_thread(made, i, j);
            bool theirs = vh_round_off(entry, &vcpus[j]);
            const struct vh_cpuset *cpus = entry->held || theirs ? NULL : vh_plan_set(made, placed);
            const struct vh_cpuset *usual = NULL;
            union vh_setting setting;

            if (!vh_round_ask(round, entry, &target, vh_survey_wish(round->survey, i, j), cpus))
                cpus = NULL;
            if (cpus)
                setting.cpus = *cpus;
            /* What others have set may look as if it were inherited from one of ours. */
            if (theirs && !is_pinned(round, &target))
                continue;
            vh_actuate_want(round->actuate, &target, cpus ? &setting : NULL, placed);
            if (vh_guest_echoes(entry->guest, &(struct vh_seat){VH_SEAT_VCPU, vcpus[j].index},
                                &usual))
                vh_actuate_assume(round->actuate, &target.key, usual);
        }
        vh_helpers_want(round->actuate, entry->guest, i, entry->held ? NULL : made, entry->off);
    }
    undone = vh_actuate_end(round->actuate, why, retry);
    vh_trials_end(round->trials, why);
    undone += act_on_memory(round, why);
    undone += act_on_offloads(round, why);
    return undone + round->unboosted;
}

/* Tells the guests' makers what their seats are pinned to now. */
static void mirror(const VhRound *round)
{
    for (unsigned i = 0; i < round->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(round->entries, i);
        const struct vh_config_guest *config = vh_guest_config(entry->guest);
        unsigned count = 0;
        const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

        /* The guest's maker would set at once what it is told. */
        if (vh_round_is_left(entry))
            continue;
        for (unsigned j = 0; config->maker && j < count; j++) {
            const struct vh_target target = vh_entry_vcpu(entry, &vcpus[j]);
            const struct vh_cpuset *cpus = vh_round_pin(round, &target.key);

            /* What the control group bars the guest's maker may be able to do: the group may be its
             * own. */
            config->maker->mirror(config, (struct vh_seat){VH_SEAT_VCPU, vcpus[j].index},
                                  cpus ? cpus : barred_from(round, &target.key));
        }
        vh_helpers_mirror(round->actuate, entry->guest);
    }
}

/* Reads the host's CPUs anew. Returns whether others are online than before. */
static bool read_topology(VhRound *round)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTopology) former = round->topology;
    struct vh_topology *now = round->host->topology(&error);

    if (!now) {
        g_warning("%s", error->message);
        round->topology = g_steal_pointer(&former);
        return false;
    }
    round->topology = now;
    vh_gallery_empty(round);
    return !vh_cpuset_equal(&now->online, &former->online);
}

/* From all guests' wishes to the host's masks. Returns how many actions were undone. */
guint vh_round_run(VhRound *round, const char *why)
{
    bool retry = false;
    guint undone = act(round, why, &retry);

    /* A CPU may have gone offline, and the kernel's event is not here yet. */
    if (retry && read_topology(round))
        undone += act(round, why, &retry);
    undone += vh_round_taken(round);
    mirror(round);
    return undone;
}

void vh_round_set_offloads(VhRound *round, VhOffloads *offloads)
{
    round->offloads = offloads;
}

void vh_round_forgive(VhRound *round)
{
    vh_actuate_forgive(round->actuate);
    vh_actuate_forgive(round->boosts);
}

void vh_round_recheck(VhRound *round, const struct vh_entry *entry, const char *why)
{
    if (vh_actuate_check(round->actuate, vh_entry_name(entry)))
        vh_round_run(round, why);
}

struct vh_entry *vh_round_find(const VhRound *round, const char *name)
{
    return g_hash_table_lookup(round->names, name);
}

void vh_round_forget(VhRound *round, const struct vh_entry *entry)
{
    g_hash_table_remove(round->names, vh_entry_name(entry));
}

bool vh_round_is_barred(const VhRound *round, const struct vh_entry *entry)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = vh_entry_vcpu(entry, &vcpus[i]);

        if (vh_actuate_barred(round->actuate, &target.key))
            return true;
    }
    return vh_helpers_barred(round->actuate, entry->guest);
}

void vh_round_leave(VhRound *round, struct vh_entry *entry, const char *why)
{
    /* While its threads are known, so that those made meanwhile are put back too. */
    entry->held = true;
    vh_guest_refresh_threads(entry->guest);
    vh_round_take(round, entry);
    act(round, why, NULL);
    vh_round_taken(round);
    vh_round_forget(round, entry);
}

static void on_hotplug(gpointer data)
{
    VhRound *round = data;

    read_topology(round);
    vh_round_forgive(round);
    vh_trials_interrupt(round->trials, NULL, "the host's CPUs have changed meanwhile");
    vh_round_run(round, "the host's CPUs have changed");
}

static void on_replan(const char *why, gpointer data)
{
    vh_round_run(data, why);
}

static void on_ram_due(gpointer data)
{
    vh_round_run(data, "its memory was due");
}

static const struct vh_trials_funcs trials_funcs = {.replan = on_replan, .boost = vh_round_boost};

const struct vh_round_host vh_round_this_host = {.pin = &vh_actuator_pin,
                                                 .boost = &vh_actuator_boost,
                                                 .topology = vh_topology_load,
                                                 .proc = "/proc"};

VhRound *vh_round_new(const struct vh_round_host *host, const GPtrArray *entries,
                      VhPolicyStore *policy, VhSaved *saved, VhJournal *journal, GError **error)
{
    g_autoptr(VhRound) round = g_new0(VhRound, 1);
    g_autofree char *load = g_build_filename(host->proc, "stat", NULL);

    round->host = host;
    round->entries = entries;
    round->policy = policy;
    round->saved = saved;
    round->journal = journal;
    round->survey = vh_survey_new();
    round->wishes = g_array_new(FALSE, TRUE, sizeof(struct vh_wish));
    round->now = g_ptr_array_new();
    round->names = g_hash_table_new(g_str_hash, g_str_equal);
    vh_gallery_init(&round->gallery);
    round->load = vh_load_new(load);
    round->topology = host->topology(error);
    round->hotplug = round->topology ? vh_hotplug_new(on_hotplug, round, error) : NULL;
    if (!round->hotplug)
        return NULL;
    round->actuate = vh_actuate_new_adopting(saved, journal, host->pin);
    vh_actuate_tell(round->actuate, vh_round_changed, round);
    vh_round_find_left(round);
    round->boosts = vh_actuate_new(saved, journal, host->boost);
    round->trials = vh_trials_new(host->proc, journal, &trials_funcs, round);
    round->ram = vh_ram_new(host->proc, saved, journal, on_ram_due, round);
    return g_steal_pointer(&round);
}

void vh_round_free(VhRound *round)
{
    if (!round)
        return;
    vh_hotplug_free(round->hotplug);
    vh_survey_free(round->survey);
    vh_topology_free(round->topology);
    vh_load_free(round->load);
    g_clear_pointer(&round->left, g_hash_table_unref);
    g_hash_table_unref(round->names);
    vh_gallery_clear(&round->gallery);
    g_array_unref(round->wishes);
    g_ptr_array_unref(round->now);
    g_free(round);
}
