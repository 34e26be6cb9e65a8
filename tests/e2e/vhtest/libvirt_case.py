# SPDX-License-Identifier: GPL-2.0-or-later
"""What the test classes with a real libvirtd share."""
import os
import unittest

from .libvirt import Domain, Libvirt, missing
from .process import format_cpus, wait_for


def pin(guest, cpu=0):
    """A task bound to one guest CPU; ends with kill()."""
    return guest.start_command(f"exec taskset -c {cpu} sleep 100000")


class Case(unittest.TestCase):
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
        self.pool = format_cpus(os.sched_getaffinity(0))
        self.all = os.sched_getaffinity(0)

    def assert_pinned(self, guest, cpu=0, timeout=5):
        wait_for(lambda: len(guest.host_cpus(cpu)) == 1, timeout, f"{guest.name}: guest CPU {cpu} is pinned")

    def assert_floats(self, guest, cpu=0, timeout=5):
        wait_for(lambda: guest.host_cpus(cpu) == self.all, timeout, f"{guest.name}: guest CPU {cpu} floats")
