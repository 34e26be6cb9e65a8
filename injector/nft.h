/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of this network namespace, as nf_tables tells them: a dump by netlink
 * (linux/netfilter/nf_tables.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Dumps that are larger are cut off with -E2BIG. */
#define VH_NFT_DUMP_MAX ((size_t)16 << 20)

struct vh_nft_dump {
    uint8_t *bytes; /* messages, one after the other: tables, chains, sets, elements, rules, ... */
    size_t size;
    size_t room;
    uint32_t generation; /* of the rules; the kernel counts their changes */
};

/* A blocking descriptor to ask the kernel with, or -errno. */
int vh_nft_open(void);

/* Takes all rules of one generation; a change meanwhile lets it begin anew, a few times: -EAGAIN
 * then. What the dump had before goes. 0 or -errno. */
int vh_nft_dump(int fd, struct vh_nft_dump *dump);

/* The generation now. 0 or -errno; -ENOENT and the like: the kernel has no nf_tables. */
int vh_nft_generation(int fd, uint32_t *generation);

void vh_nft_dump_free(struct vh_nft_dump *dump);
