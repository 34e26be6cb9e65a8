// SPDX-License-Identifier: GPL-2.0-or-later
// Manages all guests: from their wishes to the plan to the host's threads.
#include <errno.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "actuate.h"
#include "guest.h"
#include "helpers.h"
#include "hotplug.h"
#include "inventory.h"
#include "manager.h"
#include "msg.h"
#include "policy-store.h"
#include "survey.h"
#include "trials.h"

static const struct vh_inventory_kind *const inventory_kinds[] = {&vh_inventory_static, &vh_inventory_libvirt};
#define INVENTORIES G_N_ELEMENTS(inventory_kinds)

/* A guest and what the manager knows beyond it. */
struct entry {
    VhGuest *guest;
    bool held;       /* released by hand: no action until resume */
    GHashTable *off; /* vCPU index -> why it is not ours to place */
    bool nodes_known;
    struct vh_cpuset nodes; /* NUMA nodes of its memory */
    char *problem;          /* what the last plan could not do for the guest as a whole; NULL: nothing */
};

struct watcher {
    guint id;
    char *guest; /* "": all */
    VhWatchFunc func;
    gpointer data;
};

struct VhManager {
    const VhConfig *config;
    VhJournal *journal;
    VhSaved *saved;
    VhActuate *actuate;
    VhActuate *boosts;
    VhTrials *trials;
    guint unboosted; /* by the last round */
    VhPathWatch *path_watch;
    VhHotplug *hotplug;
    struct vh_topology *topology;
    VhInventory *inventories[INVENTORIES];
    GPtrArray *entries; /* struct entry */
    bool closing;       /* no guest is taken any more */
    VhPolicyStore *policy;
    GPtrArray *watchers; /* struct watcher */
    guint last_watcher;
    VhSurvey *survey; /* all guests, in the order of entries */
    GArray *wishes;   /* struct vh_wish, scratch of plan */
    GPtrArray *now;   /* struct vh_cpuset, scratch of plan */
};

static const char *name_of(const struct entry *entry)
{
    return vh_guest_config(entry->guest)->name;
}

static struct entry *find(const VhManager *manager, const char *guest, GError **error)
{
    for (guint i = 0; i < manager->entries->len; i++) {
        struct entry *entry = g_ptr_array_index(manager->entries, i);

        if (g_str_equal(name_of(entry), guest))
            return entry;
    }
    g_set_error(error, VH_ERROR, VH_ERROR_NO_SUCH_GUEST, "no guest is called \"%s\": vhintctl guests lists them",
                guest);
    return NULL;
}

/* ---- wishes, plan, actions ---- */

/* Why the vCPU is not ours to place; NULL: it is. */
static const char *off_of(const struct entry *entry, const struct vh_vcpu *vcpu)
{
    return g_hash_table_lookup(entry->off, GUINT_TO_POINTER(vcpu->index));
}

static const struct vh_cpuset *pinned_to(const VhManager *manager, pid_t thread)
{
    const union vh_setting *setting = vh_actuate_setting(manager->actuate, thread);

    return setting ? &setting->cpus : NULL;
}

/* What the thread was to be pinned to and its control group bars; NULL: it does not. */
static const struct vh_cpuset *barred_from(const VhManager *manager, pid_t thread)
{
    const union vh_setting *setting = vh_actuate_barred(manager->actuate, thread);

    return setting ? &setting->cpus : NULL;
}

static void survey_guest(VhManager *manager, const struct entry *entry)
{
    unsigned count = 0;
    unsigned iothreads = 0;
    unsigned vhosts = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    vh_helpers_count(entry->guest, &iothreads, &vhosts);
    g_array_set_size(manager->wishes, count);
    g_ptr_array_set_size(manager->now, (gint)count);
    if (entry->held)
        memset(manager->wishes->data, 0, count * sizeof(struct vh_wish));
    else
        vh_guest_wishes(entry->guest, (struct vh_wish *)(void *)manager->wishes->data);
    for (unsigned i = 0; i < count; i++) {
        manager->now->pdata[i] = (gpointer)pinned_to(manager, vcpus[i].thread);
        if (off_of(entry, &vcpus[i]))
            memset(&g_array_index(manager->wishes, struct vh_wish, i), 0, sizeof(struct vh_wish));
    }
    vh_survey_add(manager->survey,
                  &(struct vh_survey_guest){.name = name_of(entry),
                                            .options = &vh_guest_policy(entry->guest)->placement,
                                            .memory_nodes = entry->nodes_known ? &entry->nodes : NULL,
                                            .wishes = (const struct vh_wish *)(const void *)manager->wishes->data,
                                            .now = (const struct vh_cpuset *const *)manager->now->pdata,
                                            .vcpus = count,
                                            .iothreads = iothreads,
                                            .vhosts = vhosts});
}

