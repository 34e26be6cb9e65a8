# SPDX-License-Identifier: GPL-2.0-or-later
"""What the warden lets a vCPU have that spins, in a real guest, and how a boost's trial ends there: in numbers."""
import os
import re
import statistics
import time
import unittest

import vhtest
from vhtest import wait_for
from vhtest.crowd import Crowd

CPU = 1  # of the guest
SPIN = f"exec taskset -c {CPU} sh -c 'while :; do :; done'"
SECONDS = 5
POLICY = """[rule affinity-pin]
enabled = no
[rule affinity-boost]
enabled = no
[rule urgent]
on = affinity
when = cpus == 1
do = boost mask {kind}
trial = {trial}
max-loss = {loss}
hold = 60s
[host]
boost-budget = {budget}%
boost-period = {period}ms
trial-window = 1s
"""


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not vhtest.real_time_is_allowed():
            raise unittest.SkipTest("this host does not allow real-time threads, or does not throttle them")
        if len(os.sched_getaffinity(0)) < 2:
            raise unittest.SkipTest("needs two host CPUs: one for the vCPU and who competes with it, one for all else")
        cls.guest = cls.enterClassContext(vhtest.Guest(cpus=2, served=True))
        cls.thread = cls.guest.thread(CPU)

    def setUp(self):
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)
        self.policy()  # before anything competes with the guest

    def policy(self, kind="rr", trial="off", loss="85%", budget=70, period=50):
        os.makedirs(self.daemon.path("policy.d"), exist_ok=True)
        with open(self.daemon.path("policy.d/50-warden.conf.new"), "w") as file:
            file.write(POLICY.format(kind=kind, trial=trial, loss=loss, budget=budget, period=period))
        before = len(self.daemon.steps("policy")) if self.daemon.process else 0
        os.rename(file.name, self.daemon.path("policy.d/50-warden.conf"))
        if self.daemon.process:
            wait_for(lambda: len(self.daemon.steps("policy")) > before, 5, "vhintd has read its policy")
        else:
            self.daemon.start()

    def compete(self, count=3):
        """The vCPU spins beside others on one host CPU. QEMU's first thread, which is boosted with it where QEMU has the guest's
        timers, would share the budget there: it is elsewhere."""
        crowd = self.enterContext(Crowd(self.thread, count))
        first = self.guest.qemu.pid
        before = vhtest.thread_cpus(first)
        os.sched_setaffinity(first, before - crowd.cpus)
        self.addCleanup(os.sched_setaffinity, first, before)
        spinner = self.guest.start_command(SPIN)
        self.addCleanup(spinner.kill)

    def is_real_time(self):
        return os.sched_getscheduler(self.thread) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR

    def wait_boosted(self):
        wait_for(self.is_real_time, 10, "the vCPU is real-time")


