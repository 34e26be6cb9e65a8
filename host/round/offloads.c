// SPDX-License-Identifier: GPL-2.0-or-later
// Leads guests' offloads: what each is to have, and its lease.
#include "round/offloads.h"

#include <string.h>

#include "round/offloads-state.h"

#define RETRY_US ((gint64)10 * G_USEC_PER_SEC) /* of hooks that were refused */

static void guest_free(gpointer data)
{
    struct vh_offload_guest *guest = data;

    for (guint stage = 0; stage < VH_STAGES; stage++)
        g_clear_pointer(&guest->kinds[stage].wants, g_bytes_unref);
    vh_net_state_free(guest->state);
    g_free(guest->name);
    g_free(guest);
}

/* ---- wishes ---- */

static bool loads(const struct vh_offload *offload)
{
    return offload->wants && vh_advisor_loads(&offload->advisor);
}

static void stop(VhOffloads *offloads, struct vh_offload_guest *guest)
{
    if (guest->sent)
        vh_net_stop(offloads->net, guest->name);
    guest->sent = false;
    g_clear_pointer(&guest->state, vh_net_state_free);
    for (guint stage = 0; stage < VH_STAGES; stage++)
        guest->kinds[stage].totals.when = 0;
}

static VhNetWish *wish_of(const struct vh_offload_guest *guest)
{
    VhNetWish *wish = g_new0(VhNetWish, 1);
    bool any = false;

    wish->guest = g_strdup(guest->name);
    wish->nics = guest->nic_count;
    memcpy(wish->nic, guest->nics, sizeof(wish->nic));
    wish->uplink = *guest->limits.uplink ? g_strdup(guest->limits.uplink) : NULL;
    wish->cycles = guest->limits.cycles;
    wish->memory = guest->limits.memory;
    for (guint stage = 0; stage < VH_STAGES; stage++) {
        const struct vh_offload *offload = &guest->kinds[stage];

        if (!loads(offload))
            continue;
        any = true;
        wish->wants[stage] = g_bytes_ref(offload->wants);
        wish->acts[stage] = vh_advisor_acts(&offload->advisor);
    }
    if (!any || !guest->nic_count)
        g_clear_pointer(&wish, vh_net_wish_free);
    return wish;
}

static void send_wish(VhOffloads *offloads, struct vh_offload_guest *guest)
{
    VhNetWish *wish = wish_of(guest);

    if (!wish) {
        stop(offloads, guest);
        return;
    }
    if (vh_net_want(offloads->net, wish)) {
        guest->sent = true;
        guest->sent_at = g_get_monotonic_time();
        return;
    }
    guest->sent = false;
    vh_journal_change(offloads->journal, guest->name, "offload refused",
                      "too many guests of this host have offloads", NULL, NULL);
}

/* ---- the lease ---- */

static bool has_wants(const struct vh_offload_guest *guest)
{
    for (guint stage = 0; stage < VH_STAGES; stage++)
        if (guest->kinds[stage].wants)
            return true;
    return false;
}

static void wake(VhOffloads *offloads, struct vh_offload_guest *guest, gint64 now)
{
    bool woken = false;

    for (guint stage = 0; stage < VH_STAGES; stage++) {
        struct vh_offload *offload = &guest->kinds[stage];
        const char *before = vh_offload_state(guest, stage);

        if (!offload->wants || !vh_advisor_wake(&offload->advisor, now))
            continue;
        offload->totals.when = 0;
        woken = true;
        vh_offloads_tell(offloads, guest, stage, before, "it has rested");
    }
    if (woken)
        send_wish(offloads, guest);
}

/* Whoever had the hook may have gone, and an interface may have come. */
static bool is_to_be_tried_again(const struct vh_offload_guest *guest, gint64 now)
{
    for (unsigned i = 0; guest->state && i < guest->state->hooks; i++)
        if (guest->state->hook[i].problem)
            return guest->sent && now >= guest->sent_at + RETRY_US;
    return false;
}

static gboolean on_tick(gpointer data)
{
    VhOffloads *offloads = data;
    gint64 now = g_get_monotonic_time();
    bool look = now >= offloads->looked + offloads->look_us;
    bool any = false;
    GHashTableIter iter;
    gpointer value = NULL;

    if (look)
        offloads->looked = now;
    g_hash_table_iter_init(&iter, offloads->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct vh_offload_guest *guest = value;

        any = any || has_wants(guest);
        wake(offloads, guest, now);
        if (is_to_be_tried_again(guest, now))
            send_wish(offloads, guest);
        if (guest->sent)
            vh_net_renew(offloads->net, guest->name, now + VH_OFFLOADS_LEASE_US);
        if (guest->sent && look)
            vh_net_look(offloads->net, guest->name);
    }
    if (!any)
        offloads->timer = 0;
    return any ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- a round ---- */

void vh_offloads_begin(VhOffloads *offloads)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, offloads->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        ((struct vh_offload_guest *)value)->named = false;
}

static struct vh_offload_guest *guest_of(VhOffloads *offloads, const char *name)
{
    struct vh_offload_guest *guest = g_hash_table_lookup(offloads->guests, name);

    if (guest)
        return guest;
    guest = g_new0(struct vh_offload_guest, 1);
    guest->name = g_strdup(name);
    g_hash_table_insert(offloads->guests, guest->name, guest);
    return guest;
}

