/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must happen for a guest's programs to be the wanted ones: the difference only. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

/* A program that should run. */
struct vh_wanted {
    const char *name;
    const uint8_t *digest;
    bool busy; /* a request is under way, or there is no use in trying: leave it as it is */
};

enum vh_step_kind { VH_STEP_LOAD, VH_STEP_REPLACE, VH_STEP_UNLOAD };

struct vh_step {
    enum vh_step_kind kind;
    uint32_t index; /* LOAD, REPLACE: in `wanted`; UNLOAD: in `running` */
};

/* Fills `steps` (room for `wanted_count` + `running_count`) and returns how many: unloads first, so
 * that there is room for what comes. */
uint32_t vh_reconcile(const struct vh_wanted *wanted, uint32_t wanted_count,
                      const struct vh_program *running, uint32_t running_count,
                      struct vh_step *steps);

/* The index in `running` of the program `name`; -1: it does not run. */
int vh_running_find(const struct vh_program *running, uint32_t count, const char *name);
