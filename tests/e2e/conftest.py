# SPDX-License-Identifier: GPL-2.0-or-later
"""Classes of guest tests, each with its settings: a class becomes one or several, "Pin", "Pin[bullseye]", "Pin[sanitized]".

Attributes of a class say with which. `every_kernel`: true for all kernels asked for, "all" for all where all are asked for;
otherwise the first alone. `sanitized`: where there is a build under sanitizers, its vhintd serves the class, and not the plain
one. `threads`: where there is a build under ThreadSanitizer, its vhintd serves the class, too."""
import fcntl
import functools
import os
import unittest

import pytest
from _pytest.unittest import UnitTestCase

from vhtest import build_image, process, setting, witness

ALL_KERNELS = ["bookworm", "bullseye", "bookworm-backports", "sid"]
SANITIZED_SLOWNESS = 2
THREADS_SLOWNESS = 4


@functools.cache
def _build_image(kernel):
    """Once in this process, and by one process at a time."""
    os.makedirs(os.path.join(setting.BUILD, "images"), exist_ok=True)
    with open(os.path.join(setting.BUILD, "images", f"{kernel}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_image(kernel)


class Keeper:
    """A test's result, for unittest; keeps what the witnesses say of a failure before they are gone."""

    def __init__(self, result):
        self.result = result

    def __getattr__(self, name):
        return getattr(self.result, name)

    def addError(self, test, error):
        witness.keep()
        self.result.addError(test, error)

    def addFailure(self, test, error):
        witness.keep()
        self.result.addFailure(test, error)


def built(directory, slowness):
    """The host's programs of another build."""
    return {"host_build": os.path.realpath(os.path.join(setting.TOP, directory)), "slowness": max(slowness, setting.BASE_SLOWNESS)}


def settings(cls, option):
    """[(label, {"kernel", "host_build", "slowness"})] that the class runs with."""
    kernels = ALL_KERNELS if option.kernels == "all" else option.kernels.split(",")
    every = getattr(cls, "every_kernel", False)
    plain = {"host_build": setting.BUILD, "slowness": setting.BASE_SLOWNESS}
    if option.sanitized and getattr(cls, "sanitized", False):
        plain = built(option.sanitized, SANITIZED_SLOWNESS)
        yield "[sanitized]", {"kernel": kernels[0], **plain}
    else:
        yield "", {"kernel": kernels[0], **plain}
    if option.threads and getattr(cls, "threads", False):
        yield "[threads]", {"kernel": kernels[0], **built(option.threads, THREADS_SLOWNESS)}
    if every is True or every == "all" and option.kernels == "all":
        for kernel in kernels[1:]:
            yield f"[{kernel}]", {"kernel": kernel, **plain}


def make_class(cls, label, values):
    def run(self, result=None):
        return cls.run(self, Keeper(result))
    return type(cls.__name__ + label, (cls,), {"__module__": cls.__module__, "run": run, "its_setting": values})


def pytest_pycollect_makeitem(collector, name, obj):
    if not (isinstance(obj, type) and issubclass(obj, unittest.TestCase)):
        return None
    if obj.__module__ != collector.obj.__name__:  # imported, to be inherited from
        return []
    made = []
    for label, values in settings(obj, collector.config.option):
        made.append(UnitTestCase.from_parent(collector, name=obj.__name__ + label))
        made[-1].obj = make_class(obj, label, values)
    return made


@pytest.fixture(scope="class", autouse=True)
def _setting(request):
    """Of the class; what it started ends with it."""
    if os.geteuid():
        pytest.fail("needs root: the daemon changes other threads' CPU masks")
    setting.use(**request.cls.its_setting)
    _build_image(setting.kernel)
    yield
    process.clean_up()
