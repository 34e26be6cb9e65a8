/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The known word that somebody who mistyped one has probably meant. */
#pragma once

/* Of the NULL-terminated list `known`, by Levenshtein's distance, case ignored; the first of
 * equals. NULL: the list is empty, or the word is too long to guess. */
const char *vh_nearest(const char *word, const char *const *known);
