// SPDX-License-Identifier: GPL-2.0-or-later
// Brings a guest's programs in line with what policy wants.
#include <string.h>

#include "programs/state.h"

void vh_wish_clear(gpointer data)
{
    struct vh_program_wish *wish = data;

    vh_object_unref(wish->object);
    g_bytes_unref(wish->tunables);
}

static bool is_wanted(const VhPrograms *programs, const char *name)
{
    for (guint i = 0; i < programs->wishes->len; i++)
        if (g_str_equal(g_array_index(programs->wishes, struct vh_program_wish, i).object->name,
                        name))
            return true;
    return false;
}

static void apply(VhPrograms *programs, const struct vh_program_wish *wish)
{
    struct vh_managed *known = vh_programs_find(programs, wish->object->name);
    struct vh_managed *managed = NULL;
    bool same = known && memcmp(known->object->digest, wish->object->digest, VH_DIGEST_SIZE) == 0;
    bool runs = known && known->id;

    if (known && (known->load || vh_programs_find_call(programs, known->name)))
        return;
    if (same && !known->injected && g_bytes_equal(known->tunables, wish->tunables))
        return;
    if (known)
        vh_programs_drop(programs, known);
    managed = vh_managed_new(vh_object_ref(wish->object), g_bytes_ref(wish->tunables), false);
    g_ptr_array_add(programs->managed, managed);
    /* Other tunables do not show in what the guest reports. */
    if (same && runs && programs->session)
        vh_programs_start_load(programs, managed, true);
}

/* What a request is under way for stays as it is until that has ended. */
void vh_programs_apply_wishes(VhPrograms *programs)
{
    struct vh_program running[VH_PROGRAMS_MAX];

    for (guint i = programs->managed->len; i > 0; i--) {
        struct vh_managed *managed = g_ptr_array_index(programs->managed, i - 1);

        if (!managed->injected && !managed->load &&
            !vh_programs_find_call(programs, managed->name) && !is_wanted(programs, managed->name))
            vh_programs_drop(programs, managed);
    }
    for (guint i = 0; i < programs->wishes->len; i++)
        apply(programs, &g_array_index(programs->wishes, struct vh_program_wish, i));
    if (!programs->reported)
        return;
    memcpy(running, programs->running, sizeof(running));
    vh_programs_report(programs, running, programs->running_count);
}

void vh_programs_want(VhPrograms *programs, const struct vh_program_wish *wishes, uint32_t count)
{
    g_array_set_size(programs->wishes, 0);
    for (uint32_t i = 0; i < MIN(count, VH_PROGRAMS_MAX); i++) {
        struct vh_program_wish wish = wishes[i];

        /* Of two objects that bear one name, the first. */
        if (is_wanted(programs, wish.object->name))
            continue;
        vh_object_ref(wish.object);
        g_bytes_ref(wish.tunables);
        g_array_append_val(programs->wishes, wish);
    }
    vh_programs_apply_wishes(programs);
}

bool vh_programs_are_settled(const VhPrograms *programs)
{
    bool settled = programs->session && programs->reported;

    for (guint i = 0; settled && i < programs->managed->len; i++) {
        const struct vh_managed *managed = g_ptr_array_index(programs->managed, i);

        settled = managed->refused || (managed->id && !managed->load &&
                                       vh_session_is_current(programs->session, managed->id));
    }
    return settled;
}
