/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal and everything that can go wrong with its file: full and slow disks, truncation,
 * rotation, clocks.
 */
#include "io/journal.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/loop.h"

/* Takes GLib's place: a clock that the tests set. 0: the true one. */
static _Atomic gint64 clock_says;
gint64 g_get_real_time(void);
gint64 g_get_real_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return clock_says ? clock_says : (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* The same of the clock that shares fill by: it goes, and is so far ahead. */
static _Atomic gint64 clock_ahead;
gint64 g_get_monotonic_time(void);
gint64 g_get_monotonic_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 + clock_ahead;
}

/* Takes systemd's place: what its journal got, each field with a newline. */
static GMutex sent_lock;
static GString *sent;
int sd_journal_sendv(const struct iovec *iov, int n);
int sd_journal_sendv(const struct iovec *iov, int n)
{
    g_mutex_lock(&sent_lock);
    for (int i = 0; i < n; i++) {
        g_string_append_len(sent, iov[i].iov_base, (gssize)iov[i].iov_len);
        g_string_append_c(sent, '\n');
    }
    g_mutex_unlock(&sent_lock);
    return 0;
}

/* Lines of which some find no room. */
#define MANY (2 * VH_JOURNAL_QUEUE / 100)

struct fixture {
    char *directory, *path, *old;
    VhJournal *journal;
};

static void set_up(struct fixture *f, gconstpointer data)
{
    GError *error = NULL;

    (void)data;
    f->directory = g_dir_make_tmp("vhint-journal-XXXXXX", &error);
    g_assert_no_error(error);
    f->path = g_build_filename(f->directory, "journal", NULL);
    f->old = g_build_filename(f->directory, "journal.1", NULL);
}

static void begin(struct fixture *f)
{
    GError *error = NULL;

    f->journal = vh_journal_new(f->path, &error);
    g_assert_no_error(error);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
    (void)data;
    vh_journal_free(f->journal);
    clock_says = clock_ahead = 0;
    g_unlink(f->path);
    g_unlink(f->old);
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->directory);
    g_free(f->path);
    g_free(f->old);
}

static void step(struct fixture *f, const char *what)
{
    vh_journal_step(f->journal, "web", what, "why", NULL, NULL);
}

/* The file's lines as JSON objects; every one must be whole. */
static GPtrArray *lines_of(const char *path)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func((GDestroyNotify)json_node_unref);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return lines;
    g_auto(GStrv) split = g_strsplit(text, "\n", -1);
    for (guint i = 0; split[i] && split[i + 1]; i++) {
        g_autoptr(GError) error = NULL;
        JsonNode *node = json_from_string(split[i], &error);

        g_assert_no_error(error);
        if (node) /* else it is blank */
            g_ptr_array_add(lines, node);
    }
    return lines;
}

static JsonObject *line(const GPtrArray *lines, guint i)
{
    return json_node_get_object(g_ptr_array_index(lines, i));
}

/* Is the last line about this? */
static bool ends_with(const char *path, const char *what)
{
    g_autoptr(GPtrArray) lines = lines_of(path);

    return lines->len &&
           g_str_equal(json_object_get_string_member(line(lines, lines->len - 1), "what"), what);
}

static void wait_end(const char *path, const char *what)
{
    LOOP_UNTIL(ends_with(path, what));
}

/* What "dropped" lines add up to. */
static gint64 told(const char *path)
{
    g_autoptr(GPtrArray) lines = lines_of(path);
    gint64 sum = 0;

    for (guint i = 0; i < lines->len; i++)
        sum += json_object_get_int_member_with_default(line(lines, i), "dropped", 0);
    return sum;
}

static void test_order_by_clock(struct fixture *f, gconstpointer data)
{
    double last = 0;

    (void)data;
    begin(f);
    clock_says = (gint64)2000 * G_USEC_PER_SEC + 5;
    step(f, "first");
    clock_says = (gint64)1000 * G_USEC_PER_SEC; /* set back */
    step(f, "second");
    clock_says = (gint64)9000 * G_USEC_PER_SEC; /* and forward */
    step(f, "third");
    wait_end(f->path, "third");
    g_autoptr(GPtrArray) lines = lines_of(f->path);
    static const double times[] = {2000.000005, 1000, 9000};

    g_assert_cmpuint(lines->len, ==, 3);
    for (guint i = 0; i < 3; i++) {
        double monotonic = json_object_get_double_member(line(lines, i), "monotonic");

        g_assert_cmpfloat_with_epsilon(json_object_get_double_member(line(lines, i), "time"),
                                       times[i], 1e-9);
        g_assert_cmpfloat(monotonic, >=, last);
        last = monotonic;
    }
}

