/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One hint of every kind of field, for tests/unit/hint/object.c and hint/json.c. */
#include "vhint.bpf.h"

enum colour { RED = 0, GREEN = 7, BLUE = -1 };
typedef __u32 alias_t;

struct inner {
    __s16 x;
    char tag[4];
};

struct rich {
    struct vh_hint h;
    __u32 key;
    __s32 negative;
    enum colour colour;
    alias_t alias;
    _Bool yes;
    unsigned char bytes[3];
    char name[16];
    struct inner inner;
    const struct inner many[2];
    unsigned int low : 3;
    int high : 5;
    union {
        __u32 either;
        __u16 or_else;
    };
    void *pointer;
    __u64 mask[8];
    __s64 big;
};

struct affinity {
    struct vh_hint h;
    __u32 pid;
    __u32 tgid;
    __u32 cpus;
    __u32 reserved;
    __u64 mask[8];
    char comm[16];
};

VH_PROGRAM("rich", "1.2");
VH_HINT(1, rich);
VH_HINT(2, affinity);
VH_HINTS(4096);
