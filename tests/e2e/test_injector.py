# SPDX-License-Identifier: GPL-2.0-or-later
"""The injector in a real guest, talked to by hand: what no well-behaved daemon does, and what it must do of itself."""
import errno
import os
import struct
import time
import unittest

import vhtest
from vhtest import channel, wait_for
from vhtest.bpf import compile_bpf


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Injector(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = vhtest.temporary_directory()
        cls.guest = cls.enterClassContext(vhtest.Guest())
        cls.affinity = read(vhtest.AFFINITY)

    def setUp(self):
        self.connect()

    def tearDown(self):
        for name in self.channel.programs():
            self.channel.unload(name)
        self.channel.close()

    def connect(self, **options):
        self.channel = channel.Channel(self.guest.channel_path, **options)
        self.running = self.channel.start()
        return self.channel

    def reconnect(self, **options):
        self.channel.close()
        return self.connect(**options)

    def built(self, name, *arguments):
        return read(compile_bpf(name, os.path.join(self.directory, f"{name}.o"), *arguments))

    def loaded(self, name, data, **options):
        answer = self.channel.load(name, data, **options)
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        return answer.program

    def sleeper(self, mask):
        """A task that has this mask by now; it ends with the test."""
        task = self.guest.start_command(f"exec taskset {mask:x} sleep 1000")
        self.addCleanup(lambda: task.result or task.kill())
        wait_for(lambda: f"{task.pid} {mask:x}" in self.guest.output("walk").splitlines(), 5, "a task with a mask")
        return task

    def pinned(self, mask=4):
        """A new task with this mask: its hint must arrive. Shows that everything works."""
        task = self.guest.start_command(f"exec taskset {mask:x} sleep 1000")
        end = time.monotonic() + 5
        facts = {}
        while facts.get(task.pid) != mask:
            self.assertLess(time.monotonic(), end, "no hint of a new task's mask")
            channel.apply_hints(facts, self.channel.drain(0.05))
        task.kill()

    # Sessions

    def test_programs_outlive_the_host(self):
        program = self.loaded("affinity", self.affinity)
        self.channel.close()
        task = self.sleeper(2)
        self.connect()
        self.assertEqual(self.running["affinity"].id, program)
        self.assertEqual([channel.Affinity(r).pid for r in self.channel.snapshot()[program]], [task.pid])
        task.kill()
        self.pinned()

    def test_rubbish_and_halves(self):
        self.loaded("affinity", self.affinity)
        whole = channel.frame("LIST", request=1)
        for rubbish in (b"\xff" * 200000, bytes(range(256)) * 50, whole[:len(whole) // 2], b"\0" * 1000):
            self.channel.send_bytes(rubbish + b"\0")
            self.assertIn("affinity", self.channel.programs())
        self.channel.send_bytes(whole[:len(whole) // 2])
        self.reconnect()  # a host that died in the middle
        self.assertIn("affinity", self.running)
        self.pinned()

    def test_object_cut_by_a_disconnect(self):
        request = self.channel.next_request()
        self.channel.send("LOAD", self.channel.load_header("cut", self.affinity), request)
        self.channel.send("CHUNK", struct.pack("<II", 0, 0) + self.affinity[:32768], request)
        self.reconnect()
        self.assertEqual(self.running, {})
        self.loaded("affinity", self.affinity)
        self.pinned()

    def pinned_after_load(self):
        self.loaded("affinity", self.affinity)
        self.pinned()

    def test_a_wrong_version_is_told_and_survived(self):
        self.channel.session += 1
        self.channel.hello(versions=(7, 9))
        hello = struct.unpack("<IHHQQII16s64s32s", self.channel.wait("HELLO"))
        self.assertEqual(hello[1:3], (1, 1))
        self.channel.send("LIST", request=1, version=7)
        self.assertEqual(self.channel.drain(), [])
        self.reconnect()
        self.pinned_after_load()

    def test_the_cpu_map(self):
        self.assertEqual(self.channel.cpus, [(cpu, apic, 1) for cpu, apic in self.guest.apic_ids().items()])
        for online in (0, 1):
            self.guest.run(f"echo {online} >/sys/devices/system/cpu/cpu3/online")
            # A map may have been on its way that is older.
            while struct.unpack("<III", self.channel.wait("CPUS")[-12:]) != (3, self.guest.apic_ids()[3], online):
                pass

    # Objects

    def test_refusals(self):
        broken = self.affinity[:5000]
        for name, options, data, error, words in (
                ("text", {}, b"no object at all" * 10, None, ["text:", "not a BPF object"]),
                ("cut", {}, broken, None, ["cut:", "not a BPF object"]),
                ("digest", {"digest": b"\1" * 32}, self.affinity, errno.EBADMSG, ["SHA-256", "01010101"]),
                ("xdp", {}, self.built("unattachable"), errno.EOPNOTSUPP, ["pass_all", 'SEC("xdp")']),
                ("none", {}, self.built("variants", "-DNONE"), errno.ENOENT, ["third", "tp_btf/no_such_tracepoint"]),
                ("tune", {"tunables": {"nothing": 1}}, self.built("variants"), errno.EINVAL, ["nothing", "small"]),
                ("tune", {"tunables": {"small": 256}}, self.built("variants"), errno.ERANGE, ["small=256", "255"]),
                ("tune", {"tunables": {"negative": -32769}}, self.built("variants"), errno.ERANGE, ["16 bits"]),
                ("tune", {"tunables": {"small": "x"}}, self.built("variants"), errno.EINVAL, ["small=x"]),
                ("tune", {"tunables": {"colour": "BLUE"}}, self.built("variants"), errno.EINVAL, ["enum colour"]),
                ("tune", {"tunables": {"word": "far too long"}}, self.built("variants"), errno.ERANGE, ["7 bytes"]),
                ("tune", {"tunables": {"vh_cpus_possible": 1}}, self.affinity, errno.EINVAL, ["vh_"])):
            with self.subTest(name, **options):
                answer = self.channel.load(name, data, **options)
                self.assertNotEqual(answer.error, 0)
                if error:
                    self.assertEqual(answer.error, error, answer.text)
                for word in words:
                    self.assertIn(word, answer.text)
        self.assertEqual(self.channel.programs(), {})

    def test_verifier_log(self):
        answer = self.channel.load("refused", self.built("refused"))
        self.assertEqual(answer.error, errno.EACCES, answer.text)
        self.assertIn("refused:", answer.text)
        self.assertIn("invalid mem access", answer.log)

    def test_variants_and_tunables(self):
        self.loaded("variants", self.built("variants"), tunables={"small": 200, "negative": "-7", "flag": "true",
                                                                  "colour": "GREEN", "word": "yes"})
        self.assertEqual(self.channel.programs()["variants"].attached, 3)
        self.guest.run("/bin/true")
        hints = [struct.unpack_from("<II", record, 24) for kind, _, batch in self.channel.drain()
                 if kind == "HINTS" for record in batch.records]
        self.assertEqual({variant for variant, _ in hints}, {2, 3, 5})
        self.assertEqual({value for _, value in hints}, {200 + 1000 + 50000 + 1000000 + 70000000})

    def test_replacement(self):
        first = self.loaded("affinity", self.affinity)
        programs = self.kernel_programs()
        self.assertGreater(programs, 0)
        self.assertEqual(self.channel.load("affinity", self.affinity).error, errno.EEXIST)
        self.assertNotEqual(self.channel.load("affinity", self.affinity[:9000], replace=True).error, 0)
        self.assertEqual(self.channel.programs()["affinity"].id, first)
        self.pinned()
        task = self.sleeper(2)
        self.channel.drain()
        second = self.loaded("affinity", self.affinity, replace=True)
        self.assertNotEqual(first, second)
        frames = self.channel.drain()
        self.assertEqual({batch.program for kind, _, batch in frames if kind == "HINTS"}, {second})
        self.assertEqual(channel.apply_hints({}, frames), {task.pid: 2})
        task.kill()
        self.pinned()
        wait_for(lambda: self.kernel_programs() == programs, 10, "the old one has left the kernel")

    def kernel_programs(self):
        """BPF programs in the guest's kernel that a vhint-injector holds."""
        return int(self.guest.output("ls -l /proc/$(pidof vhint-injector)/fd | grep -c 'bpf-prog' || true"))

    def test_several_side_by_side(self):
        names = [f"affinity-{n}" for n in range(2)]
        programs = {self.loaded(name, self.affinity): name for name in names}
        self.loaded("ordinary", self.built("ordinary"))
        listed = self.channel.programs()
        self.assertEqual(sorted(listed), names + ["ordinary"])
        self.assertEqual((listed["ordinary"].flags, listed["ordinary"].attached), (0, 1))
        task = self.sleeper(2)
        seen = {programs[batch.program] for kind, _, batch in self.channel.drain() if kind == "HINTS"}
        self.assertEqual(sorted(seen), names)
        self.assertEqual(self.channel.unload("affinity-1").error, 0)
        self.assertEqual(self.channel.unload("affinity-1").error, errno.ENOENT)
        self.assertEqual(list(self.channel.snapshot()), [program for program, name in programs.items() if name == "affinity-0"])
        task.kill()

    # Flow

    def test_credit(self):
        """Without credit nothing is sent and no task waits; with it the rest comes, or is counted."""
        self.channel.close()
        self.connect(credit=4000, refill=False)
        self.loaded("affinity", self.affinity)
        self.guest.run("sleep 1000 & pid=$!; for i in $(seq 60); do taskset -p 1 $pid; taskset -p 2 $pid; done; kill $pid")
        frames = self.channel.drain()
        self.assertLessEqual(sum(32 + 120 * len(b.records) for k, _, b in frames if k == "HINTS"), 4000)
        self.assertEqual([b.lost for k, _, b in frames if k == "HINTS"][-1], 0)
        self.channel.add_credit(1 << 20)
        frames += self.channel.drain()
        hints = [b for k, _, b in frames if k == "HINTS"]
        self.assertGreaterEqual(sum(len(b.records) for b in hints), 120)
        self.assertEqual(channel.apply_hints({}, frames), {})

    def test_a_full_ring_is_counted(self):
        self.reconnect(credit=0, refill=False)
        self.loaded("affinity", self.affinity)
        burst = self.guest.start_command("exec burst 5000 2")
        self.addCleanup(burst.kill)
        wait_for(lambda: self.guest.output("walk").split() == [str(burst.pid), "4"] and
                 "S" in self.guest.output(f"cut -d' ' -f3 /proc/{burst.pid}/stat"), 60, "the burst is over")
        self.assertEqual(self.channel.drain(), [])
        self.channel.add_credit(1 << 28)
        frames = self.channel.drain()
        hints = [batch for kind, _, batch in frames if kind == "HINTS"]
        relayed = sum(len(batch.records) for batch in hints)
        self.assertGreater(relayed, 4000)
        self.assertGreaterEqual(relayed + hints[-1].lost, 5000)
        self.assertNotEqual(channel.apply_hints({}, frames), {burst.pid: 4}, "the ring was never full")
        records = next(iter(self.channel.snapshot().values()))
        self.assertEqual([(hint.pid, hint.mask) for hint in map(channel.Affinity, records)], [(burst.pid, 4)])

    # State

    def test_a_walk_confirms(self):
        """A program that sees no task end: what its walk does not confirm goes, if the walk is said to confirm."""
        for arguments in ((), ("-DCONFIRMS",)):
            with self.subTest(*arguments):
                program = self.loaded("forgetful", self.built("forgetful", *arguments))
                self.guest.run("for i in 1 2 3 4 5; do /bin/true; done")
                task = self.sleeper(2)
                living = set(map(int, self.guest.output("cd /proc && ls -d [0-9]*").split()))
                facts = {struct.unpack_from("<I", record, 24)[0] for record in self.channel.snapshot()[program]}
                self.assertIn(task.pid, facts)
                if arguments:
                    # Beside the sleeper there may be the shell that listed /proc, not reaped yet.
                    self.assertLessEqual(facts, living)
                else:
                    self.assertGreaterEqual(len(facts - living), 5)
                self.assertEqual(self.channel.unload("forgetful").error, 0)
        program = self.loaded("forgetful", self.built("forgetful", "-DCONFIRMS"), tunables={"rubbish": "true"})
        self.guest.run("/bin/true")
        answer = self.channel.request("RESYNC", struct.pack("<II", program, 0))
        self.assertEqual(answer.error, errno.EBADMSG, answer.text)

    # The process

    def test_another_injector_is_told(self):
        result = self.guest.run("vhint-injector", check=False)
        self.assertEqual(result.code, 75)
        self.assertIn("another vhint-injector", result.output)

    def test_killed_and_ended(self):
        self.loaded("affinity", self.affinity)
        for signal, status in ((9, "137"), (15, "0")):
            with self.subTest(signal=signal):
                old = self.guest.injector_pid()
                self.guest.run(f"kill -{signal} {old}")
                wait_for(lambda: self.guest.injector_pid() not in (0, old), 10, "a new injector")
                self.assertEqual(self.channel.start(), {})
                self.pinned_after_load()
                with open(self.guest.path("serial")) as serial:
                    self.assertIn(f"ended with {status}", serial.read())

    def test_idle_costs_no_wakeup(self):
        self.loaded("affinity", self.affinity)
        self.channel.drain()
        self.pinned()
        pid = self.guest.injector_pid()
        switches = f"grep ctxt_switches /proc/{pid}/status"
        # It looks once more for losses after the last hint.
        wait_for(lambda: self.guest.output(f"{switches}; sleep 0.5; {switches}").split()[1::2][:2] ==
                 self.guest.output(switches).split()[1::2], 20, "the injector is quiet")
        for connected in (True, False):
            with self.subTest(connected=connected):
                if not connected:
                    self.channel.close()
                    time.sleep(0.5)
                before = self.guest.output(switches)
                time.sleep(3)
                self.assertEqual(self.guest.output(switches), before)
        self.connect()

    def test_a_port_that_comes_late(self):
        """Hot-plugged after the injector started, pulled out, and plugged in again."""
        path, call = self.guest.path("late"), self.guest.qmp.call
        late = self.guest.start_command("exec vhint-injector --port org.vhint.late --verbose 2>/tmp/late")
        self.addCleanup(lambda: late.result or late.kill())

        def says(words):
            wait_for(lambda: words in self.guest.output("cat /tmp/late 2>/dev/null; true"), 20, f"the injector says {words}")

        says("waiting for one")
        call("chardev-add", id="late", backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": path}}, "server": True, "wait": False}})
        self.addCleanup(call, "chardev-remove", id="late")
        for expected in ([], ["affinity"]):
            call("device_add", driver="virtserialport", id="late-port", chardev="late", name="org.vhint.late")
            other = channel.Channel(path)
            self.addCleanup(other.close)
            self.assertEqual(list(other.start()), expected)
            if not expected:
                self.assertEqual(other.load("affinity", self.affinity).error, 0)
            task = self.guest.start_command("exec taskset 2 sleep 1000")
            wait_for(lambda: task.pid in channel.apply_hints({}, other.drain(0.1)), 5, "a hint through the late port")
            task.kill()
            other.close()
            self.guest.run(">/tmp/late")
            call("device_del", id="late-port")
            self.guest.qmp.wait_event("DEVICE_DELETED")
            says("the port has gone")

    def test_usage(self):
        self.assertEqual(self.guest.run("vhint-injector --nonsense", check=False).code, 64)
        self.assertEqual(self.guest.run("vhint-injector more", check=False).code, 64)
        self.assertIn("--port-path", self.guest.output("vhint-injector --help"))
        self.assertRegex(self.guest.output("vhint-injector --version"), r"^vhint-injector \d+\.\d+")
        result = self.guest.run("vhint-injector --port-path /none", check=False)
        self.assertNotEqual(result.code, 0)
        self.assertIn("/none", result.output)


class Lockdown(unittest.TestCase):
    """A kernel that keeps its memory from root: what the affinity program does is allowed there, a kprobe is not."""

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(append="lockdown=confidentiality"))
        cls.channel = channel.Channel(cls.guest.channel_path)
        cls.addClassCleanup(cls.channel.close)
        cls.channel.start()

    def test_affinity(self):
        self.assertIn("[confidentiality]", self.guest.output("cat /sys/kernel/security/lockdown"))
        older = self.guest.start_command("exec taskset 1 sleep 1000")
        wait_for(lambda: "1" in self.guest.output("walk").split(), 5, "a task older than the program")
        answer = self.channel.load("affinity", read(vhtest.AFFINITY))
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        task = self.guest.start_command("exec taskset 4 sleep 1000")
        facts = {}
        wait_for(lambda: channel.apply_hints(facts, self.channel.drain(0.1)) == {older.pid: 1, task.pid: 4}, 5,
                 "hints of both tasks")
        task.kill()
        records = self.channel.snapshot()[answer.program]
        self.assertEqual([(hint.pid, hint.mask) for hint in map(channel.Affinity, records)], [(older.pid, 1)])

    def test_a_kprobe_is_refused(self):
        directory = vhtest.temporary_directory()
        answer = self.channel.load("kprobe", read(compile_bpf("kprobe", os.path.join(directory, "kprobe.o"))))
        self.assertEqual(answer.error, errno.EPERM, answer.text)
        self.assertIn("kprobe/do_task_dead", answer.text)

    def test_the_programs_that_come_with_vhint(self):
        """All of them load; pressure does once it is told not to read kernel memory."""
        for name, tunables in (("comm", {}), ("sched", {}), ("pressure", {"totals": "false"})):
            with self.subTest(name):
                path = os.path.join(vhtest.BUILD, f"guest-bpf/{name}.bpf.o")
                answer = self.channel.load(name, read(path), tunables=tunables)
                self.assertEqual(answer.error, 0, answer.text + answer.log)
        answer = self.channel.load("pressure", read(os.path.join(vhtest.BUILD, "guest-bpf/pressure.bpf.o")), replace=True)
        self.assertEqual(answer.error, errno.EINVAL, answer.text)
        self.assertIn("bpf_probe_read", answer.log)
        self.assertNotIn("Error loading .BTF", answer.log)
