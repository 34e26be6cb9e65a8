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

/* The reading of all files. */
struct vh_policy_reader {
    VhPolicy *policy;
    const struct vh_policy_world *world;
    GPtrArray *problems;
    GPtrArray *sections; /* struct vh_policy_section *, in order */
};

/* A key of a section: how its value is read into the struct that the section becomes. */
struct vh_policy_key {
    const char *name;     /* NULL: the table ends */
    const char *fallback; /* [guest]: what holds if no section says it */
    gsize at;             /* where in the struct */
    gsize size;           /* [guest]: bytes there */
    /* Reads the value into `into`. 0; or -1 and VH_ERROR_INVALID_ARGUMENT, with `into` as it was.
     */
    int (*take)(const char *value, const struct vh_policy_reader *reader, gpointer into,
                GError **error);
};

/* A key of [guest PATTERN] with its value as it was read: guests get copies. */
struct vh_guest_entry {
    char *name;
    char *text;
    struct vh_origin origin;
    const struct vh_policy_key *key; /* NULL: it is a tunable */
    gpointer value;                  /* of the key; its `size` bytes. Owned */
    const struct vh_policy_program *program;
    const char *tunable; /* in `name` */
};

/* [guest PATTERN]. */
struct vh_guest_section {
    char *pattern;
    unsigned rank;      /* higher is more specific */
    GPtrArray *entries; /* struct vh_guest_entry * */
    struct vh_origin origin;
};

/* ---- policy.c: the value ---- */

/* Without sections, rules and programs, and with the defaults of [host]. */
VhPolicy *vh_policy_new(void);
/* NULL: it has none such. */
struct vh_policy_program *vh_policy_program(const VhPolicy *policy, const char *name);
void vh_policy_entry_free(gpointer data);
void vh_guest_entry_free(gpointer data);

/* ---- reader.c: what sections share ---- */

/* Adds "FILE:LINE: [SECTION] KEY: text"; `entry` NULL: without a key. */
void vh_policy_refuse(const struct vh_policy_reader *reader,
                      const struct vh_policy_section *section, const struct vh_policy_entry *entry,
                      const char *format, ...) G_GNUC_PRINTF(4, 5);
/* One that is in none of the table and the NULL-terminated `more` (NULL is fine). */
void vh_policy_refuse_key(const struct vh_policy_reader *reader,
                          const struct vh_policy_section *section,
                          const struct vh_policy_entry *entry, const struct vh_policy_key *keys,
                          const char *const *more);

struct vh_policy_entry *vh_policy_entry(const struct vh_policy_section *section, const char *key);
/* NULL: the table has none of this name. */
const struct vh_policy_key *vh_policy_key(const struct vh_policy_key *keys, const char *name);

/* Reads all entries of the section into `base`, which is the struct of the table, and refuses what
 * is wrong. */
void vh_policy_take_all(const struct vh_policy_reader *reader,
                        const struct vh_policy_section *section, const struct vh_policy_key *keys,
                        gpointer base);

/* ---- as take ---- */

/* char *: the text. */
int vh_policy_take_text(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error);
/* bool: "true", "yes", "on", "false", "no", "off". */
int vh_policy_take_bool(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error);
/* unsigned: "75%" or "75". */
int vh_policy_take_share(const char *value, const struct vh_policy_reader *reader, gpointer into,
                         GError **error);
/* struct vh_cpuset: CPUs that the host has. */
int vh_policy_take_cpus(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error);
/* gint64, microseconds: "250ms", "2s", "5m", "1h", or "0", at most VH_DURATION_MAX_US. */
int vh_policy_take_time(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error);
/* The same within limits of whole milliseconds. 0, or -1 and VH_ERROR_INVALID_ARGUMENT. */
int vh_policy_time(const char *value, gint64 least, gint64 most, gint64 *us,
                   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The words of a list, without empty ones; g_strfreev() them. */
char **vh_policy_split(const char *value);

/* Without an object yet. `path` NULL: in the program directory. */
struct vh_policy_program *vh_policy_add_program(const struct vh_policy_reader *reader,
                                                const char *name, const char *path);
/* The program by a word of a guest's `programs`: added to the policy when it is a path or in the
 * program directory. */
struct vh_policy_program *vh_policy_need_program(const struct vh_policy_reader *reader,
                                                 const char *word, GError **error);

/* ---- keys.c ---- */

/* Those of [guest ...]. */
extern const struct vh_policy_key vh_policy_guest_keys[];

/* ---- apply.c ---- */

#define VH_POLICY_PROFILE "profile:"

/* ---- host.c: [host] ---- */

void vh_policy_read_host(struct vh_policy_reader *reader, const struct vh_policy_section *section);

/* ---- rules.c: [rule NAME] ---- */

void vh_policy_read_rule(struct vh_policy_reader *reader, const struct vh_policy_section *section);
/* All of it in one line, once its program is known. g_free() it. */
char *vh_policy_rule_summary(const struct vh_policy_section *section, const struct vh_rule *rule);

/* ---- kinds.c: which kinds rules are about ---- */

/* Once all programs are known: finds the program of each rule's kind, and holds the rule against
 * it.
 */
void vh_policy_check_rules(struct vh_policy_reader *reader);

/* ---- guest.c: [guest PATTERN] ---- */

void vh_policy_read_guest(struct vh_policy_reader *reader, const struct vh_policy_section *section);
/* What holds if no section says it. After the rules. */
void vh_policy_read_fallbacks(const struct vh_policy_reader *reader);
void vh_policy_sort_guests(VhPolicy *policy);
void vh_policy_check_pools(struct vh_policy_reader *reader);
