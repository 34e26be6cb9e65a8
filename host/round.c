// SPDX-License-Identifier: GPL-2.0-or-later
// One round: from all guests' wishes to the plan to the host's threads.
#include "round.h"

#include <math.h>
#include <string.h>

#include "explain.h"
#include "helpers.h"
#include "hotplug.h"
#include "load.h"
#include "ram.h"
#include "warden.h"

struct VhRound {
    const GPtrArray *entries; /* struct vh_entry */
    VhPolicyStore *policy;
    VhSaved *saved;
    VhJournal *journal;
    VhActuate *actuate;
    VhActuate *boosts;
    VhTrials *trials;
    VhRam *ram;
    guint unboosted; /* by the last run */
    VhHotplug *hotplug;
    struct vh_topology *topology;
    VhLoad *load;
    VhSurvey *survey; /* all guests, in the order of entries */
    GArray *wishes;   /* struct vh_wish, scratch of plan */
    GPtrArray *now;   /* struct vh_cpuset, scratch of plan */
};

const char *vh_entry_name(const struct vh_entry *entry)
{
    return vh_guest_config(entry->guest)->name;
}

const char *vh_entry_off(const struct vh_entry *entry, struct vh_seat seat)
{
    return g_hash_table_lookup(entry->off, GUINT_TO_POINTER(vh_seat_key(seat)));
}

static const char *off_of(const struct vh_entry *entry, const struct vh_vcpu *vcpu)
{
    return vh_entry_off(entry, (struct vh_seat){VH_SEAT_VCPU, vcpu->index});
}

static const struct vh_cpuset *pinned_to(const VhRound *round, pid_t thread)
{
    const union vh_setting *setting = vh_actuate_setting(round->actuate, thread);

    return setting ? &setting->cpus : NULL;
}

unsigned vh_round_pinned(const VhRound *round, const struct vh_entry *entry)
{
    unsigned count = 0;
    unsigned pinned = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    for (unsigned i = 0; i < count; i++)
        pinned += pinned_to(round, vcpus[i].thread) != NULL;
    return pinned;
}

/* What the thread was to be pinned to and its control group bars; NULL: it does not. */
static const struct vh_cpuset *barred_from(const VhRound *round, pid_t thread)
{
    const union vh_setting *setting = vh_actuate_barred(round->actuate, thread);

    return setting ? &setting->cpus : NULL;
}

static void survey_guest(VhRound *round, const struct vh_entry *entry)
{
    unsigned count = 0;
    unsigned iothreads = 0;
    unsigned vhosts = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    struct vh_vcpuset off = {{0}};
    unsigned near_count = 0;
    const struct vh_near *nears = NULL;

    vh_helpers_count(entry->guest, &iothreads, &vhosts);
    g_array_set_size(round->wishes, count);
    g_ptr_array_set_size(round->now, (gint)count);
    if (entry->held)
        memset(round->wishes->data, 0, count * sizeof(struct vh_wish));
    else
        vh_guest_wishes(entry->guest, (struct vh_wish *)(void *)round->wishes->data);
    if (!entry->held)
        nears = vh_guest_nears(entry->guest, &near_count);
    for (unsigned i = 0; i < count; i++) {
        round->now->pdata[i] = (gpointer)pinned_to(round, vcpus[i].thread);
        if (!off_of(entry, &vcpus[i]))
            continue;
        memset(&g_array_index(round->wishes, struct vh_wish, i), 0, sizeof(struct vh_wish));
        vh_vcpuset_add(&off, i);
    }
    vh_survey_add(round->survey,
                  &(struct vh_survey_guest){.name = vh_entry_name(entry),
                                            .options = &vh_guest_policy(entry->guest)->placement,
                                            .memory_nodes = entry->nodes_known ? &entry->nodes : NULL,
                                            .wishes = (const struct vh_wish *)(const void *)round->wishes->data,
                                            .now = (const struct vh_cpuset *const *)round->now->pdata,
                                            .vcpus = count,
                                            .nears = nears,
                                            .near_count = near_count,
                                            .off = &off,
                                            .iothreads = iothreads,
                                            .vhosts = vhosts});
}

