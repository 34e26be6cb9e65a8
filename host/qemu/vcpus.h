/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's vCPUs as QEMU tells them, and the way from a guest CPU to its vCPU: through APIC ids,
 * never by number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "qemu/qmp.h"
#include "wire.h"

struct vh_vcpu {
    unsigned index;  /* QEMU's cpu-index */
    pid_t thread;    /* host thread */
    int64_t apic_id; /* -1: not known */
};

/* `vcpus` (struct vh_vcpu) is the callee's; NULL and `error` when QEMU could not tell. `process` is
 * the one that all their threads are of; 0: none of them is there any longer. */
typedef void (*VhVcpusFunc)(GArray *vcpus, pid_t process, const char *error, gpointer data);

/* Asks for all vCPUs, their threads and APIC ids. `func` is called once, perhaps from vh_qmp_free.
 * Refused are threads of more than one process, or of another than QEMU's where that is known, and,
 * when the monitor is not served by root, threads of another user: a QEMU that its guest has taken
 * over must not make this daemon move other people's threads. */
void vh_vcpus_query(VhQmp *qmp, VhVcpusFunc func, gpointer data);

/* What the guest says of its CPUs, joined with what QEMU says. */
struct vh_cpu_map {
    uint32_t count;
    struct {
        bool known; /* this guest CPU exists */
        bool online;
        int vcpu; /* position in the array of vCPUs; -1: none has its APIC id */
    } cpus[VH_CPUS_MAX];
};

/* Joins the two; either may be empty. */
void vh_cpu_map_join(struct vh_cpu_map *map, const struct vh_cpu *cpus, uint32_t count,
                     const struct vh_vcpu *vcpus, unsigned vcpu_count);

/* The guest CPU that the vCPU at `position` is; -1: none known. */
int vh_cpu_map_find(const struct vh_cpu_map *map, unsigned position);
