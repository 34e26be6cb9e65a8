/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes a domain's memory through libvirtd, so that libvirt knows (`virsh dominfo`, dumpxml).
 * Live only: the persistent definition stays. Sources: libvirt's virDomainSetMemoryFlags,
 * virDomainUpdateDeviceFlags with a <memory model='virtio-mem'> whose <requested> is another. */
#pragma once

#include "libvirt/virt.h"

/* Sets the balloon (`name` "") of the domain `uuid` to `bytes`, or what is requested of its
 * virtio-mem device with the alias `name`. `done` is called once, later, with what went wrong, else
 * NULL. */
void vh_virt_memory_set(VhVirt *virt, const char *uuid, const char *name, guint64 bytes,
                        void (*done)(const char *problem, void *data), void *data);

/* The device's element of `xml`, with another <requested>; free() it. NULL: there is none of that
 * alias. */
char *vh_virt_memory_element(const char *xml, const char *name, guint64 bytes);