static const struct vh_plan *plan(VhManager *manager)
{
    vh_survey_begin(manager->survey, manager->topology, &vh_policy_store_get(manager->policy)->reserve);
    for (unsigned i = 0; i < manager->entries->len; i++)
        survey_guest(manager, g_ptr_array_index(manager->entries, i));
    return vh_survey_plan(manager->survey);
}

static char *reason_of(unsigned guest, unsigned vcpu, gpointer data)
{
    return vh_survey_reason(((const VhManager *)data)->survey, guest, vcpu);
}

static struct vh_trial_options tried_by(const struct vh_rule *rule)
{
    bool boost = rule->action == VH_ACTION_BOOST;

    return (struct vh_trial_options){.on = rule->trial,
                                     .keep_unproven = !boost,
                                     .hold_us = boost ? rule->hold_us : 0,
                                     .rest_us = boost ? rule->cooldown_us : 0,
                                     .loss = rule->loss};
}

/* Asks whether what is wished for a vCPU may be in force yet, or still. Returns whether a pin may.
 * `planned`: the plan has one. */
static bool ask_trials(VhManager *manager, const struct vh_target *target, const struct vh_wish *wish,
                       bool planned)
{
    bool pin = true;

    vh_trials_name(manager->trials, target);
    if (wish->tried && planned)
        pin = vh_trials_ask(manager->trials, target,
                            &(struct vh_trials_ask){.what = VH_TRIALS_PIN,
                                                    .rule = wish->tried->name,
                                                    .options = tried_by(wish->tried),
                                                    .figure = NAN});
    if (wish->boost)
        vh_trials_ask(manager->trials, target,
                      &(struct vh_trials_ask){.what = VH_TRIALS_BOOST,
                                              .boost = wish->boost->boost,
                                              .rule = wish->boost->name,
                                              .options = tried_by(wish->boost),
                                              .figure = wish->figure});
    return pin;
}

/* The plan does not have boosts: by the thread and what asks for it. */
static char *boost_reason(unsigned thread, unsigned vcpu, gpointer data)
{
    (void)vcpu;
    return vh_trials_reason(((const VhManager *)data)->trials, (pid_t)thread, VH_TRIALS_BOOST);
}

static void want_boost(const struct vh_target *target, enum vh_boost_kind boost, gpointer data)
{
    union vh_setting setting = {.boost = boost};

    vh_actuate_want(((VhManager *)data)->boosts, target, (unsigned)target->thread, target->vcpu, &setting);
}

static void tell_boost(const struct vh_target *target, enum vh_boost_kind boost, gpointer data)
{
    VhManager *manager = data;
    g_autofree char *former = NULL;
    const char *problem = NULL;

    (void)boost;
    vh_actuate_describe(manager->boosts, target->thread, &former, &problem);
    vh_trials_tell(manager->trials, target->thread, VH_TRIALS_BOOST, problem);
}

static void on_boost(const char *why, gpointer data)
{
    VhManager *manager = data;

    vh_actuate_begin(manager->boosts, boost_reason, manager);
    vh_trials_boosts(manager->trials, want_boost, manager);
    manager->unboosted += vh_actuate_end(manager->boosts, why, NULL);
    vh_trials_boosts(manager->trials, tell_boost, manager);
}

