// SPDX-License-Identifier: GPL-2.0-or-later
// Guesses the word that was meant.
#include "base/nearest.h"

#include <glib.h>
#include <string.h>

#define WORD_MAX 64

static guint distance(const char *a, const char *b)
{
    guint row[WORD_MAX];
    guint width = (guint)strlen(b);

    if (width >= G_N_ELEMENTS(row))
        return G_MAXUINT;
    for (guint j = 0; j <= width; j++)
        row[j] = j;
    for (guint i = 1; a[i - 1]; i++) {
        guint diagonal = row[0];

        row[0] = i;
        for (guint j = 1; j <= width; j++) {
            guint above = row[j];
            guint change = diagonal + (g_ascii_tolower(a[i - 1]) != g_ascii_tolower(b[j - 1]));

            row[j] = MIN(MIN(above, row[j - 1]) + 1, change);
            diagonal = above;
        }
    }
    return row[width];
}

const char *vh_nearest(const char *word, const char *const *known)
{
    const char *best = NULL;
    guint best_distance = G_MAXUINT;

    if (strlen(word) >= WORD_MAX)
        return NULL;
    for (guint i = 0; known[i]; i++) {
        guint found = distance(word, known[i]);

        if (found >= best_distance)
            continue;
        best = known[i];
        best_distance = found;
    }
    return best;
}
