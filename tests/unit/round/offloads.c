/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/offloads.c: from what a guest says to packets that are dropped for it or not, on a
 * real uplink and tap. This process is the guest's QEMU. Its CPU time is made up: each packet that
 * it gets has cost a tick, however busy this machine is. */
#include "round/offloads.h"

#include <bpf/libbpf.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/byte-kind.h"
#include "lib/loop.h"
#include "lib/net-stage.h"
#include "lib/scratch.h"
#include "machine/tid.h"

#define GUEST "web"
#define LOOK_US 200000

static struct net_stage *stage;

typedef struct {
    VhOffloads *offloads;
    VhJournal *journal;
    char *directory;
    VhFacts *facts;
    struct vh_offload_limits limits;
    struct vh_nic nic;
    struct vh_thread_id process;
    char *proc;
    guint ticks;
    guint shown;
} Fixture;

static void on_shown(const char *guest, gpointer data)
{
    g_assert_cmpstr(guest, ==, GUEST);
    ((Fixture *)data)->shown++;
}

/* Of stat, behind the name. */
#define UTIME 11

/* What /proc tells of QEMU, with so many ticks more. */
static void spend(Fixture *f, guint ticks)
{
    g_autofree char *text = NULL;
    g_autofree char *rest = NULL;
    g_autofree char *stat = NULL;
    g_autofree char *path = g_strdup_printf("%d/stat", getpid());
    g_auto(GStrv) fields = NULL;

    f->ticks += ticks;
    g_assert_true(g_file_get_contents("/proc/self/stat", &text, NULL, NULL));
    fields = g_strsplit(strrchr(text, ')') + 2, " ", -1);
    g_free(fields[UTIME]);
    fields[UTIME] = g_strdup_printf("%u", 1000 + f->ticks);
    g_free(fields[UTIME + 1]);
    fields[UTIME + 1] = g_strdup("0");
    rest = g_strjoinv(" ", fields);
    stat = g_strdup_printf("%d (qemu) %s", getpid(), rest);
    scratch_write(f->proc, path, stat);
}

static void begin(Fixture *f)
{
    const struct vh_offloads_host host = {
        f->proc, LOOK_US, {SLOT_OBJECTS, stage->pins, byte_kinds}};
    g_autoptr(GError) error = NULL;

    f->offloads = vh_offloads_new(&host, f->journal, on_shown, f, &error);
    g_assert_no_error(error);
}

static void set_up(Fixture *f, gconstpointer data)
{
    g_autofree char *path = NULL;

    (void)data;
    f->directory = g_dir_make_tmp("vhint-offloads-XXXXXX", NULL);
    path = g_build_filename(f->directory, "journal", NULL);
    f->journal = vh_journal_new(path, NULL);
    f->facts = vh_facts_new();
    f->limits = (struct vh_offload_limits){1u << VH_STAGE_FIREWALL, NET_STAGE_UPLINK, 50, 1 << 20};
    strcpy(f->nic.tap, NET_STAGE_TAP);
    memcpy(f->nic.mac, net_stage_mac, 6);
    g_assert_cmpint(vh_tid_identify("/proc", getpid(), getpid(), &f->process), ==, 0);
    f->proc = g_build_filename(f->directory, "proc", NULL);
    g_assert_cmpint(g_mkdir(f->proc, 0700), ==, 0);
    spend(f, 0);
    begin(f);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    vh_offloads_free(f->offloads, "the test ends", false);
    vh_journal_free(f->journal);
    vh_facts_free(f->facts);
    scratch_remove(f->directory);
    g_free(f->proc);
    byte_kind_gathered = NULL;
}

static guint run_round(Fixture *f, bool named)
{
    const struct vh_offloads_ask ask = {GUEST, &f->limits, f->facts, f->process, &f->nic, 1, NULL};

    vh_offloads_begin(f->offloads);
    if (named)
        vh_offloads_ask(f->offloads, &ask);
    return vh_offloads_end(f->offloads, "a test's round");
}

/* A text of the first offload that is described. */
static char *told(const Fixture *f, const char *name)
{
    g_autoptr(GVariant) all = g_variant_ref_sink(vh_offloads_describe(f->offloads, GUEST));
    g_autoptr(GVariant) first = NULL;
    char *text = NULL;

    if (!g_variant_n_children(all))
        return g_strdup("none");
    first = g_variant_get_child_value(all, 0);
    g_assert_true(g_variant_lookup(first, name, "s", &text));
    return text;
}

static bool is_told(const Fixture *f, const char *name, const char *value)
{
    g_autofree char *text = told(f, name);

    return g_str_equal(text, value);
}

static void expect(const Fixture *f, const char *name, const char *value)
{
    g_autofree char *text = told(f, name);

    g_assert_cmpstr(text, ==, value);
}