/* What the plan cannot do for whole guests; what it cannot for one thread is told with that one. */
static void note_problems(VhManager *manager, const struct vh_plan *made)
{
    for (unsigned i = 0; i < manager->entries->len; i++) {
        struct entry *entry = g_ptr_array_index(manager->entries, i);
        g_autoptr(GString) text = g_string_new(NULL);

        for (unsigned j = 0; j < made->problem_count; j++) {
            g_autofree char *problem = NULL;

            if (made->problems[j].guest != i || made->problems[j].thread >= 0)
                continue;
            problem = vh_survey_problem(manager->survey, j);
            g_string_append_printf(text, "%s%s", text->len ? "; " : "", problem);
        }
        if (g_strcmp0(entry->problem, text->len ? text->str : NULL) == 0)
            continue;
        vh_journal_step(manager->journal, name_of(entry), "placement",
                        text->len ? text->str : "as it should be again", NULL, NULL);
        g_free(entry->problem);
        entry->problem = text->len ? g_strdup(text->str) : NULL;
    }
}

static guint act(VhManager *manager, const char *why, bool *retry)
{
    const struct vh_plan *made = plan(manager);
    guint undone = 0;

    note_problems(manager, made);
    manager->unboosted = 0;
    vh_trials_begin(manager->trials);
    vh_actuate_begin(manager->actuate, reason_of, manager);
    for (unsigned i = 0; i < manager->entries->len; i++) {
        const struct entry *entry = g_ptr_array_index(manager->entries, i);
        unsigned count = 0;
        const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

        if (!vh_guest_is_connected(entry->guest))
            vh_trials_interrupt(manager->trials, name_of(entry), "the guest went away meanwhile");
        for (unsigned j = 0; j < count; j++) {
            struct vh_target target = {name_of(entry), vcpus[j].index, vcpus[j].thread};
            const struct vh_cpuset *cpus =
                entry->held || off_of(entry, &vcpus[j]) ? NULL : vh_plan_set(made, vh_plan_thread(made, i, j));
            union vh_setting setting;

            if (!ask_trials(manager, &target, vh_survey_wish(manager->survey, i, j), cpus))
                cpus = NULL;
            if (cpus)
                setting.cpus = *cpus;
            vh_actuate_want(manager->actuate, &target, i, j, cpus ? &setting : NULL);
        }
        vh_helpers_want(manager->actuate, entry->guest, i, entry->held ? NULL : made);
    }
    undone = vh_actuate_end(manager->actuate, why, retry);
    vh_trials_end(manager->trials, why);
    return undone + manager->unboosted;
}

/* Tells the guests' makers what their vCPUs are pinned to now. */
static void mirror(const VhManager *manager)
{
    for (unsigned i = 0; i < manager->entries->len; i++) {
        const struct entry *entry = g_ptr_array_index(manager->entries, i);
        const struct vh_config_guest *config = vh_guest_config(entry->guest);
        unsigned count = 0;
        const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

        for (unsigned j = 0; config->mirror && j < count; j++) {
            const struct vh_cpuset *cpus = pinned_to(manager, vcpus[j].thread);

            /* What the control group bars the guest's maker may be able to do: the group may be its own. */
            config->mirror(config, vcpus[j].index, cpus ? cpus : barred_from(manager, vcpus[j].thread));
        }
    }
}

/* Reads the host's CPUs anew. Returns whether others are online than before. */
static bool read_topology(VhManager *manager)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTopology) former = manager->topology;
    struct vh_topology *now = vh_topology_load(&error);

    if (!now) {
        g_warning("%s", error->message);
        manager->topology = g_steal_pointer(&former);
        return false;
    }
    manager->topology = now;
    return !vh_cpuset_equal(&now->online, &former->online);
}

/* From all guests' wishes to the host's masks. Returns how many actions were undone. */
static guint replan(VhManager *manager, const char *why)
{
    bool retry = false;
    guint undone = act(manager, why, &retry);

    /* A CPU may have gone offline, and the kernel's event is not here yet. */
    if (retry && read_topology(manager))
        undone += act(manager, why, &retry);
    mirror(manager);
    return undone;
}

static void on_hotplug(gpointer data)
{
    VhManager *manager = data;

    read_topology(manager);
    vh_actuate_forgive(manager->actuate);
    vh_actuate_forgive(manager->boosts);
    vh_trials_interrupt(manager->trials, NULL, "the host's CPUs have changed meanwhile");
    replan(manager, "the host's CPUs have changed");
}

static void on_replan(const char *why, gpointer data)
{
    replan(data, why);
}

static const struct vh_trials_funcs trials_funcs = {.replan = on_replan, .boost = on_boost};

