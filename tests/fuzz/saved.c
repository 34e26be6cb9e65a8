/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of former states, whoever has written them, of this version and of those before: what is in
 * one is put back, or taken over.
 *
 * The input's first byte says which version, and what is done; then come slots, whose threads may
 * be this very one, and what a QEMU says that has the memory of one. Nothing is changed on this
 * machine: the calls that would do so end here, and so do connections. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act/actuate.h"
#include "act/memory-left.h"
#include "act/saved-file.h"
#include "lib/quiet.h"
#include "lib/script.h"
#include "machine/tid.h"

#define FORMER_SLOT 640u
#define SLOTS_1 4096u
#define HEADER offsetof(struct vh_saved_file, slots)

struct place {
    char *directory;
    char *path;
    VhJournal *journal;
    VhJournal *told; /* NULL, which is faster, or that */
    struct vh_thread_id self;
};

static GString *spoken; /* what whoever is connected to has to say */

/* ---- in place of libc's ---- */

int sched_setaffinity(pid_t thread, size_t size, const cpu_set_t *cpus)
{
    g_assert(thread > 0 && size == sizeof(struct vh_cpuset) && cpus);
    return 0;
}

int sched_setscheduler(pid_t thread, int policy, const struct sched_param *param)
{
    g_assert(thread > 0);
    errno = EINVAL;
    return policy > 3 || param->sched_priority > 99 ? -1 : 0;
}

int setpriority(__priority_which_t which, id_t who, G_GNUC_UNUSED int priority)
{
    g_assert(which == PRIO_PROCESS && who > 0);
    return 0;
}

/* A weight is written to a file that is there. */
int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list list;

    va_start(list, flags);
    if (flags & O_CREAT)
        mode = va_arg(list, mode_t);
    va_end(list);
    if ((flags & (O_ACCMODE | O_CREAT)) != O_WRONLY)
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    errno = EACCES;
    return -1;
}

/* It says what it has to say, and hangs up. */
int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    int ends[2];
    int flags = fcntl(fd, F_GETFD);

    g_assert(address->sa_family == AF_UNIX && len && flags >= 0);
    g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    (void)!send(ends[1], spoken->str, spoken->len, MSG_NOSIGNAL);
    close(ends[1]);
    g_assert(dup3(ends[0], fd, O_CLOEXEC) == fd);
    close(ends[0]);
    return 0;
}

/* ---- a file ---- */

static void fill(uint8_t *to, gsize size, struct script *script)
{
    size_t len = script_byte(script);
    const uint8_t *bytes = script_bytes(script, &len);

    len = MIN(len, size);
    memcpy(to, bytes, len);
    /* One byte stands for as many as there is room for. */
    if (len && script_byte(script) % 4 == 0)
        memset(to + len, bytes[len - 1], size - len);
}

static struct vh_thread_id whose(const struct place *place, struct script *script)
{
    struct vh_thread_id id = place->self;
    uint8_t what = script_byte(script);

    if (what % 4 == 1)
        id.start++;
    if (what % 4 == 2)
        fill((uint8_t *)&id, sizeof(id), script);
    if (what % 4 == 3)
        id.process = 1;
    return id;
}

static void add_slot(GByteArray *file, const struct place *place, struct script *script)
{
    struct vh_saved_slot slot = {0};
    const struct vh_thread_id id = whose(place, script);
    uint8_t what = script_byte(script);

    slot.state = what % 4 == 3 ? script_byte(script) : VH_SAVED_APPLIED;
    slot.kind = what / 4 % 8 == 7 ? script_byte(script) : what / 4 % 3;
    slot.target = what / 32 == 7 ? script_byte(script) : what / 32;
    slot.id = script_byte(script);
    vh_saved_set_thread(&slot, &id);
    fill((uint8_t *)slot.guest, sizeof(slot.guest), script);
    if (slot.kind == VH_SAVED_BOOST) {
        slot.boost.kind = script_byte(script) % 8;
        slot.boost.policy = script_byte(script) % 8;
        slot.boost.nice = (int8_t)script_byte(script);
        slot.boost.flags = script_byte(script);
        fill((uint8_t *)slot.boost.weight_file, sizeof(slot.boost.weight_file), script);
    } else if (slot.kind == VH_SAVED_MEMORY) {
        slot.memory.former = slot.memory.value = (guint64)script_byte(script) << 56;
        slot.memory.owner = script_byte(script);
        fill((uint8_t *)slot.memory.name, sizeof(slot.memory.name), script);
        fill((uint8_t *)slot.memory.road, sizeof(slot.memory.road), script);
    } else {
        fill((uint8_t *)&slot.former, sizeof(slot.former), script);
    }
    g_byte_array_append(file, (const guint8 *)&slot, sizeof(slot));
}

