/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A reader too slow loses lines, is told how many, and never holds anybody up. */
#include "control/watch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/loop.h"

static void on_closed(G_GNUC_UNUSED VhWatch *watch, gpointer data)
{
    *(bool *)data = true;
}

struct fixture {
    VhWatch *watch;
    bool closed;
    FILE *in;
    int fd;
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    GError *error = NULL;
    f->watch = vh_watch_new(on_closed, &f->closed, &f->fd, &error);
    g_assert_no_error(error);
    f->in = fdopen(f->fd, "r");
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_watch_free(f->watch);
    fclose(f->in);
}

static void test_lines(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    char line[64];
    vh_watch_line(f->watch, "{\"a\":1}", 7);
    vh_watch_line(f->watch, "{}xx", 2);
    g_assert_nonnull(fgets(line, sizeof(line), f->in));
    g_assert_cmpstr(line, ==, "{\"a\":1}\n");
    g_assert_nonnull(fgets(line, sizeof(line), f->in));
    g_assert_cmpstr(line, ==, "{}\n");
}

/* Reads all there is, letting the loop refill the pipe; checks that the numbers in the lines grow
 * by one, but for gaps that {"dropped":N} tells. Returns the number after the last. */
static unsigned read_numbers(struct fixture *f, unsigned next, unsigned *dropped)
{
    fcntl(f->fd, F_SETFL, O_NONBLOCK);
    for (int empty = 0; empty < 2;) {
        g_autoptr(GString) whole = g_string_new(NULL);
        char c;
        while (read(f->fd, &c, 1) == 1 && c != '\n')
            g_string_append_c(whole, c);
        loop_turn();
        if (whole->len == 0) {
            empty++;
            continue;
        }
        empty = 0;
        /* A line may have been cut by the pipe's end: go on once the loop has written the rest. */
        while (whole->str[whole->len - 1] != '}') {
            g_assert_cmpint(read(f->fd, &c, 1), ==, 1);
            if (c != '\n')
                g_string_append_c(whole, c);
            loop_turn();
        }
        unsigned number;
        if (sscanf(whole->str, "{\"dropped\":%u}", &number) == 1) {
            *dropped += number;
            next += number;
        } else {
            g_assert_cmpint(sscanf(whole->str, "{\"n\":%u", &number), ==, 1);
            g_assert_cmpuint(number, ==, next);
            next++;
        }
    }
    return next;
}

static void test_slow(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *padding = g_strnfill(7000, 'x');
    unsigned n = 0, dropped = 0;
    gint64 start = g_get_monotonic_time();
    for (; n < 20000; n++) {
        g_autofree char *line = g_strdup_printf("{\"n\":%u,\"p\":\"%s\"}", n, padding);
        vh_watch_line(f->watch, line, strlen(line));
    }
    g_assert_cmpint(g_get_monotonic_time() - start, <, 60 * G_USEC_PER_SEC); /* and not for ever */
    unsigned next = read_numbers(f, 0, &dropped);
    g_assert_cmpuint(next, ==, n);
    g_assert_cmpuint(dropped, >, 19000);
    g_assert_cmpuint(dropped, <, 20000 - 30);

    /* Then it goes on without a gap. */
    dropped = 0;
    for (; n < 20010; n++) {
        g_autofree char *line = g_strdup_printf("{\"n\":%u}", n);
        vh_watch_line(f->watch, line, strlen(line));
    }
    g_assert_cmpuint(read_numbers(f, next, &dropped), ==, n);
    g_assert_cmpuint(dropped, ==, 0);
}

static void test_huge_line(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *huge = g_strnfill(VH_WATCH_PENDING_MAX, 'x');
    char line[64];
    vh_watch_line(f->watch, huge, VH_WATCH_PENDING_MAX);
    vh_watch_line(f->watch, "{}", 2);
    g_assert_nonnull(fgets(line, sizeof(line), f->in));
    g_assert_cmpstr(line, ==, "{\"dropped\":1}\n");
    g_assert_nonnull(fgets(line, sizeof(line), f->in));
    g_assert_cmpstr(line, ==, "{}\n");
}

static void test_closed(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    loop_turn();
    g_assert_false(f->closed);
    close(f->fd);
    vh_watch_line(f->watch, "{}", 2); /* must not kill the process */
    loop_turn();
    g_assert_true(f->closed);
    f->fd = open("/dev/null", O_RDONLY);
    g_assert_cmpint(f->fd, ==, fileno(f->in));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    g_test_add("/watch/lines", struct fixture, NULL, set_up, test_lines, tear_down);
    g_test_add("/watch/slow", struct fixture, NULL, set_up, test_slow, tear_down);
    g_test_add("/watch/huge-line", struct fixture, NULL, set_up, test_huge_line, tear_down);
    g_test_add("/watch/closed", struct fixture, NULL, set_up, test_closed, tear_down);
    return g_test_run();
}
