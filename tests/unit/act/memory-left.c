/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/act/memory-left.c: memory that a dead vhintd has left, put back by way of QEMU's monitor. */
#include "act/memory-left.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fake-monitor.h"
#include "lib/stage.h"
#include "lib/target.h"

#define MIB ((guint64)1 << 20)
#define LONG_MS 60000u

/* QEMU is the test itself. */
struct fixture {
    struct stage stage;
    struct fake_monitor monitor;
};

static void note(struct fixture *f, const char *name, const char *road, pid_t process)
{
    const struct vh_thread_id id = thread_id(process);
    struct vh_saved_slot *slot = vh_saved_take(f->stage.saved);

    slot->kind = VH_SAVED_MEMORY;
    vh_saved_set_key(slot, &(struct vh_target_key){"web", VH_TARGET_MEMORY, 0});
    vh_saved_set_thread(slot, &id);
    slot->memory = (struct vh_saved_memory){
        .former = 128 * MIB, .set = 192 * MIB, .value = *name ? 64 * MIB : 128 * MIB};
    g_strlcpy(slot->memory.name, name, sizeof(slot->memory.name));
    g_strlcpy(slot->memory.road, road, sizeof(slot->memory.road));
    slot->state = VH_SAVED_APPLIED;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_begin(&f->stage);
    fake_monitor_begin(&f->monitor, f->stage.directory);
    fake_monitor_reply(&f->monitor, "balloon", "{}");
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
    fake_monitor_end(&f->monitor);
    stage_end(&f->stage);
}

/* What the journal has been told; it is closed for that. */
static void assert_told(struct fixture *f, const char *part)
{
    g_autofree char *path = g_build_filename(f->stage.directory, "journal", NULL);
    g_autofree char *text = NULL;

    g_clear_pointer(&f->stage.journal, vh_journal_free);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    if (!strstr(text, part))
        g_error("\"%s\" is not in \"%s\"", part, text);
}

static guint put_back(struct fixture *f, guint patience_ms)
{
    return vh_memory_left_put_back(f->stage.saved, f->stage.journal, patience_ms);
}

static void assert_left(struct fixture *f, guint expected)
{
    const struct vh_saved_slot *slot = NULL;
    guint count = 0;

    while ((slot = vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, slot)))
        count++;
    g_assert_cmpuint(count, ==, expected);
}

static void test_nothing(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_assert_cmpuint(put_back(f, LONG_MS), ==, 0);
}

static void test_balloon(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    note(f, "", f->monitor.path, getpid());
    g_assert_cmpuint(put_back(f, LONG_MS), ==, 0);
    g_assert_nonnull(strstr(f->monitor.last, "\"balloon\""));
    g_assert_nonnull(strstr(f->monitor.last, "\"value\":134217728"));
    assert_left(f, 0);
    assert_told(f, "left by a daemon that died");
}

static void test_virtio_mem(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    fake_monitor_reply(&f->monitor, "qom-set /machine/peripheral/vm0", "{}");
    note(f, "vm0", f->monitor.path, getpid());
    g_assert_cmpuint(put_back(f, LONG_MS), ==, 0);
    g_assert_nonnull(strstr(f->monitor.last, "\"requested-size\""));
    g_assert_nonnull(strstr(f->monitor.last, "\"value\":67108864"));
    assert_left(f, 0);
}

/* What QEMU does not do stays on record, for the next one. */
static void test_refused(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    fake_monitor_reply(&f->monitor, "balloon", NULL);
    note(f, "", f->monitor.path, getpid());
    g_assert_cmpuint(put_back(f, LONG_MS), ==, 1);
    assert_left(f, 1);
    assert_told(f, "it stays at 192 MiB, it had 128 MiB: not in this machine");
}

/* One that is silent does not hold up the others. */
static void test_silent(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct fake_monitor other;
    g_autofree char *directory = g_dir_make_tmp("vhint-XXXXXX", NULL);

    fake_monitor_begin(&other, directory);
    fake_monitor_reply(&other, "balloon", "{}");
    fake_monitor_withhold(&f->monitor, "balloon");
    note(f, "", f->monitor.path, getpid());
    note(f, "", other.path, getpid());
    g_assert_cmpuint(put_back(f, 500), ==, 1);
    g_assert_nonnull(strstr(other.last, "\"balloon\""));
    assert_left(f, 1);
    assert_told(f, "its monitor has not answered in time");
    g_assert_cmpint(unlink(other.path), ==, 0);
    g_assert_cmpint(rmdir(directory), ==, 0);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    fake_monitor_end(&other);
}

/* Who listens at that path now may be another QEMU. */
static void test_another_process(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    pid_t child = fork();

    g_assert_cmpint(child, >=, 0);
    if (child == 0)
        for (;;)
            pause();
    note(f, "", f->monitor.path, child);
    g_assert_cmpuint(put_back(f, LONG_MS), ==, 1);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "balloon"), ==, 0);
    assert_told(f, "another process than its QEMU");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    /* And with QEMU the need for it has gone. */
    g_assert_cmpuint(vh_memory_left_put_back(f->stage.saved, NULL, LONG_MS), ==, 0);
    assert_left(f, 0);
}

static void test_of_libvirt(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    note(f, "", "", getpid());
    g_assert_cmpuint(put_back(f, LONG_MS), ==, 1);
    assert_left(f, 1);
    assert_told(f, "only libvirt reaches its monitor");
}

static void test_nobody_listens(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    note(f, "", "/nonexistent/monitor", getpid());
    g_assert_cmpuint(put_back(f, LONG_MS), ==, 1);
    assert_told(f, "/nonexistent/monitor: No such file or directory");
}

static gpointer succeed(gpointer path)
{
    VhSaved *saved = vh_saved_open(path, NULL);

    g_assert_null(saved); /* this process has it */
    return NULL;
}

/* A vhintd that starts meanwhile need not wait for a QEMU. */
static void test_successor(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    GThread *successor = g_thread_new("successor", succeed, f->stage.path);

    fake_monitor_withhold(&f->monitor, "balloon");
    note(f, "", f->monitor.path, getpid());
    g_assert_cmpuint(put_back(f, LONG_MS), ==, 1);
    g_thread_join(successor);
    assert_told(f, "a vhintd has started, which sees to it");
}

#define ADD(name, func) \
    g_test_add("/memory-left/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("nothing", test_nothing);
    ADD("balloon", test_balloon);
    ADD("virtio-mem", test_virtio_mem);
    ADD("refused", test_refused);
    ADD("silent", test_silent);
    ADD("another-process", test_another_process);
    ADD("of-libvirt", test_of_libvirt);
    ADD("nobody-listens", test_nobody_listens);
    ADD("successor", test_successor);
    return g_test_run();
}
