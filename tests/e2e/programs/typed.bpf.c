/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One hint with a field of every sort at each exec of the command "true"; the daemon has never seen
 * its struct. */
#include "vhint.bpf.h"

enum colour { RED = 1, GREEN = 2 };

struct sorts {
    struct vh_hint h;
    __u32 pid; /* the key */
    __s32 minus;
    __u64 large;
    enum colour known;
    enum colour unknown;
    char text[8];
    __s8 bytes[3];
    bool yes;
    struct {
        __u16 x;
        __u16 y;
    } points[2];
    union {
        __u32 number;
        __u8 parts[4];
    };
    __u32 low : 4, high : 28;
};

VH_PROGRAM("typed", "2.1");
VH_HINT(7, sorts);
VH_HINTS(16384);

const volatile __s32 minus = -5;
const volatile char word[8] = "hello";

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
    struct sorts s = {.minus = minus,
                      .large = 1ull << 63,
                      .known = GREEN,
                      .unknown = 9,
                      .bytes = {1, -2, 3},
                      .yes = true};
    char comm[16] = {};

    bpf_get_current_comm(comm, sizeof(comm));
    if (comm[0] != 't' || comm[1] != 'r' || comm[2] != 'u' || comm[3] != 'e')
        return 0;
    s.pid = bpf_get_current_pid_tgid() >> 32;
    for (int i = 0; i < 8; i++)
        s.text[i] = word[i];
    s.points[1].x = 3;
    s.points[1].y = 4;
    s.number = 0x01020304;
    s.low = 5;
    s.high = 6;
    vh_stamp(&s.h, 7, sizeof(s), sizeof(s.pid), 0);
    vh_emit(&hints, &s, sizeof(s));
    return 0;
}
