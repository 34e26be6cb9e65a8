// SPDX-License-Identifier: GPL-2.0-or-later
// What is wrong with a program: why it does not run, or what does not work while it does.
#include <string.h>

#include "programs/state.h"

/* A load that has been under way for so long when its session ends has not come back. A shorter one
 * may be there by chance: a session can begin twice as vhintd starts. */
#define STUCK_US (10 * G_USEC_PER_SEC)

void vh_programs_refuse(VhPrograms *programs, struct vh_managed *managed, const char *why)
{
    g_autofree char *what = g_strdup_printf("load %s", managed->name);

    vh_programs_set_text(&managed->problem, why);
    managed->refused = true;
    memcpy(managed->refused_by, programs->boot_id, sizeof(managed->refused_by));
    programs->funcs->step(what, managed->problem, programs->data);
}

void vh_programs_note_stuck(VhPrograms *programs, struct vh_managed *managed, gint64 since)
{
    gint64 lasted = g_get_monotonic_time() - since;
    bool again = managed->stuck &&
                 memcmp(managed->refused_by, programs->boot_id, sizeof(programs->boot_id)) == 0;
    g_autofree char *why = NULL;

    managed->stuck = again ? managed->stuck + 1 : 1;
    memcpy(managed->refused_by, programs->boot_id, sizeof(managed->refused_by));
    if (managed->stuck < 2 && lasted < STUCK_US)
        return;
    why = g_strdup_printf("the guest's injector went away while it was loading it (after %d s, "
                          "time number %u): it is not loaded again before the guest boots anew or "
                          "the program changes",
                          (int)(lasted / G_USEC_PER_SEC), managed->stuck);
    vh_programs_refuse(programs, managed, why);
}

void vh_programs_trouble(VhPrograms *programs, uint32_t id, const char *text)
{
    struct vh_managed *managed = vh_programs_by_id(programs, id);
    g_autofree char *what = NULL;

    if (!managed)
        return;
    managed->troubled = *text;
    if (!*text || g_str_equal(text, managed->trouble))
        return;
    vh_programs_set_text(&managed->trouble, text);
    what = g_strdup_printf("trouble %s", managed->name);
    programs->funcs->step(what, text, programs->data);
}

char *vh_programs_problem(const struct vh_managed *managed)
{
    gint64 since = managed->load ? managed->load->since : 0;

    if (managed->refused)
        return g_strdup(managed->problem);
    if (since && g_get_monotonic_time() - since > STUCK_US)
        return g_strdup_printf("the guest has been loading it for %d s",
                               (int)((g_get_monotonic_time() - since) / G_USEC_PER_SEC));
    if (managed->troubled)
        return g_strdup(managed->trouble);
    return g_strdup(managed->misfit);
}
