# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host lacks, changes or takes away while it boosts a real guest's vCPU, or has it on trial.

vhintd sees a host that is made up in this one respect, by files mounted over those of /proc and /sys for it alone."""
import os
import socket
import unittest

import vhtest
from vhtest import wait_for
from vhtest.crowd import Crowd

BOOSTED = -15
SOON = 5  # s
POLICY = """[rule affinity-boost]
enabled = no
[rule affinity-pin]
trial = {pin}
[rule urgent]
on = affinity
when = cpus == 1
do = {action}
trial = {trial}
hold = 60s
cooldown = 100ms
{more}
"""
ONLINE = "/sys/devices/system/cpu/online"
NETLINK_KOBJECT_UEVENT = 15


class HostFaults(unittest.TestCase):
    """Guest CPU 1 is the one that a task is bound to."""

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(cpus=2, served=True))
        cls.directory = vhtest.temporary_directory()

    def setUp(self):
        self.thread = self.guest.thread(1)
        self.usual = self.nice()
        self.task = None
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)

    def over(self, path, text):
        """The file that vhintd is to see at `path`."""
        self.daemon.mounts[path] = os.path.join(self.daemon.directory, path.replace("/", "_"))
        self.write(path, text)

    def write(self, path, text):
        with open(self.daemon.mounts[path], "w") as file:  # the very file that is mounted there
            file.write(text)

    def policy(self, kind="", trial="no", pin="off", more="", action="boost mask"):
        os.makedirs(self.daemon.path("policy.d"), exist_ok=True)
        with open(self.daemon.path("policy.d/50-faults.conf"), "w") as file:
            file.write(POLICY.format(action=f"{action} {kind}", trial=trial, pin=pin, more=more))

    def start(self, **policy):
        self.policy(**policy)
        self.daemon.start()

    def ask(self, command="sleep 1000"):
        self.task = self.guest.start_command(f"exec taskset -c 1 {command}")
        self.addCleanup(self.end)

    def end(self):
        if self.task and not self.task.result:
            self.task.kill()

    def action(self, name="boost"):
        return next((action for action in self.daemon.ctl("why", "guest")
                     if action["action"].startswith(name) and action.get("vcpu") in (1, None)), {})

    def journal(self, what):
        return [step for step in self.daemon.steps() if step["what"] == what]

    def nice(self):
        return os.getpriority(os.PRIO_PROCESS, self.thread)

    def plain(self):
        return self.nice() == self.usual and os.sched_getscheduler(self.thread) == os.SCHED_OTHER

    def wait_for_trial(self):
        """Until the vCPU, which wants to run beside others, is boosted to see whether that helps."""
        self.ask("sh -c 'while :; do :; done'")
        wait_for(lambda: len(vhtest.thread_cpus(self.thread)) == 1, SOON, "it is pinned")
        self.enterContext(Crowd(self.thread))
        wait_for(lambda: self.journal("boost vCPU 1"), 60, "the trial window")

    def test_real_time_threads_are_not_throttled(self):
        self.over("/proc/sys/kernel/sched_rt_runtime_us", "-1\n")
        self.start(kind="rr")
        self.ask()
        action = wait_for(lambda: self.action().get("problem") and self.action(), SOON, "the refusal")
        self.assertIn("not throttled on this host: set kernel.sched_rt_runtime_us", action["problem"])
        self.assertFalse(action["in_force"])
        self.assertTrue(self.plain())
        # What need not be real-time is a boost all the same, and says why it is not.
        self.policy(kind="auto")
        wait_for(lambda: self.nice() == BOOSTED, SOON, "by nice")
        action = wait_for(lambda: self.action()["in_force"] and self.action(), SOON, "it is in force")
        self.assertEqual((action["action"], action["problem"]), ("boost by nice", ""))
        self.assertIn("auto: by nice, since real-time was refused", action["why"])
        self.assertIn("not throttled", action["why"])
        self.assertEqual(os.sched_getscheduler(self.thread), os.SCHED_OTHER | os.SCHED_RESET_ON_FORK)

    def test_schedstat_counts_nothing(self):
        self.over("/proc/self/schedstat", "0 0 0\n")
        self.cannot_be_measured("/proc/PID/schedstat counts nothing")

    def test_schedstat_is_missing(self):
        """A socket, which cannot be opened."""
        path = os.path.join(self.daemon.directory, "schedstat")
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.bind(path)
        self.daemon.mounts["/proc/self/schedstat"] = path
        self.cannot_be_measured("has no /proc/PID/schedstat")

    def cannot_be_measured(self, why):
        self.start(trial="yes", pin="on")
        self.ask()
        action = wait_for(lambda: self.action().get("verdict") and self.action(), SOON, "the verdict on the boost")
        self.assertEqual((action["verdict"], action["in_force"]), ("inconclusive", False))
        self.assertIn(why, action["reason"])
        self.assertTrue(self.plain())
        # A pin need not prove itself.
        wait_for(lambda: self.action("pin").get("in_force"), SOON, "it is pinned")
        self.assertEqual(self.action("pin")["verdict"], "inconclusive")
        self.assertEqual(len(vhtest.thread_cpus(self.thread)), 1)
        told = [step for name in ("boost", "pin") for step in self.journal(f"trial {name} vCPU 1")]
        self.assertEqual(len(told), 1, "it is told once")
        self.assertIn(why, told[0]["why"])
        # Nor need a boost that is not on trial.
        self.policy(trial="no")
        wait_for(lambda: self.nice() == BOOSTED, SOON, "boosted")

    def event(self, event, cpu, online):
        """Tells vhintd, and nobody else, as the kernel would."""
        self.write(ONLINE, vhtest.format_cpus(online) + "\n")
        path = f"/devices/system/cpu/cpu{cpu}"
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as sock:
            sock.sendto(f"{event}@{path}\0ACTION={event}\0DEVPATH={path}\0SUBSYSTEM=cpu\0".encode(), (self.port(), 0))

    def port(self):
        """The address of vhintd's socket for the kernel's events."""
        links = set()
        for fd in os.listdir(f"/proc/{self.daemon.process.pid}/fd"):
            try:
                links.add(os.readlink(f"/proc/{self.daemon.process.pid}/fd/{fd}"))
            except FileNotFoundError:
                pass  # a client's, which is gone
        with open("/proc/net/netlink") as file:
            for fields in map(str.split, file.readlines()[1:]):
                if int(fields[1]) == NETLINK_KOBJECT_UEVENT and f"socket:[{fields[9]}]" in links:
                    return int(fields[2])
        raise vhtest.Failure("vhintd does not listen for the kernel's events")

    def test_cpu_goes_offline_within_a_trial(self):
        """The vCPU's only CPU: it floats as long as that is away, and what was measured is void."""
        cpu = max(os.sched_getaffinity(0))
        with open(ONLINE) as file:
            online = vhtest.parse_cpus(file.read())
        if len(online) < 2:
            self.skipTest("this host has one CPU")
        self.over(ONLINE, vhtest.format_cpus(online) + "\n")
        self.daemon.pool = str(cpu)
        floating = vhtest.thread_cpus(self.thread)
        self.start(kind="auto", trial="yes", more="[host]\ntrial-window = 2s")
        self.wait_for_trial()
        self.assertEqual(vhtest.thread_cpus(self.thread), {cpu})
        self.event("offline", cpu, online - {cpu})
        wait_for(lambda: vhtest.thread_cpus(self.thread) == floating, SOON, "it floats")
        told = wait_for(lambda: self.journal("trial boost vCPU 1"), SOON, "a verdict")
        self.assertIn("inconclusive: the host's CPUs have changed meanwhile", told[0]["why"])
        self.assertNotEqual(self.action()["state"], "barred")
        self.event("online", cpu, online)
        wait_for(lambda: vhtest.thread_cpus(self.thread) == {cpu}, SOON, "it is pinned again")

    def test_guest_is_reset_within_a_trial(self):
        self.addCleanup(type(self).renew)
        self.start(kind="auto", trial="yes", more="[host]\ntrial-window = 2s")
        self.wait_for_trial()
        self.guest.qmp.call("system_reset")
        self.task = None
        wait_for(self.plain, SOON, "no boost")
        told = wait_for(lambda: self.journal("trial boost vCPU 1"), SOON, "a verdict")
        self.assertIn("inconclusive: the guest went away meanwhile", told[0]["why"])
        wait_for(lambda: vhtest.thread_cpus(self.thread) == vhtest.thread_cpus("self"), SOON, "it floats")

    @classmethod
    def renew(cls):
        """A guest that runs, instead of waiting until this one has booted."""
        cls.guest.stop()
        cls.guest = cls.enterClassContext(vhtest.Guest(cpus=2, served=True))

    def test_no_balloon(self):
        """What a real QEMU says then."""
        self.start(action="memory tgid", trial="yes", more="[guest *]\nmemory-max = 512M")
        self.ask()
        action = wait_for(lambda: self.action("memory").get("problem") and self.action("memory"), SOON, "the refusal")
        self.assertIn("virtio-balloon-pci", action["problem"])
        self.assertFalse(action["in_force"])
        wait_for(lambda: len(vhtest.thread_cpus(self.thread)) == 1, SOON, "the rest works: it is pinned")

    # The control group that has a boosted thread's weight.

    def group(self, name):
        """A group, of version 1, below the root."""
        with open("/proc/self/mounts") as file:
            roots = [point for _, point, kind, options, *_ in map(str.split, file)
                     if kind == "cgroup" and "cpu" in options.split(",")]
        if not roots or not os.access(roots[0], os.W_OK):
            self.skipTest("this host has no control groups of version 1 with the cpu controller")
        path = os.path.join(roots[0], f"vhint-test-{os.getpid()}-{name}")
        os.mkdir(path)
        self.addCleanup(lambda: os.path.isdir(path) and os.rmdir(path))
        self.addCleanup(self.move, roots[0])
        return path

    def move(self, group):
        with open(os.path.join(group, "tasks"), "w") as file:
            file.write(str(self.thread))

    @staticmethod
    def shares(group):
        with open(os.path.join(group, "cpu.shares")) as file:
            return int(file.read())

    def wait_shares(self, group, factor, what):
        wait_for(lambda: self.shares(group) == 1024 * factor, SOON, what)

    def test_control_group_is_changed_under_a_boost(self):
        """It follows the thread, and what was set is put back where it was set, also by the warden."""
        first, second = self.group("a"), self.group("b")
        self.move(first)
        self.start(kind="weight")
        self.ask()
        self.wait_shares(first, 28, "its group has more weight")
        self.assertEqual((self.action()["action"], self.action()["why"]), ("boost by weight", "the rule says by weight"))
        # Without any hint.
        self.move(second)
        self.wait_shares(second, 28, "the new group has more weight")
        self.assertEqual(self.shares(first), 1024)
        self.move(first)
        self.daemon.kill()
        for group in (first, second):
            self.wait_shares(group, 1, "put back though vhintd is dead")
        self.daemon.start()
        self.wait_shares(first, 28, "boosted by the next vhintd")
        self.move(second)
        os.rmdir(first)
        self.wait_shares(second, 28, "a group that is gone is no hindrance")
        self.assertEqual(self.action()["problem"], "")
        self.move(os.path.dirname(second))
        wait_for(lambda: "its cgroup has no CPU weight" in self.action()["problem"], SOON, "the root has none to follow to")
        self.assertEqual(self.shares(second), 1024)
