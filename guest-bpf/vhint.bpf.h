/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that a vhint program needs: manifest, `hints`, `state`, the count of losses. docs/programs.md
 * teaches it.
 *
 * A program's object has
 *  - VH_PROGRAM(name, version) once, and VH_HINT(number, struct) for each kind of hint. The struct
 *    starts with `struct vh_hint h;` and goes on with fixed-size fields, which the host reads by
 *    their names from BTF.
 *  - VH_HINTS(bytes): the ring buffer `hints`. Where its hints have keys, also VH_STATE(key,
 *    struct, entries): the hash map `state`, whose values are the last hint of each key, header
 *    included.
 *  - Tunables: `const volatile` globals, which a policy sets by name before the load.
 *  - Optionally a program in SEC("iter/task") or another iterator. The injector runs it after
 *    attaching and before every snapshot, so that facts older than the program, or missed by it,
 *    are found.
 *  - Optionally, with such an iterator, VH_WALK_CONFIRMS: the iterator calls vh_confirm with the
 *    key of each fact that holds. Of what was in `state` before a complete walk the injector takes
 *    out what that did not confirm. So a fact goes even when the program missed its end.
 *
 * Programs are attached in the order of the source, and iterators run when all are attached. What
 * ends facts stands before what makes them: a fact made while the rest is being attached might
 * never end otherwise.
 *
 * BPF programs that are variants of one another, of which the kernel at hand takes one, are called
 * NAME___VARIANT: the injector loads the first of each NAME, in the order of the source, whose hook
 * this kernel has. */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "wire.h"

/* The manifest: text lines in the section ".vhint", and one pointer per kind in ".vhint.kinds",
 * which makes the compiler describe the struct in BTF. Neither reaches the kernel's programs. */
#define VH_PROGRAM(name, version) \
    const char vh_manifest_program[] SEC(".vhint") = "program " name " " version "\n"; \
    char vh_license[] SEC("license") = "GPL"

#define VH_HINT(number, type) \
    const char vh_manifest_##type[] SEC(".vhint") = "hint " #number " " #type "\n"; \
    const struct type *vh_kind_##type SEC(".vhint.kinds") = 0

#define VH_HINTS(bytes) \
    struct { \
        __uint(type, BPF_MAP_TYPE_RINGBUF); \
        __uint(max_entries, bytes); \
    } hints SEC(".maps")

#define VH_WALK_CONFIRMS const volatile bool vh_walk_confirms = true

/* The injector puts the rules of the guest's firewall into `state` (protocol/guest-rules.h) after
 * attaching and before every snapshot. */
#define VH_COLLECT_RULES const volatile bool vh_collect_rules = true

/* A part will do: programs whose hook the guest's kernel lacks are left out, and named. */
#define VH_PARTIAL const volatile bool vh_partial = true

#define VH_STATE(key_type, value_type, entries) \
    struct { \
        __uint(type, BPF_MAP_TYPE_HASH); \
        __uint(max_entries, entries); \
        __type(key, key_type); \
        __type(value, value_type); \
    } state SEC(".maps")

/* Hints lost and facts that found no room; the injector reports its growth, and the host asks for a
 * snapshot. */
__u64 vh_lost;

/* Set by the injector before the load: the number of possible guest CPUs. */
const volatile __u32 vh_cpus_possible = VH_CPUS_MAX;

/* Set by it likewise: its own process. What it does because of a hint must not cause another one.
 */
const volatile __u32 vh_injector;

static __always_inline void vh_count_lost(void)
{
    __sync_fetch_and_add(&vh_lost, 1);
}

/* Fills the header of a hint whose key is the `key_size` bytes after it. */
static __always_inline void vh_stamp(struct vh_hint *h, __u16 kind, __u16 size, __u16 key_size,
                                     __u16 flags)
{
    h->size = size;
    h->kind = kind;
    h->key_size = key_size;
    h->flags = flags;
    h->cpu = bpf_get_smp_processor_id();
    h->reserved = 0;
    h->ktime = bpf_ktime_get_ns();
}

/* Says in a walk that the fact with this key in `state` holds; `seq` is the iterator's
 * ctx->meta->seq. Where there is no room the kernel makes some and shows the object again. */
static __always_inline void vh_confirm(struct seq_file *seq, const void *key, __u32 key_size)
{
    bpf_seq_write(seq, key, key_size);
}

/* Emits a stamped hint into the ring `ring`; a full ring is counted. */
static __always_inline void vh_emit(void *ring, void *hint, __u64 size)
{
    if (bpf_ringbuf_output(ring, hint, size, 0))
        vh_count_lost();
}
