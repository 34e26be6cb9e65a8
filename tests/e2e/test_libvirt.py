# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintd with a real libvirtd, real domains and the real hook."""
import base64
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest
import zlib

import vhtest
from vhtest.libvirt import HOOK, Domain, Libvirt, LibvirtDaemon, missing

wait_for = vhtest.wait_for
FORGOTTEN = 1  # s, from a guest's first word where it has migrated to, until its last thread at the source is put back


def pin(guest, cpu=0):
    """A task bound to one guest CPU; ends with kill()."""
    return guest.start_command(f"exec taskset -c {cpu} sleep 100000")


def switches(pid):
    """{thread: how often it has gone to sleep}"""
    counts = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            counts[task] = next(line for line in file if line.startswith("voluntary_ctxt_switches"))
    return counts


class LibvirtCase(unittest.TestCase):
    """`machines`: those that need not boot in each test, as arguments of Domain."""
    hook = True
    controllers = ()
    machines = ()

    @classmethod
    def setUpClass(cls):
        if missing():
            raise unittest.SkipTest(missing())
        cls.libvirt = cls.enterClassContext(Libvirt(hook=cls.hook, controllers=cls.controllers))
        for machine in cls.machines:
            Domain(cls.libvirt, name="model", **machine).prepare()

    def setUp(self):
        self.addCleanup(self.libvirt.clear)
        self.pool = vhtest.format_cpus(os.sched_getaffinity(0))
        self.all = os.sched_getaffinity(0)

    def assert_pinned(self, guest, cpu=0, timeout=5):
        wait_for(lambda: len(guest.host_cpus(cpu)) == 1, timeout, f"{guest.name}: guest CPU {cpu} is pinned")

    def assert_floats(self, guest, cpu=0, timeout=5):
        wait_for(lambda: guest.host_cpus(cpu) == self.all, timeout, f"{guest.name}: guest CPU {cpu} floats")


class Life(LibvirtCase):
    """One domain through all that can happen to it."""

    def test_start_pin_stop(self):
        with LibvirtDaemon(self.libvirt) as daemon:
            self.assertEqual(daemon.names(), [])
            with Domain(self.libvirt) as guest:
                daemon.wait_ready()
                self.assertEqual(daemon.guest()["uuid"], guest.uuid)
                task = pin(guest, 1)
                self.assert_pinned(guest, 1)
                self.assertEqual(guest.host_cpus(0), self.all)
                task.kill()
                self.assert_floats(guest, 1)
                pin(guest, 0)
                self.assert_pinned(guest, 0)
                guest.destroy()
                daemon.wait_known()


class Start(LibvirtCase):
    """A guest that the hook has told of is where its policy says before it runs."""

    def setUp(self):
        super().setUp()
        if len(self.all) < 2:
            self.skipTest("needs two host CPUs")
        self.first, self.last = min(self.all), max(self.all)
        self.keys = {"pool": self.last, "floating": "pool", "emulator": "pool", "iothreads": self.first}

    def defined(self, **kwargs):
        guest = Domain(self.libvirt, fresh=True, **kwargs)  # libvirt starts it itself
        self.addCleanup(guest.stop)
        return guest.define()

    def placed(self, guest):
        """All of QEMU's threads; False while there is no QEMU."""
        try:
            tasks = os.listdir(f"/proc/{guest.pid()}/task")
        except OSError:
            return False
        kinds = {"IO": [], "other": []}
        for task in tasks:
            with open(f"/proc/{guest.pid()}/task/{task}/comm") as file:
                kinds["IO" if file.read().startswith("IO iothread") else "other"].append(int(task))
        return all(vhtest.thread_cpus(task) in ({self.last}, set()) for task in kinds["other"]) and \
            all(vhtest.thread_cpus(task) == {self.first} for task in kinds["IO"])

    def test_without_libvirt_s_word(self):
        """vhintd is not connected to libvirtd at all, so the hook is all it hears."""
        guest = self.defined(iothreads=1)
        with LibvirtDaemon(self.libvirt, {"*": self.keys}, uri="qemu:///nowhere") as daemon:
            self.libvirt.virsh("start", "--paused", guest.uuid)
            self.assertEqual(guest.monitor("query-status")["status"], "prelaunch")
            wait_for(lambda: self.placed(guest), 5, "all threads of a guest that has not run yet are placed")
            rows = daemon.ctl("status", "guest")["guests"][0]
            self.assertEqual([(v["index"], v["state"], v["former"]) for v in rows["vcpu"]],
                             [(i, "pinned", self.pool) for i in range(guest.cpus)])
            self.assertEqual({row["former"] for row in rows["thread"]}, {self.pool})
            daemon.stop()
            self.assertTrue(all(vhtest.thread_cpus(row["thread"]) in (self.all, set())
                                for row in rows["vcpu"] + rows["thread"]))
            daemon.start()

    def pinned_when(self):
        """When each vCPU's mask was set for the last time."""
        with open(self.libvirt.path("run/vhint/journal")) as file:
            return {step["what"]: step["time"] for step in map(json.loads, file) if step["what"].startswith("pin vCPU")}

    def test_before_the_first_instruction(self):
        """libvirt sets masks of its own a moment before it lets the CPUs run, and cannot be held up, so on a busy host a start
        may get away. Its event, which all else lives by, comes after the first instruction without exception."""
        guest = self.defined()
        log = self.libvirt.path("events")
        events = vhtest.Process(self.libvirt.prefix + ["stdbuf", "-oL", "virsh", "-q", "qemu-monitor-event", "--loop", "--event",
                                                       "RESUME"], log)
        self.addCleanup(events.end, sig=9)

        def runs():
            """When QEMU let its CPUs run, by its own word."""
            return re.findall(r"RESUME at (\d+\.\d+)", vhtest.tail(log))
        with LibvirtDaemon(self.libvirt, {"*": self.keys}) as daemon:
            for attempt in range(10):
                self.libvirt.call("destroy", guest.uuid)
                daemon.wait_known()
                before = time.time()
                self.libvirt.virsh("start", guest.uuid)
                daemon.wait_known("guest")
                wait_for(lambda: self.placed(guest), 5, "placed")
                when = self.pinned_when()
                self.assertEqual(len(when), guest.cpus)
                # virsh says nothing when it begins to listen, which may be after the first start.
                if not attempt:
                    continue
                ran = wait_for(lambda: [float(t) for t in runs() if float(t) > before], 10, "QEMU says when it ran")
                if max(when.values()) < ran[0]:
                    return
            self.fail("not one of 10 starts was in time")


