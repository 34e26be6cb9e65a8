# SPDX-License-Identifier: GPL-2.0-or-later
"""What is slow in a guest's kernel, or never comes to an end, and must not hold up hints: walks, loads, refusals, ejections."""
import errno
import os
import struct
import time
import unittest

import vhtest
from vhtest import channel, setting
from vhtest.bpf import compile_bpf


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Slow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = vhtest.temporary_directory()
        cls.guest = cls.enterClassContext(vhtest.Guest())

    def setUp(self):
        self.channel = channel.Channel(self.guest.channel_path)
        self.channel.start()
        self.affinity = self.loaded("affinity", read(vhtest.AFFINITY))

    def tearDown(self):
        for name in self.channel.programs():
            self.channel.unload(name)
        self.channel.close()

    def built(self, name, *arguments):
        return read(compile_bpf(name, os.path.join(self.directory, f"{name}.o"), *arguments))

    def loaded(self, name, data, **options):
        answer = self.channel.load(name, data, **options)
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        return answer.program

    def pinned(self):
        """Seconds from a new task's mask to its hint; other frames are kept in self.frames."""
        task = self.guest.start_command("exec taskset 4 sleep 1000")
        begin = time.monotonic()
        facts = {}
        while facts.get(task.pid) != 4:
            self.assertLess(time.monotonic() - begin, 10 * setting.slowness, "no hint of a new task's mask")
            frame = self.channel.receive(1)
            if frame and frame[0] in ("HINTS", "SNAPSHOT") and frame[2].program == self.affinity:
                channel.apply_hints(facts, [frame])
            elif frame:
                self.frames.append(frame)
        task.kill()
        return time.monotonic() - begin

    def while_waiting(self, request):
        """Makes hints until the request is answered: the answer, its seconds, and how long the hints took."""
        begin = time.monotonic()
        delays = []
        self.frames = []
        while True:
            delays.append(self.pinned())
            for kind, number, payload in self.frames:
                if kind == "ANSWER" and number == request:
                    return channel.Answer(payload, []), time.monotonic() - begin, delays

    def trouble(self, program):
        while True:
            told, text = channel.parse_trouble(self.channel.wait("TROUBLE", 30))
            if told == program:
                return text

    # Walks

    FAR_TOO_LONG = 30  # s; the injector gives up after 12

    def test_an_iterator_that_returns_1(self):
        """The kernel shows it the same task for ever. What its tracepoint knows is reported all the same."""
        program = self.loaded("stubborn", self.built("stubborn"))
        text = self.trouble(program)
        for words in ("stubborn", "find_all", "returns 1"):
            self.assertIn(words, text)
        self.frames = []
        self.pinned()
        task = self.guest.start_command("exec sleep 1000")
        answer = self.channel.request("RESYNC", struct.pack("<II", program, 0))
        self.assertEqual(answer.error, errno.ELOOP, answer.text)
        self.assertIn("find_all", answer.text)
        records = [record for kind, _, batch in answer.before if kind == "SNAPSHOT" for record in batch.records]
        self.assertIn(task.pid, [struct.unpack_from("<I", record, 24)[0] for record in records])
        task.kill()
        self.channel.session += 1  # a host that comes later is told as well
        self.channel.start()
        self.assertEqual(self.trouble(program), text)
        self.assertEqual(self.channel.unload("stubborn").error, 0)

    def test_a_walk_that_takes_too_long(self):
        slow = self.built("stubborn", "-DSLOW")
        rounds = 1 << 17
        program = self.loaded("stubborn", slow, tunables={"rounds": rounds})
        begin = time.monotonic()
        self.channel.snapshot(program)
        seconds = time.monotonic() - begin
        rounds = min(int(rounds * self.FAR_TOO_LONG / seconds), 1 << 23)  # the kernel's limit
        program = self.loaded("stubborn", slow, tunables={"rounds": rounds}, replace=True)
        text = self.trouble(program)
        self.assertIn("find_all", text)
        request = self.channel.next_request()
        self.channel.send("UNLOAD", struct.pack("<64s", b"stubborn"), request)
        self.frames = []
        self.pinned()

    # Floods and large snapshots of another program

    FLOOD = 700  # hints of 1024 bytes each
    CREDIT = 1 << 18  # bytes: less than they need

    def reconnect(self, **options):
        self.channel.close()
        self.channel = channel.Channel(self.guest.channel_path, **options)
        self.channel.start()
        self.frames = []

    def read_until(self, done):
        """Frames, kept in self.frames, until one of them is `done`."""
        while True:
            frame = self.channel.receive()
            self.assertTrue(frame, "nothing comes any more")
            self.frames.append(frame)
            if done(*frame):
                return

    def records(self, program, kind):
        return sum(len(batch.records) for what, _, batch in self.frames if what == kind and batch.program == program)

    def test_a_flood_of_another_program(self):
        """It has taken all the credit that it may, and most of its hints wait. Another program's come."""
        flood = self.loaded("flood", self.built("flood"))
        self.reconnect(credit=self.CREDIT, refill=False)
        self.guest.run("/bin/true")
        self.frames = self.channel.drain()
        for credit in (0, 3000, 3000, self.CREDIT // 4):
            if credit:
                self.channel.add_credit(credit)
            self.pinned()
            self.assertLess(self.records(flood, "HINTS"), self.FLOOD)
        self.channel.add_credit(1 << 20)
        self.frames += self.channel.drain()
        self.assertEqual(self.records(flood, "HINTS"), self.FLOOD)
        self.assertEqual(self.channel.programs()["flood"].lost, 0)

    def test_a_large_snapshot_of_another_program(self):
        flood = self.loaded("flood", self.built("flood", "-DFACTS"))
        self.guest.run("/bin/true")
        self.channel.drain()
        self.reconnect(credit=self.CREDIT, refill=False)
        request = self.channel.next_request()
        self.channel.send("RESYNC", struct.pack("<II", 0, 0), request)
        self.read_until(lambda kind, _, batch: kind == "SNAPSHOT" and batch.program == self.affinity
                        and batch.flags & channel.LAST)
        self.pinned()
        self.frames += self.channel.drain()
        self.assertLess(self.records(flood, "SNAPSHOT"), self.FLOOD)
        self.pinned()
        self.channel.add_credit(1 << 20)
        self.read_until(lambda kind, number, _: kind == "ANSWER" and number == request)
        self.assertEqual(self.records(flood, "SNAPSHOT"), self.FLOOD)

    # Programs of many hooks

    def test_hints_while_many_hooks_come_and_go(self):
        data = self.built("many")
        answer, seconds, delays = self.while_waiting(self.channel.send_load("many", data))
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        self.assertEqual(self.channel.programs()["many"].attached, 60)
        self.assertLess(max(delays), 1 * setting.slowness, delays)
        request = self.channel.next_request()
        self.channel.send("UNLOAD", struct.pack("<64s", b"many"), request)
        answer, gone, delays = self.while_waiting(request)
        self.assertEqual(answer.error, 0, answer.text)
        self.assertLess(max(delays), 1 * setting.slowness, delays)
        # What the kernel lacks is found before anything is attached.
        answer, refused, delays = self.while_waiting(self.channel.send_load("many", self.built("many", "-DLACKING")))
        self.assertEqual(answer.error, errno.ENOENT, answer.text)
        self.assertIn("kprobe/no_such_function_at_all", answer.text)
        self.assertLess(max(delays), 1 * setting.slowness, delays)
        self.assertLess(refused, (seconds + gone) / 2)

    def test_a_large_program_is_replaced(self):
        data = self.built("many", "-DLARGE")
        first = self.loaded("many", data)
        second = self.loaded("many", data, replace=True)
        self.assertNotEqual(first, second)
        self.assertEqual(self.channel.programs()["many"].attached, 180)
