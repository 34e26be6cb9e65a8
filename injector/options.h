/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a loader of its own would decide about an object, and a LOAD says instead: among its
 * tunables, under names that begin with a dot, which no variable has.
 *
 *     .partial=true        leaves out what this kernel cannot attach
 *     .map.NAME=ENTRIES    sizes a map
 *     .every=HZ            samples programs in SEC("perf_event") at this rate, on each CPU */
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VH_OPTION_MARK '.'
#define VH_EVERY_MAX 10000u /* Hz */

struct vh_load_options {
    bool partial;
    uint32_t every; /* Hz; 0: not said */
};

/* Takes the options among `tunables` (`len` bytes, "name=value" and a NUL each), applies those that
 * are about maps, and looks all maps over (maps.h). The object itself may ask for `partial`
 * (VH_PARTIAL). 0 or -errno with `text` (VH_TEXT_MAX + 1 bytes). */
int vh_options_take(struct bpf_object *object, const char *tunables, size_t len,
                    struct vh_load_options *options, char *text);
