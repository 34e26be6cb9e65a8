/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Assembles one object from a LOAD and its CHUNKs. Pure; the object's memory is allocated once, and
 * its digest worked out as it comes: of 16 MiB at once that would hold hints up. */
#pragma once

#include <sodium/crypto_hash_sha256.h>
#include <stdbool.h>

#include "msg.h"

struct vh_transfer {
    bool active;
    uint32_t id; /* of the LOAD being assembled, or of the last one that ended: its late CHUNKs mean
                    nothing */
    struct vh_load load;
    char *tunables;  /* load.tunables_len bytes, owned */
    uint8_t *object; /* load.size bytes, owned */
    uint32_t got;
    crypto_hash_sha256_state digest; /* of what has come */
};

/* Begins with a LOAD's contents. 0, -EFBIG or -ENOMEM; `text` (VH_TEXT_MAX + 1 bytes) then says
 * why. */
int vh_transfer_begin(struct vh_transfer *transfer, uint32_t id, const struct vh_load *load,
                      const char *tunables, char *text);

/* Adds a chunk: 0 when more is to come, 1 when the object is whole and its digest right, -EPROTO or
 * -EBADMSG with `text`. */
int vh_transfer_add(struct vh_transfer *transfer, const struct vh_chunk *chunk, const uint8_t *data,
                    uint32_t len, char *text);

/* Hands the object and all that was said of it on; `id` stays. */
struct vh_transfer vh_transfer_take(struct vh_transfer *transfer);

/* Frees the object; `id` stays. */
void vh_transfer_end(struct vh_transfer *transfer);
