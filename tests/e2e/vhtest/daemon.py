# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs vhintd for guests of a test, and asks it things through vhintctl."""
import contextlib
import glob
import json
import os
import socket
import struct
import subprocess
import threading

from . import ctl, process, setting, witness
from .guest import INJECTOR
from .process import Failure, Process, format_cpus, wait_for
from .setting import BUILD

VHINTCTL = os.path.join(BUILD, "host/vhintctl")

ENVIRONMENT = dict(os.environ, ASAN_OPTIONS="abort_on_error=1", UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1",
                   TSAN_OPTIONS="exitcode=0", G_SLICE="always-malloc")


# The shell becomes vhintd, so its /proc/$$ is vhintd's.
MOUNT = """while [ "$1" != -- ]; do
    case $2 in /proc/self/*) at=/proc/$$/${2#/proc/self/} ;; *) at=$2 ;; esac
    mount --bind "$1" "$at" || exit 1
    shift 2
done
shift
exec "$@\""""


def read(path):
    """The first line of a file that may be gone, or closed to us."""
    with contextlib.suppress(OSError), open(path) as file:
        return file.readline().rstrip("\n")
    return "?"


def read_journal(path):
    """The steps that a journal tells of; a line that is being written is none yet."""
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


class Daemon:
    """vhintd with a configuration of its own; a context manager. State outlives stop() and kill() until close()."""

    saved = "run/saved/masks"  # beside the control socket

    def __init__(self, *guests, programs="affinity", pool=None, directory=None):
        self.directory = directory or process.temporary_directory()
        self.guests = {guest.name: guest for guest in guests}
        self.programs = programs
        self.pool = format_cpus(os.sched_getaffinity(0)) if pool is None else pool
        self.process = None
        self.watches = 0
        self.prefix = []  # of vhintd's command line
        self.mounts = {}  # path -> the file that vhintd sees there; /proc/self is its own
        self.binary = setting.vhintd()
        self.timeout = 30  # s, of its warden's patience once it is gone
        self.environment = dict(ENVIRONMENT)
        self.keys = ""  # of [daemon], more than the tests' own
        self.sections = ""  # of its configuration, more than the tests' own
        self.control = self.path("control")
        self.config = self.path("vhint.conf")
        self.log = self.path("vhintd.log")
        self.journal = self.path("run/journal")
        self.log_from = 0  # of the present vhintd's

    def path(self, name):
        return os.path.join(self.directory, name)

    def log_files(self):
        return [self.log, self.journal]

    def grave(self):
        witness.accuse("vhintd", witness.find(self.log, witness.REPORT))

    def logs(self):
        return (f"--- vhintd\n{witness.told(self.log)}\n--- its journal\n{witness.told(self.journal)}\n--- where it waits\n{self._waits()}"
                f"\n--- what it says of its guests\n{self._says()}")

    def _waits(self):
        """Of each of its threads: which system call, and where in the kernel."""
        return "\n".join(" ".join(read(os.path.join(task, name)) for name in ("comm", "syscall", "wchan"))
                         for task in glob.glob(f"/proc/{self.pid()}/task/*"))

    def _says(self):
        try:
            return self.call("guests", timeout=5).stdout if self.pid() else "it does not run"
        except subprocess.TimeoutExpired:
            return "it does not answer"

    def pid(self):
        """0: it does not run."""
        return self.process.pid if self.process and self.process.alive() else 0

    def __enter__(self):
        try:
            return self.start()
        except Exception as error:
            logs = self.logs()  # gone with the directory
            self.close(quietly=True)
            raise Failure(f"{error}\n{logs}") from error
        except BaseException:
            self.close(quietly=True)
            raise

    def __exit__(self, kind, *_):
        if kind:
            witness.witnesses.append(witness.Words(self.logs()))
        self.close(quietly=kind is not None)

    def serve_metrics(self):
        """From its next start on; the port of 127.0.0.1."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        self.keys = f"metrics=127.0.0.1:{port}\n"
        return port

    def write_config(self):
        for name in ("run", "state"):
            os.makedirs(self.path(name), exist_ok=True)
        with open(self.config, "w") as file:
            file.write(f"[daemon]\nrun-dir={self.path('run')}\nstate-dir={self.path('state')}\n"
                       f"control={self.control}\nprogram-dir={os.path.join(BUILD, 'guest-bpf')}\ninjector={INJECTOR}\n"
                       f"successor-timeout={self.timeout}\n{self.keys}")
            self.write_guests(file)
            file.write(self.sections)

    def write_guests(self, file):
        for name, guest in self.guests.items():
            file.write(f"\n[guest {name}]\nqmp={guest.qmp_path}\nchannel={guest.channel_path}\n"
                       f"pool={self.pool}\n")
            if self.programs:
                file.write(f"programs={self.programs}\n")

    def start(self, wait=True):
        """Starts vhintd; returns once every guest is connected and runs its programs."""
        if self not in witness.witnesses:
            witness.witnesses.append(self)
        self.write_config()
        self.log_from = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.process = Process(self.prefix + self._mounting() + [self.binary, "--config", self.config], self.log, self.environment)
        wait_for(self._serves, 15, "vhintd answers on its control socket")
        if wait:
            for name in self.guests:
                self.wait_ready(name)
        return self

    def _mounting(self):
        argv = [word for path, file in self.mounts.items() for word in (file, path)]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh", *argv, "--"] if argv else []

    def _serves(self):
        if not self.process.alive():
            raise Failure(f"vhintd ended with {self.process.popen.returncode}")
        return self.answers()

    def answers(self):
        with open(self.log) as file:
            file.seek(self.log_from)
            return "vhintd: ready" in file.read()

    def applied(self):
        """How many of the former states that it keeps say that something is to be put back."""
        with open(os.path.join(os.path.dirname(self.control), self.saved), "rb") as file:
            data = file.read()
        size, _, used = struct.unpack_from("<III", data, 8)
        return sum(struct.unpack_from("<I", data, 64 + slot * size)[0] == 2 for slot in range(used))

    def kill(self):
        """kill -9, at any moment."""
        self.process.end(sig=9)
        self.process = None

    def restore(self, **arguments):
        """vhintd --restore, of what this one has left; as subprocess.run has it."""
        arguments = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT, **arguments}
        masks = os.path.join(os.path.dirname(self.control), self.saved)
        return subprocess.run([self.binary, "--restore", masks], text=True, timeout=60 * setting.slowness, **arguments)

    def stop(self):
        """SIGTERM; its exit status must be 0 (sanitizers report through it too)."""
        running, self.process = self.process, None
        status = running.end()
        if status:
            raise Failure(f"vhintd ended with {status} on SIGTERM:\n{witness.told(self.log)}")

    def close(self, quietly=False):
        try:
            if self.process and quietly:
                self.process.end(sig=9)
                self.process = None
            elif self.process:
                self.stop()
        finally:
            self.grave()
            if self in witness.witnesses:
                witness.witnesses.remove(self)
            process.remove_directory(self.directory)

    def cpu_time(self):
        return process.cpu_time(self.process.pid)

    def memory(self):
        """Bytes that it has in memory."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def steps(self, what=""):
        """Those that its journal tells of, and whose names begin so."""
        return [step for step in read_journal(self.journal) if step["what"].startswith(what)]

    # vhintctl

    def call(self, *args, timeout=None):
        """Runs vhintctl to its end, whatever its exit status."""
        argv = [VHINTCTL, "--socket", self.control, *map(str, args)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout or 60 * setting.slowness,
                              env=ENVIRONMENT)

    def ask(self, *args):
        """The same without starting it, for what is asked often."""
        if threading.current_thread() is threading.main_thread():
            return ctl.run(["--socket", self.control, *map(str, args)])
        return self.call(*args)

    def ctl(self, *args):
        """vhintctl --json; what it printed, parsed (None when nothing). Fails with its message when it fails."""
        result = self.ask("--json", *args)
        if result.returncode:
            raise Failure(f"vhintctl {' '.join(map(str, args))}: exit status {result.returncode}: {result.stderr}")
        return json.loads(result.stdout) if result.stdout.strip() else None

    def watch(self, guest="guest"):
        """vhintctl --json watch in the background; a Watch that has begun, of which hints of the affinity program about
        short tasks are the sign."""
        self.watches += 1
        watch = Watch([VHINTCTL, "--socket", self.control, "--json", "watch", guest],
                      self.path(f"watch{self.watches}.log"))
        wait_for(lambda: self.guests[guest].run("taskset -c 0 true") and watch.lines(), 10, "vhintctl watch begins")
        return watch

    def guest(self, name="guest"):
        return next(guest for guest in self.ctl("guests") if guest["name"] == name)

    def program(self, program, guest="guest"):
        """The entry of ListPrograms, or None."""
        return next((p for p in self.ctl("programs", guest) if p["name"] == program), None)

    def wait_ready(self, guest="guest", timeout=30):
        """Until the guest is connected and every program wanted there runs."""
        def ready():
            if not self.guest(guest)["connected"]:
                return False
            programs = self.ctl("programs", guest)
            refused = [p for p in programs if p["state"] == "refused"]
            if refused:
                raise Failure(f"{guest} refused {refused[0]['name']}: {refused[0]['problem']}")
            wanted = len(self.programs.split(",")) if self.programs else 0
            return len(programs) >= wanted and all(p["state"] == "running" for p in programs)
        wait_for(ready, timeout, f"{guest} is connected and runs its programs")


class Watch:
    """A running `vhintctl watch`: its lines so far, parsed."""

    def __init__(self, argv, log):
        self.log = log
        self.process = Process(argv, log, ENVIRONMENT)

    def lines(self):
        with open(self.log, errors="replace") as file:
            complete = file.read().rpartition("\n")[0]
        return [json.loads(line) for line in complete.splitlines() if line.startswith("{")]

    def wait(self, condition, timeout, what):
        """The first line for which condition is true."""
        return wait_for(lambda: next((line for line in self.lines() if condition(line)), None), timeout, what)

    def end(self):
        self.process.end()
