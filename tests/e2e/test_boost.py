# SPDX-License-Identifier: GPL-2.0-or-later
"""Boosts of vCPUs' threads: as long as they are asked for, within their limits, and never longer than their owner."""
import os
import signal
import time
import unittest

import vhtest
from vhtest import stays, wait_for
from vhtest.crowd import Crowd
from vhtest.fake_guest import FakeGuest

BOOSTED = -15
BEGINS = 5  # s, on a host that has other things to do; an end is due within one
RULE = """[rule affinity-pin]
enabled = no
[rule urgent]
on = affinity
when = cpus == 1
do = boost mask {kind}
trial = {trial}
hold = {hold}
cooldown = {cooldown}
[host]
trial-window = {window}
"""


def window():
    """s, of a trial that is not to be over before the test has seen it."""
    return 1 * vhtest.setting.slowness


class Boost(unittest.TestCase):
    def setUp(self):
        self.serve(FakeGuest())

    def serve(self, guest):
        self.guest = self.enterContext(guest)
        self.daemon = vhtest.Daemon(guest)
        self.addCleanup(self.daemon.close)

    def start(self, trial="no", hold="10s", cooldown="100ms", kind="", window="600ms"):
        os.makedirs(self.daemon.path("policy.d"))
        with open(self.daemon.path("policy.d/50-boost.conf"), "w") as file:
            file.write(RULE.format(trial=trial, hold=hold, cooldown=cooldown, kind=kind, window=window))
        self.daemon.start(wait=False)
        self.guest.start()

    def ask(self, cpu, pid=1000):
        self.guest.hint(self.guest.record(pid=pid, mask=[cpu]))

    def end(self, pid=1000):
        self.guest.hint(self.guest.record(pid=pid, flags=1))

    def nice(self, cpu):
        return os.getpriority(os.PRIO_PROCESS, self.guest.tids[cpu])

    def boosted(self):
        return {cpu for cpu in range(self.guest.cpus) if self.nice(cpu) == BOOSTED}

    def wait_boosted(self, *cpus, timeout=1):
        wait_for(lambda: self.boosted() == set(cpus), timeout, f"exactly guest CPUs {cpus} are boosted")

    def why(self):
        return {action["vcpu"]: action for action in self.daemon.ctl("why", "fake")}

    def test_as_long_as_asked(self):
        self.start()
        self.ask(2)
        self.wait_boosted(2, timeout=BEGINS)
        action = self.why()[2]
        self.assertEqual((action["action"], action["rule"], action["state"], action["in_force"]),
                         ("boost by nice", "urgent", "unproven", True))
        self.assertRegex(self.daemon.call("why", "fake").stdout, "(?s)boost by nice: unproven.*the rule says by nice")
        self.end()
        self.wait_boosted()
        self.assertEqual({self.nice(cpu) for cpu in range(4)}, {0})

        def taken():
            return [step for step in self.daemon.steps() if "boost vCPU 2" in step["what"]]
        steps = wait_for(lambda: len(taken()) == 2 and taken(), 5, "both steps are in the journal")
        self.assertEqual([step["what"] for step in steps], ["boost vCPU 2", "unboost vCPU 2"])
        self.assertEqual((steps[0]["before"], steps[0]["after"]), ("nice 0", "nice"))

    def test_owner_vanishes(self):
        self.start()
        self.ask(1)
        self.wait_boosted(1, timeout=BEGINS)
        self.guest.channel.close()
        self.wait_boosted()

    def test_release(self):
        self.start()
        self.ask(1)
        self.wait_boosted(1, timeout=BEGINS)
        self.assertEqual(self.daemon.ctl("release", "fake")["undone"], 1)
        self.wait_boosted()
        stays(lambda: not self.boosted(), 0.3, "released")

    def test_daemon_killed_and_stopped(self):
        self.start()
        self.ask(3)
        self.wait_boosted(3, timeout=BEGINS)
        self.daemon.kill()
        self.wait_boosted()  # the warden's doing
        self.daemon.start(wait=False)
        self.guest.start()
        self.ask(3)
        self.wait_boosted(3, timeout=BEGINS)
        self.daemon.stop()
        self.assertEqual(self.boosted(), set())

    def wait_trial(self, number):
        """The journal, unlike vhintctl, tells of a trial window at once."""
        wait_for(lambda: sum(step["what"] == "boost vCPU 0" for step in self.daemon.steps()) >= number, 30, "the trial window")

    def start_within_a_trial(self):
        """A vCPU that wants to run beside many others, boosted to see whether that helps."""
        self.serve(FakeGuest(cpus=1, busy=True))
        self.enterContext(Crowd(self.guest.tids[0]))
        self.start(trial="yes", window=f"{window() * 1000:.0f}ms")
        self.ask(0)
        self.wait_trial(1)

    def test_killed_within_a_trial(self):
        self.start_within_a_trial()
        self.daemon.kill()
        self.wait_boosted(timeout=5)
        self.daemon.start(wait=False)
        self.guest.start()
        self.assertEqual(self.why(), {})

    def told(self):
        """What the journal has of trials."""
        return [step["why"] for step in self.daemon.steps() if step["what"] == "trial boost vCPU 0"]

    def test_guest_migrates_within_a_trial(self):
        """A guest that is being copied is slower by that: no verdict comes of it, and none before it is over."""
        self.start_within_a_trial()
        self.guest.event("MIGRATION", status="active")
        self.wait_boosted(timeout=5)
        wait_for(self.told, 5, "a verdict")
        self.assertIn("inconclusive: the guest was being migrated meanwhile", self.told()[0])
        stays(lambda: self.why()[0]["state"] == "baseline", 1.25 * window(), "longer than a baseline takes")
        self.guest.event("MIGRATION", status="cancelled")
        self.wait_trial(2)

    def test_guest_goes_within_a_trial(self):
        self.start_within_a_trial()
        self.guest.channel.close()
        self.wait_boosted(timeout=5)
        wait_for(self.told, 5, "a verdict")
        self.assertIn("inconclusive: the guest went away meanwhile", self.told()[0])
        # Nothing is held against it.
        self.guest.start()
        self.ask(0)
        wait_for(lambda: self.why().get(0, {}).get("state") in ("baseline", "trial", "kept"), 10, "it is measured anew")

    def test_asked_for_ever(self):
        self.start(hold="300ms", cooldown="200ms")
        self.ask(2)
        seen = []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            seen.append(2 in self.boosted())
            time.sleep(0.02)
        changes = sum(a != b for a, b in zip(seen, seen[1:]))
        self.assertGreaterEqual(changes, 4)
        self.assertLess(sum(seen), len(seen) * 0.85)

    def test_contradictory_hints_at_full_speed(self):
        self.start()
        for _ in range(200):
            self.guest.hint(*[self.guest.record(pid=7, mask=[2]) if i % 2 else self.guest.record(pid=7, flags=1)
                              for i in range(20)])
        self.ask(1, pid=8)
        self.wait_boosted(1, 2, timeout=10)
        self.end(pid=7)
        self.wait_boosted(1)
        # The rest after each boost is what bounds them.
        self.assertLess(sum("boost vCPU 2" in step["what"] for step in self.daemon.steps()), 100)

    def test_trial_of_one_that_never_runs(self):
        self.start(trial="yes")
        self.ask(2)
        wait_for(lambda: self.why().get(2, {}).get("verdict"), 15, "a verdict")
        action = self.why()[2]
        self.assertEqual((action["verdict"], action["state"], action["in_force"]), ("inconclusive", "barred", False))
        self.assertIn("ran too little", action["reason"])
        self.assertEqual(self.boosted(), set())
        wait_for(lambda: any(step["what"] == "trial boost vCPU 2" for step in self.daemon.steps()), 2, "it is told")
        self.end()
        wait_for(lambda: self.why().get(2, {}).get("state") == "off", 2, "the action is over")
        wait_for(self.sleeps, 15, "nobody asks for anything, so nothing ticks")

    def sleeps(self):
        """Whether vhintd's main thread, which other things may wake now and then, has not run for longer than a tick."""
        before = self.switches()
        time.sleep(1.5)
        return self.switches() == before

    def switches(self):
        with open(f"/proc/{self.daemon.process.popen.pid}/status") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("voluntary"))

    def real_time(self):
        return [tid for tid in self.guest.tids if os.sched_getscheduler(tid) & 0xff == os.SCHED_RR]

    def warden(self):
        """Its process id."""
        children = f"/proc/{self.daemon.process.pid}/task/{self.daemon.process.pid}/children"
        with open(children) as file:
            return next(pid for pid in map(int, file.read().split()) if self.comm(pid) == "vhintd-warden")

    @staticmethod
    def comm(pid):
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()

    def test_real_time(self):
        if not vhtest.real_time_is_allowed():
            self.skipTest("this host does not allow real-time threads, or does not throttle them")
        self.start(kind="rr")
        for cpu in range(self.guest.cpus):
            self.ask(cpu, pid=2000 + cpu)
        wait_for(lambda: len(self.real_time()) == self.guest.cpus, 2, "all are real-time: the warden watches")
        for cpu in range(self.guest.cpus):
            self.end(pid=2000 + cpu)
        wait_for(lambda: {os.sched_getscheduler(tid) for tid in self.guest.tids} == {os.SCHED_OTHER}, 5, "none is")

    def test_auto_is_real_time_or_nice(self):
        self.start(kind="auto")
        self.ask(1)
        if vhtest.real_time_is_allowed():
            wait_for(lambda: self.real_time() == [self.guest.tids[1]], 2, "real-time")
            self.assertEqual((self.why()[1]["action"], self.why()[1]["why"]),
                             ("boost by rr", "auto: real-time, since this host throttles such threads and the warden "
                                             "keeps their budgets"))
        else:
            self.wait_boosted(1, timeout=2)
            self.assertEqual(self.why()[1]["action"], "boost by nice")
            self.assertIn("real-time was refused", self.why()[1]["why"])
        self.end()
        wait_for(lambda: not self.real_time() and not self.boosted(), 5, "no boost")
        self.assertEqual(self.why()[1]["action"], "boost by auto")

    def test_real_time_without_a_warden(self):
        """Then vhintd keeps a CPU for itself; what it refuses so, auto does by nice."""
        self.start(kind="rr")
        os.kill(self.warden(), signal.SIGKILL)
        wait_for(lambda: "the warden has ended" in vhtest.tail(self.daemon.log), 5, "its end is noticed")
        own = len(os.sched_getaffinity(0))
        for cpu in range(self.guest.cpus):
            self.ask(cpu, pid=2000 + cpu)
        wait_for(lambda: len(self.why()) == self.guest.cpus and
                 sum(not action["in_force"] for action in self.why().values()), 2, "refusals")
        real_time = self.real_time()
        self.assertLess(len(real_time), own)
        refused = [action for action in self.why().values() if action["problem"]]
        self.assertEqual(len(refused), self.guest.cpus - len(real_time))
        self.assertRegex(refused[0]["problem"], "vhintd itself|not throttled|not permitted")
        with open(self.daemon.path("policy.d/50-boost.conf"), "w") as file:
            file.write(RULE.format(trial="no", hold="10s", cooldown="100ms", kind="auto", window="600ms"))
        wait_for(lambda: len(self.boosted()) + len(self.real_time()) == self.guest.cpus, 5, "the others by nice")
        for cpu in self.boosted():
            self.assertRegex(self.why()[cpu]["why"], "real-time was refused: .*(vhintd itself|not throttled|not permitted)")
        for cpu in range(self.guest.cpus):
            self.end(pid=2000 + cpu)
        wait_for(lambda: {os.sched_getscheduler(tid) for tid in self.guest.tids} == {os.SCHED_OTHER}, 5, "none is")

    def test_a_pin_on_trial(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        os.makedirs(self.daemon.path("policy.d"))
        with open(self.daemon.path("policy.d/50-pin.conf"), "w") as file:
            file.write("[rule affinity-pin]\ntrial = on\n[rule affinity-boost]\nenabled = no\n")
        self.daemon.start(wait=False)
        self.guest.start()
        self.ask(1)
        wait_for(lambda: self.why().get(1, {}).get("state") == "baseline", 5, "the baseline")
        self.assertEqual(self.guest.pinned(), {})
        # The thread never runs: nothing speaks against the pin.
        wait_for(lambda: self.why().get(1, {}).get("state") == "unproven", 10, "the verdict")
        self.guest.wait_pinned(1)
        self.assertEqual(self.why()[1]["verdict"], "inconclusive")
        self.end()
        self.guest.wait_pinned()
