/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's policy: which guests get which programs, what a hint may cause, within which
 * limits. An immutable value, made from the texts of the policy files; docs/policy.md is its
 * reference.
 *
 * Files are taken in the order given. A section that several files have is one section: a later
 * file's keys replace an earlier's. What a guest gets is, key by key, said by the most specific
 * [guest ...] section that matches it and has the key: its name or UUID written out before
 * profile:NAME before a pattern, of patterns the one with more plain characters; of equals, the
 * later one. */
#pragma once

#include "base/offload.h"
#include "config/guest.h"
#include "decide/boost.h"
#include "decide/growth.h"
#include "decide/trial.h"
#include "hint/tunables.h"
#include "placement/placement.h"
#include "policy/rule.h"

#define VH_TRIAL_WINDOW_US (VH_TRIAL_SAMPLES * VH_TRIAL_SAMPLE_US)
#define VH_TRIAL_WINDOW_MIN_US ((gint64)200000)
#define VH_TRIAL_WINDOW_MAX_US ((gint64)10000000)
#define VH_GUEST_PINS_MAX VH_CPUS_MAX
#define VH_GUEST_HINTS_MAX 1000000u /* per second */

/* ---- what goes in ---- */

struct vh_policy_text {
    const char *label; /* the file, for messages */
    const char *text;  /* NUL-terminated */
    gsize len;
    bool main; /* vhint.conf: may also have what config/vhintd.h describes */
};

/* The world that the policy must fit. All is borrowed for the call. */
struct vh_policy_world {
    const struct vh_cpuset *cpus; /* the host's; NULL: do not check CPUs */
    /* The object of a program: `path` NULL: the one called `name` in the program directory. NULL
     * and an error. */
    VhObject *(*read_object)(const char *name, const char *path, gpointer data, GError **error);
    /* Adds the names (char *) of all programs in the program directory. NULL: there are none. */
    void (*list_objects)(GPtrArray *names, gpointer data);
    gpointer data;
};

/* ---- what comes out ---- */

/* A program that the policy or the program directory has. */
struct vh_policy_program {
    char *name;
    char *path;           /* NULL: in the program directory */
    VhObject *object;     /* NULL: it could not be read (only programs that no guest is given) */
    GByteArray *tunables; /* packed (hint/tunables.h): of its own section */
};

/* Reference-counted. */
typedef struct VhPolicy VhPolicy;

struct VhPolicy {
    GPtrArray *sections;            /* struct vh_guest_section *, the less specific first */
    GPtrArray *fallbacks;           /* struct vh_guest_entry *, one for each key of [guest] */
    GPtrArray *lists;               /* GPtrArray *: what values borrow */
    GPtrArray *rules;               /* struct vh_rule *, in the files' order */
    GPtrArray *programs;            /* struct vh_policy_program * */
    struct vh_cpuset reserve;       /* host CPUs that no guest gets */
    struct vh_budget_limits budget; /* of boosts */
    gint64 trial_window_us; /* how long an action on trial is measured, without it and with it */
};

/* NULL: then `problems` (char *, made with g_free) has gained what is wrong, each as "FILE:LINE:
 * [SECTION] KEY:
 * ...". */
VhPolicy *vh_policy_parse(const struct vh_policy_text *texts, unsigned count,
                          const struct vh_policy_world *world,
                          GPtrArray *problems) G_GNUC_WARN_UNUSED_RESULT;
VhPolicy *vh_policy_ref(VhPolicy *policy);
void vh_policy_unref(VhPolicy *policy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhPolicy, vh_policy_unref)

/* ---- what applies to one guest ---- */

/* Does it let any guest have offloads? */
bool vh_policy_offloads(const VhPolicy *policy);

/* Is there a [guest ...] section about it? */
bool vh_policy_matches(const VhPolicy *policy, const struct vh_guest_id *id);

/* One line of `vhintctl policy show`. */
struct vh_policy_line {
    char *key;
    char *value;
    struct vh_origin origin; /* line 0: the default */
};

struct vh_guest_program {
    const struct vh_policy_program *program;
    GByteArray *tunables; /* packed (hint/tunables.h) */
};

typedef struct VhGuestPolicy VhGuestPolicy;

struct VhGuestPolicy {
    VhPolicy *policy;                /* referenced: what follows borrows from it */
    const GPtrArray *named_programs; /* struct vh_policy_program * */
    const GPtrArray *named_rules;    /* struct vh_rule * */
    GPtrArray *programs;             /* struct vh_guest_program * */
    GPtrArray *rules; /* const struct vh_rule *: enabled, named by `rules`, their action allowed */
    struct vh_placement_options placement;
    struct vh_growth_limits memory;
    struct vh_offload_limits offload;
    unsigned actions;   /* bits of vh_action_bit(): what hints may cause */
    unsigned max_pins;  /* vCPUs pinned at a time */
    unsigned max_hints; /* hints acted upon per second; 0: no limit */
    bool bootstrap;     /* may the injector be brought in through the guest's agent? */
    GPtrArray *lines;   /* struct vh_policy_line *: every key and every rule */
    char *refusal;      /* why a line does not go with the others, and is left out; NULL: all do */
    guint refused;      /* which one */
};

/* Never NULL. */
VhGuestPolicy *vh_policy_for(VhPolicy *policy, const struct vh_guest_id *id);
void vh_guest_policy_free(VhGuestPolicy *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhGuestPolicy, vh_guest_policy_free)

#define VH_POLICY_SET "set." /* keys that set tunables */