class Enable(LibvirtCase):
    """vhintctl enable and disable change a domain, and nothing else needs to."""

    def ctl(self, *args):
        return self.libvirt.vhintctl(*args)

    def test_at_the_next_start(self):
        with Domain(self.libvirt, channel=False) as guest:
            guest.destroy()
            self.assertEqual(self.ctl("enable", guest.name, "--profile", "web")["channel_config"], "added")
            self.assertEqual(self.ctl("enable", guest.name)["channel_config"], "already there")
            self.assertIn("org.vhint.0", self.libvirt.virsh("dumpxml", "--inactive", guest.name))
            with LibvirtDaemon(self.libvirt, {"profile:web": {}}) as daemon:
                guest.start()
                daemon.wait_ready()
                pin(guest)
                self.assert_pinned(guest)
                done = self.ctl("disable", guest.uuid)
                self.assertEqual((done["channel_config"], done["channel_live"]), ("removed", "removed"))
                daemon.wait_known()
                self.assert_floats(guest)
                xml = self.libvirt.virsh("dumpxml", "--inactive", guest.name)
                self.assertNotIn("org.vhint.0", xml)
                self.assertNotIn("urn:vhint", xml)
                self.assertEqual(self.ctl("disable", guest.name)["channel_live"], "not there")

    def test_while_it_runs(self):
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt, channel=False) as guest:
            daemon.wait_known("guest")
            self.assertIn("vhintctl enable", daemon.guest()["problem"])
            self.assertEqual(self.ctl("enable", guest.name)["channel_live"], "added")
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)

    def test_what_it_did_not_add_stays(self):
        guest = Domain(self.libvirt, name="byhand", channel=True).define()
        self.addCleanup(guest.stop)

        def xml():
            return self.libvirt.virsh("dumpxml", guest.name).replace("  <metadata/>\n", "")
        before = xml()
        self.assertEqual(self.ctl("enable", guest.name, "--profile", "web")["channel_config"], "already there")
        self.assertIn("kept", self.ctl("disable", guest.name)["channel_config"])
        self.assertEqual(xml(), before)

    def test_refusals_name_the_thing(self):
        for args, code, text in ((["enable", "nobody"], 4, "nobody"),
                                 (["enable", "x", "--profile", "a b"], 2, "a b"),
                                 (["enable", "x", "--connect", "qemu:///nowhere"], 3, "qemu:///nowhere")):
            result = self.libvirt.vhintctl_call(*args)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(text, result.stderr)