static void limit_size(rlim_t size)
{
    struct rlimit limit;

    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    limit.rlim_cur = size;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* No room in the middle of a line: it leaves no trace but in the count, which is told though
 * nothing more happens.
 */
static void test_full(struct fixture *f, gconstpointer data)
{
    struct sigaction before;

    (void)data;
    g_assert_cmpint(sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, &before), ==, 0);
    begin(f);
    step(f, "before");
    wait_end(f->path, "before");
    limit_size(200);
    for (int i = 0; i < 1000; i++)
        step(f, "lost or not");
    LOOP_UNTIL(vh_journal_dropped(f->journal) >= 999);
    g_autoptr(GPtrArray) full = lines_of(f->path);
    g_assert_cmpuint(full->len + vh_journal_dropped(f->journal), ==, 1001);
    limit_size(RLIM_INFINITY);
    wait_end(f->path, "journal");
    g_assert_cmpint(told(f->path), ==, (gint64)vh_journal_dropped(f->journal));
    step(f, "after");
    wait_end(f->path, "after");
    g_autoptr(GPtrArray) lines = lines_of(f->path);
    g_assert_cmpuint(lines->len, ==, full->len + 2);
    const char *why = json_object_get_string_member(line(lines, full->len), "why");
    g_assert_nonnull(strstr(why, "lines were lost: File too large"));
    sigaction(SIGXFSZ, &before, NULL);
}

/* A disk that never has room. */
static void test_never(struct fixture *f, gconstpointer data)
{
    GError *error = NULL;

    (void)data;
    f->journal = vh_journal_new("/dev/full", &error);
    g_assert_no_error(error);
    for (int i = 0; i < 50; i++)
        step(f, "lost");
    LOOP_UNTIL(vh_journal_dropped(f->journal) >= 50);
}

/* How many lines tell of a loss, at least one, and of how many lines they tell. */
static guint64 tellings(const char *text, guint64 *lost)
{
    static const char mark[] = "\"dropped\":";
    guint64 count = 0;

    *lost = 0;
    for (const char *at = strstr(text, mark); at; at = strstr(at + 1, mark)) {
        *lost += g_ascii_strtoull(at + strlen(mark), NULL, 10);
        count++;
    }
    return MAX(count, 1);
}

/* A disk that stands still: a pipe that nobody reads. Who has something to say does not wait for
 * it. */
