/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the policy from the disk: DIR/vhint.conf, then DIR/policy.d/ *.conf in the order of their
 * names, and the programs' objects. The default rules (policy.d/00-*.conf of the source) are built
 * in, each counts as a file of that name, unless there is one. */
#pragma once

#include "policy/policy.h"

#define VH_POLICY_DIR "/etc/vhint"

struct vh_policy_place {
    const char *main;             /* vhint.conf; need not exist */
    const char *directory;        /* policy.d; need not exist */
    const char *program_dir;      /* NULL: as vhint.conf says, else as installed */
    const struct vh_cpuset *cpus; /* the host's; NULL: ask this one */
};

/* Blocks on the disk; may run in any thread. NULL: `problems` (char *) says what is wrong. */
VhPolicy *vh_policy_load(const struct vh_policy_place *place,
                         GPtrArray *problems) G_GNUC_WARN_UNUSED_RESULT;

/* All that is wrong with the main file and the policy: what config/vhintd.h refuses of the former,
 * too. `place->directory` NULL: as the main file says, else policy.d beside it. NULL as above; the
 * policy is the caller's. */
VhPolicy *vh_policy_check(const struct vh_policy_place *place,
                          GPtrArray *problems) G_GNUC_WARN_UNUSED_RESULT;