static void on_changed(VhGuest *guest, const char *why, gpointer data)
{
    if (vh_helpers_placed(guest))
        vh_guest_refresh_threads(guest);
    replan(data, why);
}

static void refresh_threads(const VhManager *manager)
{
    for (guint i = 0; i < manager->entries->len; i++)
        vh_guest_refresh_threads(((const struct entry *)g_ptr_array_index(manager->entries, i))->guest);
}

/* ---- watches ---- */

static bool on_watched(VhGuest *guest, gpointer data)
{
    const VhManager *manager = data;

    (void)guest;
    return manager->watchers->len > 0;
}

static void on_watch(VhGuest *guest, const GString *line, gpointer data)
{
    VhManager *manager = data;
    const char *name = vh_guest_config(guest)->name;

    /* From the last to the first: a function may remove its own watch. */
    for (guint i = manager->watchers->len; i > 0; i--) {
        const struct watcher *watcher = NULL;

        if (i > manager->watchers->len)
            continue;
        watcher = g_ptr_array_index(manager->watchers, i - 1);
        if (!*watcher->guest || g_str_equal(watcher->guest, name))
            watcher->func(line->str, line->len, watcher->data);
    }
}

static void watcher_free(gpointer data)
{
    struct watcher *watcher = data;

    g_free(watcher->guest);
    g_free(watcher);
}

guint vh_manager_watch(VhManager *manager, const char *guest, VhWatchFunc func, gpointer data, GError **error)
{
    struct watcher *watcher = NULL;

    if (*guest && !find(manager, guest, error))
        return 0;
    watcher = g_new0(struct watcher, 1);
    watcher->id = ++manager->last_watcher;
    watcher->guest = g_strdup(guest);
    watcher->func = func;
    watcher->data = data;
    g_ptr_array_add(manager->watchers, watcher);
    return watcher->id;
}

void vh_manager_unwatch(VhManager *manager, guint id)
{
    for (guint i = 0; i < manager->watchers->len; i++) {
        if (((const struct watcher *)g_ptr_array_index(manager->watchers, i))->id != id)
            continue;
        g_ptr_array_remove_index(manager->watchers, i);
        return;
    }
}

/* ---- guests come and go ---- */

static const struct vh_guest_funcs guest_funcs = {.changed = on_changed, .watched = on_watched, .watch = on_watch};

static void apply_policy(VhManager *manager, struct entry *entry)
{
    const struct vh_config_guest *config = vh_guest_config(entry->guest);
    const struct vh_guest_id id = {config->name, config->uuid, config->profile};

    vh_guest_set_policy(entry->guest, vh_policy_for(vh_policy_store_get(manager->policy), &id));
}

static void entry_free(gpointer data)
{
    struct entry *entry = data;

    vh_guest_free(entry->guest);
    g_hash_table_unref(entry->off);
    g_free(entry->problem);
    g_free(entry);
}

static void on_added(const struct vh_config_guest *config, gpointer data)
{
    VhManager *manager = data;
    struct entry *entry = NULL;

    if (manager->closing)
        return;
    entry = g_new0(struct entry, 1);
    entry->guest = vh_guest_new(config, manager->config->state_dir, manager->path_watch, manager->journal,
                                &guest_funcs, manager);
    entry->off = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    entry->nodes_known = config->nodes && vh_cpuset_parse(&entry->nodes, config->nodes, NULL) == 0;
    g_ptr_array_add(manager->entries, entry);
    apply_policy(manager, entry);
    vh_guest_start(entry->guest);
}

static void on_removed(const char *name, gpointer data)
{
    VhManager *manager = data;
    struct entry *entry = find(manager, name, NULL);

    if (!entry)
        return;
    /* While its threads are known, so that those made meanwhile are put back too. */
    entry->held = true;
    vh_guest_refresh_threads(entry->guest);
    act(manager, "the guest is not managed any longer", NULL);
    g_ptr_array_remove(manager->entries, entry);
    replan(manager, "the guest is not managed any longer");
}

