# SPDX-License-Identifier: GPL-2.0-or-later
"""Several guests, more CPUs than a word has bits, nothing open to the network, no shell, no one client in the way."""
import glob
import os
import resource
import socket
import subprocess
import time
import unittest

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest

SOON = 5  # s


def one_cpu(guest, cpu):
    """The host CPU that the guest's CPU is pinned to, or None."""
    allowed = guest.host_cpus(cpu)
    return next(iter(allowed)) if len(allowed) == 1 else None


class TwoGuests(unittest.TestCase):
    """Both ask for their CPU 0 and CPU 1; the host has one CPU each for two of the four."""

    def setUp(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")

    def test_never_the_same_host_cpu(self):
        first = self.enterContext(vhtest.Guest(cpus=2, name="first", served=True))
        second = self.enterContext(vhtest.Guest(cpus=2, name="second", served=True))
        daemon = self.enterContext(vhtest.Daemon(first, second))
        task = second.start_command("exec taskset -c 0 sleep 1000")
        wait_for(lambda: one_cpu(second, 0) is not None, SOON, "the second guest's CPU 0 is pinned")
        taken = one_cpu(second, 0)
        first.start_command("exec taskset -c 0 sleep 1000")
        wait_for(lambda: one_cpu(first, 0) is not None, SOON, "the first guest's CPU 0 is pinned")
        # The same guest CPU in both: at least one is not on the host CPU of its own number.
        self.assertNotEqual(one_cpu(first, 0), taken)
        self.assertEqual(one_cpu(second, 0), taken, "a new anchor moves no other")
        # A third finds the pool 0-1 used up: it floats, and status says why.
        first.start_command("exec taskset -c 1 sleep 1000")
        wait_for(lambda: len(daemon.ctl("hints", "first")) == 2, SOON, "the third fact")
        self.assertIsNone(one_cpu(first, 1))
        self.assertIn("0-1", daemon.call("status").stdout)
        task.kill()
        wait_for(lambda: one_cpu(first, 1) == taken, SOON, "the one that waited gets the host CPU that is free now")


class Load(unittest.TestCase):
    """A new anchor keeps off the host CPU that is busy with something else."""

    def stat(self, **busy):
        """What the daemon sees as /proc/stat: each CPU has been busy for so many more ticks, the others idle."""
        for cpu in self.ticks:
            self.ticks[cpu][0 if cpu in busy.values() else 1] += 1000
        with open(self.path, "w") as file:  # the very file that is mounted there
            file.writelines(f"cpu{cpu} {used} 0 0 {idle} 0 0 0 0 0 0\n" for cpu, (used, idle) in self.ticks.items())

    def test_the_quieter_one(self):
        cpus = sorted(os.sched_getaffinity(0))[:2]
        if len(cpus) < 2:
            self.skipTest("this host has one CPU")
        directory = vhtest.temporary_directory()
        self.path = os.path.join(directory, "stat")
        self.ticks = {cpu: [0, 0] for cpu in cpus}
        self.stat()
        guest = self.enterContext(vhtest.Guest(cpus=2, served=True))
        daemon = vhtest.Daemon(guest, pool=vhtest.format_cpus(cpus))
        daemon.mounts["/proc/stat"] = self.path
        self.enterContext(daemon)
        for busy, quiet in (cpus, cpus[::-1]):
            self.stat(busy=busy)
            task = guest.start_command("exec taskset -c 0 sleep 1000")
            wait_for(lambda: one_cpu(guest, 0) is not None, SOON, "pinned")
            self.assertEqual(one_cpu(guest, 0), quiet)
            self.stat(busy=quiet)
            guest.run("taskset -c 1 true")  # another plan moves nobody
            self.assertEqual(one_cpu(guest, 0), quiet)
            task.kill()
            wait_for(lambda: one_cpu(guest, 0) is None, SOON, "floats")


class ManyCpus(unittest.TestCase):
    """A guest of 70 CPUs: masks of two words."""

    def test_a_mask_beyond_one_word(self):
        guest = self.enterContext(vhtest.Guest(cpus=70, append="maxcpus=2"))  # of them two at first: a start takes a while each
        daemon = self.enterContext(vhtest.Daemon(guest))
        guest.run("echo 1 >/sys/devices/system/cpu/cpu68/online")
        self.assertEqual(guest.output("cat /sys/devices/system/cpu/online"), "0-1,68")
        self.assertEqual(daemon.ctl("hints", "guest"), [], "a full mask of 70 CPUs is not narrowed")
        for cpu, mask in ((1, [2, 0]), (68, [0, 16])):
            task = guest.start_command(f"exec taskset -c {cpu} sleep 1000")
            fact = wait_for(lambda: daemon.ctl("hints", "guest"), SOON, "the fact")[0]
            self.assertEqual(fact["fields"]["mask"], mask + [0] * 6)
            wait_for(lambda: one_cpu(guest, cpu) is not None, SOON, f"guest CPU {cpu} is pinned")
            task.kill()
            wait_for(lambda: one_cpu(guest, cpu) is None, SOON, f"guest CPU {cpu} floats")


class Closed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(cpus=2, served=True))
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))

    def test_nothing_listens_to_the_network(self):
        pid = self.daemon.process.pid
        mine = set()
        for fd in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                mine.add(os.readlink(fd))
            except FileNotFoundError:
                pass  # a client's, which is gone
        for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"):
            path = f"/proc/{pid}/net/{table}"
            if not os.path.exists(path):
                continue
            with open(path) as file:
                for line in file.readlines()[1:]:
                    self.assertFalse(mine & {f"socket:[{word}]" for word in line.split()}, f"{table}: {line}")
        self.assertTrue(any(name.startswith("socket:") for name in mine), "its own sockets were seen")

    def test_a_task_name_reaches_no_shell(self):
        self.guest.run("mkfifo /tmp/never")  # a task's standard input is empty
        task = self.guest.start_command("printf '$(touch pwned)' >/proc/self/comm; taskset -cp 1 $$; "
                                        "read never <>/tmp/never")
        self.addCleanup(lambda: task.result or task.kill())
        fact = wait_for(lambda: self.daemon.ctl("hints", "guest"), SOON, "the fact")[0]
        self.assertEqual(fact["fields"]["comm"], "$(touch pwned)")
        children = f"/proc/{self.daemon.process.pid}/task/{self.daemon.process.pid}/children"
        with open(children) as file:
            for child in file.read().split():
                self.assertEqual(os.readlink(f"/proc/{child}/exe"), os.readlink(f"/proc/{self.daemon.process.pid}/exe"),
                                 "vhintd runs no other program; its warden is vhintd, too")
        self.assertFalse(os.path.exists(f"/proc/{self.daemon.process.pid}/cwd/pwned"))

    def test_half_a_request_holds_up_nobody(self):
        for begin in (b"", b"\0", b"\0AUTH EXTERNAL ", b"\0AUTH EXTERNAL 30\r\n"):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.connect(self.daemon.control)
            client.sendall(begin)
        task = self.guest.start_command("exec taskset -c 0 sleep 1000")
        wait_for(lambda: one_cpu(self.guest, 0) is not None, SOON, "guest CPU 0 is pinned all the same")
        self.assertEqual(self.daemon.call("status").returncode, 0)
        self.guest.qmp.call("query-status")  # QEMU's main loop runs
        task.kill()
        wait_for(lambda: one_cpu(self.guest, 0) is None, SOON, "guest CPU 0 floats")


