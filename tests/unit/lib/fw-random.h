/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Made-up rules, and packets that they tell apart: both choose from the same few values. */
#pragma once

#include "lib/fw-world.h"

/* Tables in nft's language, which nft may not take. The caller frees it. */
char *random_rules(GRand *rand);

/* What comes to the guest; now and then what no guest should be sent. */
void random_packet(GRand *rand, guint16 id, struct world_packet *packet);

/* What the guest sends, from the IP header on. */
void random_answer(GRand *rand, guint16 id, struct world_packet *packet);
