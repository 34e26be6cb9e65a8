// SPDX-License-Identifier: GPL-2.0-or-later
// Takes what the net thread tells of offloads: figures for the advisor, and words for people.
#include "machine/tid.h"
#include "round/offloads-state.h"

/* ---- words ---- */

const char *vh_offload_state(const struct vh_offload_guest *guest, guint stage)
{
    const struct vh_offload *offload = &guest->kinds[stage];

    if (!offload->wants)
        return "off";
    if (guest->state && guest->state->offload[stage].problem)
        return "refused";
    return vh_advisor_states[offload->advisor.state];
}

void vh_offloads_tell(const VhOffloads *offloads, const struct vh_offload_guest *guest, guint stage,
                      const char *before, const char *why)
{
    g_autofree char *what = g_strconcat("offload ", offloads->kinds[stage]->name, NULL);
    g_autofree char *advice = vh_advisor_why(&guest->kinds[stage].advisor);

    vh_journal_change(offloads->journal, guest->name, what, why ? why : advice, before,
                      vh_offload_state(guest, stage));
}

/* ---- figures ---- */

/* CPU time of all of QEMU's threads; 0: not known. */
static guint64 guest_ns(const VhOffloads *offloads, const struct vh_thread_id *process)
{
    g_autofree char *path = g_strdup_printf("%s/%d/stat", offloads->proc, process->process);
    g_autofree char *text = NULL;
    struct vh_tid_stat stat;

    if (!process->process || !g_file_get_contents(path, &text, NULL, NULL) ||
        vh_tid_parse_stat(text, &stat) < 0 || stat.start != process->start)
        return 0;
    return vh_tid_ns(stat.ticks);
}

/* Packets that came for the guest: what the uplink has dropped or answered does not come to its
 * tap. */
static guint64 arrived(const struct vh_account *account)
{
    const struct vh_account *uplink = &account[VH_HOOK_UPLINK];

    return MAX(uplink->packets,
               account[VH_HOOK_EGRESS].packets + uplink->dropped + uplink->answered);
}

static struct vh_offload_totals totals_of(const struct vh_offload_guest *guest, guint stage,
                                          guint64 ns)
{
    const struct vh_net_offload *told = &guest->state->offload[stage];
    struct vh_offload_totals totals = {.when = guest->state->when,
                                       .packets = arrived(told->account),
                                       .hits = told->hits,
                                       .guest_ns = ns};

    for (guint hook = 0; hook < VH_HOOKS; hook++) {
        totals.ns += told->account[hook].ns;
        totals.decided += told->account[hook].dropped + told->account[hook].answered;
        totals.seen += hook == VH_HOOK_INGRESS ? 0 : told->account[hook].packets;
    }
    return totals;
}

/* Has the advisor judge by what has been since the last time; the guest has had `ns` of CPU time.
 * Returns whether it has decided. */
static bool advise(struct vh_offload_guest *guest, guint stage, guint64 ns)
{
    struct vh_offload *offload = &guest->kinds[stage];
    const struct vh_offload_totals before = offload->totals;
    const struct vh_offload_totals now = totals_of(guest, stage, ns);
    struct vh_advisor_sample sample = {now.packets - before.packets, now.decided - before.decided,
                                       now.ns - before.ns, now.guest_ns - before.guest_ns};

    offload->totals = now;
    if (!before.when || now.packets < before.packets || now.guest_ns < before.guest_ns ||
        !now.guest_ns)
        return false;
    /* While it counts, a packet is seen at the uplink and at the tap. */
    if (!vh_advisor_acts(&offload->advisor) && now.seen > before.seen)
        sample.hits = (now.hits - before.hits) * sample.packets / (now.seen - before.seen);
    return vh_advisor_take(&offload->advisor, &sample, now.when);
}

static bool look(VhOffloads *offloads, struct vh_offload_guest *guest, guint stage,
                 const VhNetState *former, guint64 ns)
{
    const struct vh_net_offload *told = &guest->state->offload[stage];
    const char *before = vh_offload_state(guest, stage);

    if (!guest->kinds[stage].wants)
        return false;
    if (told->problem && g_strcmp0(told->problem, former ? former->offload[stage].problem : NULL))
        vh_offloads_tell(offloads, guest, stage, NULL, told->problem);
    /* What was asked for meanwhile is not what it tells of. */
    if (!told->loaded || told->acts != vh_advisor_acts(&guest->kinds[stage].advisor)) {
        guest->kinds[stage].totals.when = 0;
        return false;
    }
    if (!advise(guest, stage, ns))
        return false;
    vh_offloads_tell(offloads, guest, stage, before, NULL);
    return true;
}

