/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's network interface, and its end on the host. */
#pragma once

#include <net/if.h>
#include <stdint.h>

#define VH_NICS_MAX 8u /* of a guest that are looked at */

struct vh_nic {
    char tap[IFNAMSIZ]; /* on the host; never "" */
    uint8_t mac[6];     /* in the guest */
};
