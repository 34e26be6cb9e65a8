# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine may not have: two sockets, L3s and NUMA nodes, SMT, control groups of version 2, CPUs to switch off."""
import contextlib
import hashlib
import os
import signal
import subprocess

import vhtest
from vhtest import stays, thread_cpus, wait_for
from vhtest.crowd import Crowd
from vhtest.fake_guest import FakeGuest
from vhtest.hostvm import HostVmCase

SOON = 2  # s
CPUS = set(range(8))
L3S = [{0, 1, 2, 3}, {4, 5, 6, 7}]
BOOST = """[rule affinity-pin]
enabled = no
[rule affinity-boost]
enabled = no
[rule urgent]
on = affinity
when = cpus == 1
do = boost mask {kind}
trial = off
hold = 60s
[host]
boost-budget = 10%
"""
NEAR = """[rule affinity-group]
enabled = no
[rule close]
on = affinity
when = cpus == 2
do = near mask pid
trial = {trial}
"""


def core(cpu):
    return cpu // 2


class Guest(FakeGuest):
    """Runs the affinity program already: all of an object takes Python a second to decode in the machine."""

    def start(self):
        with open(vhtest.AFFINITY, "rb") as file:
            digest = hashlib.sha256(file.read()).digest()
        self.accept()
        self.hello()
        self.say_cpus()
        self.say_programs((1, "affinity", digest))
        self.seq = 0
        self.snapshot()


