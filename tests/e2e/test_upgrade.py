# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintd is replaced, or dies, while guests go on: pins stay as they are, and what nobody takes over is put back."""
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import unittest

import vhtest
from vhtest import Masks, stays, wait_for
from vhtest.fake_guest import FakeGuest

BOOST = """[rule affinity-boost]
on = affinity
when = cpus == 1
do = boost mask nice
trial = off
hold = 60s
cooldown = 100ms
"""


class Steps(unittest.TestCase):
    def steps(self, what=""):
        return [step for step in self.daemon.steps() if what in step["what"]]


class Upgrade(Steps):
    """A guest whose tasks change masks all the time, but for one."""

    def setUp(self):
        if len(vhtest.thread_cpus("self")) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        self.guest = self.enterContext(vhtest.Guest())
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)
        os.makedirs(self.daemon.path("policy.d"))
        with open(self.daemon.path("policy.d/50-boost.conf"), "w") as file:
            file.write(BOOST)
        self.daemon.binary = self.daemon.path("vhintd")
        shutil.copy(vhtest.setting.vhintd(), self.daemon.binary)
        self.daemon.start()
        self.task = self.guest.start_command("exec taskset -c 2 sleep 1000")
        self.thread = self.guest.thread(2)
        wait_for(lambda: len(self.guest.host_cpus(2)) == 1, 5, "the vCPU is pinned")
        wait_for(self.boosted, 5, "and boosted")
        self.churn = self.guest.start_command("while :; do taskset -c 0 true; taskset -c 1 true; taskset 9 true; done")
        self.wait_acts()

    def wait_acts(self):
        """The tasks that come and go have vhintd act all the time."""
        acted = len(self.steps("pin vCPU"))
        wait_for(lambda: len(self.steps("pin vCPU")) > acted + 5, 20, "vhintd pins other vCPUs, too")

    def boosted(self):
        return os.getpriority(os.PRIO_PROCESS, self.thread) < 0

    def programs(self):
        """The kernel's numbers of the injector's programs."""
        return sorted(self.guest.output(f"grep -h ^prog_id /proc/{self.guest.injector_pid()}/fdinfo/*").split())

    def check(self, end):
        pin = frozenset(self.guest.host_cpus(2))
        programs, loads = self.programs(), len(self.steps("load "))
        self.assertTrue(programs)
        with Masks(self.thread) as masks:
            end()
            new = self.daemon.binary + ".new"
            shutil.copy(vhtest.setting.vhintd(), new)
            os.rename(new, self.daemon.binary)  # as a package does it
            self.daemon.start()
            self.wait_acts()
            wait_for(self.boosted, 5, "it boosts again")
        self.assertEqual(masks.seen, {pin})
        self.assertEqual(self.steps("unpin vCPU 2"), [])
        self.assertEqual(self.programs(), programs)
        self.assertEqual(len(self.steps("load ")), loads, "what ran was injected again")
        self.churn.kill(15)
        wait_for(lambda: [hint["fields"]["pid"] for hint in self.daemon.ctl("hints", "guest")] == [self.task.pid], 10,
                 "the only fact is the task's that is left")
        self.assertEqual(set(self.guest.output("walk").split()[::2]), {str(self.task.pid)})
        self.task.kill()
        wait_for(lambda: all(cpus == vhtest.thread_cpus("self") for cpus in self.guest.all_host_cpus().values()) and
                 not self.boosted(), 5, "all float, and none is boosted: which ends a moment after the pin")

    def test_handover(self):
        def hand_over():
            self.assertIn("60 seconds", self.daemon.call("handover").stdout)
            self.daemon.stop()
            self.assertFalse(self.boosted(), "a boost outlives the one who watches it")
        self.check(hand_over)

    def test_killed(self):
        self.check(self.daemon.kill)


def downgrade(path):
    """Makes the file of former states one that the version before has left: "vhsaved2"."""
    emulator, targets = 0xfffffff0, {2: 0, 3: 1, 4: 2, 5: 3}  # kinds that had a number for all of them
    with open(path, "r+b") as file:
        magic, size, count, used = struct.unpack("<8sIII", file.read(20))
        assert (magic, size) == (b"vhsaved3", 1088), (magic, size)
        file.seek(64)
        slots = [file.read(size) for _ in range(used)]
        file.seek(0)
        file.truncate(64 + 640 * count)
        file.write(struct.pack("<8sIII", b"vhsaved2", 640, count, used))
        file.seek(64)
        for slot in slots:
            state, kind, target, number, _, thread, start = struct.unpack_from("<IIIIiiQ", slot)
            vcpu = emulator + targets[target] if target in targets else number
            file.write(struct.pack("<IIiIQ", state, vcpu, thread, kind, start) + slot[32:32 + 104] + slot[288:288 + 512])


