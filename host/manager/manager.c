// SPDX-License-Identifier: GPL-2.0-or-later
// Manages all guests: which there are, what policy each is under, and when a round is due.
#include <errno.h>
#include <glib/gstdio.h>

#include "io/service.h"
#include "manager/state.h"
#include "programs/travel.h"

/* From a look at a guest that starts on: libvirt lets it run a few ms after it has set masks. */
#define HURRY_MS 500

static const struct vh_inventory_kind *const inventory_kinds[] = {&vh_inventory_static,
                                                                  &vh_inventory_libvirt};
#define MEMORY_MS 2000 /* for QEMU to take memory back when the daemon stops */
#define INVENTORIES G_N_ELEMENTS(inventory_kinds)
G_STATIC_ASSERT(INVENTORIES == VH_MANAGER_INVENTORIES);

/* ---- guests come and go ---- */

static void on_injected(VhGuest *guest, gpointer entry)
{
    (void)guest;
    vh_manager_note_travel(entry);
}

static const struct vh_guest_funcs guest_funcs = {.changed = vh_manager_on_changed,
                                                  .shown = vh_manager_on_shown,
                                                  .injected = on_injected,
                                                  .watched = vh_manager_is_watched,
                                                  .watch = vh_manager_tell};

static void apply_policy(VhManager *manager, struct vh_entry *entry)
{
    const struct vh_config_guest *config = vh_guest_config(entry->guest);
    const struct vh_guest_id id = {config->title, config->uuid, config->profile};

    vh_guest_set_policy(entry->guest, vh_policy_for(vh_policy_store_get(manager->policy), &id));
}

static void on_added(const struct vh_config_guest *config, gpointer data)
{
    VhManager *manager = data;
    struct vh_entry *entry = NULL;

    if (manager->closing)
        return;
    entry = vh_entry_new(manager);
    entry->guest =
        vh_guest_new(config, manager->config->state_dir, manager->path_watch, manager->turn,
                     manager->scratch, manager->journal, &guest_funcs, entry);
    entry->nodes_known = config->nodes && vh_cpuset_parse(&entry->nodes, config->nodes, NULL) == 0;
    g_ptr_array_add(manager->entries, entry);
    vh_round_come(manager->round, entry);
    vh_manager_take_travel(entry);
    apply_policy(manager, entry);
    vh_guest_start(entry->guest);
}

/* NULL: the manager has none, as it closes. */
static struct vh_entry *entry_of(const VhManager *manager, const struct vh_config_guest *config)
{
    for (guint i = 0; i < manager->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(manager->entries, i);

        if (vh_guest_config(entry->guest) == config)
            return entry;
    }
    return NULL;
}

static void on_removed(const struct vh_config_guest *config, gpointer data)
{
    VhManager *manager = data;
    struct vh_entry *entry = entry_of(manager, config);

    if (!entry)
        return;
    if (manager->closing) {
        vh_round_forget(manager->round, entry);
        g_ptr_array_remove(manager->entries, entry);
        return;
    }
    vh_round_leave(manager->round, entry, "the guest is not managed any longer");
    manager->changed -= entry->why != NULL;
    g_ptr_array_remove(manager->entries, entry);
    vh_round_run(manager->round, "the guest is not managed any longer");
}

static void on_starting(const struct vh_config_guest *config, const struct vh_thread_id *process,
                        gpointer data)
{
    VhManager *manager = data;
    const struct vh_entry *entry = entry_of(manager, config);

    if (!entry)
        return;
    vh_warden_hurry(manager->saved, HURRY_MS);
    vh_guest_preview(entry->guest, process);
    vh_round_recheck(manager->round, entry,
                     "libvirt has set the masks that it sets before a guest runs");
}

static void on_outdated(const struct vh_config_guest *config, gpointer data)
{
    VhManager *manager = data;
    const struct vh_entry *entry = entry_of(manager, config);

    if (entry && !manager->closing)
        vh_round_recheck(manager->round, entry,
                         "libvirt has only now set a mask that it was told earlier");
}

