// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/bad-wire.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FRAME_MAX 2048
#define QUIET_MS 20

struct frame {
    gint64 due;
    guint to;
    gsize size;
    guint8 bytes[FRAME_MAX];
};

struct Wire {
    int taps[2];
    struct wire_faults faults;
    GRand *rand;
    GQueue late; /* of frames */
    gint end;    /* atomic */
    GThread *thread;
};

int wire_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    strcpy(request.ifr_name, name);
    g_assert_cmpint(ioctl(fd, TUNSETIFF, &request), ==, 0);
    return fd;
}

/* A tap that is not up, or full, loses a frame: so does a network. */
static void put(const Wire *wire, const struct frame *frame)
{
    ssize_t written = write(wire->taps[frame->to], frame->bytes, frame->size);

    (void)written;
}

static void carry(Wire *wire, const struct frame *frame)
{
    struct frame *late = NULL;

    if ((guint)g_rand_int_range(wire->rand, 0, 10000) < wire->faults.lost)
        return;
    if ((guint)g_rand_int_range(wire->rand, 0, 100) >= wire->faults.delayed) {
        put(wire, frame);
        return;
    }
    late = g_new(struct frame, 1);
    *late = *frame;
    late->due = g_get_monotonic_time() + g_rand_int_range(wire->rand, 0, (gint)wire->faults.most);
    g_queue_push_tail(&wire->late, late);
}

static void take(Wire *wire, guint from)
{
    struct frame frame = {.to = 1 - from};
    ssize_t size = read(wire->taps[from], frame.bytes, sizeof(frame.bytes));

    if (size <= 0)
        return;
    frame.size = (gsize)size;
    carry(wire, &frame);
    if ((guint)g_rand_int_range(wire->rand, 0, 10000) < wire->faults.doubled)
        carry(wire, &frame);
}

/* Whether some are still to come. */
static gboolean put_late(Wire *wire)
{
    gint64 now = g_get_monotonic_time();

    for (GList *link = wire->late.head, *next = NULL; link; link = next) {
        struct frame *frame = link->data;

        next = link->next;
        if (frame->due > now)
            continue;
        put(wire, frame);
        g_free(frame);
        g_queue_delete_link(&wire->late, link);
    }
    return wire->late.length > 0;
}

static gpointer run(gpointer data)
{
    Wire *wire = data;
    struct timespec soon = {.tv_nsec = 50000};
    struct timespec later = {.tv_nsec = QUIET_MS * 1000000};

    while (!g_atomic_int_get(&wire->end)) {
        struct pollfd polled[2] = {{wire->taps[0], POLLIN, 0}, {wire->taps[1], POLLIN, 0}};

        ppoll(polled, 2, put_late(wire) ? &soon : &later, NULL);
        for (guint i = 0; i < 2; i++)
            if (polled[i].revents)
                take(wire, i);
    }
    return NULL;
}

Wire *wire_new(int one, int other, const struct wire_faults *faults)
{
    Wire *wire = g_new0(Wire, 1);

    wire->taps[0] = one;
    wire->taps[1] = other;
    wire->faults = *faults;
    wire->rand = g_rand_new();
    g_queue_init(&wire->late);
    wire->thread = g_thread_new("wire", run, wire);
    return wire;
}

void wire_free(Wire *wire)
{
    g_atomic_int_set(&wire->end, 1);
    g_thread_join(wire->thread);
    g_queue_clear_full(&wire->late, g_free);
    g_rand_free(wire->rand);
    close(wire->taps[0]);
    close(wire->taps[1]);
    g_free(wire);
}
