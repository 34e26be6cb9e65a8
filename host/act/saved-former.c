// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a file of former states that a former version has left one of this version.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/bell.h"
#include "act/saved-file.h"
#include "base/error.h"
#include "machine/tid.h"

#define FORMER_GUEST 104
/* From here on the number of a vCPU was none. */
#define FORMER_EMULATOR 0xfffffff0u
#define FORMER_IOTHREAD 0xfffffff1u
#define FORMER_VHOST 0xfffffff2u
#define FORMER_MEMORY 0xfffffff3u

struct former_memory {
    uint64_t former, set, value, owner;
    char name[VH_SAVED_PATH];
};

struct former_slot {
    uint32_t state;
    uint32_t vcpu;
    int32_t thread;
    uint32_t kind;
    uint64_t start;
    char guest[FORMER_GUEST];
    union {
        struct vh_cpuset former;
        struct vh_saved_boost boost;
        struct former_memory memory;
    };
};
G_STATIC_ASSERT(sizeof(struct former_slot) == 640);

struct former_file {
    char magic[8];
    uint32_t slot_size;
    uint32_t slot_count;
    uint32_t used;
    struct vh_saved_shared shared;
    uint32_t reserved[6];
    struct former_slot slots[];
};
G_STATIC_ASSERT(offsetof(struct former_file, slots) == offsetof(struct vh_saved_file, slots));

/* Where the file had it; what it was. */
static void convert_key(const struct former_slot *from, struct vh_saved_slot *to)
{
    static const enum vh_target_kind kinds[] = {VH_TARGET_EMULATOR, VH_TARGET_IOTHREAD,
                                                VH_TARGET_VHOST, VH_TARGET_MEMORY};

    to->target = VH_TARGET_VCPU;
    to->id = from->vcpu;
    if (from->vcpu >= FORMER_EMULATOR && from->vcpu <= FORMER_MEMORY) {
        to->target = kinds[from->vcpu - FORMER_EMULATOR];
        to->id = to->target == VH_TARGET_MEMORY ? 0 : (uint32_t)from->thread;
    }
    memcpy(to->guest, from->guest, sizeof(from->guest) - 1);
}

/* All of a guest's memory is its process's now. One that has ended has no process. */
static void convert_thread(const struct former_slot *from, struct vh_saved_slot *to)
{
    struct vh_thread_id id = {vh_tid_process(from->thread), from->thread, from->start};

    if (vh_tid_check("/proc", &id) < 0 ||
        (to->target == VH_TARGET_MEMORY &&
         vh_tid_identify("/proc", id.process, id.process, &id) < 0))
        id.process = 0;
    vh_saved_set_thread(to, &id);
}

static void convert_slot(const struct former_slot *from, struct vh_saved_slot *to)
{
    convert_key(from, to);
    convert_thread(from, to);
    to->state = VH_SAVED_APPLIED;
    to->kind = from->kind;
    switch ((enum vh_saved_kind)from->kind) {
    case VH_SAVED_MASK:
        to->former = from->former;
        break;
    case VH_SAVED_BOOST:
        to->boost = from->boost;
        break;
    case VH_SAVED_MEMORY:
        to->memory = (struct vh_saved_memory){
            .former = from->memory.former, .set = from->memory.set, .value = from->memory.value};
        memcpy(to->memory.name, from->memory.name, sizeof(to->memory.name) - 1);
        break;
    }
}

static void convert_all(const struct former_file *from, struct vh_saved_file *to)
{
    vh_saved_begin_file(to);
    for (uint32_t i = 0; i < from->used; i++)
        if (from->slots[i].state == VH_SAVED_APPLIED)
            convert_slot(&from->slots[i], &to->slots[to->used++]);
}

static bool is_former(const struct former_file *file, off_t size)
{
    return (memcmp(file->magic, "vhsaved1", sizeof(file->magic)) == 0 ||
            memcmp(file->magic, "vhsaved2", sizeof(file->magic)) == 0) &&
           file->slot_size == sizeof(struct former_slot) && file->used <= VH_SAVED_MAX &&
           size >= (off_t)offsetof(struct former_file, slots[file->used]);
}

/* A locked file at `path` with what is in `from`. An fd, or -1 and errno. */
static int make_fresh(const char *path, const struct former_file *from)
{
    struct vh_saved_file *file = MAP_FAILED;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int number = 0;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, VH_SAVED_SIZE) == 0)
        file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file != MAP_FAILED) {
        convert_all(from, file);
        munmap(file, sizeof(*file));
        return fd;
    }
    number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return -1;
}

/* The former vhintd's warden may wait for whoever takes over, and looks into the former file. */
static int replace(const char *path, int *fd, struct former_file *from, GError **error)
{
    g_autofree char *place = g_strconcat(path, ".new", NULL);
    int fresh = -1;

    unlink(place); /* of one that was killed here */
    fresh = make_fresh(place, from);
    if (fresh < 0 || rename(place, path) < 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "%s: %s", place, g_strerror(errno));
        if (fresh >= 0)
            close(fresh);
        return -1;
    }
    vh_bell_ring_at(&from->shared.bell);
    close(*fd);
    *fd = fresh;
    return 0;
}

int vh_saved_convert(const char *path, int *fd, GError **error)
{
    struct former_file *file = NULL;
    struct stat st;
    int result = 0;

    if (fstat(*fd, &st) < 0 || st.st_size < (off_t)sizeof(*file))
        return 0;
    file = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (file == MAP_FAILED)
        return 0;
    if (is_former(file, st.st_size))
        result = replace(path, fd, file, error);
    munmap(file, (size_t)st.st_size);
    return result;
}