static void on_hands_off(const struct vh_config_guest *config, struct vh_seat seat, const char *why,
                         gpointer data)
{
    VhManager *manager = data;
    struct vh_entry *entry = entry_of(manager, config);
    g_autofree char *who = vh_seat_text(seat);
    g_autofree char *what = g_strdup_printf("hands %s %s", why ? "off" : "on", who);

    if (!entry || manager->closing || (!why && !vh_entry_off(entry, seat)))
        return;
    vh_journal_step(manager->journal, config->name, what,
                    why ? why : "nobody else pins it any longer", NULL, NULL);
    vh_entry_hands_off(entry, seat, why);
    vh_round_yield(manager->round, entry, seat);
    vh_round_run(manager->round, why ? why : "vhint may place it again");
}

static void on_retry(const struct vh_config_guest *config, gpointer data)
{
    VhManager *manager = data;
    const struct vh_entry *entry = entry_of(manager, config);

    if (!entry || manager->closing || !vh_round_is_barred(manager->round, entry))
        return;
    vh_round_forgive(manager->round);
    vh_round_run(manager->round, "the control group may have changed");
}

static bool on_wanted(const struct vh_guest_id *id, gpointer data)
{
    return vh_policy_matches(vh_policy_store_get(((const VhManager *)data)->policy), id);
}

static const struct vh_inventory_events inventory_events = {.added = on_added,
                                                            .removed = on_removed,
                                                            .starting = on_starting,
                                                            .retry = on_retry,
                                                            .outdated = on_outdated,
                                                            .hands_off = on_hands_off,
                                                            .wanted = on_wanted};

/* ---- policy ---- */

static void tell_reloaded(VhManager *manager, const char *status)
{
    if (manager->reloading)
        vh_service_ready(status);
    manager->reloading = false;
}

/* While the manager is made, there are no guests yet, nor inventories. */
static void on_policy(gpointer data)
{
    VhManager *manager = data;

    vh_journal_step(manager->journal, "", "policy", "the policy files were read", NULL, NULL);
    tell_reloaded(manager, "serving guests");
    if (!manager->policy || manager->closing)
        return;
    vh_round_outdate(manager->round);
    for (guint i = 0; i < manager->entries->len; i++)
        apply_policy(manager, g_ptr_array_index(manager->entries, i));
    for (guint i = 0; i < INVENTORIES; i++)
        if (manager->inventories[i] && inventory_kinds[i]->reconsider)
            inventory_kinds[i]->reconsider(manager->inventories[i]);
}

static void on_policy_refused(const GPtrArray *problems, gpointer data)
{
    VhManager *manager = data;

    tell_reloaded(
        manager,
        "serving guests; the policy files have mistakes, the last good policy is in force");
    for (guint i = 0; i < problems->len; i++) {
        const char *problem = g_ptr_array_index(problems, i);

        g_warning("policy: %s", problem);
        vh_journal_step(manager->journal, "", "policy refused", problem, NULL, NULL);
    }
}

static const struct vh_policy_store_funcs policy_funcs = {.changed = on_policy,
                                                          .refused = on_policy_refused};

static void open_policy(VhManager *manager)
{
    const VhConfig *config = manager->config;

    manager->policy =
        vh_policy_store_new(&(struct vh_policy_place){.main = config->path,
                                                      .directory = config->policy_dir,
                                                      .program_dir = config->program_dir},
                            &policy_funcs, manager);
}

void vh_manager_reload(VhManager *manager)
{
    manager->reloading = true;
    vh_policy_store_reload(manager->policy);
}

/* ---- the manager ---- */

static int make_directory(const char *path, int mode, GError **error)
{
    if (g_mkdir_with_parents(path, mode) == 0)
        return 0;
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "directory %s: %s", path, g_strerror(errno));
    return -1;
}

/* Guests that have said what holds make a round due. */
static void on_turn_end(gpointer data)
{
    VhManager *manager = data;

    if (manager->closing)
        return;
    vh_manager_adopt_look(manager);
    vh_manager_run_due(manager);
}

