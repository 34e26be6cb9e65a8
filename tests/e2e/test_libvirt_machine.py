# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt does to a domain that runs: it stops, changes, ends and migrates."""
import base64
import os
import re
import zlib

import vhtest
from vhtest.daemon import read_journal
from vhtest.libvirt import Domain, Libvirt, LibvirtDaemon
from vhtest.libvirt_case import Case, pin

wait_for = vhtest.wait_for
FORGOTTEN = 1  # s, from a guest's first word where it has migrated to, until its last thread at the source is put back


class Machine(Case):
    """What libvirt can do to a machine."""
    common = {"restored": True, "maxcpus": 3, "iothreads": 1, "memory": 256, "devices": "<memballoon model='virtio'/>",
              "extra": "<currentMemory unit='MiB'>192</currentMemory>"}
    grows = {"restored": True, "memory": 192, "append": "memhp_default_state=online_movable",
             "extra": "<maxMemory slots='2' unit='MiB'>1024</maxMemory>",
             "cpu": "<numa><cell id='0' cpus='0-1' memory='192' unit='MiB'/></numa>",
             "devices": "<memballoon model='none'/><memory model='virtio-mem'><target><size unit='MiB'>256</size>"
                        "<node>0</node><block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>"}
    machines = ({"served": False}, common, grows)

    def test_suspend_save(self):
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)
            self.libvirt.virsh("suspend", guest.uuid)
            vhtest.stays(lambda: len(guest.host_cpus(0)) == 1, 0.5, "the pin of a suspended guest")
            self.libvirt.virsh("resume", guest.uuid)
            self.assertEqual(len(guest.host_cpus(0)), 1)
            self.libvirt.virsh("managedsave", guest.uuid)
            daemon.wait_known()
            self.libvirt.virsh("start", guest.uuid)
            guest.attach(wait=False)
            daemon.wait_ready()
            self.assertEqual(guest.output("pidof sleep") != "", True)  # the very same guest, its task still bound
            self.assert_pinned(guest)
            # libvirt has kept the pins with the guest: they are still known for ours.
            self.assertNotIn("somebody else", str(daemon.ctl("status", "guest")))

    def test_reboot(self):
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)
            guest.reset(lambda: self.assert_floats(guest))
            daemon.wait_ready()
            pin(guest, 1)
            self.assert_pinned(guest, 1)

    def test_vcpus_come_and_go(self):
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_ready()
            self.assertEqual(daemon.guest()["vcpus"], 2)
            self.libvirt.virsh("setvcpus", guest.uuid, 3, "--live")

            def all_online():
                # The guest's kernel makes the CPU's directory when it gets to it; nobody in there switches it on.
                guest.run("for c in /sys/devices/system/cpu/cpu[0-9]*; do [ -e $c/online ] && echo 1 >$c/online; "
                          "done; true")
                return guest.output("nproc") == "3"
            wait_for(all_online, 10, "the guest has three CPUs")
            wait_for(lambda: daemon.guest()["vcpus"] == 3, 5, "vhintd knows three vCPUs")
            guest.forget()
            task = pin(guest, 2)
            self.assert_pinned(guest, 2)
            guest.run("echo 0 >/sys/devices/system/cpu/cpu2/online")
            self.assert_floats(guest, 0)
            guest.run("echo 1 >/sys/devices/system/cpu/cpu2/online")
            task.kill()

    def memory(self, guest):
        """What libvirt says that it has, in MiB."""
        facts = dict(line.split(None, 1) for line in self.libvirt.virsh("dommemstat", guest.uuid).splitlines())
        return int(facts["actual"]) >> 10

    def grow(self, daemon, guest="guest"):
        """Tasks bound to one CPU ask for memory; nothing else does."""
        os.makedirs(daemon.path("policy.d"), exist_ok=True)
        with open(daemon.path("policy.d/50-memory.conf"), "w") as file:
            file.write("[rule affinity-pin]\nenabled = no\n[rule more]\non = affinity\nwhen = cpus == 1\n"
                       "do = memory\n[guest *]\nmemory-max = 320M\nmemory-step = 64M\n")
        wait_for(lambda: daemon.call("policy", "show", guest).stdout.find("do memory") > 0, 10, "the policy")

    def test_balloon(self):
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_ready()
            self.grow(daemon)
            wait_for(lambda: self.memory(guest) == 192, 20, "the guest is small")
            task = pin(guest)
            wait_for(lambda: self.memory(guest) == 256, 20, "libvirt knows of all that it may have")
            # Nobody but libvirtd reaches its monitor: that is said, and the next vhintd has it put back.
            daemon.kill()
            done = daemon.restore()
            self.assertEqual((done.returncode, self.memory(guest)), (1, 256), done.stderr)
            self.assertIn("it stays at 256 MiB, it had 192 MiB: only libvirt reaches its monitor", done.stderr)
            task.kill()
            daemon.start()
            wait_for(lambda: self.memory(guest) == 192, 20, "put back by the next vhintd")
            task = pin(guest)
            wait_for(lambda: self.memory(guest) == 256, 20, "it grows again")
            task.kill()
            daemon.ctl("release", "guest")
            wait_for(lambda: self.memory(guest) == 192, 20, "put back through libvirt")
            daemon.ctl("resume", "guest")

    def test_virtio_mem(self):
        with LibvirtDaemon(self.libvirt, {"grows": {}}) as daemon, \
                Domain(self.libvirt, name="grows", **self.grows) as guest:
            def total():
                return int(guest.output("awk '/MemTotal/ { print $2 }' /proc/meminfo")) >> 10

            daemon.wait_ready("grows")
            before = total()
            self.grow(daemon, "grows")
            pin(guest)

            def requested():
                return int(re.search(r"<requested unit='KiB'>(\d+)<", self.libvirt.virsh("dumpxml", guest.uuid))[1]) >> 10
            wait_for(lambda: requested() == 128, 20, "libvirt knows what is requested")
            self.assertEqual(guest.monitor("query-memory-devices")[0]["data"]["requested-size"], 128 << 20)
            wait_for(lambda: total() >= before + 100, 30, "the guest has it")
            daemon.ctl("release", "grows")
            wait_for(lambda: requested() == 0, 20, "put back through libvirt")
            wait_for(lambda: total() <= before + 10, 30, "the guest has given it back")

    def test_destroyed_while_programs_load_and_renamed(self):
        guest = Domain(self.libvirt, name="early", served=False)
        with LibvirtDaemon(self.libvirt, {"early": {}, "web *": {}}) as daemon, guest:
            for last in (False, True):
                daemon.wait_known("early")
                wait_for(lambda: daemon.guest("early")["connected"], 30, "connected")
                guest.destroy()
                daemon.wait_known()
                if not last:
                    guest.start(wait=False)
            guest.name = "web 1 (old)"  # no name for a channel
            self.libvirt.virsh("domrename", guest.uuid, guest.name)
            guest.start()
            daemon.wait_ready(guest.uuid)
            pin(guest)
            self.assert_pinned(guest)
            self.assertEqual(daemon.guest(guest.uuid)["title"], guest.name)


class Migration(Case):
    """Between two libvirtds, each with a vhintd of its own."""
    machines = ({},)

    def setUp(self):
        super().setUp()
        if len(self.all) < 2:
            self.skipTest("needs two host CPUs")
        self.there = self.enterContext(Libvirt())
        self.daemon = self.enterContext(LibvirtDaemon(self.libvirt, {"profile:web": {"pool": min(self.all)}}))
        self.target = self.enterContext(LibvirtDaemon(self.there, {"profile:web": {"pool": max(self.all)}}))
        self.guest = self.enterContext(Domain(self.libvirt, restored=True, profile="web"))
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
        return [step for step in read_journal(libvirt.path("run/vhint/journal")) if step["what"].startswith(kinds)]

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

    @vhtest.migrates_live
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
        self.assertLess(undone - arrived, FORGOTTEN * vhtest.setting.slowness)
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
