# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs commands in a guest through tests/guest/agent.c."""
import queue
import socket
import struct
import threading
import time

from . import setting
from .process import Failure

_HEADER = struct.Struct("<IIiI")
_RUN, _STARTED, _DONE, _CLOCK = 1, 2, 3, 4


class Result:
    def __init__(self, code, output):
        self.code = code
        self.output = output


class Command:
    """A command running in the guest. `pid` is the shell's, or the program's own when the command says exec."""

    def __init__(self, agent, text):
        self.agent = agent
        self.text = text
        self.answers = queue.Queue()
        self.pid = None
        self.result = None

    def _next(self, timeout):
        end = time.monotonic() + timeout * setting.slowness
        while True:
            try:
                answer = self.answers.get(timeout=max(0, min(1, end - time.monotonic())))
                break
            except queue.Empty:
                self.agent.check()
            if time.monotonic() >= end:
                raise Failure(f"the guest did not answer within {timeout * setting.slowness:g} s: {self.text}") from None
        if answer is None:
            raise Failure(f"the guest went away: {self.text}")
        kind, value, data = answer
        if kind == _CLOCK:
            self.result = Result(0, struct.unpack("<Q", data)[0])
        elif kind == _STARTED:
            self.pid = value
        else:
            self.result = Result(value, data.decode(errors="replace"))

    def started(self, timeout=20):
        while self.pid is None and self.result is None:
            self._next(timeout)
        return self

    def done(self):
        """Whether the command has ended, without waiting for it."""
        while self.result is None and not self.answers.empty():
            self._next(1)
        return self.result is not None

    def wait(self, timeout=60):
        while self.result is None:
            self._next(timeout)
        return self.result

    def kill(self, signal=9):
        """Sends the signal and waits until the command has ended."""
        self.agent.run(f"kill -{signal} {self.pid}", check=False)
        return self.wait()


class Agent:
    """`check` raises what is wrong with a guest that does not answer."""

    def __init__(self, path, check=lambda: None):
        self.path = path
        self.check = check
        self.socket = None
        self.commands = {}
        self.number = 0
        self.lock = threading.Lock()

    def connect(self):
        """Connects (again); what was running is given up."""
        self.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.path)
        threading.Thread(target=self._receive, args=(self.socket,), daemon=True).start()

    def close(self):
        if self.socket:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.socket.close()
            self.socket = None

    def _receive(self, sock):
        stream = sock.makefile("rb")
        try:
            while True:
                head = stream.read(_HEADER.size)
                if len(head) < _HEADER.size:
                    break
                kind, number, value, length = _HEADER.unpack(head)
                data = stream.read(length)
                with self.lock:
                    command = self.commands.get(number)
                    if kind in (_DONE, _CLOCK):
                        self.commands.pop(number, None)
                if command:
                    command.answers.put((kind, value, data))
        except (OSError, ValueError):
            pass
        with self.lock:
            orphans = [c for c in self.commands.values() if c.sock is sock]
            self.commands = {n: c for n, c in self.commands.items() if c.sock is not sock}
        for command in orphans:
            command.answers.put(None)

    def send(self, text, kind=_RUN):
        command = Command(self, text)
        with self.lock:
            self.number += 1
            number = self.number
            command.sock = self.socket
            self.commands[number] = command
        data = text.encode()
        self.socket.sendall(_HEADER.pack(kind, number, 0, len(data)) + data)
        return command

    def start(self, text):
        """Starts a shell command in the guest's background and returns once it has a process id."""
        return self.send(text).started()

    def run(self, text, timeout=60, check=True):
        """Runs a shell command in the guest to its end."""
        result = self.send(text).wait(timeout)
        if check and result.code:
            raise Failure(f"in the guest: {text}: exit status {result.code}: {result.output}")
        return result

    def clock_offset(self, rounds=50):
        """(offset, error), in s: the guest's CLOCK_MONOTONIC minus the host's, from the quickest of many exchanges."""
        best = None
        for _ in range(rounds):
            begin = time.monotonic_ns()
            there = self.send("", _CLOCK).wait(20).output
            end = time.monotonic_ns()
            if best is None or end - begin < best[1] * 2:
                best = (there - (begin + end) // 2, (end - begin) / 2)
        return best[0] / 1e9, best[1] / 1e9
