/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The QEMU guest agent of one guest: runs shell scripts and writes files there, as far as the guest
 * allows.
 *
 * Every call blocks, up to VH_QGA_SECONDS for each command of the agent's, and never beyond the
 * deadline: so all of this is for workers. What the agent answers is the guest's word: bounded,
 * read with bounds, and text from it is for people only. Source: QEMU's docs/interop/qemu-ga-ref.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#define VH_QGA_SECONDS 10            /* for one answer */
#define VH_QGA_SYNC_SECONDS 5        /* for the first one, which shows that there is an agent */
#define VH_QGA_ANSWER_MAX (1u << 20) /* bytes */
#define VH_QGA_CHUNK (48u << 10) /* bytes of a file in one command: agents bound what they read */
#define VH_QGA_TEXT_MAX 300u     /* bytes of the guest's text in a message */

struct vh_qga {
    /* The answer to a command, both one line of JSON; g_free() it. NULL and an error. */
    char *(*call)(const struct vh_qga *agent, const char *command, int seconds, GError **error);
    gpointer road; /* for call */
    GCancellable *cancellable;
    gint64 deadline; /* us of the monotonic clock; 0: none */
};

/* What is to be done with an agent. */
struct vh_qga_job {
    /* In a worker. */
    void (*work)(struct vh_qga *agent, gpointer data);
    /* On the main loop, afterwards. */
    void (*done)(gpointer data);
};

/* Does `job` (static) with the agent behind a UNIX socket of QEMU's, to which `work`'s first
 * command connects. `cancellable` is referenced. */
void vh_qga_use_socket(const char *path, GCancellable *cancellable, const struct vh_qga_job *job,
                       gpointer data);

/* The result of a command; `arguments` are taken over, NULL for none. NULL and
 * VH_ERROR_NOT_CONNECTED or TIMED_OUT for an agent that does not answer, REFUSED for one that says
 * no, BUSY when cancelled. */
JsonNode *vh_qga_command(const struct vh_qga *agent, const char *name, JsonObject *arguments,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Which of these commands (NULL-terminated) the agent lacks or is told to refuse, separated by
 * commas; "": none. NULL and an error. */
char *vh_qga_missing(const struct vh_qga *agent, const char *const *commands,
                     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Runs a script by /bin/sh with these arguments ($1 and so on; NULL-terminated). Returns its exit
 * status and sets
 * `*output` to what it printed, which is UTF-8, errors after the rest; -1 and an error. */
int vh_qga_shell(const struct vh_qga *agent, const char *script, const char *const *arguments,
                 char **output, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes a file, which may be there already. 0, or -1 and an error. */
int vh_qga_write(const struct vh_qga *agent, const char *path, GBytes *bytes,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Text of the guest's as it may stand in a message: of bounded length, one line. g_free() it. */
char *vh_qga_text(const char *text);