class Restarts(LibvirtCase):
    """Whoever goes and comes back finds the guests as they are."""
    machines = ({},)

    def test_running_ones_are_adopted(self):
        with Domain(self.libvirt, transient=True) as guest:
            task = pin(guest)
            with LibvirtDaemon(self.libvirt) as daemon:
                daemon.wait_ready()
                self.assert_pinned(guest)
                daemon.kill()
                self.assertEqual(len(guest.host_cpus(0)), 1)
                task.kill()
                daemon.start()
                daemon.wait_ready()
                self.assert_floats(guest)
                pin(guest, 1)
                self.assert_pinned(guest, 1)
                daemon.stop()
                self.assert_floats(guest, 1)
                daemon.start()

    def test_libvirtd_restarts(self):
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt) as guest:
            daemon.wait_ready()
            task = pin(guest)
            self.assert_pinned(guest)
            for sig in (15, 9):
                self.libvirt.stop(sig)
                vhtest.stays(lambda: len(guest.host_cpus(0)) == 1, 1, "the pin, while libvirtd is away")
                other = pin(guest, 1)  # hints go on
                self.assert_pinned(guest, 1)
                other.kill()
                self.assert_floats(guest, 1)
                self.libvirt.start()
                vhtest.stays(lambda: len(guest.host_cpus(0)) == 1, 2, "the pin, once libvirtd is back")
            # What libvirt tells reaches us again.
            task.kill()
            self.assert_floats(guest)
            with Domain(self.libvirt, name="other") as other:
                daemon.wait_ready("other")
                pin(other)
                self.assert_pinned(other)
            daemon.wait_known("guest")

    def test_guest_ends_while_libvirtd_is_away(self):
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt) as guest:
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)
            self.libvirt.stop(9)
            os.kill(guest.pid(), 9)
            wait_for(lambda: not daemon.guest()["connected"], 5, "the guest is gone")
            self.libvirt.start()
            daemon.wait_known()
            guest.start()
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)

    def test_libvirtd_hangs(self):
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt) as guest:
            daemon.wait_ready()
            os.kill(self.libvirt.daemon.pid, signal.SIGSTOP)
            try:
                pin(guest)
                wait_for(lambda: "pinned" in [v["state"] for v in daemon.ctl("status")["guests"][0]["vcpu"]], 5, "pinned")
                daemon.stop()
            finally:
                os.kill(self.libvirt.daemon.pid, signal.SIGCONT)
            self.assert_floats(guest)
            daemon.start()
            daemon.wait_ready()
            self.assert_pinned(guest)

    def test_idle_costs_no_wakeups(self):
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt) as guest:
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)

            def quiet():  # worker threads end after 15 s without work
                before = switches(daemon.process.pid)
                time.sleep(3)
                return switches(daemon.process.pid) == before
            wait_for(quiet, 60, "three seconds without a wake-up")

    def test_vhintd_without_libvirtd(self):
        self.libvirt.stop()
        with LibvirtDaemon(self.libvirt) as daemon:
            self.assertEqual(daemon.names(), [])
            self.libvirt.start()
            with Domain(self.libvirt):
                daemon.wait_ready()