class Successor(Steps):
    """With guests that are none, which may keep silent."""

    sanitized = True

    def setUp(self):
        if len(vhtest.thread_cpus("self")) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        self.guest = self.enterContext(FakeGuest())
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)

    def pin(self, timeout=30):
        self.daemon.timeout = timeout
        self.daemon.start(wait=False)
        self.guest.start()
        self.guest.hint(self.guest.record(mask=[1]))
        self.guest.wait_pinned(1)

    def test_none_comes(self):
        """The pin stays for as long as it was said, then it is put back."""
        for end in (self.daemon.kill, lambda: self.daemon.ctl("handover") and self.daemon.stop()):
            with self.subTest():
                self.pin(timeout=1)
                end()
                self.assertEqual(list(self.guest.pinned()), [1])
                self.guest.wait_pinned(timeout=10)

    def test_one_comes_and_ends(self):
        """A stop that nobody announced puts back what the one before has left."""
        self.pin()
        self.daemon.kill()
        self.daemon.start(wait=False)
        self.assertEqual(list(self.guest.pinned()), [1])
        self.daemon.stop()
        self.assertEqual(self.guest.pinned(), {})

    def test_handover_is_not_for_ever(self):
        self.pin()
        self.daemon.stop()
        self.assertEqual(self.guest.pinned(), {})

    def test_restore(self):
        self.pin()
        done = self.daemon.restore()
        self.assertEqual(done.returncode, 1)
        self.assertIn("another vhintd", done.stderr)
        self.assertEqual(list(self.guest.pinned()), [1])
        self.daemon.kill()
        done = self.daemon.restore()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("unpin vCPU 1", done.stderr)
        self.assertEqual(self.guest.pinned(), {})

    def test_former_format(self):
        """What the version before has left is taken over, and put back, by the new one."""
        path = self.daemon.path("run/saved/masks")
        self.pin()
        self.daemon.kill()
        downgrade(path)
        with Masks(self.guest.tids[1]) as masks:
            self.daemon.start(wait=False)
            self.guest.start()
            self.guest.snapshot(self.guest.record(mask=[1]))
            self.guest.hint(self.guest.record(pid=2, mask=[2]))
            wait_for(lambda: 2 in self.guest.pinned(), 10, "it acts")
        self.assertEqual(len(masks.seen), 1, masks.seen)
        self.guest.hint(self.guest.record(flags=1), self.guest.record(pid=2, flags=1))
        self.guest.wait_pinned()
        self.assertEqual(vhtest.thread_cpus(self.guest.tids[1]), self.guest.floating)
        with open(path, "rb") as file:
            self.assertEqual(file.read(8), b"vhsaved3")

    def test_former_format_is_put_back(self):
        self.pin()
        self.daemon.kill()
        downgrade(self.daemon.path("run/saved/masks"))
        done = self.daemon.restore()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("unpin vCPU 1", done.stderr)
        self.assertEqual(self.guest.pinned(), {})

    def test_restore_without_a_file_to_tell(self):
        """As below systemd: what is said goes into a socket."""
        for environment in ({}, {"JOURNAL_STREAM": "1:1"}):
            with self.subTest(**environment):
                self.pin()
                self.daemon.kill()
                ours, theirs = socket.socketpair()
                with ours, theirs:
                    done = self.daemon.restore(stderr=theirs, env={**vhtest.daemon.ENVIRONMENT, **environment})
                self.assertEqual(done.returncode, 0)
                self.assertEqual(self.guest.pinned(), {})

    def test_start_fails(self):
        """A successor with a bad configuration leaves the pin, to one with a good one."""
        self.pin()
        self.daemon.ctl("handover")
        self.daemon.stop()
        other = self.daemon.path("other.conf")
        with open(self.daemon.config) as file, open(other, "w") as copy:
            copy.write(re.sub("^control=.*", "control=/proc/no/such/place", file.read(), flags=re.M))
        done = subprocess.run([vhtest.setting.vhintd(), "--config", other], capture_output=True, text=True, env=vhtest.daemon.ENVIRONMENT,
                              timeout=30 * vhtest.setting.slowness)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("cannot make the directory /proc/no/such", done.stderr)
        self.assertEqual(list(self.guest.pinned()), [1])
        self.guest.channel_listener.accept()[0].close()  # of the one that has failed
        with Masks(self.guest.tids[1]) as masks:
            self.daemon.start(wait=False)
            self.guest.start()
            self.guest.snapshot(self.guest.record(mask=[1]))
            self.guest.hint(self.guest.record(pid=2, mask=[2]))
            wait_for(lambda: 2 in self.guest.pinned(), 10, "it acts")
        self.assertEqual(len(masks.seen), 1, masks.seen)

    def test_released_before_the_guest_speaks(self):
        self.pin()
        self.daemon.kill()
        self.daemon.start(wait=False)
        stays(lambda: list(self.guest.pinned()) == [1], 0.3, "pinned, as its guest has not said otherwise")
        self.assertEqual(self.daemon.ctl("release")["undone"], 1)
        self.assertEqual(self.guest.pinned(), {})

    def test_no_longer_managed(self):
        self.pin()
        self.daemon.kill()
        self.daemon.guests = {}
        self.daemon.start(wait=False)
        self.guest.wait_pinned()


