/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/act/saved-former.c: files of former states as former versions have left them, byte by byte.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/actuate.h"
#include "base/error.h"
#include "lib/stage.h"
#include "lib/target.h"
#include "machine/tid.h"

#define HEADER 64
#define SLOT 640
#define SLOTS 65536u
#define SLOTS_1 4096u /* of version 1 */

struct fixture {
    struct stage stage; /* its file is closed, and away */
    char *file;         /* the text that is to be there */
    gsize size;
    guint used;
    struct vh_cpuset floating, first; /* the victim's CPUs, and one of them */
};

static void put32(struct fixture *f, gsize at, guint32 value)
{
    memcpy(f->file + at, &value, sizeof(value));
}

static void put64(struct fixture *f, gsize at, guint64 value)
{
    memcpy(f->file + at, &value, sizeof(value));
}

static void set_up(struct fixture *f, gconstpointer version)
{
    stage_begin(&f->stage);
    vh_saved_close(g_steal_pointer(&f->stage.saved));
    g_assert_cmpint(unlink(f->stage.path), ==, 0);
    f->size = HEADER + (gsize)SLOT * (GPOINTER_TO_UINT(version) == 1 ? SLOTS_1 : SLOTS);
    f->file = g_malloc0(f->size);
    memcpy(f->file, "vhsaved", 7);
    f->file[7] = (char)('0' + GPOINTER_TO_UINT(version));
    put32(f, 8, SLOT);
    put32(f, 12, (guint32)((f->size - HEADER) / SLOT));
    g_assert_true(vh_tid_cpus(f->stage.victim.tid, &f->floating));
    memset(&f->first, 0, sizeof(f->first));
    vh_cpuset_add(&f->first, (unsigned)vh_cpuset_next(&f->floating, 0));
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer version)
{
    stage_end(&f->stage);
    g_free(f->file);
}

/* A slot, of kind 0 (a mask), 1 (a boost) or 2 (memory), in force. Returns where its own part is.
 */
static gsize add(struct fixture *f, guint32 kind, guint32 vcpu, const char *guest, pid_t thread)
{
    gsize at = HEADER + (gsize)SLOT * f->used++;
    const struct vh_thread_id id = thread_id(thread);
    put32(f, 16, f->used);
    put32(f, at, 2);
    put32(f, at + 4, vcpu);
    put32(f, at + 8, (guint32)thread);
    put32(f, at + 12, kind);
    put64(f, at + 16, id.start);
    g_strlcpy(f->file + at + 24, guest, 104);
    return at + 128;
}

static void write_file(struct fixture *f)
{
    /* It has holes where no slot was ever taken. */
    g_assert_true(g_file_set_contents(f->stage.path, f->file, HEADER + SLOT * 8, NULL));
    g_assert_cmpint(truncate(f->stage.path, (off_t)f->size), ==, 0);
}

static void open_file(struct fixture *f)
{
    g_autoptr(GError) error = NULL;

    write_file(f);
    f->stage.saved = vh_saved_open(f->stage.path, &error);
    g_assert_no_error(error);
}

static void assert_slot(const struct vh_saved_slot *slot, enum vh_target_kind kind, unsigned id,
                        const char *guest, pid_t thread)
{
    g_assert_nonnull(slot);
    g_assert_cmpuint(slot->target, ==, kind);
    g_assert_cmpuint(slot->id, ==, id);
    g_assert_cmpstr(slot->guest, ==, guest);
    g_assert_cmpint(slot->thread, ==, thread);
}

/* Whose is whose, of each of the numbers that stood for a target. */
static void test_targets(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const pid_t victim = f->stage.victim.tid;
    g_autofree char *longest = g_strnfill(103, 'g');
    struct vh_saved_slot *slot = NULL;

    add(f, 0, 3, longest, victim);
    add(f, 0, 0xfffffff0u, "web", victim);
    add(f, 0, 0xfffffff1u, "web", getpid());
    add(f, 0, 0xfffffff2u, "web", 1 << 22); /* that has ended */
    put32(f, HEADER + SLOT, 1);             /* what was only noted was never changed */
    open_file(f);
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL);
    assert_slot(slot, VH_TARGET_VCPU, 3, longest, victim);
    g_assert_cmpint(slot->process, ==, getpid());
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MASK, slot);
    assert_slot(slot, VH_TARGET_IOTHREAD, (unsigned)getpid(), "web", getpid());
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MASK, slot);
    assert_slot(slot, VH_TARGET_VHOST, 1 << 22, "web", 1 << 22);
    g_assert_cmpint(slot->process, ==, 0);
    g_assert_cmpuint(slot->start, ==, 1);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MASK, slot));
}

