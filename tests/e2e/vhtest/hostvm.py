# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up host: a machine with a topology of its own, in which vhintd, vhintctl and these very tests run.

Its image has what a guest's has, and in /vhint the daemon, its programs, and the tests with Python beside them. Each test of a
HostVmCase is run there, in a process of its own (inside.py), and counts here as what it was there."""
import fcntl
import importlib.util
import json
import marshal
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import unittest
import zipfile

from . import ctl, setting, witness
from .daemon import VHINTCTL
from .guest import Guest, accelerator, build_image
from .process import Failure
from .setting import BUILD, TOP

THERE = "/vhint"  # where all of it is in the machine
INSIDE = "VH_INSIDE" in os.environ
ASK = "/run/tests"  # there, of inside.py
SLOWNESS = 3  # of the machine, compared with this one
# Goes before the agent's own start: a machine that runs commands runs tests.
START = f"""#!/bin/sh
mkdir {ASK}
cd {THERE}/tests/e2e
/usr/bin/python3 -S -B -m vhtest.inside {ASK} MODULES &
while [ ! -p {ASK}/told ]; do
    kill -0 $! || exit
    sleep 0.02
done
exec vhint-agent
"""
E2E = os.path.join(TOP, "tests/e2e")
LIBRARY = sysconfig.get_path("stdlib")
LEFT_OUT = {"test", "tests", "idlelib", "lib2to3", "ensurepip", "distutils", "tkinter", "turtledemo", "pydoc_data",
            "dist-packages", "site-packages", "__pycache__"}


def _compiled(path, name):
    """A module, as Python keeps it."""
    try:
        with open(importlib.util.cache_from_source(path), "rb") as file:
            return file.read()
    except FileNotFoundError:
        with open(path, "rb") as file:
            return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(file.read(), name, "exec"))


def _pack_library(path):
    """Python's standard library, compiled, as the archive that Python looks into by itself."""
    with zipfile.ZipFile(path, "w") as archive:
        for directory, names, files in os.walk(LIBRARY):
            names[:] = sorted(set(names) - LEFT_OUT)
            for file in sorted(file for file in files if file.endswith(".py")):
                name = os.path.relpath(os.path.join(directory, file), LIBRARY)
                archive.writestr(zipfile.ZipInfo(name + "c"), _compiled(os.path.join(directory, file), name))


def _libraries(path):
    """The shared libraries, and the linker, that a program needs."""
    text = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", text)


def _own_files():
    """{where it is: where it is in the machine}, of what is built here."""
    files = {setting.vhintd(): f"{THERE}/build/host/vhintd", VHINTCTL: f"{THERE}/build/host/vhintctl",
             ctl.SERVER: f"{THERE}/build/tests/e2e/vhintctl-server",
             os.path.join(BUILD, "tests/guest/agent"): "/bin/vhint-agent"}
    for directory, pattern in (("guest-bpf", r"\.bpf\.o$"), ("tests/bench", r"^hogs$")):
        files |= {os.path.join(BUILD, directory, name): f"{THERE}/build/{directory}/{name}"
                  for name in os.listdir(os.path.join(BUILD, directory)) if re.search(pattern, name)}
    for directory, _, names in os.walk(E2E):
        files |= {os.path.join(directory, name): os.path.join(THERE, "tests/e2e", os.path.relpath(directory, E2E), name)
                  for name in names if name.endswith(".py")}
    return files


def _files():
    """The same with Python and the libraries, but for Python's standard library."""
    extensions = [module.__file__ for module in sys.modules.values()
                  if (getattr(module, "__file__", None) or "").startswith(LIBRARY) and module.__file__.endswith(".so")]
    files = _own_files()
    files |= {os.path.realpath(sys.executable): "/usr/bin/python3"}
    files |= {path: f"/usr/lib/python{sysconfig.get_python_version()}/lib-dynload/{os.path.basename(path)}"
              for path in extensions}
    dynamic = [setting.vhintd(), VHINTCTL, ctl.SERVER, os.path.realpath(sys.executable), *extensions]
    return files | {library: library for path in dynamic for library in _libraries(path)}


