/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/machine/hotplug.c, told by this process what the kernel would say. */
#include "machine/hotplug.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/loop.h"

struct fixture {
    VhHotplug *hotplug;
    int fd;
    unsigned heard;
};

static void on_hotplug(gpointer data)
{
    ((struct fixture *)data)->heard++;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->hotplug = vh_hotplug_new(on_hotplug, f, &error);
    g_assert_no_error(error);
    f->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
    g_assert_cmpint(f->fd, >=, 0);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    close(f->fd);
    vh_hotplug_free(f->hotplug);
}

/* False, and the test is skipped: only root may. */
static bool say(struct fixture *f, const char *text)
{
    /* A process's first netlink socket has its number. */
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = (unsigned)getpid()};

    if (sendto(f->fd, text, strlen(text) + 1, 0, (const struct sockaddr *)&address,
               sizeof(address)) >= 0)
        return true;
    g_test_skip("only root may say something in the kernel's place");
    return false;
}

static void test_cpus(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (!say(f, "offline@/devices/system/cpu/cpu1"))
        return;
    loop_turn();
    g_assert_cmpuint(f->heard, ==, 1);
    say(f, "online@/devices/system/cpu/cpu1");
    loop_turn();
    g_assert_cmpuint(f->heard, ==, 2);
    say(f, "online@/devices/system/memory/memory1");
    loop_turn();
    g_assert_cmpuint(f->heard, ==, 2);
}

static void test_others_wake_nobody(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const char *const texts[] = {"add@/devices/virtual/net/tap0",
                                        "change@/devices/system/cpu/cpu1", "on", ""};

    loop_turn();
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (!say(f, texts[i]))
            return;
        g_assert_false(g_main_context_pending(NULL));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/hotplug/cpus", struct fixture, NULL, set_up, test_cpus, tear_down);
    g_test_add("/hotplug/others-wake-nobody", struct fixture, NULL, set_up, test_others_wake_nobody,
               tear_down);
    return g_test_run();
}
