/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fake-actuator.h"

#include <string.h>

#include "base/error.h"

#define TOPOLOGY "node:2 core:4 pu:1"

/* What a thread has of one kind. */
struct state {
    char *text; /* ""; else what was applied, in words */
    union vh_setting set;
    bool disturbed;
    int code;
    char *refusal; /* NULL: it is not refused */
};

struct VhHold {
    VhSaved *saved;
    struct vh_saved_slot *slot;
    bool found;
};

/* An actuator's functions get no context: there is one host. */
static GHashTable *states[2]; /* by enum vh_saved_kind: thread -> struct state */
static unsigned applied, reverted;
static int offline;

static void state_free(gpointer data)
{
    struct state *state = data;

    g_free(state->text);
    g_free(state->refusal);
    g_free(state);
}

void fake_host_begin(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(states); i++)
        states[i] = g_hash_table_new_full(NULL, NULL, NULL, state_free);
    applied = 0;
    reverted = 0;
    offline = -1;
}

void fake_host_end(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(states); i++)
        g_clear_pointer(&states[i], g_hash_table_unref);
}

static struct state *state_of(enum vh_saved_kind kind, pid_t thread)
{
    struct state *state = g_hash_table_lookup(states[kind], GINT_TO_POINTER(thread));

    if (!state) {
        state = g_new0(struct state, 1);
        state->text = g_strdup("");
        g_hash_table_insert(states[kind], GINT_TO_POINTER(thread), state);
    }
    return state;
}

static struct state *its_state(const VhHold *hold)
{
    return state_of(hold->slot->kind, hold->slot->thread);
}

static void set_text(struct state *state, char *text)
{
    g_free(state->text);
    state->text = text;
}

/* ---- what tests ask and say ---- */

const char *fake_host_pin(pid_t thread)
{
    return state_of(VH_SAVED_MASK, thread)->text;
}

const char *fake_host_boost(pid_t thread)
{
    return state_of(VH_SAVED_BOOST, thread)->text;
}

unsigned fake_host_applied(void)
{
    return applied;
}

unsigned fake_host_reverted(void)
{
    return reverted;
}

static void refuse(struct state *state, int code, const char *message)
{
    g_free(state->refusal);
    state->refusal = g_strdup(message);
    state->code = code;
}

void fake_host_refuse_pin(pid_t thread, int code, const char *message)
{
    refuse(state_of(VH_SAVED_MASK, thread), code, message);
}

void fake_host_refuse_boost(pid_t thread, int code, const char *message)
{
    refuse(state_of(VH_SAVED_BOOST, thread), code, message);
}

void fake_host_disturb(pid_t thread)
{
    state_of(VH_SAVED_MASK, thread)->disturbed = true;
}

void fake_host_offline(unsigned cpu)
{
    offline = (int)cpu;
}

static struct vh_topology *topology(GError **error)
{
    g_autoptr(VhTopology) all = vh_topology_synthetic(TOPOLOGY, error);
    struct vh_cpuset gone = {{0}};

    if (offline >= 0)
        vh_cpuset_add(&gone, (unsigned)offline);
    return all ? vh_topology_without(all, &gone) : NULL;
}

/* ---- the actuators ---- */

static VhHold *probe(VhSaved *saved, const struct vh_target *target, enum vh_saved_kind kind)
{
    VhHold *hold = g_new0(VhHold, 1);

    hold->saved = saved;
    if (kind == VH_SAVED_MASK)
        hold->slot = vh_saved_claim(saved, &target->on);
    hold->found = hold->slot != NULL;
    if (!hold->slot)
        hold->slot = vh_saved_take(saved);
    g_assert_nonnull(hold->slot);
    hold->slot->kind = kind;
    vh_saved_set_thread(hold->slot, &target->on);
    vh_saved_set_key(hold->slot, &target->key);
    return hold;
}

static VhHold *probe_pin(VhSaved *saved, const struct vh_target *target, GError **error)
{
    (void)error;
    return probe(saved, target, VH_SAVED_MASK);
}

