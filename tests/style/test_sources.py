# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources as their tools want them: formatted, and without what linters find."""
import os
import re
import subprocess
import sys
import unittest

from vhtest import setting


def sources(*suffixes):
    """The project's files, with one of these suffixes if there are any."""
    found = []
    for folder, folders, names in os.walk(setting.TOP):
        folders[:] = [name for name in folders if name not in (".git", "cache", "__pycache__") and not name.startswith("build")]
        found += [os.path.relpath(os.path.join(folder, name), setting.TOP) for name in names if name.endswith(suffixes or "")]
    return sorted(found)


def scripts(interpreter):
    """The programs that it runs."""
    found = []
    for path in sources():
        with open(os.path.join(setting.TOP, path), "rb") as file:
            first = file.readline()
        if first.startswith(b"#!") and interpreter in first.decode(errors="replace"):
            found.append(path)
    return found


class Sources(unittest.TestCase):
    def silent(self, *argv):
        done = subprocess.run(argv, cwd=setting.TOP, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), f"{argv[0]}:\n{done.stdout}{done.stderr}")

    def test_format(self):
        self.silent("clang-format", "--dry-run", "-Werror", *sources(".c", ".h"))

    def test_shell(self):
        found = scripts("/sh")
        self.assertIn("dev", found)
        self.silent("shellcheck", "--severity", "warning", *found)

    def test_python(self):
        found = sorted({*sources(".py"), *scripts("python3")})
        self.assertIn("tests/bench/fleet", found)
        self.silent(sys.executable, "-B", "-m", "flake8", "--max-line-length", "140", *found)


class Tops(unittest.TestCase):
    """A source begins with its licence and one sentence on what it does, in one style."""
    PRODUCT = ("guest-bpf", "host", "host-bpf", "injector", "protocol")

    def test_tops(self):
        for path in sources(".c", ".h"):
            if path.split("/")[0] not in self.PRODUCT:
                continue
            with open(os.path.join(setting.TOP, path), encoding="utf-8") as file, self.subTest(path):
                head = file.read(200)
                if path.endswith(".c"):
                    self.assertRegex(head, r"^// SPDX-License-Identifier: [^*\n]+\n// \S")
                else:
                    self.assertRegex(head, r"^/\* SPDX-License-Identifier: [^*\n]+ \*/\n/\* \S")


class Widths(unittest.TestCase):
    """A line of code has 100 columns at most, one of prose 120. Tables, examples and drawings are as wide as they are."""

    def prose(self, text):
        """(number, line) of what is prose."""
        example = False
        for number, line in enumerate(text.splitlines(), 1):
            fence = line.startswith("```")
            example = example != fence
            if not (example or fence or line.startswith(("|", "    "))):
                yield number, line

    def wide(self, path):
        with open(os.path.join(setting.TOP, path), encoding="utf-8") as file:
            text = file.read()
        if path.endswith((".c", ".h")):
            return [number for number, line in enumerate(text.splitlines(), 1) if len(line) > 100]
        return [number for number, line in self.prose(text) if len(line) > 120]

    def test_lines(self):
        found = [path for path in sources(".c", ".h", ".md", ".scd", "CHANGES") if "corpus" not in path]
        self.assertIn("CHANGES", found)
        self.assertIn("docs/policy.md", found)
        self.assertEqual({path: self.wide(path) for path in found if self.wide(path)}, {})

    def test_prose_is_found(self):
        text = "prose\n```\nan example\n```\n| a table |\n    a drawing\nmore\n"
        self.assertEqual(list(self.prose(text)), [(1, "prose"), (7, "more")])


