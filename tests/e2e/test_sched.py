# SPDX-License-Identifier: GPL-2.0-or-later
"""The sched program: a level for each guest CPU that is not calm, one hint for each change of it."""
import os
import time
import unittest

import vhtest
from vhtest import wait_for

OBJECT = os.path.join(vhtest.BUILD, "guest-bpf/sched.bpf.o")
SPIN = "exec taskset -c {cpu} sh -c 'while :; do :; done'"
# Awake for a moment of each tenth of a second.
URGENT = "exec cyclic {cpu} fifo:10 100000 0"


class Sched(unittest.TestCase):
    every_kernel = "all"

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest())
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest, programs="sched"))

    def setUp(self):
        self.tasks = []
        self.wait(lambda facts: not facts, "a quiet guest is calm")

    def tearDown(self):
        for task in self.tasks:
            task.kill()

    def start(self, command, cpu, count=1):
        started = [self.guest.start_command(command.format(cpu=cpu)) for _ in range(count)]
        self.tasks += started
        return started

    def end(self, tasks):
        for task in tasks:
            self.tasks.remove(task)
            task.kill()

    def facts(self):
        return {hint["fields"]["cpu"]: hint["fields"] for hint in self.daemon.ctl("hints", "guest")
                if hint["program"] == "sched"}

    def wait(self, condition, what, timeout=20):
        def holds():
            self.last = self.facts()
            return condition(self.last)
        try:
            return wait_for(holds, timeout, what)
        except vhtest.Failure as failure:
            raise vhtest.Failure(f"{failure}; facts: {self.last}") from None

    def heard(self, cpu, seconds):
        """What its hints about this guest CPU said, one after the other, the one in force first, while `seconds` pass: each has a
        time of its own. One of each window would be seen, which has 100 ms."""
        said, end = {}, time.monotonic() + seconds
        while time.monotonic() < end:
            for hint in self.daemon.ctl("hints", "guest"):
                if hint["program"] == "sched" and hint["fields"]["cpu"] == cpu:
                    said[hint["ktime"]] = hint["fields"]["level"], hint["fields"]["urgent"]
            time.sleep(0.03)
        return list(said.values())

    def test_levels(self):
        spinners = self.start(SPIN, 1, 4)
        self.wait(lambda facts: facts.get(1, {}).get("level") == "SCHED_PRESSED", "four tasks on one CPU press it")
        fact = self.last[1]
        self.assertFalse(fact["urgent"])
        # What it was when it became so: the window may have begun before all four were there.
        self.assertTrue(fact["wait_pct"] >= 200 or fact["wakeup_us"] >= 20000, fact)
        self.assertGreaterEqual(fact["runnable"], 2)
        self.end(spinners)
        self.wait(lambda facts: 1 not in facts, "and it is calm again")

    def test_one_hint_while_nothing_changes(self):
        self.start(SPIN, 2, 6)
        self.wait(lambda facts: facts.get(2, {}).get("level") == "SCHED_PRESSED", "pressed")
        self.assertEqual(self.heard(2, 2), [("SCHED_PRESSED", False)], "twenty windows")

    def test_one_task_is_no_pressure(self):
        self.start(SPIN, 3)
        time.sleep(1.5)
        self.wait(lambda facts: 3 not in facts, "who has a CPU to itself does not wait")

    def test_urgent_at_once_and_as_long_as_it_lasts(self):
        task = self.start(URGENT, 1)
        self.wait(lambda facts: facts.get(1, {}).get("urgent"), "a real-time task runs", 5)
        said = self.heard(1, 2)
        self.assertEqual([urgent for _, urgent in said], [True] * len(said))
        # The host's load shows in a guest, too: its level may change. No hint repeats what the last one said.
        self.assertTrue(all(one != other for one, other in zip(said, said[1:])), said)
        self.end(task)
        self.wait(lambda facts: not facts.get(1, {}).get("urgent"), "none does any more")

    def test_high_priority_is_urgent(self):
        self.start("exec cyclic 2 nice:-10 100000 0", 2)
        self.wait(lambda facts: facts.get(2, {}).get("urgent"), "a task of high priority runs", 5)

    def test_a_real_time_task_that_never_switches(self):
        self.start("exec cyclic 3 fifo:10 0 0", 3)
        self.wait(lambda facts: facts.get(3, {}).get("urgent"), "it runs", 5)
        time.sleep(3)  # swept meanwhile
        self.assertTrue(self.facts()[3]["urgent"])

    def real_time(self, *threads):
        return [os.sched_getscheduler(thread) & 0xff == os.SCHED_RR for thread in threads]

    def test_boosts_by_default(self):
        """Whom an urgent task runs on, and, without KVM, QEMU's first thread, which runs its timers; but for the trial."""
        if not vhtest.real_time_is_allowed():
            self.skipTest("this host does not allow real-time threads, or does not throttle them")
        os.makedirs(self.daemon.path("policy.d"), exist_ok=True)
        path = self.daemon.path("policy.d/50-boost.conf")
        with open(path, "w") as file:
            file.write("[rule sched-urgent]\ntrial = off\n")
        threads = [self.guest.thread(1), self.guest.thread(2), self.guest.qemu.pid]
        emulated = "kvm" not in vhtest.accelerator()
        task = self.start("exec cyclic {cpu} fifo:10 2000 0", 1)
        # A boost is paused now and then.
        wait_for(lambda: self.real_time(*threads) == [True, False, emulated], 10, "boosted")
        self.end(task)
        wait_for(lambda: not any(self.real_time(*threads)), 20, "no more, once nothing is urgent")
        os.unlink(path)

    def test_tunables(self):
        self.start("exec cyclic 2 nice:-10 0 0", 2, 4)
        self.wait(lambda facts: facts.get(2, {}).get("level") == "SCHED_PRESSED" and facts[2]["urgent"], "as shipped")
        os.makedirs(self.daemon.path("policy.d"), exist_ok=True)
        path = self.daemon.path("policy.d/50-sched.conf")
        with open(path, "w") as file:
            file.write("[program sched]\nset.urgent_nice = -21\nset.window_ms = 20\nset.pressed_wait_pct = 100000\n"
                       "set.pressed_wakeup_us = 100000000\n")
        self.wait(lambda facts: facts.get(2, {}).get("level") == "SCHED_BUSY" and not facts[2]["urgent"],
                  "loaded anew: busy at most, and of no priority")
        os.unlink(path)
        self.wait(lambda facts: facts.get(2, {}).get("level") == "SCHED_PRESSED" and facts[2]["urgent"], "as shipped")
