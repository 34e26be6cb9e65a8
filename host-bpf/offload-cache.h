/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the cache's programs in the host's kernel and vhintd agree on.
 *
 * Both sides include this file. How it works, and why it is coherent: docs/offload.md, "Cache". */
#pragma once

#include <linux/types.h>

#define VH_CACHE_ADDRESSES 4u /* at which a guest's memcached is served */
#define VH_CACHE_KEY 250u     /* bytes, memcached's own limit */
#define VH_CACHE_KEYS 16u     /* in one GET that is answered */
/* Of an answer without its frame header: memcached makes datagrams of up to 1,400 bytes. */
#define VH_CACHE_REPLY 1392u
#define VH_CACHE_STREAM_USED 8u /* in cache_streams: offset of the ktime of the last packet */
#define VH_CACHE_LINE 2048u     /* a longer command is not understood */

/* An IPv4 address has its four bytes first, and zeros. */
struct vh_cache_address {
    __u8 bytes[16];
} __attribute__((aligned(8)));

/* cache_heads, by bucket: the part of an entry that is looked at first. What is cached is in force
 * only while `stamp` equals `gen` and `epoch` equals the whole cache's. */
struct vh_cache_head {
    __u64 gen;    /* grows with each write to a key of this bucket, and with each fill */
    __u64 stamp;  /* 0: nothing; VH_CACHE_BUSY: it is being filled; else the gen it is good for */
    __u64 closed; /* by writes that are not answered yet */
    __u64 epoch;
    __u64 until; /* ktime when the item expires at the earliest */
    __u64 hash;
    __u32 sum; /* the checksum's part for the text, not folded */
    __u16 length;
    __u16 key_length;
};
#define VH_CACHE_BUSY (~0ull)

/* cache_state, one. */
struct vh_cache_state {
    __u64 epoch;      /* grows: all that is cached is void */
    __u64 shut_until; /* ktime: no answers and no fills until then */
    __u64 fill_after; /* ktime: no fills until then */
    __u64 alive;      /* ktime of the last answer of memcached's, about */
    __u64 ticks;      /* seconds in which memcached has answered */
    __u64 tick;       /* the last of them, since boot */
};

/* cache_told, one: vhintd alone writes it. */
struct vh_cache_told {
    __u64 epoch;      /* added to the state's */
    __u64 fill_after; /* ktime: no fills until then */
    __u32 act;        /* 0: what could be answered is counted, and asked */
    __u32 pad;
};

/* cache_figures, per CPU. */
struct vh_cache_figures {
    __u64 answered; /* GETs, here */
    __u64 would;    /* be answered, but may only be counted; they are asked, too */
    __u64 asked;    /* GETs that went on to the guest */
    __u64 fills;
    __u64 unknown_expiry; /* not filled, because no SET was seen that says when the item expires */
    __u64 writes;         /* that invalidated their key alone */
    __u64 flushed;        /* times that everything was invalidated */
    __u64 fragments;      /* or other packets that could hide a command */
    __u64 not_understood; /* commands, and TCP connections that got out of step */
    __u64 strangers;      /* packets of TCP connections that are older than the cache */
};

/* cache_flows, by this: a TCP connection, or who asks over UDP. */
struct vh_cache_flow {
    __u8 client[16];
    __u8 server[16];
    __u64 port; /* the client's; as wide as a word */
} __attribute__((aligned(8)));
