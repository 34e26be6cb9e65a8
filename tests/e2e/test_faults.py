# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever dies, each mask is right within a second of being connected again, and none is stale."""
import signal
import unittest

import vhtest
from vhtest import stays, wait_for
from vhtest.bpf import compile_bpf

CPUS = 6
AGAIN = 1  # s, from being connected again to each mask being right


class Faults(unittest.TestCase):
    def setUp(self):
        self.floating = vhtest.thread_cpus("self")
        if len(self.floating) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")

    def boot(self, **arguments):
        return self.enterContext(vhtest.Guest(**{"smp": vhtest.SPARSE_APIC_IDS, "served": True, **arguments}))

    def wait_pinned(self, guest, *cpus, within=AGAIN):
        def right():
            masks = guest.all_host_cpus()
            return all(len(masks[cpu]) == 1 if cpu in cpus else masks[cpu] == self.floating for cpu in masks)
        try:
            wait_for(right, within, f"guest CPUs {cpus} of {guest.name} pinned and no others")
        except vhtest.Failure as error:
            raise vhtest.Failure(f"{error}; allowed host CPUs now: {guest.all_host_cpus()}") from None

    def sleeper(self, guest, cpu):
        return guest.start_command(f"exec taskset -c {cpu} sleep 1000")


class Daemon(Faults):
    """vhintd dies or stops; the guest goes on."""

    sanitized = True

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(smp=vhtest.SPARSE_APIC_IDS, served=True))

    def setUp(self):
        super().setUp()
        self.daemon = self.enterContext(vhtest.Daemon(self.guest))
        self.task = self.sleeper(self.guest, 2)
        self.addCleanup(lambda: self.task.result or self.task.kill())
        self.wait_pinned(self.guest, 2)

    def test_killed_while_pinned(self):
        self.daemon.kill()
        self.daemon.start()
        self.wait_pinned(self.guest, 2)
        self.task.kill()
        self.wait_pinned(self.guest)

    def test_task_ends_while_it_is_dead(self):
        self.daemon.kill()
        self.task.kill()
        self.assertEqual(len(self.guest.host_cpus(2)), 1, "who floated it?")
        self.daemon.start()
        self.wait_pinned(self.guest)

    def test_task_moves_while_it_is_dead(self):
        self.daemon.kill()
        self.guest.run(f"taskset -cp 4 {self.task.pid}")
        self.daemon.start()
        self.wait_pinned(self.guest, 4)

    def test_task_starts_while_it_is_dead(self):
        self.daemon.kill()
        other = self.sleeper(self.guest, 3)
        self.daemon.start()
        self.wait_pinned(self.guest, 2, 3)
        other.kill()
        self.wait_pinned(self.guest, 2)

    def test_guest_is_gone_from_the_configuration_after_a_crash(self):
        self.daemon.kill()
        guests, self.daemon.guests = self.daemon.guests, {}
        self.daemon.start()
        self.wait_pinned(self.guest)
        self.daemon.guests = guests

    def test_stopped_while_pinned(self):
        self.daemon.stop()
        self.wait_pinned(self.guest)
        self.daemon.start()
        self.wait_pinned(self.guest, 2)

    def test_killed_again_and_again(self):
        for _ in range(5):
            self.daemon.kill()
            self.daemon.start(wait=False)
        self.daemon.wait_ready()
        self.wait_pinned(self.guest, 2)
        self.task.kill()
        self.wait_pinned(self.guest)


