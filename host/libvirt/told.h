/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libvirt was told of domains' pins and has not announced yet (VIR_DOMAIN_EVENT_ID_TUNABLE):
 * an announcement that nothing was told for is somebody else's pin. Main loop only.
 *
 * It outlives a domain's instances. A call names the domain by its UUID: one that waits in libvirtd
 * while the domain is destroyed and started again is carried out on the next instance, and
 * announced as that one's. */
#pragma once

#include "base/cpuset.h"
#include "inventory/seat.h"

typedef struct VhVirtTold VhVirtTold;

VhVirtTold *vh_virt_told_new(void);
void vh_virt_told_free(VhVirtTold *told);

/* libvirt is told to pin `seat` of instance `id` (0 or more) to `cpus`. All are copied. */
void vh_virt_told_add(VhVirtTold *told, const char *uuid, int id, struct vh_seat seat,
                      const struct vh_cpuset *cpus);
/* It did not take that: no announcement is to come. */
void vh_virt_told_drop(VhVirtTold *told, const char *uuid, int id, struct vh_seat seat,
                       const struct vh_cpuset *cpus);
/* Its calls for instance `id` have all come back: what they are announced with is on its way. */
void vh_virt_told_done(VhVirtTold *told, const char *uuid, int id);
/* The connection was lost, and what was on its way. */
void vh_virt_told_lost(VhVirtTold *told);
/* It has announced that, whichever instance it means. Returns the id of the one that it was told
 * for, and forgets it; -1: nobody here told it so. */
int vh_virt_told_heard(VhVirtTold *told, const char *uuid, struct vh_seat seat,
                       const struct vh_cpuset *cpus);

/* Is a pin of `seat` to come yet that was told for another instance than `id`? Only one to `cpus`,
 * unless NULL. */
bool vh_virt_told_astray(const VhVirtTold *told, const char *uuid, int id, struct vh_seat seat,
                         const struct vh_cpuset *cpus);