class Machine(LibvirtCase):
    """What libvirt can do to a machine."""
    machines = ({}, {"cpus": 1, "maxcpus": 3, "iothreads": 1})

    def setUp(self):
        super().setUp()
        self.daemon = self.enterContext(LibvirtDaemon(self.libvirt))

    def test_suspend_save_rename(self):
        with Domain(self.libvirt, fresh=True) as guest:  # libvirt resumes it itself
            self.daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)
            self.libvirt.virsh("suspend", guest.uuid)
            vhtest.stays(lambda: len(guest.host_cpus(0)) == 1, 0.5, "the pin of a suspended guest")
            self.libvirt.virsh("resume", guest.uuid)
            self.assertEqual(len(guest.host_cpus(0)), 1)
            self.libvirt.virsh("managedsave", guest.uuid)
            self.daemon.wait_known()
            self.libvirt.virsh("start", guest.uuid)
            guest.attach(wait=False)
            self.daemon.wait_ready()
            self.assertEqual(guest.output("pidof sleep") != "", True)  # the very same guest, its task still bound
            self.assert_pinned(guest)
            # libvirt has kept the pins with the guest: they are still known for ours.
            self.assertNotIn("somebody else", str(self.daemon.ctl("status", "guest")))
            guest.destroy()
            self.libvirt.virsh("domrename", guest.name, "renamed")
            guest.name = "renamed"
            guest.start()
            self.daemon.wait_ready("renamed")

    def test_reboot(self):
        with Domain(self.libvirt) as guest:
            self.daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)
            for _ in range(4):  # see Guest.reset
                self.libvirt.virsh("reset", guest.uuid)
                guest.agent.connect()
                self.assert_floats(guest)
                try:
                    guest.wait_booted(30)
                    break
                except vhtest.Failure:
                    continue
            self.daemon.wait_ready()
            pin(guest, 1)
            self.assert_pinned(guest, 1)

    def test_vcpus_come_and_go(self):
        with Domain(self.libvirt, cpus=1, maxcpus=3, iothreads=1) as guest:
            self.daemon.wait_ready()
            self.assertEqual(self.daemon.guest()["vcpus"], 1)
            self.libvirt.virsh("setvcpus", guest.uuid, 2, "--live")

            def both_online():
                # The guest's kernel makes the CPU's directory when it gets to it; nobody in there switches it on.
                guest.run("for c in /sys/devices/system/cpu/cpu[0-9]*; do [ -e $c/online ] && echo 1 >$c/online; "
                          "done; true")
                return guest.output("nproc") == "2"
            wait_for(both_online, 10, "the guest has two CPUs")
            wait_for(lambda: self.daemon.guest()["vcpus"] == 2, 5, "vhintd knows two vCPUs")
            guest.forget()
            task = pin(guest, 1)
            self.assert_pinned(guest, 1)
            guest.run("echo 0 >/sys/devices/system/cpu/cpu1/online")
            self.assert_floats(guest, 0)
            guest.run("echo 1 >/sys/devices/system/cpu/cpu1/online")
            task.kill()

    def memory(self, guest):
        """What libvirt says that it has, in MiB."""
        facts = dict(line.split(None, 1) for line in self.libvirt.virsh("dommemstat", guest.uuid).splitlines())
        return int(facts["actual"]) >> 10

    def grow(self):
        """Tasks bound to one CPU ask for memory; nothing else does."""
        os.makedirs(self.daemon.path("policy.d"), exist_ok=True)
        with open(self.daemon.path("policy.d/50-memory.conf"), "w") as file:
            file.write("[rule affinity-pin]\nenabled = no\n[rule more]\non = affinity\nwhen = cpus == 1\n"
                       "do = memory\n[guest *]\nmemory-max = 320M\nmemory-step = 64M\n")
        wait_for(lambda: self.daemon.call("policy", "show", "guest").stdout.find("do memory") > 0, 10, "the policy")

    def test_balloon(self):
        with Domain(self.libvirt, fresh=True, memory=256, extra="<currentMemory unit='MiB'>192</currentMemory>",
                    devices="<memballoon model='virtio'/>") as guest:
            self.daemon.wait_ready()
            self.grow()
            wait_for(lambda: self.memory(guest) == 192, 20, "the guest is small")
            task = pin(guest)
            wait_for(lambda: self.memory(guest) == 256, 20, "libvirt knows of all that it may have")
            task.kill()
            self.daemon.ctl("release", "guest")
            wait_for(lambda: self.memory(guest) == 192, 20, "put back through libvirt")

    def test_virtio_mem(self):
        with Domain(self.libvirt, fresh=True, memory=192, append="memhp_default_state=online_movable",
                    extra="<maxMemory slots='2' unit='MiB'>1024</maxMemory>",
                    cpu="<numa><cell id='0' cpus='0-1' memory='192' unit='MiB'/></numa>",
                    devices="<memballoon model='none'/><memory model='virtio-mem'><target><size unit='MiB'>256</size>"
                            "<node>0</node><block unit='MiB'>2</block><requested unit='MiB'>0</requested></target>"
                            "</memory>") as guest:
            def total():
                return int(guest.output("awk '/MemTotal/ { print $2 }' /proc/meminfo")) >> 10

            self.daemon.wait_ready()
            before = total()
            self.grow()
            pin(guest)

            def requested():
                return int(re.search(r"<requested unit='KiB'>(\d+)<", self.libvirt.virsh("dumpxml", guest.uuid))[1]) >> 10
            wait_for(lambda: requested() == 128, 20, "libvirt knows what is requested")
            self.assertEqual(guest.monitor("query-memory-devices")[0]["data"]["requested-size"], 128 << 20)
            wait_for(lambda: total() >= before + 100, 30, "the guest has it")
            self.daemon.ctl("release", "guest")
            wait_for(lambda: requested() == 0, 20, "put back through libvirt")
            wait_for(lambda: total() <= before + 10, 30, "the guest has given it back")

    def test_destroyed_while_programs_load(self):
        with Domain(self.libvirt) as guest:
            for _ in range(3):
                self.daemon.wait_known("guest")
                wait_for(lambda: self.daemon.guest()["connected"], 30, "connected")
                guest.destroy()
                self.daemon.wait_known()
                guest.start(wait=False)
            guest.wait_booted()
            self.daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)

    def test_channel_of_a_name_that_is_no_name(self):
        with Domain(self.libvirt, name="web 1 (old)") as guest:
            self.daemon.wait_ready(guest.uuid)
            pin(guest)
            self.assert_pinned(guest)