/* What is wanted of one kind now. Returns whether that is something else than before. */
static bool take_wants(const VhOffloads *offloads, struct vh_offload_guest *guest, guint stage,
                       const struct vh_offloads_ask *ask)
{
    const struct vh_slot_kind *kind = offloads->kinds[stage];
    struct vh_offload *offload = &guest->kinds[stage];
    const char *before = vh_offload_state(guest, stage);
    const char *why = NULL;
    g_autoptr(GBytes) wants =
        kind && ask->limits->kinds & 1u << stage ? kind->gather(ask->facts, &why) : NULL;
    bool same = !wants == !offload->wants && (!wants || g_bytes_equal(wants, offload->wants));
    bool told = !same || why != offload->why_not;

    offload->why_not = why;
    if (same && !told)
        return false;
    /* What it does is to be found sound and worth it anew. */
    if (!same) {
        vh_advisor_restart(&offload->advisor);
        g_clear_pointer(&offload->wants, g_bytes_unref);
        offload->wants = g_steal_pointer(&wants);
        offload->totals.when = 0;
    }
    if (offload->wants || why)
        vh_offloads_tell(offloads, guest, stage, before, why ? why : "the guest has told");
    return !same;
}

static bool take_rest(struct vh_offload_guest *guest, const struct vh_offloads_ask *ask)
{
    unsigned count = MIN(ask->nic_count, VH_NICS_MAX);
    bool same = count == guest->nic_count &&
                memcmp(guest->nics, ask->nics, count * sizeof(guest->nics[0])) == 0 &&
                memcmp(&guest->limits, ask->limits, sizeof(guest->limits)) == 0;

    guest->process = ask->process;
    guest->nic_problem = ask->nic_problem;
    guest->limits = *ask->limits;
    guest->nic_count = count;
    memset(guest->nics, 0, sizeof(guest->nics));
    memcpy(guest->nics, ask->nics, count * sizeof(guest->nics[0]));
    return !same;
}

void vh_offloads_ask(VhOffloads *offloads, const struct vh_offloads_ask *ask)
{
    struct vh_offload_guest *guest = guest_of(offloads, ask->guest);
    bool changed = take_rest(guest, ask);

    guest->named = true;
    for (guint stage = 0; stage < VH_STAGES; stage++)
        changed = take_wants(offloads, guest, stage, ask) || changed;
    if (!changed)
        return;
    send_wish(offloads, guest);
    offloads->shown(guest->name, offloads->data);
    if (has_wants(guest) && !offloads->timer)
        offloads->timer = g_timeout_add((guint)(offloads->look_us / 2000), on_tick, offloads);
}

guint vh_offloads_end(VhOffloads *offloads, const char *why)
{
    guint stopped = 0;
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, offloads->guests);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct vh_offload_guest *guest = value;

        if (guest->named)
            continue;
        if (guest->sent) {
            stopped++;
            vh_journal_change(offloads->journal, guest->name, "offloads end", why, NULL, NULL);
        }
        stop(offloads, guest);
        offloads->shown(guest->name, offloads->data);
        g_hash_table_iter_remove(&iter);
    }
    return stopped;
}

/* ---- life ---- */

/* For VhNetTold. */
static void on_told(VhNetState *state, gpointer data)
{
    VhOffloads *offloads = data;
    struct vh_offload_guest *guest = g_hash_table_lookup(offloads->guests, state->guest);

    if (!guest || !guest->sent) {
        vh_net_state_free(state);
        return;
    }
    vh_net_renew(offloads->net, guest->name, g_get_monotonic_time() + VH_OFFLOADS_LEASE_US);
    if (vh_offloads_take(offloads, guest, state))
        send_wish(offloads, guest);
    offloads->shown(guest->name, offloads->data);
}

VhOffloads *vh_offloads_new(const struct vh_offloads_host *host, VhJournal *journal,
                            void (*shown)(const char *guest, gpointer data), gpointer data,
                            GError **error)
{
    VhOffloads *offloads = g_new0(VhOffloads, 1);

    offloads->proc = host->proc;
    offloads->kinds = host->net.kinds;
    offloads->journal = journal;
    offloads->look_us = host->look_us;
    offloads->shown = shown;
    offloads->data = data;
    offloads->net = vh_net_new(&host->net, on_told, offloads, error);
    if (!offloads->net) {
        g_free(offloads);
        return NULL;
    }
    offloads->guests = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, guest_free);
    return offloads;
}

void vh_offloads_settle(VhOffloads *offloads)
{
    g_auto(GStrv) left = vh_net_left(offloads->net);

    for (guint i = 0; left[i]; i++) {
        vh_journal_step(offloads->journal, left[i], "offloads end", "left by a former vhintd", NULL,
                        NULL);
        vh_net_stop(offloads->net, left[i]);
    }
    vh_net_tidy(offloads->net);
}

void vh_offloads_free(VhOffloads *offloads, const char *why, bool leave)
{
    if (!offloads)
        return;
    if (!leave) {
        vh_offloads_begin(offloads);
        vh_offloads_end(offloads, why);
    }
    g_clear_handle_id(&offloads->timer, g_source_remove);
    vh_net_free(offloads->net, leave);
    g_hash_table_unref(offloads->guests);
    g_free(offloads);
}
