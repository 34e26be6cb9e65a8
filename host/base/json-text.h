/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON written by hand, for the paths where a builder would cost too much. */
#pragma once

#include <glib.h>

/* Appends `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. What is
 * control (base/printable.h) is escaped. */
void vh_json_append_string(GString *out, const char *text, gssize len);

/* The bytes that vh_json_append_string takes for a character. */
gsize vh_json_size(gunichar c);
/* The same for all of `text`, without the quotes. NULL: 0. */
gsize vh_json_text_size(const char *text);

/* A copy of which that comes to little more than `room`: of a longer text the middle is left out,
 * and how much that was is said in its place. A verifier's last words matter more than what stands
 * before. NULL: NULL. g_free() it. */
char *vh_json_cut(const char *text, gsize room);

/* A copy of JSON that some library has written, which escapes only what JSON asks for: what is
 * control beyond that is escaped, too. It can only be within strings. Bytes that are not UTF-8
 * become U+FFFD. g_free() it. */
char *vh_json_escape(const char *json);