static void tell_hooks(const VhOffloads *offloads, const VhNetState *state,
                       const VhNetState *former)
{
    for (unsigned i = 0; i < state->hooks; i++) {
        const struct vh_net_hook *hook = &state->hook[i];
        bool same = former && former->hooks == state->hooks &&
                    g_strcmp0(former->hook[i].problem, hook->problem) == 0;

        if (hook->problem && !same)
            vh_journal_change(offloads->journal, state->guest, "offload hook refused",
                              hook->problem, NULL, hook->interface);
    }
}

bool vh_offloads_take(VhOffloads *offloads, struct vh_offload_guest *guest, VhNetState *state)
{
    g_autoptr(VhNetState) former = g_steal_pointer(&guest->state);
    guint64 ns = guest_ns(offloads, &guest->process);
    bool decided = false;

    guest->state = state;
    tell_hooks(offloads, state, former);
    for (guint stage = 0; stage < VH_STAGES; stage++)
        decided = look(offloads, guest, stage, former, ns) || decided;
    return decided;
}

/* ---- for people ---- */

static GVariant *describe_hooks(const VhNetState *state, guint stage)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (unsigned i = 0; state && i < state->hooks; i++) {
        const struct vh_net_hook *hook = &state->hook[i];
        const struct vh_account *account = &state->offload[stage].account[hook->hook];
        g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

        g_variant_dict_insert(&dict, "interface", "s", hook->interface);
        g_variant_dict_insert(&dict, "hook", "s", vh_hook_names[hook->hook]);
        g_variant_dict_insert(&dict, "mode", "s",
                              hook->attached ? vh_attach_modes[hook->mode] : "");
        g_variant_dict_insert(&dict, "problem", "s", hook->problem ? hook->problem : "");
        g_variant_dict_insert(&dict, "packets", "t", account->packets);
        g_variant_dict_insert(&dict, "dropped", "t", account->dropped);
        g_variant_dict_insert(&dict, "answered", "t", account->answered);
        g_variant_dict_insert(&dict, "over_budget", "t", account->over);
        g_variant_dict_insert(&dict, "ns", "t", account->ns);
        g_variant_builder_add_value(&builder, g_variant_dict_end(&dict));
    }
    return g_variant_builder_end(&builder);
}

static const char *problem_of(const struct vh_offload_guest *guest, guint stage)
{
    const struct vh_offload *offload = &guest->kinds[stage];

    if (offload->why_not)
        return offload->why_not;
    if (!guest->nic_count)
        return guest->nic_problem ? guest->nic_problem : "its network interfaces are not known yet";
    if (guest->state && guest->state->offload[stage].problem)
        return guest->state->offload[stage].problem;
    return guest->nic_problem ? guest->nic_problem : "";
}

static GVariant *describe(const VhOffloads *offloads, const struct vh_offload_guest *guest,
                          guint stage)
{
    const struct vh_advisor *advisor = &guest->kinds[stage].advisor;
    const struct vh_net_offload *told = guest->state ? &guest->state->offload[stage] : NULL;
    g_autofree char *why = vh_advisor_why(advisor);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert(&dict, "guest", "s", guest->name);
    g_variant_dict_insert(&dict, "offload", "s", offloads->kinds[stage]->name);
    g_variant_dict_insert(&dict, "state", "s", vh_offload_state(guest, stage));
    g_variant_dict_insert(&dict, "reason", "s", why);
    g_variant_dict_insert(&dict, "problem", "s", problem_of(guest, stage));
    g_variant_dict_insert(&dict, "left_out", "s", told && told->left_out ? told->left_out : "");
    g_variant_dict_insert(&dict, "hits", "t", told ? told->hits : 0);
    g_variant_dict_insert(&dict, "share", "d", advisor->share);
    g_variant_dict_insert(&dict, "before_ns", "d", advisor->before);
    g_variant_dict_insert(&dict, "after_ns", "d", advisor->after);
    g_variant_dict_insert(&dict, "reverts", "u", advisor->reverts);
    g_variant_dict_insert_value(&dict, "hook", describe_hooks(guest->state, stage));
    return g_variant_dict_end(&dict);
}

GVariant *vh_offloads_describe(const VhOffloads *offloads, const char *name)
{
    const struct vh_offload_guest *guest = g_hash_table_lookup(offloads->guests, name);
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint stage = 0; guest && stage < VH_STAGES; stage++)
        if (guest->limits.kinds & 1u << stage)
            g_variant_builder_add_value(&builder, describe(offloads, guest, stage));
    return g_variant_builder_end(&builder);
}
