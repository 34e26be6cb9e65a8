# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that have booted, saved once and resumed by every later test: a stock kernel's boot takes seconds under TCG.

What resumes is the same kernel and the same machine at the moment its injector waited on the port, with or without the
affinity program. A state belongs to one image, one command line of QEMU and that program; VH_STATES names the directory,
without it every guest boots."""
import contextlib
import fcntl
import functools
import glob
import hashlib
import os
import socket

from . import setting
from .process import Failure, wait_for

DIRECTORY = os.environ.get("VH_STATES", "")


@functools.cache
def _digest(*files):
    digest = hashlib.sha256()
    for name in files:
        with open(name, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def _image_digest(image):
    return _digest(*(os.path.join(image, name) for name in ("vmlinuz", "initrd")))


def path_of(image, argv, *programs):
    """Where the state of this machine with these programs (files) is, or would be."""
    arguments = hashlib.sha256("\0".join([*argv, *map(_digest, programs)]).encode()).hexdigest()[:16]
    return os.path.join(DIRECTORY, f"{os.path.basename(image)}.{_image_digest(image)}.{arguments}")


@contextlib.contextmanager
def locked(path):
    """While the state is made, others of the same wait for it."""
    os.makedirs(DIRECTORY, exist_ok=True)
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# Of a QEMU whose machine is to be saved: whoever loads it lets it run, although it stood still when it was saved.
TO_BE_SAVED = ["-global", "migration.store-global-state=off"]


def save(call, path, sock):
    """Keeps the machine's state, which ends it; its QEMU was started with TO_BE_SAVED. It stands still meanwhile: what a guest
    writes while it is copied, TCG does not always notice, and what resumed then was a kernel that panics. `call` is its
    monitor's, `sock` a path for a socket. States of the same image's former contents are removed."""
    kernel, digest, _ = os.path.basename(path).rsplit(".", 2)
    for old in glob.glob(os.path.join(glob.escape(DIRECTORY), f"{kernel}.*")):
        if not os.path.basename(old).startswith(f"{kernel}.{digest}."):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(old)
    part = f"{path}.{os.getpid()}.part"
    with socket.socket(socket.AF_UNIX) as server, open(part, "wb") as file:
        server.bind(sock)
        server.listen(1)
        server.settimeout(20 * setting.slowness)
        call("stop")
        call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        call("migrate", uri=f"unix:{sock}")
        stream, _ = server.accept()
        with stream:
            stream.settimeout(20 * setting.slowness)
            while data := stream.recv(1 << 20):
                file.write(data)
    os.unlink(sock)
    outcome = wait_for(lambda: status if (status := call("query-migrate")["status"]) in ("completed", "failed")
                       else None, 20, "the guest's state is saved")
    if outcome == "failed":
        raise Failure(f"the guest's state cannot be saved: {call('query-migrate').get('error-desc', '')}")
    os.rename(part, path)


def arguments(sock):
    """What makes QEMU wait for a state."""
    return ["-incoming", f"unix:{sock}"]


def load(path, sock):
    """Gives the state to a QEMU that waits for it."""
    with socket.socket(socket.AF_UNIX) as stream, open(path, "rb") as file:
        stream.connect(sock)
        stream.sendfile(file)
