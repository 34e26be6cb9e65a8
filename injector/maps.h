/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks an object's maps over before the kernel does, which says EINVAL to all that it does not
 * like, and settles what their own loader would. */
#pragma once

#include <bpf/libbpf.h>
#include <stdint.h>

#define VH_STACK_FRAMES 127u /* of a stack trace, unless the kernel is told otherwise */

/* How many frames a stack trace can have on this kernel, by `path` (a file like
 * /proc/sys/kernel/perf_event_max_stack). */
uint32_t vh_maps_frames(const char *path);

/* Are all maps of sizes that the kernel takes? A stack trace without a size gets `frames`. A map
 * that asks to be pinned is not. 0 or -errno with `text` (VH_TEXT_MAX + 1 bytes). */
int vh_maps_settle(struct bpf_object *object, uint32_t frames, char *text);
