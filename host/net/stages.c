// SPDX-License-Identifier: GPL-2.0-or-later
// Loads a guest's slots and puts them in their places.
#include "net/stages.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "base/error.h"

struct stage {
    VhSlot *slot;
    GBytes *wants; /* what it was loaded for, or could not be */
    bool acts;
    char *problem;
};

struct VhStages {
    const VhNetMaps *maps;
    const struct vh_slot_kind *const *kinds;
    guint32 number;
    struct stage stages[VH_STAGES];
};

/* ---- the arrays ---- */

static int array_of(const VhNetMaps *maps, enum vh_hook hook)
{
    static const char *const names[VH_HOOKS] = {"vh_uplink", "vh_egress", "vh_ingress"};

    return vh_net_maps_fd(maps, names[hook]);
}

static void empty(const VhNetMaps *maps, guint32 number, guint32 stage)
{
    guint32 key = VH_SLOT(number, stage);

    for (guint hook = 0; hook < VH_HOOKS; hook++)
        bpf_map_delete_elem(array_of(maps, (enum vh_hook)hook), &key);
}

void vh_stages_empty(const VhNetMaps *maps, guint32 number)
{
    for (guint32 stage = 0; stage < VH_STAGES; stage++)
        empty(maps, number, stage);
}

/* What comes from the guest first: slots that decide about what goes to it may have to know. */
static int fill(const VhStages *stages, guint32 stage, const VhSlot *slot, GError **error)
{
    guint32 key = VH_SLOT(stages->number, stage);

    for (guint i = VH_HOOKS; i > 0; i--) {
        enum vh_hook hook = (enum vh_hook)(i - 1);
        int program = stages->kinds[stage]->program(slot, hook);
        int array = array_of(stages->maps, hook);

        if (program < 0)
            bpf_map_delete_elem(array, &key);
        else if (bpf_map_update_elem(array, &key, &program, BPF_ANY) < 0) {
            g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the kernel does not take the slot: %s",
                        g_strerror(errno));
            return -1;
        }
    }
    return 0;
}

/* ---- accounts ---- */

static void clear_accounts(const VhStages *stages)
{
    int cpus = libbpf_num_possible_cpus();
    g_autofree struct vh_account *none = g_new0(struct vh_account, MAX(cpus, 1));

    for (guint32 hook = 0; hook < VH_HOOKS; hook++)
        for (guint32 stage = 0; stage < VH_STAGES; stage++) {
            guint32 key = VH_ACCOUNT(stages->number, hook, stage);

            bpf_map_update_elem(vh_net_maps_fd(stages->maps, "vh_accounts"), &key, none, 0);
        }
}

static struct vh_account account_of(const VhStages *stages, guint32 hook, guint32 stage)
{
    int cpus = libbpf_num_possible_cpus();
    g_autofree struct vh_account *all = g_new0(struct vh_account, MAX(cpus, 1));
    guint32 key = VH_ACCOUNT(stages->number, hook, stage);
    struct vh_account sum = {0};

    if (bpf_map_lookup_elem(vh_net_maps_fd(stages->maps, "vh_accounts"), &key, all) < 0)
        return sum;
    for (int i = 0; i < cpus; i++) {
        sum.packets += all[i].packets;
        sum.dropped += all[i].dropped;
        sum.answered += all[i].answered;
        sum.over += all[i].over;
        sum.ns += all[i].ns;
    }
    return sum;
}

/* ---- stages ---- */

VhStages *vh_stages_new(const VhNetMaps *maps, const struct vh_slot_kind *const *kinds,
                        guint32 number, bool goes_on)
{
    VhStages *stages = g_new0(VhStages, 1);

    stages->maps = maps;
    stages->kinds = kinds;
    stages->number = number;
    if (!goes_on)
        clear_accounts(stages);
    return stages;
}

static void stage_clear(VhStages *stages, guint32 stage)
{
    struct stage *of_it = &stages->stages[stage];

    if (of_it->slot)
        stages->kinds[stage]->free(of_it->slot);
    g_clear_pointer(&of_it->wants, g_bytes_unref);
    g_free(of_it->problem);
    *of_it = (struct stage){0};
}

void vh_stages_free(VhStages *stages, bool leave)
{
    for (guint32 stage = 0; stage < VH_STAGES; stage++) {
        if (!leave)
            empty(stages->maps, stages->number, stage);
        stage_clear(stages, stage);
    }
    g_free(stages);
}

/* The former slot, if there is one, stays until the new one has its place. */
static void load(VhStages *stages, guint32 stage, GBytes *wants, guint64 memory)
{
    const struct vh_slot_kind *kind = stages->kinds[stage];
    struct stage *of_it = &stages->stages[stage];
    const struct vh_slot_order order = {stages->number, wants, memory, of_it->slot};
    g_autoptr(GError) error = NULL;
    VhSlot *slot = kind->load(stages->maps, &order, &error);
    bool placed = slot && fill(stages, stage, slot, &error) == 0;

    if (!placed)
        empty(stages->maps, stages->number, stage);
    if (!placed && slot)
        kind->free(slot);
    stage_clear(stages, stage);
    of_it->wants = g_bytes_ref(wants);
    of_it->acts = false;
    if (placed)
        of_it->slot = slot;
    else
        of_it->problem = g_strdup(error->message);
}

static void apply(VhStages *stages, guint32 stage, const VhNetWish *wish)
{
    GBytes *wants = wish->wants[stage];
    bool acts = wish->acts[stage];
    struct stage *of_it = &stages->stages[stage];

    g_assert(!wants || stages->kinds[stage]);
    if (!wants) { /* also of what a former process has left */
        empty(stages->maps, stages->number, stage);
        stage_clear(stages, stage);
    } else if (!of_it->wants || !g_bytes_equal(wants, of_it->wants)) {
        load(stages, stage, wants, wish->memory);
    }
    if (of_it->slot && acts != of_it->acts)
        stages->kinds[stage]->act(of_it->slot, acts);
    of_it->acts = acts;
}

void vh_stages_apply(VhStages *stages, const VhNetWish *wish)
{
    for (guint32 stage = 0; stage < VH_STAGES; stage++)
        apply(stages, stage, wish);
}

bool vh_stages_need(const VhStages *stages, enum vh_hook hook)
{
    for (guint32 stage = 0; stage < VH_STAGES; stage++)
        if (stages->stages[stage].slot &&
            stages->kinds[stage]->program(stages->stages[stage].slot, hook) >= 0)
            return true;
    return false;
}

void vh_stages_describe(const VhStages *stages, VhNetState *state)
{
    for (guint32 stage = 0; stage < VH_STAGES; stage++) {
        const struct stage *of_it = &stages->stages[stage];
        struct vh_net_offload *told = &state->offload[stage];

        told->problem = g_strdup(of_it->problem);
        if (!of_it->slot)
            continue;
        told->loaded = true;
        told->acts = of_it->acts;
        told->hits = stages->kinds[stage]->hits(of_it->slot);
        told->left_out = stages->kinds[stage]->explain(of_it->slot);
        for (guint32 hook = 0; hook < VH_HOOKS; hook++)
            told->account[hook] = account_of(stages, hook, stage);
    }
}
