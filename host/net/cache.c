// SPDX-License-Identifier: GPL-2.0-or-later
// Loads the cache's programs for a guest, with as much room as it may have.
#include "net/cache.h"

#include <bpf/bpf.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

#define OBJECT "cache"
#define TERMS 4u      /* for each entry */
#define TERM_SIZE 32u /* host-bpf/cache-store.h */
#define ENTRIES_LEAST 64u
#define ENTRIES_MOST (1u << 22)
#define SECOND_NS G_GUINT64_CONSTANT(1000000000)
#define SETTLE_NS (8 * SECOND_NS)
#define SWEEP_NS (5 * SECOND_NS)
#define IDLE_NS (600 * SECOND_NS) /* where there is little room */

/* Of connections that have ended, or that there is no room for any more. */
struct sweep {
    guint64 last; /* ns */
    guint left;   /* connections */
};

struct VhSlot {
    VhNetObject *object;
    struct vh_cache_told told; /* what it has been told last */
    struct sweep *sweep;
};

static void slot_free(VhSlot *slot)
{
    if (!slot)
        return;
    vh_net_object_free(slot->object);
    g_free(slot->sweep);
    g_free(slot);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhSlot, slot_free)

guint32 vh_net_cache_entries(guint64 memory)
{
    guint64 each = sizeof(struct vh_cache_head) + VH_CACHE_REPLY + TERMS * TERM_SIZE;
    guint32 entries = ENTRIES_LEAST;

    if (memory / each < ENTRIES_LEAST)
        return 0;
    while (entries < ENTRIES_MOST && memory / each >= 2 * entries)
        entries *= 2;
    return entries;
}

static int map_of(const VhSlot *slot, const char *name)
{
    const struct bpf_map *map = bpf_object__find_map_by_name(vh_net_object_bpf(slot->object), name);

    g_assert(map);
    return bpf_map__fd(map);
}

static void set_size(VhNetObject *object, const char *name, guint32 entries)
{
    struct bpf_map *map = bpf_object__find_map_by_name(vh_net_object_bpf(object), name);
    int result = map ? bpf_map__set_max_entries(map, entries) : -1;

    g_assert(result == 0);
}

static void set_all(VhNetObject *object, const struct vh_cache_wants *wants, guint32 entries)
{
    guint32 mask = entries - 1;
    guint32 terms_mask = entries * TERMS - 1;
    guint64 seed = wants->seed ? wants->seed : (guint64)g_random_int() << 32 | g_random_int();
    guint64 welcome = wants->welcome_ns ? wants->welcome_ns : SECOND_NS;
    guint8 unexpiring = wants->unexpiring ? 1 : 0;

    set_size(object, "cache_heads", entries);
    set_size(object, "cache_texts", entries);
    set_size(object, "cache_terms", entries * TERMS);
    vh_net_object_set(object, "cache_mask", &mask, sizeof(mask));
    vh_net_object_set(object, "cache_terms_mask", &terms_mask, sizeof(terms_mask));
    vh_net_object_set(object, "cache_seed", &seed, sizeof(seed));
    vh_net_object_set(object, "cache_welcome_ns", &welcome, sizeof(welcome));
    vh_net_object_set(object, "cache_port", &wants->port, sizeof(wants->port));
    vh_net_object_set(object, "cache_addresses", wants->addresses, sizeof(wants->addresses));
    vh_net_object_set(object, "cache_unexpiring", &unexpiring, sizeof(unexpiring));
}

static guint64 now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (guint64)now.tv_sec * 1000000000 + (guint64)now.tv_nsec;
}

static void tell(const VhSlot *slot)
{
    guint32 zero = 0;
    int result = bpf_map_update_elem(map_of(slot, "cache_told"), &zero, &slot->told, 0);

    g_assert(result == 0);
}

void vh_net_cache_flush(VhSlot *slot)
{
    slot->told.epoch++;
    slot->told.fill_after = now_ns() + SETTLE_NS;
    tell(slot);
}

static void slot_act(VhSlot *slot, bool act)
{
    slot->told.act = act ? 1 : 0;
    tell(slot);
}

guint vh_net_cache_sweep(const VhSlot *slot, guint64 idle)
{
    const struct bpf_map *map =
        bpf_object__find_map_by_name(vh_net_object_bpf(slot->object), "cache_streams");
    g_autofree guint8 *value = g_malloc0(bpf_map__value_size(map));
    struct vh_cache_flow key, next;
    const guint64 now = now_ns();
    guint left = 0;
    int result = bpf_map_get_next_key(bpf_map__fd(map), NULL, &next);

    for (guint i = 0; result == 0 && i < bpf_map__max_entries(map); i++) {
        guint64 used = 0;

        key = next;
        result = bpf_map_get_next_key(bpf_map__fd(map), &key, &next);
        if (bpf_map_lookup_elem(bpf_map__fd(map), &key, value) < 0)
            continue;
        memcpy(&used, value + VH_CACHE_STREAM_USED, sizeof(used));
        if (!used || (idle < now && used < now - idle))
            bpf_map_delete_elem(bpf_map__fd(map), &key);
        else
            left++;
    }
    return left;
}

