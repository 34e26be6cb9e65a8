# SPDX-License-Identifier: GPL-2.0-or-later
"""The run itself (tests/conftest.py): what fails and passes alone is told, what is grave is never repeated."""
import os
import subprocess
import sys
import tempfile
import unittest

from vhtest import setting

TESTS = '''
import os, unittest
from vhtest import witness

class Some(unittest.TestCase):
    def tries(self):
        with open(os.path.join(os.environ["VH_BUILD"], self._testMethodName), "a+") as file:
            file.write("x")
            return file.tell()

    def test_good(self):
        self.tries()

    def test_bad(self):
        self.tries()
        self.fail("it never works")

    def test_shaky(self):
        self.assertGreater(self.tries(), 1, "once is not enough")

    def test_oops(self):
        if self.tries() == 1:
            witness.accuse("the kernel", "Oops: 0000")

    def test_helped(self):
        self.tries()
        witness.second_try("the clock went wrong")

    def test_left_out(self):
        self.skipTest("not here")
'''
FAILING = ("bad", "shaky", "oops")


class Runner(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        with open(os.path.join(self.directory, "test_some.py"), "w") as file:
            file.write(TESTS)
        with open(os.path.join(self.directory, "pytest.ini"), "w") as file:
            file.write("[pytest]\n")

    def run_tests(self, *arguments):
        """Its exit status, and its last lines."""
        tests = os.path.join(setting.TOP, "tests")
        environment = dict(os.environ, VH_BUILD=self.directory, PYTHONPATH=f"{tests}:{tests}/e2e")
        for name in [name for name in environment if name.startswith("PYTEST_")]:
            del environment[name]
        done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", *arguments,
                               "test_some.py"], cwd=self.directory, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    def tries(self, name):
        return os.path.getsize(os.path.join(self.directory, f"test_{name}"))

    def check(self, *workers):
        status, lines = self.run_tests(*workers)
        self.assertEqual(status, 1, lines)
        self.assertEqual(lines[-1], "2 passed, 3 failed, 1 skipped, 0 unsteady, 1 second tries in helpers")
        self.assertIn("grave: test_some.py::Some::test_oops: the kernel: Oops: 0000", lines)
        self.assertIn("failed: test_some.py::Some::test_bad: AssertionError: it never works", lines)
        self.assertIn("second try, 1 x: the clock went wrong", lines)

    def test_first(self):
        self.check()

    def test_first_by_workers(self):
        self.check("-n", "2")

    def test_again(self):
        """What is grave is not repeated, though it would pass; what passes alone is unsteady and fails the run unless allowed."""
        self.run_tests()
        status, lines = self.run_tests("--again", "--unsteady", "2")
        self.assertEqual(status, 1, lines)
        self.assertEqual({name: self.tries(name) for name in ("good", *FAILING)}, {"good": 1, "bad": 2, "shaky": 2, "oops": 1})
        self.assertEqual(lines[-1], "2 passed, 2 failed, 1 skipped, 1 unsteady, 1 second tries in helpers")
        self.assertIn("unsteady: test_some.py::Some::test_shaky: AssertionError: 1 not greater than 1 : once is not enough", lines)

    def test_only_unsteady(self):
        for allowed, status in ((0, 1), (1, 0)):
            with self.subTest(allowed=allowed):
                if os.path.exists(os.path.join(self.directory, "test_shaky")):
                    os.unlink(os.path.join(self.directory, "test_shaky"))
                self.assertEqual(self.run_tests("-k", "shaky or good")[0], 1)
                told, lines = self.run_tests("-k", "shaky or good", "--again", "--unsteady", str(allowed))
                self.assertEqual((told, lines[-1]), (status, "1 passed, 0 failed, 0 skipped, 1 unsteady, 0 second tries in helpers"))
