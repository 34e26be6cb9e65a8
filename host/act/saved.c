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

#include "act/bell.h"
#include "act/saved-file.h"
#include "base/error.h"

struct VhSaved {
    int fd;
    struct vh_saved_file *file;
    uint32_t first;   /* no slot below is free */
    GHashTable *left; /* struct vh_thread_id -> slot of a mask */
};

#define OTHERS \
    "was left by another version of vhintd: start that version once, so that it puts things back"
#define LOCK_TRIES 100
#define LOCK_WAIT_US 10000
#define LOCK_RING 10 /* tries */

static VhSaved *fail(GError **error, enum vh_error_code code, const char *path, const char *what,
                     int fd)
{
    g_set_error(error, VH_ERROR, code, "%s: %s", path, what);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* Whoever puts back what is in the file, and waits for a QEMU meanwhile, is told that somebody is
 * there who does it better. All versions have the bell at the same place. */
static void ring(int fd)
{
    struct vh_saved_file *file = MAP_FAILED;
    struct stat st;
    gsize size = offsetof(struct vh_saved_file, slots);

    if (fstat(fd, &st) == 0 && st.st_size >= (off_t)size)
        file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED)
        return;
    vh_bell_ring_at(&file->shared.bell);
    munmap(file, size);
}

/* Somebody may be about to put back what is in it, if only for a moment. */
static int lock(int fd)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES)
            return -1;
        if (i % LOCK_RING == 0)
            ring(fd);
        g_usleep(LOCK_WAIT_US);
    }
    return 0;
}

static guint hash_thread(gconstpointer data)
{
    const struct vh_thread_id *thread = data;

    return (guint)thread->thread * 31 + (guint)thread->start;
}

/* Its number may be another's by now; that its process is known is not certain. */
static gboolean same_thread(gconstpointer a, gconstpointer b)
{
    const struct vh_thread_id *x = a;
    const struct vh_thread_id *y = b;

    return x->thread == y->thread && x->start == y->start;
}

/* A thread has one former mask. */
static void find_left(VhSaved *saved)
{
    struct vh_saved_slot *slot = NULL;

    saved->left = g_hash_table_new_full(hash_thread, same_thread, g_free, NULL);
    while ((slot = vh_saved_next(saved, VH_SAVED_MASK, slot))) {
        const struct vh_thread_id thread = vh_saved_thread(slot);

        if (g_hash_table_contains(saved->left, &thread))
            slot->state = VH_SAVED_FREE;
        else
            g_hash_table_insert(saved->left, g_memdup2(&thread, sizeof(thread)), slot);
    }
}

/* Opened before the lock was had, it may have been replaced since. */
static bool is_at(int fd, const char *path)
{
    struct stat its;
    struct stat there;

    return fstat(fd, &its) == 0 && stat(path, &there) == 0 && its.st_dev == there.st_dev &&
           its.st_ino == there.st_ino;
}

/* Opens and locks the file that is at `path`. An fd, or -1 and an error. */
static int open_locked(const char *path, GError **error)
{
    int fd = -1;

    do {
        if (fd >= 0)
            close(fd);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
            return -1;
        }
        if (lock(fd) < 0) {
            fail(error, VH_ERROR_BUSY, path,
                 "another vhintd uses this run-dir: stop it, or give this one a run-dir of its own",
                 fd);
            return -1;
        }
    } while (!is_at(fd, path));
    return fd;
}

static bool ours(const struct vh_saved_file *file)
{
    return memcmp(file->magic, VH_SAVED_MAGIC, sizeof(file->magic)) == 0 &&
           file->slot_size == sizeof(struct vh_saved_slot) && file->slot_count == VH_SAVED_MAX &&
           file->used <= file->slot_count;
}

/* Makes sure that the file has the size of this version's. An fd, which may be another's (`fd` is
 * closed then), or -1 and an error. */
static int renew(const char *path, int fd, GError **error)
{
    struct stat st;

    if (vh_saved_convert(path, &fd, error) < 0) {
        close(fd);
        return -1;
    }
    if (fstat(fd, &st) < 0 || (st.st_size == 0 && ftruncate(fd, VH_SAVED_SIZE) < 0))
        fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
    else if (st.st_size != 0 && st.st_size != VH_SAVED_SIZE)
        fail(error, VH_ERROR_FAILED, path, OTHERS, fd);
    else
        return fd;
    return -1;
}

