/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way from a guest CPU to its vCPU: through APIC ids, never by number. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

/* A vCPU as QEMU tells it. */
struct vh_vcpu {
    unsigned index;  /* QEMU's cpu-index */
    pid_t thread;    /* host thread, of QEMU's process */
    uint64_t start;  /* of that: see struct vh_thread_id */
    int64_t apic_id; /* -1: not known */
};

/* What the guest says of its CPUs, joined with what QEMU says. */
struct vh_cpu_map {
    uint32_t count;
    struct {
        bool known; /* this guest CPU exists */
        bool online;
        int vcpu; /* position in the array of vCPUs; -1: none has its APIC id, or it is not known */
    } cpus[VH_CPUS_MAX];
};

/* Joins the two; either may be empty. */
void vh_cpu_map_join(struct vh_cpu_map *map, const struct vh_cpu *cpus, uint32_t count,
                     const struct vh_vcpu *vcpus, unsigned vcpu_count);

/* The guest CPU that the vCPU at `position` is; -1: none known. */
int vh_cpu_map_find(const struct vh_cpu_map *map, unsigned position);
