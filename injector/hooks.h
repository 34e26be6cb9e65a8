/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decides which programs of an object are loaded, by the hooks that the running kernel has: of
 * NAME___VARIANT programs the first whose hook is there, and, where a part will do, none whose hook
 * is not. What the kernel would refuse only when a program is attached is refused before anything
 * is. */
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>

#include "wire.h"

/* Programs that were left out, for people: "kprobe/a, kprobe/b". */
struct vh_left_out {
    uint32_t count;
    char text[300]; /* as many as find room */
};

/* Where a program stands in the source, compared with others of its object: the compiler describes
 * functions in that order. (libbpf's own order is that of sections, and one of those holds all that
 * was ever put into it.) */
int vh_hooks_place(const struct bpf_object *object, const struct bpf_program *program);

/* Has the object variants at all? */
bool vh_hooks_any(struct bpf_object *object);

/* Takes the first variant of each NAME without looking: whether the kernel has its hook shows in
 * vh_hooks_check and in the load. */
void vh_hooks_assume(struct bpf_object *object);

/* Turns autoload off for every variant but the first usable one of each NAME; programs without a
 * variant are left alone. With `left`, a NAME without any usable variant is left out, and so is
 * each program whose hook this kernel lacks. 0 or -errno with `text` (VH_TEXT_MAX + 1 bytes). */
int vh_hooks_choose(struct bpf_object *object, struct vh_left_out *left, char *text);

/* Are the hooks there that the kernel would miss only when something is attached to them? 0 or
 * -ENOENT with `text`. */
int vh_hooks_check(struct bpf_object *object, char *text);

/* Notes that a program is left out. */
void vh_hooks_leave_out(struct vh_left_out *left, const struct bpf_program *program);
