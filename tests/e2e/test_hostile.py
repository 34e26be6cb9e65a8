# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hostile guest may say: vhintd counts it, acts upon none of it, and goes on."""
import os
import struct
import unittest

import vhtest
from vhtest import wait_for
from vhtest.channel import frame
from vhtest.fake_guest import FakeGuest


class Hostile(unittest.TestCase):
    sanitized = True

    def setUp(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        self.guest = self.enterContext(FakeGuest())
        self.serve(self.guest)

    def serve(self, *guests):
        self.daemon = vhtest.Daemon(*guests)
        self.addCleanup(self.daemon.close)
        self.daemon.start(wait=False)

    def works(self):
        """A good hint still pins, and its end floats."""
        self.guest.hint(self.guest.record(pid=4000, mask=[2]))
        self.guest.wait_pinned(2)
        self.guest.hint(self.guest.record(pid=4000, flags=1))
        self.guest.wait_pinned()

    def untouched(self):
        self.works()
        self.assertEqual(self.daemon.ctl("hints", "fake"), [])

    def test_good_hints(self):
        self.guest.start()
        self.works()

    def test_hints_that_lie(self):
        guest = self.guest
        guest.start()
        for record in (guest.record(mask=[]),                 # a mask of zeros
                       guest.record(mask=[3, 9]),             # a CPU that the guest does not have
                       guest.record(mask=[511]),
                       guest.record(mask=[1], kind=7),        # no such kind
                       guest.record(mask=[1], size=112)):     # not its kind's size
            guest.hint(record)
            self.works()
        self.assertEqual(guest.pinned(), {})

    def test_batches_that_lie(self):
        guest = self.guest
        guest.start()
        good = guest.record(mask=[1])
        for bad in (guest.record(mask=[1], size=20), guest.record(mask=[1], key_size=200),
                    guest.record(mask=[1], flags=0x8000)):
            guest.hint(bad)
            guest.seq -= 1
        for count in (0, 2, 0xffffffff):
            guest.hint(good, count=count)
            guest.seq -= 1
        guest.hint(good, program=99)  # a program that is not there
        guest.seq -= 1
        self.untouched()

    def test_end_of_what_never_was(self):
        self.guest.start()
        self.guest.hint(*[self.guest.record(pid=pid, flags=1) for pid in range(1, 100)])
        self.untouched()

    def test_cpu_map_that_lies(self):
        guest = self.guest
        guest.start()
        guest.hint(guest.record(pid=4000, mask=[2]))
        guest.wait_pinned(2)
        # No vCPU has these APIC ids: nobody serves guest CPU 2 any longer.
        guest.send("CPUS", struct.pack("<II", 4, 0) + b"".join(struct.pack("<III", n, 1000 + n, 1) for n in range(4)))
        guest.wait_pinned()
        guest.send("CPUS", struct.pack("<II", 0xffffffff, 0))
        guest.say_cpus()
        guest.wait_pinned(2)

    def test_a_wrong_version_is_explained(self):
        self.guest.accept()
        self.guest.hello(versions=(7, 9))
        self.assertIn("7", wait_for(lambda: self.daemon.guest("fake")["problem"], 5, "the problem is told"))
        self.assertFalse(self.daemon.guest("fake")["connected"])
        self.guest.hello()
        self.guest.say_cpus()
        self.guest.say_programs()
        self.guest.receive("LOAD")
        self.assertTrue(self.daemon.guest("fake")["connected"])

    def test_half_frames_and_garbage(self):
        guest = self.guest
        guest.start()
        good = frame("HINTS", struct.pack("<IIQQII", 1, 1, 0, 0, 0, 0) + guest.record(mask=[1]))
        for cut in range(1, len(good) - 1, 7):
            guest.channel.sendall(good[:cut] + b"\0")
        guest.channel.sendall(os.urandom(1 << 20) + b"\0")
        guest.channel.sendall(b"\xff" * (1 << 20) + b"\0")
        self.untouched()

    def test_answers_nobody_asked_for(self):
        guest = self.guest
        guest.start()
        for request in (0, 1, 2, 77, 0xffffffff):
            guest.answer(request, error=22)
        guest.send("SNAPSHOT", struct.pack("<IIQQII", 1, 0, 0, 0, 3, 0), 77)
        guest.send("PONG", bytes(16))
        guest.send("LOAD", bytes(112))
        guest.send(255, b"x")
        self.untouched()

    def test_a_vcpu_thread_that_is_gone(self):
        guest = self.guest
        guest.tids[1] = 1 << 22  # beyond pid_max: no thread has it
        guest.start()
        guest.hint(guest.record(pid=1, mask=[1]))
        guest.hint(guest.record(pid=2, mask=[2]))
        wait_for(lambda: len(self.daemon.ctl("hints", "fake")) == 2, 5, "both facts")
        self.assertNotIn(1, guest.pinned())
        self.assertEqual(self.daemon.call("status").returncode, 0)


class Flood(unittest.TestCase):
    """One guest sends hints as fast as it can, far beyond its credit; another is served all the same."""

    def test_a_quiet_guest_beside_it(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        guest = self.enterContext(FakeGuest(name="flooding"))
        quiet = self.enterContext(FakeGuest(name="quiet"))
        daemon = vhtest.Daemon(guest, quiet)
        self.addCleanup(daemon.close)
        daemon.start(wait=False)
        guest.start()
        quiet.start()
        # Masks of two CPUs: none of them takes a host CPU of the pool.
        batch = [guest.record(pid=pid, mask=[pid % 3, 3]) for pid in range(1, 300)]
        guest.channel.settimeout(0.05)
        sent = 0
        for number in range(20):
            for _ in range(20):
                try:
                    guest.hint(*batch)
                    sent += 1
                except OSError:  # it reads no more, or has closed the channel: either is right
                    break
            quiet.hint(quiet.record(pid=5000 + number, mask=[number % 4]))
            quiet.wait_pinned(number % 4)
            quiet.hint(quiet.record(pid=5000 + number, flags=1))
            quiet.wait_pinned()
        self.assertGreater(sent, 10)
        self.assertEqual(daemon.call("status").returncode, 0)
