# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's threads beside its vCPUs: placed by policy from the start, before any hint, and put back."""
import os
import time
import unittest

import vhtest
from vhtest import wait_for

SOON = 5  # s


class Threads(unittest.TestCase):
    """QEMU's own threads on the host's last CPU, its IOThread on the first one."""

    @classmethod
    def setUpClass(cls):
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise unittest.SkipTest("this host has one CPU: placed and floating look alike")
        cls.first, cls.last = cpus[0], cpus[-1]

    def setUp(self):
        # Not running yet: what happens now happens before the guest's first instruction.
        self.guest = self.enterContext(Paused(cpus=2, arguments=["-S", "-object", "iothread,id=io0"]))
        self.pid = self.guest.qemu.pid
        self.iothread = self.guest.qmp.call("query-iothreads")[0]["thread-id"]
        self.floating = vhtest.thread_cpus(self.pid)
        self.daemon = NoPool(self.guest)
        self.addCleanup(self.daemon.close, True)
        self.policy(f"emulator={self.last}\niothreads={self.first}\n")

    def policy(self, text):
        os.makedirs(self.daemon.path("policy.d"), exist_ok=True)
        with open(self.daemon.path("policy.d/10-threads.conf"), "w") as file:
            file.write(f"[guest guest]\n{text}")

    def emulator(self):
        """The masks of all threads that are neither vCPUs nor the IOThread."""
        others = {*self.guest.threads().values(), self.iothread}
        masks = [vhtest.thread_cpus(int(tid)) for tid in os.listdir(f"/proc/{self.pid}/task")
                 if int(tid) not in others]
        return [mask for mask in masks if mask]

    def placed(self):
        return all(mask == {self.last} for mask in self.emulator()) and \
            vhtest.thread_cpus(self.iothread) == {self.first}

    def vcpus_float(self):
        return all(vhtest.thread_cpus(tid) == self.floating for tid in self.guest.threads().values())

    def put_back(self):
        return all(mask == self.floating for mask in self.emulator()) and \
            vhtest.thread_cpus(self.iothread) == self.floating and self.vcpus_float()

    def start(self):
        self.daemon.start(wait=False)
        wait_for(self.placed, SOON, "emulator and IOThread are where the policy says")

    def test_before_the_first_instruction_until_the_stop(self):
        self.start()
        rows = {row["thread"]: row for row in self.daemon.ctl("status", "guest")["guests"][0]["thread"]}
        self.assertEqual(set(map(int, os.listdir(f"/proc/{self.pid}/task"))) - set(self.guest.threads().values()),
                         set(rows))
        row = rows[self.iothread]
        self.assertEqual((row["role"], row["name"], row["state"]), ("iothread", "io0", "pinned"))
        self.assertEqual(vhtest.parse_cpus(row["host_cpus"]), {self.first})
        self.assertEqual(vhtest.parse_cpus(row["former"]), self.floating)
        self.assertIn("named by the policy", row["reason"])
        self.assertTrue(self.vcpus_float())
        self.assertEqual((rows[self.pid]["role"], rows[self.pid]["state"]), ("emulator", "pinned"))
        self.assertIn("iothread", self.daemon.call("status", "guest").stdout)
        self.assertEqual(len(self.daemon.steps(f"pin IOThread, thread {self.iothread}")), 1)
        self.guest.qmp.call("cont")
        self.guest.wait_booted()
        self.assertTrue(self.placed())
        self.daemon.stop()
        self.assertTrue(self.put_back(), self.emulator())

    def test_killed_daemon(self):
        self.start()
        self.daemon.kill()
        self.assertTrue(self.placed())
        # Nobody sees this one come: it has its maker's mask.
        self.guest.qmp.call("object-add", **{"qom-type": "iothread", "id": "io2"})
        new = next(t["thread-id"] for t in self.guest.qmp.call("query-iothreads") if t["id"] == "io2")
        self.assertEqual(vhtest.thread_cpus(new), {self.last})
        self.policy("emulator=free\n")
        self.daemon.start(wait=False)
        wait_for(self.put_back, SOON, "the next daemon puts emulator and IOThread back")
        self.assertEqual(vhtest.thread_cpus(new), self.floating)
        self.assertEqual(len(self.daemon.steps(f"unpin IOThread, thread {self.iothread}")), 1)

    def plan(self):
        """{thread: (now, planned)} of what vhintctl says that the daemon's own policy would change."""
        plan = self.daemon.ctl("plan", "--policy", self.daemon.directory)
        return {line["thread"]: (line["now"], line["planned"]) for line in plan["threads"] if line["changes"]}

    def test_release_resume_and_another_policy(self):
        self.start()
        self.daemon.ctl("release", "guest")
        self.assertTrue(self.put_back(), self.emulator())
        self.assertEqual(self.plan(), {"emulator": ("", str(self.last)), "IOThread io0": ("", str(self.first))})
        self.daemon.ctl("resume", "guest")
        self.assertTrue(self.placed(), self.emulator())
        self.assertEqual(self.plan(), {})
        self.policy(f"iothreads={self.last}\n")
        wait_for(lambda: vhtest.thread_cpus(self.iothread) == {self.last}, SOON, "the IOThread moves")
        self.assertTrue(all(mask == self.floating for mask in self.emulator()))

    def test_a_thread_made_meanwhile(self):
        """QEMU's main thread makes it, so it comes with that one's mask; what it goes back to is what that one had."""
        self.start()
        self.guest.qmp.call("object-add", **{"qom-type": "iothread", "id": "io1"})
        new = next(t["thread-id"] for t in self.guest.qmp.call("query-iothreads") if t["id"] == "io1")
        self.assertEqual(vhtest.thread_cpus(new), {self.last})
        self.daemon.ctl("release", "guest")
        self.assertEqual(vhtest.thread_cpus(new), self.floating)
        self.assertTrue(self.put_back())

    def test_what_cannot_be_for_a_whole_guest_is_told_once(self):
        second = self.enterContext(Paused(cpus=1, arguments=["-S"], name="second"))
        self.daemon.guests["second"] = second
        with open(self.daemon.path("policy.d/20-all.conf"), "w") as file:
            file.write(f"[guest guest]\npool={self.first}\nsharing=dedicated\n"
                       f"[guest second]\npool={self.first}\nfloating=pool\n")
        self.daemon.start(wait=False)
        problem = wait_for(lambda: self.daemon.steps("placement"), SOON, "the journal tells of the pool")[0]
        self.assertEqual(problem["guest"], "second")
        self.assertIn("no CPU of its pool", problem["why"])
        self.daemon.ctl("resume", "guest")  # another plan
        time.sleep(0.2)
        self.assertEqual(self.daemon.steps("placement"), [problem])
        self.assertIn(problem["why"], self.daemon.guest("second")["problem"])
        self.assertNotIn("pool", self.daemon.guest()["problem"])


