# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy files: a stranger's kind that pins, rules changed, broken and mended while hints flow."""
import json
import os
import time
import unittest

import vhtest
from vhtest import stays, wait_for
from vhtest.bpf import compile_bpf

DEFAULT = ("on affinity/affinity, when cpus == 1, do pin mask", "built-in 00-affinity.conf", 6)


class Policy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if len(os.sched_getaffinity(0)) < 2:
            raise unittest.SkipTest("a pin shows only with two host CPUs")
        cls.directory = vhtest.temporary_directory()
        cls.writer = compile_bpf("writer",
                                 os.path.join(cls.directory, "writer.bpf.o"))
        cls.guest = cls.enterClassContext(vhtest.Guest(served=True))
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))
        cls.floating = cls.guest.host_cpus(1)

    def setUp(self):
        self.tasks = []
        self.addCleanup(self.clean_up)

    def clean_up(self):
        for task in self.tasks:
            task.kill()
        for name in os.listdir(self.path()) if os.path.isdir(self.path()) else []:
            os.unlink(self.path(name))
        wait_for(lambda: not self.problems() and self.shown("rule affinity-pin") == DEFAULT and
                 self.daemon.program("writer") is None, 5, "the policy is what it was")
        self.wait_pinned()

    def path(self, name=""):
        return os.path.join(self.daemon.path("policy.d"), name)

    def write(self, name, text, mended=True):
        """Writes policy.d/NAME and waits until vhintd has read it."""
        os.makedirs(self.path(), exist_ok=True)
        before = self.readings()
        with open(self.path(name), "w") as file:
            file.write(text)
        wait_for(lambda: self.readings() > before, 5, "vhintd reads the policy")
        self.assertEqual(bool(self.problems()), not mended)

    def readings(self):
        """How often the policy has been read, well or not."""
        return len(self.daemon.steps("policy"))

    def problems(self):
        return self.daemon.ctl("status")["policy"]["problems"]

    def shown(self, key):
        """(value, file, line) of what applies to the guest."""
        lines = self.daemon.ctl("policy", "show", "guest")["lines"]
        return next(((line["value"], os.path.basename(line["file"]), line["line"]) for line in lines
                     if line["key"] == key), None)

    def sleeper(self, cpus):
        task = self.guest.start_command(f"exec taskset -c {cpus} sleep 1000")
        self.tasks.append(task)
        return task

    def pinned(self):
        return {cpu for cpu in range(4) if self.guest.host_cpus(cpu) != self.floating}

    def wait_pinned(self, *cpus):
        wait_for(lambda: self.pinned() == set(cpus), 5, f"vCPUs pinned: {cpus}")

    def run_program(self, name):
        wait_for(lambda: (self.daemon.program(name) or {}).get("state") == "running", 20, f"{name} runs")

    def test_default_rules(self):
        self.assertEqual(self.shown("rule affinity-pin"), DEFAULT)
        self.assertEqual(self.shown("smt"), ("avoid", "", 0))
        self.assertEqual(self.shown("programs")[:2], ("affinity", "vhint.conf"))
        self.sleeper(1)
        self.wait_pinned(1)

    def test_a_strangers_kind_pins(self):
        """Nothing but the program and a rule: the daemon has never heard of its struct."""
        self.write("50-writer.conf", f"""
[program writer]
path = {self.writer}
set.threshold = 85

[guest guest]
programs = affinity, writer

[rule writer]
on = writer
when = busy >= 80 && phase == WRITING && name == "log"
do = pin cpu
""")
        self.run_program("writer")
        self.guest.run("taskset -c 2 /bin/true")
        self.wait_pinned(2)
        self.guest.run("taskset -c 3 /bin/true")
        self.wait_pinned(3)
        # At first it is taskset's own doing.
        wait_for(lambda: any("rule writer" in vcpu["reason"] for vcpu in
                             self.daemon.ctl("status", "guest")["guests"][0]["vcpu"] if vcpu["guest_cpu"] == 3), 5, "told why")
        self.guest.run("taskset -c 0 /bin/false", check=False)
        self.wait_pinned()

        # Another tunable: the program is loaded anew with it, and its fact fits the rule no longer.
        self.guest.run("taskset -c 2 /bin/true")
        self.wait_pinned(2)
        self.write("60-quiet.conf", "[guest guest]\nset.writer.threshold = 10\n")
        self.wait_pinned()
        self.run_program("writer")
        wait_for(lambda: self.guest.run("taskset -c 2 /bin/true") and
                 any(hint["program"] == "writer" and hint["fields"]["busy"] == 10
                     for hint in self.daemon.ctl("hints", "guest")), 5, "the new tunable is in force")
        self.wait_pinned()  # but for taskset itself, nobody does

        # Not wanted any longer: unloaded, with its facts.
        os.unlink(self.path("50-writer.conf"))
        os.unlink(self.path("60-quiet.conf"))
        wait_for(lambda: self.daemon.program("writer") is None, 5, "the program is taken away")

    def test_a_strangers_affinity_is_not_ours(self):
        """A program that calls its kind like vhint's: rules are about it only where they name it."""
        claims = compile_bpf("claims", os.path.join(self.directory, "claims.bpf.o"))
        self.daemon.ctl("inject", "guest", claims)
        self.addCleanup(self.daemon.ctl, "eject", "guest", "claims")

        def claimed():
            return any(hint["program"] == "claims" and hint["kind"] == "affinity" and hint["fields"]["mask"][0] == 4
                       for hint in self.daemon.ctl("hints", "guest"))

        self.guest.run("taskset -c 2 /bin/true")
        wait_for(claimed, 5, "the claim is there")
        self.wait_pinned()  # but for taskset itself
        self.write("10.conf", f"""
[program claims]
path = {claims}

[rule theirs]
on = claims/affinity
when = cpus == 1
do = pin mask
""")
        self.wait_pinned(2)
        # The kind alone is our own program's.
        with open(self.path("10.conf")) as file:
            bare = file.read().replace("claims/affinity", "affinity")
        self.write("10.conf", bare)
        self.wait_pinned()
        self.assertTrue(claimed())
        self.assertEqual(self.shown("rule theirs")[0], DEFAULT[0])
        check = self.daemon.call("policy", "check", "--program-dir", os.path.join(vhtest.BUILD, "guest-bpf"),
                                 os.path.dirname(os.path.dirname(self.path())))
        self.assertIn("[rule theirs] on: affinity means affinity/affinity", check.stdout, check.stderr)

    def test_broken_and_mended_while_hints_flow(self):
        """The last good policy is in force as long as the files are broken; nothing lets go of a pin."""
        self.sleeper(1)
        self.wait_pinned(1)
        stream = self.guest.start_command("while :; do taskset -c 2 true; taskset -c 3 true; done")
        self.tasks.append(stream)
        hints = self.daemon.guest()["hints"]
        for text, problem in [("[guest guest]\npol = 1\n", "10.conf:2: [guest guest] pol: unknown key; did you mean \"pool\"?"),
                              ("[rule affinity-pin]\nwhen = cpsu == 1\n", "10.conf:2: [rule affinity-pin] when: "),
                              ("[guest guest\n", "10.conf:1: ")]:
            with self.subTest(text):
                self.write("10.conf", text, mended=False)
                wait_for(lambda: any(problem in p for p in self.problems()), 5, "the problem is told")
                self.assertIn(problem, self.daemon.call("status").stdout)
                self.assertIn(problem, self.daemon.call("policy", "show", "guest").stdout)
                stays(lambda: len(self.guest.host_cpus(1)) == 1, 0.5, "the pin stays")
        with open(os.path.join(self.daemon.path("run"), "journal")) as file:
            self.assertTrue(any(json.loads(line)["what"] == "policy refused" for line in file))
        self.write("10.conf", "[rule affinity-pin]\nwhen = cpus == 1 && pid > 1\n")
        self.assertEqual(self.shown("rule affinity-pin")[0],
                         "on affinity/affinity, when cpus == 1 && pid > 1, do pin mask")
        self.assertEqual(len(self.guest.host_cpus(1)), 1)
        wait_for(lambda: self.daemon.guest()["hints"] > hints + 10, 10, "hints have flowed")
        stream.kill()
        self.wait_pinned(1)

    def test_rules_change_what_is_pinned_already(self):
        self.sleeper(1)
        self.wait_pinned(1)
        self.write("10.conf", "[guest guest]\nactions = none\n")
        self.wait_pinned()
        self.write("10.conf", "[guest guest]\nmax-pins = 1\n")
        self.wait_pinned(1)
        self.sleeper(2)
        self.sleeper(3)
        time.sleep(0.5)
        self.assertEqual(self.pinned(), {1})
        os.unlink(self.path("10.conf"))
        wait_for(lambda: len(self.pinned()) == min(3, len(os.sched_getaffinity(0))), 5, "as many as the pool has")

    def test_hold(self):
        self.write("10.conf", "[rule affinity-pin]\nhold = 2s\n")
        task = self.sleeper(1)
        self.wait_pinned(1)
        task.kill()
        stays(lambda: self.pinned() == {1}, 1, "held")
        self.wait_pinned()

    def test_float(self):
        """vCPUs that a rule floats are left alone, whatever other rules say, as long as its fact holds."""
        first, second = self.sleeper(1), self.sleeper(2)
        self.wait_pinned(1, 2)
        self.write("10.conf", "[rule leave]\non = affinity\nwhen = cpus == 2\ndo = float mask\n")
        leave = self.sleeper("2,3")
        self.wait_pinned(1)
        self.assertEqual(self.reason(2), "no hint asks for it")
        self.sleeper(3)  # which asks for nothing by now
        # A mask that is not of two CPUs floats nothing.
        self.guest.run(f"taskset -cp 0-2 {leave.pid}")
        wait_for(lambda: {2} < self.pinned() or {3} < self.pinned(), 5, "those that are asked for are pinned again")
        self.guest.run(f"taskset -cp 2,3 {leave.pid}")
        self.wait_pinned(1)
        # Without a field, all of them.
        self.write("10.conf", "[rule leave]\non = affinity\nwhen = cpus == 2\ndo = float\n")
        self.wait_pinned()
        leave.kill()
        self.tasks.remove(leave)
        wait_for(lambda: len(self.pinned()) == min(3, len(os.sched_getaffinity(0))), 5, "all that are asked for are pinned")
        for task in (first, second):
            self.assertFalse(task.done())

    def reason(self, cpu):
        vcpus = self.daemon.ctl("status", "guest")["guests"][0]["vcpu"]
        return next(vcpu["reason"] for vcpu in vcpus if vcpu["guest_cpu"] == cpu)

    def logged(self):
        return [step["why"] for step in self.daemon.steps("rule seen")]

    def test_log(self):
        """A line when a fact comes and when it changes, with its fields; then none for the rule's cooldown. It does nothing else."""
        self.write("10.conf", "[guest guest]\nactions = log\n[rule seen]\non = affinity\nwhen = cpus == 1\n"
                              "do = log {comm} of {pid} is bound, mask {mask[0]}; {cpus} CPU\n")
        task = self.guest.start_command("sleep 1000; true")  # whose shell binds itself later
        self.tasks.append(task)
        self.guest.run(f"taskset -cp 1 {task.pid}")
        said = wait_for(self.logged, 5, "the fact has come")
        self.assertEqual(said, [f"sh of {task.pid} is bound, mask 2; 1 CPU"])
        self.guest.run(f"taskset -cp 1 {task.pid}")  # no news
        self.guest.run(f"taskset -cp 2 {task.pid}")
        wait_for(lambda: len(self.logged()) > 1, 5, "the fact has changed")
        self.assertEqual(self.logged()[1:], [f"sh of {task.pid} is bound, mask 4; 1 CPU"])
        self.assertEqual(self.pinned(), set())
        # With a cooldown the changes in between make no line.
        self.write("10.conf", "[guest guest]\nactions = log\n[rule seen]\non = affinity\nwhen = cpus == 1\n"
                              "do = log {pid} has {mask[0]}\ncooldown = 1h\n")
        before = len(self.logged())
        self.guest.run(f"for i in 1 2 3; do taskset -cp 3 {task.pid}; taskset -cp 1 {task.pid}; done")
        wait_for(lambda: [hint["fields"]["mask"][0] for hint in self.daemon.ctl("hints", "guest")] == [2], 5, "all has come")
        self.assertEqual(len(self.logged()), before + 1)

    def test_max_hints(self):
        """A flood is acted upon in the end, and the last mask counts."""
        self.write("10.conf", "[guest guest]\nmax-hints = 20/s\n")
        task = self.sleeper(1)
        self.guest.run(f"for i in $(seq 60); do taskset -cp 2 {task.pid}; taskset -cp 3 {task.pid}; done >/dev/null")
        self.wait_pinned(3)

    def test_floating_ones_keep_off_the_anchored_core(self):
        self.sleeper(1)
        self.wait_pinned(1)
        cpu = min(self.guest.host_cpus(1))
        with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") as file:
            rest = self.floating - vhtest.parse_cpus(file.read())
        if not rest:
            self.skipTest("this host has one core: there is no other to keep to")
        self.write("20-off.conf", "[guest guest]\noff-anchors = yes\n")
        wait_for(lambda: all(self.guest.host_cpus(other) == rest for other in (0, 2, 3)), 5, "the others make room")
        self.assertEqual(self.guest.host_cpus(1), {cpu})
        self.tasks.pop().kill()
        wait_for(lambda: all(self.guest.host_cpus(other) == self.floating for other in range(4)), 5, "nobody in the way")

    def test_read_on_a_signal(self):
        self.write("10.conf", "[guest guest]\nsmt = pair\n")
        wait_for(lambda: (self.shown("smt") or ())[:1] == ("pair",), 5, "the file is read")
        self.daemon.process.popen.send_signal(1)
        stays(lambda: self.shown("smt") == ("pair", "10.conf", 2), 0.5, "it is read again")


class Broken(unittest.TestCase):
    """vhintd starts although the policy is broken, and takes it once it is mended."""

    def test_broken_at_the_start(self):
        guest = self.enterContext(vhtest.Guest(served=True))
        daemon = vhtest.Daemon(guest)
        self.addCleanup(daemon.close)
        os.makedirs(daemon.path("policy.d"))
        with open(daemon.path("policy.d/10.conf"), "w") as file:
            file.write("[guest guest]\npool = 4000\n")
        daemon.start(wait=False)
        problem, = daemon.ctl("status")["policy"]["problems"]
        self.assertRegex(problem, r"10\.conf:2: \[guest guest\] pool: CPU 4000 is not on this host")
        self.assertEqual(daemon.ctl("programs", "guest"), [])
        os.unlink(daemon.path("policy.d/10.conf"))
        daemon.wait_ready()
        task = guest.start_command("exec taskset -c 1 sleep 1000")
        if len(os.sched_getaffinity(0)) > 1:
            wait_for(lambda: len(guest.host_cpus(1)) == 1, 5, "pinned")
        task.kill()
