/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layout of the file of former states, and how one of a former version becomes one of this: for
 * saved.c and saved-former.c only.
 *
 * Version 1 had slots for pins alone, and 4096 of them. Version 2 had three kinds, told of a target
 * by the number that was a vCPU's index, and kept all of a guest's memory with one of its vCPUs'
 * threads. */
#pragma once

#include <string.h>

#include "act/saved.h"

#define VH_SAVED_MAGIC "vhsaved3"

/* For this machine only. */
struct vh_saved_file {
    char magic[8];
    uint32_t slot_size;
    uint32_t slot_count;
    uint32_t used; /* slots from here on were never taken */
    struct vh_saved_shared shared;
    uint32_t reserved[6];
    struct vh_saved_slot slots[VH_SAVED_MAX];
};
_Static_assert(offsetof(struct vh_saved_file, slots) == 64, "other versions have it there, too");

#define VH_SAVED_SIZE ((off_t)sizeof(struct vh_saved_file))

/* Makes an empty one of zeros. */
static inline void vh_saved_begin_file(struct vh_saved_file *file)
{
    file->slot_size = sizeof(struct vh_saved_slot);
    file->slot_count = VH_SAVED_MAX;
    memcpy(file->magic, VH_SAVED_MAGIC, sizeof(file->magic));
}

/* If the locked file `*fd` at `path` is a former version's: makes one of this version of it, which
 * takes its place. `*fd` is that one then, locked, too. 0, or -1 and VH_ERROR_FAILED. */
int vh_saved_convert(const char *path, int *fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
