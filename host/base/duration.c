// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes durations.
#include "base/duration.h"

#include "base/error.h"

static const struct unit {
    const char *name;
    gint64 us;
} units[] = {{"h", (gint64)3600 * G_USEC_PER_SEC},
             {"m", (gint64)60 * G_USEC_PER_SEC},
             {"s", G_USEC_PER_SEC},
             {"ms", 1000},
             {"us", 1}};

int vh_duration_parse(const char *text, gint64 *us, GError **error)
{
    char *end = NULL;
    guint64 number = g_ascii_strtoull(text, &end, 10);

    if (!g_ascii_isdigit(*text))
        return vh_invalid(error, "\"%s\" is no duration: write 250ms, 2s, 5m or 1h", text);
    if (number == 0 && !*end) {
        *us = 0;
        return 0;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
        if (!g_str_equal(end, units[i].name))
            continue;
        if (number > (guint64)(VH_DURATION_MAX_US / units[i].us))
            return vh_invalid(error, "\"%s\" is longer than 24h", text);
        *us = (gint64)number * units[i].us;
        return 0;
    }
    return vh_invalid(error, "\"%s\" has %s unit: write 250ms, 2s, 5m or 1h", text,
                      *end ? "an unknown" : "no");
}

char *vh_duration_text(gint64 us)
{
    const struct unit *unit = units;

    while (us % unit->us)
        unit++;
    return us ? g_strdup_printf("%" G_GINT64_FORMAT "%s", us / unit->us, unit->name)
              : g_strdup("0");
}
