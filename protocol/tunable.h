/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A value for a tunable, as text, by the type that the object's BTF gives it. The host reads one to
 * find mistakes in a policy, the injector to set it: both say the same of it. */
#pragma once

#include <bpf/btf.h>
#include <stddef.h>
#include <stdint.h>

struct vh_tunable {
    const struct btf *btf;
    const struct btf_type *type; /* without const, volatile and typedef */
    size_t size;                 /* bytes */
};

/* The type below qualifiers and typedefs; NULL: there is none, or there are too many. */
const struct btf_type *vh_tunable_type(const struct btf *btf, uint32_t id);

/* Reads `value` into `into` (`v->size` bytes, which are as they were on failure): integers in
 * C's notations, booleans also as true and false, enums also by name, char arrays as text. 0;
 * -EINVAL: it is of another type; -ERANGE: it does not fit. */
int vh_tunable_read(const struct vh_tunable *v, const char *value, uint8_t *into);

/* What a value has to be, for people: "it must be true or false". */
void vh_tunable_describe(const struct vh_tunable *v, char *text, size_t size);
