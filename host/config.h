/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vhintd's configuration file (GKeyFile syntax), read once and immutable from then on.
 *
 *   [daemon]
 *   run-dir=DIR       saved masks, sockets; default /run/vhint
 *   state-dir=DIR     injected programs, kept across restarts; default /var/lib/vhint
 *   control=SOCKET    default RUN-DIR/control
 *   program-dir=DIR   where programs named without a path are found, as NAME.bpf.o; default: as installed
 *   journal=FILE      default RUN-DIR/journal
 *   [guest NAME]
 *   qmp=SOCKET        QEMU's monitor; vhintd is its only client
 *   channel=SOCKET    the chardev of the port org.vhint.0; QEMU listens
 *   programs=LIST     separated by ',': names of [program] sections, of files in program-dir, or paths
 *   pool=CPUS         host CPUs that its vCPUs may be pinned to, such as 2-5,8; default: all
 *   uuid=UUID         shown, nothing else
 *   [libvirt]         its presence makes vhintd look after domains of libvirt's
 *   uri=URI           default qemu:///system
 *   hook=SOCKET       where vhint-libvirt-hook calls; default RUN-DIR/hook
 *   [domain MATCH]    which of them, and how; MATCH is a pattern for names such as web-*, a UUID, or profile:NAME.
 * The first section that matches counts; a domain that none matches is left alone programs=LIST     as for a guest
 *   pool=CPUS         as for a guest
 *   [program NAME]
 *   path=FILE         default PROGRAM-DIR/NAME.bpf.o
 *   set.TUNABLE=VALUE sets a tunable at the load */
#pragma once

#include <stdbool.h>

#include "cpuset.h"

struct vh_qmp_funcs; /* qmp.h */

#ifndef VH_PROGRAM_DIR
#define VH_PROGRAM_DIR "/usr/lib/vhint/programs"
#endif

typedef struct VhConfig VhConfig;

struct vh_config_program {
    char *name; /* fallback name of an object without a manifest */
    char *path;
    GPtrArray *tunables; /* char *: "name=value" */
};

/* Also what an inventory makes of its own guests, and what a [domain MATCH] section says: then `name` is MATCH. */
struct vh_config_guest {
    char *name;
    char *uuid;          /* "" if not given */
    char *qmp;           /* NULL: see open_monitor */
    char *channel;       /* NULL: it has none */
    GPtrArray *programs; /* struct vh_config_program, owned by the config */
    bool has_pool;       /* else: every CPU */
    struct vh_cpuset pool;
    /* Opens the monitor where it is no socket of its own; `owner` is the inventory's. */
    struct VhQmp *(*open_monitor)(const struct vh_config_guest *guest, const struct vh_qmp_funcs *funcs,
                                  void *data);
    /* What a vCPU is pinned to by us, told after the fact and again and again; NULL: nothing. May be NULL. */
    void (*mirror)(const struct vh_config_guest *guest, unsigned vcpu, const struct vh_cpuset *cpus);
    /* vCPUs that hands were held off are ours again. NULL where mirror is. */
    void (*retake)(const struct vh_config_guest *guest);
    void *owner;
};

struct VhConfig {
    char *run_dir;
    char *state_dir;
    char *control;
    char *program_dir;
    char *journal;
    char *libvirt; /* URI; NULL: do not look there */
    char *hook;
    GPtrArray *guests;   /* struct vh_config_guest, in the file's order */
    GPtrArray *domains;  /* struct vh_config_guest: the [domain MATCH] sections, in the file's order */
    GPtrArray *programs; /* struct vh_config_program */
};

/* NULL and VH_ERROR_INVALID_ARGUMENT whose message begins with FILE:LINE, or a G_FILE_ERROR. */
VhConfig *vh_config_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_config_free(VhConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhConfig, vh_config_free)
