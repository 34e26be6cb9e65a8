# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests' memory: grows under pressure, goes back after it, and is put back whatever happens."""
import os
import socket
import unittest

import vhtest
from vhtest import stays, wait_for
from vhtest.fake_guest import FakeGuest

MIB = 1 << 20
RULE = """[rule affinity-pin]
enabled = no
[rule more]
on = affinity
when = cpus == 1
do = memory tgid
[guest *]
memory-max = {most}M
memory-step = 64M
memory-linger = 1s
"""


class Machine(FakeGuest):
    """Has a balloon, or `virtio_mem`, or neither. A fact of process N says that the guest has room for N MiB."""

    def __init__(self, balloon=True, virtio_mem=False):
        super().__init__(cpus=1)
        self.balloon = 128 * MIB if balloon else None
        self.requested = 0 if virtio_mem else None
        self.orders = []

    def _answer(self, command, arguments):
        if command == "query-balloon" and self.balloon is not None:
            return {"actual": self.balloon}
        if command == "balloon" and self.balloon is not None:
            self.balloon = arguments["value"]
            self.orders.append(self.balloon // MIB)
            return {}
        if command == "query-memory-devices" and self.requested is not None:
            return [{"type": "dimm", "data": {"id": "other"}},
                    {"type": "virtio-mem", "data": {"id": "vm0", "requested-size": self.requested, "size": 0,
                                                    "max-size": 160 * MIB, "block-size": 2 * MIB}}]
        if command == "query-memory-size-summary":
            return {"base-memory": (1024 if self.requested is None else 128) * MIB, "plugged-memory": 0}
        if command == "qom-set":
            assert arguments["path"] == "/machine/peripheral/vm0" and arguments["property"] == "requested-size"
            self.requested = arguments["value"]
            self.orders.append(self.requested // MIB)
            return {}
        return super()._answer(command, arguments)


class Memory(unittest.TestCase):
    def start(self, most=256, **machine):
        self.guest = self.enterContext(Machine(**machine))
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)
        os.makedirs(self.daemon.path("policy.d"))
        with open(self.daemon.path("policy.d/50-memory.conf"), "w") as file:
            file.write(RULE.format(most=most))
        self.daemon.start(wait=False)
        self.guest.start()

    def ask(self, room=1):
        """Asks with a mask of one CPU, and says its room, as a fact with any other mask does."""
        self.guest.hint(self.guest.record(pid=room, mask=[0]))

    def end(self, room=1):
        self.guest.hint(self.guest.record(pid=room, flags=1))

    def wait_memory(self, mib, timeout=10):
        wait_for(lambda: self.guest.balloon == mib * MIB, timeout, f"the guest has {mib} MiB")

    def memory(self):
        return self.daemon.ctl("status", "fake")["guests"][0].get("memory")

    def journal(self, what):
        return [step for step in self.daemon.steps() if step["what"] == what]

    def test_step_by_step_and_back(self):
        self.start()
        self.ask()
        self.wait_memory(256)
        self.assertEqual(self.guest.orders, [192, 256])
        self.assertEqual((self.memory()["device"], self.memory()["state"], self.memory()["former"]),
                         ("balloon", "growing", "128 MiB"))
        self.assertEqual([(step["before"], step["after"]) for step in self.journal("memory")],
                         [("128 MiB", "192 MiB"), ("192 MiB", "256 MiB")])
        action = self.daemon.ctl("why", "fake")[-1]
        self.assertEqual((action["action"], action["rule"], action["in_force"]), ("memory", "more", True))
        # It has room for one step only: it may need that.
        self.guest.hint(self.guest.record(pid=100, mask=[]))
        self.end()
        wait_for(lambda: self.memory()["state"] == "in use", 15, "no room for a step back")
        self.assertEqual(self.guest.orders, [192, 256])
        self.end(room=100)
        self.guest.hint(self.guest.record(pid=200, mask=[]))
        self.wait_memory(128, timeout=30)
        self.assertEqual(self.guest.orders, [192, 256, 192, 128])
        wait_for(lambda: self.memory()["state"] == "off", 5, "nothing is left to do")
        self.assertEqual(len(self.journal("memory back")), 1)

    def test_least(self):
        """With `memory-min` steps back end there, once they did; without it, where they began."""
        self.start()
        path = self.daemon.path("policy.d/60-least.conf")
        with open(path, "w") as file:
            file.write("[guest *]\nmemory-min = 192M\n")
        wait_for(lambda: len(self.journal("policy")) > 1, 5, "vhintd has read it")
        self.ask()
        self.wait_memory(256)
        self.guest.hint(self.guest.record(pid=200, mask=[]))
        self.end()
        self.wait_memory(192, timeout=30)
        stays(lambda: self.guest.balloon == 192 * MIB, 3, "no step below it, though there is room for it")
        self.assertEqual(self.guest.orders, [192, 256, 192])
        os.unlink(path)
        self.wait_memory(128, timeout=30)
        self.assertEqual(self.guest.orders, [192, 256, 192, 128])

    def test_least_is_no_more_than_it_had(self):
        """Below what the guest had before the first step it has no effect."""
        self.start()
        with open(self.daemon.path("policy.d/60-least.conf"), "w") as file:
            file.write("[guest *]\nmemory-min = 64M\n")
        wait_for(lambda: len(self.journal("policy")) > 1, 5, "vhintd has read it")
        self.ask()
        self.wait_memory(192)
        self.guest.hint(self.guest.record(pid=200, mask=[]))
        self.end()
        wait_for(lambda: self.memory()["state"] == "off", 30, "all has gone back")
        self.assertEqual(self.guest.balloon, 128 * MIB)

    def test_release_and_stop(self):
        self.start()
        self.ask()
        self.wait_memory(192)
        self.assertEqual(self.daemon.ctl("release", "fake")["undone"], 1)
        self.wait_memory(128)
        stays(lambda: self.guest.balloon == 128 * MIB, 0.5, "released")
        self.assertIn("released", self.memory()["reason"])
        self.daemon.ctl("resume", "fake")
        self.wait_memory(192)
        self.daemon.stop()
        self.assertEqual(self.guest.balloon, 128 * MIB)

    def test_daemon_killed(self):
        self.start()
        self.ask()
        self.wait_memory(192)
        self.daemon.kill()
        self.daemon.start(wait=False)
        self.wait_memory(128)
        wait_for(lambda: self.journal("memory back"), 5, "the journal says so")
        self.guest.start()
        self.ask()
        self.wait_memory(192)
        self.daemon.stop()
        self.assertEqual(self.guest.balloon, 128 * MIB)

    def restore(self):
        """Its exit status and what it has said."""
        done = self.daemon.restore()
        return done.returncode, done.stderr

    def test_daemon_killed_and_none_comes(self):
        """The guard asks QEMU itself. A guest that has no pin has it, too."""
        self.start(most=192)
        self.daemon.stop()
        self.daemon.timeout = 1
        self.daemon.start(wait=False)
        self.guest.start()
        self.ask()
        self.wait_memory(192)
        self.daemon.kill()
        self.wait_memory(128)
        self.assertEqual(self.daemon.applied(), 0)

    def test_put_back_by_hand(self):
        self.start(most=192)
        self.ask()
        self.wait_memory(192)
        self.daemon.kill()
        status, text = self.restore()
        self.assertEqual((status, self.guest.balloon), (0, 128 * MIB), text)
        self.assertIn("memory back", text)
        self.assertEqual(self.restore(), (0, ""))

    def test_put_back_by_hand_with_virtio_mem(self):
        self.start(most=1024, virtio_mem=True)
        self.ask()
        wait_for(lambda: self.guest.requested == 160 * MIB, 15, "it has all")
        self.daemon.kill()
        status, text = self.restore()
        self.assertEqual((status, self.guest.requested), (0, 0), text)

    def test_monitor_is_somebody_elses(self):
        """It is told, stays on record, and the next vhintd does it."""
        self.start(most=192)
        self.ask()
        self.wait_memory(192)
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(self.guest.qmp_path)
            self.daemon.kill()
            self.assertIn(b"QMP", other.recv(100))
            status, text = self.restore()
            self.assertEqual((status, self.guest.balloon), (1, 192 * MIB), text)
            self.assertIn("it stays at 192 MiB, it had 128 MiB: its monitor has not answered in time", text)
            self.assertIn("the memory of 1 guest is not put back yet", text)
        self.daemon.start(wait=False)
        self.wait_memory(128)

    def test_injector_gone(self):
        """Nobody says any more what the guest has room for: it goes back all the same, later."""
        self.start(most=192)
        self.ask()
        self.wait_memory(192)
        self.guest.channel.close()
        wait_for(lambda: self.memory()["state"] == "growing" and self.daemon.ctl("why", "fake")[-1]["next"] > 2, 5,
                 "a step back that is far off")
        self.wait_memory(128, timeout=60)

    def test_no_device(self):
        self.start(balloon=False)
        self.ask()
        wait_for(lambda: "balloon" in (self.memory() or {}).get("problem", ""), 5, "the refusal")
        self.assertEqual(self.memory()["device"], "none")
        self.assertIn("virtio-balloon-pci", self.daemon.ctl("why", "fake")[-1]["problem"])
        self.assertIn("virtio-balloon-pci", self.daemon.call("status", "fake").stdout)
        self.assertEqual(len(self.journal("memory")), 1)
        self.assertEqual(self.guest.orders, [])

    def test_virtio_mem(self):
        self.start(most=1024, balloon=True, virtio_mem=True)
        self.ask()
        wait_for(lambda: self.guest.orders == [64, 128, 160], 15, "up to what the device has")
        self.assertEqual((self.memory()["device"], self.memory()["bytes"]), ("virtio-mem", 288 * MIB))
        self.daemon.kill()
        self.daemon.start(wait=False)
        wait_for(lambda: self.guest.requested == 0, 10, "put back")
        self.assertEqual(self.guest.balloon, 128 * MIB)


class Pressure(unittest.TestCase):
    """A real guest of 256 MiB, of which its balloon has taken half, and a disk to swap on."""

    @classmethod
    def setUpClass(cls):
        cls.guest = vhtest.Guest(cpus=2, memory=256)
        disk = cls.guest.path("swap")
        with open(disk, "wb") as file:
            file.truncate(256 * MIB)
        cls.guest.arguments += ["-drive", f"file={disk},format=raw,if=none,id=swap,cache=unsafe",
                                "-device", "virtio-blk-pci,drive=swap", "-device", "virtio-balloon-pci,id=balloon"]
        cls.enterClassContext(cls.guest)
        cls.guest.run("mkswap /dev/vda && swapon /dev/vda")
        cls.shrink()
        cls.daemon = vhtest.Daemon(cls.guest, programs="pressure")
        cls.addClassCleanup(cls.daemon.close)
        os.makedirs(cls.daemon.path("policy.d"))
        with open(cls.daemon.path("policy.d/50-memory.conf"), "w") as file:
            file.write("[rule more]\non = pressure\nwhen = level >= SOME\ndo = memory available_mib\nfigure = stall\n"
                       "[guest *]\nmemory-max = 256M\nmemory-step = 32M\nmemory-linger = 1s\n")
        cls.daemon.start()

    @classmethod
    def shrink(cls):
        cls.guest.qmp.call("balloon", value=128 * MIB)
        wait_for(lambda: cls.memory() == 128 * MIB, 30, "the guest is small")

    @classmethod
    def memory(cls):
        return cls.guest.qmp.call("query-balloon")["actual"]

    def fact(self):
        return next((hint for hint in self.daemon.ctl("hints", "guest") if hint["kind"] == "pressure"), {})

    def grown_by(self):
        hog = self.guest.start_command("exec hog 96")
        wait_for(lambda: self.memory() >= 160 * MIB, 60, "the guest has more memory")
        return hog

    def test_grows_and_goes_back(self):
        hog = self.grown_by()
        wait_for(lambda: self.fact()["fields"]["level"] == "CALM", 60, "the pressure is gone")
        wait_for(lambda: self.fact()["fields"]["total_mib"] > 100, 20, "the guest says what it has")
        hog.kill()
        wait_for(lambda: self.memory() == 128 * MIB, 90, "the guest has as much as before")

    def test_daemon_killed_and_guest_reset(self):
        hog = self.grown_by()
        self.daemon.kill()
        hog.kill()
        self.daemon.start(wait=False)
        wait_for(lambda: self.memory() == 128 * MIB, 30, "put back at the next start")
        self.daemon.wait_ready()
        self.grown_by()
        self.guest.reset()
        self.guest.run("swapon /dev/vda")
        self.daemon.wait_ready()
        wait_for(lambda: self.daemon.ctl("status", "guest")["guests"][0].get("memory", {"state": "off"})["state"] == "off", 90,
                 "nothing of before the reset is left")
        wait_for(lambda: self.memory() == 128 * MIB, 60, "the guest is as small as it was")
