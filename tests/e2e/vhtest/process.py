# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that end with the test, temporary directories, waiting, and what the host's kernel says of threads."""
import atexit
import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from . import setting, witness

libc = ctypes.CDLL(None, use_errno=True)
_running = []
_directories = []

# Processes that end others once their stdin is closed; what they need for that is in the directories.
keepers = []

# Called, once, when all that a class of tests has started is ended.
endings = []

CLONE3 = 435  # x86-64

CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS}


class Failure(AssertionError):
    """The system under test did not do what it should."""


def _die_with_parent():
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: even a killed test leaves nothing running


class Process:
    """A child process with its output in a file. Must be started from the main thread: children end with the thread that
    made them."""

    def __init__(self, argv, log, env=None):
        self.argv = [str(arg) for arg in argv]
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                          preexec_fn=_die_with_parent)
        self.pid = self.popen.pid
        _running.append(self)

    def alive(self):
        return self.popen.poll() is None

    def end(self, sig=signal.SIGTERM, timeout=10):
        """Sends the signal and waits; returns the exit status. A process that does not end is killed and reported."""
        try:
            if self.alive():
                self.popen.send_signal(sig)
            self.popen.wait(timeout * setting.slowness)
            if -self.popen.returncode in CRASHES - {sig}:
                witness.accuse(os.path.basename(self.argv[0]), f"ended by {signal.Signals(-self.popen.returncode).name}")
            return self.popen.returncode
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise Failure(f"{self.argv[0]} did not end within {timeout} s of signal {sig}") from None
        finally:
            if self in _running:
                _running.remove(self)


def cpu_time(pid):
    """s that all threads of a process have used, also those that have ended."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)


class Still:
    """Whether a process has used next to no CPU time for `seconds`: it waits for something that will not come."""

    def __init__(self, pid, seconds):
        self.pid = pid
        self.seconds = seconds
        self.since = time.monotonic()
        self.used = cpu_time(pid)

    def is_it(self):
        now, used = time.monotonic(), cpu_time(self.pid)
        if used - self.used >= 0.03:
            self.since, self.used = now, used
        return now - self.since > self.seconds * setting.slowness


def temporary_directory():
    path = tempfile.mkdtemp(prefix="vhtest.")
    _directories.append(path)
    return path


def remove_directory(path):
    shutil.rmtree(path, ignore_errors=True)
    if path in _directories:
        _directories.remove(path)


def end_keeper(keeper):
    keeper.stdin.close()
    keeper.wait()
    if keeper in keepers:
        keepers.remove(keeper)


def end_with_parent(sig, parent):
    """From now on `sig` comes when the process `parent`, which made this one, ends; at once if it has already."""
    libc.prctl(1, sig)
    if os.getppid() != parent:
        os.kill(os.getpid(), sig)


@atexit.register
def clean_up():
    while endings:
        endings.pop()()
    for process in list(_running):
        process.popen.kill()
        process.popen.wait()
    for keeper in list(keepers):
        end_keeper(keeper)
    for path in list(_directories):
        remove_directory(path)


def tail(path, lines=60):
    try:
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError as error:
        return f"({error})\n"


def wait_for(condition, deadline, what):
    """Calls condition until it returns something true, which is returned; fails after `deadline` seconds. A look that takes
    long is not soon taken again: what is waited for needs the CPU, too."""
    end = time.monotonic() + deadline * setting.slowness
    while True:
        begin = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > end:
            raise Failure(f"not within {deadline * setting.slowness:g} s: {what}")
        time.sleep(min(0.1, max(0.02, 3 * (now - begin))))


def stays(condition, seconds, what):
    """Fails as soon as condition is false within the next `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise Failure(f"did not stay so for {seconds:g} s: {what}")
        time.sleep(0.02)


class Chosen:
    """A process whose number the test chooses, as somebody may who has time: by clone3(2). A context manager; `pid` is
    nobody's before. It sleeps."""

    def __init__(self):
        self.pid = next(pid for pid in range(32000, 300, -1) if not os.path.exists(f"/proc/{pid}"))

    def __enter__(self):
        numbers = (ctypes.c_int * 1)(self.pid)
        arguments = (ctypes.c_uint64 * 11)()  # struct clone_args
        arguments[4], arguments[8], arguments[9] = signal.SIGCHLD, ctypes.addressof(numbers), 1
        got = libc.syscall(CLONE3, arguments, ctypes.sizeof(arguments))
        if got == 0:
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            os.execv("/bin/sleep", ["sleep", "1000"])
        if got != self.pid:
            raise Failure(f"no process can be given the number {self.pid}: {os.strerror(ctypes.get_errno())}")
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def send_as(pid, sock, data):
    """Sends `data` on a UNIX socket as if the process `pid` did, which is up to root (SCM_CREDENTIALS, unix(7))."""
    while data:
        data = data[sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS,
                                           struct.pack("iII", pid, os.getuid(), os.getgid()))]):]


def parse_cpus(text):
    """A set from the list format of cpuset(7): "0-2,5"."""
    cpus = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    return cpus


def format_cpus(cpus):
    """{0, 1, 2, 5} -> "0-2,5"."""
    parts = []
    for cpu in sorted(cpus):
        if parts and parts[-1][1] == cpu - 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def real_time_is_allowed():
    """Whether this host's settings let anybody be real-time, and throttle him."""
    with open("/proc/sys/kernel/sched_rt_runtime_us") as file:
        throttled = not file.read().startswith("-")
    return throttled and subprocess.run(["chrt", "-r", "1", "true"], stderr=subprocess.DEVNULL).returncode == 0


def thread_cpus(tid):
    """The CPUs that the host allows the thread, as a set; empty when there is no such thread."""
    try:
        with open(f"/proc/{tid}/status") as file:
            for line in file:
                if line.startswith("Cpus_allowed_list:"):
                    return parse_cpus(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return set()


class Samples:
    """What `look` returned, each time it was called while this is entered: `pause` seconds after the last."""

    def __init__(self, look, pause):
        self.look = look
        self.pause = pause
        self.taken = []
        self.over = threading.Event()
        self.sampler = threading.Thread(target=self._sample, daemon=True)

    def _sample(self):
        while not self.over.wait(self.pause):
            self.taken.append(self.look())

    def __enter__(self):
        self.sampler.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.sampler.join()
