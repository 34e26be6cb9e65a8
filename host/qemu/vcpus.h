/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's vCPUs as QEMU tells them. */
#pragma once

#include "base/cpu-map.h"
#include "qemu/qmp.h"

#define VH_VCPU_INDEX_MAX 65535 /* more than any QEMU has */

/* `vcpus` (struct vh_vcpu) is the callee's; NULL and `error` when QEMU could not tell. `process` is
 * the one that they are all of; borrowed, NULL with `error`. */
typedef void (*VhVcpusFunc)(GArray *vcpus, const struct vh_thread_id *process, const char *error,
                            gpointer data);

/* Asks for all vCPUs, their threads and APIC ids. `func` is called once, perhaps from vh_qmp_free.
 *
 * A QEMU that its guest has taken over must not make this daemon move other people's threads. So a
 * thread counts only if the process that answers (vh_qmp_peer) has it at the time of the answer,
 * and which one that was is noted. A vCPU whose thread is nowhere is left out: it has just been
 * unplugged. If a thread is of another process, all are refused, and if the process is not known.
 */
void vh_vcpus_query(VhQmp *qmp, VhVcpusFunc func, gpointer data);
