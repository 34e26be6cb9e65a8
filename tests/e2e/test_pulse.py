# SPDX-License-Identifier: GPL-2.0-or-later
"""Injectors that are connected and hang: a guest of a few lines that answers only when it is told to."""
import time
import unittest

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest


class Pulse(unittest.TestCase):
    def setUp(self):
        self.guest = self.enterContext(FakeGuest())
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)
        self.daemon.start(wait=False)

    def problem(self):
        return self.daemon.guest(self.guest.name)["problem"]

    def test_an_injector_that_hangs(self):
        """It has taken the program, and says nothing any longer: neither to that nor to anything else."""
        self.guest.accept()
        self.guest.hello()
        self.guest.say_cpus()
        self.guest.say_programs()
        request, load = self.guest.receive("LOAD")
        self.guest.receive("PING")
        wait_for(lambda: "has not answered for" in self.problem(), 30, "the problem is told")
        self.assertTrue(self.daemon.guest(self.guest.name)["connected"])
        wait_for(lambda: self.daemon.steps("silence"), 10, "the journal tells of it")
        self.guest.send("PONG", bytes(16))
        wait_for(lambda: "has not answered" not in self.problem(), 10, "the problem is over")
        wait_for(lambda: "has been loading it for" in self.daemon.program("affinity", self.guest.name)["problem"], 30,
                 "a load that takes long is told")
        self.guest.say_programs((1, "affinity", load[64:96]))
        self.guest.answer(request, program=1)
        wait_for(lambda: self.daemon.program("affinity", self.guest.name)["state"] == "running", 10, "it runs")
        self.assertEqual(self.daemon.program("affinity", self.guest.name)["problem"], "")

    def test_a_load_that_does_not_come_back(self):
        """An injector that is restarted since it hangs does not hang again, and what does not run is told."""
        self.guest.accept()
        for _ in range(2):
            self.guest.session += 1
            self.guest.hello()
            self.guest.say_cpus()
            self.guest.say_programs()
            self.guest.receive("LOAD")
        self.guest.session += 1
        self.guest.hello()
        self.guest.say_cpus()
        self.guest.say_programs()
        wait_for(lambda: self.daemon.program("affinity", self.guest.name)["state"] == "refused", 10, "it is given up")
        self.assertIn("went away while it was loading it", self.daemon.program("affinity", self.guest.name)["problem"])
        end = time.monotonic() + 1
        while got := self.guest.next(max(0, end - time.monotonic())):
            self.assertNotEqual(got[0], "LOAD")
