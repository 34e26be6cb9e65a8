# SPDX-License-Identifier: GPL-2.0-or-later
"""The affinity program in real guests: its facts are what a walk over /proc says, whatever the tasks have done. What it was not
shown is counted as lost, to the last event that the kernel counts."""
import os
import re
import unittest

import vhtest
from vhtest import channel
from vhtest.bpf import compile_bpf


def walk(guest):
    """{thread: mask} by /proc, through tests/guest/walk.c."""
    lines = guest.output("walk").splitlines()
    return {int(tid): int(mask, 16) for tid, mask in (line.split() for line in lines)}


class Case(unittest.TestCase):
    """`guest` is the subclass's."""
    maxDiff = None

    def setUp(self):
        self.channel = channel.Channel(self.guest.channel_path)
        self.addCleanup(self.channel.close)
        for program in self.channel.start():
            self.channel.unload(program)

    def start(self, command):
        return self.guest.start_command(f"exec {command}")

    def load(self, replace=False):
        with open(vhtest.AFFINITY, "rb") as file:
            answer = self.channel.load("affinity", file.read(), replace=replace)
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        return answer.program

    def state(self, program=0):
        """{thread: mask} by a snapshot."""
        records = next(iter(self.channel.snapshot(program).values()))
        return {hint.pid: hint.mask for hint in map(channel.Affinity, records)}

    def churn(self, workers, seconds, nice=0):
        self.guest.run("true >/tmp/churn")
        return self.start(f"sh -c 'renice -n {nice} -p $$ >/dev/null && exec churn {workers} {seconds} >/tmp/churn'")

    def lost(self, program="affinity"):
        return self.channel.programs()[program].lost

    def kernel(self):
        """(6, 1)"""
        return tuple(map(int, re.match(r"(\d+)\.(\d+)", self.channel.release).groups()))

    def count_runs(self):
        self.guest.run("echo 1 >/proc/sys/kernel/bpf_stats_enabled")

    def counted(self, name, programs):
        """What the kernel itself counts, by tests/guest/misses.c: {program: (runs, missed)}, and all that is missed, with what
        the program's variable vh_lost says."""
        lines = [line.split() for line in self.guest.output("misses").splitlines()]
        numbers = {line[1]: line[2] for line in lines if line[0] == "prog" and line[2] in programs}
        runs = {line[2]: (int(line[3]), int(line[4])) for line in lines if line[0] == "prog" and line[1] in numbers}
        probes = sum(int(line[2]) for line in lines if line[0] == "link" and line[1] in numbers)
        own = sum(int(line[2]) for line in lines if line[0] == "bss" and line[1] == f"{name[:8]}.bss")
        return runs, sum(missed for _, missed in runs.values()) + probes + own

    HOOKS = {"task_dead", "task_takeover", "set_mask", "task_fork", "task_exec"}

    def assert_counted(self):
        """Every event that the kernel did not show to the affinity program is counted as lost, and no end, mask or new task
        is among them: where those are hooked nothing comes between. A kernel before 5.12 neither passes over nor counts."""
        runs, missed = self.counted("affinity", self.HOOKS)
        self.assertEqual(set(runs), self.HOOKS)
        self.assertEqual(self.lost(), missed)
        self.assertEqual({name: count for name, (_, count) in runs.items() if count and name != "task_exec"}, {})
        return runs

    def holding(self):
        return "holding" in self.guest.output("cat /tmp/churn")