static const struct vh_plan *plan(VhRound *round)
{
    vh_survey_begin(round->survey, round->topology, &vh_policy_store_get(round->policy)->reserve);
    for (unsigned i = 0; i < round->entries->len; i++)
        survey_guest(round, g_ptr_array_index(round->entries, i));
    if (vh_survey_seeks(round->survey))
        vh_survey_set_load(round->survey,
                           vh_load_read(round->load, round->topology->cpu_count, g_get_monotonic_time()));
    return vh_survey_plan(round->survey);
}

static char *reason_of(unsigned guest, unsigned vcpu, gpointer data)
{
    return vh_survey_reason(((const VhRound *)data)->survey, guest, vcpu);
}

static struct vh_trial_options tried_by(const struct vh_rule *rule, gint64 sample_us)
{
    bool boost = rule->action == VH_ACTION_BOOST;

    return (struct vh_trial_options){.sample_us = sample_us,
                                     .on = rule->trial,
                                     .keep_unproven = !boost && rule->action != VH_ACTION_NEAR,
                                     .hold_us = boost ? rule->hold_us : 0,
                                     .rest_us = boost ? rule->cooldown_us : 0,
                                     .loss = rule->loss};
}

/* Asks whether what is wished for a vCPU may be in force yet, or still. Returns whether a pin may.
 * `planned`: the plan has one. */
static bool ask_trials(VhRound *round, const struct vh_target *target, const struct vh_wish *wish, bool planned)
{
    gint64 sample_us = vh_policy_store_get(round->policy)->trial_window_us / VH_TRIAL_SAMPLES;
    bool pin = true;

    vh_trials_name(round->trials, target);
    if (wish->tried && planned)
        pin = vh_trials_ask(round->trials, target,
                            &(struct vh_trials_ask){.what = VH_TRIALS_PIN,
                                                    .rule = wish->tried->name,
                                                    .options = tried_by(wish->tried, sample_us),
                                                    .figure = NAN});
    if (wish->boost)
        vh_trials_ask(round->trials, target,
                      &(struct vh_trials_ask){.what = VH_TRIALS_BOOST,
                                              .boost = wish->boost->boost,
                                              .rule = wish->boost->name,
                                              .options = tried_by(wish->boost, sample_us),
                                              .figure = wish->figure});
    return pin;
}

/* The plan does not have boosts: by the thread and what asks for it. */
static char *boost_reason(unsigned thread, unsigned vcpu, gpointer data)
{
    if (vcpu == VH_TARGET_EMULATOR)
        return g_strdup("it runs the timers of a boosted vCPU");
    return vh_trials_reason(((const VhRound *)data)->trials, (pid_t)thread, VH_TRIALS_BOOST);
}

/* Without KVM a vCPU wakes up when QEMU's first thread lets it, so that thread must not wait either. Only where
 * the warden keeps its budget as well, since it has no trial of its own. */
static void want_timers(VhRound *round, const struct vh_target *target, const union vh_setting *setting)
{
    for (unsigned i = 0; i < round->entries->len && vh_warden_watches(round->saved); i++) {
        const struct vh_entry *entry = g_ptr_array_index(round->entries, i);
        struct vh_target first = {
            .guest = target->guest, .vcpu = VH_TARGET_EMULATOR, .thread = vh_guest_process(entry->guest)};

        if (g_str_equal(vh_entry_name(entry), target->guest) && vh_guest_is_emulated(entry->guest) && first.thread)
            vh_actuate_want(round->boosts, &first, (unsigned)first.thread, first.vcpu, setting);
    }
}

static void want_boost(const struct vh_target *target, enum vh_boost_kind boost, gpointer data)
{
    VhRound *round = data;
    union vh_setting setting = {.boost = boost};

    vh_actuate_want(round->boosts, target, (unsigned)target->thread, target->vcpu, &setting);
    if (boost == VH_BOOST_RR)
        want_timers(round, target, &setting);
}

static void tell_boost(const struct vh_target *target, enum vh_boost_kind boost, gpointer data)
{
    VhRound *round = data;
    g_autofree char *former = NULL;
    const char *problem = NULL;

    (void)boost;
    vh_actuate_describe(round->boosts, target->thread, &former, &problem);
    vh_trials_tell(round->trials, target->thread, VH_TRIALS_BOOST, problem);
}

