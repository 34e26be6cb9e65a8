/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about the rules of this guest's firewall, for a program that says vh_collect_rules
 * (guest-bpf/vhint.bpf.h): protocol/guest-rules.h tells what they are. */
#pragma once

#include <stdint.h>

/* What a program that collects keeps open: while somebody listens, the kernel tells of changes, and
 * the program sees it do so. */
struct vh_rules {
    int nft;   /* hears of rules; -1: the kernel has none */
    int route; /* of interfaces, addresses and routes */
};

/* 0 or -errno. */
int vh_rules_open(struct vh_rules *rules);
void vh_rules_close(struct vh_rules *rules);

/* Puts what holds now into `state`, part by part, and takes out what is left of a former whole. 0
 * or -errno. Slow: a job's. */
int vh_rules_collect(int state);
