/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/quiet.h"

#include <glib.h>

static void on_log(G_GNUC_UNUSED const gchar *domain, GLogLevelFlags level, const gchar *text,
                   G_GNUC_UNUSED gpointer data)
{
    if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
        g_error("%s", text);
    g_assert(g_utf8_validate(text, -1, NULL));
}

void log_begin(void)
{
    g_log_set_default_handler(on_log, NULL);
}
