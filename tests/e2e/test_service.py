# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintd as a service: what it tells a service manager, sockets it is given, what it may do and what not."""
import json
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

import vhtest
from vhtest.fake_guest import FakeGuest

NOBODY = 65534


def unit_setting(key):
    with open(vhtest.setting.unit()) as file:
        return [line.partition("=")[2].strip() for line in file if line.startswith(key + "=")]


class Case(unittest.TestCase):
    def setUp(self):
        self.daemon = vhtest.Daemon()
        self.addCleanup(self.daemon.close)

    def serve(self, *guests):
        self.daemon.guests = {guest.name: guest for guest in guests}
        self.daemon.start(wait=False)

    def status(self, key):
        with open(f"/proc/{self.daemon.process.pid}/status") as file:
            return re.search(rf"^{key}:\s*(\S+)", file.read(), re.M).group(1)


class Notify(Case):
    """NOTIFY_SOCKET, without systemd."""

    def setUp(self):
        super().setUp()
        path = self.daemon.path("notify")
        self.manager = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.manager.bind(path)
        self.manager.settimeout(10 * vhtest.setting.slowness)
        self.daemon.environment["NOTIFY_SOCKET"] = path

    def hear(self, key):
        """The value of the next message that has the key, and the whole message."""
        while True:
            message = dict(line.partition("=")[::2] for line in self.manager.recv(4096).decode().splitlines())
            if key in message:
                return message[key], message

    def test_life(self):
        guest = self.enterContext(FakeGuest())
        self.serve(guest)
        self.assertEqual(self.hear("READY")[0], "1")
        self.assertTrue(os.path.exists(self.daemon.control), "ready before anybody can call")
        guest.start()
        while self.hear("STATUS")[0] != "1 guests, 1 of them with an injector":
            pass
        before = time.monotonic_ns() // 1000
        self.daemon.process.popen.send_signal(1)
        _, message = self.hear("RELOADING")
        self.assertGreaterEqual(int(message["MONOTONIC_USEC"]), before)
        self.assertEqual(self.hear("READY")[0], "1")
        with open(self.daemon.config, "a") as file:
            file.write("[rule nonsense]\ndo=nothing\n")
        self.daemon.process.popen.send_signal(1)
        self.hear("RELOADING")
        self.assertIn("mistakes", self.hear("READY")[1]["STATUS"])
        self.daemon.stop()
        self.assertEqual(self.hear("STOPPING")[0], "1")

    def test_a_manager_that_does_not_listen(self):
        """Nobody reads: neither the start nor a round waits for that."""
        guest = self.enterContext(FakeGuest())
        self.manager.close()
        self.serve(guest)
        guest.start()
        guest.hint(guest.record(mask=[1]))
        guest.wait_pinned(1)


class Sockets(Case):
    """LISTEN_FDS, by systemd-socket-activate, which runs vhintd upon the first connection."""

    def activate(self, *paths):
        self.daemon.prefix = ["systemd-socket-activate"]
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            self.daemon.prefix += ["-E", name]
        for path in paths:
            self.daemon.prefix += ["-l", path]
        self.daemon.answers = lambda: self.daemon.call("guests").returncode == 0  # it is asking that starts it

    def test_control(self):
        self.activate(self.daemon.control)
        self.serve()
        self.assertEqual(self.daemon.ctl("guests"), [])
        inode = os.stat(self.daemon.control).st_ino
        self.daemon.stop()
        self.assertEqual(os.stat(self.daemon.control).st_ino, inode, "removed what is the manager's")

    def test_hook(self):
        """A hook that was called before vhintd ran is what starts it, and is heard."""
        hook = self.daemon.path("run/hook")
        self.activate(hook)
        self.daemon.sections = "\n[libvirt]\n"
        self.daemon.write_config()
        self.daemon.process = vhtest.Process(self.daemon.prefix + [vhtest.setting.vhintd(), "--config", self.daemon.config],
                                             self.daemon.log, self.daemon.environment)
        vhtest.wait_for(lambda: os.path.exists(hook), 10, "the socket is there")
        self.assertFalse(os.path.exists(self.daemon.control))

        calls = []

        def started():
            """The hook gives up soon on a busy machine, so it is called again, as at a guest's next step."""
            if calls:
                vhtest.witness.second_try("a call of the hook had no time to start vhintd")
            calls.append(True)
            done = subprocess.run([vhtest.setting.hook(), "web", "prepare", "begin",
                                   "-"], input=b"<domain/>", env={"VHINT_HOOK_SOCKET": hook}, timeout=10 * vhtest.setting.slowness)
            self.assertEqual(done.returncode, 0)
            with open(f"/proc/{self.daemon.process.pid}/comm") as file:
                return file.read() == "vhintd\n"
        vhtest.wait_for(started, 15, "a call of the hook starts vhintd")
        vhtest.wait_for(self.daemon.answers, 15, "vhintd answers")
        with open("/proc/net/unix") as file:
            listening = [line for line in file if line.endswith(f" {hook}\n") and line.split()[3] == "00010000"]
        self.assertEqual(len(listening), 1, "vhintd listens beside the socket it was given")

    def test_hook_without_libvirt(self):
        """Nobody asked for it: what is said there is taken all the same, and comes to nothing. Else it would wait for vhintd
        to stop, and start it again."""
        hook = self.daemon.path("run/hook")
        self.activate(hook)
        self.daemon.write_config()
        self.daemon.process = vhtest.Process(self.daemon.prefix + [vhtest.setting.vhintd(), "--config", self.daemon.config],
                                             self.daemon.log, self.daemon.environment)
        vhtest.wait_for(lambda: os.path.exists(hook), 10, "the socket is there")
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(15 * vhtest.setting.slowness)
            caller.connect(hook)
            self.assertEqual(caller.recv(1), b"", "not taken, and so not dropped as unfinished")
        self.assertEqual(self.daemon.ctl("guests"), [])


