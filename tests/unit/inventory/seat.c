/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory/seat.h"

static void test_names(void)
{
    static const struct {
        struct vh_seat seat;
        const char *pin, *text;
    } all[] = {
        {{VH_SEAT_VCPU, 0}, "vcpupin0", "vCPU 0"},
        {{VH_SEAT_VCPU, VH_SEAT_ID_MAX}, "vcpupin4095", "vCPU 4095"},
        {{VH_SEAT_EMULATOR, 0}, "emulatorpin", "emulator"},
        {{VH_SEAT_IOTHREAD, 1}, "iothreadpin1", "IOThread 1"},
    };
    g_autoptr(GHashTable) keys = g_hash_table_new(NULL, NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *pin = vh_seat_pin_name(all[i].seat);
        g_autofree char *text = vh_seat_text(all[i].seat);
        struct vh_seat seat = {0};

        g_assert_cmpstr(pin, ==, all[i].pin);
        g_assert_cmpstr(text, ==, all[i].text);
        g_assert_true(vh_seat_parse(pin, &seat));
        g_assert_cmpint(seat.kind, ==, all[i].seat.kind);
        g_assert_cmpuint(seat.id, ==, all[i].seat.id);
        g_assert_true(g_hash_table_add(keys, GUINT_TO_POINTER(vh_seat_key(seat))));
    }
}

static void test_others(void)
{
    static const char *const names[] = {
        "",           "vcpupin",      "vcpupin-1",   "vcpupin4096", "vcpupin1x",
        "emulatorpi", "emulatorpin0", "iothreadpin", "vcpusched0",  "cputune.vcpupin0"};
    struct vh_seat seat;

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_false(vh_seat_parse(names[i], &seat));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/seat/names", test_names);
    g_test_add_func("/seat/others", test_others);
    return g_test_run();
}
