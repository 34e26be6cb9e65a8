/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps a connection to libvirtd, for virt.c only. */
#pragma once

#include "libvirt/jobs.h"

/* Tries to connect, unless that is under way or done; again and again until it is. */
void vh_virt_connect(VhVirt *virt);
/* The part of that which blocks, VhVirt's `open`. */
void vh_virt_open(VhVirt *virt);