static void on_hands_off(const char *name, unsigned vcpu, const char *why, gpointer data)
{
    VhManager *manager = data;
    const struct entry *entry = find(manager, name, NULL);
    unsigned count = 0;
    const struct vh_vcpu *vcpus = entry ? vh_guest_vcpus(entry->guest, &count) : NULL;
    g_autofree char *what = g_strdup_printf("hands %s vCPU %u", why ? "off" : "on", vcpu);

    if (!entry || (!why && !g_hash_table_contains(entry->off, GUINT_TO_POINTER(vcpu))))
        return;
    vh_journal_step(manager->journal, name, what, why ? why : "it is pinned by nobody else any longer", NULL,
                    NULL);
    if (why)
        g_hash_table_insert(entry->off, GUINT_TO_POINTER(vcpu), g_strdup(why));
    else
        g_hash_table_remove(entry->off, GUINT_TO_POINTER(vcpu));
    for (unsigned i = 0; i < count; i++)
        if (vcpus[i].index == vcpu)
            vh_actuate_yield(manager->actuate, vcpus[i].thread);
    replan(manager, why ? why : "the vCPU is ours to place again");
}

static void on_retry(const char *name, gpointer data)
{
    VhManager *manager = data;
    const struct entry *entry = find(manager, name, NULL);
    unsigned count = 0;
    const struct vh_vcpu *vcpus = entry ? vh_guest_vcpus(entry->guest, &count) : NULL;
    bool barred = false;

    for (unsigned i = 0; i < count; i++)
        barred = barred || vh_actuate_barred(manager->actuate, vcpus[i].thread);
    if (!barred)
        return;
    vh_actuate_forgive(manager->actuate);
    replan(manager, "the control group may have changed");
}

static bool on_wanted(const struct vh_guest_id *id, gpointer data)
{
    return vh_policy_matches(vh_policy_store_get(((const VhManager *)data)->policy), id);
}

static const struct vh_inventory_events inventory_events = {
    .added = on_added, .removed = on_removed, .retry = on_retry, .hands_off = on_hands_off, .wanted = on_wanted};

/* ---- policy ---- */

/* While the manager is made, there are no guests yet, nor inventories. */
static void on_policy(gpointer data)
{
    VhManager *manager = data;

    vh_journal_step(manager->journal, "", "policy", "the policy files were read", NULL, NULL);
    if (!manager->policy || manager->closing)
        return;
    for (guint i = 0; i < manager->entries->len; i++)
        apply_policy(manager, g_ptr_array_index(manager->entries, i));
    for (guint i = 0; i < INVENTORIES; i++)
        if (manager->inventories[i] && inventory_kinds[i]->reconsider)
            inventory_kinds[i]->reconsider(manager->inventories[i]);
}

static void on_policy_refused(const GPtrArray *problems, gpointer data)
{
    VhManager *manager = data;

    for (guint i = 0; i < problems->len; i++) {
        const char *problem = g_ptr_array_index(problems, i);

        g_warning("policy: %s", problem);
        vh_journal_step(manager->journal, "", "policy refused", problem, NULL, NULL);
    }
}

static const struct vh_policy_store_funcs policy_funcs = {.changed = on_policy, .refused = on_policy_refused};

static void open_policy(VhManager *manager)
{
    const VhConfig *config = manager->config;

    manager->policy = vh_policy_store_new(&(struct vh_policy_place){.main = config->path,
                                                                    .directory = config->policy_dir,
                                                                    .program_dir = config->program_dir},
                                          &policy_funcs, manager);
}

void vh_manager_reload(VhManager *manager)
{
    vh_policy_store_reload(manager->policy);
}

/* What applies to `entry`: (key, value, file, line) each. */
static GVariant *describe_lines(const struct entry *entry)
{
    const VhGuestPolicy *policy = vh_guest_policy(entry->guest);
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sssu)"));

    for (guint i = 0; i < policy->lines->len; i++) {
        const struct vh_policy_line *line = g_ptr_array_index(policy->lines, i);

        g_variant_builder_add(&builder, "(sssu)", line->key, line->value, line->origin.file, line->origin.line);
    }
    return g_variant_builder_end(&builder);
}

GVariant *vh_manager_policy(VhManager *manager, const char *guest, GError **error)
{
    const struct entry *entry = *guest ? find(manager, guest, error) : NULL;
    const GPtrArray *problems = vh_policy_store_problems(manager->policy);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    if (*guest && !entry)
        return NULL;
    g_variant_dict_insert_value(&dict, "problems",
                                g_variant_new_strv((const char *const *)problems->pdata, problems->len));
    if (entry)
        g_variant_dict_insert_value(&dict, "lines", describe_lines(entry));
    return g_variant_dict_end(&dict);
}

