# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that are full, or do not answer."""
import fcntl
import json
import os
import re
import subprocess
import time
import unittest
import urllib.request

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest


@unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
class FullDisk(unittest.TestCase):
    """The journal's disk is full, and is not any more: guests are served all the time, and the loss is told."""

    def test_full_disk(self):
        guest = self.enterContext(FakeGuest())
        disk = vhtest.temporary_directory()
        self.addCleanup(vhtest.process.remove_directory, disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        daemon = vhtest.Daemon(guest)
        self.addCleanup(daemon.close)  # before the disk goes
        os.makedirs(daemon.path("run"))
        os.symlink(f"{disk}/journal", daemon.path("run/journal"))
        port = daemon.serve_metrics()
        daemon.start(wait=False)
        guest.start()
        with open(f"{disk}/fill", "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(bytes(1024))
        # As many steps as there is not room for in what its last page has left.
        for _ in range(40):
            guest.hint(guest.record(pid=1, mask=[1]))
            guest.wait_pinned(1)
            guest.hint(guest.record(pid=1, flags=1))
            guest.wait_pinned()

        def lost():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
                return not re.search(rb"^vhint_journal_dropped_total 0$", page.read(), re.M)
        wait_for(lost, 10, "a line is lost")  # the journal is written by a thread of its own, which may be late
        os.unlink(f"{disk}/fill")

        def steps():
            with open(f"{disk}/journal") as file:
                return [json.loads(line) for line in file.read().rpartition("\n")[0].splitlines()]
        told = wait_for(lambda: [step for step in steps() if step.get("dropped")], 10, "the loss is told")
        self.assertIn("No space left on device", told[0]["why"])
        guest.hint(guest.record(pid=1, mask=[1]))
        wait_for(lambda: steps()[-1]["what"] in ("pin vCPU 1", "boost vCPU 1"), 10, "the journal goes on")
        times = [step["monotonic"] for step in steps()]
        self.assertEqual(times, sorted(times))


class HungDisk(unittest.TestCase):
    """The journal's disk does not answer any more: its place takes a pipe that nobody reads."""

    def setUp(self):
        self.guest = self.enterContext(FakeGuest())
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)

    def hang_up(self, pipe):
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        self.daemon.start(wait=False)
        self.guest.start()
        for _ in range(50):
            self.guest.hint(self.guest.record(mask=[1]))
            self.guest.wait_pinned(1)
            self.guest.hint(self.guest.record(flags=1))
            self.guest.wait_pinned()
        self.guest.hint(self.guest.record(mask=[2]))
        self.guest.wait_pinned(2)

    def test_stop(self):
        pipe = self.daemon.path("run/journal")
        os.makedirs(os.path.dirname(pipe))
        os.mkfifo(pipe)
        try:
            self.hang_up(pipe)
            begin = time.monotonic()
            self.daemon.stop()
        finally:
            os.unlink(pipe)  # who reads the journal of a failure must not hang
        self.assertLess(time.monotonic() - begin, 6 * vhtest.setting.slowness)
        self.assertEqual(self.guest.pinned(), {})
        with open(self.daemon.log) as file:
            self.assertRegex(file.read(), r"journal .*: the disk does not answer: [0-9]+ lines are not written")
