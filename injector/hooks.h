/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses among NAME___VARIANT programs of an object the ones whose hook this kernel has. */
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>

/* Has the object variants at all? */
bool vh_hooks_any(struct bpf_object *object);

/* Takes the first variant of each NAME without looking: whether the kernel has its hook shows in the load. 0;
 * `text` is not touched. */
int vh_hooks_assume(struct bpf_object *object, char *text);

/* Turns autoload off for every variant but the first usable one of each NAME, in the object's order; programs
 * without a variant are left alone. 0 or -errno with `text` (VH_TEXT_MAX + 1 bytes). */
int vh_hooks_choose(struct bpf_object *object, char *text);
