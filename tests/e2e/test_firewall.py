# SPDX-License-Identifier: GPL-2.0-or-later
"""The firewall program: the guest's rules come as facts, and anew when what decides about packets changes."""
import unittest

import vhtest
from vhtest import wait_for


class Firewall(unittest.TestCase):
    every_kernel = "all"

    @classmethod
    def setUpClass(cls):
        if vhtest.setting.kernel == "bullseye":
            raise unittest.SkipTest("the program does not learn of changes on Linux 5.10 (docs/offload.md)")
        cls.guest = cls.enterClassContext(vhtest.Guest())
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest, programs="firewall"))

    def parts(self):
        return {hint["fields"]["part"]: hint["fields"] for hint in self.daemon.ctl("hints", "guest")
                if hint["program"] == "firewall" and "part" in hint["fields"]}

    def serial(self):
        return self.parts().get(0, {}).get("serial")

    def test_told_anew(self):
        first = wait_for(self.serial, 20, "the guest tells its rules")
        for command, what in (("ip address add 127.0.0.9/8 dev lo", "an address comes"),
                              ("ip address del 127.0.0.9/8 dev lo", "an address goes")):
            self.guest.run(command)
            wait_for(lambda: self.serial() not in (None, first), 20, what)
            first = self.serial()
        parts = self.parts()
        self.assertEqual(set(parts), set(range(len(parts))))
        self.assertEqual({part["serial"] for part in parts.values()}, {first})

    def test_packet_socket(self):
        """It sees packets that the host would drop."""
        wait_for(self.serial, 20, "the guest tells its rules")
        self.assertFalse(self.parts()[0]["flags"] & 4)
        task = self.guest.start_command("exec udhcpc -i lo -f -n -t 100 -T 100")
        self.addCleanup(task.kill)
        wait_for(lambda: self.parts()[0]["flags"] & 4, 20, "a packet socket is seen")