class Live(unittest.TestCase):
    def test_added_to_a_running_guest(self):
        """Nobody tells of it; it is found with hints that change nothing else."""
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            self.skipTest("this host has one CPU: placed and floating look alike")
        guest = self.enterContext(vhtest.Guest(cpus=2, served=True))
        daemon = vhtest.Daemon(guest)
        self.addCleanup(daemon.close)
        os.makedirs(daemon.path("policy.d"))
        with open(daemon.path("policy.d/10-threads.conf"), "w") as file:
            file.write(f"[guest guest]\niothreads={cpus[0]}\nactions=none\n")
        daemon.start()
        guest.qmp.call("object-add", **{"qom-type": "iothread", "id": "late"})
        thread = guest.qmp.call("query-iothreads")[0]["thread-id"]
        daemon.ctl("status", "guest")  # which looks at them, too, and asks QEMU nothing
        wait_for(lambda: guest.run("taskset -c 1 true") and vhtest.thread_cpus(thread) == {cpus[0]}, 15, "it is placed")
        guest.qmp.call("object-del", id="late")
        daemon.stop()


class NoPool(vhtest.Daemon):
    def write_guests(self, file):
        for name, guest in self.guests.items():
            file.write(f"\n[guest {name}]\nqmp={guest.qmp_path}\nchannel={guest.channel_path}\n")


class Paused(vhtest.Guest):
    def __enter__(self):
        try:
            return self.start(wait=False)
        except BaseException:
            self.stop()
            raise
