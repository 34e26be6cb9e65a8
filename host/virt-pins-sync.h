/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One job that tells libvirt of a domain's pins, and the file that says which of them are ours (virt-pins.h). */
#pragma once

#include "cpuset.h"
#include "seat.h"
#include "virt.h"

struct vh_pin_change {
    struct vh_seat seat;
    bool ours;             /* else: back to the former one */
    struct vh_cpuset cpus; /* to be told */
    bool know_former;      /* else the job asks libvirt; always of an IOThread */
    struct vh_cpuset former;
    bool done;
    bool failed;
};

struct vh_pin_sync {
    char *uuid;
    int id; /* of the instance: another one is left alone */
    char *record;
    GArray *changes; /* struct vh_pin_change */
    GString *kept;   /* of the record: lines for pins that stay as they are */
    char *problem;   /* what libvirt says; NULL: all is done */
};

/* All are copied. */
struct vh_pin_sync *vh_pin_sync_new(const char *uuid, int id, const char *record);
void vh_pin_sync_free(struct vh_pin_sync *sync);

/* For pins that stay as they are. */
void vh_pin_sync_keep(struct vh_pin_sync *sync, struct vh_seat seat, const struct vh_cpuset *former,
                      const struct vh_cpuset *ours);
/* In a worker. false: the connection is lost, again later. What is about to be ours is on record before libvirt is
 * told. */
bool vh_pin_sync_work(virConnectPtr connection, struct vh_pin_sync *sync);

/* What is on record for instance `id`: calls `func` for each pin of ours. */
typedef void (*VhPinRecordFunc)(struct vh_seat seat, const struct vh_cpuset *former, const struct vh_cpuset *ours,
                                gpointer data);
void vh_pin_record_read(const char *record, int id, VhPinRecordFunc func, gpointer data);
