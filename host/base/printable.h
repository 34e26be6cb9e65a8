/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text for a terminal. */
#pragma once

#include <stdbool.h>

/* `text` with everything that could steer a terminal written as \x1b or \u202e: guests choose many
 * of these texts. `lines` leaves newlines and tabs as they are. g_free() it. */
char *vh_text_printable(const char *text, bool lines);

/* Columns `text` takes on a terminal. */
int vh_text_width(const char *text);