static int open_all(VhManager *manager, GError **error)
{
    const VhConfig *config = manager->config;
    g_autofree char *saved_dir = g_build_filename(config->run_dir, "saved", NULL);
    g_autofree char *saved = g_build_filename(saved_dir, "masks", NULL);

    if (make_directory(config->run_dir, 0755, error) < 0 ||
        make_directory(saved_dir, 0700, error) < 0 ||
        make_directory(config->state_dir, 0700, error) < 0)
        return -1;
    manager->host = vh_travel_host(config->state_dir, error);
    manager->journal = manager->host ? vh_journal_new(config->journal, error) : NULL;
    manager->saved = manager->journal ? vh_saved_open(saved, error) : NULL;
    manager->warden = manager->saved
                          ? vh_warden_new(manager->saved, saved, config->successor_seconds, error)
                          : NULL;
    manager->path_watch = manager->warden ? vh_path_watch_new(error) : NULL;
    manager->turn = manager->path_watch ? vh_turn_new(error) : NULL;
    if (!manager->turn)
        return -1;
    manager->scratch = vh_scratch_new();
    vh_turn_set_end(manager->turn, on_turn_end, manager);
    open_policy(manager);
    manager->round = vh_round_new(&vh_round_this_host, manager->entries, manager->policy,
                                  manager->saved, manager->journal, error);
    if (!manager->round)
        return -1;
    manager->saved_path = g_steal_pointer(&saved);
    vh_manager_open_offloads(manager);
    return 0;
}

VhManager *vh_manager_new(const VhConfig *config, GError **error)
{
    g_autoptr(VhManager) manager = g_new0(VhManager, 1);

    manager->config = config;
    /* If this fails, what a predecessor left is for one that starts. */
    manager->handing = G_MAXINT64;
    manager->entries = g_ptr_array_new_with_free_func(vh_entry_free);
    manager->watchers = g_ptr_array_new_with_free_func(vh_manager_watcher_free);
    manager->attempts = g_ptr_array_new();
    if (open_all(manager, error) < 0)
        return NULL;
    for (guint i = 0; i < INVENTORIES; i++) {
        manager->inventories[i] =
            inventory_kinds[i]->open(config, &inventory_events, manager, error);
        if (!manager->inventories[i])
            return NULL;
    }
    for (guint i = 0; i < INVENTORIES; i++)
        inventory_kinds[i]->start(manager->inventories[i]);
    manager->handing = 0;
    vh_manager_adopt_begin(manager);
    return g_steal_pointer(&manager);
}

static gboolean on_late(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

/* Turns the main loop until guests have got their memory back, as far as asking goes. A QEMU that
 * is hung up on before it has read may not read any more. */
static void wait_for_memory(const VhManager *manager)
{
    bool late = false;
    bool busy = true;
    guint timer = g_timeout_add(MEMORY_MS, on_late, &late);

    while (busy && !late) {
        busy = false;
        for (guint i = 0; i < manager->entries->len; i++) {
            const struct vh_entry *entry = g_ptr_array_index(manager->entries, i);

            busy = busy || vh_ram_device_busy(vh_guest_ram(entry->guest));
        }
        if (busy)
            g_main_context_iteration(NULL, TRUE);
    }
    if (!late)
        g_source_remove(timer);
}

void vh_manager_free(VhManager *manager)
{
    bool leave = false;

    if (!manager)
        return;
    leave = manager->round && g_get_monotonic_time() < manager->handing;
    /* First the masks: what follows may take a while. Inventories turn the main loop while they
     * close, so what comes then must find no guests, but nothing freed either. */
    manager->closing = true;
    vh_manager_give_up(manager);
    g_clear_handle_id(&manager->adopt_timer, g_source_remove);
    vh_manager_close_offloads(manager, leave);
    if (leave)
        vh_round_leave_all(manager->round, "vhintd hands over to its successor");
    else if (manager->round)
        vh_round_undo(manager->round, "vhintd stops");
    wait_for_memory(manager);
    g_ptr_array_set_size(manager->entries, 0);
    for (guint i = 0; i < INVENTORIES; i++)
        if (manager->inventories[i])
            inventory_kinds[i]->close(g_steal_pointer(&manager->inventories[i]), leave);
    vh_round_free(manager->round);
    g_ptr_array_unref(manager->entries);
    vh_turn_free(manager->turn);
    vh_scratch_free(manager->scratch);
    vh_path_watch_free(manager->path_watch);
    vh_warden_free(manager->warden, leave);
    vh_saved_close(manager->saved);
    vh_journal_free(manager->journal);
    vh_policy_store_free(manager->policy);
    g_ptr_array_unref(manager->watchers);
    g_ptr_array_unref(manager->attempts);
    g_free(manager->host);
    g_free(manager->saved_path);
    g_free(manager);
}
