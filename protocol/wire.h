/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What travels between a BPF program, the injector and the host, byte for byte.
 *
 * The one header that all three sides include. Everything is little-endian, fixed-width and
 * naturally aligned; every size is asserted. protocol/PROTOCOL.md explains the conversation;
 * frame.h wraps these payloads into frames and msg.h reads them without trusting their lengths. */
#pragma once

#include <linux/types.h>

/* The wire versions this build speaks. A HELLO keeps its layout in every version. */
#define VH_WIRE_MIN 1
#define VH_WIRE_MAX 1

#define VH_PORT_NAME "org.vhint.0" /* virtio-serial port, see /sys/class/virtio-ports/ * /name */

#define VH_OBJECT_MAX (16u << 20) /* bytes of one BPF object */
#define VH_PAYLOAD_MAX 65536u     /* bytes of one frame's payload */
#define VH_CHUNK_MAX 32768u       /* object bytes in one CHUNK */
#define VH_LOG_MAX 49152u         /* bytes of a verifier log in an ANSWER; the log's end is kept */
#define VH_TEXT_MAX 1024u         /* bytes of an ANSWER's text */
#define VH_TUNABLES_MAX 16384u    /* bytes of a LOAD's tunables */
#define VH_HINT_MAX 4096u         /* bytes of one hint, header included */
#define VH_CPUS_MAX 512u          /* guest CPUs */
#define VH_PROGRAMS_MAX 32u       /* programs side by side in one guest */
#define VH_NAME_SIZE 64u          /* a program's name with its final NUL: [A-Za-z0-9_.-]+ */
#define VH_DIGEST_SIZE 32u        /* SHA-256 of the object */
#define VH_CREDIT_INITIAL (1u << 20)

/* ---- hints: what a program emits, and what its `state` map holds as values ---- */

/* `flags` of struct vh_hint */
#define VH_HINT_GONE \
    0x1u /* the fact named by the key is no longer true; fields after the key mean nothing */

/* Starts every hint. The program's own struct begins with this one and BTF describes the whole.
 * The first `key_size` bytes after the header name the fact: hints of one kind with equal key bytes
 * speak of the same fact, the later replaces the earlier. key_size 0: an event, which leaves no
 * fact behind. */
struct vh_hint {
    __u16 size;     /* bytes of the whole record, this header included; at most VH_HINT_MAX */
    __u16 kind;     /* as declared in the program's manifest */
    __u16 key_size; /* bytes after this header that are the key */
    __u16 flags;    /* VH_HINT_* */
    __u32 cpu;      /* guest CPU that emitted it */
    __u32 reserved; /* 0 */
    __u64 ktime;    /* guest CLOCK_MONOTONIC, ns; shown to people, never decided upon */
};

/* ---- frames ---- */

/* Starts every frame; then the payload, then a CRC-32 (IEEE, as in zlib) over both. The whole is
 * COBS-encoded and ends with one zero byte. */
struct vh_frame_header {
    __u8 type;    /* enum vh_type */
    __u8 version; /* the version agreed on; 0 in a HELLO */
    __u16 reserved;
    __u32 id; /* a request's number, repeated by all that belongs to it (CHUNK, ANSWER, SNAPSHOT);
                 else 0 */
};

enum vh_type {
    /* both ways */
    VH_HELLO = 1, /* struct vh_hello */
    /* host to guest: requests, each answered by one ANSWER with its id */
    VH_LOAD = 16,  /* struct vh_load, tunables: "name=value\0" each */
    VH_CHUNK = 17, /* struct vh_chunk, object bytes (no ANSWER of its own: the LOAD's comes when all
                      is there) */
    VH_UNLOAD = 18, /* struct vh_unload */
    VH_LIST = 19,   /* empty; PROGRAMS and CPUS precede the ANSWER */
    VH_RESYNC = 20, /* struct vh_resync; SNAPSHOTs precede the ANSWER */
    /* host to guest: not answered by an ANSWER */
    VH_CREDIT = 24, /* struct vh_credit */
    VH_PING = 25,   /* struct vh_ping; answered by a PONG */
    /* guest to host */
    VH_CPUS = 32, /* struct vh_cpus, struct vh_cpu each; after HELLO and on every change */
    VH_PROGRAMS =
        33,        /* struct vh_programs, struct vh_program each; after HELLO and on every change */
    VH_HINTS = 34, /* struct vh_batch, records */
    VH_SNAPSHOT = 35, /* struct vh_batch, records */
    VH_ANSWER = 36,   /* struct vh_answer, text, log */
    VH_PONG = 37,     /* struct vh_pong */
    VH_TROUBLE = 38,  /* struct vh_trouble, text; after PROGRAMS and on every change */
};

/* ---- payloads ---- */

#define VH_HELLO_MAGIC 0x544e4856u /* "VHNT" */

enum vh_role { VH_ROLE_HOST = 1, VH_ROLE_GUEST = 2 };

/* Opens a session. `session` is a random non-zero number that its sender keeps until it restarts or
 * loses the channel; `peer` is the session number last seen from the other side, 0 for none.
 * Whoever receives a HELLO whose `peer` is not its own session answers with its own HELLO; the
 * session is up for a side once it has received a HELLO whose `peer` is its own session. */
