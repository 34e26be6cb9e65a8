// SPDX-License-Identifier: GPL-2.0-or-later
// host-bpf/cache.bpf.c before a real memcached: readers and writers at once, over UDP and TCP, a
// network that loses, doubles and reorders on both sides of it, and a memcached that is killed. No
// read may be stale. VH_CACHE_SECONDS says for how long, at will.
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/cache-client.h"
#include "lib/cache-stage.h"
#include "lib/history.h"
#include "lib/loop.h"

#define KEYS 24
#define SECONDS "12"
#define KEYS_AT_ONCE 3
#define LONG 1250

typedef struct {
    const struct cache_stage *stage;
    int namespace;
    bool tcp, writes;
    const gint *end; /* atomic */
    gint *values;    /* atomic: the last one */
    GRand *rand;
    CacheClient *client;
    GArray *ops;
    guint gets;
    GThread *thread;
} Worker;

static gint64 now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (gint64)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- values that say whose they are, and whether they are whole ---- */

static gsize length_of(guint32 value)
{
    return 8 + (value % 61 ? value % 180 : LONG);
}

static char *text_of(guint32 value)
{
    g_autofree char *padding = g_strnfill(length_of(value) - 8, (char)('a' + value % 26));

    return g_strdup_printf("%08x%s", value, padding);
}

static guint32 value_of(const char *text, gsize length)
{
    g_autofree char *head = g_strndup(text, 8);
    guint32 value = (guint32)strtoul(head, NULL, 16);
    g_autofree char *whole = text_of(value);

    g_assert_cmpuint(length, ==, strlen(whole));
    g_assert_cmpmem(text, length, whole, length);
    return value;
}

/* ---- reads ---- */

static guint32 some_key(const Worker *worker)
{
    gint32 one = g_rand_int_range(worker->rand, 0, KEYS);
    gint32 other = g_rand_int_range(worker->rand, 0, KEYS);

    return (guint32)MIN(one, other);
}

static void note_read(Worker *worker, const char *answer, gint64 begin, gint64 end)
{
    while (g_str_has_prefix(answer, "VALUE k")) {
        struct history_op op = {.begin = begin, .end = end};
        char *rest = NULL;
        gsize length = 0;

        op.key = (guint32)strtoul(answer + 7, &rest, 10);
        g_assert_cmpuint(strtoul(rest, &rest, 10), ==, 0);
        length = strtoul(rest, &rest, 10);
        op.value = value_of(rest + 2, length);
        g_array_append_val(worker->ops, op);
        answer = rest + 2 + length + 2;
    }
    /* Of several datagrams this has the first one to come. */
    g_assert_true(!*answer || g_str_equal(answer, "END\r\n"));
}

static void read_some(Worker *worker)
{
    g_autoptr(GString) command = g_string_new("get");
    gint count = g_rand_int_range(worker->rand, 0, 4) ? 1 : KEYS_AT_ONCE;
    gint64 begin = 0;
    const char *answer = NULL;

    for (gint i = 0; i < count; i++)
        g_string_append_printf(command, " k%u", some_key(worker));
    g_string_append(command, "\r\n");
    worker->gets++;
    begin = now();
    answer = cache_client_ask(worker->client, command->str, 0);
    if (answer)
        note_read(worker, answer, begin, now());
}

/* ---- writes ---- */

static void note_write(Worker *worker, struct history_op *op, const char *answer)
{
    static const char *const done[] = {"STORED\r\n", "DELETED\r\n", "NOT_FOUND\r\n", NULL};

    op->write = TRUE;
    op->end = answer ? now() : HISTORY_NEVER;
    /* An add of what is there is none. */
    if (g_strcmp0(answer, "NOT_STORED\r\n") == 0)
        return;
    g_assert_true(!answer || g_strv_contains(done, answer));
    g_array_append_val(worker->ops, *op);
}