static VhHold *probe_boost(VhSaved *saved, const struct vh_target *target, GError **error)
{
    (void)error;
    return probe(saved, target, VH_SAVED_BOOST);
}

static void rename_hold(VhHold *hold, const struct vh_target_key *key)
{
    vh_saved_set_key(hold->slot, key);
}

static bool found(const VhHold *hold, union vh_setting *setting)
{
    *setting = its_state(hold)->set;
    return hold->found;
}

static int apply(VhHold *hold, const union vh_setting *setting, char *text, GError **error)
{
    struct state *state = its_state(hold);
    g_autofree char *taken = text;

    if (state->refusal) {
        g_set_error(error, VH_ERROR, state->code, "%s", state->refusal);
        return -1;
    }
    hold->slot->state = VH_SAVED_APPLIED;
    state->set = *setting;
    state->disturbed = false;
    set_text(state, g_steal_pointer(&taken));
    applied++;
    return 0;
}

static char *text_of_pin(const union vh_setting *setting)
{
    return vh_cpuset_format(&setting->cpus);
}

static char *text_of_boost(const union vh_setting *setting)
{
    return g_strdup(vh_boost_names[setting->boost]);
}

static int apply_pin(VhHold *hold, const union vh_setting *setting, GError **error)
{
    if (offline >= 0 && vh_cpuset_has(&setting->cpus, (unsigned)offline)) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "CPU %d is offline", offline);
        return -1;
    }
    return apply(hold, setting, text_of_pin(setting), error);
}

static int apply_boost(VhHold *hold, const union vh_setting *setting, GError **error)
{
    return apply(hold, setting, text_of_boost(setting), error);
}

static void put_back(struct vh_saved_slot *slot)
{
    set_text(state_of(slot->kind, slot->thread), g_strdup(""));
    reverted++;
}

static int revert(VhHold *hold, GError **error)
{
    (void)error;
    if (hold->slot->state != VH_SAVED_APPLIED)
        return 0;
    put_back(hold->slot);
    hold->slot->state = VH_SAVED_NOTED;
    return 0;
}

static char *former(const VhHold *hold)
{
    return g_strdup(hold->slot->state == VH_SAVED_APPLIED ? "what it was" : "");
}

static bool stands(const VhHold *hold, const union vh_setting *setting)
{
    (void)setting;
    return !its_state(hold)->disturbed;
}

static bool same_pin(const union vh_setting *a, const union vh_setting *b)
{
    return vh_cpuset_equal(&a->cpus, &b->cpus);
}

static bool same_boost(const union vh_setting *a, const union vh_setting *b)
{
    return a->boost == b->boost;
}

static void forget(VhHold *hold)
{
    vh_saved_free_slot(hold->saved, hold->slot);
    g_free(hold);
}

static void leave(VhHold *hold)
{
    if (hold->slot->state != VH_SAVED_APPLIED)
        vh_saved_free_slot(hold->saved, hold->slot);
    g_free(hold);
}

static int recover(VhSaved *saved, struct vh_saved_slot *slot, GError **error)
{
    (void)error;
    put_back(slot);
    vh_saved_free_slot(saved, slot);
    return 0;
}

static const struct vh_actuator pin = {.name = "pin",
                                       .saved = VH_SAVED_MASK,
                                       .probe = probe_pin,
                                       .rename = rename_hold,
                                       .found = found,
                                       .apply = apply_pin,
                                       .revert = revert,
                                       .former = former,
                                       .stands = stands,
                                       .same = same_pin,
                                       .text = text_of_pin,
                                       .forget = forget,
                                       .leave = leave,
                                       .recover = recover};

static const struct vh_actuator boost = {.name = "boost",
                                         .saved = VH_SAVED_BOOST,
                                         .probe = probe_boost,
                                         .rename = rename_hold,
                                         .apply = apply_boost,
                                         .revert = revert,
                                         .former = former,
                                         .stands = stands,
                                         .same = same_boost,
                                         .text = text_of_boost,
                                         .forget = forget,
                                         .recover = recover};

const struct vh_round_host fake_host = {
    .pin = &pin, .boost = &boost, .topology = topology, .proc = "/proc"};
