/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of vhintctl share: the context of one run, its exit codes, the daemon's calls,
 * tables. */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json-text.h"
#include "base/printable.h"
#include "forecast/forecast.h"
#include "map/map.h"
#include "wire.h"

/* Scripts rely on these numbers; `vhintctl --help` prints them. */
enum vh_exit {
    VH_EXIT_OK = 0,
    VH_EXIT_REFUSED = 1,     /* the daemon or the guest said no, or failed */
    VH_EXIT_USAGE = 2,       /* the command line, or a file it names, cannot be used */
    VH_EXIT_UNREACHABLE = 3, /* no daemon, no right to speak with it, or it went away */
    VH_EXIT_NOT_FOUND = 4,   /* no such guest or program */
    VH_EXIT_UNMET = 5,       /* planned, but not all that is wished could be done */
};

/* One run; filled from the command line, then passed to the command. */
struct vh_ctl {
    char **command_line; /* as it was given */
    char *socket;
    gboolean json;
    gboolean help;
    gboolean version;
    char *name; /* inject --name */
    char **set; /* inject --set, "NAME=VALUE" each */
    gboolean replace;
    gboolean partial;  /* inject --partial */
    char **map;        /* inject --map, "NAME=ENTRIES" each */
    char *every;       /* inject --every, Hz; NULL: not said */
    char *cpus;        /* policy check --cpus */
    char *program_dir; /* policy check --program-dir */
    int count;         /* watch --count; 0: no end */
    char *profile;     /* enable --profile */
    char *libvirt;     /* --connect; NULL: VH_CTL_LIBVIRT */
    char *topology;    /* map, plan --topology; NULL: this host */
    char *policy;      /* map, plan --policy; NULL: VH_POLICY_DIR */
    char *replay;      /* map, plan --replay; NULL: no recording */
    gboolean steps;    /* plan --steps */
    gboolean batch;    /* top --batch */
    double interval;   /* top --interval, seconds */
    int vcpus;         /* plan --vcpus */
    char *svg;         /* map --svg */
    char **args;       /* the command's own arguments, NULL-terminated */
    GDBusConnection *connection;
    GCancellable *cancellable; /* ends calls that wait; may be NULL */
};

/* ---- commands.c, watch.c: each returns an exit code, or -1 and an error ---- */

int vh_ctl_status(struct vh_ctl *ctl, GError **error);
int vh_ctl_guests(struct vh_ctl *ctl, GError **error);
int vh_ctl_programs(struct vh_ctl *ctl, GError **error);
int vh_ctl_why(struct vh_ctl *ctl, GError **error);
int vh_ctl_inject(struct vh_ctl *ctl, GError **error);
int vh_ctl_eject(struct vh_ctl *ctl, GError **error);
int vh_ctl_bootstrap(struct vh_ctl *ctl, GError **error);
/* offload.c */
int vh_ctl_offload(struct vh_ctl *ctl, GError **error);
int vh_ctl_hints(struct vh_ctl *ctl, GError **error);
int vh_ctl_watch(struct vh_ctl *ctl, GError **error);
int vh_ctl_release(struct vh_ctl *ctl, GError **error);
int vh_ctl_resume(struct vh_ctl *ctl, GError **error);
int vh_ctl_handover(struct vh_ctl *ctl, GError **error);

/* ---- daemon.c ---- */

/* The list, aa{sv}, that `method` answers with; NULL and an error. */
GVariant *vh_ctl_list(struct vh_ctl *ctl, const char *method, GVariant *parameters, GError **error);
/* Details of one guest, or of all (`only` NULL): aa{sv}; NULL and an error. A guest that goes away
 * meanwhile is left out of all. */
GVariant *vh_ctl_get_guests(struct vh_ctl *ctl, const char *only, GError **error);

/* ---- json.c ---- */

/* One JSON document on stdout. All JSON is printed by these: what is control in a text is escaped
 * (base/printable.h). */
void vh_ctl_print_json_text(const char *json);
void vh_ctl_print_json(JsonNode *node);
void vh_ctl_print_variant_json(GVariant *value);

/* ---- host.c ---- */

