/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks BTF that somebody else made before anything decodes by it.
 *
 * libbpf has parsed the section's outline; this walks a struct the way json.c will, so that every
 * type id, name, size and offset it meets there is known to be good, and the walk is known to end.
 */
#pragma once

#include <bpf/btf.h>
#include <glib.h>
#include <stdint.h>

#define VH_BTF_DEPTH_MAX 16u    /* of nested structs, arrays and typedefs */
#define VH_BTF_VALUES_MAX 8192u /* values in one hint, arrays and nested structs written out */

/* The size of the struct `id` when every part of it can be decoded; -1 and VH_ERROR_INVALID_OBJECT
 * naming the member otherwise. */
int vh_btf_check(const struct btf *btf, uint32_t id, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Bytes of the type `id`, which was checked, by the same rules. */
uint32_t vh_btf_size(const struct btf *btf, uint32_t id);

/* The name of the enum's constant that `bits` bits with this value stand for; NULL: for none. */
const char *vh_btf_constant(const struct btf *btf, const struct btf_type *type, uint64_t value,
                            uint32_t bits);

/* The value that `bits` bits stand for in a signed number. */
int64_t vh_btf_extend(uint64_t value, uint32_t bits);

/* The type below typedefs and qualifiers; NULL: there is none. For a checked type there is. */
const struct btf_type *vh_btf_strip(const struct btf *btf, uint32_t id);