class Confined(Case):
    """With what the unit leaves it, and no more."""

    def limit(self, capabilities):
        names = "".join(f",+{name.lower().removeprefix('cap_')}" for name in capabilities)
        self.daemon.prefix = ["setpriv", "--no-new-privs", "--inh-caps", "-all", "--bounding-set", f"-all{names}"]

    def test_these_capabilities_suffice(self):
        capabilities = unit_setting("CapabilityBoundingSet")[0].split()
        self.assertLessEqual(len(capabilities), 3)
        guest = self.enterContext(FakeGuest(user=NOBODY))
        self.limit(capabilities)
        self.serve(guest)
        self.assertEqual(bin(int(self.status("CapEff"), 16)).count("1"), len(capabilities))
        guest.start()
        guest.hint(guest.record(mask=[1]))
        guest.wait_pinned(1)
        guest.hint(guest.record(flags=1))
        guest.wait_pinned()

    def test_sys_nice_is_needed(self):
        guest = self.enterContext(FakeGuest(user=NOBODY))
        self.limit(["CAP_DAC_OVERRIDE", "CAP_CHOWN"])
        self.serve(guest)
        guest.start()
        guest.hint(guest.record(mask=[1]))
        vhtest.wait_for(lambda: "not permitted" in json.dumps(self.daemon.ctl("status", "fake")), 10,
                        "it is said that the pin is not permitted")
        self.assertEqual(guest.pinned(), {})

    def test_dac_override_is_needed(self):
        guest = self.enterContext(FakeGuest(user=NOBODY))
        self.limit(["CAP_SYS_NICE", "CAP_CHOWN"])
        self.serve(guest)
        vhtest.wait_for(lambda: "ermission denied" in self.daemon.guest("fake")["problem"], 10,
                        "it is said that the sockets cannot be reached")

    def test_filter(self):
        if vhtest.setting.sanitized():
            self.skipTest("sanitizers need system calls that the filter forbids")
        self.serve()
        for task in os.listdir(f"/proc/{self.daemon.process.pid}/task"):
            with open(f"/proc/{self.daemon.process.pid}/task/{task}/status") as file:
                text = file.read()
            self.assertRegex(text, r"\nSeccomp:\s*2\n")
            self.assertRegex(text, r"\nNoNewPrivs:\s*1\n")

    def test_score(self):
        """systemd's own opinion of the unit; 10 is no hardening at all."""
        out = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", vhtest.setting.unit()],
                             capture_output=True, text=True)
        score = re.search(r"exposure level for vhintd.service: ([\d.]+)", out.stdout)
        self.assertTrue(score, out.stdout + out.stderr)
        print(f"exposure level of vhintd.service: {score.group(1)}", flush=True)
        self.assertLessEqual(float(score.group(1)), 3.0)


class Journald(Case):
    """The journal's steps as fields, in a mount namespace where the test is systemd's journal."""

    def test_fields(self):
        directory = self.daemon.path("journald")
        os.mkdir(directory)
        journald = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        journald.bind(os.path.join(directory, "socket"))
        journald.settimeout(10 * vhtest.setting.slowness)
        if not shutil.which("unshare"):
            self.skipTest("no unshare(1) here")
        self.daemon.prefix = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/journal "
                              f"&& mount --bind {directory} /run/systemd/journal && exec \"$@\"", "sh"]
        os.makedirs("/run/systemd", exist_ok=True)
        self.daemon.environment["JOURNAL_STREAM"] = "1:1"
        guest = self.enterContext(FakeGuest())
        self.serve(guest)
        guest.start()
        guest.hint(guest.record(mask=[1]))
        while True:
            fields = dict(line.partition("=")[::2] for line in journald.recv(65536).decode().splitlines())
            if fields.get("VHINT_WHAT", "").startswith("pin vCPU"):
                break
        self.assertEqual(fields["VHINT_GUEST"], "fake")
        self.assertIn("affinity-pin", fields["VHINT_WHY"])
        self.assertEqual(vhtest.parse_cpus(fields["VHINT_BEFORE"]), guest.floating)
        self.assertEqual({int(fields["VHINT_AFTER"])}, set(guest.pinned().values()))
        self.assertIn("fake: pin vCPU", fields["MESSAGE"])
        with open(self.daemon.path("run/journal")) as file:
            self.assertIn("affinity-pin", file.read())
