/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dispatcher, loaded and attached nowhere, as tests of slots run it. */
#pragma once

#include "net/object.h"

/* `guest` is whose tap its programs of taps take theirs for. What it cannot load ends the test.
 * Free it before `*maps`. */
VhNetObject *dispatcher_new(guint32 guest, VhNetMaps **maps);
