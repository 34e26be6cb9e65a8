/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a tool's object has: maps that its loader sizes, one that is pinned by name, a program that
 * takes samples; and tunables of each type. */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

enum colour { RED = 3, GREEN = 5 };

const volatile __u8 small = 1;
const volatile __s16 negative = -1;
const volatile __u64 large = 7;
const volatile bool flag = false;
const volatile enum colour colour = RED;
const volatile char word[8] = "none";
const volatile bool vh_partial = true;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, int);
    __type(value, long);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_STACK_TRACE);
    __type(key, int);
} stacks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 16);
    __uint(max_entries, 2);
} row SEC(".maps");

SEC("perf_event")
int sample(void *ctx)
{
    int key = small + negative + large + flag + colour + word[0];
    long one = 1;

    bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
    bpf_get_stackid(ctx, &stacks, 0);
    bpf_map_lookup_elem(&row, &key);
    return 0;
}
