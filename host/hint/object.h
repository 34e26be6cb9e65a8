/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A BPF object as the host sees it: is it one, what does its manifest say, how do its hints decode.
 *
 * The object itself is given to the guest byte for byte; whether it loads is for the guest's kernel
 * to say. What libbpf there would refuse anyway is not looked at here, except where a plain answer
 * helps. */
#pragma once

#include <bpf/btf.h>
#include <glib.h>
#include <stdint.h>

#include "wire.h"

#define VH_KINDS_MAX 64u
#define VH_MANIFEST_MAX 16384u /* bytes of the section .vhint */

/* Immutable and reference-counted. */
typedef struct VhObject VhObject;

/* One kind of hint: what decoding it needs. */
struct vh_kind {
    uint16_t number;
    uint64_t serial; /* of this one alone, never used again: what was made for a kind can be told by
                        it */
    char *name;      /* of its struct */
    uint32_t size;
    uint32_t type; /* id in btf, checked by vh_btf_check */
    const struct btf *btf;
    VhObject *object; /* which it is part of: who keeps a kind keeps a reference to this */
};

struct VhObject {
    GBytes *bytes;
    char name[VH_NAME_SIZE];
    char *version; /* "" without a manifest */
    uint8_t digest[VH_DIGEST_SIZE];
    char *digest_hex;
    struct btf *btf; /* NULL: it has none */
    struct vh_kind *kinds;
    guint kind_count;
};

/* Reads `bytes` (referenced). `fallback` names an object without a manifest ("" for none). NULL and
 * VH_ERROR_INVALID_OBJECT, or VH_ERROR_INVALID_ARGUMENT for a bad or missing name. */
VhObject *vh_object_read(GBytes *bytes, const char *fallback,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
VhObject *vh_object_ref(VhObject *object);
void vh_object_unref(VhObject *object);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhObject, vh_object_unref)

/* NULL: the manifest has no such kind. */
const struct vh_kind *vh_object_kind(const VhObject *object, uint16_t number);
