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
                self.assertNotIn("profile", xml)
                self.assertEqual(self.ctl("disable", guest.name)["channel_live"], "not there")

    def test_while_it_runs(self):
        with LibvirtDaemon(self.libvirt) as daemon, Domain(self.libvirt, channel=False) as guest:
            daemon.wait_known("guest")
            self.assertIn("vhintctl enable", daemon.guest()["problem"])
            self.assertEqual(self.ctl("enable", guest.name)["channel_live"], "added")
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)

    def test_refusals_name_the_thing(self):
        for args, code, text in ((["enable", "nobody"], 4, "nobody"),
                                 (["enable", "x", "--profile", "a b"], 2, "a b"),
                                 (["enable", "x", "--connect", "qemu:///nowhere"], 3, "qemu:///nowhere")):
            result = self.libvirt.vhintctl_call(*args)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(text, result.stderr)
