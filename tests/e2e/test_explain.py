# SPDX-License-Identifier: GPL-2.0-or-later
"""vhint explains itself: maps, plans without acting, recordings and their replay; with a guest that is none."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest
import xml.etree.ElementTree

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest
from vhtest.process import Process


class Explain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(FakeGuest())
        cls.daemon = vhtest.Daemon(cls.guest)
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start(wait=False)
        cls.guest.start()
        cls.seen = 0

    def setUp(self):
        self.directory = vhtest.temporary_directory()
        self.addCleanup(vhtest.process.remove_directory, self.directory)

    def tearDown(self):
        for pid in range(1, 9):
            self.ask(pid=pid, gone=True)
        wait_for(lambda: not self.guest.pinned(), 5, "nothing is pinned")

    def path(self, name):
        return os.path.join(self.directory, name)

    def ask(self, *cpus, pid=1, gone=False):
        self.guest.hint(self.guest.record(pid=pid, mask=cpus, flags=int(gone)))

    def call(self, *args, code=0, json_output=False):
        result = self.daemon.call(*args, json_output=json_output)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def json(self, *args, code=0):
        return json.loads(self.call(*args, code=code, json_output=True).stdout)

    def policy(self, text):
        """A policy directory; its programs are this build's."""
        os.makedirs(self.path("policy/policy.d"), exist_ok=True)
        with open(self.path("policy/vhint.conf"), "w") as file:
            file.write(f"[daemon]\nprogram-dir={os.path.join(vhtest.BUILD, 'guest-bpf')}\n{text}")
        return self.path("policy")

    def record(self, act):
        """Records what happens while `act` runs."""
        path = self.path("hints.rec")
        log = self.path("record.log")
        process = Process([vhtest.daemon.VHINTCTL, "--socket", self.daemon.control, "record", path], log,
                          vhtest.daemon.ENVIRONMENT)
        self.addCleanup(process.end, sig=9)
        wait_for(lambda: "recording 1 guest" in open(log).read(), 10, "the recording begins")
        act(path)
        process.popen.send_signal(signal.SIGINT)
        self.assertEqual(process.popen.wait(30), 0, open(log).read())
        return path

    def test_map(self):
        self.ask(1)
        self.guest.wait_pinned(1)
        cpu = self.guest.pinned()[1]
        text = self.call("map").stdout
        self.assertIn(f"{cpu} fake/1", text)
        self.assertIn("fake: 4 vCPUs: 1 on a CPU of its own, 3 float", text)
        self.call("map", "--svg", self.path("map.svg"))
        texts = {"".join(node.itertext()) for node in xml.etree.ElementTree.parse(self.path("map.svg")).iter(
            "{http://www.w3.org/2000/svg}text")}
        self.assertIn("fake/1", texts)

    def why(self):
        """The pins, by vCPU. (The default rules boost, too.)"""
        return {action["vcpu"]: action for action in self.json("why", "fake") if action["action"] == "pin"}

    def test_why(self):
        """The hint, the rule, the limits, what it replaced, since when; also for what is wished and cannot be."""
        self.assertIn("nothing is done for it", self.call("why", "fake").stdout)
        for pid in range(1, 7):
            self.ask(1, pid=pid)
        self.guest.wait_pinned(1)
        action, = self.why().values()
        self.assertEqual((action["vcpu"], action["action"], action["state"], action["in_force"]),
                         (1, "pin", "applied", True))
        self.assertEqual(action["host_cpus"], str(self.guest.pinned()[1]))
        self.assertEqual(action["former"], vhtest.format_cpus(self.guest.floating))
        self.assertEqual(action["rule"], "affinity-pin")
        self.assertRegex(action["rule_from"], "00-affinity.conf:[0-9]+$")
        self.assertIn("when cpus == 1", action["rule_text"])
        self.assertEqual(action["hint_count"], 6)
        self.assertEqual({json.loads(hint)["fields"]["pid"] for hint in action["hints"]}, set(range(1, 7)))
        self.assertIn("6 hints pin guest CPU 1", action["why"])
        self.assertRegex(action["limits"], r"pool [-0-9,]+ \(.*vhint.conf:[0-9]+\)")
        self.assertIn("max-pins 512 (default)", action["limits"])
        older = wait_for(lambda: self.why()[1]["age"], 5, "it gets older")
        wait_for(lambda: self.why()[1]["age"] > older + 0.01, 5, "it gets older")
        text = self.call("why", "fake").stdout
        self.assertRegex(text, r"^vCPU 1: pin to CPUs [0-9]+: applied, for [0-9.]+ s \(since 2")
        self.assertIn("\n  hint     fake affinity/affinity pid=1 ", text)
        # A wish beyond what there is room for.
        room = len(self.guest.floating)
        if room < self.guest.cpus:
            for cpu in range(room + 1):
                self.ask(cpu, pid=cpu + 1)
            refused = wait_for(lambda: [a for a in self.why().values() if not a["in_force"]], 5, "one is not pinned")
            self.assertEqual(len(refused), 1)
            self.assertEqual((refused[0]["state"], refused[0]["age"], refused[0]["hint_count"]), ("wanted", -1, 1))
            self.assertIn("enlarge it or allow overcommit", refused[0]["why"])

    def test_plan_of_what_is(self):
        """Another policy, beside the one in force: what would it do? Nothing is done."""
        self.ask(1)
        self.guest.wait_pinned(1)
        before = self.guest.pinned()
        directory = self.policy("[guest *]\nprograms=affinity\nactions=none\n")
        plan = self.json("plan", "--policy", directory)
        self.assertEqual(plan["from"], "the daemon")
        self.assertEqual([(line["thread"], line["now"], line["planned"]) for line in plan["threads"]
                          if line["changes"]], [("vCPU 1", str(before[1]), "")])
        directory = self.policy("[guest *]\nprograms=affinity\n")
        plan = self.json("plan", "--policy", directory)
        self.assertEqual(plan["changes"], 0)
        self.assertIn("0 of 4 threads would change (guests from the daemon); nothing was done",
                      self.call("plan", "--policy", directory).stdout)
        self.assertEqual(self.guest.pinned(), before)

    def test_record_and_replay(self):
        """What was recorded of one host is planned for another, and the end is what it was."""
        self.ask(0, pid=1)
        self.guest.wait_pinned(0)

        def act(path):
            self.ask(2, pid=2)
            self.guest.wait_pinned(0, 2)
            self.ask(pid=1, gone=True)
            self.guest.wait_pinned(2)
            self.ask(1, 3, pid=3)
            wait_for(lambda: sum('"pid":3,' in line for line in open(path)), 10, "the last hint is recorded")
        path = self.record(act)
        with open(path) as file:
            self.assertEqual(json.loads(file.readline())["vhint-recording"], 1)
        directory = self.policy("[guest *]\nprograms=affinity\n")
        arguments = ["plan", "--policy", directory, "--replay", path, "--topology", "package:2 l3:2 core:4 pu:2"]
        plan = self.json(*arguments, "--steps")
        planned = {line["thread"]: line["planned"] for line in plan["threads"]}
        self.assertEqual(len(planned["vCPU 2"].split(",")), 1)
        self.assertEqual(planned["vCPU 0"], "")
        self.assertEqual(planned["vCPU 1"], planned["vCPU 3"])  # a group: one L3
        self.assertRegex(planned["vCPU 1"], "^[0-9]+-[0-9]+$")
        events = [(step["event"], [line["thread"] for line in step["threads"]]) for step in plan["steps"]]
        self.assertIn(["vCPU 2"], [threads for _, threads in events])
        self.assertIn(["vCPU 0"], [threads for event, threads in events if " gone " in event])
        text = self.call(*arguments, "--steps").stdout
        self.assertIn("fake vCPU 2: floats -> ", text)
        self.assertRegex(text, r"\n4 of 4 threads would change \(guests from .*hints.rec\); nothing was done\n$")
        # and drawn, without a daemon
        self.call("--socket", "/nowhere", "map", *arguments[1:], "--svg", self.path("map.svg"))
        self.assertIn("fake/2", open(self.path("map.svg")).read())

    def test_replay_of_nonsense(self):
        directory = self.policy("[guest *]\nprograms=affinity\n")
        path = self.path("bad.rec")
        for lines, message in ((["hello"], "bad.rec:1: is no JSON"),
                               (['{"vhint-recording":1}', '{"t":1,"hint":{"guest":"a","program":"affinity",'
                                 '"kind":"affinity","key":4,"fields":{}}}'], 'bad.rec:2: guest "a" has not been told')):
            with open(path, "w") as file:
                file.write("\n".join(lines) + "\n")
            self.assertIn(message, self.call("plan", "--policy", directory, "--replay", path, code=2).stderr)
        self.call("plan", "--policy", directory, "--replay", self.path("none"), code=2)
        self.call("plan", "--policy", self.path("none"), code=2)
        self.assertIn("vhint.conf:4", self.call("plan", "--policy", self.policy("[guest *]\npool=nonsense\n"),
                                                code=1).stderr)

    def test_plan_alone(self):
        """No daemon: the configuration's guests, with as many vCPUs as one says."""
        directory = self.policy("[guest web]\nqmp=/x\nchannel=/y\nfloating=pool\npool=2-5\n"
                                "[guest db]\nqmp=/x2\nchannel=/y2\n")
        plan = self.json("plan", "--policy", directory, "--topology", "core:8 pu:1", "--vcpus", "2")
        self.assertEqual([(line["guest"], line["thread"], line["planned"]) for line in plan["threads"]],
                         [("web", "vCPU 0", "2-5"), ("web", "vCPU 1", "2-5"), ("db", "vCPU 0", ""),
                          ("db", "vCPU 1", "")])

    def test_plan_unmet(self):
        """The documentation's recording, on a host with one CPU: the second pin finds none."""
        docs = os.path.join(vhtest.TOP, "docs/recording.md")
        with open(docs) as file, open(self.path("docs.rec"), "w") as out:
            out.write(file.read().partition("```json\n")[2].partition("```")[0])
        directory = self.policy("[guest *]\nprograms=affinity\n")
        arguments = ["plan", "--policy", directory, "--replay", self.path("docs.rec"), "--topology"]
        self.assertEqual(self.json(*arguments, "core:2 pu:1")["problems"], [])
        plan = self.json(*arguments, "core:1 pu:1", code=5)
        self.assertEqual([line["planned"] for line in plan["threads"]], ["0", ""])
        self.assertIn("enlarge the pool or allow overcommit", plan["problems"][0])
        self.assertIn("3 hints were lost here", plan["notes"][0])

    def test_record_refuses(self):
        """Never over another file; and a full disk is told."""
        with open(self.path("there"), "w") as file:
            file.write("mine")
        self.assertIn("name another file", self.call("record", self.path("there"), code=2).stderr)
        with open(self.path("there")) as file:
            self.assertEqual(file.read(), "mine")
        limit = ["prlimit", "--fsize=40"]
        result = subprocess.run(limit + [vhtest.daemon.VHINTCTL, "--socket", self.daemon.control, "record",
                                         self.path("full")], capture_output=True, text=True, timeout=60,
                                env=vhtest.daemon.ENVIRONMENT)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("cannot write", result.stderr)


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
        self.assertLess(time.monotonic() - begin, 2 * vhtest.SLOWNESS)


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
        self.assertLess(time.monotonic() - begin, 6 * vhtest.SLOWNESS)
        self.assertEqual(self.guest.pinned(), {})
        with open(self.daemon.log) as file:
            self.assertRegex(file.read(), r"journal .*: the disk does not answer: [0-9]+ lines are not written")


if __name__ == "__main__":
    unittest.main()
