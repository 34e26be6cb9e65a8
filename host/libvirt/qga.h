/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A domain's guest agent by way of libvirtd, which is its only client.
 *
 * Source: libvirt's virDomainQemuAgentCommand. It takes a queue of its own: an agent that hangs
 * holds up neither the domain's monitor nor its pins. */
#pragma once

#include "libvirt/virt.h"
#include "qemu/qga.h"

/* Does `job` (static) with the agent of the domain `uuid`. `cancellable` is referenced. */
void vh_virt_qga_use(VhVirt *virt, const char *uuid, GCancellable *cancellable,
                     const struct vh_qga_job *job, gpointer data);
