/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/portray.c and portrait.c: what is shown of guests, made here and put into words
 * elsewhere, while what it was copied from changes or has gone. */
#include <unistd.h>

#include "io/errands.h"
#include "lib/herd.h"
#include "lib/loop.h"
#include "machine/tid.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define HELPER 5000050
#define ROUNDS 200u

struct fixture {
    struct herd herd;
    char *cpu; /* one of this host, where the policy puts QEMU's own threads */
    struct vh_entry *web;

    /* of test_elsewhere */
    VhErrands *errands;
    GMainContext *context; /* of the thread that asks */
    unsigned asked;        /* the hint thread's */
    unsigned described;    /* the other's */
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *policy = NULL;
    struct vh_cpuset cpus;

    g_assert_true(vh_tid_cpus(gettid(), &cpus));
    f->cpu = g_strdup_printf("%d", vh_cpuset_next(&cpus, 0));
    policy = g_strdup_printf("[guest web]\nemulator = %s\n", f->cpu);
    herd_begin(&f->herd, policy);
    f->web = herd_add(&f->herd, "web", 2, FIRST);
    fake_guest_anchor(f->web->guest, 0);
    vh_round_run(f->herd.round, "hints");
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_end(&f->herd);
    g_free(f->cpu);
}

static void assert_text(GVariant *dict, const char *key, const char *expected)
{
    const char *text = NULL;

    g_assert_true(g_variant_lookup(dict, key, "&s", &text));
    g_assert_cmpstr(text, ==, expected);
}

/* Which CPU it is depends on what else runs. */
static void assert_pinned(GVariant *vcpu)
{
    const char *reason = NULL;

    assert_text(vcpu, "state", "pinned");
    g_assert_true(g_variant_lookup(vcpu, "reason", "&s", &reason));
    g_assert_true(g_str_has_prefix(reason, "1 hint pins guest CPU 0 (rule affinity-pin); CPU "));
    g_assert_true(g_str_has_suffix(reason, ": no other anchor on its core"));
}

/* Of the thread with that position in GetGuest's list of that name. */
static GVariant *look_up(GVariant *guest, const char *list, unsigned position)
{
    g_autoptr(GVariant) dicts = g_variant_lookup_value(guest, list, G_VARIANT_TYPE("aa{sv}"));

    g_assert_nonnull(dicts);
    g_assert_cmpuint(g_variant_n_children(dicts), >, position);
    return g_variant_get_child_value(dicts, position);
}

/* What is shown is what was: guest, plan and policy may go. */
static void test_outlives(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhPortrait) portrait = NULL;
    g_autoptr(VhPortrait) brief = NULL;
    g_autoptr(GVariant) guest = NULL;
    g_autoptr(GVariant) summary = NULL;
    g_autoptr(GVariant) pinned = NULL;
    g_autoptr(GVariant) floats = NULL;

    f->web->problem = g_strdup("its pool is another's");
    portrait = vh_round_portray(f->herd.round, f->web);
    brief = vh_round_show_brief(f->web);
    herd_end(&f->herd);
    guest = g_variant_ref_sink(vh_portrait_describe(portrait));
    summary = g_variant_ref_sink(vh_portrait_summary(brief));
    assert_text(guest, "name", "web");
    assert_text(guest, "problem", "its pool is another's");
    assert_text(guest, "memory_nodes", "");
    assert_text(summary, "problem", "its pool is another's");
    g_assert_null(g_variant_lookup_value(summary, "vcpu", NULL));
    pinned = look_up(guest, "vcpu", 0);
    assert_pinned(pinned);
    assert_text(pinned, "former", "what it was");
    /* Of a thread that is gone the kernel knows nothing. */
    assert_text(pinned, "host_cpus", "");
    floats = look_up(guest, "vcpu", 1);
    assert_text(floats, "state", "floating");
    assert_text(floats, "reason", "no hint asks for it");
}

static void test_helper(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VhPortrait) portrait = NULL;
    g_autoptr(GVariant) guest = NULL;
    g_autoptr(GVariant) emulator = NULL;
    g_autofree char *reason = g_strdup_printf("CPUs %s: named by the policy", f->cpu);

    fake_guest_add_helper(f->web->guest, HELPER, VH_THREAD_EMULATOR, 0);
    vh_round_run(f->herd.round, "it has made a thread");
    portrait = vh_round_portray(f->herd.round, f->web);
    g_assert_cmpuint(portrait->vcpus, ==, 2);
    g_assert_cmpuint(portrait->helpers, ==, 1);
    guest = g_variant_ref_sink(vh_portrait_describe(portrait));
    emulator = look_up(guest, "thread", 0);
    assert_text(emulator, "role", "emulator");
    assert_text(emulator, "name", "thread");
    assert_text(emulator, "state", "pinned");
    assert_text(emulator, "reason", reason);
}

/* ---- words on another thread ---- */

struct question {
    struct vh_errand errand;
    struct fixture *f;
    VhPortrait *portrait;
};

/* Meanwhile wishes and plans change. */
static void portray(struct vh_errand *errand)
{
    struct question *question = (struct question *)(void *)errand;
    struct fixture *f = question->f;

    question->portrait = vh_round_portray(f->herd.round, f->web);
    if (f->asked++ % 2)
        fake_guest_anchor(f->web->guest, 0);
    else
        fake_guest_float(f->web->guest, 0);
    vh_round_run(f->herd.round, "hints");
    vh_errand_finish(errand);
}

static void describe(struct vh_errand *errand)
{
    struct question *question = (struct question *)(void *)errand;
    struct fixture *f = question->f;
    g_autoptr(GVariant) guest = g_variant_ref_sink(vh_portrait_describe(question->portrait));
    g_autoptr(GVariant) vcpu = look_up(guest, "vcpu", 0);

    if (f->described++ % 2)
        assert_text(vcpu, "reason", "no hint asks for it");
    else
        assert_pinned(vcpu);
    vh_portrait_unref(question->portrait);
    g_free(question);
}

static gpointer ask(gpointer data)
{
    struct fixture *f = data;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct question *question = g_new0(struct question, 1);

        question->errand.work = portray;
        question->errand.done = describe;
        question->errand.drop = describe;
        question->f = f;
        vh_errands_send(f->errands, &question->errand);
    }
    while (f->described < ROUNDS)
        g_main_context_iteration(f->context, TRUE);
    return NULL;
}

static void test_elsewhere(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    GThread *thread = NULL;

    f->context = g_main_context_new();
    f->errands = vh_errands_new(NULL, f->context);
    thread = g_thread_new("words", ask, f);
    LOOP_UNTIL(f->asked >= ROUNDS);
    g_thread_join(thread);
    vh_errands_close(f->errands);
    g_main_context_unref(f->context);
}

#define ADD(name, func) g_test_add("/portrait/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("outlives", test_outlives);
    ADD("helper", test_helper);
    ADD("elsewhere", test_elsewhere);
    return g_test_run();
}
