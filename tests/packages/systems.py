# SPDX-License-Identifier: GPL-2.0-or-later
"""Clean Debian systems with the packages under test, and machines that boot them."""
import functools
import glob
import os
import subprocess

import vhtest
from vhtest import TOP, Process, process

# Where the packages are.
PACKAGES = os.path.realpath(os.environ.get("VH_PACKAGES", os.path.join(TOP, "build-deb")))
SUITE = "bookworm"
# Where the systems are: conftest.py sees to it.
WORK = os.environ.get("VH_PACKAGES_WORK")


def mirror():
    """As images/fetch: what the machine's own apt uses."""
    if "VHINT_MIRROR" in os.environ:
        return os.environ["VHINT_MIRROR"]
    out = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(COMPONENT)|$(CODENAME)|$(LABEL)"],
                         capture_output=True, text=True).stdout
    for line in out.splitlines():
        uri, component, codename, label = line.split("|")
        if component == "main" and codename == SUITE and label == "Debian":
            return uri
    raise vhtest.Failure(f"apt tells of no archive that has {SUITE}: set VHINT_MIRROR to the address of one")


@functools.lru_cache(maxsize=None)
def make_system(name, *packages):
    """A directory with a clean system that has these packages, ours among them from PACKAGES."""
    root = os.path.join(WORK, name)
    if os.path.isdir(root):
        return root
    with open(os.path.join(PACKAGES, "Packages"), "w") as file:
        subprocess.run(["dpkg-scanpackages", "."], cwd=PACKAGES, stdout=file, stderr=subprocess.DEVNULL, check=True)
    done = subprocess.run(["unshare", "-m", "mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", SUITE, root,
                           f"deb {mirror()} {SUITE} main", f"deb [trusted=yes] copy://{PACKAGES} ./"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise vhtest.Failure(f"mmdebstrap: {done.stdout[-4000:]}")
    return root


def chroot(root, *argv):
    return subprocess.run(["chroot", root, *argv], capture_output=True, text=True,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})


class Booted:
    """A Debian with systemd, udev and its own initramfs, and what `packages` says, in a machine."""

    @classmethod
    def setUpClass(cls):
        cls.root = make_system(cls.system, *cls.packages, "systemd-sysv", "udev", "kmod", "initramfs-tools",
                               "linux-image-cloud-amd64")
        cls.prepare()
        cls.initrd = max(glob.glob(os.path.join(cls.root, "boot/initrd.img-*")))
        cls.kernel = max(glob.glob(os.path.join(cls.root, "boot/vmlinuz-*")))
        cls.disk = os.path.join(WORK, f"{cls.system}.ext4")
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", cls.root, cls.disk, "3G"], check=True)

    @classmethod
    def prepare(cls):
        """Changes the system before it becomes a disk."""

    @classmethod
    def write(cls, path, text):
        """A file of the system's."""
        path = os.path.join(cls.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    @classmethod
    def machine(cls, directory, append="", initrd=None, arguments=()):
        """A QEMU with the files serial and qmp, and whatever else `arguments` name, in the directory. What is written to its disk
        is lost."""
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35", *vhtest.accelerator(),
                "-name", "full,debug-threads=on", "-smp", "4", "-m", "1024", "-display", "none", "-snapshot",
                "-kernel", cls.kernel, "-initrd", initrd or cls.initrd,
                "-append", f"root=/dev/vda rw console=ttyS0 panic=0 no_timer_check {append}",
                "-drive", f"file={cls.disk},if=virtio,format=raw", "-serial", f"file:{directory}/serial",
                "-qmp", f"unix:{directory}/qmp,server=on,wait=off", "-device", "virtio-serial-pci", *arguments]
        return Process(argv, os.path.join(directory, "qemu.log"))


def port(directory, name, port_name):
    """QEMU's arguments for a virtio-serial port and its socket `name`."""
    return ["-chardev", f"socket,id={name},path={directory}/{name},server=on,wait=off",
            "-device", f"virtserialport,id={name},chardev={name},name={port_name}"]


def check_alive(qemu):
    if not qemu.alive():
        raise vhtest.Failure(f"QEMU ended: {process.tail(qemu.log)}")
