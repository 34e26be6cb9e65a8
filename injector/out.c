// SPDX-License-Identifier: GPL-2.0-or-later
// Queues encoded frames until the port takes them.
#include "out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

int vh_out_init(struct vh_out *out)
{
    uint8_t *bytes = malloc(VH_OUT_SIZE);

    if (!bytes)
        return -ENOMEM;
    *out = (struct vh_out){.bytes = bytes};
    return 0;
}

void vh_out_free(struct vh_out *out)
{
    free(out->bytes);
    *out = (struct vh_out){0};
}

void vh_out_clear(struct vh_out *out)
{
    out->head = 0;
    out->tail = 0;
}

bool vh_out_full(const struct vh_out *out)
{
    return out->tail - out->head > VH_OUT_FULL;
}

/* Moves what waits to the front when the room behind it is short of `need`. */
static void make_room(struct vh_out *out, size_t need)
{
    if (out->head == 0 || VH_OUT_SIZE - out->tail >= need)
        return;
    memmove(out->bytes, out->bytes + out->head, out->tail - out->head);
    out->tail -= out->head;
    out->head = 0;
}

int vh_out_mark(struct vh_out *out)
{
    make_room(out, 1);
    if (out->tail == VH_OUT_SIZE)
        return -ENOBUFS;
    out->bytes[out->tail++] = 0;
    return 0;
}

int vh_out_frame(struct vh_out *out, enum vh_type type, uint8_t version, uint32_t id,
                 const struct iovec *parts, int count)
{
    size_t len = 0;
    long size;

    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    make_room(out, VH_FRAME_ENCODED(len));
    size = vh_frame_encode(out->bytes + out->tail, VH_OUT_SIZE - out->tail, type, version, id,
                           parts, count);
    if (size < 0)
        return (int)size;
    out->tail += (size_t)size;
    return 0;
}

const uint8_t *vh_out_waiting(const struct vh_out *out, size_t *len)
{
    *len = out->tail - out->head;
    return out->bytes + out->head;
}

void vh_out_written(struct vh_out *out, size_t len)
{
    out->head += len;
    if (out->head == out->tail)
        vh_out_clear(out);
}
