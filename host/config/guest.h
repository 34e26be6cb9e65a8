/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a guest before anybody has spoken with it: plain data. */
#pragma once

/* "" or NULL for what it does not have. */
struct vh_guest_id {
    const char *name;
    const char *uuid;
    const char *profile;
};

struct vh_maker; /* inventory/maker.h */

/* A guest of vhint.conf, or one that an inventory has found. */
struct vh_config_guest {
    char *name;
    char *title;   /* what sections match for a name; often the same */
    char *uuid;    /* "" if not given */
    char *profile; /* "" if it has none */
    char *qmp;     /* NULL: its maker opens the monitor */
    char *channel; /* NULL: it has none */
    char *agent;   /* NULL: reached through its maker, if at all */
    char *cpus;  /* what its threads may use by its maker's word where nobody pins them, in the list
                    format of cpuset(7); NULL: every CPU, or not known */
    char *nodes; /* NUMA nodes of its memory, in the list format of cpuset(7); NULL: not known */
    char *travels;                /* what it has brought along (programs/travel.h); NULL: nothing */
    const struct vh_maker *maker; /* static; NULL: vhint.conf, which can do nothing for it */
    void *owner;                  /* the maker's */
};