/* --topology's, or this host's. NULL and an error. */
struct vh_topology *vh_ctl_topology(const struct vh_ctl *ctl,
                                    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- libvirt.c: these two speak with libvirt and not with the daemon; in vhintctl itself
 * exec.c starts the program that has it ---- */

#define VH_CTL_LIBVIRT "qemu:///system"

int vh_ctl_enable(struct vh_ctl *ctl, GError **error);
int vh_ctl_disable(struct vh_ctl *ctl, GError **error);

/* ---- map.c ---- */

/* Connects by itself if it must. */
int vh_ctl_map(struct vh_ctl *ctl, GError **error);
/* As --svg and --json say. An exit code, or -1 and an error. */
int vh_ctl_draw_map(struct vh_ctl *ctl, const VhMap *map, GError **error);

/* ---- plan.c, record.c, told.c ---- */

/* Connects by itself if it must. */
int vh_ctl_plan(struct vh_ctl *ctl, GError **error);
/* Draws what is planned. An exit code, or -1 and an error. */
int vh_ctl_plan_into(struct vh_ctl *ctl, struct vh_topology *topology, VhMap *map, GError **error);
int vh_ctl_record(struct vh_ctl *ctl, GError **error);
/* top.c */
int vh_ctl_top(struct vh_ctl *ctl, GError **error);
/* From GetGuest's dictionary; vh_forecast_guest_free() it. */
struct vh_forecast_guest *vh_ctl_told_guest(GVariant *details);
/* The CPUs that vhintd holds a thread to, of GetGuest's dictionary of it; false: none. */
bool vh_ctl_held_to(GVariant *dict, struct vh_cpuset *cpus);
/* Draws GetGuest's dictionary into the map. */
void vh_ctl_map_guest(VhMap *map, GVariant *guest);
/* ListHints' "(as)"; NULL and an error. */
GVariant *vh_ctl_list_hints(struct vh_ctl *ctl, const char *guest, GError **error);
/* The pipe on which hints arrive, of all guests if `guest` is "". NULL and an error. */
FILE *vh_ctl_open_watch(struct vh_ctl *ctl, const char *guest, GError **error);

/* ---- policy.c ---- */

/* check does without a daemon, so it is called unconnected. */
int vh_ctl_policy(struct vh_ctl *ctl, GError **error);
/* GetPolicy's dictionary; NULL and an error. */
GVariant *vh_ctl_get_policy(struct vh_ctl *ctl, const char *guest, GError **error);
/* For people, on stdout; nothing if there is none. */
void vh_ctl_print_policy_problems(GVariant *policy);

/* ---- client.c ---- */

/* Errors of this side, beside the daemon's VH_ERROR. The code is the exit code. */
#define VH_CTL_ERROR vh_ctl_error_quark()
GQuark vh_ctl_error_quark(void);

/* The exit code that `error` stands for. */
int vh_ctl_exit_code(const GError *error);

/* {"error":{...}} on stdout, for --json. */
void vh_ctl_print_error_json(const GError *error, int code);

/* Connects to ctl->socket; call this before any other of the following. -1 and VH_EXIT_UNREACHABLE,
 * or 0. */
int vh_ctl_connect(struct vh_ctl *ctl, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Calls a method with `parameters` (floating, or NULL) and returns its results as a tuple of
 * `type`. NULL and VH_ERROR for what the daemon says, VH_CTL_ERROR for what stands between. `fds`:
 * where the descriptors of the answer go, or NULL. An answer may take VH_CTL_TIMEOUT; with
 * `patient`, as long as the daemon likes. */
#define VH_CTL_TIMEOUT_MS 25000
GVariant *vh_ctl_call(struct vh_ctl *ctl, const char *method, GVariant *parameters,
                      const char *type, bool patient, GUnixFDList **fds,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The daemon's version, to be g_free()d. */
char *vh_ctl_daemon_version(struct vh_ctl *ctl, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- table.c ---- */

/* A table for people; `columns` (borrowed) are its NULL-terminated headings. */
typedef struct VhTable VhTable;
VhTable *vh_table_new(const char *const *columns);
/* Adds a cell, row by row; the text is made printable. */
void vh_table_add(VhTable *table, const char *text);
void vh_table_addf(VhTable *table, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Prints to stdout, headings in bold on a terminal unless NO_COLOR is set. */
void vh_table_print(const VhTable *table);
void vh_table_free(VhTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhTable, vh_table_free)

/* ---- hint.c ---- */

/* A JSON line of a hint as people read it, "web affinity/affinity cpu 2 pid=812 comm=nginx"; NULL
 * when `line` is no JSON object. */
char *vh_hint_line_pretty(const char *line);
/* Whether `line` is {"dropped":N} and no hint. */
bool vh_hint_line_dropped(const char *line, guint64 *dropped);
