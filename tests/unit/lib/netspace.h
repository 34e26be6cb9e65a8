/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network namespace of the test's own, whose kernel takes rules and tells them. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Moves this process into a namespace of its own. False: it may not, or the kernel has no
 * nf_tables; the test is skipped then. */
bool netspace_enter(void);

/* Puts these rules (nft's language) in the place of all. Returns nft's complaint, or NULL. */
char *netspace_try(const char *rules);
void netspace_set(const char *rules);

/* Adds to them. */
char *netspace_add(const char *rules);

/* Puts those lines of the rules in force that nft takes; the others are gone from the text. */
bool netspace_set_most(char **rules);

/* What the kernel tells of them, by the injector's reader. */
GBytes *netspace_dump(void);
