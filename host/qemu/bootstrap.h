/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Brings the injector into a running guest that lacks it, through the guest's agent: asks what the
 * guest allows, writes the injector into a directory that is root's alone, compares digests, starts
 * it. All of this blocks, for VH_BOOTSTRAP_SECONDS at most, and needs nothing of the main loop's:
 * it is for workers.
 *
 * Scripts that run in the guest are constants of ours; what they print is the guest's word, and
 * decides nothing but which of our own directories is used and what people are told. */
#pragma once

#include <stdbool.h>

#include "qemu/qga.h"

#define VH_BOOTSTRAP_SECONDS 120          /* for all of it */
#define VH_BOOTSTRAP_SIZE_MAX (64u << 20) /* bytes of an injector */

struct vh_bootstrap {
    bool running; /* there is an injector already, and nothing was done */
    char *path;   /* what was written; NULL while running */
    char *how;    /* "systemd" or "alone": who looks after it */
};
void vh_bootstrap_clear(struct vh_bootstrap *bootstrap);

/* Reads the injector: a static ELF program. NULL and an error. */
GBytes *vh_bootstrap_read(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Is `injector` (of vh_bootstrap_read) for `machine`, as uname(1) calls it? 0, or -1 and an error.
 */
int vh_bootstrap_check(GBytes *injector, const char *machine,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* 0, with the outcome in `bootstrap` (all zero before), or -1 and an error. */
int vh_bootstrap_push(struct vh_qga *agent, GBytes *injector, struct vh_bootstrap *bootstrap,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* For people: what has become of an injector that was started, or found, and does not answer. NULL
 * and an error.
 */
char *vh_bootstrap_examine(struct vh_qga *agent, GError **error) G_GNUC_WARN_UNUSED_RESULT;