class LastingDaemon(vhtest.Daemon):
    """vhintd outlives the process of a test, for the next one: to start takes it a second in the machine. Its guests have their
    sockets always in the same place, and the rest is policy, which it reads anew."""
    names = ("fake", "one", "two")

    def __init__(self):
        super().__init__(directory="/run/vhintd")
        self.sections = "".join(f"[guest {name}]\nqmp={self.sockets(name)}/qmp\nchannel={self.sockets(name)}/channel\n"
                                "programs=affinity\n" for name in self.names)
        os.makedirs(self.path("policy.d"), exist_ok=True)
        vhtest.witness.witnesses.append(self)

    def sockets(self, name):
        return self.path(f"guests/{name}")

    def pid(self):
        """Of the one that runs, or 0."""
        with contextlib.suppress(OSError):
            with open(self.path("pid")) as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/stat") as file:
                return pid if file.read().rpartition(")")[2].split()[0] != "Z" else 0
        return 0

    def start(self):
        """If none runs."""
        if self.pid():
            return
        self.write_config()
        with open(self.log, "w") as log:
            started = subprocess.Popen([self.binary, "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
        write(self.path("pid"), started.pid)
        wait_for(lambda: self.answers() or started.poll() is not None, 15, "vhintd answers on its control socket")

    def kill(self):
        os.kill(self.pid(), signal.SIGKILL)
        wait_for(lambda: not self.pid(), 5, "vhintd is dead")

    def policy(self, text):
        """Returns once vhintd goes by it."""
        path = self.path("policy.d/50-test.conf")
        if os.path.exists(path):
            with open(path) as file:
                if file.read() == text:
                    return
        before = len(self.steps("policy")) if self.pid() else 0
        write(path + ".new", text)
        os.rename(path + ".new", path)
        if self.pid():
            wait_for(lambda: len(self.steps("policy")) > before, SOON, "vhintd has read its policy")


@contextlib.contextmanager
def control_groups(*names, controllers="cpu"):
    """{name: directory} of threaded groups, as libvirt makes for vCPUs, below one that has this process."""
    root = "/sys/fs/cgroup"
    parent = os.path.join(root, "vhint-test")
    groups = {name: os.path.join(parent, name) for name in names}
    change = " ".join("+" + controller for controller in controllers.split())
    write(f"{root}/cgroup.subtree_control", change)
    os.mkdir(parent)
    write(f"{parent}/cgroup.procs", os.getpid())
    for group in groups.values():
        os.mkdir(group)
        write(f"{group}/cgroup.type", "threaded")
    write(f"{parent}/cgroup.subtree_control", change)
    try:
        yield groups
    finally:
        with open(f"{parent}/cgroup.procs") as file:
            processes = file.read().split()
        for pid in processes:  # vhintd may be there, too
            write(f"{root}/cgroup.procs", pid)
        for group in (*groups.values(), parent):
            if os.path.isdir(group):
                os.rmdir(group)


def write(path, value):
    with open(path, "w") as file:
        file.write(str(value))


class Host(HostVmCase):
    def setUp(self):
        self.daemon = LastingDaemon()

    def start(self, *guests, policy="", pool="all", smt="avoid"):
        """vhintd for these guests, whose injectors are connected."""
        self.daemon.policy(f"[guest *]\npool = {pool}\nsmt = {smt}\n{policy}")
        self.daemon.start()
        for guest in guests:
            guest.start()

    def guest(self, cpus=4, name="fake", memory=(), **named):
        """`memory` is what its monitor says of it."""
        directory = self.daemon.sockets(name)
        os.makedirs(directory)
        guest = Guest(cpus, name, directory=directory, **named)
        guest.memory = list(memory)
        return self.enterContext(guest)

    def reason(self, guest, cpu):
        vcpus = self.daemon.ctl("status", guest.name)["guests"][0]["vcpu"]
        return next(vcpu["reason"] for vcpu in vcpus if vcpu["guest_cpu"] == cpu)

    def memory_nodes(self, guest):
        return self.daemon.ctl("status", guest.name)["guests"][0]["memory_nodes"]

    def action(self, guest, cpu, name):
        return next((action for action in self.daemon.ctl("why", guest.name)
                     if action["action"].startswith(name) and action.get("vcpu") == cpu), {})

    @staticmethod
    def bind(guest, *mask, pid=None):
        """A task of the guest is bound to these guest CPUs."""
        guest.hint(guest.record(pid=pid or 100 + mask[0], mask=mask))

    @staticmethod
    def exit(guest, pid):
        guest.hint(guest.record(pid=pid, flags=1))

    # Where vCPUs are placed.

    def test_map(self):
        self.start()
        cpus = self.daemon.ctl("map")["cpus"]
        self.assertEqual([(cpu["cpu"], cpu["socket"], cpu["l3"], cpu["node"], cpu["core"]) for cpu in cpus],
                         [(cpu, cpu // 4, cpu // 4, cpu // 4, core(cpu)) for cpu in range(8)])
        self.assertIn("8 CPUs, 4 cores, 2 L3 caches, 2 NUMA nodes, 2 sockets", self.daemon.call("map").stdout)

    def test_cores_before_siblings(self):
        """Of both guests together; what finds no CPU then floats and says so."""
        one, two = self.guest(name="one", cpus=5, apart=True), self.guest(name="two", apart=True)
        self.start(one, two)
        for guest in (one, two):
            for cpu in (0, 1):
                self.bind(guest, cpu)
            guest.wait_pinned(0, 1)
        first = [*one.pinned().values(), *two.pinned().values()]
        self.assertEqual({core(cpu) for cpu in first}, {0, 1, 2, 3})
        for guest in (one, two):
            for cpu in (2, 3):
                self.bind(guest, cpu)
            guest.wait_pinned(0, 1, 2, 3)
        self.assertEqual({*one.pinned().values(), *two.pinned().values()}, CPUS)
        self.assertEqual([one.pinned()[cpu] for cpu in (0, 1)] + [two.pinned()[cpu] for cpu in (0, 1)], first)
        self.bind(one, 4)
        wait_for(lambda: "every usable CPU of the pool has an anchor" in self.reason(one, 4), SOON, "it is told why it floats")
        self.assertEqual(thread_cpus(one.tids[4]), one.floating)

    def test_siblings_of_one_guest(self):
        """With smt = pair, guests do not share a core."""
        one, two = self.guest(name="one", apart=True), self.guest(name="two", apart=True)
        self.start(one, two, smt="pair")
        for cpu in (0, 1):
            for guest in (one, two):
                self.bind(guest, cpu)
        for guest in (one, two):
            guest.wait_pinned(0, 1)
            self.assertEqual(len({core(cpu) for cpu in guest.pinned().values()}), 1)

    def test_group(self):
        """Under one L3, with an anchor of its own there; too large for one, it floats."""
        guest = self.guest(cpus=6)
        self.start(guest)
        self.bind(guest, 1, 3)
        wait_for(lambda: thread_cpus(guest.tids[1]) in L3S, SOON, "one is under an L3")
        home = thread_cpus(guest.tids[1])
        wait_for(lambda: thread_cpus(guest.tids[3]) == home, SOON, "the other is there, too")
        self.bind(guest, 3, pid=9)
        guest.wait_pinned(3)
        self.assertLess(set(guest.pinned().values()), home)
        self.bind(guest, 0, 1, 2, 4, 5, pid=10)
        wait_for(lambda: thread_cpus(guest.tids[1]) == guest.floating, SOON, "six do not fit under an L3")
        self.assertIn("its group fits into no NUMA node of the pool", self.reason(guest, 1))

    def test_group_in_a_pool(self):
        guest = self.guest()
        self.start(guest, pool="3-6")
        self.bind(guest, 0, 1)
        for cpu in (0, 1):
            wait_for(lambda: thread_cpus(guest.tids[cpu]) == {4, 5, 6}, SOON, "the L3 with most of the pool")

    def test_near_its_memory(self):
        """Where QEMU has bound it to; of what is bound to no node, nobody knows where it is."""
        guests = [self.guest(name=name, apart=True, memory=[{"id": ram, "policy": "bind", "host-nodes": [node]}
                                                            for ram in ("ram0", "ram1")])
                  for node, name in enumerate(("one", "two"))]
        self.start(*guests)
        for node, guest in reversed(list(enumerate(guests))):
            self.assertEqual(self.memory_nodes(guest), str(node))
            self.bind(guest, 0)
            guest.wait_pinned(0)
            self.assertIn(guest.pinned()[0], L3S[node])
            self.bind(guest, 2, 3)
            wait_for(lambda: thread_cpus(guest.tids[2]) == L3S[node], SOON, "a group is there, too")
        guest.memory.append({"id": "ram2", "policy": "default", "host-nodes": []})
        guest.event("RESET")  # after which QEMU is asked again
        wait_for(lambda: self.memory_nodes(guest) == "", SOON, "it may be anywhere")

    # Those that want to be near.

    def test_near_brings_two_under_one_l3(self):
        guest = self.guest()
        before = [{1}, {2, 3}, {6}, {7}]
        for tid, cpus in zip(guest.tids, before):
            os.sched_setaffinity(tid, cpus)
        self.start(guest, policy=NEAR.format(trial="off"))
        self.bind(guest, 0, 2)
        wait_for(lambda: thread_cpus(guest.tids[0]) in L3S, SOON, "it is under one L3")
        wait_for(lambda: thread_cpus(guest.tids[2]) == thread_cpus(guest.tids[0]), SOON, "the other is there, too")
        self.assertIn("(rule close)", self.reason(guest, 0))
        self.assertEqual([thread_cpus(guest.tids[cpu]) for cpu in (1, 3)], [before[1], before[3]])
        self.exit(guest, 100)
        wait_for(lambda: [thread_cpus(tid) for tid in guest.tids] == before, SOON, "all are where they were")

    def test_near_ones_fill_a_core(self):
        """Those of a cluster fill a core, those of another the next."""
        guest = self.guest()
        self.start(guest, policy=NEAR.format(trial="off"), smt="pair")
        # At once: who has a core already is not moved for those that come.
        masks = (0, 2), (1, 3), (0,), (1,), (2,), (3,)
        guest.hint(*(guest.record(pid=pid, mask=mask) for pid, mask in enumerate(masks, 100)))
        guest.wait_pinned(0, 1, 2, 3)
        at = guest.pinned()
        self.assertEqual(core(at[0]), core(at[2]))
        self.assertEqual(core(at[1]), core(at[3]))

    def test_near_on_trial(self):
        """Two that crowd one CPU with others have room under an L3."""
        guest = self.guest(busy=True, cpus=2)
        for tid in guest.tids:
            os.sched_setaffinity(tid, {1})
        with Crowd(guest.tids[0]):
            self.start(guest, policy=NEAR.format(trial="on") + "[host]\ntrial-window = 1s\n")
            before = len(self.daemon.steps("trial pin"))
            self.bind(guest, 0, 1)

            def kept():
                return [int(step["what"].split()[-1]) for step in self.daemon.steps("trial pin")[before:]
                        if step["why"].startswith("kept")]
            # The host of this host may be so busy that one of the two waits by chance.
            proved = wait_for(kept, 20, "one has proved itself")
        self.assertIn(thread_cpus(guest.tids[proved[0]]), L3S)
        self.exit(guest, 100)
        wait_for(lambda: all(thread_cpus(tid) == {1} for tid in guest.tids), SOON, "they are where they were")

    # CPUs that are switched off and on.

    def switch(self, cpu, online):
        with open(f"/sys/devices/system/cpu/cpu{cpu}/online", "w") as file:
            file.write("1" if online else "0")

    def off(self, cpu):
        self.addCleanup(self.switch, cpu, True)
        self.switch(cpu, False)

    def test_cpu_of_an_anchor_goes_offline(self):
        guest = self.guest()
        self.start(guest, pool="1-7")
        for cpu in (0, 1, 2):
            self.bind(guest, cpu)
        guest.wait_pinned(0, 1, 2)
        before = guest.pinned()
        self.off(before[1])
        wait_for(lambda: len(guest.pinned()) == 3 and guest.pinned()[1] != before[1], SOON, "it has another CPU")
        self.assertEqual([guest.pinned()[cpu] for cpu in (0, 2)], [before[0], before[2]])
        self.assertNotIn(before[1], {cpu["cpu"] for cpu in self.daemon.ctl("map")["cpus"]})
        moved = guest.pinned()
        self.switch(before[1], True)
        wait_for(lambda: len(self.daemon.ctl("map")["cpus"]) == 8, SOON, "the CPU is back")
        # Nobody is moved for it, and it can be had.
        self.assertEqual(guest.pinned(), moved)
        for cpu in (0, 1, 2):
            self.exit(guest, 100 + cpu)
        guest.wait_pinned()
        self.assertEqual([thread_cpus(tid) for tid in guest.tids], [guest.floating] * 4)

    def test_only_cpu_goes_offline(self):
        """Nor does who floats meanwhile lose it for ever, though the kernel does not let him have it then."""
        guest = self.guest()
        self.start(guest, pool="4-5")
        for cpu in (0, 1):
            self.bind(guest, cpu)
        guest.wait_pinned(0, 1)
        before = guest.pinned()
        cpu = next(cpu for cpu in before if before[cpu] == 5)
        self.off(5)
        guest.wait_pinned(1 - cpu)
        self.assertEqual(thread_cpus(guest.tids[cpu]), CPUS - {5})
        self.switch(5, True)
        wait_for(lambda: guest.pinned() == before, SOON, "it has its CPU again")
        self.off(5)
        guest.wait_pinned(1 - cpu)
        self.exit(guest, 100)
        self.exit(guest, 101)
        guest.wait_pinned()
        self.switch(5, True)
        for tid in guest.tids:
            wait_for(lambda: thread_cpus(tid) == CPUS, SOON, "it floats everywhere")

    def test_cpu_comes_and_goes_under_a_cpuset(self):
        """When a cpuset's CPUs come and go, the kernel sets the masks of all who are in it."""
        guest = self.guest()
        self.start(guest, pool="1-7")
        groups = self.enterContext(control_groups("one", controllers="cpuset"))
        for tid in guest.tids:
            write(f"{groups['one']}/cgroup.threads", tid)
        for cpu in (0, 1):
            self.bind(guest, cpu)
        guest.wait_pinned(0, 1)
        before = guest.pinned()
        free = max(CPUS - set(before.values()))
        self.off(free)
        wait_for(lambda: guest.pinned() == before, SOON, "they are where they were")
        self.bind(guest, 2)
        guest.wait_pinned(0, 1, 2)
        before = guest.pinned()
        self.switch(free, True)
        wait_for(lambda: len(self.daemon.ctl("map")["cpus"]) == 8 and guest.pinned() == before, SOON,
                 "they are where they were")
        for cpu in range(3):
            self.exit(guest, 100 + cpu)
        guest.wait_pinned()
        self.assertEqual([thread_cpus(tid) for tid in guest.tids], [CPUS] * 4)

    # Boosts, of guest CPU 1.

    def weight(self, group):
        with open(f"{group}/cpu.weight") as file:
            return int(file.read())

    def wait_weight(self, group, weight, what):
        wait_for(lambda: self.weight(group) == weight, SOON, what)

    def test_boost_by_weight(self):
        """It follows the thread, and what was set is put back where it was set, also by the warden."""
        guest = self.guest()
        self.start(guest, policy=BOOST.format(kind="weight"))
        groups = self.enterContext(control_groups("one", "two"))
        one, two = groups["one"], groups["two"]
        write(f"{one}/cpu.weight", 70)
        write(f"{one}/cgroup.threads", guest.tids[1])
        self.bind(guest, 1)
        self.wait_weight(one, 70 * 28, "its group has more weight")
        write(f"{two}/cgroup.threads", guest.tids[1])
        self.wait_weight(two, 2800, "the new group has more weight")
        self.assertEqual(self.weight(one), 70)
        self.exit(guest, 101)
        self.wait_weight(two, 100, "nobody asks")
        self.bind(guest, 1)
        self.wait_weight(two, 2800, "its group has more weight")
        self.daemon.kill()
        self.wait_weight(two, 100, "put back though vhintd is dead")
        self.daemon.start()
        guest.start()
        write(f"{two}/cgroup.threads", guest.tids[2])
        self.bind(guest, 1)
        wait_for(lambda: "its cgroup has other threads" in self.action(guest, 1, "boost").get("problem", ""), SOON,
                 "what would favour another, too, is refused")
        self.assertEqual(self.weight(two), 100)

    def real_time(self, guest):
        return [cpu for cpu, tid in enumerate(guest.tids) if os.sched_getscheduler(tid) & 0xff == os.SCHED_RR]

    def test_boost_by_real_time(self):
        """In a control group, too. It wants more than its budget, and is like others meanwhile."""
        guest = self.guest(busy=True, cpus=2)
        self.start(guest, policy=BOOST.format(kind="rr"))
        groups = self.enterContext(control_groups("one"))
        write(f"{groups['one']}/cgroup.threads", guest.tids[1])
        self.bind(guest, 1)
        for _ in range(3):
            wait_for(lambda: self.real_time(guest) == [1], SOON, "it is real-time")
            wait_for(lambda: self.real_time(guest) == [], SOON, "its budget is spent")
        wait_for(lambda: self.real_time(guest) == [1], SOON, "it is real-time")
        self.daemon.kill()
        # It may just have spent its budget again.
        wait_for(lambda: self.daemon.applied() == 0, SOON, "the warden has put back what it was")
        self.assertEqual(self.real_time(guest), [])
        stays(lambda: self.real_time(guest) == [], 0.3, "none is")

    def test_boost_by_clamp(self):
        """Where the kernel has it."""
        guest = self.guest()
        self.start(guest, policy=BOOST.format(kind="uclamp"))
        before = len(self.daemon.steps("boost vCPU 1"))
        self.bind(guest, 1)
        wait_for(lambda: self.daemon.steps("boost vCPU 1")[before:], SOON, "the boost is tried")
        action = self.action(guest, 1, "boost")
        if os.path.exists("/proc/sys/kernel/sched_util_clamp_min"):
            self.assertEqual((action["in_force"], action["problem"]), (True, ""))
        else:
            self.assertIn("has no util clamping (CONFIG_UCLAMP_TASK)", action["problem"])
