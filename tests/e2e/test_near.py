# SPDX-License-Identifier: GPL-2.0-or-later
"""vCPUs that have much to say to each other: from a hint to a wish that is on trial."""
import os
import unittest

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest

RULE = """[rule affinity-group]
enabled = no
[rule close]
on = affinity
when = cpus == 2
do = near mask pid
"""


class Near(unittest.TestCase):
    def test_wish(self):
        """This host may have one L3 only, where all are as near as can be: what shows is who is with whom, and why."""
        guest = self.enterContext(FakeGuest())
        daemon = vhtest.Daemon(guest)
        self.addCleanup(daemon.close)
        os.makedirs(daemon.path("policy.d"))
        with open(daemon.path("policy.d/50-near.conf"), "w") as file:
            file.write(RULE)
        daemon.start(wait=False)
        guest.start()

        def reasons():
            return {vcpu["guest_cpu"]: vcpu["reason"] for vcpu in daemon.ctl("status", "fake")["guests"][0]["vcpu"]}

        def near():
            return {cpu for cpu, reason in reasons().items() if "(rule close)" in reason}
        guest.hint(guest.record(pid=10, mask=[1, 3]))
        wait_for(lambda: near() == {1, 3}, 5, "guest CPUs 1 and 3 are to be near")
        guest.hint(guest.record(pid=10, flags=1))
        wait_for(lambda: not near(), 5, "nobody asks any longer")
