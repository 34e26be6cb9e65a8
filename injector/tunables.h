/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets an opened object's `const volatile` globals by name, with the types and ranges that its BTF
 * gives. */
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The variable NAME of the object's data section `section` (".rodata", ".bss"), or NULL; `*size` in
 * bytes. It is the initial value: written before the load it is what the program begins with, later
 * nobody looks there. */
void *vh_variable(const struct bpf_object *object, const char *section, const char *name,
                  size_t *size);

/* Sets each "name=value" of `tunables` (`len` bytes, each NUL-terminated) but the options
 * (options.h). Integers in C's notations, booleans also as true and false, enums also by name, char
 * arrays as text. 0, -EINVAL or -ERANGE with `text` (VH_TEXT_MAX
 * + 1 bytes). */
int vh_tunables_set(struct bpf_object *object, const char *tunables, size_t len, char *text);