static void on_boost(const char *why, gpointer data)
{
    VhRound *round = data;

    vh_actuate_begin(round->boosts, boost_reason, round);
    vh_trials_boosts(round->trials, want_boost, round);
    round->unboosted += vh_actuate_end(round->boosts, why, NULL);
    vh_trials_boosts(round->trials, tell_boost, round);
}

static int by_guest(gconstpointer a, gconstpointer b, gpointer data)
{
    const struct vh_plan *made = data;
    unsigned x = made->problems[*(const unsigned *)a].guest;
    unsigned y = made->problems[*(const unsigned *)b].guest;

    return x < y ? -1 : x > y;
}

/* What the plan cannot do for whole guests (what it cannot for one thread is told with that one): numbers of
 * problems, by guest. */
static GArray *problems_of(const struct vh_plan *made)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(unsigned));

    for (unsigned i = 0; i < made->problem_count; i++)
        if (made->problems[i].thread < 0)
            g_array_append_val(numbers, i);
    g_array_sort_with_data(numbers, by_guest, (gpointer)made);
    return numbers;
}

static void note_problems(VhRound *round, const struct vh_plan *made)
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
        vh_journal_step(round->journal, vh_entry_name(entry), "placement",
                        text->len ? text->str : "as it should be again", NULL, NULL);
        g_free(entry->problem);
        entry->problem = text->len ? g_strdup(text->str) : NULL;
    }
}

/* After the wishes. Returns how many guests' memory was put back. */
static guint act_on_memory(VhRound *round, const char *why)
{
    vh_ram_begin(round->ram);
    for (unsigned i = 0; i < round->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(round->entries, i);
        unsigned count = 0;
        const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);
        const struct vh_growth_limits *limits = &vh_guest_policy(entry->guest)->memory;
        const struct vh_ram_wish *wish = entry->held ? NULL : vh_guest_ram_wish(entry->guest);
        struct vh_target target = {
            .guest = vh_entry_name(entry), .vcpu = VH_TARGET_GUEST, .ram = vh_guest_ram(entry->guest)};

        if (!vh_ram_concerns(round->ram, limits, wish))
            continue;
        for (unsigned j = 0; j < count; j++)
            if (!target.thread || vcpus[j].thread < target.thread)
                target.thread = vcpus[j].thread;
        if (target.thread)
            vh_ram_ask(round->ram, &target, limits, wish);
    }
    return vh_ram_end(round->ram, why);
}

static guint act(VhRound *round, const char *why, bool *retry)
{
    const struct vh_plan *made = plan(round);
    guint undone = 0;

    note_problems(round, made);
    round->unboosted = 0;
    vh_warden_limit(round->saved, &vh_policy_store_get(round->policy)->budget);
    vh_trials_limit(round->trials, &vh_policy_store_get(round->policy)->budget, vh_warden_watches(round->saved));
    vh_trials_begin(round->trials);
    vh_actuate_begin(round->actuate, reason_of, round);
    for (unsigned i = 0; i < round->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(round->entries, i);
        unsigned count = 0;
        const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

        vh_actuate_because(round->actuate, entry->held ? NULL : entry->why);
        if (!vh_guest_is_connected(entry->guest))
            vh_trials_interrupt(round->trials, vh_entry_name(entry), "the guest went away meanwhile");
        for (unsigned j = 0; j < count; j++) {
            struct vh_target target = {
                .guest = vh_entry_name(entry), .vcpu = vcpus[j].index, .thread = vcpus[j].thread};
            const struct vh_cpuset *cpus =
                entry->held || off_of(entry, &vcpus[j]) ? NULL : vh_plan_set(made, vh_plan_thread(made, i, j));
            union vh_setting setting;

            if (!ask_trials(round, &target, vh_survey_wish(round->survey, i, j), cpus))
                cpus = NULL;
            if (cpus)
                setting.cpus = *cpus;
            vh_actuate_want(round->actuate, &target, i, j, cpus ? &setting : NULL);
            if (vh_guest_usual(entry->guest))
                vh_actuate_assume(round->actuate, vcpus[j].thread, vh_guest_usual(entry->guest));
        }
        vh_helpers_want(round->actuate, entry->guest, i, entry->held ? NULL : made, entry->off);
    }
    undone = vh_actuate_end(round->actuate, why, retry);
    vh_trials_end(round->trials, why);
    undone += act_on_memory(round, why);
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

        for (unsigned j = 0; config->mirror && j < count; j++) {
            const struct vh_cpuset *cpus = pinned_to(round, vcpus[j].thread);

            /* What the control group bars the guest's maker may be able to do: the group may be its own. */
            config->mirror(config, (struct vh_seat){VH_SEAT_VCPU, vcpus[j].index},
                           cpus ? cpus : barred_from(round, vcpus[j].thread));
        }
        vh_helpers_mirror(round->actuate, entry->guest);
    }
}

