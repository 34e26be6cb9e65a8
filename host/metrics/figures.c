// SPDX-License-Identifier: GPL-2.0-or-later
// Writes figures in Prometheus' text format. docs/metrics.md is the list of them for people.
#include "metrics/figures.h"

#include <inttypes.h>

#define NS_PER_SEC 1000000000u

struct guest_metric {
    const char *name, *type, *help;
    uint64_t (*value)(const struct vh_guest_figures *guest);
};

#define VALUE(field) \
    static uint64_t get_##field(const struct vh_guest_figures *guest) \
    { \
        return guest->field; \
    }
VALUE(connected)
VALUE(held)
VALUE(vcpus)
VALUE(pinned)
VALUE(facts)
VALUE(hints)
VALUE(lost)
VALUE(refused)
VALUE(gaps)

static const struct guest_metric guest_metrics[] = {
    {"vhint_guest_connected", "gauge", "Whether the guest's injector is connected.", get_connected},
    {"vhint_guest_released", "gauge", "Whether the guest was released by hand.", get_held},
    {"vhint_guest_vcpus", "gauge", "vCPUs of the guest that are known.", get_vcpus},
    {"vhint_guest_vcpus_pinned", "gauge", "vCPUs of the guest whose host CPUs vhintd has set.",
     get_pinned},
    {"vhint_guest_facts", "gauge", "Facts that hold in the guest.", get_facts},
    {"vhint_guest_hints_total", "counter", "Hints received since the injector has connected.",
     get_hints},
    {"vhint_guest_hints_lost_total", "counter", "Hints that the guest's programs could not emit.",
     get_lost},
    {"vhint_guest_hints_refused_total", "counter", "Hints refused, or not acted upon.",
     get_refused},
    {"vhint_guest_gaps_total", "counter", "Gaps noticed, each followed by a snapshot.", get_gaps},
};

static void head(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(GString *text, const char *name, const char *type, const char *help, uint64_t value)
{
    head(text, name, type, help);
    g_string_append_printf(text, "%s %" PRIu64 "\n", name, value);
}

/* Names of guests are letters, digits and "_.-" when they come from a file; libvirt allows more. */
static void append_label(GString *text, const char *value)
{
    for (const char *at = value; *at; at++) {
        if (*at == '\\' || *at == '"')
            g_string_append_printf(text, "\\%c", *at);
        else if (*at == '\n')
            g_string_append(text, "\\n");
        else
            g_string_append_c(text, *at);
    }
}

static void add_guests(GString *text, const struct vh_figures *figures)
{
    for (gsize i = 0; i < G_N_ELEMENTS(guest_metrics) && figures->count; i++) {
        const struct guest_metric *metric = &guest_metrics[i];

        head(text, metric->name, metric->type, metric->help);
        for (unsigned j = 0; j < figures->count; j++) {
            g_string_append_printf(text, "%s{guest=\"", metric->name);
            append_label(text, figures->each[j].name);
            g_string_append_printf(text, "\"} %" PRIu64 "\n", metric->value(&figures->each[j]));
        }
    }
}

char *vh_figures_text(const struct vh_figures *figures)
{
    GString *text = g_string_sized_new(1024 + figures->count * 1024);

    head(text, "vhint_build_info", "gauge", "The version of vhintd, always 1.");
    g_string_append(text, "vhint_build_info{version=\"" VH_VERSION "\"} 1\n");
    one(text, "vhint_guests", "gauge", "Guests under management.", figures->guests);
    one(text, "vhint_guests_connected", "gauge", "Guests whose injector is connected.",
        figures->connected);
    one(text, "vhint_rounds_total", "counter",
        "Rounds from all guests' wishes to the host's threads.", figures->rounds);
    head(text, "vhint_rounds_seconds_total", "counter", "Time that the rounds took.");
    g_string_append_printf(text, "vhint_rounds_seconds_total %" PRId64 ".%06" PRId64 "\n",
                           figures->round_us / G_USEC_PER_SEC, figures->round_us % G_USEC_PER_SEC);
    one(text, "vhint_plans_total", "counter", "Plans made: a round makes one, or two.",
        figures->plans);
    head(text, "vhint_plans_cpu_seconds_total", "counter", "CPU time that making the plans took.");
    g_string_append_printf(text, "vhint_plans_cpu_seconds_total %" PRIu64 ".%09" PRIu64 "\n",
                           figures->plan_ns / NS_PER_SEC, figures->plan_ns % NS_PER_SEC);
    one(text, "vhint_journal_dropped_total", "counter", "Lines of the journal that were lost.",
        figures->journal_dropped);
    add_guests(text, figures);
    return g_string_free(text, FALSE);
}
