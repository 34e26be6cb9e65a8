// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps former states in a mapped file.
#include "saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

#define MAGIC "vhsaved2"
#define MAGIC_1 "vhsaved1" /* the same layout, but pins only: their kind is 0 */

/* The file's layout, for this machine only. */
struct file {
    char magic[8];
    uint32_t slot_size;
    uint32_t slot_count;
    uint32_t used; /* slots from here on were never taken */
    struct vh_saved_shared shared;
    uint32_t reserved[7];
    struct vh_saved_slot slots[VH_SAVED_MAX];
};
G_STATIC_ASSERT(offsetof(struct file, slots) == 64);

struct VhSaved {
    int fd;
    struct file *file;
};

static VhSaved *fail(GError **error, enum vh_error_code code, const char *path, const char *what, int fd)
{
    g_set_error(error, VH_ERROR, code, "%s: %s", path, what);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static bool ours(const struct file *file)
{
    return (memcmp(file->magic, MAGIC, sizeof(file->magic)) == 0 ||
            memcmp(file->magic, MAGIC_1, sizeof(file->magic)) == 0) &&
           file->slot_size == sizeof(struct vh_saved_slot) && file->slot_count == VH_SAVED_MAX &&
           file->used <= VH_SAVED_MAX;
}

VhSaved *vh_saved_open(const char *path, GError **error)
{
    struct stat st = {0};
    struct file *file = NULL;
    VhSaved *saved = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return fail(error, VH_ERROR_BUSY, path,
                    "another vhintd uses this run-dir: stop it, or give this one a run-dir of its own", fd);
    if (fstat(fd, &st) < 0 || (st.st_size == 0 && ftruncate(fd, sizeof(*file)) < 0))
        return fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
    if (st.st_size != 0 && st.st_size != sizeof(*file))
        return fail(error, VH_ERROR_FAILED, path, "was left by another version of vhintd: start that one once",
                    fd);
    file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED)
        return fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
    if (st.st_size == 0 || file->magic[0] == 0) {
        file->slot_size = sizeof(struct vh_saved_slot);
        file->slot_count = VH_SAVED_MAX;
        memcpy(file->magic, MAGIC, sizeof(file->magic));
    }
    if (!ours(file)) {
        munmap(file, sizeof(*file));
        return fail(error, VH_ERROR_FAILED, path, "was left by another version of vhintd: start that one once",
                    fd);
    }
    memcpy(file->magic, MAGIC, sizeof(file->magic));
    memset(&file->shared, 0, sizeof(file->shared));
    /* What a dead daemon only noted was never changed. */
    for (uint32_t i = 0; i < file->used; i++)
        if (file->slots[i].state == VH_SAVED_NOTED)
            file->slots[i].state = VH_SAVED_FREE;
    saved = g_new0(VhSaved, 1);
    saved->fd = fd;
    saved->file = file;
    return saved;
}

void vh_saved_close(VhSaved *saved)
{
    if (!saved)
        return;
    munmap(saved->file, sizeof(*saved->file));
    if (saved->fd >= 0)
        close(saved->fd);
    g_free(saved);
}

void vh_saved_unlock(VhSaved *saved)
{
    close(saved->fd);
    saved->fd = -1;
}

struct vh_saved_shared *vh_saved_shared(VhSaved *saved)
{
    return &saved->file->shared;
}

unsigned vh_saved_index(const VhSaved *saved, const struct vh_saved_slot *slot)
{
    return (unsigned)(slot - saved->file->slots);
}

struct vh_saved_slot *vh_saved_take(VhSaved *saved)
{
    struct file *file = saved->file;
    struct vh_saved_slot *slot = NULL;

    for (uint32_t i = 0; i < file->used && !slot; i++)
        if (file->slots[i].state == VH_SAVED_FREE)
            slot = &file->slots[i];
    if (!slot) {
        if (file->used == VH_SAVED_MAX)
            return NULL;
        slot = &file->slots[file->used++];
    }
    memset(slot, 0, sizeof(*slot));
    slot->state = VH_SAVED_NOTED;
    return slot;
}

void vh_saved_free_slot(VhSaved *saved, struct vh_saved_slot *slot)
{
    (void)saved;
    if (slot)
        __atomic_store_n(&slot->state, VH_SAVED_FREE, __ATOMIC_RELEASE);
}

struct vh_saved_slot *vh_saved_next(VhSaved *saved, enum vh_saved_kind kind, const struct vh_saved_slot *last)
{
    struct file *file = saved->file;

    for (uint32_t i = last ? (uint32_t)(last - file->slots) + 1 : 0; i < file->used; i++)
        if (file->slots[i].state == VH_SAVED_APPLIED && file->slots[i].kind == kind)
            return &file->slots[i];
    return NULL;
}
