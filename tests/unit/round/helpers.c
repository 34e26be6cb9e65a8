/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/helpers.c: a guest's threads beside its vCPUs. */
#include "round/helpers.h"

#include <string.h>

#include "base/error.h"
#include "inventory/maker.h"
#include "lib/herd.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define PROCESS 5000050
#define IOTHREAD 5000051
#define VHOST 5000052

struct fixture {
    struct herd herd;
    char *cpu; /* one of this host, where the policy puts QEMU's own threads */
    struct vh_entry *entry;
};

static GHashTable *mirrored; /* vh_seat_text -> CPUs; what the guest's maker was told */
static unsigned mirrors;     /* how often it was */

static void mirror(G_GNUC_UNUSED const struct vh_config_guest *config, struct vh_seat seat,
                   const struct vh_cpuset *cpus)
{
    mirrors++;
    g_hash_table_replace(mirrored, vh_seat_text(seat),
                         cpus ? vh_cpuset_format(cpus) : g_strdup(""));
}

static const struct vh_maker maker = {.mirror = mirror};

static const char *told(const char *seat)
{
    return g_hash_table_lookup(mirrored, seat);
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *online = NULL;
    g_autofree char *policy = NULL;
    struct vh_cpuset set;

    g_assert_true(g_file_get_contents("/sys/devices/system/cpu/online", &online, NULL, NULL));
    g_assert_cmpint(vh_cpuset_parse(&set, g_strstrip(online), NULL), ==, 0);
    f->cpu = g_strdup_printf("%d", vh_cpuset_next(&set, 0));
    policy = g_strdup_printf("[guest web]\nemulator = %s\niothreads = %s\n", f->cpu, f->cpu);
    mirrored = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    herd_begin(&f->herd, policy);
    f->entry = herd_add(&f->herd, "web", 1, FIRST);
    f->entry->guest->process = PROCESS;
    fake_guest_add_helper(f->entry->guest, PROCESS, VH_THREAD_EMULATOR, 0);
    fake_guest_add_helper(f->entry->guest, IOTHREAD, VH_THREAD_IOTHREAD, 1);
    fake_guest_add_helper(f->entry->guest, VHOST, VH_THREAD_VHOST, 0);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_end(&f->herd);
    g_hash_table_unref(mirrored);
    g_free(f->cpu);
}

static void test_places(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_round_run(f->herd.round, "it has come");
    g_assert_cmpstr(fake_host_pin(PROCESS), ==, f->cpu);
    g_assert_cmpstr(fake_host_pin(IOTHREAD), ==, f->cpu);
    g_assert_cmpstr(fake_host_pin(VHOST), ==, ""); /* the policy says nothing of it */
    f->entry->held = true;
    g_assert_cmpuint(vh_round_run(f->herd.round, "released by hand"), ==, 2);
    g_assert_cmpstr(fake_host_pin(PROCESS), ==, "");
}

static void test_count(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    unsigned iothreads = 9;
    unsigned vhosts = 9;

    vh_helpers_count(f->entry->guest, &iothreads, &vhosts);
    g_assert_cmpuint(iothreads, ==, 1);
    g_assert_cmpuint(vhosts, ==, 1);
}

/* How often the guest's threads are gone through in a round. */
static unsigned looks(struct fixture *f)
{
    unsigned before = f->entry->guest->looks;

    vh_round_run(f->herd.round, "a hint");
    return f->entry->guest->looks - before;
}

/* A QEMU may have thousands: all are gone through as often as few, not once for each of them. */
static void test_many(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    unsigned few = 0;
    unsigned threads = f->entry->guest->helper_count;

    vh_round_run(f->herd.round, "it has come");
    few = looks(f);
    g_assert_cmpuint(few, >, 0);
    for (unsigned i = threads; i < FAKE_THREADS; i++)
        fake_guest_add_helper(f->entry->guest, PROCESS + 100 + i, VH_THREAD_IOTHREAD, i);
    vh_round_run(f->herd.round, "it has more");
    g_assert_cmpuint(looks(f), ==, few);
}

