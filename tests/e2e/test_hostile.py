# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hostile guest may say: vhintd counts it, acts upon none of it, and goes on."""
import itertools
import os
import struct
import threading
import time
import unittest

import vhtest
from vhtest import wait_for
from vhtest.channel import frame
from vhtest.fake_guest import FakeGuest
from vhtest.process import Chosen, Still
from vhtest.proxy import Proxy


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


class Patient(FakeGuest):
    """Names a thread that nobody has as that of vCPU 1, and does not answer on until somebody has it."""

    def __init__(self, thread):
        super().__init__()
        self.thread = thread
        self.asked, self.there = threading.Event(), threading.Event()

    def __enter__(self):
        super().__enter__()
        self.tids[1] = self.thread
        return self

    def _answer(self, command, arguments):
        if command == "qom-get" and arguments.get("property") == "apic-id":
            self.asked.set()
            self.there.wait(20 * vhtest.setting.slowness)
        return super()._answer(command, arguments)


class Stranger(unittest.TestCase):
    """A QEMU that its guest has taken over points at other people's threads."""

    sanitized = True

    def setUp(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")

    def serve(self, guest):
        self.daemon = vhtest.Daemon(guest)
        self.addCleanup(self.daemon.close)
        self.daemon.start(wait=False)

    def test_named_before_it_is_there(self):
        """Nobody pins what has got that number since."""
        stranger = Chosen()
        guest = self.enterContext(Patient(stranger.pid))
        self.serve(guest)
        self.assertTrue(guest.asked.wait(10 * vhtest.setting.slowness), "vhintd asks on")
        with stranger:
            guest.there.set()
            guest.start()
            guest.hint(guest.record(pid=1, mask=[1]), guest.record(pid=2, mask=[2]))
            wait_for(lambda: len(self.daemon.ctl("hints", "fake")) == 2, 5, "both facts")
            wait_for(lambda: "which is not one of process" in self.daemon.guest("fake")["problem"], 5,
                     "asked again, it names somebody else's thread")
            self.assertEqual(vhtest.thread_cpus(stranger.pid), guest.floating)
            self.assertEqual([step for step in self.daemon.steps() if step["what"].startswith("pin vCPU 1")], [])

    def test_of_another_process(self):
        """That is root's, as the monitor is: nothing of this guest is believed, and its status says why."""
        with Chosen() as stranger:
            guest = self.enterContext(FakeGuest())
            guest.tids[1] = stranger.pid
            self.serve(guest)
            guest.start()
            guest.hint(guest.record(pid=1, mask=[1]), guest.record(pid=2, mask=[2]))
            wait_for(lambda: len(self.daemon.ctl("hints", "fake")) == 2, 5, "both facts")
            problem = self.daemon.guest("fake")["problem"]
            self.assertIn(f"the monitor names thread {stranger.pid}, which is not one of process {os.getpid()}", problem)
            self.assertEqual(guest.pinned(), {})

    def test_a_socket_that_another_process_serves(self):
        """What is said by somebody between QEMU and vhintd is not said by QEMU."""
        guest = self.enterContext(FakeGuest())
        proxy = Proxy(os.path.join(guest.directory, "passed-on"), guest.qmp_path)
        self.addCleanup(proxy.close)
        with Chosen() as stranger:
            proxy.start(stranger.pid)
            guest.qmp_path = proxy.path
            self.serve(guest)
            guest.start()
            wait_for(lambda: "let vhintd connect to QEMU's own socket" in self.daemon.guest("fake")["problem"], 5,
                     "it is told")


class Crowd(FakeGuest):
    """Its QEMU has so many threads beside those of its vCPUs."""

    def __init__(self, threads, **arguments):
        super().__init__(apart=True, **arguments)
        self.threads = threads

    def _make_threads(self):
        super()._make_threads()
        threading.stack_size(65536)
        for _ in range(self.threads):
            threading.Thread(target=self.over.wait, daemon=True).start()


class Storm(unittest.TestCase):
    """A QEMU that its guest has taken over has thousands of threads, and says that devices are gone as fast as it can."""

    sanitized = True
    seconds = 3

    def share(self, threads):
        """Of a CPU that vhintd takes meanwhile."""
        with Crowd(threads) as guest:
            daemon = vhtest.Daemon(guest)
            self.addCleanup(daemon.close)
            os.makedirs(daemon.path("policy.d"))
            with open(daemon.path("policy.d/50-threads.conf"), "w") as file:
                file.write("[guest *]\nemulator = pool\n")
            daemon.start(wait=False)
            guest.start()
            guest.hint(guest.record(pid=1, mask=[1]))
            wait_for(lambda: 1 in guest.pinned(), 60, "it is served")
            still = Still(daemon.pid(), 0.5)
            wait_for(still.is_it, 60, "it has done with its threads")
            cpu, begin = daemon.cpu_time(), time.monotonic()
            while time.monotonic() < begin + self.seconds:
                guest.event("DEVICE_DELETED", path="/none")
                time.sleep(0.005)
            share = (daemon.cpu_time() - cpu) / (time.monotonic() - begin)
            daemon.stop()
            return share

    def test_events_of_many_threads(self):
        few, many = self.share(0), self.share(6000)
        self.assertLess(many, few + 0.2)


class Flood(unittest.TestCase):
    """One guest says as much as it can; another is served all the same."""

    def setUp(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        self.guest = self.enterContext(FakeGuest(name="flooding"))
        self.quiet = self.enterContext(FakeGuest(name="quiet"))
        self.daemon = vhtest.Daemon(self.guest, self.quiet)
        self.addCleanup(self.daemon.close)
        self.daemon.start(wait=False)
        self.guest.start()
        self.quiet.start()

    def flood(self, say, bursts=20, size=20):
        """The other guest gets and loses a pin after each burst. Returns how often say() has said all that it would."""
        quiet = self.quiet
        self.guest.channel.settimeout(0.05)
        sent = 0
        for number in range(bursts):
            for _ in range(size):
                try:
                    say()
                    sent += 1
                except OSError:  # it reads no more, or has closed the channel: either is right
                    break
            quiet.hint(quiet.record(pid=5000 + number, mask=[number % 4]))
            quiet.wait_pinned(number % 4)
            quiet.hint(quiet.record(pid=5000 + number, flags=1))
            quiet.wait_pinned()
        return sent

    def test_a_quiet_guest_beside_it(self):
        """Of hints far beyond its credit."""
        # Masks of two CPUs: none of them takes a host CPU of the pool.
        batch = [self.guest.record(pid=pid, mask=[pid % 3, 3]) for pid in range(1, 300)]
        self.assertGreater(self.flood(lambda: self.guest.hint(*batch)), 10)
        self.assertEqual(self.daemon.call("status").returncode, 0)

    def test_ever_new_sessions(self):
        """A few begin at once, then one a second; the last one, once it has waited its turn."""
        guest = self.guest

        def say():
            guest.session += 1
            guest.hello()
            guest.say_cpus()
            guest.say_programs()
        self.assertGreater(self.flood(say), 10)
        problem = self.daemon.guest("flooding")["problem"]
        self.assertIn("one a second", problem)
        self.assertEqual(len(self.daemon.steps("sessions")), 1)

        def answer():
            got = guest.next(0.1)
            if got and got[0] == "HELLO" and not struct.unpack_from("<Q", got[2], 16)[0]:  # its peer: is anybody there?
                guest.hello()
            return self.daemon.guest("flooding")["connected"]
        wait_for(answer, 10, "the last session")

    def test_ever_new_pins(self):
        """Each is a step on the host. All of the other guest's are in the journal, and what is left out is told."""
        guest, quiet = self.guest, self.quiet
        for number in range(8):
            for toggle in range(100):
                guest.hint(guest.record(pid=7, mask=[toggle % 2]))
                guest.wait_pinned(toggle % 2)
            quiet.hint(quiet.record(mask=[3]))
            quiet.wait_pinned(3)
            quiet.hint(quiet.record(flags=1))
            quiet.wait_pinned()
        self.daemon.stop()  # before the share is open again
        told = self.daemon.steps("steps")
        self.assertEqual([step["guest"] for step in told], ["flooding"])
        self.assertRegex(told[0]["why"], r"^[0-9]{2,} steps were left out: ")
        for what in "pin vCPU 3", "unpin vCPU 3":
            self.assertEqual(len([step for step in self.daemon.steps(what) if step["guest"] == "quiet"]), 8)
        self.assertLess(os.path.getsize(self.daemon.journal), 1 << 20)

    def test_ever_new_programs(self):
        """Each frame takes its time, but none leaves anything behind: neither memory, nor work for the next one."""
        numbers = itertools.count(100)
        cost = []
        for new in (False, True):
            def say():
                names = [next(numbers) if new else 100 + index for index in range(32)]
                self.guest.say_programs(*[(n, f"p{n}", bytes(32)) for n in names])
            memory, cpu, sent = self.daemon.memory(), self.daemon.cpu_time(), 0
            while sent < 9_500_000 / (32 * 128):
                sent += self.flood(say, bursts=1, size=200)
            cost.append((self.daemon.cpu_time() - cpu) / sent)
        self.assertLess(cost[1], 4 * cost[0] + 1e-4)
        self.assertLess(self.daemon.memory() - memory, 8 << 20)
        self.assertIn("owes", self.daemon.guest("flooding")["problem"])