/* What the programs cannot see, somebody in the guest has to vouch for. */
static GBytes *slot_gather(const VhFacts *facts, const char **why)
{
    (void)facts;
    *why = "nothing in the guest tells that memcached is reached by its interfaces alone";
    return NULL;
}

static VhSlot *slot_load(const VhNetMaps *maps, const struct vh_slot_order *order, GError **error)
{
    g_autoptr(VhSlot) slot = g_new0(VhSlot, 1);
    struct vh_cache_wants wants;
    guint32 entries = vh_net_cache_entries(order->memory);

    g_assert(g_bytes_get_size(order->wants) == sizeof(wants));
    memcpy(&wants, g_bytes_get_data(order->wants, NULL), sizeof(wants));
    if (!entries) {
        g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                    "offload-memory: %" G_GUINT64_FORMAT
                    " bytes are too little for a cache, which takes %u KiB",
                    order->memory, ENTRIES_LEAST * 2);
        return NULL;
    }
    slot->sweep = g_new0(struct sweep, 1);
    slot->object = vh_net_object_open(maps, OBJECT, error);
    if (!slot->object)
        return NULL;
    set_all(slot->object, &wants, entries);
    if (vh_net_object_load(slot->object, error) < 0)
        return NULL;
    /* Answers to what was asked before are under way. */
    vh_net_cache_flush(slot);
    return g_steal_pointer(&slot);
}

static int slot_program(const VhSlot *slot, enum vh_hook hook)
{
    return vh_net_object_program(slot->object, hook);
}

struct vh_cache_figures vh_net_cache_figures(const VhSlot *slot)
{
    int cpus = libbpf_num_possible_cpus();
    g_autofree struct vh_cache_figures *all = g_new0(struct vh_cache_figures, (gsize)MAX(cpus, 1));
    struct vh_cache_figures sum = {0};
    guint64 *words = (guint64 *)&sum;
    guint32 zero = 0;

    if (cpus <= 0 || bpf_map_lookup_elem(map_of(slot, "cache_figures"), &zero, all) < 0)
        return sum;
    for (int cpu = 0; cpu < cpus; cpu++)
        for (gsize i = 0; i < sizeof(sum) / sizeof(*words); i++)
            words[i] += ((const guint64 *)&all[cpu])[i];
    return sum;
}

static guint64 room_for_streams(const VhSlot *slot)
{
    return bpf_map__max_entries(
        bpf_object__find_map_by_name(vh_net_object_bpf(slot->object), "cache_streams"));
}

/* Asked for each second or so, it makes room, too. */
static guint64 slot_hits(const VhSlot *slot)
{
    struct vh_cache_figures figures = vh_net_cache_figures(slot);
    struct sweep *sweep = slot->sweep;
    bool full = sweep->left > room_for_streams(slot) / 4 * 3;
    guint64 now = now_ns();

    if (now - sweep->last >= SWEEP_NS) {
        sweep->last = now;
        sweep->left = vh_net_cache_sweep(slot, full ? IDLE_NS : G_MAXUINT64);
    }
    return figures.answered + figures.would;
}

static char *slot_explain(const VhSlot *slot)
{
    const struct vh_cache_figures figures = vh_net_cache_figures(slot);
    const struct {
        guint64 count;
        const char *why;
    } reasons[] = {
        {figures.unknown_expiry, "values were not kept, since no SET has said when they expire"},
        {figures.strangers, "packets were of connections to memcached that are older than the "
                            "cache; they keep it empty until their clients connect anew"},
        {figures.not_understood, "commands were not understood, and made everything void"},
        {figures.fragments, "packets could hide a command (fragments, another address of the "
                            "guest), and made everything void"},
    };
    g_autoptr(GString) text = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(reasons); i++)
        if (reasons[i].count)
            g_string_append_printf(text, "%s%" G_GUINT64_FORMAT " %s", text->len ? "\n" : "",
                                   reasons[i].count, reasons[i].why);
    return text->len ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

VhNetObject *vh_net_cache_object(VhSlot *slot)
{
    return slot->object;
}

const struct vh_slot_kind vh_net_cache = {
    .name = "cache",
    .stage = VH_STAGE_CACHE,
    .gather = slot_gather,
    .load = slot_load,
    .program = slot_program,
    .act = slot_act,
    .hits = slot_hits,
    .explain = slot_explain,
    .free = slot_free,
};
