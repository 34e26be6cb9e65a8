/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON written by hand, for the paths where a builder would cost too much. */
#pragma once

#include <glib.h>

/* Appends `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void vh_json_append_string(GString *out, const char *text, gssize len);
