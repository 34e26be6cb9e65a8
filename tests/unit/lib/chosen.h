/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes whose number the test chooses, as somebody may who has time: by clone3(2). */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* A number that nobody has; 0: none can be chosen here, and the test is skipped. */
pid_t chosen_number(void);
/* A process with that number, which does `run` and then waits to be ended. */
void chosen_start(pid_t number, void (*run)(gpointer data), gpointer data);
/* Ends it: its number is free. */
void chosen_end(pid_t number);
