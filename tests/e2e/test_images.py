# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest image itself: reproducible, and a machine in which commands run."""
import os
import subprocess
import unittest

import vhtest


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Build(unittest.TestCase):
    def setUp(self):
        self.directory = vhtest.temporary_directory()

    def build(self, *args):
        return subprocess.run([os.path.join(vhtest.TOP, "images/build"), *args], capture_output=True, text=True)

    def test_same_inputs_same_bytes(self):
        first = vhtest.build_image(out=os.path.join(self.directory, "first"))
        second = vhtest.build_image(out=os.path.join(self.directory, "second"))
        for name in ("vmlinuz", "initrd", "release"):
            self.assertEqual(read(f"{first}/{name}"), read(f"{second}/{name}"), name)

    def test_added_file_changes_the_image(self):
        out = os.path.join(self.directory, "out")
        self.build("--kernel", vhtest.KERNEL, "--out", out)
        before = read(f"{out}/initrd")
        self.build("--kernel", vhtest.KERNEL, "--out", out, "--add", __file__ + ":/etc/added")
        self.assertNotEqual(before, read(f"{out}/initrd"))

    def test_refusals_name_the_thing(self):
        for args, text in ((["--kernel", "bookworm"], "--out"),
                           (["--out", self.directory], "--kernel"),
                           (["--kernel", "no such suite", "--out", self.directory], "no such suite"),
                           (["--kernel", "/none.deb", "--out", self.directory], "/none.deb"),
                           (["--kernel", vhtest.KERNEL, "--out", self.directory, "--add", "/none"], "/none"),
                           (["--kernel", vhtest.KERNEL, "--out", self.directory, "--injector", "/bin/ls"],
                            "not statically linked")):
            result = self.build(*args)
            self.assertNotEqual(result.returncode, 0, args)
            self.assertIn(text, result.stderr)


class Boot(unittest.TestCase):
    every_kernel = True

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(smp=vhtest.SPARSE_APIC_IDS, append="vhint.injector=0",
                                                       fresh=True))

    def test_runs_commands(self):
        with open(os.path.join(self.guest.image, "release")) as file:
            self.assertEqual(self.guest.output("uname -r"), file.read().strip())
        self.assertEqual(self.guest.run("exit 7", check=False).code, 7)
        self.assertEqual(self.guest.run("echo out; echo err >&2").output, "out\nerr\n")

    def test_commands_run_side_by_side(self):
        sleeper = self.guest.start_command("exec sleep 1000")
        self.assertEqual(self.guest.output("echo $((6 * 7))"), "42")
        vhtest.wait_for(lambda: "sleep" in self.guest.output(f"cat /proc/{sleeper.pid}/comm"), 10, "the sleeper runs")
        self.assertEqual(sleeper.kill().code, 128 + 9)

    def test_ports_have_their_names(self):
        names = self.guest.output("cat /sys/class/virtio-ports/*/name").split()
        self.assertEqual(sorted(names), ["org.vhint.0", "org.vhint.bench", "org.vhint.test"])

    def test_cpuset_is_there(self):
        self.guest.run("mkdir /sys/fs/cgroup/probe && echo 1 >/sys/fs/cgroup/probe/cpuset.cpus && "
                       "rmdir /sys/fs/cgroup/probe")

    def test_pins_and_cpusets_of_cgroups_v2(self):
        """The host's pin actuator, run in here: the machine that runs the tests may have v1 only."""
        result = self.guest.run("cpuset", check=False)
        self.assertEqual(result.code, 0, result.output)
        self.assertEqual(result.output.count("right: "), 5, result.output)

    def test_apic_ids_are_not_cpu_numbers(self):
        self.assertEqual(list(self.guest.apic_ids().values()), [0, 1, 2, 4, 5, 6])
        self.assertEqual(sorted(self.guest.threads()), [0, 1, 2, 4, 5, 6])

    def test_survives_a_reset(self):
        self.guest.run("touch /tmp/before")
        self.guest.reset()
        self.assertEqual(self.guest.run("test -e /tmp/before", check=False).code, 1)
