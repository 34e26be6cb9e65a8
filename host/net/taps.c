// SPDX-License-Identifier: GPL-2.0-or-later
// Attaches the dispatcher to a guest's tap.
#include "net/taps.h"

#include <bpf/bpf.h>

#include "net/object.h"

struct end {
    bool wanted;
    VhAttach *attach;
    char *problem;
};

struct VhTap {
    const VhNetMaps *maps;
    const char *pins;
    guint32 number;
    struct vh_nic nic;
    VhNetObject *dispatcher; /* this tap's own instance; NULL: nothing was wanted yet */
    struct end ends[VH_HOOKS];
};

VhTap *vh_tap_new(const VhNetMaps *maps, const char *pins, guint32 number, const struct vh_nic *nic)
{
    VhTap *tap = g_new0(VhTap, 1);

    tap->maps = maps;
    tap->pins = pins;
    tap->number = number;
    tap->nic = *nic;
    return tap;
}

void vh_tap_free(VhTap *tap, bool leave)
{
    for (guint hook = 0; hook < VH_HOOKS; hook++) {
        if (leave)
            vh_attach_leave(tap->ends[hook].attach);
        else
            vh_attach_end(tap->ends[hook].attach);
        g_free(tap->ends[hook].problem);
    }
    vh_net_object_free(tap->dispatcher);
    g_free(tap);
}

const struct vh_nic *vh_tap_nic(const VhTap *tap)
{
    return &tap->nic;
}

static VhNetObject *dispatcher_of(const VhTap *tap, GError **error)
{
    g_autoptr(VhNetObject) dispatcher = vh_net_object_open(tap->maps, "dispatch", error);

    if (!dispatcher)
        return NULL;
    vh_net_object_set(dispatcher, "vh_tap_guest", &tap->number, sizeof(tap->number));
    return vh_net_object_load(dispatcher, error) < 0 ? NULL : g_steal_pointer(&dispatcher);
}

static VhAttach *attach(VhTap *tap, enum vh_hook hook, GError **error)
{
    if (!tap->dispatcher)
        tap->dispatcher = dispatcher_of(tap, error);
    if (!tap->dispatcher)
        return NULL;
    return vh_attach_named(hook, tap->nic.tap, tap->pins,
                           vh_net_object_program(tap->dispatcher, hook), error);
}

/* Packets may have passed while the dispatcher was not there: what slots have concluded from all of
 * them is void (host-bpf/slot.h). */
static void note_gap(const VhTap *tap)
{
    int map = vh_net_maps_fd(tap->maps, "vh_gaps");
    guint64 gaps = 0;

    bpf_map_lookup_elem(map, &tap->number, &gaps);
    gaps++;
    bpf_map_update_elem(map, &tap->number, &gaps, BPF_ANY);
}

void vh_tap_hook(VhTap *tap, enum vh_hook hook, bool wanted, bool taken)
{
    struct end *end = &tap->ends[hook];
    g_autoptr(GError) error = NULL;

    g_assert(hook != VH_HOOK_UPLINK);
    end->wanted = wanted;
    if (end->attach && (!wanted || !vh_attach_stands(end->attach)))
        vh_attach_end(g_steal_pointer(&end->attach));
    g_clear_pointer(&end->problem, g_free);
    if (!wanted || end->attach)
        return;
    if (taken) {
        end->problem = g_strdup_printf("another guest has %s, too", tap->nic.tap);
        return;
    }
    end->attach = attach(tap, hook, &error);
    note_gap(tap);
    if (!end->attach)
        end->problem = g_strdup(error->message);
}

bool vh_tap_holds(const VhTap *tap, enum vh_hook hook, unsigned interface)
{
    const VhAttach *attach = tap->ends[hook].attach;

    return attach && vh_attach_interface(attach) == interface;
}

void vh_tap_describe(const VhTap *tap, VhNetState *state)
{
    for (guint hook = 0; hook < VH_HOOKS; hook++) {
        const struct end *end = &tap->ends[hook];
        struct vh_net_hook *told = &state->hook[state->hooks];

        if (!end->wanted)
            continue;
        g_assert(state->hooks++ < G_N_ELEMENTS(state->hook));
        g_strlcpy(told->interface, tap->nic.tap, sizeof(told->interface));
        told->hook = (enum vh_hook)hook;
        told->attached = end->attach && vh_attach_stands(end->attach);
        if (end->attach)
            told->mode = vh_attach_mode(end->attach);
        told->problem = g_strdup(end->attach && !told->attached ? "it has gone" : end->problem);
    }
}
