// SPDX-License-Identifier: GPL-2.0-or-later
// Leads guests' memory: asks, decides, one timer.
#include "round/ram.h"

#include <math.h>
#include <string.h>

/* What the host keeps for itself, of all that it has. */
#define HOST_SHARE 20

struct item {
    char *guest;
    struct vh_thread_id process;
    VhRamDevice *device;
    struct vh_growth growth;
    struct vh_growth_limits limits;
    char *rule; /* "": none has to do with it */
    bool named; /* in this round */
    bool asked;
    bool held;     /* put back by hand */
    bool reported; /* the journal knows that there is no device */
    gint64 next;   /* when to look again; -1: never */
};

struct VhRam {
    char *proc;
    VhJournal *journal;
    VhSaved *saved;
    VhActuate *actuate;
    bool left; /* by a dead daemon, for a guest that is not here yet */
    void (*due)(gpointer data);
    gpointer data;
    GSource *timer;
    GHashTable *items; /* guest -> struct item */
};

static void item_free(gpointer data)
{
    struct item *item = data;

    vh_ram_device_unref(item->device);
    g_free(item->guest);
    g_free(item->rule);
    g_free(item);
}

static gboolean on_timer(gpointer data)
{
    VhRam *ram = data;

    g_source_set_ready_time(ram->timer, -1);
    ram->due(ram->data);
    return G_SOURCE_CONTINUE;
}

static gboolean dispatch(GSource *source, GSourceFunc func, gpointer data)
{
    (void)source;
    return func(data);
}

static GSourceFuncs timer_funcs = {.dispatch = dispatch};

VhRam *vh_ram_new(const char *proc, VhSaved *saved, VhJournal *journal, void (*due)(gpointer data),
                  gpointer data)
{
    VhRam *ram = g_new0(VhRam, 1);

    ram->proc = g_strdup(proc);
    ram->journal = journal;
    ram->saved = saved;
    ram->actuate = vh_actuate_new(saved, journal, &vh_actuator_memory);
    ram->due = due;
    ram->data = data;
    ram->timer = g_source_new(&timer_funcs, sizeof(GSource));
    g_source_set_callback(ram->timer, on_timer, ram, NULL);
    g_source_attach(ram->timer, NULL);
    ram->items = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, item_free);
    return ram;
}

static void ram_free(VhRam *ram)
{
    g_source_destroy(ram->timer);
    g_source_unref(ram->timer);
    g_hash_table_unref(ram->items);
    g_free(ram->proc);
    g_free(ram);
}

void vh_ram_free(VhRam *ram, const char *why)
{
    if (!ram)
        return;
    vh_actuate_free(ram->actuate, why);
    ram_free(ram);
}

void vh_ram_leave(VhRam *ram)
{
    vh_actuate_leave(ram->actuate);
    ram_free(ram);
}

/* "NAME:   N kB" of /proc/meminfo, in bytes; 0: not there. */
static gint64 meminfo(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? g_ascii_strtoll(at + strlen(name), NULL, 10) * 1024 : 0;
}

/* What the host can spare: of what it has available, all but its own share. */
static gint64 spare(const VhRam *ram)
{
    g_autofree char *path = g_build_filename(ram->proc, "meminfo", NULL);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    return meminfo(text, "MemAvailable:") - meminfo(text, "MemTotal:") / HOST_SHARE;
}

/* `cause` is the item. */
static char *reason_of(const struct vh_target *target, gconstpointer cause, gpointer data)
{
    const struct item *item = cause;
    bool easing = item->growth.state == VH_GROWTH_EASING;

    (void)target;
    (void)data;
    return g_strdup_printf(
        "%s (rule %s)",
        easing ? "nothing asks for it any longer" : "its tasks stand still for memory", item->rule);
}

void vh_ram_begin(VhRam *ram)
{
    GHashTableIter iter;
    gpointer value = NULL;
    const struct vh_saved_slot *slot = NULL;

    ram->left = false;
    while (!ram->left && (slot = vh_saved_next(ram->saved, VH_SAVED_MEMORY, slot)))
        ram->left = !slot->memory.owner;

    g_hash_table_iter_init(&iter, ram->items);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        ((struct item *)value)->named = false;
    vh_actuate_begin(ram->actuate, reason_of, ram);
}

bool vh_ram_concerns(const VhRam *ram, const struct vh_growth_limits *limits,
                     const struct vh_ram_wish *wish)
{
    return limits->max || ram->left || (wish && wish->rule);
}