static void write_some(Worker *worker)
{
    struct history_op op = {.key = some_key(worker)};
    gint what = g_rand_int_range(worker->rand, 0, 100);
    g_autofree char *text = NULL;
    g_autofree char *command = NULL;
    /* Of the next command on a connection it is known that this one is done. */
    bool quiet = worker->tcp && what >= 97;
    gsize cut = 0;

    op.value = (guint32)g_atomic_int_add(worker->values, 1) + 1;
    text = text_of(op.value);
    op.removes = what < 10;
    if (op.removes)
        command = g_strdup_printf("delete k%u\r\n", op.key);
    else
        command = g_strdup_printf("%s k%u 0 %u %zu%s\r\n%s\r\n", what < 20 ? "add" : "set", op.key,
                                  what < 30 ? 100 : 0, strlen(text), quiet ? " noreply" : "", text);
    /* Within the data, so that the stream can be followed. */
    if (worker->tcp && what > 90 && !quiet)
        cut = strlen(command) - 5;
    op.begin = now();
    if (quiet) {
        cache_client_tell(worker->client, command);
        note_write(worker, &op, NULL);
    } else {
        note_write(worker, &op, cache_client_ask(worker->client, command, cut));
    }
}

static gpointer work(gpointer data)
{
    Worker *worker = data;

    cache_stage_enter(worker->namespace);
    worker->client = cache_client_new(CACHE_STAGE_ADDRESS, CACHE_STAGE_PORT, worker->tcp);
    while (!g_atomic_int_get(worker->end)) {
        if (worker->writes)
            write_some(worker);
        else
            read_some(worker);
        /* Most do more reads than writes. */
        if (worker->writes)
            g_usleep((gulong)g_rand_int_range(worker->rand, 0, 4000));
    }
    cache_client_free(worker->client);
    g_rand_free(worker->rand);
    return NULL;
}

/* A client that cuts its commands: it makes everything void, and the write counts all the same. */
static void be_rude(const struct cache_stage *stage, gint *values, GArray *ops)
{
    Worker worker = {.values = values, .ops = ops, .tcp = true};
    struct history_op op = {.key = 1, .value = (guint32)g_atomic_int_add(values, 1) + 1};
    g_autofree char *text = text_of(op.value);
    g_autofree char *command = g_strdup_printf("set k1 0 0 %zu\r\n%s\r\n", strlen(text), text);
    CacheClient *client = cache_client_new(CACHE_STAGE_ADDRESS, CACHE_STAGE_PORT, true);

    (void)stage;
    op.begin = now();
    note_write(&worker, &op, cache_client_ask(client, command, 5));
    cache_client_free(client);
}

static void test_history(void)
{
    /* What is lost before the cache sees it may make a connection a lost one for good. */
    static const struct wire_faults outside = {.doubled = 1};
    static const struct wire_faults inside = {.lost = 5, .doubled = 1, .delayed = 30, .most = 400};
    static const struct {
        bool host, tcp, writes;
    } roles[] = {{false, false, false}, {false, false, false}, {false, false, false},
                 {true, false, false},  {false, true, false},  {false, true, true},
                 {false, true, true},   {false, false, true}};
    Worker workers[G_N_ELEMENTS(roles)] = {0};
    struct cache_stage *stage = cache_stage_new(&outside, &inside);
    const char *given = g_getenv("VH_CACHE_SECONDS");
    double seconds = g_ascii_strtod(given ? given : SECONDS, NULL);
    g_autoptr(GArray) ops = g_array_new(FALSE, FALSE, sizeof(struct history_op));
    g_autofree char *first = NULL;
    struct vh_cache_figures figures;
    gint end = 0;
    gint values = 0;
    guint gets = 0;
    guint stale = 0;

    if (!stage)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(roles); i++) {
        workers[i] = (Worker){.stage = stage,
                              .tcp = roles[i].tcp,
                              .writes = roles[i].writes,
                              .namespace = roles[i].host ? stage->host : stage->clients,
                              .end = &end,
                              .values = &values,
                              .rand = g_rand_new(),
                              .ops = g_array_new(FALSE, FALSE, sizeof(struct history_op))};
        workers[i].thread = g_thread_new("worker", work, &workers[i]);
    }
    for (guint third = 0; third < 3; third++) {
        loop_pass(seconds / 3);
        if (third < 2)
            cache_stage_kill(stage);
    }
    be_rude(stage, &values, ops);
    loop_pass(0.5);
    g_atomic_int_set(&end, 1);
    for (guint i = 0; i < G_N_ELEMENTS(roles); i++) {
        g_thread_join(workers[i].thread);
        g_array_append_vals(ops, workers[i].ops->data, workers[i].ops->len);
        g_array_unref(workers[i].ops);
        gets += roles[i].tcp ? 0 : workers[i].gets;
    }
    figures = vh_net_cache_figures(stage->slot);
    stale = history_stale(ops, &first);
    g_test_message("%u operations, %u GETs over UDP, %" G_GUINT64_FORMAT
                   " answered by the host; fills %" G_GUINT64_FORMAT ", all void %" G_GUINT64_FORMAT
                   " times, not understood %" G_GUINT64_FORMAT ", strangers %" G_GUINT64_FORMAT
                   ", hidden %" G_GUINT64_FORMAT ", unknown expiry %" G_GUINT64_FORMAT,
                   ops->len, gets, (guint64)figures.answered, (guint64)figures.fills,
                   (guint64)figures.flushed, (guint64)figures.not_understood,
                   (guint64)figures.strangers, (guint64)figures.fragments,
                   (guint64)figures.unknown_expiry);
    if (stale)
        g_error("%u reads are stale: %s", stale, first);
    /* It is the cache that was tested. */
    g_assert_cmpuint(figures.answered, >, gets / 100);
    g_assert_cmpuint(figures.not_understood, >=, 1);
    cache_stage_free(stage);
}

