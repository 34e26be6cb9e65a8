/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fake-port.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "lib/listener.h"

static void drop_connection(struct fake_port *port)
{
    g_clear_handle_id(&port->reading, g_source_remove);
    if (port->fd >= 0)
        close(port->fd);
    port->fd = -1;
    vh_decoder_reset(&port->decoder);
}

static void take_frame(struct fake_port *port, const struct vh_frame *frame)
{
    if (frame->type == VH_HELLO)
        g_assert_cmpint(vh_msg_hello(frame, &port->hello), ==, 0);
    else if (frame->type != VH_CHUNK)
        port->last_id = frame->id;
    g_string_append_printf(port->heard, "%s ", vh_type_name(frame->type));
}

static gboolean on_input(gint fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
    struct fake_port *port = data;
    uint8_t bytes[4096];
    const uint8_t *at = bytes;
    struct vh_frame frame;
    ssize_t len = read(fd, bytes, sizeof(bytes));
    size_t left = 0;

    if (len < 0 && errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    if (len <= 0) {
        port->reading = 0;
        drop_connection(port);
        return G_SOURCE_REMOVE;
    }
    left = (size_t)len;
    while (vh_decoder_feed(&port->decoder, &at, &left, &frame) == 1)
        take_frame(port, &frame);
    return G_SOURCE_CONTINUE;
}

static gboolean on_client(gint fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
    struct fake_port *port = data;

    g_assert_cmpint(port->fd, <, 0);
    port->fd = listener_accept(fd);
    port->reading = g_unix_fd_add(port->fd, G_IO_IN | G_IO_HUP, on_input, port);
    return G_SOURCE_CONTINUE;
}

void fake_port_begin(struct fake_port *port, const char *directory)
{
    *port = (struct fake_port){.path = g_build_filename(directory, "channel", NULL),
                               .listener = -1,
                               .fd = -1,
                               .buffer = g_malloc(VH_DECODER_BUFFER),
                               .heard = g_string_new(NULL)};
    vh_decoder_init(&port->decoder, port->buffer);
}

void fake_port_listen(struct fake_port *port)
{
    port->listener = listener_open(port->path);
    port->accepting = g_unix_fd_add(port->listener, G_IO_IN, on_client, port);
}

void fake_port_end(struct fake_port *port)
{
    drop_connection(port);
    g_clear_handle_id(&port->accepting, g_source_remove);
    if (port->listener >= 0)
        close(port->listener);
    g_free(port->buffer);
    g_string_free(port->heard, TRUE);
    g_free(port->path);
}

bool fake_port_is_connected(const struct fake_port *port)
{
    return port->fd >= 0;
}

void fake_port_assert_heard(struct fake_port *port, const char *expected)
{
    g_assert_cmpstr(port->heard->str, ==, expected);
    g_string_truncate(port->heard, 0);
}

void fake_port_say(struct fake_port *port, enum vh_type type, uint32_t id, const void *a,
                   size_t a_len, const void *b, size_t b_len)
{
    struct iovec parts[] = {{(void *)a, a_len}, {(void *)b, b_len}};
    g_autofree uint8_t *out = g_malloc(VH_FRAME_ENCODED(a_len + b_len));
    long len = vh_frame_encode(out, VH_FRAME_ENCODED(a_len + b_len), type,
                               type == VH_HELLO ? 0 : VH_WIRE_MAX, id, parts, 2);

    g_assert_cmpint(write(port->fd, out, (size_t)len), ==, len);
}

void fake_port_hello(struct fake_port *port, uint64_t session, uint16_t version_min,
                     uint16_t version_max)
{
    const struct vh_hello hello = {.magic = VH_HELLO_MAGIC,
                                   .version_min = version_min,
                                   .version_max = version_max,
                                   .session = session,
                                   .peer = port->hello.session,
                                   .role = VH_ROLE_GUEST,
                                   .boot_id = {0x12, 0x34, [14] = port->boot, [15] = 0xff},
                                   .release = "6.1.0-test",
                                   .agent = "fake 1"};

    fake_port_say(port, VH_HELLO, 0, &hello, sizeof(hello), NULL, 0);
}

void fake_port_cpus(struct fake_port *port, const uint32_t *apic_ids, uint32_t count)
{
    struct vh_cpus head = {.count = count};
    struct vh_cpu cpus[8] = {{0}};

    g_assert_cmpuint(count, <=, G_N_ELEMENTS(cpus));
    for (uint32_t i = 0; i < count; i++)
        cpus[i] = (struct vh_cpu){.cpu = i, .apic_id = apic_ids[i], .flags = VH_CPU_ONLINE};
    fake_port_say(port, VH_CPUS, 0, &head, sizeof(head), cpus, count * sizeof(cpus[0]));
}

void fake_port_programs(struct fake_port *port, uint32_t id, const char *name,
                        const uint8_t digest[VH_DIGEST_SIZE], uint64_t seq)
{
    struct vh_programs head = {.count = id ? 1 : 0};
    struct vh_program program = {
        .id = id, .flags = VH_PROGRAM_HINTS | VH_PROGRAM_STATE, .attached = 2, .seq = seq};

    g_strlcpy(program.name, name, sizeof(program.name));
    memcpy(program.digest, digest, sizeof(program.digest));
    fake_port_say(port, VH_PROGRAMS, 0, &head, sizeof(head), &program, id ? sizeof(program) : 0);
}

void fake_port_answer(struct fake_port *port, uint32_t error)
{
    struct vh_answer answer = {.error = error};

    fake_port_say(port, VH_ANSWER, port->last_id, &answer, sizeof(answer), NULL, 0);
}

void fake_port_hang_up(struct fake_port *port)
{
    g_assert_cmpint(port->fd, >=, 0);
    drop_connection(port);
}
