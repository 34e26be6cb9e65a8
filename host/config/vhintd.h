/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vhintd itself is told in vhint.conf (GKeyFile syntax), read once and immutable from then on.
 * All else there is policy (policy/policy.h), which can change while vhintd runs.
 *
 *   [daemon]
 *   run-dir=DIR       saved masks, sockets; default /run/vhint
 *   state-dir=DIR     injected programs, kept across restarts; default /var/lib/vhint
 *   control=SOCKET    default RUN-DIR/control
 *   program-dir=DIR   where programs named without a path are found, as NAME.bpf.o; default: as
 * installed policy-dir=DIR    the policy files beside vhint.conf; default: policy.d beside it
 *   journal=FILE      default RUN-DIR/journal
 *   injector=FILE     the static injector that vhintctl bootstrap brings into guests; default: as
 * installed metrics=ADDRESS   where figures are served to Prometheus, an address of this machine
 * only and a port, as 127.0.0.1:9477; default: nowhere successor-timeout=SECONDS  for so long pins
 * stay once vhintd has gone without having put them back; 1 to 3600, default 30 [guest NAME] with
 * these keys: a guest that is not libvirt's qmp=SOCKET        QEMU's monitor; vhintd is its only
 * client channel=SOCKET    the chardev of the port org.vhint.0; QEMU listens agent=SOCKET      the
 * chardev of the QEMU guest agent's port; QEMU listens, vhintd is its only client uuid=UUID shown,
 * and matched by policy profile=NAME      matched by policy [libvirt]         its presence makes
 * vhintd look after the domains of libvirt's that policy matches uri=URI           default
 * qemu:///system hook=SOCKET       where vhint-libvirt-hook calls; default RUN-DIR/hook */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/cpuset.h"
#include "inventory/seat.h"

struct vh_qmp_funcs; /* qemu/qmp.h */
struct vh_qga_job;   /* qemu/qga.h */
struct _GCancellable;

#ifndef VH_PROGRAM_DIR
#define VH_PROGRAM_DIR "/usr/lib/vhint/programs"
#endif

#ifndef VH_GUEST_INJECTOR
#define VH_GUEST_INJECTOR "/usr/libexec/vhint/guest/vhint-injector"
#endif

typedef struct VhConfig VhConfig;

/* Also what an inventory makes of its own guests. */
struct vh_config_guest {
    char *name;
    char *title;   /* what sections match for a name; often the same */
    char *uuid;    /* "" if not given */
    char *profile; /* "" if it has none */
    char *qmp;     /* NULL: see open_monitor */
    char *channel; /* NULL: it has none */
    char *agent;   /* NULL: see use_agent */
    char *cpus;  /* what its threads may use by its maker's word where nobody pins them, in the list
                    format of  cpuset(7); NULL: every CPU, or not known */
    char *nodes; /* NUMA nodes of its memory, in the list format of cpuset(7); NULL: not known */
    char *travels; /* what it has brought along (programs/travel.h); NULL: nothing */
    /* Opens the monitor where it is no socket of its own; `owner` is the inventory's. */
    struct VhQmp *(*open_monitor)(const struct vh_config_guest *guest,
                                  const struct vh_qmp_funcs *funcs, void *data);
    /* What a seat is pinned to by us, told after the fact and again and again; NULL: nothing. May
     * be NULL. */
    void (*mirror)(const struct vh_config_guest *guest, struct vh_seat seat,
                   const struct vh_cpuset *cpus);
    /* Has its maker done all that it was told so of a seat? Until then it may set what was wanted a
     * while ago. NULL where mirror is. */
    bool (*settled)(const struct vh_config_guest *guest, struct vh_seat seat);
    /* Sets a balloon's size in bytes (`name` "") or the requested-size of the virtio-mem device
     * `name`; `done` is called once, later, with what went wrong, else NULL. NULL: through the
     * monitor. */
    void (*set_memory)(const struct vh_config_guest *guest, const char *name, guint64 bytes,
                       void (*done)(const char *problem, void *data), void *data);
    /* As vh_qga_use_socket, by the inventory's own road. Returns NULL, or (borrowed) why it cannot
     * now. */
    const char *(*use_agent)(const struct vh_config_guest *guest, struct _GCancellable *cancellable,
                             const struct vh_qga_job *job, void *data);
    /* Notes what goes with the guest wherever it migrates (copied). NULL: there is no place for it.
     */
    void (*carry)(const struct vh_config_guest *guest, const char *text);
    /* Seats that hands were held off are ours again. NULL where mirror is. */
    void (*retake)(const struct vh_config_guest *guest);
    void *owner;
};

struct VhConfig {
    char *path; /* the file itself */
    char *run_dir;
    char *state_dir;
    char *control;
    char *program_dir;
    char *policy_dir;
    char *journal;
    char *injector;
    char *metrics; /* NULL: not served */
    guint successor_seconds;
    char *libvirt; /* URI; NULL: do not look there */
    char *hook;
    GPtrArray *guests; /* struct vh_config_guest, in the file's order */
};

/* NULL and VH_ERROR_INVALID_ARGUMENT whose message begins with FILE:LINE, or a G_FILE_ERROR. */
VhConfig *vh_config_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_config_free(VhConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhConfig, vh_config_free)

/* The keys of [guest NAME] above, then NULL. */
extern const char *const vh_config_guest_keys[];