class NoHook(LibvirtCase):
    """Without the hook, libvirt's events are enough; and only the domains that are asked for are looked after."""
    hook = False
    machines = ({},)

    def test_match(self):
        third = Domain(self.libvirt, name="third")  # nothing but its UUID says which it is, and it need not boot for that
        self.addCleanup(third.stop)
        third.start(wait=False)
        sections = {"web-*": {}, "profile:batch": {}, third.uuid: {}}
        with LibvirtDaemon(self.libvirt, sections) as daemon, Domain(self.libvirt, name="web-1") as first, \
                Domain(self.libvirt, name="db", profile="batch"), Domain(self.libvirt, name="other") as other:
            daemon.wait_ready("web-1")
            daemon.wait_ready("db")
            self.assertEqual(daemon.names(), ["db", "third", "web-1"])
            third.destroy()
            pin(first)
            self.assert_pinned(first)
            pin(other)
            vhtest.stays(lambda: other.host_cpus(0) == self.all, 1, "a domain that no section matches floats")
            self.libvirt.vhintctl("enable", "other", "--profile", "batch")
            daemon.wait_known("db", "other", "web-1")
            daemon.wait_ready("other")
            self.assert_pinned(other)


class Many(LibvirtCase):
    """Eight guests at once, and a storm of hook calls meanwhile."""
    machines = ({"memory": 160},)

    def test_eight_guests(self):
        with LibvirtDaemon(self.libvirt) as daemon:
            guests = [self.enterContext(Domain(self.libvirt, name=f"g{i}", memory=160)) for i in range(8)]
            storm = vhtest.Process(
                ["sh", "-c", 'i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); echo "<domain>garbage" | '
                 'VHINT_HOOK_SOCKET="$1" "$0" nobody start begin - || exit 1; done', HOOK,
                 self.libvirt.path("run/vhint/hook")], self.libvirt.path("storm.log"))
            for guest in guests:
                daemon.wait_ready(guest.name, timeout=120)
            for guest in guests:
                pin(guest)
            # There are more anchors than host CPUs here: as many are pinned as there is room for.
            wait_for(lambda: sum(len(g.host_cpus(0)) == 1 for g in guests) >= min(len(self.all) - 1, 8) or
                     len(self.all) == 1, 20, "guests are pinned")
            self.assertEqual(storm.popen.wait(120), 0)
            garbage = subprocess.run(["sh", "-c", 'head -c 1048576 /dev/urandom | VHINT_HOOK_SOCKET="$1" "$0" nobody start begin -',
                                      HOOK, self.libvirt.path("run/vhint/hook")], capture_output=True, timeout=60)
            self.assertEqual((garbage.returncode, garbage.stdout, garbage.stderr), (0, b"", b""))
            self.assertEqual(daemon.names(), [f"g{i}" for i in range(8)])
            for guest in guests:
                guest.destroy()
            daemon.wait_known()