class Waiting(unittest.TestCase):
    """Unit tests wait with lib/loop.h: what does not come in time is named, and nothing hangs."""
    WAITS = re.compile(r"(?:while|for) \(.*g_get_monotonic_time.*\n(?!\s*;)|^\s*g_main_context_iteration\(NULL, TRUE\);"
                       r"|(?:while|for) \(.*\).*\n.*g_u?sleep\(", re.M)

    def found(self, text):
        return [match[0].strip() for match in self.WAITS.finditer(text)]

    def test_unit_tests_have_no_loops_of_their_own(self):
        for path in sources(".c", ".h"):
            if path.startswith("tests/unit/") and path != "tests/unit/lib/loop.c":
                with open(os.path.join(setting.TOP, path)) as file, self.subTest(path):
                    self.assertEqual(self.found(file.read()), [], "use LOOP_UNTIL() of lib/loop.h")

    def test_the_check_finds_what_it_is_there_for(self):
        for text, count in {"while (g_get_monotonic_time() < end)\n    turn();": 1,
                            "while (!f->closed)\n    g_main_context_iteration(NULL, TRUE);": 1,
                            "while (access(path, F_OK) == 0)\n    g_usleep(1000);": 1,
                            "LOOP_UNTIL(f->closed);": 0,
                            "g_assert_false(g_main_context_iteration(NULL, FALSE));": 0,
                            "while (g_get_monotonic_time() < end)\n    ;  /* it is busy */": 0,
                            "gint64 begin = g_get_monotonic_time();": 0}.items():
            with self.subTest(text):
                self.assertEqual(len(self.found(text)), count)


class Conditionals(unittest.TestCase):
    """No conditional operator is an operand of another, in brackets or not: write if or switch."""
    SKIPPED = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    DIRECTIVE = re.compile(r"^[ \t]*#((?:[^\n\\]|\\.)*)$", re.M | re.S)
    TOKEN = re.compile(r"\w+|[?,;(){}\[\]]")
    CLOSING = {"(": ")", "[": "]", "{": "}"}
    CONTROL = ("if", "while", "for", "switch")  # their brackets are no operand of what follows

    def found(self, text):
        """The lines of the second one of each pair."""
        text = self.SKIPPED.sub(lambda match: "\n" * match[0].count("\n") or " ", text)
        text = self.DIRECTIVE.sub(r";\1;", text)
        tokens = ((text.count("\n", 0, match.start()) + 1, match[0]) for match in self.TOKEN.finditer(text))
        found = []

        def group():
            """Reads up to the closing bracket. Is there a conditional operator within?"""
            there = operator = operand = False  # in the group; in the expression; in brackets of the expression
            word = ""
            for line, token in tokens:
                if token in self.CLOSING:
                    within = group()
                    there |= within
                    operand |= within
                    if within and operator:
                        found.append(line)
                    if token == "{" or word in self.CONTROL:
                        operator = operand = False
                elif token in self.CLOSING.values():
                    return there
                elif token in ",;":
                    operator = operand = False
                elif token == "?":
                    if operator or operand:
                        found.append(line)
                    there = operator = True
                word = token
            return there

        group()
        return found

    def test_none_is_nested(self):
        for path in sources(".c", ".h"):
            with open(os.path.join(setting.TOP, path)) as file, self.subTest(path):
                self.assertEqual(self.found(file.read()), [], "write if or switch")

    def test_the_check_finds_what_it_is_there_for(self):
        for text, lines in {"x = a ? b : c ? d : e;": [1],
                            "x = a ? b ? c : d : e;": [1],
                            "x = a\n  ? b\n  : (c ? d : e);": [3],
                            "x = (a ? b : c) ? d : e;": [1],
                            "x = a ? f(b, c ? d : e) : g;": [1],
                            "x = f(a ? b : c) ? d : e;": [1],
                            "x = a ? (struct y){.z = b ? c : d} : e;": [1],
                            "#define F(a, b) \\\n  ((a) ? 1 : \\\n   (b) ? 2 : 3)\n": [3],
                            "f(a ? b : c, d ? e : f);": [],
                            "f(g(a ? b : c), d ? e : f);": [],
                            "if (a ? b : c) x = d ? e : f;": [],
                            "for (i = a ? b : c; i < (d ? e : f); i++) x = g ? h : j;": [],
                            "struct x y = {.a = b ? c : d, .e = f ? g : h};": [],
                            "{ x = a ? b : c; }\n{ y = d ? e : f; }": [],
                            "x = a ? b : c; /* d ? e : f */ y = g ? h : j;": [],
                            'x = a ? "b ? c : d" : \'?\';': []}.items():
            with self.subTest(text):
                self.assertEqual(self.found(text), lines)
