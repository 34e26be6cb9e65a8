/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells when a host CPU went online or offline, from the kernel's uevents; costs nothing while none
 * does. */
#pragma once

#include <glib.h>

typedef struct VhHotplug VhHotplug;
typedef void (*VhHotplugFunc)(gpointer data);

VhHotplug *vh_hotplug_new(VhHotplugFunc func, gpointer data,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_hotplug_free(VhHotplug *hotplug);
