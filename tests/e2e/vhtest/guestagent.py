# SPDX-License-Identifier: GPL-2.0-or-later
"""The distribution's QEMU guest agent in a test guest that has no injector."""
import fcntl
import os
import re
import subprocess

from . import setting
from .guest import build_image
from .setting import BUILD, TOP
from .process import Failure, wait_for

PORT = "org.qemu.guest_agent.0"


def _files():
    """The agent and its libraries, as build_image adds files. Libraries are this machine's: they are of the same suite."""
    directory = os.path.join(BUILD, "qemu-ga")
    program = os.path.join(directory, "usr/sbin/qemu-ga")
    done = subprocess.run([os.path.join(TOP, "images/fetch"), os.path.join(TOP, "cache"), "bookworm", "qemu-guest-agent"],
                          capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"images/fetch: {done.stderr}")
    subprocess.run(["dpkg-deb", "-x", done.stdout.strip(), directory], check=True)
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    if missing := re.findall(r"(\S+) => not found", libraries):
        raise Failure(f"qemu-ga needs {', '.join(missing)}, which this machine does not have")
    return [f"{program}:/bin/qemu-ga", *(f"{os.path.realpath(path)}:{path}" for path in re.findall(r"(/\S+) \(", libraries))]


def image():
    """The directory of an image with a guest agent and without an injector."""
    out = os.path.join(BUILD, "images", f"{setting.kernel}-agent")
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_image(out=out, add=_files(), injector=False)


class GuestAgent:
    """A qemu-ga that runs in a guest, with these further arguments."""

    def __init__(self, guest, *arguments):
        self.guest = guest
        device = guest.output(f"cd /sys/class/virtio-ports && grep -lx {PORT} */name").partition("/")[0]
        self.process = guest.start_command(f"exec qemu-ga -m virtio-serial -p /dev/{device} -t /run -f /run/qemu-ga.pid "
                                           f"{' '.join(arguments)}")
        wait_for(self._has_port, 20, "the guest agent opens its port")

    def _has_port(self):
        if self.process.done():
            raise Failure(f"qemu-ga ended: {self.process.result.output}")
        return self.guest.run(f"ls -l /proc/{self.process.pid}/fd | grep -q vport", check=False).code == 0

    def end(self):
        if not self.process.done():
            self.process.kill()
