# SPDX-License-Identifier: GPL-2.0-or-later
"""From a mask in the guest to a mask on the host: the main path, on a guest whose CPU numbers are not its APIC ids."""
import os
import statistics
import time
import unittest

import vhtest
from vhtest import stays, wait_for

CPUS = 6
SOON = 5  # s, until the host has followed the guest


class Pin(unittest.TestCase):
    every_kernel = True

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(smp=vhtest.SPARSE_APIC_IDS))
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))
        cls.floating = {cpu: vhtest.thread_cpus(cls.guest.qemu.pid) for cpu in range(CPUS)}

    def setUp(self):
        if len(self.floating[0]) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        self.wait_pinned()

    # What the tests say.

    def task(self, command):
        """A task in the guest, killed at the latest when the test ends."""
        task = self.guest.start_command(f"exec {command}")
        self.addCleanup(lambda: task.result or task.kill())
        return task

    def sleeper(self, cpus):
        return self.task(f"taskset -c {cpus} sleep 1000")

    def pinned(self):
        return {cpu for cpu, allowed in self.guest.all_host_cpus().items() if len(allowed) == 1}

    def wait_pinned(self, *cpus):
        """Until exactly these guest CPUs have one host CPU each, and all others the mask they came with."""
        def right():
            masks = self.guest.all_host_cpus()
            return all(len(masks[cpu]) == 1 if cpu in cpus else masks[cpu] == self.floating[cpu] for cpu in masks)
        try:
            wait_for(right, SOON, f"guest CPUs {cpus} pinned and no others")
        except vhtest.Failure as error:
            raise vhtest.Failure(f"{error}; allowed host CPUs now: {self.guest.all_host_cpus()}; "
                                 f"facts: {self.facts()}") from None

    def fence(self):
        """Returns when the host has acted upon all that happened in the guest so far."""
        task = self.task("taskset -c 0 sleep 1000")
        wait_for(lambda: 0 in self.pinned(), SOON, "guest CPU 0 pinned")
        task.kill()
        wait_for(lambda: 0 not in self.pinned(), SOON, "guest CPU 0 floats")

    def facts(self):
        return self.daemon.ctl("hints", "guest")

    # The tests.

    def test_nothing_is_pinned_without_a_reason(self):
        # Kernel threads bound to one CPU are many; none counts.
        self.fence()
        self.assertEqual(self.pinned(), set())
        self.assertEqual(self.facts(), [])

    def test_taskset_pins_the_vcpu_with_that_apic_id(self):
        for cpu in (2, 3, CPUS - 1):
            with self.subTest(cpu=cpu):
                task = self.sleeper(cpu)
                self.wait_pinned(cpu)
                task.kill()
                self.wait_pinned()

    def test_status_tells_where_and_why(self):
        self.sleeper(3)
        self.wait_pinned(3)
        vcpus = self.daemon.ctl("status", "guest")["guests"][0]["vcpu"]
        entry = next(vcpu for vcpu in vcpus if vcpu["guest_cpu"] == 3)
        self.assertEqual(entry["apic_id"], self.guest.apic_ids()[3])
        self.assertEqual(entry["thread"], self.guest.thread(3))
        self.assertEqual(vhtest.parse_cpus(entry["host_cpus"]), self.guest.host_cpus(3))
        self.assertEqual(vhtest.parse_cpus(entry["former"]), self.floating[3])
        self.assertEqual(entry["state"], "pinned")
        self.assertTrue(entry["reason"])
        self.assertEqual([v["state"] for v in vcpus if v["guest_cpu"] not in (3, -1)], ["floating"] * (CPUS - 1))

    def test_mask_moves(self):
        task = self.sleeper(1)
        self.wait_pinned(1)
        self.guest.run(f"taskset -cp 4 {task.pid}")
        self.wait_pinned(4)
        self.guest.run(f"taskset -cp 1 {task.pid}")
        self.wait_pinned(1)

    def test_pin_move_unpin(self):
        task = self.sleeper(1)
        self.wait_pinned(1)
        self.guest.run(f"taskset -cp 2 {task.pid}")
        self.guest.run(f"taskset -cp 0-{CPUS - 1} {task.pid}")
        self.wait_pinned()

    def test_two_tasks_on_one_cpu(self):
        first, second = self.sleeper(2), self.sleeper(2)
        self.wait_pinned(2)
        first.kill()
        self.fence()
        self.wait_pinned(2)
        second.kill()
        self.wait_pinned()

    def test_two_cpus_get_a_host_cpu_each(self):
        self.sleeper(1)
        self.sleeper(4)
        self.wait_pinned(1, 4)
        self.assertNotEqual(self.guest.host_cpus(1), self.guest.host_cpus(4))

    def test_a_mask_of_several_cpus_does_not_pin(self):
        task = self.sleeper("1,4")
        self.fence()
        self.assertEqual(self.pinned(), set())
        self.guest.run(f"taskset -cp 4 {task.pid}")
        self.wait_pinned(4)
        self.guest.run(f"taskset -cp 1,4 {task.pid}")
        self.wait_pinned()

    def test_a_refused_call_does_not_pin(self):
        # CPU 8 is possible but not there, CPU 99 not even possible.
        for cpu in (8, 99):
            self.assertNotEqual(self.guest.run(f"taskset -c {cpu} true", check=False).code, 0)
        task = self.sleeper(3)
        self.assertNotEqual(self.guest.run(f"taskset -cp 99 {task.pid}", check=False).code, 0)
        self.wait_pinned(3)
        self.fence()
        self.wait_pinned(3)

    def test_children_inherit(self):
        shell = self.task("taskset -c 2 sh -c 'sleep 1000 & echo $! >/tmp/child; exec sleep 1000'")
        self.addCleanup(lambda: self.guest.run("killall sleep; rm /tmp/child", check=False))
        self.wait_pinned(2)
        wait_for(lambda: self.guest.run("test -s /tmp/child", check=False).code == 0, 5, "the child")
        shell.kill()
        self.fence()
        self.wait_pinned(2)
        self.guest.run("kill -9 $(cat /tmp/child)")
        self.wait_pinned()

    def test_a_cpuset_pins_too(self):
        group = "/sys/fs/cgroup/pin"
        self.guest.run(f"mkdir {group} && echo 5 >{group}/cpuset.cpus")
        self.addCleanup(lambda: self.guest.run(f"rmdir {group}", check=False))
        task = self.task("sleep 1000")
        self.guest.run(f"echo {task.pid} >{group}/cgroup.procs")
        self.wait_pinned(5)
        self.guest.run(f"echo 3 >{group}/cpuset.cpus")
        self.wait_pinned(3)
        self.guest.run(f"echo {task.pid} >/sys/fs/cgroup/cgroup.procs")
        self.wait_pinned()
        task.kill()

    def test_the_last_of_many_masks_wins(self):
        for calls, last in ((200, 2), (200, -1), (2000, 2)):
            with self.subTest(calls=calls, last=last):
                self.guest.run("rm -f /tmp/burst")
                task = self.task(f"burst {calls} {last} >/tmp/burst")
                wait_for(lambda: self.guest.run("cat /tmp/burst", check=False).output == "done\n", 60, "the burst's end")
                self.wait_pinned(*([last] if last >= 0 else []))
                task.kill()
                self.wait_pinned()

    def test_release_and_resume(self):
        self.sleeper(4)
        self.wait_pinned(4)
        self.addCleanup(self.daemon.ctl, "resume", "guest")
        undone = self.daemon.ctl("release", "guest")["undone"]
        self.wait_pinned()

        def steps():  # where the host is busy, a boost may be among them
            return [step["what"] for step in self.daemon.steps("un") if step["why"] == "released by hand"]
        wait_for(lambda: len(steps()) == undone, SOON, "the journal has what was undone")
        self.assertIn("unpin vCPU 4", steps())
        self.assertTrue(self.daemon.guest()["held"])
        stays(lambda: not self.pinned(), 0.3, "released")
        self.daemon.ctl("resume", "guest")
        self.wait_pinned(4)

    def test_follows_without_delay(self):
        """Nothing on the path waits for a timer: that would cost each time, where a busy machine costs now and then."""
        took = []

        def timed(condition, what):
            begin = time.monotonic()
            wait_for(condition, 5, what)
            took.append(time.monotonic() - begin)
        for _ in range(20):
            task = self.sleeper(1)
            timed(lambda: self.pinned() == {1}, "pinned")
            task.kill()
            timed(lambda: not self.pinned(), "floating")
        self.assertLess(statistics.median(took), 0.5 * vhtest.setting.slowness)

    def test_pressure_is_calm(self):
        """The pressure program loads beside the affinity program, and says how much memory there is."""
        path = os.path.join(vhtest.BUILD, "guest-bpf/pressure.bpf.o")
        self.daemon.ctl("inject", "guest", path)
        self.addCleanup(self.daemon.ctl, "eject", "guest", "pressure")
        fact = wait_for(lambda: next((fact["fields"] for fact in self.facts() if fact["kind"] == "pressure"), None), 20,
                        "a fact about pressure")
        self.assertEqual((fact["scope"], fact["level"]), (0, "CALM"))
        total = int(self.guest.output("awk '/MemTotal/ { print $2 }' /proc/meminfo")) >> 10
        self.assertEqual(fact["total_mib"], total)
        self.assertTrue(total / 4 < fact["available_mib"] < total, fact)

    def test_comm_names_those_that_talk(self):
        """Two tasks on two CPUs that wake one another make one fact, which ends when they do."""
        path = os.path.join(vhtest.BUILD, "guest-bpf/comm.bpf.o")
        self.daemon.ctl("inject", "guest", path, "--set", "busy_wakeups=100", "--set", "intense_wakeups=1000000",
                        "--set", "window_ms=100")
        self.addCleanup(self.daemon.ctl, "eject", "guest", "comm")

        def pairs():
            return {(fact["fields"]["low"], fact["fields"]["high"]): fact["fields"]
                    for fact in self.facts() if fact["kind"] == "comm"}
        task = self.task("pingpong 3 1")
        pair = wait_for(lambda: pairs().get((1, 3)), 20, "a fact about guest CPUs 1 and 3")
        self.assertEqual((pair["level"], pair["mask"][0]), ("COMM_BUSY", 0b1010))
        self.assertGreaterEqual(pair["wakeups"], 100)
        self.assertEqual({pair["waker"], pair["woken"]}, {"pingpong", "pong"})
        task.kill()
        wait_for(lambda: (1, 3) not in pairs(), 20, "the fact is gone")
