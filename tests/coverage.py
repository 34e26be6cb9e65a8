#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The share of lines that the unit tests reach, by folder, against the floors in tests/coverage.json.

usage: coverage.py BUILD [--raise]. A folder below its floor fails. --raise writes what is reached now where that is more: a floor
only rises. gcovr makes the figures; BUILD/coverage/index.html shows each line."""
import collections
import json
import os
import subprocess
import sys

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
FLOORS = os.path.join(TOP, "tests/coverage.json")
SLACK = 0.5  # percent, that timing may cost


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "host" else parts[0]


def reached(build):
    """{folder: percent}"""
    pages = os.path.join(build, "coverage")
    os.makedirs(pages, exist_ok=True)
    summary = os.path.join(pages, "summary.json")
    subprocess.run(["gcovr", "--root", TOP, "--object-directory", build, "--filter", "host/", "--filter", "injector/", "--filter",
                    "protocol/", "--json-summary", summary, "--html-details", os.path.join(pages, "index.html")], cwd=TOP, check=True)
    covered, total = collections.Counter(), collections.Counter()
    with open(summary) as file:
        for entry in json.load(file)["files"]:
            covered[folder_of(entry["filename"])] += entry["line_covered"]
            total[folder_of(entry["filename"])] += entry["line_total"]
    return {folder: round(100 * covered[folder] / total[folder], 1) for folder in sorted(total) if total[folder]}


def main():
    with open(FLOORS) as file:
        floors = json.load(file)
    now = reached(sys.argv[1])
    low = 0
    for folder, percent in now.items():
        floor = floors.get(folder, 0)
        below = percent < floor - SLACK
        low += below
        print(f"{folder:16} {percent:5.1f} %  floor {floor:5.1f} %{'  BELOW' if below else ''}")
    if "--raise" in sys.argv:
        with open(FLOORS, "w") as file:
            json.dump({folder: max(percent, floors.get(folder, 0)) for folder, percent in now.items()}, file, indent=1)
            file.write("\n")
    if low:
        print(f"coverage: {low} folders are below their floor: write the tests that are missing", file=sys.stderr)
    return bool(low)


sys.exit(main())
