# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources as their tools want them: formatted, and without what linters find."""
import os
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
