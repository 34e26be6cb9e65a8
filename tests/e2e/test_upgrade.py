# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintd is replaced, or dies, while guests go on: pins stay as they are, and what nobody takes over is put back."""
import json
import os
import re
import shutil
import socket
import subprocess
import unittest

import vhtest
from vhtest import Masks, stays, wait_for
from vhtest.daemon import VHINTD
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
        with open(self.daemon.path("run/journal")) as file:
            steps = [json.loads(line) for line in file if line.endswith("\n")]
        return [step for step in steps if what in step["what"]]


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
        shutil.copy(VHINTD, self.daemon.binary)
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
            shutil.copy(VHINTD, new)
            os.rename(new, self.daemon.binary)  # as a package does it
            self.daemon.start()
            self.wait_acts()
            wait_for(self.boosted, 5, "it boosts again")
        self.assertEqual(masks.seen, {pin}, f"in {masks.looks} looks")
        self.assertEqual(self.steps("unpin vCPU 2"), [])
        self.assertEqual(self.programs(), programs)
        self.assertEqual(len(self.steps("load ")), loads, "what ran was injected again")
        self.churn.kill(15)
        wait_for(lambda: [hint["fields"]["pid"] for hint in self.daemon.ctl("hints", "guest")] == [self.task.pid], 10,
                 "the only fact is the task's that is left")
        self.assertEqual(set(self.guest.output("walk").split()[::2]), {str(self.task.pid)})
        self.task.kill()
        wait_for(lambda: all(cpus == vhtest.thread_cpus("self") for cpus in self.guest.all_host_cpus().values()), 5,
                 "all float")
        self.assertFalse(self.boosted())

    def test_handover(self):
        def hand_over():
            self.assertIn("60 seconds", self.daemon.call("handover").stdout)
            self.daemon.stop()
            self.assertFalse(self.boosted(), "a boost outlives the one who watches it")
        self.check(hand_over)

    def test_killed(self):
        self.check(self.daemon.kill)


class Successor(Steps):
    """With guests that are none, which may keep silent."""

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

    def restore(self, **arguments):
        arguments = {"stderr": subprocess.PIPE, "env": vhtest.daemon.ENVIRONMENT, **arguments}
        return subprocess.run([VHINTD, "--restore", self.daemon.path("run/saved/masks")], text=True,
                              timeout=30 * vhtest.SLOWNESS, **arguments)

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
        done = self.restore()
        self.assertEqual(done.returncode, 1)
        self.assertIn("another vhintd", done.stderr)
        self.assertEqual(list(self.guest.pinned()), [1])
        self.daemon.kill()
        done = self.restore()
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
                    done = self.restore(stderr=theirs, env={**vhtest.daemon.ENVIRONMENT, **environment})
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
        done = subprocess.run([VHINTD, "--config", other], capture_output=True, text=True, env=vhtest.daemon.ENVIRONMENT,
                              timeout=30 * vhtest.SLOWNESS)
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

    def test_guest_keeps_silent(self):
        """It is not waited for for ever."""
        self.pin()
        self.daemon.kill()
        self.daemon.start(wait=False)
        self.assertEqual(list(self.guest.pinned()), [1])
        self.guest.wait_pinned(timeout=15)
        wait_for(lambda: self.steps("adoption"), 5, "it is told")

    def test_no_longer_managed(self):
        self.pin()
        self.daemon.kill()
        self.daemon.guests = {}
        self.daemon.start(wait=False)
        self.guest.wait_pinned()