class Injector(Faults):
    """The injector dies in a guest that goes on."""

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(smp=vhtest.SPARSE_APIC_IDS, served=True))
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))

    def setUp(self):
        super().setUp()
        self.task = self.sleeper(self.guest, 2)
        self.addCleanup(lambda: self.task.result or self.task.kill())
        self.wait_pinned(self.guest, 2)

    def test_killed_while_pinned(self):
        self.guest.kill_injector()
        self.daemon.wait_ready()
        self.wait_pinned(self.guest, 2)
        self.task.kill()
        self.wait_pinned(self.guest)

    def test_killed_with_the_task(self):
        self.guest.kill_injector(self.task.pid)
        self.task.wait()
        self.daemon.wait_ready()
        self.wait_pinned(self.guest)

    def test_hints_are_not_doubled_afterwards(self):
        for _ in range(3):
            self.guest.kill_injector()
            self.daemon.wait_ready()
        # Programs of a killed injector must be gone from the kernel: each would still emit.
        self.assertEqual(self.guest.output("pidof vhint-injector | wc -w"), "1")
        watch = self.daemon.watch("guest")
        try:
            # Other tasks until the watch has begun, then ours, then another to know that all of ours have come.
            def begun():
                self.sleeper(self.guest, 3).kill()
                return watch.lines()
            wait_for(begun, 5, "the watch to begin")
            self.guest.run(f"taskset -cp 4 {self.task.pid}")
            self.wait_pinned(self.guest, 4)
            fence = self.sleeper(self.guest, 3)
            watch.wait(lambda line: line["fields"]["pid"] == fence.pid, 5, "the fence")
            fence.kill()
            mine = [line for line in watch.lines() if line["fields"]["pid"] == self.task.pid]
            self.assertEqual(len(mine), 1, watch.lines())
        finally:
            watch.end()

    def test_stopped_for_a_while(self):
        # A hanging injector cannot say what ends; once it goes on, all is caught up with.
        injector = self.guest.injector_pid()
        self.guest.run(f"kill -STOP {injector}")
        self.task.kill()
        other = self.sleeper(self.guest, 3)
        self.guest.run(f"kill -CONT {injector}")
        self.wait_pinned(self.guest, 3)
        other.kill()
        self.wait_pinned(self.guest)


class GuestGoes(Faults):
    """The guest powers off, is reset or hangs while one of its vCPUs is pinned."""

    def test_powered_off_but_its_threads_stay(self):
        guest = self.boot()
        guest.qmp.call("set-action", shutdown="pause")
        self.enterContext(vhtest.Daemon(guest))
        self.sleeper(guest, 2)
        self.wait_pinned(guest, 2)
        guest.agent.send("poweroff -f")
        guest.qmp.wait_event("SHUTDOWN")
        self.wait_pinned(guest)

    def test_reset(self):
        guest = self.boot(cpus=2, smp=None)  # each more takes as long to boot again
        daemon = self.enterContext(vhtest.Daemon(guest))
        daemon.ctl("inject", "guest", compile_bpf("typed", daemon.path("typed.bpf.o")))
        self.sleeper(guest, 1)
        self.wait_pinned(guest, 1)
        guest.reset(lambda: self.wait_pinned(guest))  # long before the new injector says anything
        daemon.wait_ready()
        self.wait_pinned(guest)
        wait_for(lambda: (daemon.program("typed") or {}).get("state") == "running", 5, "what was injected is there again")
        self.sleeper(guest, 0)
        self.wait_pinned(guest, 0)

    def test_panic(self):
        guest = self.boot()
        daemon = self.enterContext(vhtest.Daemon(guest))
        self.sleeper(guest, 2)
        self.wait_pinned(guest, 2)
        guest.dies = True
        guest.agent.send("echo 1 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger")
        guest.qmp.wait_event("RESET", 30)
        self.wait_pinned(guest)
        self.assertTrue(daemon.process.alive())

    def test_hanging_guest_does_not_hold_up_another(self):
        hanging, well = self.boot(name="hanging", cpus=2, smp=None), self.boot(name="well", cpus=2, smp=None)
        daemon = self.enterContext(vhtest.Daemon(hanging, well))
        hanging.qemu.popen.send_signal(signal.SIGSTOP)  # neither guest nor monitor answer now
        try:
            for _ in range(3):
                task = self.sleeper(well, 1)
                self.wait_pinned(well, 1)
                task.kill()
                self.wait_pinned(well)
            self.assertEqual(daemon.call("status").returncode, 0)
        finally:
            hanging.qemu.popen.send_signal(signal.SIGCONT)
        self.sleeper(hanging, 1)
        wait_for(lambda: len(hanging.host_cpus(1)) == 1, 5, "the guest that hung is served again")

    def test_powered_off_and_restarted_under_the_same_name(self):
        first = vhtest.Guest(cpus=2, served=True)
        with first, vhtest.Daemon(first) as daemon:
            self.sleeper(first, 1)
            self.wait_pinned(first, 1)
            first.poweroff()
            wait_for(lambda: not daemon.guest()["connected"], 2, "the guest is shown as not connected")
            self.assertTrue(daemon.process.alive())
            first.start()
            daemon.wait_ready()
            self.wait_pinned(first)
            self.sleeper(first, 1)
            self.wait_pinned(first, 1)