/* It is put back; and there is room for as many as in a new file. */
static void test_mask(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gsize at = add(f, 0, 2, "guest", f->stage.victim.tid);
    VhActuate *actuate = NULL;

    memcpy(f->file + at, &f->floating, sizeof(f->floating));
    g_assert_cmpint(sched_setaffinity(f->stage.victim.tid, sizeof(f->first), (void *)&f->first), ==,
                    0);
    open_file(f);
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    g_assert_true(vh_tid_cpus(f->stage.victim.tid, &f->first));
    g_assert_true(vh_cpuset_equal(&f->first, &f->floating));
    vh_actuate_free(actuate, "end");
    for (guint i = 0; i < VH_SAVED_MAX; i++)
        g_assert_nonnull(vh_saved_take(f->stage.saved));
}

static void test_taken_over(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_target target = target_vcpu("guest", 2, f->stage.victim.tid);
    gsize at = add(f, 0, 2, "guest", f->stage.victim.tid);
    VhActuate *actuate = NULL;

    memcpy(f->file + at, &f->floating, sizeof(f->floating));
    open_file(f);
    actuate = vh_actuate_new_adopting(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    vh_actuate_take_over(actuate, &target);
    g_assert_nonnull(vh_actuate_setting(actuate, &target.key));
    vh_actuate_free(actuate, "end");
}

static void test_boost(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gsize at = add(f, 1, 2, "guest", f->stage.victim.tid);
    const struct vh_saved_slot *slot = NULL;

    put32(f, at, VH_BOOST_WEIGHT);
    put32(f, at + 4, 7);           /* nice */
    put32(f, at + 8, SCHED_BATCH); /* policy */
    put32(f, at + 12, 5);          /* priority */
    put32(f, at + 16, 300);        /* clamp */
    put32(f, at + 20, VH_SAVED_PAUSED);
    put64(f, at + 24, 100);
    put64(f, at + 32, 2800);
    g_strlcpy(f->file + at + 40, "/a/cpu.weight", 384);
    open_file(f);
    slot = vh_saved_next(f->stage.saved, VH_SAVED_BOOST, NULL);
    assert_slot(slot, VH_TARGET_VCPU, 2, "guest", f->stage.victim.tid);
    g_assert_cmpuint(slot->boost.kind, ==, VH_BOOST_WEIGHT);
    g_assert_cmpint(slot->boost.nice, ==, 7);
    g_assert_cmpint(slot->boost.policy, ==, SCHED_BATCH);
    g_assert_cmpint(slot->boost.priority, ==, 5);
    g_assert_cmpuint(slot->boost.util_min, ==, 300);
    g_assert_cmpuint(slot->boost.flags, ==, VH_SAVED_PAUSED);
    g_assert_cmpuint(slot->boost.weight, ==, 100);
    g_assert_cmpuint(slot->boost.weight_ours, ==, 2800);
    g_assert_cmpstr(slot->boost.weight_file, ==, "/a/cpu.weight");
}

/* Version 2 kept it with one of the vCPUs' threads; it is QEMU's process's. */
static void test_memory(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const pid_t victim = f->stage.victim.tid;
    gsize at = add(f, 2, 0xfffffff3u, "guest", victim);
    const struct vh_saved_slot *slot = NULL;

    g_assert_cmpint(victim, !=, getpid());
    put64(f, at, 256 << 20);
    put64(f, at + 8, 512 << 20);
    put64(f, at + 16, 5 << 20);
    put64(f, at + 24, 4242); /* the former daemon's hold */
    g_strlcpy(f->file + at + 32, "vm0", 384);
    open_file(f);
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL);
    assert_slot(slot, VH_TARGET_MEMORY, 0, "guest", getpid());
    g_assert_cmpint(slot->process, ==, getpid());
    g_assert_cmpuint(slot->start, ==, thread_id(getpid()).start);
    g_assert_cmpuint(slot->memory.former, ==, 256 << 20);
    g_assert_cmpuint(slot->memory.set, ==, 512 << 20);
    g_assert_cmpuint(slot->memory.value, ==, 5 << 20);
    g_assert_cmpuint(slot->memory.owner, ==, 0);
    g_assert_cmpstr(slot->memory.name, ==, "vm0");
    g_assert_cmpstr(slot->memory.road, ==, "");
}

