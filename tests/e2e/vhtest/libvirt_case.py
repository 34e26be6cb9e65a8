# SPDX-License-Identifier: GPL-2.0-or-later
"""What the test classes with a real libvirtd share."""
import contextlib
import os
import struct
import threading
import unittest

from .guest import Guest
from .libvirt import Domain, Libvirt, missing
from .process import format_cpus, parse_cpus, wait_for
from .proxy import Proxy


def pin(guest, cpu=0):
    """A task bound to one guest CPU; ends with kill()."""
    return guest.start_command(f"exec taskset -c {cpu} sleep 100000")


PIN_EMULATOR = 279  # REMOTE_PROC_DOMAIN_PIN_EMULATOR


class HeldCall(Proxy):
    """Passes on what a client and libvirtd say, but for the client's first call of `procedure`, a number of libvirt's
    remote_protocol.x: that one waits from `held` on until let_go(). Source: libvirt's kbase "RPC protocol"."""

    def __init__(self, path, target, procedure):
        super().__init__(path, target)
        self.procedure = procedure
        self.uri = f"qemu:///system?socket={path}"
        self.holding = True  # the next call
        self.call = None  # the one that waits: where it goes, and what it is
        self.held = threading.Event()
        self.sending = threading.Lock()

    def let_go(self, again=False):
        """`again`: the next call waits, too."""
        with self.sending:
            self.held.clear()
            self.holding = again
            super()._send(*self.call)

    def _pieces(self, source):
        stream = source.makefile("rb")
        while head := stream.read(4):
            yield head + stream.read(struct.unpack(">I", head)[0] - 4)

    def _send(self, sink, piece):
        _, _, procedure, kind = struct.unpack_from(">IIII", piece, 4)
        with self.sending:
            if (procedure, kind) == (self.procedure, 0) and self.holding:
                self.call = sink, piece
                self.holding = False
                self.held.set()
            else:
                super()._send(sink, piece)


class Case(unittest.TestCase):
    """`machines`: those that need not boot in each test, as arguments of Domain. `common`: those of the one
    that running() gives."""
    hook = True
    controllers = ()
    machines = ()
    common = {}
    domain = None

    @classmethod
    def setUpClass(cls):
        if missing():
            raise unittest.SkipTest(missing())
        cls.libvirt = cls.enterClassContext(Libvirt(hook=cls.hook, controllers=cls.controllers))
        for machine in cls.machines:
            Domain(cls.libvirt, name="model", **machine).prepare()

    @contextlib.contextmanager
    def running(self):
        """The class's domain, which runs already and is used by one test after the other: to start one costs more than most
        of them do. Who leaves it other than it was found fails, and the next test has another."""
        cls = type(self)
        if not cls.domain:
            cls.domain = Domain(self.libvirt, **self.common).__enter__()
            cls.addClassCleanup(Guest.stop, cls.domain)  # QEMU ends with its libvirtd
        domain = cls.domain
        try:
            yield domain
            domain.run("killall -9 sleep", check=False)
            for cpu in range(domain.cpus):
                self.assert_floats(domain, cpu)
            wait_for(lambda: all(pins == self.all for pins in self.libvirt_pins(domain).values()), 5, "no pin is left in libvirt")
        except BaseException:
            cls.domain = None
            self.addCleanup(domain.stop)  # once its logs have been printed
            raise

    def held_call(self, procedure):
        """What a vhintd with its `uri` calls."""
        proxy = HeldCall(self.libvirt.path("proxy"), self.libvirt.path("run/libvirt/libvirt-sock"), procedure)
        self.addCleanup(proxy.close)
        proxy.start()
        return proxy

    def libvirt_pins(self, guest):
        """{vCPU: set of host CPUs}"""
        lines = self.libvirt.virsh("vcpupin", guest.uuid).splitlines()
        return {int(line.split()[0]): parse_cpus(line.split()[1]) for line in lines}

    def emulator_pin(self, guest):
        return parse_cpus(self.libvirt.virsh("emulatorpin", guest.uuid).split()[-1])

    def setUp(self):
        self.addCleanup(lambda: self.libvirt.clear(keep=[self.domain.uuid] if self.domain else []))
        self.pool = format_cpus(os.sched_getaffinity(0))
        self.all = os.sched_getaffinity(0)

    def assert_pinned(self, guest, cpu=0, timeout=5):
        wait_for(lambda: len(guest.host_cpus(cpu)) == 1, timeout, f"{guest.name}: guest CPU {cpu} is pinned")

    def assert_floats(self, guest, cpu=0, timeout=5):
        wait_for(lambda: guest.host_cpus(cpu) == self.all, timeout, f"{guest.name}: guest CPU {cpu} floats")
