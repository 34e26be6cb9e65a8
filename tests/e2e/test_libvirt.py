# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintd with a real libvirtd, real domains and the real hook."""
import os
import unittest

import vhtest
from vhtest.libvirt import Domain, Libvirt, LibvirtDaemon, missing

wait_for = vhtest.wait_for


def pin(guest, cpu=0):
    """A task bound to one guest CPU; ends with kill()."""
    return guest.start_command(f"exec taskset -c {cpu} sleep 100000")


class LibvirtCase(unittest.TestCase):
    hook = True
    domains = None

    def setUp(self):
        if missing():
            self.skipTest(missing())
        self.libvirt = self.enterContext(Libvirt(hook=self.hook))
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
