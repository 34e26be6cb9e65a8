/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What policy allows of a guest's work to be offloaded to the host's kernel. */
#pragma once

#include <net/if.h>
#include <stdint.h>

struct vh_offload_limits {
    unsigned kinds;        /* a bit for each, by its stage (host-bpf/offload.h); 0: none */
    char uplink[IFNAMSIZ]; /* "": none */
    unsigned cycles;       /* percent of a host CPU, for all of the guest's slots */
    uint64_t memory;       /* bytes, likewise */
};