class Silent(Steps):
    """Of two guests with a pin each, on all the CPUs that there are for them, one keeps silent after a restart. The
    other has its pins and boosts meanwhile, but for the CPU that the silent one has."""

    def setUp(self):
        cpus = sorted(vhtest.thread_cpus("self"))[:2]
        if len(cpus) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        self.silent, self.well = (self.enterContext(FakeGuest(name=name, apart=True)) for name in ("silent", "well"))
        self.daemon = vhtest.Daemon(self.silent, self.well, pool=vhtest.process.format_cpus(cpus))
        self.addCleanup(self.daemon.close)
        os.makedirs(self.daemon.path("policy.d"))
        with open(self.daemon.path("policy.d/50-boost.conf"), "w") as file:
            file.write(BOOST)
        self.daemon.start(wait=False)
        for guest, cpu in (self.silent, 1), (self.well, 2):
            guest.start()
            guest.hint(guest.record(mask=[cpu]))
            guest.wait_pinned(cpu)
        self.cpu = self.silent.pinned()[1]
        self.daemon.kill()
        self.daemon.start(wait=False)

    def state(self, guest, vcpu):
        return self.daemon.ctl("status", guest.name)["guests"][0]["vcpu"][vcpu]

    def speak_well(self):
        """Says what holds, and asks for more than there is."""
        well = self.well
        with Masks(well.tids[2]) as masks:
            well.start()
            well.snapshot(well.record(mask=[2]))
            well.hint(well.record(pid=3, mask=[3]))
            wait_for(lambda: os.getpriority(os.PRIO_PROCESS, well.tids[3]) < 0, 2, "its new boost")
            wait_for(lambda: "has an anchor" in self.state(well, 3)["reason"], 2, "no CPU is free for a pin")
        self.assertEqual(masks.seen, {frozenset({well.pinned()[2]})})
        well.hint(well.record(pid=1, flags=1))
        well.wait_pinned(3, timeout=2)
        well.hint(well.record(pid=4, mask=[0]))
        wait_for(lambda: "has an anchor" in self.state(well, 0)["reason"], 2, "no CPU is free for another pin")
        self.assertEqual(list(well.pinned()), [3])
        self.assertNotEqual(well.pinned()[3], self.cpu)
        self.assertEqual((self.state(self.silent, 1)["state"], self.state(self.silent, 1)["reason"]),
                         ("pinned", "left so by a former vhintd until the guest has said what holds"))
        pin, = self.daemon.ctl("why", "silent")
        self.assertEqual((pin["action"], pin["vcpu"], pin["in_force"], pin["host_cpus"]),
                         ("pin", 1, True, str(self.cpu)))
        self.assertIn("left so by a former vhintd", self.daemon.call("why", "silent").stdout)

    def test_speaks_late(self):
        with Masks(self.silent.tids[1]) as masks:
            self.speak_well()
            self.silent.start()
            self.silent.snapshot(self.silent.record(mask=[1]))
            wait_for(lambda: "pins guest CPU" in self.state(self.silent, 1)["reason"], 5, "the pin has a fact again")
        self.assertEqual(masks.seen, {frozenset({self.cpu})})
        self.assertEqual(self.steps("adoption"), [])
        self.silent.hint(self.silent.record(flags=1))
        self.silent.wait_pinned()
        self.well.wait_pinned(0, 3)

    def test_speaks_and_wants_it_no_longer(self):
        self.speak_well()
        self.silent.start()
        self.silent.snapshot()
        self.silent.wait_pinned()
        self.well.wait_pinned(0, 3)

    def test_released(self):
        self.speak_well()
        self.assertEqual(self.daemon.ctl("release", "well")["undone"], 3)  # a pin and two boosts
        self.assertEqual(self.silent.pinned(), {1: self.cpu})
        self.assertEqual(self.daemon.ctl("release", "silent")["undone"], 1)
        self.assertEqual(self.silent.pinned(), {})

    def test_never_speaks(self):
        """It is not waited for for ever."""
        begin = time.monotonic()
        with Masks(self.silent.tids[1]) as masks:
            self.speak_well()
            wait_for(lambda: self.steps("adoption"), 15, "its time is over")
        self.assertGreater(time.monotonic() - begin, 5)
        self.assertLessEqual(masks.seen, {frozenset({self.cpu}), frozenset(self.silent.floating)})
        self.assertEqual([step["guest"] for step in self.steps("adoption")], ["silent"])
        self.silent.wait_pinned()
        self.well.wait_pinned(0, 3)
