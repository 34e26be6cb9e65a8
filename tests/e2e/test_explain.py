# SPDX-License-Identifier: GPL-2.0-or-later
"""vhint explains itself: maps, plans without acting, recordings and their replay; with a guest that is none."""
import json
import os
import signal
import subprocess
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

    def call(self, *args, code=0):
        result = self.daemon.call(*args)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def json(self, *args, code=0):
        return json.loads(self.call("--json", *args, code=code).stdout)

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
        self.assertIn("vhint does nothing for this guest", self.call("why", "fake").stdout)
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
        # What there is to say of the guest itself comes first.
        self.assertRegex(text, r"^fake: QEMU's device of the port org.vhint.0 has no id, .*\n\n"
                         r"vCPU 1: pin to CPUs [0-9]+: applied, for [0-9.]+ s \(since 2")
        self.assertIn("\n  hint     fake affinity/affinity pid=1 ", text)
        # A wish beyond what there is room for.
        room = len(self.guest.floating)
        if room < self.guest.cpus:
            for cpu in range(room + 1):
                self.ask(cpu, pid=cpu + 1)
            refused = wait_for(lambda: [a for a in self.why().values() if not a["in_force"]], 5, "one is not pinned")
            self.assertEqual(len(refused), 1)
            self.assertEqual((refused[0]["state"], refused[0]["age"], refused[0]["hint_count"]), ("wanted", -1, 1))
            self.assertIn("enlarge the pool or allow overcommit", refused[0]["why"])

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

    def test_steps(self):
        """What all facts together change is theirs, not the last one's; what a guest's line changes is that line's."""
        def hint(t, pid, mask):
            return {"t": t, "hint": {"guest": "web", "program": "affinity", "kind": "affinity", "key": 4,
                                     "fields": {"pid": pid, "cpus": 1, "mask": [mask]}}}

        def guest(t, boot_id):
            vcpus = [{"index": 0, "guest_cpu": 0}, {"index": 1, "guest_cpu": 1}]
            return {"t": t, "guest": {"name": "web", "boot_id": boot_id, "vcpus": vcpus}}
        lines = [{"vhint-recording": 1}, guest(0, "a"), {"t": 0, "facts": "web", "count": 2}, hint(0, 1, 1), hint(0, 2, 1),
                 hint(1, 2, 1), hint(2, 3, 2), guest(3, "b"), {"t": 4, "facts": "web", "count": 1}, hint(4, 1, 1)]
        with open(self.path("steps.rec"), "w") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
        plan = self.json("plan", "--policy", self.policy("[guest *]\nprograms=affinity\n"), "--topology", "core:4 pu:1",
                         "--replay", self.path("steps.rec"), "--steps")
        self.assertEqual([(step["line"], step["event"], [line["thread"] for line in step["threads"]]) for step in plan["steps"]],
                         [(3, "line 3: all facts of web, 2", ["vCPU 0"]),
                          (7, "line 7: web affinity/affinity pid=3 cpus=1 mask=[2]", ["vCPU 1"]),
                          (8, "line 8: guest web, 2 vCPUs", ["vCPU 0", "vCPU 1"]),
                          (9, "line 9: all facts of web, 1", ["vCPU 0"])])
        self.assertRegex(plan["steps"][0]["threads"][0]["reason"], "^2 hints pin guest CPU 0 ")

    def test_replay_of_nonsense(self):
        directory = self.policy("[guest *]\nprograms=affinity\n")
        path = self.path("bad.rec")
        for lines, message in ((["hello"], "bad.rec:1: is no JSON"),
                               (['{"vhint-recording":1}', '{"t":1,"hint":{"guest":"a","program":"affinity",'
                                 '"kind":"affinity","key":4,"fields":{}}}'], 'bad.rec:2: guest "a" has no line of its own')):
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