/* Its texts end, whoever has written them. */
static void end_texts(struct vh_saved_slot *slot)
{
    slot->guest[sizeof(slot->guest) - 1] = 0;
    if (slot->kind == VH_SAVED_BOOST) {
        slot->boost.weight_file[sizeof(slot->boost.weight_file) - 1] = 0;
    } else if (slot->kind == VH_SAVED_MEMORY) {
        slot->memory.name[sizeof(slot->memory.name) - 1] = 0;
        slot->memory.road[sizeof(slot->memory.road) - 1] = 0;
    }
}

/* What a dead daemon has left in it, in order. */
static void tidy(struct vh_saved_file *file)
{
    /* A dead daemon's warden may still listen to the bell. */
    file->shared = (struct vh_saved_shared){.bell = file->shared.bell};
    for (uint32_t i = 0; i < file->used; i++) {
        struct vh_saved_slot *slot = &file->slots[i];

        end_texts(slot);
        /* What was only noted was never changed. */
        if (slot->state == VH_SAVED_NOTED)
            slot->state = VH_SAVED_FREE;
    }
}

VhSaved *vh_saved_open(const char *path, GError **error)
{
    struct vh_saved_file *file = NULL;
    VhSaved *saved = NULL;
    int fd = open_locked(path, error);

    if (fd >= 0)
        fd = renew(path, fd, error);
    if (fd < 0)
        return NULL;
    file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED)
        return fail(error, VH_ERROR_FAILED, path, g_strerror(errno), fd);
    if (file->magic[0] == 0)
        vh_saved_begin_file(file);
    if (!ours(file)) {
        munmap(file, sizeof(*file));
        return fail(error, VH_ERROR_FAILED, path, OTHERS, fd);
    }
    tidy(file);
    saved = g_new0(VhSaved, 1);
    saved->fd = fd;
    saved->file = file;
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
        void *anew = mmap(saved->file, sizeof(*saved->file), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED, fd, 0);

        close(fd);
        /* The kernel takes the former one away first. */
        if (anew == MAP_FAILED)
            g_error("former states cannot be mapped anew: %s", g_strerror(errno));
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
    struct vh_saved_file *file = saved->file;
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

void vh_saved_set_key(struct vh_saved_slot *slot, const struct vh_target_key *key)
{
    slot->target = key->kind;
    slot->id = key->id;
    g_strlcpy(slot->guest, key->guest, sizeof(slot->guest));
}

struct vh_target_key vh_saved_key(const struct vh_saved_slot *slot)
{
    return (struct vh_target_key){
        .guest = slot->guest, .kind = (enum vh_target_kind)slot->target, .id = slot->id};
}

static void forget_left(VhSaved *saved, const struct vh_saved_slot *slot)
{
    const struct vh_thread_id thread = vh_saved_thread(slot);

    g_hash_table_remove(saved->left, &thread);
}

void vh_saved_free_slot(VhSaved *saved, struct vh_saved_slot *slot)
{
    if (!slot)
        return;
    if (vh_saved_is_left_slot(saved, slot))
        forget_left(saved, slot);
    saved->first = MIN(saved->first, vh_saved_index(saved, slot));
    __atomic_store_n(&slot->state, VH_SAVED_FREE, __ATOMIC_RELEASE);
}

struct vh_saved_slot *vh_saved_next(VhSaved *saved, enum vh_saved_kind kind,
                                    const struct vh_saved_slot *last)
{
    struct vh_saved_file *file = saved->file;

    for (uint32_t i = last ? (uint32_t)(last - file->slots) + 1 : 0; i < file->used; i++)
        if (file->slots[i].state == VH_SAVED_APPLIED && file->slots[i].kind == kind)
            return &file->slots[i];
    return NULL;
}

struct vh_saved_slot *vh_saved_claim(VhSaved *saved, const struct vh_thread_id *thread)
{
    struct vh_saved_slot *slot = g_hash_table_lookup(saved->left, thread);

    g_hash_table_remove(saved->left, thread);
    return slot;
}

bool vh_saved_is_left(const VhSaved *saved, const struct vh_thread_id *thread)
{
    return g_hash_table_contains(saved->left, thread);
}

bool vh_saved_is_left_slot(const VhSaved *saved, const struct vh_saved_slot *slot)
{
    const struct vh_thread_id thread = vh_saved_thread(slot);

    return g_hash_table_lookup(saved->left, &thread) == slot;
}

struct vh_saved_slot *vh_saved_next_left(VhSaved *saved, const struct vh_saved_slot *last)
{
    struct vh_saved_slot *slot = (struct vh_saved_slot *)last;

    while ((slot = vh_saved_next(saved, VH_SAVED_MASK, slot)))
        if (vh_saved_is_left_slot(saved, slot))
            return slot;
    return NULL;
}
