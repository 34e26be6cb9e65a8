# SPDX-License-Identifier: GPL-2.0-or-later
"""What docs/security.md tells of limits and fuzz targets is so in the sources."""
import os
import re
import unittest

from vhtest import setting

UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "%": 1, "ms": 1, "us": 1, "s": 1}


def read(*path):
    with open(os.path.join(setting.TOP, *path)) as file:
        return file.read()


def rows(text):
    """Of the tables of limits: (what, at most, constant, file, test)."""
    for line in text.splitlines():
        match = re.fullmatch(r"\| ([^|]+) \| ([^|]+) \| `(\w+)` (\S+) \| (\S+) \|", line)
        if match:
            yield match.groups()


def value(constant, text):
    """What it is defined as, where that is a number; None: it is not defined there."""
    match = re.search(rf"#define {constant}\b\s*(?:\\\n)?\s*((?:[^/\n\\]|/(?!\*))+)", text)
    if not match:
        return None
    words = re.sub(r"\b(\d+)(?:u|ull|ll)\b", r"\1", re.sub(r"\(gint64\)", "", match[1]))
    return eval(words) if re.fullmatch(r"[\d\s()<*+-]+", words) else words  # numbers and signs only


class Security(unittest.TestCase):
    def setUp(self):
        self.text = read("docs/security.md")
        self.rows = list(rows(self.text))

    def test_limits_are_those_of_the_sources(self):
        self.assertGreater(len(self.rows), 50)
        for what, most, constant, path, _ in self.rows:
            with self.subTest(what):
                path = path if path.startswith(("protocol/", "injector/")) else os.path.join("host", path)
                found = value(constant, read(path))
                self.assertIsNotNone(found, f"{path} does not define {constant}")
                said = re.match(r"(\d+)(?: (KiB|MiB|%|ms|us|s)\b)?", most)
                if said and isinstance(found, int):
                    self.assertEqual(int(said[1]) * UNITS[said[2] or ""], found, f"{constant} of {path}")

    def test_tests_are_there(self):
        targets = read("tests/fuzz/meson.build")
        for what, _, _, _, test in self.rows:
            with self.subTest(what):
                if test.startswith("fuzz-"):
                    self.assertIn(f"['{test.removeprefix('fuzz-')}',", targets)
                else:
                    path = os.path.join("tests", test if test.startswith("e2e/") else os.path.join("unit", test))
                    self.assertTrue(os.path.exists(os.path.join(setting.TOP, path)), path)

    def test_what_is_said_to_show_it_is_there(self):
        told = set(re.findall(r"\btests/(?:unit|e2e|style)/[\w/-]+\.(?:c|py)", self.text))
        self.assertGreater(len(told), 20)
        self.assertEqual([path for path in sorted(told) if not os.path.exists(os.path.join(setting.TOP, path))], [])

    def test_fuzz_targets_are_told(self):
        there = set(re.findall(r"^\s*\['(\w+)', ", read("tests/fuzz/meson.build"), re.M))
        told = self.text.partition("## What is fuzzed\n")[2].partition("No target covers")[0]
        self.assertEqual(set(re.findall(r"fuzz-(\w+)", told)), there)
        for target in there:
            self.assertTrue(os.listdir(os.path.join(setting.TOP, "tests/fuzz/corpus", target)), target)

    def test_a_wrong_limit_is_found(self):
        text = "#define VH_A_MAX (2u << 20) /* bytes */\n#define B \\\n    16u\n#define C_US ((gint64)2 * G_USEC_PER_SEC)\n"
        self.assertEqual([value(name, text) for name in ("VH_A_MAX", "B", "D")], [2 << 20, 16, None])
        self.assertIsInstance(value("C_US", text), str)
        self.assertEqual(list(rows("| a | 2 MiB | `VH_A_MAX` a/b.h | c.c |\n| a | b | c | d |")),
                         [("a", "2 MiB", "VH_A_MAX", "a/b.h", "c.c")])