class Pins(LibvirtCase):
    """What `virsh vcpupin` says is true, and what somebody says with it is respected."""
    machines = ({},)

    def libvirt_pins(self, guest):
        """{vCPU: set of host CPUs}"""
        lines = self.libvirt.virsh("vcpupin", guest.uuid).splitlines()
        return {int(line.split()[0]): vhtest.parse_cpus(line.split()[1]) for line in lines}

    def reason(self, daemon, vcpu=0):
        def row():
            return next((v for v in daemon.ctl("status", "guest")["guests"][0]["vcpu"] if v["index"] == vcpu), None)
        return wait_for(row, 10, f"vhintd knows vCPU {vcpu}")["reason"]

    def assert_truthful(self, guest, timeout=5):
        wait_for(lambda: all(self.libvirt_pins(guest)[cpu] == guest.host_cpus(cpu) for cpu in range(guest.cpus)),
                 timeout, "virsh vcpupin says what is")

    def setUp(self):
        super().setUp()
        if len(self.all) < 2:
            self.skipTest("needs two host CPUs")

    def test_truthful(self):
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt) as guest:
            daemon.wait_ready()
            task = pin(guest)
            self.assert_pinned(guest)
            self.assert_truthful(guest)
            self.assertEqual(len(self.libvirt_pins(guest)[0]), 1)
            for _ in range(20):  # faster than libvirt follows: the last word wins
                task.kill()
                task = pin(guest)
            self.assert_pinned(guest)
            self.assert_truthful(guest)
            self.assertEqual(len(self.libvirt_pins(guest)[0]), 1)
            task.kill()
            self.assert_floats(guest)
            self.assert_truthful(guest)
            pin(guest, 1)
            self.assert_pinned(guest, 1)
            self.assert_truthful(guest)
            # A daemon that was killed leaves both truths to its successor.
            daemon.kill()
            guest.run("killall sleep")
            daemon.start()
            daemon.wait_ready()
            self.assert_floats(guest, 1)
            self.assert_truthful(guest)
            self.assertTrue(all("libvirt" not in self.reason(daemon, cpu) for cpu in (0, 1)))
            pin(guest, 1)
            self.assert_pinned(guest, 1)
            self.assert_truthful(guest)
            daemon.stop()
            self.assertEqual(guest.host_cpus(1), self.all)
            self.assertEqual(self.libvirt_pins(guest)[1], self.all)
            daemon.start()

    def test_administrators_pin(self):
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt) as guest:
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)
            self.assert_truthful(guest)
            theirs = self.all - guest.host_cpus(0)  # another one than ours
            self.libvirt.virsh("vcpupin", guest.uuid, 0, vhtest.format_cpus(theirs), "--live")
            wait_for(lambda: "somebody else" in self.reason(daemon), 5, "noticed")
            pin(guest)
            vhtest.stays(lambda: guest.host_cpus(0) == theirs, 1, "the administrator's pin")
            self.assertEqual(self.libvirt_pins(guest)[0], theirs)
            pin(guest, 1)  # the other vCPU is still ours
            self.assert_pinned(guest, 1)
            daemon.stop()
            self.assertEqual(guest.host_cpus(0), theirs)
            daemon.start()
            daemon.wait_ready()
            self.assertEqual(guest.host_cpus(0), theirs)
            # Given back: a pin to all is none.
            self.libvirt.virsh("vcpupin", guest.uuid, 0, vhtest.format_cpus(self.all), "--live")
            self.assert_pinned(guest)
            self.assert_truthful(guest)

    def emulator_pin(self, guest):
        return vhtest.parse_cpus(self.libvirt.virsh("emulatorpin", guest.uuid).split()[-1])

    def iothread_pins(self, guest):
        """{IOThread: set of host CPUs}"""
        lines = [line.split() for line in self.libvirt.virsh("iothreadinfo", guest.uuid).splitlines()]
        return {int(words[0]): vhtest.parse_cpus(words[1]) for words in lines if words and words[0].isdigit()}

    def helpers(self, daemon, role):
        rows = daemon.ctl("status", "guest")["guests"][0]["thread"]
        return [row for row in rows if row["role"] == role]

    def emulator_masks(self, guest, daemon):
        """What the kernel says; threads of QEMU's come and go."""
        masks = [vhtest.thread_cpus(row["thread"]) for row in self.helpers(daemon, "emulator")]
        return [mask for mask in masks if mask]

    def test_emulator_and_iothreads(self):
        first, last = min(self.all), max(self.all)
        keys = {"emulator": last, "iothreads": first}
        extra = f"<iothreads>2</iothreads><cputune><iothreadpin iothread='2' cpuset='{last}'/></cputune>"
        with LibvirtDaemon(self.libvirt, {"*": keys}) as daemon, Domain(self.libvirt, extra=extra) as guest:
            daemon.wait_ready()

            def truthful():
                return (self.emulator_pin(guest) == {last} and self.iothread_pins(guest) == {1: {first}, 2: {last}} and
                        all(mask == {last} for mask in self.emulator_masks(guest, daemon)))
            wait_for(truthful, 10, "virsh emulatorpin and iothreadinfo say what is")
            # The second IOThread is pinned in the domain's XML: it is its administrator's.
            self.assertEqual(["somebody else" in row["reason"] for row in self.helpers(daemon, "iothread")], [False, True])
            # What he sets while it runs is noticed and kept.
            self.libvirt.virsh("emulatorpin", guest.uuid, first, "--live")
            wait_for(lambda: "somebody else" in self.helpers(daemon, "emulator")[0]["reason"], 5, "noticed")
            daemon.ctl("release", "guest")  # another plan
            vhtest.stays(lambda: vhtest.thread_cpus(guest.pid()) == {first}, 0.5, "the administrator's pin")
            self.assertEqual(self.emulator_pin(guest), {first})
            # All is ours again, his IOThread too.
            daemon.ctl("resume", "guest")
            wait_for(lambda: self.emulator_pin(guest) == {last} and
                     self.iothread_pins(guest) == {1: {first}, 2: {first}}, 5, "resumed")
            self.assertEqual(vhtest.thread_cpus(guest.pid()), {last})
            # A daemon that was killed leaves both truths to its successor.
            daemon.kill()
            daemon.domains = {"*": {}}
            daemon.start()
            wait_for(lambda: self.emulator_pin(guest) == {first} and
                     self.iothread_pins(guest) == {1: self.all, 2: {last}}, 10, "libvirt's former pins are back")
            wait_for(lambda: vhtest.thread_cpus(guest.pid()) == {first}, 5, "the emulator's former mask is back")

    def test_configured_pin_and_resume(self):
        first = min(self.all)
        extra = f"<cputune><vcpupin vcpu='0' cpuset='{first}'/></cputune>"
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt, extra=extra) as guest:
            daemon.wait_ready()
            self.assertIn("somebody else", self.reason(daemon))
            task = pin(guest)
            vhtest.stays(lambda: guest.host_cpus(0) == {first}, 0.5, "the configured pin")
            daemon.ctl("resume", "guest")
            self.assertNotIn("somebody else", self.reason(daemon))
            self.assert_pinned(guest)
            task.kill()
            wait_for(lambda: guest.host_cpus(0) == {first}, 5, "the former pin")
            vhtest.stays(lambda: guest.host_cpus(0) == {first}, 0.5, "the former pin")


