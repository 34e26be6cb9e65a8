/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses among NAME___VARIANT programs of an object the ones whose hook this kernel has. */
#pragma once

#include <bpf/libbpf.h>
#include <stddef.h>

/* Turns autoload off for every variant but the first usable one of each NAME, in the object's order; programs
 * without a variant are left alone. 0 or -errno with `text` (VH_TEXT_MAX + 1 bytes). */
int vh_hooks_choose(struct bpf_object *object, char *text);
