/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record of our pins as a domain's metadata has it, from another host or from a stranger. */
#include "libvirt/pins-sync.h"

static void on_pin(struct vh_seat seat, const struct vh_cpuset *former,
                   const struct vh_cpuset *ours, gpointer data)
{
    g_autofree char *name = vh_seat_pin_name(seat);
    g_autofree char *former_text = former ? vh_cpuset_format(former) : g_strdup("any");
    g_autofree char *ours_text = vh_cpuset_format(ours);

    g_string_append_printf(data, "%s %s %s|", name, former_text, ours_text);
}

static void test_metadata(void)
{
    static const struct {
        const char *text, *pins;
    } cases[] = {
        {"", ""},
        {"vcpupin0 * 1", "vcpupin0 any 1|"},
        {"vcpupin0 0-3 1;emulatorpin * 2;iothreadpin2 1,3 0",
         "vcpupin0 0-3 1|emulatorpin any 2|iothreadpin2 1,3 0|"},
        {";;vcpupin1 * 1;", "vcpupin1 any 1|"},
        {"vcpupin0;vcpupin0 *;vcpupin0 * *;vcpupin0 * x;pin0 * 1;vcpupin0 x 1;vcpupin99999999999 * "
         "1",
         ""},
        {"vcpupin0 * 1 2", ""},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) got = g_string_new(NULL);

        vh_pin_record_parse(cases[i].text, on_pin, got);
        g_assert_cmpstr(got->str, ==, cases[i].pins);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt-pins-sync/metadata", test_metadata);
    return g_test_run();
}
