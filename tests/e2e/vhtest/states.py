# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that have booted, saved once and resumed by every later test: a stock kernel's boot takes seconds under TCG.

What resumes is the same kernel and the same machine at the moment its injector waited on the port. A state belongs to
one image and one command line of QEMU; VH_STATES names the directory, without it every guest boots."""
import contextlib
import fcntl
import glob
import hashlib
import os

from . import process
from .process import Failure, wait_for

DIRECTORY = os.environ.get("VH_STATES", "")
_digests = {}


def _digest(image):
    if image not in _digests:
        digest = hashlib.sha256()
        for name in ("vmlinuz", "initrd"):
            with open(os.path.join(image, name), "rb") as file:
                digest.update(file.read())
        _digests[image] = digest.hexdigest()[:16]
    return _digests[image]


def path_of(image, argv):
    """Where the state of this machine is, or would be."""
    arguments = hashlib.sha256("\0".join(argv).encode()).hexdigest()[:16]
    return os.path.join(DIRECTORY, f"{os.path.basename(image)}.{_digest(image)}.{arguments}")


@contextlib.contextmanager
def locked(path):
    """While the state is made, others of the same wait for it."""
    os.makedirs(DIRECTORY, exist_ok=True)
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def save(qmp, path):
    """Leaves the machine stopped. States of the same image's former contents are removed."""
    kernel, digest, _ = os.path.basename(path).rsplit(".", 2)
    for old in glob.glob(os.path.join(glob.escape(DIRECTORY), f"{kernel}.*")):
        if not os.path.basename(old).startswith(f"{kernel}.{digest}."):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(old)
    part = f"{path}.{os.getpid()}.part"
    qmp.call("stop")
    qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    qmp.call("migrate", uri=f"exec:cat > '{part}'")
    outcome = wait_for(lambda: status if (status := qmp.call("query-migrate")["status"]) in ("completed", "failed")
                       else None, 60, "the guest's state is saved")
    if outcome == "failed":
        raise Failure(f"the guest's state cannot be saved: {qmp.call('query-migrate').get('error-desc', '')}")
    os.rename(part, path)


def arguments(path):
    """What makes QEMU start from the state, stopped."""
    return ["-incoming", f"exec:cat '{path}'"]


def resume(qmp):
    wait_for(lambda: qmp.call("query-status")["status"] == "paused", 20 * process.SLOWNESS, "the saved guest is loaded")
    qmp.call("cont")