/* The number of the thread is another's by now. */
static void test_thread_gone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gsize at = add(f, 2, 0xfffffff3u, "guest", f->stage.victim.tid);
    const struct vh_saved_slot *slot = NULL;

    put64(f, at - 128 + 16, 1);
    open_file(f);
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL);
    assert_slot(slot, VH_TARGET_MEMORY, 0, "guest", f->stage.victim.tid);
    g_assert_cmpint(slot->process, ==, 0);
    g_assert_cmpuint(slot->start, ==, 1);
}

/* The former daemon's warden still has the former file, and listens there. */
static void test_bell(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    guint32 bell = 0;
    int fd = -1;

    put32(f, 20, 41);
    write_file(f);
    fd = open(f->stage.path, O_RDONLY | O_CLOEXEC);
    f->stage.saved = vh_saved_open(f->stage.path, NULL);
    g_assert_nonnull(f->stage.saved);
    g_assert_cmpint(pread(fd, &bell, sizeof(bell), 20), ==, sizeof(bell));
    g_assert_cmpuint(bell, ==, 42);
    close(fd);
}

/* Whoever was killed while he converted one has changed nothing. */
static void test_interrupted(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *half = g_strconcat(f->stage.path, ".new", NULL);

    g_assert_true(g_file_set_contents(half, "vhsaved3 and no more", -1, NULL));
    add(f, 0, 2, "guest", f->stage.victim.tid);
    open_file(f);
    g_assert_false(g_file_test(half, G_FILE_TEST_EXISTS));
    g_assert_nonnull(vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL));
}

static void assert_refused(struct fixture *f)
{
    g_autoptr(GError) error = NULL;

    write_file(f);
    g_assert_null(vh_saved_open(f->stage.path, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "another version of vhintd"));
}

static void test_damaged(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    put32(f, 16, SLOTS + 1); /* more than there can be */
    assert_refused(f);
    put32(f, 16, 3);
    f->size = HEADER + 2 * SLOT; /* than there are */
    assert_refused(f);
    put32(f, 16, 1);
    put32(f, 8, SLOT + 8);
    assert_refused(f);
    put32(f, 8, SLOT);
    f->file[7] = '9';
    assert_refused(f);
}

static gpointer open_in_thread(gpointer data)
{
    struct fixture *f = data;

    return vh_saved_open(f->stage.path, NULL);
}

/* Who waited for the former file's lock gets what has taken its place. */
static void test_replaced_meanwhile(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *other = g_strconcat(f->stage.path, ".other", NULL);
    VhSaved *saved = vh_saved_open(other, NULL);
    struct vh_saved_slot *slot = vh_saved_take(saved);
    GThread *thread = NULL;
    int fd = -1;

    slot->state = VH_SAVED_APPLIED;
    slot->thread = 1234;
    vh_saved_close(saved);
    write_file(f);
    fd = open(f->stage.path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(flock(fd, LOCK_EX | LOCK_NB), ==, 0);
    thread = g_thread_new("open", open_in_thread, f);
    g_usleep(100000); /* for what waits, if it does; if it does not yet, it opens the other one */
    g_assert_cmpint(rename(other, f->stage.path), ==, 0);
    close(fd);
    f->stage.saved = g_thread_join(thread);
    g_assert_nonnull(f->stage.saved);
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MASK, NULL);
    g_assert_nonnull(slot);
    g_assert_cmpint(slot->thread, ==, 1234);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, version, func) \
    g_test_add("/saved-former/" name, struct fixture, GUINT_TO_POINTER(version), set_up, func, \
               tear_down)
    ADD("targets", 2, test_targets);
    ADD("mask", 2, test_mask);
    ADD("mask-of-version-1", 1, test_mask);
    ADD("taken-over", 2, test_taken_over);
    ADD("boost", 2, test_boost);
    ADD("memory", 2, test_memory);
    ADD("thread-gone", 2, test_thread_gone);
    ADD("bell", 2, test_bell);
    ADD("interrupted", 2, test_interrupted);
    ADD("damaged", 2, test_damaged);
    ADD("replaced-meanwhile", 2, test_replaced_meanwhile);
    return g_test_run();
}
