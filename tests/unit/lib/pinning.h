/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "act/actuate.h"
#include "lib/stage.h"
#include "lib/target.h"

/* A stage whose victim is pinned and let float. */
struct pinning {
    struct stage stage;
    struct vh_target target; /* the victim, as vCPU 2 of "guest" */
    struct vh_cpuset floating;
    struct vh_cpuset first; /* one CPU of it */
};

/* A fixture's set-up and tear-down; `data` is unused. */
void pinning_begin(struct pinning *f, gconstpointer data);
void pinning_end(struct pinning *f, gconstpointer data);

void assert_cpus(pid_t thread, const struct vh_cpuset *expected);

/* One round with the victim alone, which is pinned to `cpus`; NULL: it floats. Returns how many
 * actions were undone. */
guint pinning_round(struct pinning *f, VhActuate *actuate, const struct vh_cpuset *cpus,
                    const char *why);
