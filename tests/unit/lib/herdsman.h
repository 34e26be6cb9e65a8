/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A manager of a herd (herd.h), put together without inventories, sockets and a warden. */
#pragma once

#include "lib/herd.h"
#include "manager/state.h"

struct herdsman {
    struct herd herd;
    VhManager manager;
    VhConfig config;
};

/* A fixture's set-up and tear-down; `policy`: the text of vhint.conf, NULL for none. */
void herdsman_begin(struct herdsman *f, gconstpointer policy);
void herdsman_end(struct herdsman *f, gconstpointer data);

/* As herd_replace: another daemon, with a manager to which no guest has come. */
void herdsman_replace(struct herdsman *f);
/* Turns the main loop until `rounds` rounds have been made because guests changed. */
void herdsman_wait(struct herdsman *f, guint64 rounds);
/* What a guest's maker has said of it: the test's to change before anybody looks. */
struct vh_config_guest *herdsman_config(const struct vh_entry *entry);
