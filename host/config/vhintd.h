/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vhintd itself is told in vhint.conf (GKeyFile syntax), read once and immutable from then on.
 * All else there is policy (policy/policy.h), which can change while vhintd runs.
 *
 *   [daemon]
 *   run-dir=DIR       saved masks, sockets; default /run/vhint
 *   state-dir=DIR     injected programs, kept across restarts; default /var/lib/vhint
 *   control=SOCKET    default RUN-DIR/control
 *   program-dir=DIR   where programs named without a path are found, as NAME.bpf.o; default: as
 *                     installed
 *   policy-dir=DIR    the policy files beside vhint.conf; default: policy.d beside it
 *   journal=FILE      default RUN-DIR/journal
 *   injector=FILE     the static injector that vhintctl bootstrap brings into guests; default: as
 *                     installed
 *   metrics=ADDRESS   where figures are served to Prometheus, an address of this machine only and a
 *                     port, as 127.0.0.1:9477; default: nowhere
 *   offload-dir=DIR   where objects for the host's kernel are; default: as installed
 *   bpf-dir=DIR       a folder of vhintd's own in a bpffs, for what outlives it of offloads;
 * default /sys/fs/bpf/vhint successor-timeout=SECONDS for so long pins stay once vhintd has gone
 * without having put them back; 1 to 3600, default 30 [guest NAME]      with these keys: a guest
 * that is not libvirt's qmp=SOCKET        QEMU's monitor; vhintd is its only client channel=SOCKET
 * the chardev of the port org.vhint.0; QEMU listens agent=SOCKET      the chardev of the QEMU guest
 * agent's port; QEMU listens, vhintd is its only client uuid=UUID         shown, and matched by
 * policy profile=NAME      matched by policy [libvirt]         its presence makes vhintd look after
 * the domains of libvirt's that policy matches uri=URI           default qemu:///system hook=SOCKET
 * where vhint-libvirt-hook calls; default RUN-DIR/hook */
#pragma once

#include <glib.h>

#include "config/guest.h"

#ifndef VH_PROGRAM_DIR
#define VH_PROGRAM_DIR "/usr/lib/vhint/programs"
#endif

#ifndef VH_OFFLOAD_DIR
#define VH_OFFLOAD_DIR "/usr/lib/vhint/host"
#endif

#ifndef VH_GUEST_INJECTOR
#define VH_GUEST_INJECTOR "/usr/libexec/vhint/guest/vhint-injector"
#endif

typedef struct VhConfig VhConfig;

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
    char *offload_dir;
    char *bpf_dir;
    guint successor_seconds;
    char *libvirt; /* URI; NULL: do not look there */
    char *hook;
    GPtrArray *guests; /* struct vh_config_guest, in the file's order */
};

/* NULL and an error: a G_FILE_ERROR, or VH_ERROR_INVALID_ARGUMENT. Then each mistake is added to
 * `problems` (char *), as "FILE:LINE: ...", and the error has the first. */
VhConfig *vh_config_load(const char *path, GPtrArray *problems,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_config_free(VhConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhConfig, vh_config_free)

/* The keys of [guest NAME] above, then NULL. */
extern const char *const vh_config_guest_keys[];
