// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps former states in a mapped file.
#include "act/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

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
    uint32_t first;   /* no slot below is free */
    GHashTable *left; /* thread -> slot of a mask */
};

#define FORMER_SIZE offsetof(struct file, slots[VH_SAVED_MAX_FORMER])
#define LOCK_TRIES 100
#define LOCK_WAIT_US 10000

static VhSaved *fail(GError **error, enum vh_error_code code, const char *path, const char *what,
                     int fd)
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
           file->slot_size == sizeof(struct vh_saved_slot) &&
           (file->slot_count == VH_SAVED_MAX || file->slot_count == VH_SAVED_MAX_FORMER) &&
           file->used <= file->slot_count;
}

/* Somebody may be about to put back what is in it, if only for a moment. */
static int lock(int fd)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES)
            return -1;
        g_usleep(LOCK_WAIT_US);
    }
    return 0;
}

/* What is there is of this size, or of a former version's, or new. */
static bool has_size(int fd, off_t *size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    *size = st.st_size;
    return (st.st_size != 0 && st.st_size != FORMER_SIZE) ||
           ftruncate(fd, sizeof(struct file)) == 0;
}

static void find_left(VhSaved *saved)
{
    struct vh_saved_slot *slot = NULL;

    while ((slot = vh_saved_next(saved, VH_SAVED_MASK, slot)))
        g_hash_table_insert(saved->left, GINT_TO_POINTER(slot->thread), slot);
}

VhSaved *vh_saved_open(const char *path, GError **error)
{
    struct file *file = NULL;
    VhSaved *saved = NULL;
    off_t size = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
    if (lock(fd) < 0)
        return fail(
            error, VH_ERROR_BUSY, path,
            "another vhintd uses this run-dir: stop it, or give this one a run-dir of its own", fd);
    if (!has_size(fd, &size))
        return fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
    if (size != 0 && size != FORMER_SIZE && size != sizeof(*file))
        return fail(error, VH_ERROR_FAILED, path,
                    "was left by another version of vhintd: start that version once, so that it "
                    "puts things back",
                    fd);
    file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED)
        return fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
    if (size == 0 || file->magic[0] == 0) {
        file->slot_size = sizeof(struct vh_saved_slot);
        file->slot_count = VH_SAVED_MAX;
        memcpy(file->magic, MAGIC, sizeof(file->magic));
    }
    if (!ours(file)) {
        munmap(file, sizeof(*file));
        return fail(error, VH_ERROR_FAILED, path,
                    "was left by another version of vhintd: start that version once, so that it "
                    "puts things back",
                    fd);
    }
    memcpy(file->magic, MAGIC, sizeof(file->magic));
    file->slot_count = VH_SAVED_MAX;
    /* A dead daemon's warden may still listen to the bell. */
    file->shared = (struct vh_saved_shared){.bell = file->shared.bell};
    /* What a dead daemon only noted was never changed. */
    for (uint32_t i = 0; i < file->used; i++)
        if (file->slots[i].state == VH_SAVED_NOTED)
            file->slots[i].state = VH_SAVED_FREE;
    saved = g_new0(VhSaved, 1);
    saved->fd = fd;
    saved->file = file;
    saved->left = g_hash_table_new(NULL, NULL);
    find_left(saved);
    return saved;
}

void vh_saved_close(VhSaved *saved)
{
    if (!saved)
        return;
    munmap(saved->file, sizeof(*saved->file));
    g_hash_table_unref(saved->left);
    if (saved->fd >= 0)
        close(saved->fd);
    g_free(saved);
}

/* A mapping holds on to what was opened for it, and so to the lock. */
void vh_saved_unlock(VhSaved *saved)
{
    char path[32];
    int fd = -1;

    g_snprintf(path, sizeof(path), "/proc/self/fd/%d", saved->fd);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        mmap(saved->file, sizeof(*saved->file), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
             0);
        close(fd);
    }
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

    while (saved->first < file->used && file->slots[saved->first].state != VH_SAVED_FREE)
        saved->first++;
    if (saved->first == VH_SAVED_MAX)
        return NULL;
    slot = &file->slots[saved->first++];
    file->used = MAX(file->used, saved->first);
    memset(slot, 0, sizeof(*slot));
    slot->state = VH_SAVED_NOTED;
    return slot;
}

void vh_saved_free_slot(VhSaved *saved, struct vh_saved_slot *slot)
{
    if (!slot)
        return;
    if (vh_saved_is_left_slot(saved, slot))
        g_hash_table_remove(saved->left, GINT_TO_POINTER(slot->thread));
    saved->first = MIN(saved->first, vh_saved_index(saved, slot));
    __atomic_store_n(&slot->state, VH_SAVED_FREE, __ATOMIC_RELEASE);
}

struct vh_saved_slot *vh_saved_next(VhSaved *saved, enum vh_saved_kind kind,
                                    const struct vh_saved_slot *last)
{
    struct file *file = saved->file;

    for (uint32_t i = last ? (uint32_t)(last - file->slots) + 1 : 0; i < file->used; i++)
        if (file->slots[i].state == VH_SAVED_APPLIED && file->slots[i].kind == kind)
            return &file->slots[i];
    return NULL;
}

struct vh_saved_slot *vh_saved_claim(VhSaved *saved, pid_t thread, uint64_t start)
{
    struct vh_saved_slot *slot = g_hash_table_lookup(saved->left, GINT_TO_POINTER(thread));

    if (!slot || slot->start != start)
        return NULL;
    g_hash_table_remove(saved->left, GINT_TO_POINTER(thread));
    return slot;
}

bool vh_saved_is_left(const VhSaved *saved, pid_t thread)
{
    return g_hash_table_contains(saved->left, GINT_TO_POINTER(thread));
}

bool vh_saved_is_left_slot(const VhSaved *saved, const struct vh_saved_slot *slot)
{
    return g_hash_table_lookup(saved->left, GINT_TO_POINTER(slot->thread)) == slot;
}

struct vh_saved_slot *vh_saved_next_left(VhSaved *saved, const struct vh_saved_slot *last)
{
    struct vh_saved_slot *slot = (struct vh_saved_slot *)last;

    while ((slot = vh_saved_next(saved, VH_SAVED_MASK, slot)))
        if (vh_saved_is_left_slot(saved, slot))
            return slot;
    return NULL;
}