def _stamp():
    """Changes whenever the image would: what it has beside its own files is of packages, or in every image."""
    others = [os.path.join(directory, name) for directory in (os.path.join(TOP, "images"), os.path.join(BUILD, "images", setting.kernel))
              for name in os.listdir(directory)]
    stamp = []
    for path in sorted(filter(os.path.isfile, [*_own_files(), *others, "/var/lib/dpkg/status"])):
        status = os.stat(path)
        stamp.append(f"{path} {status.st_size} {status.st_mtime_ns}\n")
    return "".join(stamp)


def build_host_image(modules):
    """Builds the machine's image, which runs the tests of these modules, unless it is there: that takes longer than many a
    test. Returns its directory."""
    out = os.path.join(BUILD, "images", f"host-{setting.kernel}")
    os.makedirs(out, exist_ok=True)
    with open(out + ".lock", "w") as lock, open(os.path.join(out, "made-of"), "a+") as made_of:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = " ".join(modules) + "\n" + _stamp()
        made_of.seek(0)
        if made_of.read() == stamp:
            return out
        made_of.truncate(0)
        library = os.path.join(out, "python.zip")
        _pack_library(library)
        start = os.path.join(out, "start")
        with open(start, "w") as file:
            file.write(START.replace("MODULES", " ".join(modules)))
        os.chmod(start, 0o755)
        files = _files() | {library: f"/usr/lib/python{sysconfig.get_config_var('py_version_nodot')}.zip",
                            start: "/bin/vhint-test-agent"}
        build_image(out=out, add=[f"{path}:{os.path.normpath(there)}" for path, there in files.items()], injector=False)
        made_of.write(stamp)
    return out


class HostVm(Guest):
    """Two sockets, each an L3 and a NUMA node of two cores with two threads: CPUs 0 to 3 and 4 to 7."""

    def __init__(self, *modules):
        half = 224  # MiB
        cpu = re.sub("^max", "max,vendor=GenuineIntel", accelerator()[-1])  # whose L3 the kernel believes QEMU
        # Of what the kernel does not know it makes its first process's environment.
        environment = (f"VH_INSIDE=1 VH_BUILD={THERE}/build VH_SLOWNESS={SLOWNESS * setting.slowness:g} PYTHONHOME=/usr")
        numa = [word for node in (0, 1) for word in (
            "-object", f"memory-backend-ram,id=node{node},size={half}M",
            "-numa", f"node,nodeid={node},cpus={4 * node}-{4 * node + 3},memdev=node{node}")]
        super().__init__(smp="8,sockets=2,cores=2,threads=2", memory=2 * half, image=build_host_image(modules),
                         append=f"vhint.injector=0 mitigations=off {environment}", arguments=["-cpu", cpu, *numa], name="host")

    def run_test(self, test):
        """Runs a test there; what came of it, as its Report tells."""
        result = self.run(f"echo {shlex.quote(test)} >{ASK}/ask; cat {ASK}/told; echo; cat {ASK}/output",
                          timeout=60 * SLOWNESS, check=False)
        report, _, output = result.output.partition("\n")
        try:
            return json.loads(report)
        except ValueError:
            raise Failure(f"the test's process has not told what came of it:\n{report}{output}") from None


class HostVmCase(unittest.TestCase):
    """Its tests are run in a HostVm. What is inherited by setUp and so on happens there, too."""

    @classmethod
    def setUpClass(cls):
        cls.host = None if INSIDE else cls.enterClassContext(HostVm(cls.__module__))

    def run(self, result=None):
        if INSIDE:
            return super().run(result)
        result.startTest(self)
        try:
            told = self.host.run_test(f"{type(self).__module__}.{setting.plain_name(type(self))}.{self._testMethodName}")
            for grave in told["graves"]:
                witness.accuse("there", grave)
            witness.second_tries += told["second_tries"]
            if told["outcome"] == "failed":
                raise Failure(f"{told['why']}\n{told['text']}")
            if told["outcome"] == "skipped":
                result.addSkip(self, told["text"])
            else:
                result.addSuccess(self)
        except Failure:
            result.addFailure(self, sys.exc_info())
        finally:
            result.stopTest(self)
        return result
