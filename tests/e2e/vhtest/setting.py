# SPDX-License-Identifier: GPL-2.0-or-later
"""What the present class of tests runs with: a guest kernel, a build of the host's programs, how slow all of that is.

conftest.py chooses anew before each class, so who needs these asks when they need them: `setting.kernel`, never a copy of it."""
import os

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.path.realpath(os.environ.get("VH_BUILD", os.path.join(TOP, "build")))
BASE_SLOWNESS = float(os.environ.get("VH_SLOWNESS", "1"))

# The suite that the guest's kernel is of.
kernel = os.environ.get("VH_KERNEL", "bookworm")
# Where vhintd comes from: another build than all else for a run under sanitizers.
host_build = os.path.realpath(os.environ.get("VH_HOST_BUILD", BUILD))
# Deadlines are for a quiet machine and the plain build; a slower setting multiplies them.
slowness = BASE_SLOWNESS


def use(**values):
    """Changes what is named: use(kernel="sid")."""
    for name, value in values.items():
        assert name in ("kernel", "host_build", "slowness"), name
        globals()[name] = value


def sanitized():
    """Whether the host's programs are a build under sanitizers."""
    return host_build != BUILD


def vhintd():
    return os.path.join(host_build, "host/vhintd")


def hook():
    return os.path.join(host_build, "host/vhint-libvirt-hook")


def unit():
    """vhintd's unit file."""
    return os.path.join(host_build, "data/vhintd.service")


def plain_name(cls):
    """Of a class of tests, without what says with which setting it runs: "Pin" of "Pin[sid]"."""
    return cls.__name__.partition("[")[0]