/* ---- the manager ---- */

static int make_directory(const char *path, int mode, GError **error)
{
    if (g_mkdir_with_parents(path, mode) == 0)
        return 0;
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "directory %s: %s", path, g_strerror(errno));
    return -1;
}

static int open_all(VhManager *manager, GError **error)
{
    const VhConfig *config = manager->config;
    g_autofree char *saved_dir = g_build_filename(config->run_dir, "saved", NULL);
    g_autofree char *saved = g_build_filename(saved_dir, "masks", NULL);

    if (make_directory(config->run_dir, 0755, error) < 0 || make_directory(saved_dir, 0700, error) < 0 ||
        make_directory(config->state_dir, 0700, error) < 0)
        return -1;
    manager->journal = vh_journal_new(config->journal, error);
    manager->topology = manager->journal ? vh_topology_load(error) : NULL;
    if (!manager->topology)
        return -1;
    manager->saved = vh_saved_open(saved, error);
    manager->path_watch = manager->saved ? vh_path_watch_new(error) : NULL;
    manager->hotplug = manager->path_watch ? vh_hotplug_new(on_hotplug, manager, error) : NULL;
    return manager->hotplug ? 0 : -1;
}

VhManager *vh_manager_new(const VhConfig *config, GError **error)
{
    g_autoptr(VhManager) manager = g_new0(VhManager, 1);

    manager->config = config;
    manager->entries = g_ptr_array_new_with_free_func(entry_free);
    manager->watchers = g_ptr_array_new_with_free_func(watcher_free);
    manager->survey = vh_survey_new();
    manager->wishes = g_array_new(FALSE, TRUE, sizeof(struct vh_wish));
    manager->now = g_ptr_array_new();
    if (open_all(manager, error) < 0)
        return NULL;
    manager->actuate = vh_actuate_new(manager->saved, manager->journal, &vh_actuator_pin);
    manager->boosts = vh_actuate_new(manager->saved, manager->journal, &vh_actuator_boost);
    manager->trials = vh_trials_new("/proc", manager->journal, &trials_funcs, manager);
    open_policy(manager);
    for (guint i = 0; i < INVENTORIES; i++) {
        manager->inventories[i] = inventory_kinds[i]->open(config, &inventory_events, manager, error);
        if (!manager->inventories[i])
            return NULL;
    }
    for (guint i = 0; i < INVENTORIES; i++)
        inventory_kinds[i]->start(manager->inventories[i]);
    return g_steal_pointer(&manager);
}

/* Reverts all pins, also of threads that were made since the last round. */
static void let_go(VhManager *manager, const char *why)
{
    if (!manager->actuate)
        return;
    refresh_threads(manager);
    vh_actuate_begin(manager->actuate, NULL, NULL);
    for (unsigned i = 0; i < manager->entries->len; i++)
        vh_helpers_want(manager->actuate, ((const struct entry *)g_ptr_array_index(manager->entries, i))->guest, i,
                        NULL);
    vh_actuate_end(manager->actuate, why, NULL);
}

void vh_manager_free(VhManager *manager)
{
    if (!manager)
        return;
    /* First the masks: what follows may take a while. Inventories turn the main loop while they close, so what
     * comes then must find no guests, but nothing freed either. */
    manager->closing = true;
    vh_hotplug_free(manager->hotplug);
    let_go(manager, "vhintd stops");
    vh_actuate_free(manager->boosts, "vhintd stops");
    vh_actuate_free(manager->actuate, "vhintd stops");
    vh_trials_free(manager->trials);
    g_ptr_array_set_size(manager->entries, 0);
    for (guint i = 0; i < INVENTORIES; i++)
        if (manager->inventories[i])
            inventory_kinds[i]->close(g_steal_pointer(&manager->inventories[i]));
    g_ptr_array_unref(manager->entries);
    vh_path_watch_free(manager->path_watch);
    vh_saved_close(manager->saved);
    vh_journal_free(manager->journal);
    vh_policy_store_free(manager->policy);
    g_ptr_array_unref(manager->watchers);
    vh_survey_free(manager->survey);
    vh_topology_free(manager->topology);
    g_array_unref(manager->wishes);
    g_ptr_array_unref(manager->now);
    g_free(manager);
}

