/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy in force, read anew whenever its files change; a policy that does not parse leaves the
 * last good one in force.
 *
 * Reading happens in a thread, so that neither the disk nor a large program delays the hint path.
 * Changes are told by inotify, and acted upon once the files have been quiet for
 * VH_POLICY_QUIET_MS. */
#pragma once

#include "policy/load.h"

#define VH_POLICY_QUIET_MS 200u

typedef struct VhPolicyStore VhPolicyStore;

struct vh_policy_store_funcs {
    /* Another policy is in force. */
    void (*changed)(gpointer data);
    /* The files are no good: `problems` (char *), and the policy stays. */
    void (*refused)(const GPtrArray *problems, gpointer data);
};

/* Reads the policy at once; one that is no good is told by refused() within the call, and an empty
 * one is in force until its files are mended. `place` is copied, `funcs` borrowed. */
VhPolicyStore *vh_policy_store_new(const struct vh_policy_place *place,
                                   const struct vh_policy_store_funcs *funcs, gpointer data);
void vh_policy_store_free(VhPolicyStore *store);

/* Reads the files anew, in the background. */
void vh_policy_store_reload(VhPolicyStore *store);

/* Borrowed until the next changed(); never NULL. */
VhPolicy *vh_policy_store_get(const VhPolicyStore *store);
/* What is wrong with the files as they are now (char *); empty when they are in force. */
const GPtrArray *vh_policy_store_problems(const VhPolicyStore *store);
