# SPDX-License-Identifier: GPL-2.0-or-later
"""What every benchmark shares: its arguments, its rows, medians with spread."""
import argparse
import json
import os
import statistics
import sys

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(TOP, "tests/e2e"))


# The shortest run there is, which shows that a bench runs: its figures mean nothing.
SMOKE = "--smoke" in sys.argv


def brief(value, smoke):
    """A constant of a bench, and what it is with --smoke."""
    return smoke if SMOKE else value


def percentile(values, percent):
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def spread(values):
    """Quartiles, for people: "0.31 [0.29-0.35]"."""
    return f"{statistics.median(values):.3g} [{percentile(values, 25):.3g}-{percentile(values, 75):.3g}]"


class Rows:
    def __init__(self, bench):
        parser = argparse.ArgumentParser(description=f"The benchmark {bench}; see docs/benchmarks.md.")
        parser.add_argument("--json", metavar="FILE", help="write the rows there, too, one JSON array")
        parser.add_argument("--runs", type=int, help="measurements of each kind")
        parser.add_argument("--smoke", action="store_true", help="the shortest run there is; its figures mean nothing")
        self.options = parser.parse_args()
        self.bench = bench
        self.rows = []

    def add(self, name, unit, value, baseline, runs, note=""):
        """One row; `baseline` was measured in this same run."""
        ratio = value / baseline if baseline else None
        self.rows.append({"bench": self.bench, "name": name, "unit": unit, "value": value, "baseline": baseline,
                          "ratio": ratio, "runs": runs})
        shown = f"{ratio:.2f} x" if ratio is not None else "-"
        print(f"{name:24} {value:10.4g} {unit:6} baseline {baseline:10.4g}  ratio {shown:>8}  runs {runs}  {note}",
              flush=True)

    def finish(self):
        if self.options.json:
            with open(self.options.json, "w") as file:
                json.dump(self.rows, file, indent=1)
                file.write("\n")
        return 0