/* ---- calls of the control interface ---- */

static void describe(const struct entry *entry, GVariantDict *dict)
{
    const char *other = NULL;
    g_autofree char *both = NULL;

    vh_guest_describe(entry->guest, dict);
    g_variant_dict_insert(dict, "held", "b", entry->held);
    if (!entry->problem || !g_variant_dict_lookup(dict, "problem", "&s", &other))
        return;
    both = *other ? g_strdup_printf("%s; %s", other, entry->problem) : g_strdup(entry->problem);
    g_variant_dict_insert(dict, "problem", "s", both);
}

GVariant *vh_manager_guests(VhManager *manager)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; i < manager->entries->len; i++) {
        g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

        describe(g_ptr_array_index(manager->entries, i), &dict);
        g_variant_builder_add_value(&builder, g_variant_dict_end(&dict));
    }
    return g_variant_builder_end(&builder);
}

/* One vCPU as GetGuest shows it. `guest` is its number in the plan, which was made just now. */
static GVariant *describe_vcpu(const VhManager *manager, const struct vh_plan *made, unsigned guest,
                               unsigned position)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    const struct entry *entry = g_ptr_array_index(manager->entries, guest);
    unsigned count = 0;
    const struct vh_vcpu *vcpu = &vh_guest_vcpus(entry->guest, &count)[position];
    const struct vh_placed *placed = vh_plan_thread(made, guest, position);
    struct vh_cpuset allowed;
    bool applied = pinned_to(manager, vcpu->thread) != NULL;
    bool wanted = placed->set >= 0 || placed->reason == VH_REASON_FULL || placed->reason == VH_REASON_NO_CPU;
    g_autofree char *host_cpus =
        vh_thread_cpus(vcpu->thread, &allowed) ? vh_cpuset_format(&allowed) : g_strdup("");
    g_autofree char *former = NULL;
    g_autofree char *reason = entry->held           ? g_strdup("released by hand until resumed")
                              : off_of(entry, vcpu) ? g_strdup(off_of(entry, vcpu))
                                                    : vh_survey_reason(manager->survey, guest, position);
    const char *problem = NULL;

    vh_actuate_describe(manager->actuate, vcpu->thread, &former, &problem);
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

GVariant *vh_manager_guest(VhManager *manager, const char *guest, GError **error)
{
    struct entry *entry = find(manager, guest, error);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    const struct vh_plan *made = NULL;
    unsigned count = 0;
    guint number = 0;

    if (!entry || !g_ptr_array_find(manager->entries, entry, &number))
        return NULL;
    vh_guest_refresh_threads(entry->guest);
    made = plan(manager);
    vh_guest_vcpus(entry->guest, &count);
    for (unsigned i = 0; i < count; i++)
        g_variant_builder_add_value(&builder, describe_vcpu(manager, made, number, i));
    describe(entry, &dict);
    g_variant_dict_insert_value(&dict, "vcpu", g_variant_builder_end(&builder));
    g_variant_dict_insert_value(
        &dict, "thread",
        vh_helpers_describe(manager->actuate, entry->guest, number, manager->survey, made, entry->held));
    return g_variant_dict_end(&dict);
}

GVariant *vh_manager_explain(VhManager *manager, const char *guest, GError **error)
{
    return find(manager, guest, error) ? vh_trials_describe(manager->trials, guest) : NULL;
}

GVariant *vh_manager_programs(VhManager *manager, const char *guest, GError **error)
{
    const struct entry *entry = find(manager, guest, error);

    return entry ? vh_guest_describe_programs(entry->guest) : NULL;
}

char **vh_manager_hints(VhManager *manager, const char *guest, GError **error)
{
    const struct entry *entry = find(manager, guest, error);

    return entry ? vh_guest_describe_facts(entry->guest) : NULL;
}

