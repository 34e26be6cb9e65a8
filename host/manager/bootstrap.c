// SPDX-License-Identifier: GPL-2.0-or-later
// Bootstrap: has the injector brought into a guest, and waits for it on the guest's channel.
#include "qemu/bootstrap.h"
#include "manager/state.h"
#include "qemu/qga.h"

#define ATTEMPTS_MAX 4u /* at once: each has a worker that may be kept waiting */
#define ANSWER_MS 10000 /* for an injector that was started to answer */
#define PATIENCE (VH_BOOTSTRAP_SECONDS + VH_QGA_SECONDS)
#define LOOK_MS 50 /* how often that is looked for, as long as it is waited for */

/* One call. While a worker has it, only cancellable is touched here, and in the worker only what is
 * said to be the worker's. */
struct attempt {
    VhManager *manager; /* NULL: nobody waits any longer */
    char *guest;
    char *file; /* the injector's */
    GTask *task;
    GCancellable *cancellable;
    bool working; /* a worker has it */
    guint timer;  /* while it works, the end of all patience; then the next look for an answer */
    gint64 end;   /* us: of the wait for an answer */

    /* the worker's */
    struct vh_bootstrap outcome;
    char *found; /* by the look afterwards */
    GError *error;
};

static void attempt_free(struct attempt *attempt)
{
    vh_bootstrap_clear(&attempt->outcome);
    g_clear_error(&attempt->error);
    g_clear_object(&attempt->task);
    g_object_unref(attempt->cancellable);
    g_free(attempt->found);
    g_free(attempt->guest);
    g_free(attempt->file);
    g_free(attempt);
}

/* Nobody waits for it any longer. */
static void drop(struct attempt *attempt)
{
    g_clear_handle_id(&attempt->timer, g_source_remove);
    g_ptr_array_remove(attempt->manager->attempts, attempt);
    attempt->manager = NULL;
    if (!attempt->working)
        attempt_free(attempt);
}

/* Takes `error`. */
static void fail(struct attempt *attempt, GError *error)
{
    g_cancellable_cancel(attempt->cancellable);
    vh_journal_step(attempt->manager->journal, attempt->guest, "bootstrap failed", error->message,
                    NULL, attempt->working ? NULL : attempt->outcome.path);
    g_task_return_error(attempt->task, error);
    drop(attempt);
}

static GVariant *describe(const struct vh_entry *entry, bool already,
                          const struct vh_bootstrap *outcome)
{
    g_auto(VhGuestPortrait) portrait = {0};
    g_auto(GVariantDict) guest = G_VARIANT_DICT_INIT(NULL);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    static const char *const keys[] = {"injector", "release"};

    vh_guest_portray(entry->guest, &portrait);
    vh_guest_portrait_describe(&portrait, &guest);
    g_variant_dict_insert(&dict, "already", "b", already);
    g_variant_dict_insert(&dict, "path", "s", outcome->path ? outcome->path : "");
    g_variant_dict_insert(&dict, "how", "s", outcome->how ? outcome->how : "");
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autoptr(GVariant) value =
            g_variant_dict_lookup_value(&guest, keys[i], G_VARIANT_TYPE_STRING);

        g_variant_dict_insert_value(&dict, keys[i], value);
    }
    return g_variant_dict_end(&dict);
}

static void succeed(struct attempt *attempt, const struct vh_entry *entry)
{
    bool already = attempt->outcome.running;

    vh_journal_step(attempt->manager->journal, attempt->guest, "bootstrap",
                    already ? "asked for by hand; an injector was there" : "asked for by hand",
                    NULL, attempt->outcome.path);
    g_task_return_pointer(attempt->task, describe(entry, already, &attempt->outcome),
                          (GDestroyNotify)g_variant_unref);
    drop(attempt);
}

/* The guest; NULL: it has gone, and the attempt with it. */
static const struct vh_entry *entry_of(struct attempt *attempt)
{
    GError *error = NULL;
    const struct vh_entry *entry = vh_manager_find(attempt->manager, attempt->guest, &error);

    if (!entry) {
        g_prefix_error(&error, "the guest has gone meanwhile: ");
        fail(attempt, error);
    }
    return entry;
}

/* What the worker does ends in time by itself, but it may have to wait for libvirtd before it
 * begins. */
static gboolean on_late(gpointer data)
{
    struct attempt *attempt = data;

    fail(attempt, g_error_new(VH_ERROR, VH_ERROR_TIMED_OUT,
                              "the guest agent has not been reached within %d s", PATIENCE));
    return G_SOURCE_REMOVE;
}

/* Returns NULL, or (borrowed) why the agent cannot be reached. */
static const char *use_agent(struct attempt *attempt, const struct vh_config_guest *config,
                             const struct vh_qga_job *job)
{
    const char *problem = NULL;

    attempt->working = true;
    if (config->maker)
        problem = config->maker->use_agent(config, attempt->cancellable, job, attempt);
    else if (config->agent)
        vh_qga_use_socket(config->agent, attempt->cancellable, job, attempt);
    else
        problem = "its QEMU guest agent cannot be reached: set the key agent of its section in "
                  "vhint.conf";
    attempt->working = problem == NULL;
    if (attempt->working)
        attempt->timer = g_timeout_add_seconds(PATIENCE, on_late, attempt);
    return problem;
}

/* The worker is done. false: nobody waits any longer, and the attempt is no more. */
static bool take_back(struct attempt *attempt)
{
    attempt->working = false;
    g_clear_handle_id(&attempt->timer, g_source_remove);
    if (attempt->manager)
        return true;
    attempt_free(attempt);
    return false;
}

/* ---- why nobody answers ---- */

