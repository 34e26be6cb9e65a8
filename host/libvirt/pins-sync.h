/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One job that tells libvirt of a domain's pins, and the record that says which of them are ours
 * (pins.h).
 *
 * The record is a file, for the next daemon, and an element of the domain's metadata, which goes
 * with the domain: libvirt takes our pins along to where it migrates to, or into a saved image, and
 * nobody there could tell that they were ours. The file has the instance's id in its first line and
 * then a line for each pin, "NAME FORMER OURS"; the element has the latter, separated by
 * semicolons, and "*" for a former pin to every CPU of the host, for the next host has others. */
#pragma once

#include "base/cpuset.h"
#include "inventory/seat.h"
#include "libvirt/virt.h"

struct vh_pin_change {
    struct vh_seat seat;
    bool ours;             /* else: back to the former one */
    struct vh_cpuset cpus; /* to be told */
    bool know_former;      /* else the job asks libvirt; always of an IOThread */
    struct vh_cpuset former;
    bool restore; /* the owner's note */
    bool done;
    bool failed;
    bool late; /* see struct vh_pin_sync */
};

struct vh_pin_sync {
    char *uuid;
    int id; /* of the instance: another one is left alone */
    char *record;
    GArray *changes;       /* struct vh_pin_change */
    GString *kept;         /* of the record: lines for pins that stay as they are */
    GString *kept_carried; /* the same for the metadata */
    char *carried;         /* what the metadata has; "": nothing */
    struct vh_cpuset all;  /* every host CPU that is online */
    bool late; /* a migration, say, kept libvirt from the domain for as long as it waits: what is
                * left is not tried
                */
    char *problem; /* what libvirt says; NULL: all is done */
};

/* All are copied. `carried`: what the metadata has. */
struct vh_pin_sync *vh_pin_sync_new(const char *uuid, int id, const char *record,
                                    const char *carried, const struct vh_cpuset *all);
void vh_pin_sync_free(struct vh_pin_sync *sync);

/* For pins that stay as they are. */
void vh_pin_sync_keep(struct vh_pin_sync *sync, struct vh_seat seat, const struct vh_cpuset *former,
                      const struct vh_cpuset *ours);
/* In a worker. false: the connection is lost, again later. What is about to be ours is on record
 * before libvirt is told. */
bool vh_pin_sync_work(virConnectPtr connection, struct vh_pin_sync *sync);

/* A pin of ours; `former` NULL: to every CPU. */
typedef void (*VhPinRecordFunc)(struct vh_seat seat, const struct vh_cpuset *former,
                                const struct vh_cpuset *ours, gpointer data);
/* Calls `func` for each pin that the file has for instance `id`. Returns whether it has one for it.
 */
bool vh_pin_record_read(const char *record, int id, VhPinRecordFunc func, gpointer data);
/* The same for what the metadata has. */
void vh_pin_record_parse(const char *carried, VhPinRecordFunc func, gpointer data);