/* Reads the host's CPUs anew. Returns whether others are online than before. */
static bool read_topology(VhRound *round)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTopology) former = round->topology;
    struct vh_topology *now = vh_topology_load(&error);

    if (!now) {
        g_warning("%s", error->message);
        round->topology = g_steal_pointer(&former);
        return false;
    }
    round->topology = now;
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
    mirror(round);
    return undone;
}

void vh_round_forgive(VhRound *round)
{
    vh_actuate_forgive(round->actuate);
    vh_actuate_forgive(round->boosts);
}

void vh_round_recheck(VhRound *round, const struct vh_entry *entry)
{
    if (vh_actuate_check(round->actuate, vh_entry_name(entry)))
        vh_round_run(round, "libvirt has set what it sets before a guest runs");
}

void vh_round_yield(VhRound *round, const struct vh_entry *entry, struct vh_seat seat)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    if (seat.kind != VH_SEAT_VCPU)
        vh_helpers_yield(round->actuate, entry->guest, seat);
    for (unsigned i = 0; seat.kind == VH_SEAT_VCPU && i < count; i++)
        if (vcpus[i].index == seat.id)
            vh_actuate_yield(round->actuate, vcpus[i].thread);
}

bool vh_round_is_barred(const VhRound *round, const struct vh_entry *entry)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    for (unsigned i = 0; i < count; i++)
        if (vh_actuate_barred(round->actuate, vcpus[i].thread))
            return true;
    return vh_helpers_barred(round->actuate, entry->guest);
}

void vh_round_leave(VhRound *round, struct vh_entry *entry, const char *why)
{
    /* While its threads are known, so that those made meanwhile are put back too. */
    entry->held = true;
    vh_guest_refresh_threads(entry->guest);
    act(round, why, NULL);
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

static const struct vh_trials_funcs trials_funcs = {.replan = on_replan, .boost = on_boost};

/* One vCPU as GetGuest shows it. `guest` is its number in the plan, which was made just now. */
static GVariant *describe_vcpu(const VhRound *round, const struct vh_plan *made, unsigned guest, unsigned position)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    const struct vh_entry *entry = g_ptr_array_index(round->entries, guest);
    unsigned count = 0;
    const struct vh_vcpu *vcpu = &vh_guest_vcpus(entry->guest, &count)[position];
    const struct vh_placed *placed = vh_plan_thread(made, guest, position);
    struct vh_cpuset allowed;
    bool applied = pinned_to(round, vcpu->thread) != NULL;
    bool wanted = placed->set >= 0 || placed->reason == VH_REASON_FULL || placed->reason == VH_REASON_NO_CPU;
    g_autofree char *host_cpus =
        vh_thread_cpus(vcpu->thread, &allowed) ? vh_cpuset_format(&allowed) : g_strdup("");
    g_autofree char *former = NULL;
    g_autofree char *reason = entry->held           ? g_strdup("released by hand until resumed")
                              : off_of(entry, vcpu) ? g_strdup(off_of(entry, vcpu))
                                                    : vh_survey_reason(round->survey, guest, position);
    const char *problem = NULL;

    vh_actuate_describe(round->actuate, vcpu->thread, &former, &problem);
    g_variant_dict_insert(&dict, "index", "u", vcpu->index);
    g_variant_dict_insert(&dict, "guest_cpu", "i", vh_cpu_map_find(vh_guest_cpus(entry->guest), position));
    g_variant_dict_insert(&dict, "apic_id", "i", (gint32)vcpu->apic_id);
    g_variant_dict_insert(&dict, "thread", "i", (gint32)vcpu->thread);
    g_variant_dict_insert(&dict, "host_cpus", "s", host_cpus);
    g_variant_dict_insert(&dict, "former", "s", former);
    g_variant_dict_insert(&dict, "state", "s",
                          applied                  ? "pinned"
                          : wanted && !entry->held ? "wanted"
                                                   : "floating");
    g_variant_dict_insert(&dict, "reason", "s", *problem ? problem : reason);
    return g_variant_dict_end(&dict);
}