class Warden(Case):
    def setUp(self):
        super().setUp()
        # So that it gets next to nothing while its budget is spent: what it has then is the boost.
        nice = os.getpriority(os.PRIO_PROCESS, self.thread)
        os.setpriority(os.PRIO_PROCESS, self.thread, 19)
        self.addCleanup(os.setpriority, os.PRIO_PROCESS, self.thread, nice)

    def ran(self):
        """s of CPU time."""
        with open(f"/proc/{self.guest.qemu.pid}/task/{self.thread}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9

    def watch(self, period):
        """(share of a CPU that it has had, share of the time that it was boosted, lengths of its boosts in s), over SECONDS."""
        self.wait_boosted()
        with vhtest.Calls() as calls:
            begin, before = time.monotonic(), self.ran()
            time.sleep(SECONDS)
            seconds = time.monotonic() - begin
            used = (self.ran() - before) / seconds
        turns, since = [], None
        for call in calls.of("policy", self.thread):
            self.assertEqual(call.caller, "vhintd-warden")
            if call.value == os.SCHED_RR:
                since = call.time
            elif since:
                turns.append(call.time - since)
                since = None
        return used, sum(turns) / seconds, turns

    def test_holds_a_spinning_vcpu_to_its_budget(self):
        self.compete()
        for budget, period in ((70, 50), (30, 50), (50, 20), (50, 200)):
            with self.subTest(budget=budget, period=period):
                self.policy(budget=budget, period=period)
                used, boosted, turns = self.watch(period / 1000)
                self.assertAlmostEqual(used, budget / 100, delta=0.05)
                if boosted > budget / 100 + 0.05:  # a budget is CPU time: turns last longer where others take some of it
                    vhtest.witness.second_try("real-time threads of other tests had some of the boosted vCPU's turns")
                    used, boosted, turns = self.watch(period / 1000)
                self.assertAlmostEqual(boosted, budget / 100, delta=0.05)
                # Each period has one turn, as long as the budget; one that has begun late has owed what another one was over.
                self.assertAlmostEqual(len(turns), SECONDS * 1000 / period, delta=0.1 * SECONDS * 1000 / period + 1)
                self.assertAlmostEqual(statistics.median(turns) * 1000, budget / 100 * period, delta=0.05 * period)


class OwnGroup:
    """The process `pid` is in a control group of its own, beside the ones there are, while this is entered."""

    def __init__(self, pid):
        self.pid = pid
        self.root = "/sys/fs/cgroup/cpu" if os.path.exists("/sys/fs/cgroup/cpu/cgroup.procs") else "/sys/fs/cgroup"
        self.path = os.path.join(self.root, f"vhtest-{pid}")

    def _move(self, group):
        with open(os.path.join(group, "cgroup.procs"), "w") as file:
            file.write(str(self.pid))

    def __enter__(self):
        try:
            os.mkdir(self.path)
            if not os.path.exists(f"{self.path}/cpu.shares"):
                with open(f"{self.root}/cgroup.subtree_control", "w") as file:
                    file.write("+cpu")
            with open(f"/proc/{self.pid}/cgroup") as file:
                before = re.search(r"^\d+:(?:cpu(?:,.*)?|):/(.*)$", file.read(), re.M)[1]
            self.former = os.path.join(self.root, before)
            self._move(self.path)
        except OSError as error:
            raise unittest.SkipTest(f"no control group for the CPU can be made here: {error}") from None
        return self

    def __exit__(self, *_):
        self._move(self.former)
        os.rmdir(self.path)


class Trial(Case):
    """How trials of a real guest's boosts end."""

    def verdicts(self):
        return [step["why"] for step in self.daemon.steps(f"trial boost vCPU {CPU}")]

    def verdict(self):
        """The first that is not about the host's load, which has changed by what this test has no hand in."""
        def final():
            return [why for why in self.verdicts() if "the host's load changed meanwhile" not in why]
        return wait_for(final, 60, "a verdict")[0]

    def action(self):
        return next(action for action in self.daemon.ctl("why", "guest") if action["action"].startswith("boost"))

    def test_kept(self):
        self.policy(trial="on")
        self.compete()
        self.assertRegex(self.verdict(), "^kept: it waits less than before")
        self.assertEqual((self.action()["state"], self.action()["in_force"]), ("kept", True))
        self.wait_boosted()

    def test_reverted_as_a_neighbour_loses(self):
        self.policy(trial="on", loss="5%", budget=80)
        self.compete()
        self.assertRegex(self.verdict(), "^reverted: it robs its neighbours")
        self.assertEqual((self.action()["state"], self.action()["in_force"]), ("barred", False))
        self.assertGreater(self.action()["next"], 25)
        vhtest.stays(lambda: not self.is_real_time(), 1, "no boost")

    def test_inconclusive_as_it_makes_no_difference(self):
        """QEMU has a control group of its own, so that its threads' nice values say nothing to others."""
        self.enterContext(OwnGroup(self.guest.qemu.pid))
        self.policy(kind="nice", trial="on")
        self.compete()
        self.assertRegex(self.verdict(), "^inconclusive: the difference may be chance")
        self.assertEqual((self.action()["state"], self.action()["in_force"]), ("barred", False))
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, self.thread), 0)