static void examine_work(struct vh_qga *agent, gpointer data)
{
    struct attempt *attempt = data;

    attempt->found = vh_bootstrap_examine(agent, &attempt->error);
}

static void examine_done(gpointer data)
{
    struct attempt *attempt = data;
    const struct vh_entry *entry = NULL;
    const char *found = attempt->error ? attempt->error->message : "";

    if (attempt->found)
        found = attempt->found;
    if (!take_back(attempt))
        return;
    entry = entry_of(attempt);
    if (entry && vh_guest_is_connected(entry->guest))
        succeed(attempt, entry);
    else if (entry)
        fail(attempt, g_error_new(VH_ERROR, VH_ERROR_TIMED_OUT,
                                  "an injector %s in the guest, and has not answered within %d s: "
                                  "%s (vhintctl status %s "
                                  "tells of its channel)",
                                  attempt->outcome.running ? "ran already" : "was started",
                                  ANSWER_MS / 1000, found, attempt->guest));
}

static const struct vh_qga_job examine_job = {.work = examine_work, .done = examine_done};

/* ---- the wait ---- */

static gboolean on_look(gpointer data)
{
    struct attempt *attempt = data;
    const struct vh_entry *entry = entry_of(attempt);
    const char *problem = NULL;

    if (!entry)
        return G_SOURCE_REMOVE;
    if (vh_guest_is_connected(entry->guest)) {
        succeed(attempt, entry);
        return G_SOURCE_REMOVE;
    }
    if (g_get_monotonic_time() < attempt->end)
        return G_SOURCE_CONTINUE;
    attempt->timer = 0;
    problem = use_agent(attempt, vh_guest_config(entry->guest), &examine_job);
    if (problem) {
        attempt->found = g_strdup(problem);
        examine_done(attempt);
    }
    return G_SOURCE_REMOVE;
}

/* ---- bringing it in ---- */

static void push_work(struct vh_qga *agent, gpointer data)
{
    struct attempt *attempt = data;
    g_autoptr(GBytes) injector = vh_bootstrap_read(attempt->file, &attempt->error);

    if (injector && vh_bootstrap_push(agent, injector, &attempt->outcome, &attempt->error) < 0)
        g_assert(attempt->error);
}

static void push_done(gpointer data)
{
    struct attempt *attempt = data;

    if (!take_back(attempt))
        return;
    if (attempt->error) {
        fail(attempt, g_steal_pointer(&attempt->error));
        return;
    }
    attempt->end = g_get_monotonic_time() + ANSWER_MS * 1000;
    attempt->timer = g_timeout_add(LOOK_MS, on_look, attempt);
}

static const struct vh_qga_job push_job = {.work = push_work, .done = push_done};

/* ---- the call ---- */

/* 0, or -1 and why it is not even tried. */
static int check(const VhManager *manager, const struct vh_entry *entry, GError **error)
{
    const char *name = vh_entry_name(entry);

    if (!vh_guest_policy(entry->guest)->bootstrap) {
        g_set_error(
            error, VH_ERROR, VH_ERROR_REFUSED,
            "policy does not allow it: write bootstrap = yes in a [guest ...] section for %s",
            name);
        return -1;
    }
    if (!vh_guest_config(entry->guest)->channel) {
        g_set_error(error, VH_ERROR, VH_ERROR_NOT_CONNECTED,
                    "the guest has no port " VH_PORT_NAME ": vhintctl enable %s gives it one",
                    name);
        return -1;
    }
    for (guint i = 0; i < manager->attempts->len; i++)
        if (g_str_equal(((const struct attempt *)g_ptr_array_index(manager->attempts, i))->guest,
                        name)) {
            g_set_error(error, VH_ERROR, VH_ERROR_BUSY, "%s is being bootstrapped already", name);
            return -1;
        }
    if (manager->attempts->len < ATTEMPTS_MAX)
        return 0;
    g_set_error(error, VH_ERROR, VH_ERROR_BUSY,
                "%u guests are being bootstrapped, the limit: try again later", ATTEMPTS_MAX);
    return -1;
}

void vh_manager_bootstrap(VhManager *manager, const char *guest, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    GError *error = NULL;
    const struct vh_entry *entry = vh_manager_find(manager, guest, &error);
    struct attempt *attempt = NULL;
    const char *problem = NULL;

    if (entry && vh_guest_is_connected(entry->guest)) {
        const struct vh_bootstrap nothing = {0};

        g_task_return_pointer(task, describe(entry, true, &nothing),
                              (GDestroyNotify)g_variant_unref);
        return;
    }
    if (!entry || check(manager, entry, &error) < 0) {
        g_task_return_error(task, error);
        return;
    }
    attempt = g_new0(struct attempt, 1);
    attempt->manager = manager;
    attempt->guest = g_strdup(guest);
    attempt->file = g_strdup(manager->config->injector);
    attempt->task = g_steal_pointer(&task);
    attempt->cancellable = g_cancellable_new();
    g_ptr_array_add(manager->attempts, attempt);
    problem = use_agent(attempt, vh_guest_config(entry->guest), &push_job);
    if (problem)
        fail(attempt, g_error_new(VH_ERROR, VH_ERROR_NOT_CONNECTED, "%s", problem));
}

GVariant *vh_manager_bootstrap_finish(VhManager *manager, GAsyncResult *result, GError **error)
{
    (void)manager;
    return g_task_propagate_pointer(G_TASK(result), error);
}

void vh_manager_give_up(VhManager *manager)
{
    while (manager->attempts->len) {
        struct attempt *attempt = g_ptr_array_index(manager->attempts, 0);

        fail(attempt, g_error_new(VH_ERROR, VH_ERROR_BUSY, "vhintd stops"));
    }
}