class Descriptors(unittest.TestCase):
    def test_as_many_as_may_be(self):
        """One is held for each thread under management; the soft limit that a shell or systemd gives is 1024."""
        daemon = vhtest.Daemon()
        daemon.prefix = ["prlimit", "--nofile=256:3000", "--"]
        self.enterContext(daemon)
        with open(f"/proc/{daemon.process.pid}/limits") as file:
            limit = next(line.split() for line in file if line.startswith("Max open files"))
        self.assertEqual(limit[3:5], ["3000", "3000"])

    def test_no_more(self):
        """Whom there is no descriptor for is told so, and served once there is; the others, and those who ask, are served."""
        guest, late = FakeGuest(cpus=80, name="many"), FakeGuest(name="late")
        guest.__enter__()
        daemon = vhtest.Daemon(guest, late)
        self.addCleanup(daemon.close)
        daemon.prefix = ["prlimit", "--nofile=128:128", "--"]
        try:
            daemon.start(wait=False)
            guest.start()
            guest.hint(guest.record(mask=[1]))
            guest.wait_pinned(1)
            problems = [vcpu["reason"] for vcpu in daemon.ctl("status", "many")["guests"][0]["vcpu"]
                        if "LimitNOFILE" in vcpu["reason"]]
            self.assertGreater(len(problems), 10)
            self.enterContext(late)
            wait_for(lambda: "Too many open files" in daemon.guest("late")["problem"], SOON, "it is said why it is not served")
            clients = [subprocess.Popen([vhtest.daemon.VHINTCTL, "--socket", daemon.control, "watch"], text=True,
                                        env=vhtest.daemon.ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                       for _ in range(30)]
            try:
                wait_for(lambda: sum(client.poll() is not None for client in clients) >= 20, 15, "those too many are refused")
                self.assertTrue(all(client.poll() in (None, 3) for client in clients))
                used = daemon.cpu_time()
                for _ in range(5):
                    guest.hint(guest.record(flags=1))
                    guest.wait_pinned()
                    guest.hint(guest.record(mask=[2]))
                    guest.wait_pinned(2)
                time.sleep(1)  # in which one who is out of something would try and try
                used = daemon.cpu_time() - used
                self.assertLess(used, 0.5, "CPU time spent in about a second, in s")
            finally:
                for client in clients:
                    client.kill()
                    client.communicate()
        finally:
            guest.__exit__()
        late.start()
        late.hint(late.record(mask=[1]))
        late.wait_pinned(1)
        self.assertTrue(daemon.guest("late")["connected"])

    def test_ten_thousand(self):
        """As many threads as 100 guests of 100 vCPUs have."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard < 12000:
            self.skipTest(f"the limit of open files is {hard} here")
        fleet = subprocess.Popen([os.path.join(vhtest.BUILD, "tests/bench/fleet-guests"), directory := vhtest.temporary_directory(),
                                  "100", "100"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (fleet.stdin.close(), fleet.wait(), fleet.stdout.close()))

        def ask(line):
            print(line, file=fleet.stdin, flush=True)
            return fleet.stdout.readline()
        self.assertEqual(fleet.stdout.readline(), "ready\n")
        daemon = vhtest.Daemon()
        self.addCleanup(daemon.close)
        daemon.sections = "".join(f"[guest fleet-{i}]\nqmp={directory}/{i}.qmp\nchannel={directory}/{i}.channel\n"
                                  "overcommit=yes\nprograms=affinity\nactions=pin,group\n" for i in range(100))
        for end in (lambda: None, daemon.kill):
            end()
            daemon.start(wait=False)
            self.assertTrue(ask("adopted 100").strip())
            wait_for(lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd")) > 10000, 30, "it holds that many descriptors")
            self.assertEqual(daemon.call("guests").returncode, 0)
        daemon.stop()
        self.assertEqual(ask("floating").strip(), "")