/* ---- the checker itself ---- */

static void test_checker(void)
{
    static const struct {
        struct history_op ops[4];
        guint stale;
    } table[] = {
        /* Read after its write, and while another one is under way. */
        {{{1, 1, 0, 10, TRUE, FALSE}, {1, 2, 20, 50, TRUE, FALSE}, {1, 1, 30, 40, FALSE, FALSE}},
         0},
        {{{1, 1, 0, 10, TRUE, FALSE}, {1, 2, 20, 30, TRUE, FALSE}, {1, 1, 29, 40, FALSE, FALSE}},
         0},
        /* The other one was done before. */
        {{{1, 1, 0, 10, TRUE, FALSE}, {1, 2, 20, 30, TRUE, FALSE}, {1, 1, 31, 40, FALSE, FALSE}},
         1},
        {{{1, 1, 0, 10, TRUE, FALSE}, {1, 2, 20, 30, TRUE, TRUE}, {1, 1, 31, 40, FALSE, FALSE}}, 1},
        /* Of another key. */
        {{{1, 1, 0, 10, TRUE, FALSE}, {2, 2, 20, 30, TRUE, FALSE}, {1, 1, 31, 40, FALSE, FALSE}},
         0},
        /* Two writes at once are in any order, and one without an answer comes at any time. */
        {{{1, 1, 0, 25, TRUE, FALSE}, {1, 2, 20, 30, TRUE, FALSE}, {1, 1, 31, 40, FALSE, FALSE}},
         0},
        {{{1, 1, 0, HISTORY_NEVER, TRUE, FALSE},
          {1, 2, 20, 30, TRUE, FALSE},
          {1, 1, 31, 40, FALSE, FALSE}},
         0},
        /* But it has been seen, and then another one was. */
        {{{1, 1, 0, HISTORY_NEVER, TRUE, FALSE},
          {1, 1, 5, 10, FALSE, FALSE},
          {1, 2, 20, 30, TRUE, FALSE},
          {1, 1, 31, 40, FALSE, FALSE}},
         1},
        {{{1, 1, 0, 10, TRUE, FALSE},
          {1, 2, 20, HISTORY_NEVER, TRUE, FALSE},
          {1, 2, 25, 30, FALSE, FALSE},
          {1, 1, 31, 40, FALSE, FALSE}},
         1},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GArray) ops = g_array_new(FALSE, FALSE, sizeof(struct history_op));
        g_autofree char *first = NULL;

        for (gsize j = 0; j < G_N_ELEMENTS(table[i].ops) && table[i].ops[j].key; j++)
            g_array_append_val(ops, table[i].ops[j]);
        g_assert_cmpuint(history_stale(ops, &first), ==, table[i].stale);
        g_assert_true((first != NULL) == (table[i].stale > 0));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    g_test_add_func("/net/cache-history/checker", test_checker);
    g_test_add_func("/net/cache-history/history", test_history);
    return g_test_run();
}