/* Of versions 1 and 2, in their layout (act/saved-former.c). */
static void add_former(GByteArray *file, const struct place *place, struct script *script)
{
    const struct vh_thread_id id = whose(place, script);
    uint8_t what = script_byte(script);
    uint32_t state = what % 4 == 3 ? script_byte(script) : VH_SAVED_APPLIED;
    uint32_t vcpu = what & 128 ? 0xffffffe8u + what / 4 % 32 : script_byte(script);
    const uint32_t words[] = {state, vcpu, (uint32_t)id.thread, what / 4 % 4};
    uint8_t rest[FORMER_SLOT - sizeof(words) - sizeof(id.start)] = {0};

    fill(rest, sizeof(rest), script);
    g_byte_array_append(file, (const guint8 *)words, sizeof(words));
    g_byte_array_append(file, (const guint8 *)&id.start, sizeof(id.start));
    g_byte_array_append(file, rest, sizeof(rest));
}

static void begin_file(GByteArray *file, unsigned version)
{
    uint8_t header[HEADER] = {0};
    const uint32_t words[] = {version == 3 ? (uint32_t)sizeof(struct vh_saved_slot) : FORMER_SLOT,
                              version == 1 ? SLOTS_1 : VH_SAVED_MAX, 0};

    memcpy(header, "vhsaved", 7);
    header[7] = (uint8_t)('0' + version);
    memcpy(header + 8, words, sizeof(words));
    g_byte_array_append(file, header, sizeof(header));
}

/* Slots, until the script says otherwise; then a header that may lie. */
static off_t make_file(GByteArray *file, const struct place *place, unsigned version,
                       struct script *script)
{
    gsize size = version == 3 ? sizeof(struct vh_saved_slot) : FORMER_SLOT;
    uint32_t used = 0;
    uint8_t lie = 0;

    begin_file(file, version);
    for (; script_byte(script) % 4 && used < 64; used++) {
        if (version == 3)
            add_slot(file, place, script);
        else
            add_former(file, place, script);
    }
    lie = script_byte(script);
    if (lie % 16 == 15)
        used += script_byte(script) << lie / 16;
    memcpy(file->data + 16, &used, sizeof(used));
    if (lie % 16 == 14)
        return (off_t)(file->len - MIN(script_byte(script), file->len));
    return (off_t)(HEADER + size * (version == 1 ? SLOTS_1 : VH_SAVED_MAX));
}