class PinsInControlGroups(Pins):
    """The same where libvirt gives each vCPU a cpuset: a pin that it knows of narrows what may be asked for next."""
    controllers = ("cpuset",)

    def setUp(self):
        super().setUp()
        if not os.path.isdir("/sys/fs/cgroup/cpuset"):
            self.skipTest("libvirt without systemd needs cgroups v1")

    def test_moves(self):
        """To a host CPU that the vCPU's cpuset does not have yet."""
        first, second = sorted(self.all)[:2]
        with LibvirtDaemon(self.libvirt, pool=first) as daemon, Domain(self.libvirt) as guest:
            daemon.wait_ready()
            pin(guest)
            wait_for(lambda: guest.host_cpus(0) == {first}, 5, "pinned to the first")
            self.assert_truthful(guest)
            daemon.kill()
            daemon.pool = second
            daemon.start()
            wait_for(lambda: guest.host_cpus(0) == {second}, 10, "pinned to the second")
            self.assert_truthful(guest)
            daemon.stop()
            self.assert_floats(guest)
            self.assert_truthful(guest)
            daemon.start()

    def test_contradiction(self):
        """A cpuset that is not libvirt's to widen."""
        first, second = sorted(self.all)[:2]
        with LibvirtDaemon(self.libvirt, pool=second) as daemon, Domain(self.libvirt) as guest:
            daemon.wait_ready()
            above = self.cpuset_of(guest).parents[1]  # .../machine/qemu-1-guest.libvirt-qemu/libvirt/vcpu0
            groups = [*sorted(above.rglob("cpuset.cpus"), key=lambda path: -len(path.parts))]
            for file in groups:
                file.write_text(str(first))
            guest.start_command("exec taskset -c 0 sleep 100000")
            wait_for(lambda: "control group" in self.reason(daemon), 10, "refused with the reason")
            self.assertIn(f"allows host CPUs {first} only, not {second}", self.reason(daemon))
            self.assertEqual(guest.host_cpus(0), {first})
            for file in reversed(groups):
                file.write_text(vhtest.format_cpus(self.all))

    def cpuset_of(self, guest):
        with open(f"/proc/{guest.thread(0)}/cgroup") as file:
            path = next(line.split(":")[2].strip() for line in file if ":cpuset:" in line)
        return pathlib.Path("/sys/fs/cgroup/cpuset" + path)


