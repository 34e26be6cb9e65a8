/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's vCPUs as QEMU tells them. */
#pragma once

#include "base/cpu-map.h"
#include "qemu/qmp.h"

#define VH_VCPU_INDEX_MAX 65535 /* more than any QEMU has */

/* `vcpus` (struct vh_vcpu) is the callee's; NULL and `error` when QEMU could not tell. `process` is
 * the one that all their threads are of; 0: none of them is there any longer. */
typedef void (*VhVcpusFunc)(GArray *vcpus, pid_t process, const char *error, gpointer data);

/* Asks for all vCPUs, their threads and APIC ids. `func` is called once, perhaps from vh_qmp_free.
 * Refused are threads of more than one process, or of another than QEMU's where that is known, and,
 * when the monitor is not served by root, threads of another user: a QEMU that its guest has taken
 * over must not make this daemon move other people's threads. */
void vh_vcpus_query(VhQmp *qmp, VhVcpusFunc func, gpointer data);
