/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/cpus.c, guest/ask.c and guest/monitor.c: a guest's CPUs, joined with the vCPUs that
 * its monitor tells of. */
#include "lib/chosen.h"
#include "lib/guest-stage.h"

#include "lib/loop.h"

/* By guest CPU, the position of the vCPU that serves it: "1 0"; "." where none does. */
static void assert_map(const struct guest_stage *f, const char *expected)
{
    const struct vh_cpu_map *map = vh_guest_cpus(f->guest);
    g_autoptr(GString) got = g_string_new(NULL);

    for (uint32_t cpu = 0; cpu < map->count; cpu++) {
        g_string_append(got, cpu ? " " : "");
        if (map->cpus[cpu].vcpu < 0)
            g_string_append_c(got, '.');
        else
            g_string_append_printf(got, "%d", map->cpus[cpu].vcpu);
    }
    g_assert_cmpstr(got->str, ==, expected);
}

static void test_joined(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = NULL;

    guest_stage_start(f);
    guest_stage_assert_changed(f, "the guest's vCPUs have changed; ");
    guest_stage_assert_vcpus(f, "2: 7 3");
    assert_map(f, "");
    vcpus = vh_guest_vcpus(f->guest, &count);
    for (unsigned i = 0; i < count; i++)
        g_assert_cmpint(vcpus[i].thread, ==, f->vcpus[i].tid);
    g_assert_cmpint(vh_guest_process(f->guest).thread, ==, getpid());
    guest_stage_greet(f);
    guest_stage_assert_changed(f, "the guest's CPUs have changed; ");
    assert_map(f, "1 0");
    guest_stage_assert_told(f, "vcpus", "2");
    fake_port_cpus(&f->port, (const uint32_t[]){7, 3}, 2);
    guest_stage_turn();
    guest_stage_assert_changed(f, "the guest's CPUs have changed; ");
    assert_map(f, "0 1");
}

/* What the injector does not tell of is no vCPU's, also between those that it does. */
static void test_holes(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_cpus head = {.count = 2};
    const struct vh_cpu cpus[] = {{.cpu = 1, .apic_id = 7, .flags = VH_CPU_ONLINE},
                                  {.cpu = 3, .apic_id = 3, .flags = VH_CPU_ONLINE}};

    guest_stage_up(f);
    fake_port_say(&f->port, VH_CPUS, 0, &head, sizeof(head), cpus, sizeof(cpus));
    guest_stage_turn();
    assert_map(f, ". 0 . 1");
}

/* The injector may be the first to tell of a CPU that was plugged in. */
static void test_plugged_in(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *one = guest_stage_cpus(f, 0, 1);

    fake_monitor_reply(&f->monitor, "query-cpus-fast", one);
    guest_stage_start(f);
    guest_stage_assert_vcpus(f, "1: 7");
    fake_port_hello(&f->port, 77, VH_WIRE_MIN, VH_WIRE_MAX);
    fake_port_cpus(&f->port, (const uint32_t[]){7}, 1);
    guest_stage_turn();
    assert_map(f, "0");
    fake_monitor_heard(&f->monitor, "query-cpus-fast");
    fake_monitor_reply(&f->monitor, "query-cpus-fast", f->cpus);
    fake_port_cpus(&f->port, (const uint32_t[]){7, 3}, 2);
    guest_stage_turn();
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "query-cpus-fast"), ==, 1);
    guest_stage_assert_vcpus(f, "2: 7 3");
    assert_map(f, "0 1");
    fake_port_cpus(&f->port, (const uint32_t[]){7, 3}, 2);
    guest_stage_turn();
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "query-cpus-fast"), ==, 0);
}

static void test_plugged_out(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *one = guest_stage_cpus(f, 1, 1);

    guest_stage_up(f);
    fake_monitor_reply(&f->monitor, "query-cpus-fast", one);
    fake_monitor_event(&f->monitor, "DEVICE_DELETED", "{\"path\": \"/cpu0\"}");
    guest_stage_turn();
    guest_stage_assert_changed(f, "the guest's vCPUs have changed; ");
    guest_stage_assert_vcpus(f, "1: 3");
    assert_map(f, "0 .");
    fake_monitor_heard(&f->monitor, "query-cpus-fast");
    fake_monitor_event(&f->monitor, "ACPI_DEVICE_OST", "{}");
    fake_monitor_event(&f->monitor, "RTC_CHANGE", "{\"offset\": 78}");
    guest_stage_turn();
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "query-cpus-fast"), ==, 1);
}

static void assert_problem(struct guest_stage *f, const char *part)
{
    g_auto(VhGuestPortrait) portrait = {0};
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    const char *problem = "";

    vh_guest_portray(f->guest, &portrait);
    vh_guest_portrait_describe(&portrait, &dict);
    g_assert_true(g_variant_dict_lookup(&dict, "problem", "&s", &problem));
    if (!strstr(problem, part))
        g_error("\"%s\" is not in \"%s\"", part, problem);
}