class Affinity(Case):
    every_kernel = True

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest())

    def start(self, command):
        task = super().start(command)
        self.addCleanup(lambda: task.result or task.kill())
        return task

    def test_tasks_older_than_the_program(self):
        sleepers = [self.start(f"taskset {mask} sleep 1000") for mask in ("1", "6", "f")]
        vhtest.wait_for(lambda: len(walk(self.guest)) == 2, 5, "two narrowed tasks")
        self.load()
        expected = {sleepers[0].pid: 1, sleepers[1].pid: 6}
        self.assertEqual(channel.apply_hints({}, self.channel.drain()), expected)
        self.assertEqual(walk(self.guest), expected)
        self.assertEqual(self.state(), expected)

    def test_only_what_happened(self):
        self.load()
        task = self.start("sleep 1000")
        vhtest.wait_for(lambda: self.guest.output(f"cat /proc/{task.pid}/comm") == "sleep", 5, "the task has its name")
        self.channel.drain()
        self.guest.run(f"taskset -p 2 {task.pid}")
        self.assertEqual(channel.apply_hints({}, self.channel.drain()), {task.pid: 2})
        self.guest.run(f"taskset -p 2 {task.pid}")
        self.assertEqual(self.channel.drain(), [], "a hint though nothing changed")
        self.assertNotEqual(self.guest.run(f"taskset -p 100 {task.pid}", check=False).code, 0)
        self.assertEqual(self.channel.drain(), [], "a hint for a call that failed")
        self.guest.run(f"taskset -p f {task.pid}")
        self.assertEqual(channel.apply_hints({task.pid: 2}, self.channel.drain()), {})

    def test_kernel_threads_do_not_count(self):
        self.load()
        self.guest.run("pid=$(pidof kswapd0 || pidof kcompactd0 || pidof kauditd) && taskset -p 1 $pid")
        self.assertEqual(channel.apply_hints({}, self.channel.drain()), {})

    def test_cpuset_moves(self):
        self.load()
        task = self.start("sleep 1000")
        directory = self.guest.output("test -d /run/cpuset && echo /run/cpuset || echo /sys/fs/cgroup")
        self.addCleanup(lambda: self.guest.run(f"rmdir {directory}/a"))
        self.guest.run(f"mkdir {directory}/a && cd {directory}/a && echo 1-2 >cpuset.cpus && "
                       "(test ! -e cpuset.mems || echo 0 >cpuset.mems)")
        self.guest.run(f"echo {task.pid} >{directory}/a/cgroup.procs")
        self.assertEqual(channel.apply_hints({}, self.channel.drain()), {task.pid: 6})
        self.guest.run(f"echo 3 >{directory}/a/cpuset.cpus")
        self.assertEqual(channel.apply_hints({}, self.channel.drain()), {task.pid: 8})
        self.guest.run(f"echo {task.pid} >{directory}/cgroup.procs")
        self.assertEqual(channel.apply_hints({task.pid: 8}, self.channel.drain()), {})

    def test_churn(self):
        """Hundreds of tasks: the hints alone, a snapshot and /proc must say the same, and nothing is missed that is not
        counted."""
        self.count_runs()
        self.load()
        churn = self.churn(100, 2)
        frames = []

        def holding():
            frames.extend(self.channel.drain(0.1))
            return self.holding()
        vhtest.wait_for(holding, 60, "churn holds still")
        frames += self.channel.drain()
        expected = walk(self.guest)
        self.assertGreater(len(expected), 100)
        self.assertEqual(self.state(), expected)
        runs = self.assert_counted()
        self.assertGreater(min(run for run, _ in runs.values()), 0, runs)  # the storm has hit each hook
        if self.lost() == 0:
            self.assertEqual(dict(sorted(channel.apply_hints({}, frames).items())), expected)
        churn.kill(15)
        self.assertEqual(walk(self.guest), {})
        self.assertEqual(self.state(), {})

    def missed_events(self, *arguments):
        """How many are told of a program whose hook is hit while it runs. A task's end is such an event: the affinity program
        looks for its fact."""
        path = compile_bpf("reentered", os.path.join(vhtest.temporary_directory(), "reentered.o"), *arguments)
        with open(path, "rb") as file:
            answer = self.channel.load("reentered", file.read(), replace=True)
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        self.channel.drain()
        self.guest.run("taskset 1 true")
        _, before = self.counted("reentered", {"on_delete"})
        told = [batch for kind, _, batch in self.channel.drain(2) if kind == "HINTS" and batch.program == answer.program]
        _, after = self.counted("reentered", {"on_delete"})
        self.assertEqual([batch.records for batch in told], [[]] * len(told))
        lost = told[-1].lost if told else 0
        self.assertTrue(before <= lost <= after, (before, lost, after))  # who counts ends as well
        return lost

    def test_missed_events_are_told_in_a_quiet_guest(self):
        """Events that a program was not shown make no hint, and no later hint need come to tell of them."""
        self.load()
        self.assertGreater(self.missed_events(), 0)

    def test_missed_events_of_a_kprobe(self):
        """From 6.7 on the kernel tells of them."""
        self.load()
        lost = self.missed_events("-DPROBE")
        if self.kernel() >= (6, 7):
            self.assertGreater(lost, 0)


class Amid(Case):
    every_kernel = True

    def setUp(self):
        self.guest = self.enterContext(vhtest.Guest())
        super().setUp()

    def load_taken(self):
        path = compile_bpf("taken", os.path.join(vhtest.temporary_directory(), "taken.o"))
        with open(path, "rb") as file:
            answer = self.channel.load("taken", file.read())
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        return answer.program

    def test_loaded_amid_churn(self):
        """A walk that meets changing tasks, and a replacement."""
        taken = self.load_taken()
        churn = self.churn(16, 60, nice=19)  # or to load takes half a minute
        vhtest.wait_for(lambda: walk(self.guest), 30, "narrowed tasks")
        first = self.load()
        second = self.load(replace=True)
        self.assertGreater(second, first)
        self.assertFalse(self.holding())
        self.guest.run(f"kill -USR1 {churn.pid}")
        vhtest.wait_for(self.holding, 60, "churn holds still")
        self.channel.drain()
        self.assertEqual(self.state(second), walk(self.guest))
        self.assert_counted()
        if self.lost() == 0:  # each end was seen, also while the rest was being attached
            # A thread that nobody waits for takes itself off the list of tasks, and can be preempted before its last
            # instruction: a walk that passes in between takes its fact out. It takes none of a thread that is dead.
            vhtest.wait_for(lambda: not self.channel.snapshot(taken)[taken], 10, "whose facts a walk took out died later")
        churn.kill(15)
        self.assertEqual(self.state(second), {})
