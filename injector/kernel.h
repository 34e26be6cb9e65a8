/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Knows which hooks the running kernel has, by its BTF, its symbols and its list of tracepoints. */
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>

#include "symbols.h"

struct btf;

struct vh_kernel {
    struct btf *btf; /* NULL: not asked for */
    struct vh_symbols symbols;
};

/* Gets ready to be asked for the hooks of the programs of `object`. Without `early` only for those
 * that the kernel looks for when a program is attached; the others count as present, and need no
 * BTF, whose reading costs as much as all the rest of a load. 0, or -errno with `text` (VH_TEXT_MAX
 * + 1 bytes). */
int vh_kernel_open(struct vh_kernel *kernel, struct bpf_object *object, bool early, char *text);
/* Is the hook there that SEC("...") names? What cannot be known counts as present: the kernel then
 * says so itself. */
bool vh_kernel_has(const struct vh_kernel *kernel, const char *section);
void vh_kernel_close(struct vh_kernel *kernel);
#define vh_autokernel __attribute__((cleanup(vh_kernel_close)))