static struct item *learn(VhRam *ram, const struct vh_target *target)
{
    struct item *item = g_hash_table_lookup(ram->items, target->key.guest);

    if (item && vh_thread_id_equal(&item->process, &target->on) && item->device == target->ram)
        return item;
    item = g_new0(struct item, 1);
    item->guest = g_strdup(target->key.guest);
    item->process = target->on;
    item->device = vh_ram_device_ref(target->ram);
    item->rule = g_strdup("");
    g_hash_table_replace(ram->items, item->guest, item);
    return item;
}

static void tell_verdict(const VhRam *ram, const struct item *item)
{
    bool reverted = item->growth.state == VH_GROWTH_RESTING;
    g_autofree char *before = g_strdup_printf("%g", item->growth.before);
    g_autofree char *after = g_strdup_printf("%g", item->growth.after);
    g_autofree char *why =
        g_strdup_printf("%s: %s (rule %s)", reverted ? "reverted" : "kept",
                        reverted ? "the guest is no better off with all that it may have"
                                 : "the guest is better off",
                        item->rule);

    vh_journal_change(ram->journal, item->guest, "trial memory", why, before, after);
}

/* Is there a device to act by? Complains once if there is none. */
static bool has_device(const VhRam *ram, struct item *item)
{
    struct vh_ram_state state = vh_ram_device_state(item->device);

    if (state.kind == VH_RAM_NONE && !item->reported)
        vh_journal_change(ram->journal, item->guest, "memory", state.problem, NULL, NULL);
    item->reported = state.kind == VH_RAM_NONE;
    return state.kind == VH_RAM_BALLOON || state.kind == VH_RAM_VIRTIO_MEM;
}

static void decide(const VhRam *ram, struct item *item, const struct vh_ram_wish *wish)
{
    gint64 now = g_get_monotonic_time();
    struct vh_ram_state state = vh_ram_device_state(item->device);
    struct vh_growth_limits limits = item->limits;
    struct vh_growth_ask ask = {.asked = wish->asked,
                                .trial = wish->rule && wish->rule->trial,
                                .stall = wish->stall,
                                .room = wish->room,
                                .has = state.has,
                                .spare = wish->asked ? spare(ram) : 0};
    bool judged = item->growth.judged;

    if (state.most)
        limits.max = MIN(limits.max, state.most);
    item->next = vh_growth_look(&item->growth, &limits, &ask, now);
    if (item->growth.judged && !judged)
        tell_verdict(ram, item);
}

void vh_ram_ask(VhRam *ram, const struct vh_target *target, const struct vh_growth_limits *limits,
                const struct vh_ram_wish *wish)
{
    struct item *item = learn(ram, target);
    union vh_setting setting;
    bool concerned = wish && limits->max && (wish->asked || item->growth.state != VH_GROWTH_OFF);

    item->named = true;
    item->held = !wish;
    item->asked = wish && wish->asked;
    item->limits = *limits;
    item->next = -1;
    /* Whose facts are gone, it may still be on its way back because of. */
    if ((wish && wish->rule) || item->growth.state == VH_GROWTH_OFF) {
        g_free(item->rule);
        item->rule = g_strdup(wish && wish->rule ? wish->rule->name : "");
    }
    if (!concerned)
        item->growth =
            (struct vh_growth){.relapses = item->growth.relapses, .eased = item->growth.eased};
    else if (item->growth.target || vh_ram_device_need(item->device)) {
        if (has_device(ram, item))
            decide(ram, item, wish);
    }
    setting.memory = item->growth.target;
    vh_actuate_want(ram->actuate, target, item->growth.target ? &setting : NULL, item);
}

static gboolean unnamed(gpointer key, gpointer value, gpointer data)
{
    (void)key;
    (void)data;
    return !((const struct item *)value)->named;
}

guint vh_ram_end(VhRam *ram, const char *why)
{
    guint undone = vh_actuate_end(ram->actuate, why, NULL);
    GHashTableIter iter;
    gpointer value = NULL;
    gint64 next = -1;

    g_hash_table_foreach_remove(ram->items, unnamed, NULL);
    g_hash_table_iter_init(&iter, ram->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct item *item = value;

        if (item->next >= 0 && (next < 0 || item->next < next))
            next = item->next;
    }
    g_source_set_ready_time(ram->timer, next);
    return undone;
}

/* ---- for people ---- */

bool vh_ram_knows(const VhRam *ram, const char *guest)
{
    return g_hash_table_size(ram->items) && g_hash_table_contains(ram->items, guest);
}

