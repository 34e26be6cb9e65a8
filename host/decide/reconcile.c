// SPDX-License-Identifier: GPL-2.0-or-later
// Compares the programs that are wanted with those that run.
#include "decide/reconcile.h"

#include <string.h>

int vh_running_find(const struct vh_program *running, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(running[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool is_wanted(const struct vh_wanted *wanted, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(wanted[i].name, name) == 0)
            return true;
    return false;
}

uint32_t vh_reconcile(const struct vh_wanted *wanted, uint32_t wanted_count,
                      const struct vh_program *running, uint32_t running_count,
                      struct vh_step *steps)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < running_count; i++)
        if (!is_wanted(wanted, wanted_count, running[i].name))
            steps[count++] = (struct vh_step){VH_STEP_UNLOAD, i};
    for (uint32_t i = 0; i < wanted_count; i++) {
        int at = vh_running_find(running, running_count, wanted[i].name);

        if (wanted[i].busy)
            continue;
        if (at < 0)
            steps[count++] = (struct vh_step){VH_STEP_LOAD, i};
        else if (memcmp(running[at].digest, wanted[i].digest, VH_DIGEST_SIZE) != 0)
            steps[count++] = (struct vh_step){VH_STEP_REPLACE, i};
    }
    return count;
}
