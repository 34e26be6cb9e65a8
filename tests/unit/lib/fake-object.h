/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects made up for tests: BTF by hand, no ELF file. */
#pragma once

#include "hint/object.h"

/* What the affinity program emits. */
struct fake_affinity {
    struct vh_hint h;
    __u32 pid;
    __u32 tgid;
    __u32 cpus;
    __u32 reserved;
    __u64 mask[VH_CPUS_MAX / 64];
    char comm[16];
};

enum fake_phase { FAKE_COLD = 0, FAKE_WARM = 1, FAKE_HOT = -2 };

/* A struct that no program of vhint's has, with a field of every sort. */
struct fake_stranger {
    struct vh_hint h;
    __u32 worker; /* the key */
    __s32 home;   /* a guest CPU, -1: none */
    enum fake_phase phase;
    __u8 ready; /* in BTF: bool */
    __s8 mood;
    __u16 load[3];
    struct {
        __u32 node;
        __u64 seen;
    } where;
    __u32 low : 3, high : 5;
    __u32 extra; /* BTF says: in an anonymous union */
    __u64 cores[2];
    char name[8];
    float ratio;
};

/* Kinds "affinity" (1) of the program "affinity", and "stranger" (7) of the program "stranger",
 * which also has the tunables "threshold" and "label". The caller's; vh_object_unref them. */
VhObject *fake_object_affinity(void);
VhObject *fake_object_stranger(void);

/* For struct vh_policy_world: both programs, and no other. */
VhObject *fake_object_read(const char *name, const char *path, gpointer data, GError **error);
void fake_object_list(GPtrArray *names, gpointer data);

/* Policy for both: affinity's facts pin or group, the stranger's pin for 2 s more. */
extern const char fake_rules[];

/* Heads a record: its whole size, its key's. */
struct vh_hint fake_hint(gsize size, guint16 kind, guint16 key_size);