/* A monitor that names other people's threads is not believed, and that is said until it is over.
 */
static void test_not_believed(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *strangers =
        g_strdup_printf("[{\"cpu-index\": 0, \"qom-path\": \"/cpu0\", \"thread-id\": %d}, "
                        "{\"cpu-index\": 1, \"qom-path\": \"/cpu1\", \"thread-id\": 1}]",
                        f->vcpus[0].tid);

    fake_monitor_reply(&f->monitor, "query-cpus-fast", strangers);
    fake_monitor_withhold(&f->monitor, "qom-get /machine/peripheral/hints");
    guest_stage_start(f);
    guest_stage_greet(f);
    guest_stage_assert_vcpus(f, "0:");
    assert_map(f, ". .");
    g_assert_false(vh_guest_is_settled(f->guest));
    assert_problem(f, "the monitor names thread 1, which is not one of process");
    fake_monitor_answer(&f->monitor, "\"" VH_PORT_NAME "\"");
    guest_stage_turn();
    assert_problem(f, "the monitor names thread 1, which is not one of process");
    fake_monitor_reply(&f->monitor, "query-cpus-fast", f->cpus);
    fake_monitor_event(&f->monitor, "RESET", NULL);
    guest_stage_turn();
    guest_stage_greet(f);
    guest_stage_assert_vcpus(f, "2: 7 3");
    guest_stage_assert_told(f, "problem", "");
}

/* A QEMU that somebody has taken over names a thread that nobody has, and waits with what is asked
 * next until somebody else has it. */
static void test_named_in_advance(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    pid_t number = chosen_number();
    g_autofree char *cpus =
        g_strdup_printf("[{\"cpu-index\": 0, \"qom-path\": \"/cpu0\", \"thread-id\": %d}, "
                        "{\"cpu-index\": 1, \"qom-path\": \"/cpu1\", \"thread-id\": %d}]",
                        f->vcpus[0].tid, number);

    if (!number)
        return;
    fake_monitor_reply(&f->monitor, "query-cpus-fast", cpus);
    fake_monitor_withhold(&f->monitor, "qom-get /cpu0");
    guest_stage_start(f);
    guest_stage_greet(f);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "qom-get /cpu0"), ==, 1);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "qom-get /cpu1"), ==, 0);
    chosen_start(number, NULL, NULL);
    fake_monitor_answer(&f->monitor, "7");
    loop_turn();
    guest_stage_assert_vcpus(f, "1: 7");
    assert_map(f, ". 0");
    /* Now that somebody has it, its word is not believed any more. */
    fake_monitor_event(&f->monitor, "ACPI_DEVICE_OST", "{}");
    guest_stage_turn();
    guest_stage_assert_vcpus(f, "0:");
    assert_problem(f, "which is not one of process");
    chosen_end(number);
}

/* vCPUs are known as long as the monitor is there. */
static void test_monitor_lost(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    g_string_truncate(f->changed, 0);
    fake_monitor_hang_up(&f->monitor);
    LOOP_UNTIL(f->changed->len);
    guest_stage_assert_changed(f, "the guest's monitor is gone; ");
    guest_stage_assert_vcpus(f, "0:");
    g_assert_cmpint(vh_guest_process(f->guest).thread, ==, 0);
    g_assert_true(vh_guest_is_connected(f->guest));
    LOOP_UNTIL(f->changed->len);
    guest_stage_assert_changed(f, "the guest's vCPUs have changed; ");
    guest_stage_assert_vcpus(f, "2: 7 3");
    guest_stage_assert_wishes(f, "- A0");
    g_assert_true(vh_guest_is_settled(f->guest));
}

static void test_monitor_that_says_nothing(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    fake_monitor_withhold(&f->monitor, "qmp_capabilities");
    guest_stage_start(f);
    guest_stage_assert_told(f, "problem", "the monitor has sent no greeting");
    guest_stage_assert_vcpus(f, "0:");
    fake_monitor_answer(&f->monitor, "{}");
    guest_stage_turn();
    guest_stage_assert_vcpus(f, "2: 7 3");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) \
    g_test_add("/guest/cpus/" name, struct guest_stage, NULL, guest_stage_begin, func, \
               guest_stage_end)
    ADD("joined", test_joined);
    ADD("holes", test_holes);
    ADD("plugged-in", test_plugged_in);
    ADD("plugged-out", test_plugged_out);
    ADD("not-believed", test_not_believed);
    ADD("named-in-advance", test_named_in_advance);
    ADD("monitor-lost", test_monitor_lost);
    ADD("monitor-that-says-nothing", test_monitor_that_says_nothing);
    return g_test_run();
}
