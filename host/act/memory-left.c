// SPDX-License-Identifier: GPL-2.0-or-later
// Puts back guests' memory through QEMU's monitors, without the guests.
#include "act/memory-left.h"

#include "act/bell.h"
#include "io/link.h"
#include "machine/tid.h"
#include "qemu/memory.h"

#define WHAT "memory back"
#define LIBVIRT \
    "only libvirt reaches its monitor: start vhintd, which has it put back, or use virsh setmem"
#define LOOK_MS 20u /* between looks for a successor */

struct left {
    struct vh_saved_slot *slot; /* of a guest whose QEMU lives */
    VhJournal *journal;
    VhQmp *monitor; /* NULL: there is none to ask */
    bool over;      /* told */
    bool done;      /* put back */
};

static char *words(guint64 bytes)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT " MiB", bytes >> 20);
}

static void tell(const struct left *left, const char *why, bool back)
{
    const struct vh_saved_slot *slot = left->slot;
    g_autofree char *set = words(slot->memory.set);
    g_autofree char *former = words(slot->memory.former);
    g_autofree char *text =
        back ? g_strdup(why) : g_strdup_printf("it stays at %s, it had %s: %s", set, former, why);

    vh_journal_step(left->journal, slot->guest, WHAT, text, back ? set : NULL,
                    back ? former : NULL);
}

static void give_up(struct left *left, const char *why)
{
    if (!left->over)
        tell(left, why, false);
    left->over = true;
}

static void on_answer(JsonNode *result, const char *error, gpointer data)
{
    struct left *left = data;

    if (!result) {
        give_up(left, error);
    } else if (!left->over) {
        tell(left, "left by a daemon that died", true);
        left->over = left->done = true;
    }
}

/* Its path may be another's by now. */
static void on_ready(gpointer data)
{
    struct left *left = data;
    const struct vh_saved_memory *memory = &left->slot->memory;
    const struct vh_thread_id process = vh_saved_thread(left->slot);
    const struct vh_thread_id peer = vh_qmp_peer(left->monitor);
    JsonObject *arguments = NULL;
    const char *command = NULL;

    if (!vh_thread_id_equal(&peer, &process)) {
        give_up(left, "another process than its QEMU answers for the monitor");
        return;
    }
    command = vh_ram_command(memory->name, memory->value, &arguments);
    vh_qmp_command(left->monitor, command, arguments, on_answer, left);
}

static void on_event(enum vh_qmp_event event, JsonObject *details, gpointer data)
{
    (void)event;
    (void)details;
    (void)data;
}

static void on_closed(const char *why, gpointer data)
{
    give_up(data, why);
}

static const struct vh_qmp_funcs funcs = {
    .ready = on_ready, .event = on_event, .closed = on_closed};

static void begin(struct left *left, VhTurn *turn)
{
    const char *road = left->slot->memory.road;
    int fd = *road ? vh_link_open(road) : 0;
    g_autofree char *problem = fd < 0 ? vh_link_text(road, -fd) : NULL;

    if (!*road)
        give_up(left, LIBVIRT);
    else if (fd < 0)
        give_up(left, problem);
    else
        left->monitor = vh_qmp_new(turn, fd, &funcs, left);
}

/* Those whose QEMU lives. */
static GArray *gather(VhSaved *saved, VhJournal *journal)
{
    GArray *all = g_array_new(FALSE, TRUE, sizeof(struct left));
    struct vh_saved_slot *slot = NULL;

    while ((slot = vh_saved_next(saved, VH_SAVED_MEMORY, slot))) {
        const struct vh_thread_id process = vh_saved_thread(slot);
        const struct left left = {.slot = slot, .journal = journal};

        if (vh_tid_check("/proc", &process) == 0)
            g_array_append_val(all, left);
        else
            vh_saved_free_slot(saved, slot);
    }
    return all;
}

static bool are_over(const GArray *all)
{
    for (guint i = 0; i < all->len; i++)
        if (!g_array_index(all, struct left, i).over)
            return false;
    return true;
}

static gboolean on_look(gpointer data)
{
    (void)data; /* it ends an iteration */
    return G_SOURCE_CONTINUE;
}

static void await(GArray *all, VhSaved *saved, guint patience_ms)
{
    gint64 until = g_get_monotonic_time() + (gint64)patience_ms * 1000;
    uint32_t heard = vh_bell_count(saved);
    guint timer = g_timeout_add(LOOK_MS, on_look, NULL);

    while (!are_over(all) && vh_bell_count(saved) == heard && g_get_monotonic_time() < until)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    for (guint i = 0; i < all->len; i++)
        give_up(&g_array_index(all, struct left, i),
                vh_bell_count(saved) == heard ? "its monitor has not answered in time"
                                              : "a vhintd has started, which sees to it");
}

/* Returns how many are left still. */
static guint end(GArray *all, VhSaved *saved)
{
    guint count = 0;

    for (guint i = 0; i < all->len; i++) {
        struct left *left = &g_array_index(all, struct left, i);

        vh_qmp_free(left->monitor);
        if (left->done)
            vh_saved_free_slot(saved, left->slot);
        else
            count++;
    }
    return count;
}

guint vh_memory_left_put_back(VhSaved *saved, VhJournal *journal, guint patience_ms)
{
    g_autoptr(GArray) all = gather(saved, journal);
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTurn) turn = vh_turn_new(&error);

    /* None is moved from here on: they are callbacks' data. */
    for (guint i = 0; i < all->len && turn; i++)
        begin(&g_array_index(all, struct left, i), turn);
    for (guint i = 0; i < all->len && !turn; i++)
        give_up(&g_array_index(all, struct left, i), error->message);
    await(all, saved, patience_ms);
    return end(all, saved);
}
