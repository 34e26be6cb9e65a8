/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must go with a guest to wherever it migrates, as a text that its maker keeps with it. Pure,
 * but for the host's own name.
 *
 * That is only what nobody there could find out: that it was released by hand, and the programs
 * injected by hand, which run in the guest but cannot be had back from it. All else its injector
 * tells, or policy does. The text is base64 of a zlib stream of a GVariant (sba(sayay)): host,
 * released, and of each program name, tunables and object. */
#pragma once

#include "hint/object.h"

#define VH_TRAVEL_TEXT_MAX (512u << 10) /* libvirt's hook is given no more than 1 MiB of XML */
#define VH_TRAVEL_MAX (4u << 20)        /* bytes that the text unpacks to */

/* Tunables as LOAD carries them. */
struct vh_travel_program {
    VhObject *object;
    GBytes *tunables;
};

struct vh_travel {
    char *host; /* whose word this is */
    bool released;
    GPtrArray *programs; /* struct vh_travel_program */
};

/* Nothing is released or injected. `host` is copied. */
struct vh_travel *vh_travel_new(const char *host);
void vh_travel_free(struct vh_travel *travel);
typedef struct vh_travel VhTravel;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhTravel, vh_travel_free)
/* References both. */
void vh_travel_add(struct vh_travel *travel, VhObject *object, GBytes *tunables);

/* NULL and VH_ERROR_INVALID_ARGUMENT when it comes to more than the limits. g_free() it. */
char *vh_travel_write(const struct vh_travel *travel, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Reads a stranger's text. Of one that `own` wrote, programs are left out: there they are on disk,
 * as they are now. NULL and VH_ERROR_INVALID_ARGUMENT. */
struct vh_travel *vh_travel_read(const char *text, const char *own,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What this host is called in such texts: kept in `state_dir`, made up the first time. NULL and an
 * error. */
char *vh_travel_host(const char *state_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
