/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Serves figures to Prometheus, from a thread of its own.
 *
 * A scrape asks the main loop for a snapshot (figures.h), at most once in VH_METRICS_AGE_MS however
 * many scrape, and waits for it without holding up others; text is made and sent on the server's
 * thread. So a client costs the hint path one copy of numbers, and one that reads slowly nothing.
 * At most VH_METRICS_CLIENTS at a time, each for VH_METRICS_TIMEOUT_S without progress. */
#pragma once

#include <gio/gio.h>

#include "metrics/figures.h"

#define VH_METRICS_CLIENTS 16u
#define VH_METRICS_TIMEOUT_S 10u
#define VH_METRICS_AGE_MS 500

typedef struct VhMetrics VhMetrics;

/* Listens at `address` ("127.0.0.1:9477", "[::1]:9477"; this machine only). `collect` is called on
 * the main loop. NULL and VH_ERROR_FAILED. */
VhMetrics *vh_metrics_new(const char *address, VhFiguresFunc collect, gpointer data,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Hangs up on all clients. NULL is fine. */
void vh_metrics_free(VhMetrics *metrics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhMetrics, vh_metrics_free)