static void test_slow(struct fixture *f, gconstpointer data)
{
    int fd = -1;
    guint64 lost = 0;
    guint64 lines = 0;
    guint64 told_lost = 0;
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[65536];
    ssize_t len = 0;

    (void)data;
    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    fd = open(f->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    begin(f);
    for (guint i = 0; i < MANY; i++)
        step(f, "step");
    lost = vh_journal_dropped(f->journal);
    g_assert_cmpuint(lost, >, 0);
    /* What is not lost arrives, and of what is lost it is told once or more often. */
    LOOP_UNTIL(lines >= MANY - lost + tellings(text->str, &told_lost))
    {
        len = read(fd, buffer, sizeof(buffer));
        for (ssize_t i = 0; i < len; i++)
            lines += buffer[i] == '\n';
        if (len > 0)
            g_string_append_len(text, buffer, len);
    }
    g_assert_cmpuint(told_lost, ==, lost);
    g_assert_nonnull(strstr(text->str, " lines were lost: the disk was too slow"));
    g_clear_pointer(&f->journal, vh_journal_free);
    close(fd);
}

static void test_truncated(struct fixture *f, gconstpointer data)
{
    (void)data;
    begin(f);
    for (int i = 0; i < 10; i++)
        step(f, "old");
    step(f, "last");
    wait_end(f->path, "last");
    g_assert_cmpint(truncate(f->path, 0), ==, 0);
    step(f, "new");
    wait_end(f->path, "new");
    g_autoptr(GPtrArray) lines = lines_of(f->path);
    g_assert_cmpuint(lines->len, ==, 1); /* at the beginning, and no hole before it */
}

/* By somebody else: moved away, then removed. */
static void test_rotated(struct fixture *f, gconstpointer data)
{
    (void)data;
    begin(f);
    step(f, "first");
    wait_end(f->path, "first");
    g_assert_cmpint(g_rename(f->path, f->old), ==, 0);
    step(f, "second");
    wait_end(f->path, "second");
    g_assert_true(ends_with(f->old, "first"));
    g_assert_cmpint(g_unlink(f->path), ==, 0);
    step(f, "third");
    wait_end(f->path, "third");
}

/* By itself, once it is too large; what was there before it began counts. */
static void test_too_large(struct fixture *f, gconstpointer data)
{
    g_autofree char *text = g_malloc(VH_JOURNAL_SIZE + 1);

    (void)data;
    memset(text, ' ', VH_JOURNAL_SIZE + 1);
    text[VH_JOURNAL_SIZE] = '\n';
    g_assert_true(g_file_set_contents(f->path, text, VH_JOURNAL_SIZE + 1, NULL));
    begin(f);
    step(f, "new");
    wait_end(f->path, "new");
    g_assert_true(g_file_test(f->old, G_FILE_TEST_EXISTS));
    g_autoptr(GPtrArray) lines = lines_of(f->path);
    g_assert_cmpuint(lines->len, ==, 1);
}

/* A disk that does not answer: a pipe that is full, and that nobody reads. */
static void test_hung(struct fixture *f, gconstpointer data)
{
    gint64 begun = g_get_monotonic_time();
    int reader = -1;

    (void)data;
    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    reader = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(reader, >=, 0);
    begin(f);
    for (int i = 0; i < 5000; i++)
        step(f, "pin");
    g_test_expect_message(NULL, G_LOG_LEVEL_WARNING,
                          "*the disk does not answer: * lines are not written*");
    vh_journal_free(g_steal_pointer(&f->journal));
    g_test_assert_expected_messages();
    g_assert_cmpint(g_get_monotonic_time() - begun, <, 60 * G_USEC_PER_SEC);
    /* The reader stays open: a thread waits for it as long as this process lives. */
}

/* Whatever the text, its line is of a moderate length, and keeps both ends. */
static void test_cut(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const char *const fills[] = {"x", "\x1b", "\"", "\xc2\x9b", "\xe2\x80\xae", "\xff"};

    begin(f);
    for (gsize i = 0; i < G_N_ELEMENTS(fills); i++) {
        g_autoptr(GString) why = g_string_new("its head ");

        while (why->len < 49152)
            g_string_append(why, fills[i]);
        g_string_append(why, " its tail");
        vh_journal_step(f->journal, "web", "load", why->str, NULL, NULL);
    }
    step(f, "end");
    wait_end(f->path, "end");
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
    g_auto(GStrv) split = g_strsplit(text, "\n", -1);
    for (gsize i = 0; i < G_N_ELEMENTS(fills); i++) {
        g_assert_cmpuint(strlen(split[i]), <, VH_JOURNAL_TEXT + 256);
        g_assert_cmpuint(strlen(split[i]), >, VH_JOURNAL_TEXT - 256);
        g_assert_nonnull(strstr(split[i], "its head "));
        g_assert_nonnull(strstr(split[i], " bytes left out] "));
        g_assert_nonnull(strstr(split[i], " its tail\""));
    }
}

/* What a guest causes has a budget, of lines and of bytes; steps have none of that. */
static void test_talk(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_journal_limit short_ones = {0};
    struct vh_journal_limit long_ones = {0};
    g_autofree char *text = g_strnfill(5000, 'x');
    gsize length = 0;

    begin(f);
    for (int i = 0; i < 10000; i++)
        vh_journal_talk(f->journal, &short_ones, "web", "talk", "why", NULL, NULL);
    g_assert_cmpuint(short_ones.share.held_back, >, 10000 - 10 * VH_JOURNAL_BURST);
    /* As in a minute of many lines a second. */
    for (int i = 0; i < 6000; i++) {
        long_ones.second = -1;
        vh_journal_talk(f->journal, &long_ones, "bad", "talk", text, text, text);
    }
    g_assert_true(long_ones.share.shut);
    step(f, "end");
    wait_end(f->path, "end");
    g_assert_cmpuint(vh_journal_dropped(f->journal), ==, 0);
    g_clear_pointer(&text, g_free);
    g_assert_true(g_file_get_contents(f->path, &text, &length, NULL));
    g_assert_cmpuint(length, <, 2 * VH_JOURNAL_SHARE);
    /* It is told once there is room for a good many again. */
    long_ones.share.filled -= (gint64)VH_JOURNAL_SHARE / 5 * G_USEC_PER_SEC / VH_JOURNAL_RATE;
    vh_journal_talk(f->journal, &long_ones, "bad", "talk", "why", NULL, NULL);
    g_assert_true(long_ones.share.shut);
    long_ones.share.filled -= (gint64)VH_JOURNAL_SHARE / 5 * G_USEC_PER_SEC / VH_JOURNAL_RATE;
    long_ones.second = -1;
    vh_journal_talk(f->journal, &long_ones, "bad", "again", "why", NULL, NULL);
    wait_end(f->path, "again");
    g_assert_cmpuint(long_ones.share.held_back, ==, 0);
    g_autoptr(GPtrArray) lines = lines_of(f->path);
    g_assert_cmpstr(json_object_get_string_member(line(lines, lines->len - 2), "what"), ==,
                    "complaints");
}

static void change(struct fixture *f, const char *guest, const char *what)
{
    vh_journal_change(f->journal, guest, what, "a hint has changed", "0-3", "2");
}

/* The lines that are about this guest and say this. */
static guint count_of(const char *path, const char *guest, const char *what)
{
    g_autoptr(GPtrArray) lines = lines_of(path);
    guint count = 0;

    for (guint i = 0; i < lines->len; i++)
        count +=
            g_str_equal(json_object_get_string_member_with_default(line(lines, i), "guest", ""),
                        guest) &&
            g_str_equal(json_object_get_string_member(line(lines, i), "what"), what);
    return count;
}

/* What one guest's hints make of the host's threads has a share, too. Neighbours, and what the
 * operator does to the same guest, are told all the same. */
static void test_steps_have_a_share(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *text = NULL;
    gsize length = 0;
    guint passed = 0;

    begin(f);
    for (int i = 0; i < 50000; i++)
        change(f, "bad", "pin vCPU 1");
    for (int i = 0; i < 100; i++)
        change(f, "web", "pin vCPU 1");
    vh_journal_step(f->journal, "bad", "release", "by hand", NULL, NULL);
    wait_end(f->path, "release");
    g_assert_cmpuint(vh_journal_dropped(f->journal), ==, 0);
    g_assert_cmpuint(count_of(f->path, "web", "pin vCPU 1"), ==, 100);
    passed = count_of(f->path, "bad", "pin vCPU 1");
    g_assert_cmpuint(passed, >, VH_JOURNAL_STEPS_SHARE / 512);
    g_assert_true(g_file_get_contents(f->path, &text, &length, NULL));
    g_assert_cmpuint(length, <, VH_JOURNAL_STEPS_SHARE + 65536);
    g_assert_cmpuint(count_of(f->path, "bad", "steps"), ==, 0);
    /* Not yet: a bit of it is back. */
    clock_ahead += (gint64)VH_JOURNAL_STEPS_SHARE / 5 * G_USEC_PER_SEC / VH_JOURNAL_STEPS_RATE;
    change(f, "bad", "pin vCPU 1");
    step(f, "early");
    wait_end(f->path, "early");
    g_assert_cmpuint(count_of(f->path, "bad", "steps"), ==, 0);
    /* Though the guest is quiet, it is told once there is room for a good many again. */
    clock_ahead += (gint64)VH_JOURNAL_STEPS_SHARE / 5 * G_USEC_PER_SEC / VH_JOURNAL_STEPS_RATE;
    step(f, "late");
    LOOP_UNTIL(count_of(f->path, "bad", "steps") == 1);
    g_clear_pointer(&text, g_free);
    g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
    g_autofree char *left = g_strdup_printf("\"%u steps were left out: the guest causes more of "
                                            "them than its share of the journal\"",
                                            50001 - passed);
    g_assert_nonnull(strstr(text, left));
    change(f, "bad", "pin vCPU 2");
    wait_end(f->path, "pin vCPU 2");
    g_assert_cmpuint(count_of(f->path, "bad", "steps"), ==, 1);
}

/* Nobody has to wake it, and what has not been told yet is told at the end. */
static void test_left_out_is_told(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    begin(f);
    for (int i = 0; i < 3000; i++)
        change(f, "one", "pin vCPU 1");
    step(f, "between");
    wait_end(f->path, "between");
    for (int i = 0; i < 3000; i++)
        change(f, "two", "pin vCPU 1");
    g_clear_pointer(&f->journal, vh_journal_free);
    g_assert_cmpuint(count_of(f->path, "one", "steps"), ==, 1);
    g_assert_cmpuint(count_of(f->path, "two", "steps"), ==, 1);
    g_autoptr(GPtrArray) lines = lines_of(f->path);
    for (guint i = 1; i < lines->len; i++)
        g_assert_cmpfloat(json_object_get_double_member(line(lines, i), "monotonic"), >=,
                          json_object_get_double_member(line(lines, i - 1), "monotonic"));
}

/* The disk stands still, and guests talk: there is still room for every step. */
static void test_room_for_steps(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *text = g_strnfill(5000, 'x');
    int fd = -1;
    guint64 lost = 0;
    guint lines = 0;
    char buffer[65536];

    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    fd = open(f->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    begin(f);
    for (guint i = 0; i < 2 * VH_JOURNAL_TALK / VH_JOURNAL_TEXT; i++) {
        struct vh_journal_limit another = {0};

        vh_journal_talk(f->journal, &another, "bad", "talk", text, NULL, NULL);
    }
    lost = vh_journal_dropped(f->journal);
    g_assert_cmpuint(lost, >, 0);
    /* More than is left of a room that they would share with talk. */
    for (int i = 0; i < 9000; i++)
        step(f, "pin");
    g_assert_cmpuint(vh_journal_dropped(f->journal), ==, lost);
    LOOP_UNTIL(lines >= 9000)
    {
        ssize_t len = read(fd, buffer, sizeof(buffer));

        for (ssize_t i = 0; i + 5 < len; i++)
            lines += memcmp(buffer + i, "\"pin\"", 5) == 0;
        if (len == sizeof(buffer))
            lines++; /* one may be in two parts */
    }
    g_clear_pointer(&f->journal, vh_journal_free);
    close(fd);
}

/* What a guest says is text wherever it is read. */
static void test_control(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *text = NULL;

    sent = g_string_new(NULL);
    g_setenv("JOURNAL_STREAM", "1:2", TRUE);
    begin(f);
    g_unsetenv("JOURNAL_STREAM");
    vh_journal_step(f->journal, "web", "load",
                    "a\xc2\x9b"
                    "1m\x1b[2J\nb\xe2\x80\xae c\xe2\x80\xa8",
                    NULL, NULL);
    step(f, "end");
    wait_end(f->path, "end");
    g_clear_pointer(&f->journal, vh_journal_free);
    g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "\"a\\u009b1m\\u001b[2J\\nb\\u202e c\\u2028\""));
    g_assert_nonnull(strstr(sent->str, "VHINT_WHY=a\\x9b1m\\x1b[2J\\x0ab\\u202e c\\u2028\n"));
    g_assert_nonnull(strstr(sent->str, "MESSAGE=web: load: a\\x9b1m"));
    g_string_free(sent, TRUE);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(struct fixture *, gconstpointer);
    } tests[] = {
        {"/journal/clock", test_order_by_clock},
        {"/journal/full", test_full},
        {"/journal/never", test_never},
        {"/journal/slow", test_slow},
        {"/journal/truncated", test_truncated},
        {"/journal/rotated", test_rotated},
        {"/journal/too-large", test_too_large},
        {"/journal/hung", test_hung},
        {"/journal/cut", test_cut},
        {"/journal/talk", test_talk},
        {"/journal/steps-have-a-share", test_steps_have_a_share},
        {"/journal/left-out-is-told", test_left_out_is_told},
        {"/journal/control", test_control},
        {"/journal/room-for-steps", test_room_for_steps},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