static bool drops(void)
{
    g_autofree char *seen = NULL;

    net_stage_send(stage, -1, 'D');
    net_stage_send(stage, -1, 'z');
    seen = net_stage_until(stage, 'z');
    return g_str_equal(seen, "z");
}

/* Packets come to the guest, each of which costs it a tick. */
static void serve(Fixture *f, const char *commands)
{
    g_autofree char *seen = NULL;

    for (const char *c = commands; *c; c++)
        net_stage_send(stage, -1, *c);
    net_stage_send(stage, -1, 'z');
    seen = net_stage_until(stage, 'z');
    spend(f, (guint)strlen(seen));
}

#define FLOOD "DDDDDDDDDDDDDDDDDDD"
#define PASSES "PPPPPPPPPPPPPPPPPPP"

static void test_told(Fixture *f, gconstpointer data)
{
    (void)data;
    expect(f, "state", "none");
    run_round(f, true);
    expect(f, "state", "off");
    expect(f, "problem", "the guest has not told");
    byte_kind_gathered = (char *)"a";
    run_round(f, true);
    expect(f, "state", "counting");
    LOOP_UNTIL(is_told(f, "left_out", "a"));
    g_assert_cmpuint(f->shown, >, 0);
    /* It only counts. */
    g_assert_false(drops());
    byte_kind_gathered = (char *)"refuse";
    run_round(f, true);
    LOOP_UNTIL(is_told(f, "state", "refused"));
    expect(f, "problem", "it says so");
    byte_kind_gathered = NULL;
    run_round(f, true);
    expect(f, "state", "off");
    g_assert_cmpuint(run_round(f, false), ==, 0);
    expect(f, "state", "none");
}

/* From counting to kept, and away at once: with the guest's word, and with its policy. */
static void test_kept(Fixture *f, gconstpointer data)
{
    g_autofree char *reason = NULL;

    (void)data;
    byte_kind_gathered = (char *)"a";
    run_round(f, true);
    LOOP_UNTIL(is_told(f, "state", "trial"))
    serve(f, FLOOD);
    LOOP_UNTIL(is_told(f, "state", "kept"))
    serve(f, FLOOD);
    reason = told(f, "reason");
    g_assert_nonnull(strstr(reason, "a packet costs "));
    g_assert_true(drops());
    /* Its injector is gone. */
    byte_kind_gathered = NULL;
    run_round(f, true);
    g_assert_false(drops());
    /* It says the same again: it counts anew. */
    byte_kind_gathered = (char *)"a";
    run_round(f, true);
    expect(f, "state", "counting");
    LOOP_UNTIL(is_told(f, "state", "kept"))
    serve(f, FLOOD);
    g_assert_true(drops());
    g_assert_cmpuint(run_round(f, false), ==, 1);
    g_assert_false(drops());
}

static void test_resting(Fixture *f, gconstpointer data)
{
    (void)data;
    byte_kind_gathered = (char *)"a";
    run_round(f, true);
    LOOP_UNTIL(is_told(f, "state", "resting"))
    serve(f, PASSES);
    expect(f, "reason", "none of the packets was one that it decides about");
    expect(f, "left_out", "");
}

/* Its lease ends though nobody stops it: the main loop is stuck. */
static void test_stuck(Fixture *f, gconstpointer data)
{
    gint64 begin_at = 0;

    (void)data;
    byte_kind_gathered = (char *)"a";
    run_round(f, true);
    LOOP_UNTIL(is_told(f, "state", "kept"))
    serve(f, FLOOD);
    begin_at = g_get_monotonic_time();
    while (drops())
        g_assert_cmpint(g_get_monotonic_time() - begin_at, <, 60 * G_USEC_PER_SEC);
    loop_turn();
    g_assert_true(drops());
}

static void test_successor(Fixture *f, gconstpointer data)
{
    (void)data;
    byte_kind_gathered = (char *)"a";
    run_round(f, true);
    LOOP_UNTIL(is_told(f, "state", "kept"))
    serve(f, FLOOD);
    vh_offloads_free(f->offloads, NULL, true);
    g_assert_true(drops());
    begin(f);
    /* Nobody has named it. */
    vh_offloads_settle(f->offloads);
    g_assert_false(drops());
    run_round(f, true);
    LOOP_UNTIL(is_told(f, "state", "kept"))
    serve(f, FLOOD);
    g_assert_true(drops());
}

int main(int argc, char **argv)
{
    int result = 0;

    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    stage = net_stage_begin("/round/offloads");
    if (!stage)
        return g_test_run();
#define ADD(name) \
    g_test_add("/round/offloads/" #name, Fixture, NULL, set_up, test_##name, tear_down)
    ADD(told);
    ADD(kept);
    ADD(resting);
    ADD(stuck);
    ADD(successor);
    result = g_test_run();
    net_stage_free(stage);
    return result;
}
