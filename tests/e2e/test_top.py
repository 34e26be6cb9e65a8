# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintctl top, at a terminal."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unittest

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest


class Terminal:
    """A program in a terminal of its own, as wide and high as one says."""

    def __init__(self, argv, lines=24, columns=100):
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(vhtest.daemon.ENVIRONMENT, TERM="xterm", LC_ALL="C.UTF-8")
            time_to_size = os.read(0, 1)  # the size is set before it begins
            os.execv(argv[0], argv if time_to_size else [])
        self.resize(lines, columns)
        os.write(self.fd, b"\n")
        self.status = None

    def resize(self, lines, columns):
        """The kernel tells the program, by SIGWINCH."""
        self.output = b""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, key):
        self.output = b""
        os.write(self.fd, key.encode())

    def read(self):
        while select.select([self.fd], [], [], 0.02)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # it has ended
                return self.output.decode(errors="replace")
            if not data:
                break
            self.output += data
        return self.output.decode(errors="replace")

    def wait(self, text, timeout=15):
        wait_for(lambda: text in self.read(), timeout, f"{text!r} is on the terminal")

    def end(self):
        """Its exit status; kills it if it runs."""
        if self.status is None:
            wait_for(self.ended, 15, "it ends")
        return self.status

    def ended(self):
        self.read()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.status = os.waitstatus_to_exitcode(status)
        return pid

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


class Top(unittest.TestCase):
    """vhintctl top, at a terminal."""

    def setUp(self):
        self.guest = self.enterContext(FakeGuest(busy=True))
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)
        self.daemon.start(wait=False)
        self.guest.start()

    def top(self, **size):
        terminal = Terminal([vhtest.daemon.VHINTCTL, "--socket", self.daemon.control, "top", "--interval", "0.2"], **size)
        self.addCleanup(terminal.close)
        return terminal

    def test_batch(self):
        self.guest.hint(self.guest.record(pid=1, mask=[1]))
        self.guest.wait_pinned(1)
        rows = self.daemon.ctl("top")
        self.assertEqual([row["vcpu"] for row in rows], [0, 1, 2, 3])
        self.assertEqual([row["thread"] for row in rows], self.guest.tids)
        self.assertEqual(rows[1]["held_to"], str(self.guest.pinned()[1]))
        self.assertIn(rows[1]["cpu"], self.guest.floating)
        self.assertTrue(all(row["run"] is not None and 0 <= row["run"] for row in rows), rows)
        self.assertGreater(sum(row["run"] for row in rows), 0)  # they are busy
        self.assertEqual(rows[0]["hints_per_second"], 0)
        text = self.daemon.call("top", "--batch").stdout
        self.assertRegex(text, r"^GUEST +VCPU +ON +HELD TO +RUN% +WAIT% +HINTS/S +REASON\n")
        self.assertRegex(text, r"\nfake +0 +[0-9]+ +floats +[0-9.]+ ")
        self.assertEqual(self.daemon.call("top").returncode, 2)  # not at a terminal

    def test_terminal(self):
        top = self.top()
        top.wait("vhint: 1 guests, 1 connected, 4 vCPUs; by guest")
        top.wait("floats")
        self.guest.hint(self.guest.record(pid=1, mask=[1]))
        top.wait("1 hint pins guest CPU 1")
        for key, order in (("w", "by wait"), ("r", "by run"), ("h", "by hints"), ("s", "by guest"), ("s", "by wait")):
            top.press(key)
            top.wait(order.partition(" ")[2])
        # smaller, down to where there is nothing to see, and larger again
        for lines, columns in ((6, 30), (2, 10), (1, 1), (40, 200)):
            top.resize(lines, columns)
            wait_for(lambda: re.search(r"\x1b\[[0-9;]*[HJ]", top.read()), 15, "it draws anew")
            moves = [int(line) for line in re.findall(r"\x1b\[([0-9]+);[0-9]+H", top.read())]
            self.assertTrue(all(line <= lines for line in moves), (lines, moves))
        top.wait("vhint: 1 guests, 1 connected, 4 vCPUs; by wait")
        # the daemon dies, and comes back
        self.daemon.kill()
        top.wait("cannot reach vhintd at")
        top.press("r")  # it still listens
        self.daemon.start(wait=False)
        top.wait("q ends")  # in the place of the complaint
        top.press("q")
        self.assertEqual(top.end(), 0)
        self.assertIn("\x1b[?1049l", top.read())  # the terminal is as it was

    def test_daemon_hangs(self):
        """Keys and sizes do not wait for it."""
        top = self.top()
        top.wait("by guest")
        self.daemon.process.popen.send_signal(signal.SIGSTOP)
        self.addCleanup(self.daemon.process.popen.send_signal, signal.SIGCONT)
        top.wait("vhintd does not answer for 1 s")
        top.press("w")
        top.wait("wait", timeout=2)
        top.resize(30, 90)
        top.wait("1 connected, 4 vCPUs; by wait", timeout=2)
        top.wait("does not answer for")
        self.daemon.process.popen.send_signal(signal.SIGCONT)
        top.wait("q ends")
        self.daemon.process.popen.send_signal(signal.SIGSTOP)
        top.wait("does not answer for")
        top.press("q")
        begin = time.monotonic()
        self.assertEqual(top.end(), 0)
        self.assertLess(time.monotonic() - begin, 2 * vhtest.setting.slowness)