class Migration(LibvirtCase):
    """Between two libvirtds, each with a vhintd of its own."""

    def setUp(self):
        super().setUp()
        if len(self.all) < 2:
            self.skipTest("needs two host CPUs")
        self.there = self.enterContext(Libvirt())
        self.daemon = self.enterContext(LibvirtDaemon(self.libvirt, {"profile:web": {"pool": min(self.all)}}))
        self.target = self.enterContext(LibvirtDaemon(self.there, {"profile:web": {"pool": max(self.all)}}))
        self.guest = self.enterContext(Domain(self.libvirt, fresh=True, profile="web"))
        self.daemon.wait_ready()
        self.daemon.ctl("inject", "guest", os.path.join(vhtest.BUILD, "guest-bpf/pressure.bpf.o"), "--set", "window_ms=2000")
        self.task = pin(self.guest, 1)
        self.assert_on(self.guest, min(self.all))
        self.loaded = self.guest.loaded()

    def assert_on(self, guest, cpu):
        """Both truths."""
        def pinned():
            told = guest.libvirt.virsh("vcpupin", guest.uuid).splitlines()
            return guest.host_cpus(1) == {cpu} and vhtest.parse_cpus(told[1].split()[-1]) == {cpu}
        wait_for(pinned, 10, f"guest CPU 1 is pinned to host CPU {cpu}, and libvirt knows")

    def journal(self, libvirt, *kinds):
        with open(libvirt.path("run/vhint/journal")) as file:
            return [step for step in map(json.loads, file) if step["what"].startswith(kinds)]

    def steps(self, libvirt, *kinds):
        return [step["what"] for step in self.journal(libvirt, *kinds)]

    def wait_midway(self, migration):
        def midway():
            self.assertTrue(migration.alive(), vhtest.tail(migration.log))
            told = self.guest.monitor("query-migrate")
            return told.get("status") == "active" and told["ram"]["transferred"] > 0
        wait_for(midway, 30, "the migration is midway")

    def assert_stayed(self, migration, before):
        """Nothing has been done to the guest, `before` is all that was undone ever, and hints are acted upon as before."""
        wait_for(lambda: not migration.alive(), 30, "virsh says how it went")
        self.assertNotEqual(migration.popen.returncode, 0)
        self.target.wait_known()
        self.assertEqual(self.steps(self.libvirt, "unpin", "leave", "disconnect"), before)
        self.assertEqual(self.guest.loaded(), self.loaded)
        self.task.kill()
        self.assert_floats(self.guest, 1)
        self.task = pin(self.guest, 1)
        self.assert_on(self.guest, min(self.all))

    def test_cancelled_failed_done(self):
        self.libvirt.virsh("migrate-setspeed", self.guest.uuid, 1)  # MiB/s: it would take minutes
        migration = self.guest.migrate(self.there)
        self.wait_midway(migration)
        self.libvirt.virsh("domjobabort", self.guest.uuid)
        self.assert_stayed(migration, [])

        migration = self.guest.migrate(self.there)
        self.wait_midway(migration)
        with open(self.there.path(f"run/libvirt/qemu/{self.guest.name}.pid")) as file:
            os.kill(int(file.read()), 9)
        self.assert_stayed(migration, ["unpin vCPU 1"])

        self.libvirt.virsh("migrate-setspeed", self.guest.uuid, 10000)
        migration = self.guest.migrate(self.there)
        wait_for(lambda: not migration.alive(), 60, "virsh migrate ends")
        self.assertEqual(migration.popen.returncode, 0, vhtest.tail(migration.log))
        self.daemon.wait_known()
        self.assertEqual(self.daemon.applied(), 0)
        self.assertFalse(os.path.exists(self.libvirt.path(f"run/vhint/saved/{self.guest.uuid}")))
        moved = self.guest.moved(self.there)
        self.addCleanup(self.there.clear)
        self.target.wait_ready()
        self.assert_on(moved, max(self.all))
        self.assertEqual(moved.loaded(), self.loaded)
        self.assertEqual(self.steps(self.there, "load", "unload"), [])
        undone = self.journal(self.libvirt, "unpin vCPU")[-1]["time"]
        arrived = self.journal(self.there, "connect")[0]["time"]
        self.assertLess(undone - arrived, FORGOTTEN * vhtest.SLOWNESS)
        program = self.target.program("pressure")
        self.assertEqual((program["origin"], program["state"]), ("injected", "running"))
        self.assert_back(moved)

    def wishes(self, guest):
        """What the domain's metadata says: (host, released, bytes of it all)."""
        result = guest.libvirt.call("metadata", guest.uuid, "urn:vhint:wishes:1")
        if result.returncode:
            return None
        data = zlib.decompress(base64.b64decode(re.sub(r"<[^>]*>", "", result.stdout)))
        return data[:36].decode(), data[37] == 1, len(data)

    def assert_back(self, moved):
        """What was ejected and released there is so here, too, whatever this host has on disk of it."""
        self.target.ctl("eject", "guest", "pressure")
        self.target.ctl("release", "guest")
        # The pin that libvirt took along is known for vhint's.
        self.assert_floats(moved, 1)

        def told():
            pins = moved.libvirt.virsh("vcpupin", moved.uuid).splitlines()
            known = self.wishes(moved)
            return all(vhtest.parse_cpus(line.split()[-1]) == self.all for line in pins) and known[1] and known[2] < 1000
        wait_for(told, 10, "libvirt knows of no pin, no program and a release")
        # So does a successor of this vhintd.
        self.target.kill()
        self.target.start()
        self.target.wait_ready()
        self.assertTrue(self.target.guest()["held"])
        loaded = moved.loaded()
        migration = moved.migrate(self.libvirt)
        wait_for(lambda: not migration.alive(), 60, "virsh migrate ends")
        self.assertEqual(migration.popen.returncode, 0, vhtest.tail(migration.log))
        self.target.wait_known()
        guest = moved.moved(self.libvirt)
        self.daemon.wait_ready()
        self.assertTrue(self.daemon.guest()["held"])
        self.assertIsNone(self.daemon.program("pressure"))
        self.assertEqual(guest.loaded(), loaded)
        self.assertEqual(guest.host_cpus(1), self.all)
        self.daemon.ctl("resume", "guest")
        self.assert_on(guest, min(self.all))
