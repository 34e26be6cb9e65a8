# SPDX-License-Identifier: GPL-2.0-or-later
"""What a failed test's output has: its guest's console, vhintd's log and journal, of that test only."""
import os
import subprocess
import sys
import tempfile
import unittest

from vhtest import setting

TESTS = '''
import os
import unittest
import vhtest

class Some(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(cpus=2, served=True))
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))

    def act(self, word):
        """Makes each of the three have something with this word."""
        self.guest.run(f"echo {word}-on-the-console >/dev/ttyS0")
        os.makedirs(self.daemon.path("policy.d"), exist_ok=True)
        with open(self.daemon.path("policy.d/50.conf"), "w") as file:
            file.write(f"[guest guest]\\nword-{word} = 1\\n")
        vhtest.wait_for(lambda: any(word in str(step) for step in self.daemon.steps("policy refused")), 10, "refused")
        vhtest.wait_for(lambda: f"word-{word}" in vhtest.tail(self.daemon.log), 10, "told in the log")

    def test_1_good(self):
        self.act("first")

    def test_2_bad(self):
        self.act("second")
        self.fail("on purpose")
'''


def build_of_its_own(directory):
    """The same build, but for what a run leaves there."""
    os.mkdir(os.path.join(directory, "tests"))
    for name in os.listdir(setting.BUILD):
        if name != "tests":
            os.symlink(os.path.join(setting.BUILD, name), os.path.join(directory, name))
    for name in os.listdir(os.path.join(setting.BUILD, "tests")):
        if not name.endswith(".json"):
            os.symlink(os.path.join(setting.BUILD, "tests", name), os.path.join(directory, "tests", name))


class Output(unittest.TestCase):
    def test_of_that_test_only(self):
        here = os.path.join(setting.TOP, "tests/e2e")
        directory = self.enterContext(tempfile.TemporaryDirectory(prefix="build-", dir=here))  # so that linters pass it over
        with open(os.path.join(directory, "test_some.py"), "w") as file:
            file.write(TESTS)
        build = self.enterContext(tempfile.TemporaryDirectory())
        build_of_its_own(build)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "--kernels", setting.kernel, directory],
                              cwd=setting.TOP, env=dict(environment, VH_BUILD=build), capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("1 passed, 1 failed", done.stdout)
        logs = done.stdout.partition("what took part")[2]
        parts = dict(part.split("\n", 1) for part in logs.split("--- ")[1:] if "\n" in part)
        for name, text in (("serial console of guest", "second-on-the-console"), ("vhintd", "word-second"),
                           ("its journal", "word-second")):
            self.assertIn(text, parts[name])
            self.assertNotIn("first", parts[name], "of the test before")
