# SPDX-License-Identifier: GPL-2.0-or-later
"""The documentation says what is so: the configuration's example and errors, the JSON of a hint."""
import glob
import json
import os
import re
import subprocess
import unittest

import vhtest
from vhtest import wait_for


def blocks(name, language):
    """The fenced blocks of docs/NAME in this language."""
    with open(os.path.join(vhtest.TOP, "docs", name)) as file:
        return re.findall(rf"^```{language}\n(.*?)^```$", file.read(), re.M | re.S)


def built(source):
    """The text of a source without what is left out as long as there is no kind of offload."""
    with open(os.path.join(vhtest.TOP, "host-bpf/offload.h")) as file:
        kinds = int(re.search(r"#define VH_NET_KINDS (\d+)", file.read())[1])
    return source if kinds else re.sub(r"^#if VH_NET_KINDS\n.*?^#endif\n", "", source, flags=re.M | re.S)


class Config(unittest.TestCase):
    """docs/config.md, and what docs/libvirt.md begins with"""

    def setUp(self):
        self.directory = vhtest.temporary_directory()
        os.symlink(os.path.join(vhtest.BUILD, "guest-bpf"), self.path("programs"))
        self.example, = blocks("config.md", "ini")

    def path(self, name):
        return os.path.join(self.directory, name)

    def check(self, text):
        """vhintd --check of a file with this text, programs being where this build has them."""
        text = text.replace("/usr/lib/x86_64-linux-gnu/vhint/programs", self.path("programs"))
        with open(self.path("vhint.conf"), "w") as file:
            file.write(text)
        return subprocess.run([vhtest.setting.vhintd(), "--check", "--config", "vhint.conf"], cwd=self.directory,
                              capture_output=True, text=True, env=vhtest.daemon.ENVIRONMENT)

    def test_example(self):
        example = self.example.replace("/srv/vhint/commands.bpf.o", self.path("programs/affinity.bpf.o"))
        result = self.check(example)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_example_for_libvirt(self):
        example, = blocks("libvirt.md", "ini")
        self.assertIn("[libvirt]\n", example)
        result = self.check(example.replace("[daemon]\n", "[daemon]\nprogram-dir=/usr/lib/x86_64-linux-gnu/vhint/programs\n"))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_a_program_that_is_not_there(self):
        result = self.check(self.example)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"^vhintd: vhint.conf:\d+: \[guest db\] programs: "
                         "there is no file /srv/vhint/commands.bpf.o: name the object of the program\n$")

    def test_a_program_by_a_wrong_name(self):
        result = self.check(self.example.replace("programs=affinity\n", "programs=affinty\n"))
        self.assertEqual(result.returncode, 1)
        self.assertIn('has no program "affinty"; did you mean "affinity"? (it has affinity, ', result.stderr)

    def test_no_programs_at_all(self):
        empty = vhtest.temporary_directory()
        result = self.check(re.sub("program-dir=.*", f"program-dir={empty}", self.example))
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{empty} has no programs: name the directory that has them", result.stderr)
        self.assertIn('no program has hints of kind "affinity/affinity"; no known program has hints: name', result.stderr)

    def test_errors(self):
        """Each documented message is what vhintd says when the example is changed so."""
        changes = {"pool": ("pool=0", "pool=1000"), "chanel": ("channel=/run/vms/web", "chanel=/run/vms/web"),
                   "qmp": ("qmp=/run/vms/db/qmp", "qmp=/run/vms/web/qmp")}
        with open(os.path.join(vhtest.TOP, "docs/config.md")) as file:
            listed = re.findall(r"^vhint\.conf:\d+: .*$", file.read(), re.M)
        self.assertEqual(len(listed), len(changes))
        for line in listed:
            with self.subTest(line):
                old, new = changes[re.match(r"vhint\.conf:\d+: \[.*\] (\w+): ", line)[1]]
                self.assertIn(old, self.example)
                result = self.check(self.example.replace(old, new))
                self.assertEqual(result.returncode, 1)
                said = re.sub(r"\(0[-,0-9]*\)", "(0-1)", result.stderr)  # this host's CPUs
                self.assertIn(f"vhintd: {line}", said.splitlines())

    def test_all_keys_are_documented(self):
        with open(os.path.join(vhtest.TOP, "docs/config.md")) as file:
            text = file.read()
        with open(os.path.join(vhtest.TOP, "host/config/vhintd.c")) as file:
            lists = re.findall(r"_keys\[\] = \{(.*?)\};", built(file.read()), re.S)
        keys = [key for entry in lists for key in re.findall(r'"([a-z-]+)"', entry)]
        self.assertGreater(len(keys), 8)
        for key in keys:
            self.assertIn(f"| `{key}` |", text)


