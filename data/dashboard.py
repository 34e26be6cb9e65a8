#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the dashboard for Grafana: a row for the daemon, a row for its guests."""
import json
import sys

PANELS = [
    ("stat", "Guests", [("vhint_guests", "managed"), ("vhint_guests_connected", "connected")], "short"),
    ("timeseries", "Rounds", [("rate(vhint_rounds_total[$__rate_interval])", "rounds")], "ops"),
    ("timeseries", "Time of a round", [("rate(vhint_rounds_seconds_total[$__rate_interval]) / "
                                        "rate(vhint_rounds_total[$__rate_interval])", "mean"),
                                       ("rate(vhint_plans_cpu_seconds_total[$__rate_interval]) / "
                                        "rate(vhint_plans_total[$__rate_interval])", "CPU time of its plan")], "s"),
    ("timeseries", "Journal lines lost", [("increase(vhint_journal_dropped_total[$__rate_interval])", "lost")], "short"),
    ("timeseries", "Hints", [('rate(vhint_guest_hints_total{guest=~"$guest"}[$__rate_interval])', "{{guest}}")], "ops"),
    ("timeseries", "vCPUs pinned", [('vhint_guest_vcpus_pinned{guest=~"$guest"}', "{{guest}}")], "short"),
    ("timeseries", "Facts", [('vhint_guest_facts{guest=~"$guest"}', "{{guest}}")], "short"),
    ("timeseries", "Hints lost or refused",
     [('rate(vhint_guest_hints_lost_total{guest=~"$guest"}[$__rate_interval])', "{{guest}} lost"),
      ('rate(vhint_guest_hints_refused_total{guest=~"$guest"}[$__rate_interval])', "{{guest}} refused"),
      ('rate(vhint_guest_gaps_total{guest=~"$guest"}[$__rate_interval])', "{{guest}} gaps")], "ops"),
    ("table", "Guests not connected, or released",
     [("vhint_guest_connected == 0", "{{guest}} not connected"), ("vhint_guest_released == 1", "{{guest}} released")],
     "short"),
    ("timeseries", "vCPUs", [('vhint_guest_vcpus{guest=~"$guest"}', "{{guest}}")], "short"),
]
SOURCE = {"type": "prometheus", "uid": "${source}"}


def panel(number, kind, title, targets, unit):
    return {"id": number + 1, "type": kind, "title": title, "datasource": SOURCE,
            "gridPos": {"h": 8, "w": 12, "x": number % 2 * 12, "y": number // 2 * 8},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [{"refId": chr(ord("A") + i), "expr": expression, "legendFormat": legend, "datasource": SOURCE}
                        for i, (expression, legend) in enumerate(targets)]}


def main():
    variables = [{"name": "source", "type": "datasource", "query": "prometheus", "label": "Data source"},
                 {"name": "guest", "type": "query", "datasource": SOURCE, "query": "label_values(vhint_guest_vcpus, guest)",
                  "includeAll": True, "multi": True, "refresh": 2, "allValue": ".*",
                  "current": {"text": "All", "value": "$__all"}}]
    json.dump({"title": "vhint", "uid": "vhint", "schemaVersion": 38, "version": 1, "editable": True, "refresh": "10s",
               "time": {"from": "now-1h", "to": "now"}, "tags": ["vhint"], "templating": {"list": variables},
               "panels": [panel(number, *what) for number, what in enumerate(PANELS)]}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
