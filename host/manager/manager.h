/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All guests under management, as the control interface and main see them.
 *
 * One thread: every call is made, and every callback arrives, on the main loop's thread. Errors are
 * VH_ERROR (base/error.h). The dictionaries are those of org.vhint.Manager1.xml, key by key;
 * GVariants are returned floating. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#include "base/error.h"
#include "metrics/figures.h"
#include "round/portrait.h"

typedef struct VhConfig VhConfig;
typedef struct VhManager VhManager;

/* Starts serving the guests of `config` (borrowed, must outlive the manager), after putting back
 * what a former daemon left changed. Guests that are not there yet are served once they appear. */
VhManager *vh_manager_new(const VhConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Puts every former state back, unless this is a handover, then forgets all guests. Pending calls
 * end with an error.
 */
void vh_manager_free(VhManager *manager);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhManager, vh_manager_free)

/* GetGuest: what is shown of it, vh_portrait_unref() it; NULL and VH_ERROR_NO_SUCH_GUEST. */
VhPortrait *vh_manager_portrait(VhManager *manager, const char *guest,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* GetGuests, and ListGuests if they are to be `brief`: what is shown of the next guests
 * (VhPortrait, the array is the caller's), in the order in which they came, as many as the hint
 * thread has time for at once. `*last`, 0 for the first call, says after which; it is set for the
 * next one. 0: there are no more. */
GPtrArray *vh_manager_portraits(VhManager *manager, guint64 *last, bool brief);

/* Are there offloads, which take BPF in the host's kernel? */
bool vh_manager_has_offloads(const VhManager *manager);
/* Offloads, of one guest or of all (""): aa{sv}; NULL and VH_ERROR_NO_SUCH_GUEST. */
GVariant *vh_manager_offload(VhManager *manager, const char *guest,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ListPrograms: aa{sv}; NULL and VH_ERROR_NO_SUCH_GUEST. */
GVariant *vh_manager_programs(VhManager *manager, const char *guest,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Explain: aa{sv}; NULL and VH_ERROR_NO_SUCH_GUEST. */
GVariant *vh_manager_explain(VhManager *manager, const char *guest,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ListHints: the facts that hold now, one JSON object each, without newlines; g_strfreev() them. */
char **vh_manager_hints(VhManager *manager, const char *guest,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Inject: loads `object` into `guest` and keeps it there until eject. `name` is the fallback for an
 * object without a manifest ("" for none); `tunables` is an a{ss} (borrowed; a floating one is
 * sunk) or NULL. `callback` is called once (its source object is NULL), never before this returns.
 * Cancelling ends the wait, not the load. finish: ListPrograms' dictionary of the program, or NULL
 * and NO_SUCH_GUEST, NOT_CONNECTED, EXISTS, INVALID_OBJECT, INVALID_ARGUMENT, BUSY, TIMED_OUT or
 * REFUSED, whose message may go on with
 * "\nverifier log:\n" (of a refused program; "\nlibbpf said:\n" otherwise) and the log. */
void vh_manager_inject(VhManager *manager, const char *guest, const char *name, GBytes *object,
                       GVariant *tunables, bool replace, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer data);
GVariant *vh_manager_inject_finish(VhManager *manager, GAsyncResult *result,
                                   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Eject: unloads a program that was injected; a policy's program is VH_ERROR_INVALID_ARGUMENT. A
 * guest that is not connected forgets the program at once. finish: 0, or -1 and an error. */
void vh_manager_eject(VhManager *manager, const char *guest, const char *program,
                      GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
int vh_manager_eject_finish(VhManager *manager, GAsyncResult *result,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Bootstrap: brings the injector into `guest`, which must not have it, through its agent, and waits
 * until it answers. As inject. finish: Bootstrap's dictionary, or NULL and NO_SUCH_GUEST, REFUSED,
 * NOT_CONNECTED, BUSY or TIMED_OUT. */
void vh_manager_bootstrap(VhManager *manager, const char *guest, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer data);
GVariant *vh_manager_bootstrap_finish(VhManager *manager, GAsyncResult *result,
                                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Release: undoes every action for `guest` ("" for all) and takes none until resume. Returns how
 * many actions were undone, or -1 and VH_ERROR_NO_SUCH_GUEST. */
int vh_manager_release(VhManager *manager, const char *guest,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Handover, because of `why`: if the manager is freed within so many seconds (returned), what is in
 * force stays so, but for boosts, for the next daemon to take over. */
#define VH_HANDOVER_SECONDS 60u
guint vh_manager_hand_over(VhManager *manager, const char *why);

/* Resume: 0, or -1 and VH_ERROR_NO_SUCH_GUEST. */
int vh_manager_resume(VhManager *manager, const char *guest,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A snapshot for metrics/metrics.h: a VhFiguresFunc whose data is the manager. g_free() it. */
struct vh_figures *vh_manager_figures(gpointer manager);

/* Reads the policy files anew, in the background; they are also read when they change. */
void vh_manager_reload(VhManager *manager);

/* GetPolicy: a{sv}; NULL and VH_ERROR_NO_SUCH_GUEST. */
GVariant *vh_manager_policy(VhManager *manager, const char *guest,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Watch: `func` gets every hint of `guest` ("" for all) from now on as one JSON object: `line` of
 * `len` bytes, no newline, borrowed. It runs on the hint path, so it must not block. It may unwatch
 * itself. Returns a number above 0 for vh_manager_unwatch, or 0 and VH_ERROR_NO_SUCH_GUEST. */
typedef void (*VhWatchFunc)(const char *line, gsize len, gpointer data);
guint vh_manager_watch(VhManager *manager, const char *guest, VhWatchFunc func, gpointer data,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_manager_unwatch(VhManager *manager, guint watch);
