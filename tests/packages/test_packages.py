# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages, installed in clean Debian systems; the guest's is booted.

They are slow (they make systems from the archive, and boot guests and a host of them), so `./dev deb --test` and debian/tests
run them, and `./dev test` does not."""
import glob
import json
import os
import re
import shutil
import subprocess
import unittest

import systems
from systems import PACKAGES, TOP, chroot, make_system
import vhtest
from vhtest import Process, process, wait_for

BOUND = 2  # the guest CPU that a unit of the guest's is bound to


class Lint(unittest.TestCase):
    def test_lintian(self):
        if not shutil.which("lintian"):
            self.skipTest("no lintian here")
        changes = glob.glob(os.path.join(PACKAGES, "*.changes"))
        if not changes:
            self.skipTest("the packages were not built here: there is no .changes")
        # The maintainer's address is for whoever uploads the packages to put in.
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", "--suppress-tags",
                               "bogus-mail-host,bogus-mail-host-in-debian-changelog,unstripped-binary-or-object", *changes],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Host(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = make_system("host", "vhint", "systemd")

    def run_in(self, *argv):
        done = chroot(self.root, *argv)
        self.assertEqual(done.returncode, 0, f"{argv}: {done.stdout}{done.stderr}")
        return done.stdout

    def test_1_installed(self):
        self.assertIn("install ok installed", self.run_in("dpkg-query", "-W", "-f", "${Status}", "vhint"))
        self.assertRegex(self.run_in("vhintd", "--version"), r"^vhintd \d")
        self.assertEqual(self.run_in("vhintd", "--check"), "")
        self.assertIn("affinity-pin", self.run_in("cat", "/usr/share/vhint/policy.d/00-affinity.conf"))
        self.assertTrue(self.run_in("getent", "group", "vhint").startswith("vhint:"))
        self.assertEqual(self.run_in("systemctl", "is-enabled", "vhintd.service", "vhintd-hook.socket").split(),
                         ["enabled", "enabled"])
        self.assertEqual(self.run_in("systemd-analyze", "verify", "--man=no", "vhintd.service"), "")

    def test_2_hook(self):
        """A guest starts though nobody serves the hook."""
        self.assertEqual(chroot(self.root, "/etc/libvirt/hooks/qemu.d/vhint", "web", "prepare", "begin", "-").returncode, 0)

    def test_3_purged(self):
        """In a copy: others need the package, too."""
        root = f"{self.root}-purged"
        subprocess.run(["cp", "-a", self.root, root], check=True)
        self.addCleanup(subprocess.run, ["rm", "-rf", "--one-file-system", root], check=False)
        done = chroot(root, "dpkg", "--purge", "vhint")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for path in ("etc/vhint", "usr/sbin/vhintd", "etc/libvirt/hooks/qemu.d/vhint", "usr/share/vhint"):
            self.assertFalse(os.path.lexists(os.path.join(root, path)), path)


class Booted(systems.Booted):
    """Booted as a guest."""

    @classmethod
    def prepare(cls):
        cls.host = make_system("host", "vhint", "systemd")
        cls.write("etc/systemd/system/bound.service",
                  f"[Service]\nExecStart=sleep infinity\nCPUAffinity={BOUND}\n[Install]\nWantedBy=multi-user.target\n")
        subprocess.run(["chroot", cls.root, "systemctl", "enable", "bound.service"], check=True, capture_output=True)

    def setUp(self):
        self.directory = process.temporary_directory()
        self.addCleanup(process.remove_directory, self.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def boot(self, append="", initrd=None, arguments=()):
        qemu = self.machine(self.directory, append, initrd, [
            *systems.port(self.directory, "channel", "org.vhint.0"),
            *systems.port(self.directory, "agent", "org.qemu.guest_agent.0"), *arguments])
        self.addCleanup(qemu.end, 9)
        return qemu

    def serve(self):
        """The packaged vhintd in its own root, with the packaged configuration and one guest more."""
        shutil.copy(os.path.join(self.host, "etc/vhint/vhint.conf"), self.path("vhint.conf"))
        with open(self.path("vhint.conf"), "a") as file:
            file.write(f"\n[guest full]\nqmp={self.path('qmp')}\nchannel={self.path('channel')}\nagent={self.path('agent')}\n"
                       "programs=affinity\nbootstrap=yes\n")
        place = self.host + self.directory
        os.makedirs(place, exist_ok=True)
        mounts = "".join(f"mount --rbind /{name} {self.host}/{name} && " for name in ("proc", "sys"))
        daemon = Process(["unshare", "-m", "--propagation", "private", "sh", "-c",
                          f"{mounts}mount --bind {self.directory} {place} && "
                          f"exec chroot {self.host} /usr/sbin/vhintd --config {self.path('vhint.conf')}"],
                         self.path("vhintd.log"))
        self.addCleanup(daemon.end)
        return daemon

    def status(self):
        done = chroot(self.host, "vhintctl", "--json", "status", "full")
        return json.loads(done.stdout)["guests"][0] if done.returncode == 0 else {"vcpu": []}

    def guest(self):
        done = chroot(self.host, "vhintctl", "--json", "guests")
        return json.loads(done.stdout)[0] if done.returncode == 0 else {"connected": False}

    def pinned(self):
        vcpus = self.status()["vcpu"]
        return [vcpu["guest_cpu"] for vcpu in vcpus if vcpu["state"] == "pinned"]

    def wait_pinned(self, qemu, seconds=300):
        def done():
            systems.check_alive(qemu)
            return self.pinned() == [BOUND]
        try:
            wait_for(done, seconds, "the vCPU that the guest's unit is bound to is pinned")
        except vhtest.Failure as failure:
            raise vhtest.Failure(f"{failure}\n--- guest\n{process.tail(self.path('serial'))}\n--- vhintd\n"
                                 f"{process.tail(self.path('vhintd.log'))}\n{self.status()}") from failure


class Guest(Booted, unittest.TestCase):
    """Nothing but the package was installed."""
    system, packages = "guest", ("vhint-injector",)

    def test_initramfs(self):
        out = subprocess.run(["chroot", self.root, "lsinitramfs", self.initrd.removeprefix(self.root)],
                             capture_output=True, text=True, check=True).stdout
        for part in ("bin/vhint-injector", "scripts/init-premount/vhint-injector", "virtio_console.ko"):
            self.assertIn(part, out)

    def test_boots_and_hints_flow(self):
        """Nobody touches the guest: udev sees the port, systemd starts the injector, the host pins."""
        self.serve()
        self.wait_pinned(self.boot())

    def test_early(self):
        """The injector of the initramfs answers before there is a systemd, and goes on when there is one."""
        self.serve()
        qemu = self.boot("vhint.early")
        wait_for(lambda: qemu.alive() and self.guest()["connected"], 300, "the injector answers from the initramfs")
        with open(self.path("serial"), errors="replace") as file:
            self.assertNotIn("systemd[1]", file.read())
        self.wait_pinned(qemu)


class Bare(Booted, unittest.TestCase):
    """It has never heard of vhint."""
    system, packages = "bare", ("cloud-init", "dracut-core", "qemu-guest-agent")

    def boot_appended(self, initrd):
        out = self.path("initrd")
        subprocess.run([os.path.join(TOP, "images/append"), "--injector",
                        os.path.join(self.host, "usr/libexec/vhint/guest/vhint-injector"), initrd, out], check=True)
        self.serve()
        self.wait_pinned(self.boot("cloud-init=disabled", out))

    def test_appended_initrd(self):
        """The distribution's own initrd, and what images/append puts behind it."""
        self.boot_appended(self.initrd)

    def test_appended_initrd_of_dracut(self):
        release = os.path.basename(self.kernel).removeprefix("vmlinuz-")
        made = chroot(self.root, "dracut", "--force", "--no-hostonly", "--kver", release, "/boot/initrd.dracut")
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        self.boot_appended(os.path.join(self.root, "boot/initrd.dracut"))

    def test_cloud_init(self):
        """docs/guests.md's user-data, and a drive with the package."""
        with open(os.path.join(TOP, "docs/guests.md")) as file:
            user_data, = re.findall(r"^```yaml\n(.*?)^```$", file.read(), re.M | re.S)
        os.mkdir(self.path("seed"))
        for name, text in (("user-data", user_data), ("meta-data", "instance-id: one\n")):
            with open(self.path(f"seed/{name}"), "w") as file:
                file.write(text)
        package, = glob.glob(os.path.join(PACKAGES, "vhint-injector_*.deb"))
        shutil.copy(package, self.path("seed/vhint-injector.deb"))
        self.serve()
        # It makes the initramfs anew, for which an emulated machine takes its time.
        self.wait_pinned(self.boot("network-config=disabled", arguments=[
            "-drive", f"if=virtio,format=raw,readonly=on,file.driver=vvfat,file.dir={self.path('seed')},file.label=cidata"]), 900)

    def test_bootstrap(self):
        self.serve()
        qemu = self.boot("cloud-init=disabled")
        wait_for(lambda: os.path.exists(self.path("serial")), 20, "the guest starts")

        def brought_in():
            systems.check_alive(qemu)
            self.told = chroot(self.host, "vhintctl", "--json", "bootstrap", "full")
            return self.told.returncode == 0 or "does not answer" not in self.told.stderr and "cannot reach" not in self.told.stderr
        wait_for(brought_in, 300, "the guest agent answers")
        self.assertEqual(self.told.returncode, 0, self.told.stderr)
        result = json.loads(self.told.stdout)
        # Debian mounts /run so that programs do not run from it.
        self.assertEqual((result["how"], result["path"]), ("systemd", "/var/lib/vhint-injector/vhint-injector"))
        self.wait_pinned(qemu)
