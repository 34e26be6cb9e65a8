// SPDX-License-Identifier: GPL-2.0-or-later
// Assembles objects and checks their digests: see transfer.h.
#include "transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static_assert(crypto_hash_sha256_BYTES == VH_DIGEST_SIZE, "the digest is SHA-256");

#define HEX_SIZE (2 * VH_DIGEST_SIZE + 1)

static void hex(char out[HEX_SIZE], const uint8_t digest[VH_DIGEST_SIZE])
{
    for (size_t i = 0; i < VH_DIGEST_SIZE; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

int vh_transfer_begin(struct vh_transfer *transfer, uint32_t id, const struct vh_load *load,
                      const char *tunables, char *text)
{
    vh_autofree char *copy = NULL;
    vh_autofree uint8_t *object = NULL;

    if (load->size == 0 || load->size > VH_OBJECT_MAX) {
        snprintf(text, VH_TEXT_MAX, "%s: an object of %u bytes; it must have 1 to %u", load->name,
                 load->size, VH_OBJECT_MAX);
        return -EFBIG;
    }
    copy = malloc(load->tunables_len + 1u);
    object = malloc(load->size);
    if (!copy || !object) {
        snprintf(text, VH_TEXT_MAX, "%s: the guest has no memory for an object of %u bytes",
                 load->name, load->size);
        return -ENOMEM;
    }
    memcpy(copy, tunables, load->tunables_len);
    copy[load->tunables_len] = 0;
    *transfer = (struct vh_transfer){.active = true, .id = id, .load = *load};
    crypto_hash_sha256_init(&transfer->digest);
    transfer->tunables = vh_take(copy);
    transfer->object = vh_take(object);
    return 0;
}

static int check_digest(struct vh_transfer *transfer, char *text)
{
    uint8_t digest[VH_DIGEST_SIZE];
    char said[HEX_SIZE];
    char found[HEX_SIZE];

    crypto_hash_sha256_final(&transfer->digest, digest);
    if (memcmp(digest, transfer->load.digest, sizeof(digest)) == 0)
        return 1;
    hex(said, transfer->load.digest);
    hex(found, digest);
    snprintf(text, VH_TEXT_MAX,
             "%s: the object that arrived has the SHA-256 %s, announced was %s; send it again",
             transfer->load.name, found, said);
    return -EBADMSG;
}

int vh_transfer_add(struct vh_transfer *transfer, const struct vh_chunk *chunk, const uint8_t *data,
                    uint32_t len, char *text)
{
    const struct vh_load *load = &transfer->load;

    if (chunk->offset != transfer->got) {
        snprintf(text, VH_TEXT_MAX, "%s: a chunk for offset %u where %u was next", load->name,
                 chunk->offset, transfer->got);
        return -EPROTO;
    }
    if (len > load->size - transfer->got) {
        snprintf(text, VH_TEXT_MAX,
                 "%s: a chunk of %u bytes at offset %u passes the object's end at %u", load->name,
                 len, chunk->offset, load->size);
        return -EPROTO;
    }
    memcpy(transfer->object + transfer->got, data, len);
    crypto_hash_sha256_update(&transfer->digest, data, len);
    transfer->got += len;
    return transfer->got == load->size ? check_digest(transfer, text) : 0;
}

struct vh_transfer vh_transfer_take(struct vh_transfer *transfer)
{
    struct vh_transfer taken = *transfer;

    *transfer = (struct vh_transfer){.id = taken.id};
    return taken;
}

void vh_transfer_end(struct vh_transfer *transfer)
{
    uint32_t id = transfer->id;

    free(transfer->tunables);
    free(transfer->object);
    *transfer = (struct vh_transfer){.id = id};
}
