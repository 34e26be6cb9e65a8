/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control interface as an object that can be exported on any number of connections. On the
 * control thread. */
#pragma once

#include <gio/gio.h>

#include "control/watches.h"
#include "io/errands.h"
#include "manager/manager.h"

typedef struct VhCalls VhCalls;

/* Whatever is asked goes by `errands` to the hint thread, to `manager` and `watches`. All three are
 * borrowed and outlive the calls; here the latter two are never looked at. */
VhCalls *vh_calls_new(VhErrands *errands, VhManager *manager, VhWatches *watches);

/* Borrowed from `calls`; to be unexported everywhere before vh_calls_free. */
GDBusInterfaceSkeleton *vh_calls_skeleton(VhCalls *calls);

/* What is asked by then may still be answered, if its connection is still there. */
void vh_calls_free(VhCalls *calls);