class Sockets(Faults):
    """The monitor's or the channel's socket goes away under a guest that goes on."""

    sanitized = True

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(smp=vhtest.SPARSE_APIC_IDS, proxies=True, served=True))
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))

    def cut_while(self, name, action):
        proxy = self.guest.proxies[name]
        proxy.cut()
        try:
            action()
        finally:
            proxy.restore()
        self.daemon.wait_ready()

    def check(self, name):
        task = self.sleeper(self.guest, 2)
        self.wait_pinned(self.guest, 2)
        self.cut_while(name, lambda: self.guest.run(f"taskset -cp 3 {task.pid}"))
        self.wait_pinned(self.guest, 3)
        self.cut_while(name, task.kill)
        self.wait_pinned(self.guest)
        task = self.sleeper(self.guest, 4)
        self.wait_pinned(self.guest, 4)
        task.kill()
        self.wait_pinned(self.guest)

    def test_monitor(self):
        self.check("qmp")

    def test_channel(self):
        self.check("channel")


class Cpus(Faults):
    """vCPUs come and go."""

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(smp=vhtest.SPARSE_APIC_IDS, served=True))
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))

    def test_pinned_vcpu_is_plugged_and_unplugged(self):
        guest = self.guest
        if guest.output("cat /sys/devices/system/cpu/possible") == "0-5":
            # Seen with 6.12 and 7.2 under TCG: "Allowing 6 present CPUs plus 0 hotplug CPUs".
            self.skipTest("this guest's kernel allows no CPU beyond those that it booted with")
        free = next(slot for slot in guest.qmp.call("query-hotpluggable-cpus") if "qom-path" not in slot)
        guest.qmp.call("device_add", id="extra", driver=free["type"], **free["props"])
        # Older kernels number it as the next one, newer ones gave each possible CPU its number at boot.
        plugged = "cd /sys/devices/system/cpu && ls -d cpu[0-9]* | grep -v '^cpu[0-5]$' | cut -c 4-; true"
        number = int(wait_for(lambda: guest.output(plugged), 10, "the guest has its new CPU"))
        online = f"/sys/devices/system/cpu/cpu{number}/online"
        guest.run(f"grep -q 1 {online} || echo 1 >{online}")
        guest._threads = guest._apic = None
        self.sleeper(guest, number)
        self.wait_pinned(guest, number, within=5)
        thread = guest.thread(number)
        guest.qmp.call("device_del", id="extra")
        guest.qmp.wait_event("DEVICE_DELETED", 30)
        guest._threads = guest._apic = None
        wait_for(lambda: not vhtest.thread_cpus(thread), 5, "the thread of the unplugged vCPU is gone")
        self.wait_pinned(guest)
        task = self.sleeper(guest, 1)
        self.wait_pinned(guest, 1)
        task.kill()
        self.wait_pinned(guest)

    def test_pinned_vcpu_goes_offline(self):
        guest = self.guest
        task = self.sleeper(guest, 5)
        self.wait_pinned(guest, 5)
        # The kernel lets the task run elsewhere, since its only CPU is gone.
        guest.run("echo 0 >/sys/devices/system/cpu/cpu5/online")
        try:
            wait_for(lambda: len(guest.host_cpus(5)) != 1, 5, "the vCPU of the offline CPU floats")
        finally:
            guest.run("echo 1 >/sys/devices/system/cpu/cpu5/online")
        task.kill()
        self.wait_pinned(guest)


class Garbage(Faults):
    """Bytes on the port that no injector sends."""

    def test_garbage_from_the_guest(self):
        guest = self.boot()
        daemon = self.enterContext(vhtest.Daemon(guest))
        # In place of the injector: init's loop is stopped, the port is ours.
        injector = guest.injector_pid()
        loop = guest.output("ps -o pid,args | awk '$2 == \"{init}\" && $1 != 1 { print $1 }' | head -n 1")
        guest.run(f"kill -STOP {loop}; kill -9 {injector}")
        # Its port is not free before the kernel has detached its programs.
        wait_for(lambda: not daemon.guest()["connected"], 5, "the injector's end to be noticed")
        guest.run("head -c 300000 /dev/urandom >/dev/vport*p1; head -c 70000 /dev/zero >/dev/vport*p1; "
                  "yes | head -c 200000 >/dev/vport*p1", timeout=60)
        self.assertTrue(daemon.process.alive())
        self.assertFalse([cpu for cpu, mask in guest.all_host_cpus().items() if mask != self.floating])
        guest.run(f"kill -CONT {loop}")
        wait_for(lambda: guest.injector_pid() not in (0, injector), 10, "a new injector")
        daemon.wait_ready()
        self.sleeper(guest, 2)
        self.wait_pinned(guest, 2)
        stays(daemon.process.alive, 0.2, "vhintd runs")
