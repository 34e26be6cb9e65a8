/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses among NAME___VARIANT programs of an object the ones whose hook this kernel has. Their
 * order is that of the source. */
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>

/* Where a program stands in the source, compared with others of its object: the compiler describes
 * functions in that order. (libbpf's own order is that of sections, and one of those holds all that
 * was ever put into it.) */
int vh_hooks_place(const struct bpf_object *object, const struct bpf_program *program);

/* Has the object variants at all? */
bool vh_hooks_any(struct bpf_object *object);

/* Takes the first variant of each NAME without looking: whether the kernel has its hook shows in
 * the load. 0; `text` is not touched. */
int vh_hooks_assume(struct bpf_object *object, char *text);

/* Turns autoload off for every variant but the first usable one of each NAME; programs
 * without a variant are left alone. 0 or -errno with `text` (VH_TEXT_MAX + 1 bytes). */
int vh_hooks_choose(struct bpf_object *object, char *text);