/* "name=value" strings of an a{ss}; NULL and an error for what LOAD cannot carry. */
static GBytes *read_tunables(GVariant *tunables, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    GVariantIter iter;
    const char *name = NULL;
    const char *value = NULL;

    if (tunables) {
        g_variant_iter_init(&iter, tunables);
        while (g_variant_iter_next(&iter, "{&s&s}", &name, &value)) {
            g_autofree char *text = g_strdup_printf("%s=%s", name, value);

            if (!*name || strchr(name, '=')) {
                g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "\"%s\" is no name for a tunable", name);
                return NULL;
            }
            g_byte_array_append(bytes, (const guint8 *)text, (guint)strlen(text) + 1);
        }
    }
    if (bytes->len > VH_TUNABLES_MAX) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "the tunables have %u bytes, the limit is %u",
                    bytes->len, VH_TUNABLES_MAX);
        return NULL;
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

void vh_manager_inject(VhManager *manager, const char *guest, const char *name, GBytes *object, GVariant *tunables,
                       bool replace, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    g_autoptr(GVariant) held = tunables ? g_variant_ref_sink(tunables) : NULL;
    g_autoptr(VhObject) read = NULL;
    g_autoptr(GBytes) packed = NULL;
    GError *error = NULL;
    const struct entry *entry = find(manager, guest, &error);

    g_task_set_task_data(task, g_strdup(guest), g_free);
    packed = entry ? read_tunables(held, &error) : NULL;
    read = packed ? vh_object_read(object, name, &error) : NULL;
    if (!read) {
        g_task_return_error(task, error);
        return;
    }
    vh_programs_inject(vh_guest_programs(entry->guest), g_steal_pointer(&read), g_steal_pointer(&packed), replace,
                       g_steal_pointer(&task));
}

GVariant *vh_manager_inject_finish(VhManager *manager, GAsyncResult *result, GError **error)
{
    g_autofree char *name = g_task_propagate_pointer(G_TASK(result), error);
    const char *guest = g_task_get_task_data(G_TASK(result));
    const struct entry *entry = name ? find(manager, guest, error) : NULL;
    VhPrograms *programs = entry ? vh_guest_programs(entry->guest) : NULL;

    if (!programs)
        return NULL;
    for (guint i = 0; i < vh_programs_count(programs); i++) {
        const struct vh_managed *managed = vh_programs_get(programs, i);

        if (g_str_equal(managed->name, name))
            return vh_guest_describe_program(entry->guest, managed);
    }
    g_set_error(error, VH_ERROR, VH_ERROR_NO_SUCH_PROGRAM, "%s was ejected meanwhile", name);
    return NULL;
}

void vh_manager_eject(VhManager *manager, const char *guest, const char *program, GCancellable *cancellable,
                      GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    GError *error = NULL;
    const struct entry *entry = find(manager, guest, &error);

    if (!entry)
        g_task_return_error(task, error);
    else
        vh_programs_eject(vh_guest_programs(entry->guest), program, g_steal_pointer(&task));
}

int vh_manager_eject_finish(VhManager *manager, GAsyncResult *result, GError **error)
{
    (void)manager;
    return (int)g_task_propagate_int(G_TASK(result), error);
}

/* Returns 0, or -1 and an error. */
static int set_held(VhManager *manager, const char *guest, bool held, GError **error)
{
    if (*guest && !find(manager, guest, error))
        return -1;
    for (guint i = 0; i < manager->entries->len; i++) {
        struct entry *entry = g_ptr_array_index(manager->entries, i);

        if (*guest && !g_str_equal(name_of(entry), guest))
            continue;
        if (entry->held != held)
            vh_journal_step(manager->journal, name_of(entry), held ? "release" : "resume", "asked for by hand",
                            NULL, NULL);
        entry->held = held;
        if (!held && g_hash_table_size(entry->off)) {
            const struct vh_config_guest *config = vh_guest_config(entry->guest);

            g_hash_table_remove_all(entry->off);
            config->retake(config);
        }
    }
    return 0;
}

int vh_manager_release(VhManager *manager, const char *guest, GError **error)
{
    if (set_held(manager, guest, true, error) < 0)
        return -1;
    refresh_threads(manager);
    return (int)replan(manager, "released by hand");
}

int vh_manager_resume(VhManager *manager, const char *guest, GError **error)
{
    if (set_held(manager, guest, false, error) < 0)
        return -1;
    refresh_threads(manager);
    replan(manager, "resumed by hand");
    return 0;
}
