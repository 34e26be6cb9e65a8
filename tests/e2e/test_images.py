# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest image itself: reproducible, and a machine in which commands run."""
import os
import shutil
import subprocess
import unittest

import vhtest
from vhtest import channel
from vhtest.guest import INJECTOR


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
        self.build("--kernel", vhtest.setting.kernel, "--out", out)
        before = read(f"{out}/initrd")
        self.build("--kernel", vhtest.setting.kernel, "--out", out, "--add", __file__ + ":/etc/added")
        self.assertNotEqual(before, read(f"{out}/initrd"))

    def test_refusals_name_the_thing(self):
        for args, text in ((["--kernel", "bookworm"], "--out"),
                           (["--out", self.directory], "--kernel"),
                           (["--kernel", "no such suite", "--out", self.directory], "no such suite"),
                           (["--kernel", "/none.deb", "--out", self.directory], "/none.deb"),
                           (["--kernel", vhtest.setting.kernel, "--out", self.directory, "--add", "/none"], "/none"),
                           (["--kernel", vhtest.setting.kernel, "--out", self.directory, "--injector", "/bin/ls"],
                            "not statically linked")):
            result = self.build(*args)
            self.assertNotEqual(result.returncode, 0, args)
            self.assertIn(text, result.stderr)


class Append(unittest.TestCase):
    """images/append, to the initrd of an image without an injector."""

    @classmethod
    def setUpClass(cls):
        cls.built = vhtest.build_image(out=os.path.join(vhtest.temporary_directory(), "image"), injector=False)

    def setUp(self):
        self.directory = vhtest.temporary_directory()
        self.image = shutil.copytree(self.built, os.path.join(self.directory, "image"))
        self.initrd = os.path.join(self.image, "initrd")

    def append(self, *args):
        return subprocess.run([os.path.join(vhtest.TOP, "images/append"), "--injector", INJECTOR, *args],
                              capture_output=True, text=True)

    def test_boots_with_it(self):
        """However long what is appended to: archives have to begin at a multiple of four."""
        with open(self.initrd, "ab") as file:
            file.write(bytes(-os.path.getsize(self.initrd) % 4 + 1))
        self.assertEqual(self.append(self.initrd, self.initrd).stderr, "")
        guest = self.enterContext(vhtest.Guest(image=self.image, fresh=True))
        guest.wait_injector(guest.qmp.call)
        self.assertEqual(guest.output(f"readlink /proc/{guest.injector_pid()}/exe"), "/vhint/vhint-injector")
        host = channel.Channel(guest.channel_path)
        self.addCleanup(host.close)
        self.assertEqual(host.start(), {})
        self.assertEqual(host.release, guest.output("uname -r"))

    def test_same_inputs_same_bytes(self):
        before = read(self.initrd)
        os.chmod(self.initrd, 0o600)
        for out in ("first", "second"):
            self.assertEqual(self.append(self.initrd, os.path.join(self.directory, out)).returncode, 0)
        self.assertEqual(read(self.initrd), before)
        first = read(os.path.join(self.directory, "first"))
        self.assertEqual(first, read(os.path.join(self.directory, "second")))
        self.assertTrue(first.startswith(before))
        self.assertEqual(os.stat(os.path.join(self.directory, "first")).st_mode & 0o777, 0o600)
        self.assertEqual(sorted(os.listdir(self.directory)), ["first", "image", "second"])

    def test_links_of_the_distribution_stay(self):
        """A directory in what is appended would take the place of a link such as /bin."""
        self.append(self.initrd, os.path.join(self.directory, "out"))
        appended = read(os.path.join(self.directory, "out"))[os.path.getsize(self.initrd):].lstrip(b"\0")
        names = subprocess.run(["cpio", "--quiet", "-t"], input=appended, capture_output=True, check=True).stdout.decode().split()
        self.assertEqual({name.split("/")[0] for name in names}, {"conf", "usr", "vhint"})

    def test_refusals_name_the_thing(self):
        out = os.path.join(self.directory, "out")
        for args, text in (([], "INITRD and OUT"), (["/none", out], "/none"),
                           (["--injector", "/bin/ls", self.initrd, out], "INITRD and OUT")):
            result = self.append(*args)
            self.assertNotEqual(result.returncode, 0, args)
            self.assertIn(text, result.stderr)
        for injector, text in (("/bin/ls", "not statically linked"), (__file__, "is no program"), ("/none", "/none")):
            result = subprocess.run([os.path.join(vhtest.TOP, "images/append"), "--injector", injector, self.initrd, out],
                                    capture_output=True, text=True)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(text, result.stderr)
        self.assertEqual(os.listdir(self.directory), ["image"])


class Boot(unittest.TestCase):
    every_kernel = "all"

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