void vh_round_describe(VhRound *round, const struct vh_entry *entry, GVariant **vcpus, GVariant **threads)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    const struct vh_plan *made = plan(round);
    unsigned count = 0;
    guint number = 0;

    g_ptr_array_find((GPtrArray *)round->entries, entry, &number);
    vh_guest_vcpus(entry->guest, &count);
    for (unsigned i = 0; i < count; i++)
        g_variant_builder_add_value(&builder, describe_vcpu(round, made, number, i));
    *vcpus = g_variant_builder_end(&builder);
    *threads = vh_helpers_describe(round->actuate, entry->guest, number, round->survey, made,
                                   entry->held ? NULL : entry->off);
}

GVariant *vh_round_memory(const VhRound *round, const struct vh_entry *entry)
{
    return vh_ram_describe(round->ram, vh_entry_name(entry));
}

GVariant *vh_round_explain(VhRound *round, const struct vh_entry *entry)
{
    guint number = 0;

    g_ptr_array_find((GPtrArray *)round->entries, entry, &number);
    return vh_explain(&(struct vh_explain){.entry = entry,
                                           .number = number,
                                           .plan = plan(round),
                                           .survey = round->survey,
                                           .pins = round->actuate,
                                           .boosts = round->boosts,
                                           .trials = round->trials,
                                           .ram = round->ram});
}

VhRound *vh_round_new(const GPtrArray *entries, VhPolicyStore *policy, VhSaved *saved, VhJournal *journal,
                      GError **error)
{
    g_autoptr(VhRound) round = g_new0(VhRound, 1);

    round->entries = entries;
    round->policy = policy;
    round->saved = saved;
    round->journal = journal;
    round->survey = vh_survey_new();
    round->wishes = g_array_new(FALSE, TRUE, sizeof(struct vh_wish));
    round->now = g_ptr_array_new();
    round->load = vh_load_new("/proc/stat");
    round->topology = vh_topology_load(error);
    round->hotplug = round->topology ? vh_hotplug_new(on_hotplug, round, error) : NULL;
    if (!round->hotplug)
        return NULL;
    round->actuate = vh_actuate_new(saved, journal, &vh_actuator_pin);
    round->boosts = vh_actuate_new(saved, journal, &vh_actuator_boost);
    round->trials = vh_trials_new("/proc", journal, &trials_funcs, round);
    round->ram = vh_ram_new("/proc", saved, journal, on_ram_due, round);
    return g_steal_pointer(&round);
}

void vh_round_undo(VhRound *round, const char *why)
{
    /* No round may come of itself from here on. */
    vh_hotplug_free(g_steal_pointer(&round->hotplug));
    /* Also threads that were made since the last run. */
    for (guint i = 0; i < round->entries->len; i++)
        vh_guest_refresh_threads(((const struct vh_entry *)g_ptr_array_index(round->entries, i))->guest);
    vh_actuate_begin(round->actuate, NULL, NULL);
    for (unsigned i = 0; i < round->entries->len; i++)
        vh_helpers_want(round->actuate, ((const struct vh_entry *)g_ptr_array_index(round->entries, i))->guest, i,
                        NULL, NULL);
    vh_actuate_end(round->actuate, why, NULL);
    vh_actuate_free(g_steal_pointer(&round->boosts), why);
    vh_actuate_free(g_steal_pointer(&round->actuate), why);
    vh_trials_free(g_steal_pointer(&round->trials));
    vh_ram_free(g_steal_pointer(&round->ram), why);
}

void vh_round_free(VhRound *round)
{
    if (!round)
        return;
    vh_hotplug_free(round->hotplug);
    vh_survey_free(round->survey);
    vh_topology_free(round->topology);
    vh_load_free(round->load);
    g_array_unref(round->wishes);
    g_ptr_array_unref(round->now);
    g_free(round);
}
