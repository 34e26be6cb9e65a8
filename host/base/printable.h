/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text for a terminal. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The one table of what is never shown or written as it is: what steers a terminal (C0, DEL, C1),
 * what changes the order or form of text around it (bidi marks and other format characters), what
 * breaks lines, and what is no character. Terminals, JSON and the journal all go by it. */
bool vh_text_is_control(gunichar c);

/* `text` with every control character written as \x1b or \u202e: guests choose many
 * of these texts. `lines` leaves newlines and tabs as they are. g_free() it. */
char *vh_text_printable(const char *text, bool lines);

/* Columns that a character, or a text, takes on a terminal. */
int vh_text_char_width(gunichar c);
int vh_text_width(const char *text);
