/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libvirt's event loop, in a thread of its own: what arrives from libvirtd is never read on the
 * hint path.
 *
 * libvirt has one event loop per process, so this file has the only globals of the daemon. */
#pragma once

/* Registers the loop with libvirt and starts its thread; further calls do nothing. To be called
 * before any other function of libvirt's. */
void vh_virt_loop_start(void);

/* exit(), but for the exit handlers where the loop has been started: its thread, and workers that
 * wait in libvirt, cannot be ended, and would go on while those handlers take libvirt's libraries
 * down. */
_Noreturn void vh_virt_loop_exit(int status);