struct vh_hello {
    __u32 magic;
    __u16 version_min;
    __u16 version_max;
    __u64 session;
    __u64 peer;
    __u32 role; /* enum vh_role */
    __u32
        credit; /* from the host: bytes of HINTS and SNAPSHOT payload the guest may send at first */
    __u8 boot_id[16]; /* from the guest: /proc/sys/kernel/random/boot_id, else 0 */
    char release[64]; /* kernel release, NUL-terminated */
    char agent[32];   /* "vhint-injector 0.1", NUL-terminated */
};

struct vh_load {
    char name[VH_NAME_SIZE];
    __u8 digest[VH_DIGEST_SIZE];
    __u32 size;         /* bytes of the object, 1 to VH_OBJECT_MAX */
    __u16 flags;        /* VH_LOAD_* */
    __u16 reserved;     /* 0 */
    __u32 tunables_len; /* bytes that follow */
    __u32 reserved2;    /* 0 */
};
#define VH_LOAD_REPLACE \
    0x1u /* a program of this name gives way once the new one is attached; else EEXIST */

struct vh_chunk {
    __u32 offset; /* chunks come in order, without gaps */
    __u32 reserved;
};

struct vh_unload {
    char name[VH_NAME_SIZE];
};

struct vh_resync {
    __u32 program; /* id from PROGRAMS; 0 for all */
    __u32 reserved;
};

struct vh_credit {
    __u32 bytes; /* added to what the guest may still send */
    __u32 reserved;
};

struct vh_ping {
    __u64 host_ns;
};

struct vh_pong {
    __u64 host_ns; /* the PING's */
    __u64 guest_ns;
};

struct vh_cpus {
    __u32 count; /* at most VH_CPUS_MAX */
    __u32 reserved;
};

#define VH_CPU_ONLINE 0x1u
#define VH_APIC_UNKNOWN 0xffffffffu
struct vh_cpu {
    __u32 cpu;     /* guest CPU number, ascending */
    __u32 apic_id; /* VH_APIC_UNKNOWN for a CPU that was never online */
    __u32 flags;   /* VH_CPU_* */
};

struct vh_programs {
    __u32 count; /* at most VH_PROGRAMS_MAX */
    __u32 reserved;
};

#define VH_PROGRAM_HINTS 0x1u /* has a ring buffer `hints` */
#define VH_PROGRAM_STATE 0x2u /* has a map `state` */
struct vh_program {
    __u32 id; /* never 0, never reused while the injector lives */
    __u32 flags;
    char name[VH_NAME_SIZE];
    __u8 digest[VH_DIGEST_SIZE];
    __u32 attached; /* BPF programs of the object that are attached */
    __u32 reserved;
    __u64 seq;  /* hints relayed since it was loaded */
    __u64 lost; /* hints it could not emit: ring full, state full, event missed */
};

/* Heads HINTS and SNAPSHOT; `count` records follow, each padded with zeros to a multiple of 8
 * bytes. */
struct vh_batch {
    __u32 program;
    __u32 count;
    __u64 seq;  /* HINTS: the first record's number; SNAPSHOT: the number the next hint will have */
    __u64 lost; /* as in struct vh_program, now; growth is a gap */
    __u32 flags; /* VH_SNAPSHOT_*; 0 in HINTS */
    __u32 reserved;
};
#define VH_SNAPSHOT_FIRST \
    0x1u /* all facts known of this program so far are to be confirmed or dropped */
#define VH_SNAPSHOT_LAST 0x2u /* what was not confirmed is gone */

struct vh_answer {
    __u32 error;    /* errno of Linux, 0: done */
    __u32 program;  /* LOAD: the new program's id */
    __u32 text_len; /* bytes of text, no NUL */
    __u32 log_len;  /* bytes of verifier log, no NUL */
    __u32 flags;    /* VH_ANSWER_* */
    __u32 reserved;
};
#define VH_ANSWER_LOG_CUT 0x1u /* the log's beginning was left out */

/* What is wrong with a program that runs. A program is fine until a TROUBLE says otherwise. */
struct vh_trouble {
    __u32 program;
    __u32 text_len; /* bytes of text, no NUL, at most VH_TEXT_MAX; 0: all is well again */
};

#ifndef __bpf__
#include <assert.h>
static_assert(sizeof(struct vh_hint) == 24, "wire size");
static_assert(sizeof(struct vh_frame_header) == 8, "wire size");
static_assert(sizeof(struct vh_hello) == 144, "wire size");
static_assert(sizeof(struct vh_load) == 112, "wire size");
static_assert(sizeof(struct vh_chunk) == 8, "wire size");
static_assert(sizeof(struct vh_unload) == 64, "wire size");
static_assert(sizeof(struct vh_resync) == 8, "wire size");
static_assert(sizeof(struct vh_credit) == 8, "wire size");
static_assert(sizeof(struct vh_ping) == 8, "wire size");
static_assert(sizeof(struct vh_pong) == 16, "wire size");
static_assert(sizeof(struct vh_cpus) == 8, "wire size");
static_assert(sizeof(struct vh_cpu) == 12, "wire size");
static_assert(sizeof(struct vh_programs) == 8, "wire size");
static_assert(sizeof(struct vh_program) == 128, "wire size");
static_assert(sizeof(struct vh_batch) == 32, "wire size");
static_assert(sizeof(struct vh_answer) == 24, "wire size");
static_assert(sizeof(struct vh_trouble) == 8, "wire size");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the wire is little-endian and read in place");
#endif