static const struct item *find(const VhRam *ram, const char *guest)
{
    const struct item *item =
        vh_ram_knows(ram, guest) ? g_hash_table_lookup(ram->items, guest) : NULL;

    return item && (*item->rule || item->held) ? item : NULL;
}

static char *reason_text(const struct item *item)
{
    static const char *const texts[] = {
        [VH_GROWTH_OFF] = "nothing asks for more",
        [VH_GROWTH_GROWING] = "it asks for more",
        [VH_GROWTH_FULL] = "it has all that memory-max and its device allow",
        [VH_GROWTH_SHORT] = "it asks for more, but the host has none to spare",
        [VH_GROWTH_IN_USE] = "nothing asks for more, but the guest has no room to give a step back",
        [VH_GROWTH_EASING] = "nothing asks for it any longer",
        [VH_GROWTH_RESTING] = "more did not help, and is not tried again yet",
    };

    G_STATIC_ASSERT(G_N_ELEMENTS(texts) == VH_GROWTH_COUNT);
    if (item->held)
        return g_strdup("released by hand until resumed");
    if (item->asked && !item->limits.max)
        return g_strdup("it asks for more, but the policy gives it no memory-max");
    return g_strdup(texts[item->growth.state]);
}

static void describe(const VhRam *ram, const struct item *item, char **former, const char **problem)
{
    const struct vh_target_key key = {item->guest, VH_TARGET_MEMORY, 0};

    vh_actuate_describe(ram->actuate, &key, former, problem);
}

/* The last that went wrong, of the device or of the attempt. Borrowed. */
static const char *problem_of(const VhRam *ram, const struct item *item)
{
    g_autofree char *former = NULL;
    const char *problem = NULL;

    describe(ram, item, &former, &problem);
    return *problem ? problem : vh_ram_device_state(item->device).problem;
}

GVariant *vh_ram_describe(const VhRam *ram, const char *guest)
{
    const struct item *item = find(ram, guest);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    g_autofree char *former = NULL;
    g_autofree char *reason = item ? reason_text(item) : NULL;
    const char *problem = NULL;
    struct vh_ram_state state;

    if (!item)
        return NULL;
    state = vh_ram_device_state(item->device);
    describe(ram, item, &former, &problem);
    g_variant_dict_insert(&dict, "device", "s", vh_ram_kind_text(state.kind));
    g_variant_dict_insert(
        &dict, "bytes", "t",
        state.kind == VH_RAM_BALLOON || state.kind == VH_RAM_VIRTIO_MEM ? state.has : 0);
    g_variant_dict_insert(&dict, "former", "s", former);
    g_variant_dict_insert(&dict, "state", "s", vh_growth_state_text(item->growth.state));
    g_variant_dict_insert(&dict, "reason", "s", reason);
    g_variant_dict_insert(&dict, "problem", "s", problem_of(ram, item));
    return g_variant_dict_end(&dict);
}

/* What its trial has found so far. */
static const char *verdict_of(const struct vh_growth *growth)
{
    if (growth->state == VH_GROWTH_RESTING)
        return "reverted";
    return growth->judged ? "kept" : "";
}

GVariant *vh_ram_explain(const VhRam *ram, const char *guest)
{
    const struct item *item = find(ram, guest);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    const struct vh_growth *growth = item ? &item->growth : NULL;
    gint64 now = g_get_monotonic_time();
    g_autofree char *reason = item ? reason_text(item) : NULL;

    if (!item)
        return NULL;
    g_variant_dict_insert(&dict, "action", "s", "memory");
    g_variant_dict_insert(&dict, "rule", "s", item->rule);
    g_variant_dict_insert(&dict, "state", "s", vh_growth_state_text(growth->state));
    g_variant_dict_insert(&dict, "in_force", "b", (gboolean)(growth->target != 0));
    g_variant_dict_insert(&dict, "next", "d",
                          item->next < 0 ? -1.0
                                         : (double)MAX(item->next - now, 0) / G_USEC_PER_SEC);
    g_variant_dict_insert(&dict, "reverts", "u", growth->reverts);
    g_variant_dict_insert(&dict, "problem", "s", problem_of(ram, item));
    g_variant_dict_insert(&dict, "verdict", "s", verdict_of(growth));
    g_variant_dict_insert(&dict, "reason", "s", reason);
    if (isfinite(growth->before))
        g_variant_dict_insert(&dict, "before", "d", growth->before);
    if (isfinite(growth->after) && (growth->judged || growth->state == VH_GROWTH_RESTING))
        g_variant_dict_insert(&dict, "after", "d", growth->after);
    return g_variant_dict_end(&dict);
}
