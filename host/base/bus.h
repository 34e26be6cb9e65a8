/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the control interface is found: what vhintd and those who ask it agree upon. */
#pragma once

#define VH_CONTROL_PATH "/run/vhint/control" /* the socket, unless told otherwise */
#define VH_CONTROL_OBJECT "/org/vhint/Manager1"
