# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt and vhintd say to each other about pins."""
import os
import pathlib

import vhtest
from vhtest.libvirt import Domain, LibvirtDaemon
from vhtest.libvirt_case import PIN_EMULATOR, Case, pin

wait_for = vhtest.wait_for


class Pins(Case):
    """What `virsh vcpupin` says is true, and what somebody says with it is respected."""
    machines = ({},)

    def reason(self, daemon, vcpu=0, guest="guest"):
        def row():
            return next((v for v in daemon.ctl("status", guest)["guests"][0]["vcpu"] if v["index"] == vcpu), None)
        return wait_for(row, 10, f"vhintd knows vCPU {vcpu}")["reason"]

    def assert_truthful(self, guest, timeout=5):
        wait_for(lambda: self.libvirt_pins(guest) == guest.all_host_cpus(), timeout, "virsh vcpupin says what is")

    def setUp(self):
        super().setUp()
        if len(self.all) < 2:
            self.skipTest("needs two host CPUs")

    def test_truthful(self):
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_ready()
            task = pin(guest)
            self.assert_pinned(guest)
            self.assert_truthful(guest)
            self.assertEqual(len(self.libvirt_pins(guest)[0]), 1)
            for _ in range(20):  # faster than libvirt follows: the last word wins
                task.kill()
                task = pin(guest)
            # An earlier pin may be what is seen first.
            wait_for(lambda: len(guest.host_cpus(0)) == 1 and self.libvirt_pins(guest) == guest.all_host_cpus(), 5,
                     "guest CPU 0 is pinned, and libvirt knows")
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

    def test_pins_outlive_vhintd(self):
        """Neither a restart of vhintd's nor what libvirt is told meanwhile lets a vCPU float."""
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)
            self.assert_truthful(guest)
            told = self.libvirt_pins(guest)[0]
            for end in (daemon.kill, lambda: daemon.ctl("handover") and daemon.stop()):
                with vhtest.Masks(guest.thread(0)) as masks:
                    end()
                    daemon.start()
                    daemon.wait_ready()
                    task = pin(guest, 1)
                    wait_for(lambda: len(guest.host_cpus(1)) == 1, 10, "it acts again")
                    self.assert_truthful(guest)
                    task.kill()
                    wait_for(lambda: guest.host_cpus(1) == self.all, 10, "the other one floats")
                    self.assert_truthful(guest)
                self.assertEqual(len(masks.seen), 1, masks.seen)
                self.assertEqual(self.libvirt_pins(guest)[0], told)

    def test_outdated_call(self):
        """libvirtd sets late what it was told first. What is wanted by now does not wait for the next call."""
        first, last = min(self.all), max(self.all)
        proxy = self.held_call(PIN_EMULATOR)
        with self.running() as guest, \
                LibvirtDaemon(self.libvirt, {"*": {"emulator": first}}, uri=proxy.uri) as daemon:
            self.assertTrue(proxy.held.wait(20 * vhtest.setting.slowness), "vhintd tells libvirt where the emulator is")
            os.makedirs(daemon.path("policy.d"))
            with open(daemon.path("policy.d/50-test.conf"), "w") as file:
                file.write(f"[guest *]\nemulator={last}\n")
            wait_for(lambda: vhtest.thread_cpus(guest.pid()) == {last}, 5, "the emulator is where it is to be now")
            proxy.let_go(again=True)
            self.assertTrue(proxy.held.wait(20 * vhtest.setting.slowness), "vhintd tells libvirt what is wanted now")
            self.assertEqual(self.emulator_pin(guest), {first})

            def right():
                return all(mask == {last} for mask in self.emulator_masks(guest, daemon))
            if not self.controllers:  # else the control group bars it as long as libvirt does not know
                wait_for(right, 5, "it is put right")
            proxy.let_go()
            wait_for(lambda: self.emulator_pin(guest) == {last} and right(), 10, "libvirt knows, too")

    def test_administrators_pin(self):
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
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

    def iothread_pins(self, guest):
        """{IOThread: set of host CPUs}"""
        lines = [line.split() for line in self.libvirt.virsh("iothreadinfo", guest.uuid).splitlines()]
        return {int(words[0]): vhtest.parse_cpus(words[1]) for words in lines if words and words[0].isdigit()}

    def helpers(self, daemon, role, guest):
        rows = daemon.ctl("status", guest.name)["guests"][0]["thread"]
        return [row for row in rows if row["role"] == role]

    def emulator_masks(self, guest, daemon):
        """What the kernel says; threads of QEMU's come and go."""
        masks = [vhtest.thread_cpus(row["thread"]) for row in self.helpers(daemon, "emulator", guest)]
        return [mask for mask in masks if mask]

    def test_configured_pins_and_resume(self):
        first, last = min(self.all), max(self.all)
        name = "configured"  # the class's own may be there, too
        keys = {"emulator": last, "iothreads": first}
        extra = (f"<iothreads>2</iothreads><cputune><vcpupin vcpu='0' cpuset='{first}'/>"
                 f"<iothreadpin iothread='2' cpuset='{last}'/></cputune>")
        with LibvirtDaemon(self.libvirt, {name: keys}) as daemon, Domain(self.libvirt, name=name, extra=extra) as guest:
            daemon.wait_ready(name)

            def truthful():
                return (self.emulator_pin(guest) == {last} and self.iothread_pins(guest) == {1: {first}, 2: {last}} and
                        all(mask == {last} for mask in self.emulator_masks(guest, daemon)))
            wait_for(truthful, 10, "virsh emulatorpin and iothreadinfo say what is")
            # What is pinned in the domain's XML is its administrator's.
            self.assertEqual(["somebody else" in row["reason"] for row in self.helpers(daemon, "iothread", guest)], [False, True])
            self.assertIn("somebody else", self.reason(daemon, guest=name))
            task = pin(guest)
            # What he sets while it runs is noticed and kept.
            self.libvirt.virsh("emulatorpin", guest.uuid, first, "--live")
            wait_for(lambda: "somebody else" in self.helpers(daemon, "emulator", guest)[0]["reason"], 5, "noticed")
            daemon.ctl("release", name)  # another plan
            vhtest.stays(lambda: vhtest.thread_cpus(guest.pid()) == {first} and guest.host_cpus(0) == {first}, 0.5,
                         "the administrator's and the configured pin")
            self.assertEqual(self.emulator_pin(guest), {first})
            # All is ours again, what is pinned in the XML, too.
            daemon.ctl("resume", name)
            wait_for(lambda: self.emulator_pin(guest) == {last} and
                     self.iothread_pins(guest) == {1: {first}, 2: {first}}, 5, "resumed")
            self.assertEqual(vhtest.thread_cpus(guest.pid()), {last})
            self.assertNotIn("somebody else", self.reason(daemon, guest=name))
            self.assert_pinned(guest)
            task.kill()
            wait_for(lambda: guest.host_cpus(0) == {first}, 5, "the former pin")
            vhtest.stays(lambda: guest.host_cpus(0) == {first}, 0.5, "the former pin")
            # A daemon that was killed leaves both truths to its successor.
            daemon.kill()
            daemon.domains = {name: {}}
            daemon.start()
            wait_for(lambda: self.emulator_pin(guest) == {first} and
                     self.iothread_pins(guest) == {1: self.all, 2: {last}}, 10, "libvirt's former pins are back")
            wait_for(lambda: vhtest.thread_cpus(guest.pid()) == {first}, 5, "the emulator's former mask is back")


class PinsInControlGroups(Pins):
    """The same where libvirt gives each vCPU a cpuset: a pin that it knows of narrows what may be asked for next."""
    controllers = ("cpuset",)
    test_pins_outlive_vhintd = None  # a pin that stays asks nothing of a cpuset

    def setUp(self):
        super().setUp()
        if not os.path.isdir("/sys/fs/cgroup/cpuset"):
            self.skipTest("libvirt without systemd needs cgroups v1")

    def test_moves(self):
        """To a host CPU that the vCPU's cpuset does not have yet."""
        first, second = sorted(self.all)[:2]
        with self.running() as guest, LibvirtDaemon(self.libvirt, pool=first) as daemon:
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
        with self.running() as guest, LibvirtDaemon(self.libvirt, pool=second) as daemon:
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