class Policy(unittest.TestCase):
    """docs/policy.md"""

    def setUp(self):
        self.directory = vhtest.temporary_directory()
        os.mkdir(os.path.join(self.directory, "policy.d"))

    def check(self, text):
        """vhintctl policy check of a directory with this text in policy.d/10-web.conf, for a host with 32 CPUs."""
        with open(os.path.join(self.directory, "policy.d/10-web.conf"), "w") as file:
            file.write(text)
        return subprocess.run([vhtest.daemon.VHINTCTL, "policy", "check", "--cpus", "0-31", "--program-dir",
                               os.path.join(vhtest.BUILD, "guest-bpf"), "."], cwd=self.directory,
                              capture_output=True, text=True, env=vhtest.daemon.ENVIRONMENT)

    def test_examples(self):
        examples = blocks("policy.md", "ini")
        self.assertGreaterEqual(len(examples), 6)
        for example in examples:
            with self.subTest(example):
                result = self.check(example)
                self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_errors(self):
        """Each documented message is what is said of this file, once the mistakes before it are mended."""
        text = ("[guest web-*]\nprograms = affinity\npol = 2-5\npool = 40\n\n"
                "[rule busy]\non = afinity\nwhen = cpsu == 1\ndo = pin mask\n")
        said = set()
        for mended in (text, text.replace("afinity", "affinity")):
            result = self.check(mended)
            self.assertEqual(result.returncode, 1)
            said |= {line.removeprefix("./policy.d/") for line in result.stderr.splitlines()}
        with open(os.path.join(vhtest.TOP, "docs/policy.md")) as file:
            listed = re.findall(r"^10-web\.conf:\d+: .*$", file.read(), re.M)
        self.assertEqual(set(listed), said)

    def test_all_keys_are_documented(self):
        with open(os.path.join(vhtest.TOP, "docs/policy.md")) as file:
            text = file.read()
        lists = []
        for source in glob.glob(os.path.join(vhtest.TOP, "host/policy/*.c")):
            with open(source) as file:
                lists += re.findall(r"_keys\[\] = \{(.*?)\};", built(file.read()), re.S)
        self.assertGreaterEqual(len(lists), 4)  # [guest], [rule], [program], [host]
        for entry in lists:
            keys = re.findall(r'"([a-z-]+)"', entry)
            self.assertTrue(keys)
            for key in keys:
                self.assertIn(f"| `{key}` |", text)


class Json(unittest.TestCase):
    """docs/programs.md, "The JSON of a hint", by the affinity program."""

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest())
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))

    def test_members(self):
        documented = json.loads(blocks("programs.md", "json")[0])
        watch = self.daemon.watch()
        self.addCleanup(watch.end)
        task = self.guest.start_command("exec taskset -c 2 sleep 1000")

        def about_task(gone):
            return lambda line: line.get("gone") is gone and line["fields"]["pid"] == task.pid
        hint = watch.wait(about_task(False), 5, "a hint about the task")
        self.assertEqual(list(hint), list(documented))
        self.assertEqual([type(value) for value in hint.values()], [type(value) for value in documented.values()])
        self.assertEqual(list(hint["fields"]), ["pid", "tgid", "cpus", "reserved", "mask", "comm"])
        self.assertEqual(hint["fields"]["mask"], [4] + [0] * 7)

        fact, = wait_for(lambda: [f for f in self.daemon.ctl("hints", "guest") if f["fields"]["pid"] == task.pid], 2,
                         "the fact")
        self.assertEqual(list(fact), [member for member in documented if member != "seq"])

        task.kill()
        gone = watch.wait(about_task(True), 5, "a hint that it has gone")
        self.assertEqual(list(gone), list(documented))
        self.assertEqual(gone["fields"], {"pid": task.pid})
        self.assertGreater(gone["seq"], hint["seq"])
