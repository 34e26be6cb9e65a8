/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control interface as an object that can be exported on any number of connections. */
#pragma once

#include <gio/gio.h>

#include "manager/manager.h"

#define VH_CONTROL_WATCHES_MAX 64u

typedef struct VhCalls VhCalls;

/* Borrows `manager`, which must outlive the calls. */
VhCalls *vh_calls_new(VhManager *manager);

/* Borrowed from `calls`; to be unexported everywhere before vh_calls_free. */
GDBusInterfaceSkeleton *vh_calls_skeleton(VhCalls *calls);

/* Ends every watch. A call in progress still gets its answer, if its connection is still there. */
void vh_calls_free(VhCalls *calls);