/* Who is not placed is not even looked at. */
static void test_untouched(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *other = herd_add(&f->herd, "db", 1, FIRST + 1);

    fake_guest_add_helper(other->guest, VHOST + 1, VH_THREAD_EMULATOR, 0);
    vh_round_run(f->herd.round, "it has come");
    g_assert_cmpstr(fake_host_pin(VHOST + 1), ==, "");
    g_assert_cmpuint(fake_host_applied(), ==, 2);
}

/* libvirt has no name for vhost workers, nor for others of QEMU's own than the first. */
static void test_mirror(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_config_guest *config = (struct vh_config_guest *)vh_guest_config(f->entry->guest);

    config->maker = &maker;
    mirrors = 0;
    fake_guest_add_helper(f->entry->guest, PROCESS + 9, VH_THREAD_EMULATOR, 0);
    fake_guest_anchor(f->entry->guest, 0);
    vh_round_run(f->herd.round, "a hint");
    g_assert_cmpstr(fake_host_pin(PROCESS + 9), ==, f->cpu);
    g_assert_cmpuint(mirrors, ==, 3);
    g_assert_cmpstr(told("vCPU 0"), ==, fake_host_pin(FIRST));
    g_assert_cmpstr(told("emulator"), ==, f->cpu);
    g_assert_cmpstr(told("IOThread 1"), ==, f->cpu);
    f->entry->held = true;
    vh_round_run(f->herd.round, "released by hand");
    g_assert_cmpstr(told("vCPU 0"), ==, "");
    g_assert_cmpstr(told("emulator"), ==, "");
}

static void test_seat_of_others(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_seat seat = {.kind = VH_SEAT_EMULATOR};

    vh_round_run(f->herd.round, "it has come");
    g_hash_table_insert(f->entry->off, GUINT_TO_POINTER(vh_seat_key(seat)), g_strdup("theirs"));
    vh_round_yield(f->herd.round, f->entry, seat);
    vh_round_run(f->herd.round, "theirs");
    g_assert_cmpuint(fake_host_applied(), ==, 2);
    g_assert_cmpuint(fake_host_reverted(), ==, 0); /* what they have set stays */
}

static void test_barred(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    fake_host_refuse_pin(IOTHREAD, VH_ERROR_REFUSED, "its control group allows less");
    vh_round_run(f->herd.round, "it has come");
    g_assert_true(vh_round_is_barred(f->herd.round, f->entry));
    g_assert_cmpstr(fake_host_pin(PROCESS), ==, f->cpu);
}

/* No word of the guest's is needed for what policy alone places. */
static void test_adopted(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_round_run(f->herd.round, "it has come");
    herd_replace(&f->herd);
    f->entry = herd_add(&f->herd, "web", 1, FIRST);
    g_assert_true(vh_round_is_left(f->entry));
    g_assert_false(vh_round_knows(f->entry));
    f->entry->guest->process = PROCESS;
    fake_guest_add_helper(f->entry->guest, PROCESS, VH_THREAD_EMULATOR, 0);
    g_assert_true(vh_round_knows(f->entry));
    vh_round_take(f->herd.round, f->entry);
    g_assert_cmpuint(vh_round_run(f->herd.round, "taken over"), ==, 1); /* the IOThread */
    g_assert_cmpstr(fake_host_pin(PROCESS), ==, f->cpu);
    g_assert_cmpstr(fake_host_pin(IOTHREAD), ==, "");
    g_assert_cmpuint(fake_host_applied(), ==, 2);
}

#define ADD(name, func) \
    g_test_add("/round-threads/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("places", test_places);
    ADD("count", test_count);
    ADD("many", test_many);
    ADD("untouched", test_untouched);
    ADD("mirror", test_mirror);
    ADD("seat-of-others", test_seat_of_others);
    ADD("barred", test_barred);
    ADD("adopted", test_adopted);
    return g_test_run();
}
