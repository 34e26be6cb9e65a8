/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A QEMU's monitor on a UNIX socket, on the main loop: it greets, answers commands as it was told
 * to, and says events. */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct fake_monitor {
    char *path;
    int listener;
    guint accepting; /* a source; 0: none */
    int fd;          /* -1: nobody is connected */
    guint reading;
    GString *input;
    GHashTable *replies;  /* command -> JSON of what it returns */
    GHashTable *heard;    /* command -> how often */
    GHashTable *withheld; /* commands that are not answered by themselves */
    GQueue *waiting;      /* ids of those, as text */
    char *last;           /* the command that came last, as it was said */
};

/* Listens at DIRECTORY/monitor. */
void fake_monitor_begin(struct fake_monitor *monitor, const char *directory);
void fake_monitor_end(struct fake_monitor *monitor);

/* From now on `command` returns `json`; NULL: it fails. A command whose arguments have a path, as
 * qom-get, is called "qom-get PATH". */
void fake_monitor_reply(struct fake_monitor *monitor, const char *command, const char *json);
/* From now on `command` waits for fake_monitor_answer. */
void fake_monitor_withhold(struct fake_monitor *monitor, const char *command);
/* Answers the one of them that has waited longest. */
void fake_monitor_answer(struct fake_monitor *monitor, const char *json);
/* `data` as JSON; NULL: the event has none. */
void fake_monitor_event(struct fake_monitor *monitor, const char *name, const char *data);
/* How often it was given since the last call. */
guint fake_monitor_heard(struct fake_monitor *monitor, const char *command);
void fake_monitor_hang_up(struct fake_monitor *monitor);
