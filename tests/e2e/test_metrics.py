# SPDX-License-Identifier: GPL-2.0-or-later
"""What Prometheus is told, and that a client of it never holds up anything."""
import contextlib
import json
import os
import re
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest


class Metrics(unittest.TestCase):
    sanitized = True
    threads = True

    def setUp(self):
        self.guest = self.enterContext(FakeGuest())
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close)

    def serve(self):
        self.port = self.daemon.serve_metrics()
        self.daemon.start(wait=False)
        self.guest.start()

    def page(self, path="/metrics", timeout=10):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout * vhtest.setting.slowness) as page:
            self.assertTrue(page.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
            return page.read().decode()

    def values(self):
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                for line in self.page().splitlines() if not line.startswith("#")}

    def connect(self):
        sock = self.enterContext(socket.socket())
        sock.connect(("127.0.0.1", self.port))
        return sock

    def test_figures(self):
        self.serve()
        guest = self.guest
        guest.hint(guest.record(pid=1, mask=[1]), guest.record(pid=2, mask=[1]), guest.record(mask=[1], kind=9))
        guest.wait_pinned(1)
        values = wait_for(lambda: (got := self.values())['vhint_guest_vcpus_pinned{guest="fake"}'] and got, 10,
                          "the pin is in the figures")
        self.assertEqual(values["vhint_guests"], 1)
        self.assertEqual(values["vhint_guests_connected"], 1)
        for name, value in (("vcpus", 4), ("vcpus_pinned", 1), ("facts", 2), ("hints_total", 3), ("connected", 1),
                            ("hints_refused_total", 1), ("released", 0)):
            self.assertEqual(values[f'vhint_guest_{name}{{guest="fake"}}'], value, name)
        self.assertGreater(values["vhint_rounds_total"], 0)
        self.assertGreater(values["vhint_rounds_seconds_total"], 0)
        self.assertGreaterEqual(values["vhint_plans_total"], values["vhint_rounds_total"])
        self.assertGreater(values["vhint_plans_cpu_seconds_total"], 0)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.page("/")
        self.assertEqual(refused.exception.code, 404)
        refused.exception.close()

    def test_documented(self):
        """docs/metrics.md and the dashboard name what there is, and the former all of it."""
        self.serve()
        names = set(re.findall(r"^# TYPE (\S+)", self.page(), re.M))
        with open(os.path.join(vhtest.TOP, "docs/metrics.md")) as file:
            self.assertEqual(set(re.findall(r"^\| `(vhint_\w+)`", file.read(), re.M)), names)
        with open(os.path.join(vhtest.BUILD, "data/grafana-dashboard.json")) as file:
            panels = json.load(file)["panels"]
        used = set(re.findall(r"vhint_\w+", " ".join(target["expr"] for panel in panels for target in panel["targets"])))
        self.assertEqual(used - names, set())
        self.assertEqual(names - used, {"vhint_build_info"})

    def test_slow_clients(self):
        """Half a request, no request, a thousand requests whose answers nobody reads: hints are acted upon meanwhile, and
        others are served once there is room."""
        self.serve()
        self.connect().sendall(b"GET /met")
        self.connect()
        greedy = self.connect()
        greedy.settimeout(0.2)
        try:
            for _ in range(1000):
                greedy.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            self.fail("its answers went nowhere, and it could go on asking")
        except TimeoutError:
            pass
        self.assertEqual(self.values()["vhint_guests"], 1)
        others = [self.connect() for _ in range(30)]
        for _ in range(3):
            self.guest.hint(self.guest.record(pid=1, mask=[2]))
            self.guest.wait_pinned(2)
            self.guest.hint(self.guest.record(pid=1, flags=1))
            self.guest.wait_pinned()
        self.assertEqual(self.daemon.call("guests").returncode, 0)
        for sock in others:
            sock.close()
        greedy.close()
        wait_for(lambda: self.values()["vhint_guests"] == 1, 20, "figures are served again")
        self.daemon.stop()  # with a client that is stuck

    def test_off_unless_asked_for(self):
        self.daemon.start(wait=False)
        inodes = set()
        for fd in os.listdir(f"/proc/{self.daemon.process.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                target = os.readlink(f"/proc/{self.daemon.process.pid}/fd/{fd}")
                inodes.update(re.findall(r"socket:\[(\d+)\]", target))
        for kind in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"/proc/net/{kind}") as file:
                self.assertFalse(inodes & {line.split()[9] for line in list(file)[1:]}, f"vhintd has a {kind} socket")

    def test_not_for_others(self):
        with open(self.daemon.path("bad.conf"), "w") as file:
            file.write("[daemon]\nmetrics=0.0.0.0:9477\n")
        done = subprocess.run([vhtest.setting.vhintd(), "--config", self.daemon.path("bad.conf")],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("bad.conf:2: [daemon] metrics:", done.stderr)
        self.assertIn("127.0.0.1:9477", done.stderr)
