# SPDX-License-Identifier: GPL-2.0-or-later
"""Hints that do not fit what their program says of them: whoever wrote it reads of it in `vhintctl programs`."""
import unittest

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest


class Misfit(unittest.TestCase):
    def setUp(self):
        self.guest = self.enterContext(FakeGuest())
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)
        self.daemon.start(wait=False)

    def problem(self):
        return self.daemon.program("affinity", self.guest.name)["problem"]

    def told(self, *words):
        wait_for(lambda: all(word in self.problem() for word in words), 10, f"the problem says {words}")

    def test_a_good_hint(self):
        self.guest.start()
        self.guest.snapshot()
        self.guest.hint(self.guest.record(pid=1, mask=[1]))
        wait_for(lambda: self.daemon.program("affinity", self.guest.name)["hints"] == 1, 10, "the hint has come")
        self.assertEqual(self.problem(), "")

    def test_a_kind_that_the_manifest_lacks(self):
        self.guest.start()
        self.guest.hint(self.guest.record(kind=7))
        self.told("kind 7", "VH_HINT(7, STRUCT)")

    def test_a_size_that_is_not_its_structs(self):
        self.guest.start()
        self.guest.hint(self.guest.record(size=64))
        self.told("64 bytes", "struct affinity has 120")

    def test_a_key_without_state(self):
        self.guest.accept()
        self.guest.hello()
        self.guest.say_cpus()
        self.guest.say_programs()
        request, load = self.guest.receive("LOAD")
        self.guest.say_programs((1, "affinity", load[64:96]), flags=1)
        self.guest.answer(request, program=1)
        self.guest.seq = 0
        self.guest.hint(self.guest.record())
        self.told("have a key", "VH_STATE")
