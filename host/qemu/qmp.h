/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client of QEMU's monitor protocol on one connection, on the main loop.
 *
 * Commands may be given before the handshake is done; they wait for it. A monitor that is silent
 * while it is asked nothing costs nothing. One that sends a line over VH_QMP_LINE_MAX bytes, or one
 * that is not JSON, or that does not answer for VH_QMP_PATIENCE_MS, is hung up on. So is one that
 * another process than before answers for. Source: QEMU's
 * docs/interop/qmp-spec. */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "base/thread-id.h"
#include "io/turn.h"
#include "qemu/events.h"

#define VH_QMP_LINE_MAX (1u << 20)
#define VH_QMP_TURN VH_TURN_BUFFER /* bytes read in one turn */
/* Commands that may be unanswered at a time. More are refused. */
#define VH_QMP_AWAITED_MAX 4096u
/* For so long a monitor may keep an answer to itself. */
#define VH_QMP_PATIENCE_MS 60000u

typedef struct VhQmp VhQmp;

struct vh_qmp_funcs {
    void (*ready)(gpointer data); /* the handshake is done */
    /* `details` NULL when the event has none; borrowed. */
    void (*event)(enum vh_qmp_event event, JsonObject *details, gpointer data);
    /* Once; the client may be freed in it, and must not be freed in the others. */
    void (*closed)(const char *why, gpointer data);
};

/* `result` is borrowed; NULL: the command failed, or the connection went, and `error` says how. */
typedef void (*VhQmpReply)(JsonNode *result, const char *error, gpointer data);

/* Another road to a monitor than a connection of its own; `data` is vh_qmp_new_over's. */
struct vh_qmp_road {
    /* As vh_qmp_command; calls `reply` once, also after `free`. */
    void (*command)(gpointer data, const char *command, JsonObject *arguments, VhQmpReply reply,
                    gpointer reply_data);
    /* The process that answers; `thread` 0: not known. */
    struct vh_thread_id (*peer)(gpointer data);
    /* The road was silent for VH_QMP_PATIENCE_MS, so that those who waited were told of a failure,
     * and has answered all of that now: all is to be asked anew. */
    void (*revived)(gpointer data);
    /* Nobody waits for replies any longer. */
    void (*free)(gpointer data);
};

/* A client whose commands take `road` (borrowed) and whose events its maker reports. Takes `data`
 * over. */
VhQmp *vh_qmp_new_over(const struct vh_qmp_road *road, gpointer data);

/* What an answer that is no result says went wrong; of it, or static. */
const char *vh_qmp_error_text(JsonObject *answer);

/* A command as JSON; `arguments` are taken over, NULL for none. g_free() it. */
char *vh_qmp_command_text(const char *name, JsonObject *arguments);

/* Takes `fd` (a connected non-blocking stream socket) over. `turn` and `funcs` are borrowed. */
VhQmp *vh_qmp_new(VhTurn *turn, int fd, const struct vh_qmp_funcs *funcs, gpointer data);

/* But for tests it is VH_QMP_PATIENCE_MS. For commands that follow. */
void vh_qmp_set_patience(VhQmp *qmp, guint ms);

/* Hangs up. Replies that are still awaited are given an error. */
void vh_qmp_free(VhQmp *qmp);

/* `arguments`: taken over, NULL for none. */
void vh_qmp_command(VhQmp *qmp, const char *command, JsonObject *arguments, VhQmpReply reply,
                    gpointer data);

/* For how long we have been busy with what this monitor has said, us: its lines, on a connection of
 * its own, or its replies; and all that was done at once because of them. */
gint64 vh_qmp_spent(const VhQmp *qmp);

/* The process that answers, whose threads are all that the monitor's word may concern; `thread` 0:
 * not known. Over a socket it is who has written what was read (SCM_CREDENTIALS, unix(7)): who
 * listens there, or once listened, may be somebody else. */
struct vh_thread_id vh_qmp_peer(const VhQmp *qmp);
/* Does the peer come from the road? Else it is the socket's. */
bool vh_qmp_has_road(const VhQmp *qmp);
