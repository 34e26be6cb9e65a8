# SPDX-License-Identifier: GPL-2.0-or-later
"""A real guest whose program asks for boosts without end or sense: it gets what the limits say, and others what is theirs."""
import itertools
import os
import time
import unittest

import vhtest
from vhtest import wait_for
from vhtest.bpf import compile_bpf
from vhtest.crowd import Crowd
from vhtest.fake_guest import FakeGuest

BOOSTED = -15
HOLD, COOLDOWN = 0.4, 0.2  # s
SECONDS = 2  # of hostility
DEADLINE = 10  # s, for the other guest: how long it takes is for a bench to say
POLICY = """[program quarrel]
path = {program}
set.contradicts = {contradicts}
[guest guest]
programs = quarrel
[rule quarrel]
on = quarrel
when = urgent == true
do = boost cpu nice
trial = {trial}
hold = {hold}
cooldown = {cooldown}
[rule affinity-boost]
do = boost mask nice
trial = no
cooldown = 100ms
[host]
boost-budget = {budget}
trial-window = {window:.0f}ms
"""
BUSY = "exec taskset -c 1 dd if=/dev/zero of=/dev/null bs=1"


def slack():
    """s, that vhintd may be late on a loaded host."""
    return 1.0 * vhtest.setting.slowness


def window():
    """s, of a trial."""
    return 1 * vhtest.setting.slowness


class Adversary(unittest.TestCase):
    """Of the guest's CPUs, 1 is the one that asks."""
    every_kernel = False

    @classmethod
    def setUpClass(cls):
        cls.directory = vhtest.temporary_directory()
        cls.addClassCleanup(vhtest.process.remove_directory, cls.directory)
        cls.program = compile_bpf("quarrel", os.path.join(cls.directory, "quarrel.bpf.o"))
        cls.guest = cls.enterClassContext(vhtest.Guest(cpus=2))
        cls.thread = cls.guest.thread(1)

    def serve(self, *others, contradicts="true", trial="no", hold="400ms", cooldown="200ms", budget="70%"):
        self.daemon = vhtest.Daemon(self.guest, *others)
        self.addCleanup(self.daemon.close)
        os.makedirs(self.daemon.path("policy.d"))
        with open(self.daemon.path("policy.d/50-quarrel.conf"), "w") as file:
            file.write(POLICY.format(program=self.program, contradicts=contradicts, trial=trial, hold=hold,
                                     cooldown=cooldown, budget=budget, window=window() * 1000))
        self.daemon.start(wait=False)

    def wait_runs(self):
        wait_for(lambda: (self.daemon.program("quarrel") or {}).get("state") == "running", 10, "the program runs")

    def ask(self):
        self.wait_runs()
        task = self.guest.start_command(BUSY)
        self.addCleanup(task.kill)

    def boosted(self):
        return os.getpriority(os.PRIO_PROCESS, self.thread) == BOOSTED

    def action(self):
        return next((action for action in self.daemon.ctl("why", "guest") if action["rule"] == "quarrel"), {})

    def steps(self, what):
        return [step for step in self.daemon.steps() if step.get("guest") == "guest" and step["what"] == what]

    def look(self):
        """(time in s, whether it is boosted, ns that it has run)"""
        with open(f"/proc/{self.thread}/schedstat") as file:
            return time.monotonic(), self.boosted(), int(file.read().split()[0])

    def check_boosts(self, looks, budget):
        """Several boosts, none longer than its hold, with rests, and within the budget. A boost that rests because of that
        does so for much less than the cooldown."""
        times = [at for at, boosted, _ in looks if boosted]
        begun = times[:1]
        for last, at in zip(times, times[1:]):
            if at - last > COOLDOWN * 3 / 4:
                begun.append(at)
            self.assertLess(at - begun[-1], HOLD + slack())
        self.assertGreaterEqual(len(begun), 2)
        self.assertLess(len(times), 0.85 * len(looks))
        used = sum(after[2] - before[2] for before, after in zip(looks, looks[1:]) if before[1] and after[1]) / 1e9
        self.assertLess(used, (looks[-1][0] - looks[0][0]) * (budget + 0.1))

    def check_why(self):
        action = self.action()
        self.assertEqual((action["action"], action["vcpu"]), ("boost by nice", 1))
        self.assertIn(action["state"], ("unproven", "resting"))
        told = self.daemon.call("why", "guest").stdout
        self.assertIn("quarrel/quarrel cpu=1 urgent=", told)
        self.assertIn("50-quarrel.conf", told)
        self.assertIn("hold 400ms, cooldown 200ms", told)

    def serve_other(self, other, number):
        """A pin and its boost, and their end, each within its deadline."""
        thread = other.tids[number]
        other.hint(other.record(pid=50 + number, mask=[number]))
        other.wait_pinned(number, timeout=DEADLINE)
        wait_for(lambda: os.getpriority(os.PRIO_PROCESS, thread) == BOOSTED, DEADLINE, "the other guest's boost")
        other.hint(other.record(pid=50 + number, flags=1))
        other.wait_pinned(timeout=DEADLINE)
        wait_for(lambda: os.getpriority(os.PRIO_PROCESS, thread) != BOOSTED, DEADLINE, "its end")

    def test_contradicts_itself_at_full_speed(self):
        other = self.enterContext(FakeGuest(name="other", apart=True))
        self.serve(other)
        other.start()
        self.ask()
        wait_for(self.boosted, 10, "the first boost")
        hints, cpu, begin = self.daemon.program("quarrel")["hints"], self.daemon.cpu_time(), time.monotonic()
        with vhtest.Samples(self.look, 0.003) as samples:
            for number in itertools.count():
                self.serve_other(other, number % other.cpus)
                if time.monotonic() > begin + SECONDS:
                    break
        cpu, seconds = self.daemon.cpu_time() - cpu, time.monotonic() - begin
        self.assertGreater(self.daemon.program("quarrel")["hints"] - hints, 1000)
        self.assertLess(cpu, seconds / 2)
        self.check_boosts(samples.taken, 0.7)
        self.check_why()

    def test_asks_for_ever(self):
        self.serve(contradicts="false", budget="20%")
        self.ask()
        wait_for(self.boosted, 10, "the first boost")
        with vhtest.Samples(self.look, 0.003) as samples:
            time.sleep(SECONDS)
        self.check_boosts(samples.taken, 0.2)
        self.check_why()

    def test_killed_within_a_trial(self):
        self.serve(contradicts="false", trial="yes", hold="60s")
        self.ask()
        self.enterContext(Crowd(self.thread))
        wait_for(lambda: self.steps("boost vCPU 1"), 60, "the trial window")
        wait_for(self.boosted, 2, "boosted, within its budget")
        self.daemon.kill()
        wait_for(lambda: not self.boosted(), 5, "the boost is gone")
        self.daemon.start(wait=False)
        self.wait_runs()
        again = wait_for(lambda: self.steps("boost vCPU 1")[1:], 60, "a trial window again")[0]["monotonic"]
        self.assertGreater(again - self.steps("connect")[1]["monotonic"], window() - 0.1, "first comes a baseline again")
        for verdict in self.steps("trial boost vCPU 1"):
            self.assertGreater(verdict["monotonic"], again, "a verdict on what nobody has measured")
