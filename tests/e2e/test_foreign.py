# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects that were made for other loaders: what such a loader would do is asked for by options."""
import errno
import os
import unittest

import vhtest
from vhtest import channel
from vhtest.bpf import compile_bpf


class Foreign(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = vhtest.temporary_directory()
        cls.guest = cls.enterClassContext(vhtest.Guest())

    def setUp(self):
        self.channel = channel.Channel(self.guest.channel_path)
        self.channel.start()

    def tearDown(self):
        for name in self.channel.programs():
            self.channel.unload(name)
        self.channel.close()

    def load(self, *arguments, **options):
        with open(compile_bpf("foreign", os.path.join(self.directory, "foreign.o"), *arguments), "rb") as file:
            return self.channel.load("foreign", file.read(), **options)

    def refused(self, error, words, *arguments, **options):
        answer = self.load(*arguments, **options)
        self.assertEqual(answer.error, error, answer.text)
        for word in words:
            self.assertIn(word, answer.text)

    def test_a_part_will_do(self):
        self.assertNotEqual(self.load("-DLACKING").error, 0)
        answer = self.load("-DLACKING", tunables={".partial": "true"})
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        self.assertEqual(self.channel.programs()["foreign"].attached, 1)
        text = next(channel.parse_trouble(payload)[1] for kind, _, payload in answer.before if kind == "TROUBLE")
        for section in ("kprobe/no_such_function_at_all", "tp_btf/no_such_tracepoint", "fentry/no_such_function_either",
                        "tracepoint/nowhere/nothing", "xdp"):
            self.assertIn(section, text)
        self.assertNotIn("sched_process_exit", text)

    def test_nothing_is_left(self):
        """Of an object of which all would be left out nothing runs, so it is refused."""
        with open(compile_bpf("unattachable", os.path.join(self.directory, "none.o")), "rb") as file:
            answer = self.channel.load("none", file.read(), tunables={".partial": "true"})
        self.assertNotEqual(answer.error, 0)
        self.assertIn("xdp", answer.text)

    def test_a_map_that_the_loader_sizes(self):
        self.refused(errno.EINVAL, ["counts", "--map counts=ENTRIES"], "-DUNSIZED")
        self.refused(errno.EINVAL, ["others", "counts"], "-DUNSIZED", tunables={".map.others": 16})
        self.refused(errno.EINVAL, ["counts", "1 to"], "-DUNSIZED", tunables={".map.counts": "many"})
        answer = self.load("-DUNSIZED", tunables={".map.counts": 64})
        self.assertEqual(answer.error, 0, answer.text + answer.log)

    def test_stack_traces(self):
        answer = self.load("-DSTACKS=0", tunables={".map.stacks": 64})
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        self.refused(errno.EINVAL, ["stacks", "100 bytes", "multiple of 8"], "-DSTACKS=100", replace=True,
                     tunables={".map.stacks": 64})

    def test_samples(self):
        self.refused(errno.EOPNOTSUPP, ["--every HZ"], "-DSAMPLES")
        self.refused(errno.EINVAL, ["every", "1 to"], "-DSAMPLES", tunables={".every": 0})
        self.refused(errno.EINVAL, ["every", "perf_event"], tunables={".every": 10})
        answer = self.load("-DSAMPLES", tunables={".every": 50})
        self.assertEqual(answer.error, 0, answer.text + answer.log)
        self.assertEqual(self.channel.programs()["foreign"].attached, 2)

    def test_what_the_kernel_answers(self):
        answer = self.load("-DMULTI")
        if answer.error == 0:
            self.skipTest("this kernel has kprobe.multi")
        self.assertEqual(answer.error, errno.EOPNOTSUPP, answer.text)
        self.assertIn("the guest's kernel", answer.text)
        self.assertNotIn("does not say by itself", answer.text)

    def test_an_unknown_option(self):
        self.refused(errno.EINVAL, [".strange", "newer"], tunables={".strange": 1})

    def test_a_pinned_map_goes_with_its_program(self):
        self.assertEqual(self.load().error, 0)
        self.guest.run("mkdir -p /sys/fs/bpf; mount -t bpf none /sys/fs/bpf; true")
        self.assertEqual(self.channel.unload("foreign").error, 0)
        self.assertEqual(self.load().error, 0)
        self.assertEqual(self.guest.output("ls /sys/fs/bpf").split(), [])
        self.assertEqual(self.channel.unload("foreign").error, 0)
        self.assertEqual(self.guest.output("ls /sys/fs/bpf").split(), [])