static void write_file(const struct place *place, const GByteArray *file, off_t size)
{
    int fd = open(place->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert(fd >= 0 && write(fd, file->data, file->len) == (ssize_t)file->len);
    g_assert(ftruncate(fd, size) == 0);
    close(fd);
}

/* ---- what is done with it ---- */

static void check(VhSaved *saved)
{
    struct vh_saved_slot *slot = NULL;

    for (unsigned kind = VH_SAVED_MASK; kind <= VH_SAVED_MEMORY; kind++)
        while ((slot = vh_saved_next(saved, (enum vh_saved_kind)kind, slot))) {
            g_assert(memchr(slot->guest, 0, sizeof(slot->guest)));
            g_assert(kind != VH_SAVED_BOOST ||
                     memchr(slot->boost.weight_file, 0, sizeof(slot->boost.weight_file)));
            g_assert(kind != VH_SAVED_MEMORY ||
                     (memchr(slot->memory.name, 0, sizeof(slot->memory.name)) &&
                      memchr(slot->memory.road, 0, sizeof(slot->memory.road))));
        }
}

/* As vhintd --restore does. */
static void restore(const struct place *place, VhSaved *saved)
{
    vh_actuate_free(vh_actuate_new(saved, place->told, &vh_actuator_boost), NULL);
    vh_actuate_free(vh_actuate_new(saved, place->told, &vh_actuator_pin), NULL);
    (void)vh_memory_left_put_back(saved, place->told, 1000);
    g_assert(!vh_saved_next(saved, VH_SAVED_MASK, NULL));
    g_assert(!vh_saved_next(saved, VH_SAVED_BOOST, NULL));
}

static char *on_reason(G_GNUC_UNUSED const struct vh_target *target,
                       G_GNUC_UNUSED gconstpointer cause, G_GNUC_UNUSED gpointer data)
{
    return g_strdup("the script says so");
}

/* As a successor does, with one guest that has this thread. */
static void succeed(const struct place *place, VhSaved *saved)
{
    const struct vh_target target = {.key = {"web", VH_TARGET_VCPU, 0}, .on = place->self};
    union vh_setting setting = {0};
    VhActuate *boosts = vh_actuate_new(saved, place->told, &vh_actuator_boost);
    VhActuate *memory = vh_actuate_new(saved, place->told, &vh_actuator_memory);
    VhActuate *pins = vh_actuate_new_adopting(saved, place->told, &vh_actuator_pin);

    vh_cpuset_add(&setting.cpus, 0);
    (void)vh_actuate_is_left(pins, &target);
    vh_actuate_take_over(pins, &target);
    vh_actuate_adopted(pins);
    vh_actuate_begin(pins, on_reason, NULL);
    vh_actuate_want(pins, &target, &setting, NULL);
    vh_actuate_end(pins, "a round", NULL);
    vh_actuate_free(pins, "the end");
    vh_actuate_free(memory, "the end");
    vh_actuate_free(boosts, "the end");
    g_assert(!vh_saved_next(saved, VH_SAVED_MASK, NULL));
}

static void use(const struct place *place, bool succeeds)
{
    g_autoptr(GError) error = NULL;
    VhSaved *saved = vh_saved_open(place->path, &error);

    if (!saved) {
        g_assert(error && *error->message);
        return;
    }
    check(saved);
    if (succeeds)
        succeed(place, saved);
    else
        restore(place, saved);
    check(saved);
    vh_saved_close(saved);
    saved = vh_saved_open(place->path, NULL);
    g_assert(saved);
    vh_saved_close(saved);
}

static char *made; /* for on_exit_remove alone */

static void on_exit_remove(void)
{
    rmdir(made);
}

/* In memory where that can be: disks are slow. */
static void begin(struct place *place)
{
    log_begin();
    place->directory = g_mkdtemp(g_strdup("/dev/shm/vhint-fuzz-XXXXXX"));
    if (!place->directory)
        place->directory = g_dir_make_tmp("vhint-fuzz-XXXXXX", NULL);
    made = place->directory;
    atexit(on_exit_remove);
    place->path = g_build_filename(place->directory, "saved", NULL);
    place->journal = vh_journal_new("/dev/null", NULL);
    g_assert(place->journal);
    g_assert(vh_tid_identify("/proc", getpid(), getpid(), &place->self) == 0);
    spoken = g_string_new(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct place place;
    struct script script = {data, size};
    uint8_t what = script_byte(&script);
    g_autoptr(GByteArray) file = g_byte_array_new();
    off_t length = 0;

    if (!place.path)
        begin(&place);
    if (what % 4) {
        length = make_file(file, &place, what % 4, &script);
    } else {
        g_byte_array_append(file, script.at, (guint)script.left);
        length = what & 8 ? VH_SAVED_SIZE : (off_t)script.left;
    }
    /* Seldom: its thread frees later, which is taken for a leak and looked into each time. */
    place.told = what / 16 == 7 ? place.journal : NULL;
    g_string_truncate(spoken, 0);
    g_string_append(spoken, "{\"QMP\": {}}\n{\"return\": {}, \"id\": 1}\n");
    if (what & 8)
        g_string_append_len(spoken, (const char *)script.at, (gssize)script.left);
    else
        g_string_append(spoken, "{\"return\": {}, \"id\": 2}\n");
    write_file(&place, file, length);
    use(&place, what & 4);
    g_assert(unlink(place.path) == 0);
    return 0;
}
