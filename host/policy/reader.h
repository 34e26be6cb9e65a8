/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy while it is read, for the files of this folder only. Each knows only those above it
 * here.
 */
#pragma once

#include "base/keytext.h"
#include "policy/policy.h"

/* A key with its value, from whichever file had it last. */
struct vh_policy_entry {
    char *key;
    char *value;
    struct vh_origin origin;
};

/* A section as merged from all files. */
struct vh_policy_section {
    char *name;
    struct vh_origin origin; /* of its first header */
    bool main;               /* vhint.conf has it */
    GPtrArray *entries;      /* struct vh_policy_entry * */
};

/* [guest PATTERN]. */
struct vh_guest_section {
    char *pattern;
    unsigned rank;      /* higher is more specific */
    GPtrArray *entries; /* struct vh_policy_entry *, owned; checked */
    struct vh_origin origin;
};

/* The reading of all files. */
struct vh_policy_reader {
    VhPolicy *policy;
    const struct vh_policy_world *world;
    GPtrArray *problems;
    GPtrArray *sections; /* struct vh_policy_section *, in order */
};

/* ---- policy.c: the value ---- */

/* Without sections, rules and programs, and with the defaults of [host]. */
VhPolicy *vh_policy_new(void);
/* NULL: it has none such. */
struct vh_policy_program *vh_policy_program(const VhPolicy *policy, const char *name);
void vh_policy_entry_free(gpointer data);
void vh_guest_section_free(gpointer data);

/* ---- reader.c: what sections share ---- */

/* Adds "FILE:LINE: [SECTION] KEY: text"; `entry` NULL: without a key. */
void vh_policy_refuse(const struct vh_policy_reader *reader,
                      const struct vh_policy_section *section, const struct vh_policy_entry *entry,
                      const char *format, ...) G_GNUC_PRINTF(4, 5);

struct vh_policy_entry *vh_policy_entry(const struct vh_policy_section *section, const char *key);

/* "true", "yes", "on", "false", "no", "off". 0, or -1 and VH_ERROR_INVALID_ARGUMENT. */
int vh_policy_bool(const char *value, bool *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "75%" or "75". 0, or -1 and VH_ERROR_INVALID_ARGUMENT. */
int vh_policy_share(const char *value, unsigned *percent, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* CPUs that the host has. */
int vh_policy_cpus(const char *value, const struct vh_policy_world *world, struct vh_cpuset *cpus,
                   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The words of a list, without empty ones; g_strfreev() them. */
char **vh_policy_split(const char *value);

/* Without an object yet. `path` NULL: in the program directory. */
struct vh_policy_program *vh_policy_add_program(const struct vh_policy_reader *reader,
                                                const char *name, const char *path,
                                                const struct vh_origin *origin);
/* The program by a word of a guest's `programs`: added to the policy when it is a path or in the
 * program directory. */
struct vh_policy_program *vh_policy_need_program(const struct vh_policy_reader *reader,
                                                 const char *word, const struct vh_origin *origin,
                                                 GError **error);

/* ---- keys.c ---- */

/* A key of [guest ...]: reads its value into the guest's policy. 0, or -1 and an error. */
struct vh_policy_key {
    const char *name;
    const char *fallback;
    int (*take)(const char *value, const struct vh_policy_world *world, VhGuestPolicy *guest,
                GError **error);
};
#define VH_POLICY_KEYS 19u
extern const struct vh_policy_key vh_policy_keys[VH_POLICY_KEYS];
const struct vh_policy_key *vh_policy_key(const char *name);

/* ---- apply.c ---- */

#define VH_POLICY_PROFILE "profile:"
VhGuestPolicy *vh_guest_policy_new(VhPolicy *policy);
/* The tunable of a key "set.PROGRAM.TUNABLE": it is a C name, a program's may have dots. NULL:
 * there is no dot. */
const char *vh_policy_tunable(const char *key);

/* ---- host.c: [host] ---- */

void vh_policy_read_host(struct vh_policy_reader *reader, const struct vh_policy_section *section);

/* ---- rules.c: [rule NAME] ---- */

void vh_policy_read_rule(struct vh_policy_reader *reader, const struct vh_policy_section *section);
/* Every rule against the kinds of all programs. */
void vh_policy_check_rules(struct vh_policy_reader *reader);

/* ---- guest.c: [guest PATTERN] ---- */

void vh_policy_read_guest(struct vh_policy_reader *reader, const struct vh_policy_section *section);
void vh_policy_sort_guests(VhPolicy *policy);
void vh_policy_check_pools(struct vh_policy_reader *reader);
