# SPDX-License-Identifier: GPL-2.0-or-later
"""What any process of the host does to threads' CPU masks and policies, call by call, as the host's kernel tells."""
import os
import unittest
from typing import NamedTuple

from . import process
from .bpf import compile_bpf
from .process import Failure, Process, tail, thread_cpus, wait_for
from .setting import BUILD

TRACER = os.path.join(BUILD, "tests/e2e/calls")


class Call(NamedTuple):
    time: float  # CLOCK_MONOTONIC, s; the call has returned
    kind: str  # "affinity" or "policy"
    thread: int
    result: int
    caller: str  # its name
    value: object  # CPUs as a frozenset; a number of sched(7), without SCHED_RESET_ON_FORK


def _parse(line):
    time, kind, thread, result, _, caller, value = line.split(" ")
    if kind == "affinity":
        words = [int(word, 16) for word in value.split(",")]
        value = frozenset(64 * at + bit for at, word in enumerate(words) for bit in range(64) if word >> bit & 1)
    else:
        value = int(value) & ~os.SCHED_RESET_ON_FORK
    return Call(int(time) / 1e9, kind, int(thread), int(result), caller, value)


class Calls:
    """All such calls while this is entered; skips the test where the kernel does not let us see them. To be entered in the
    main thread."""

    def __enter__(self):
        self.directory = process.temporary_directory()
        self.log = os.path.join(self.directory, "calls")
        tracer = compile_bpf("calls", os.path.join(self.directory, "calls.o"))
        self.process = Process([TRACER, tracer], self.log)

        def begun():
            if not self.process.alive():
                raise unittest.SkipTest(f"what sets masks cannot be traced on this host: {tail(self.log)}")
            return "ready\n" in self._lines()
        wait_for(begun, 10, "system calls are traced")
        return self

    def _lines(self):
        with open(self.log) as file:
            return [line for line in file if line.endswith("\n")]

    def so_far(self):
        return [_parse(line[:-1]) for line in self._lines() if line[0].isdigit()]

    def __exit__(self, *_):
        if self.process.end():
            raise Failure(f"the tracer has failed: {tail(self.log)}")
        *_, last = self._lines()
        self.all = self.so_far()
        process.remove_directory(self.directory)
        if last != "lost 0\n":
            raise Failure(f"calls went unseen: {last}")

    def of(self, kind, thread):
        """Those that have set something of the thread's."""
        return [call for call in self.all if (call.kind, call.thread, call.result) == (kind, thread, 0)]


class Masks(Calls):
    """`seen`: each mask that the thread has had while this is entered, also for the shortest time. What a cpuset does to it is
    seen at the beginning and at the end alone."""

    def __init__(self, thread):
        self.thread = thread

    def __enter__(self):
        super().__enter__()
        self.before = frozenset(thread_cpus(self.thread))
        return self

    def __exit__(self, *error):
        after = frozenset(thread_cpus(self.thread))
        super().__exit__(*error)
        self.seen = {self.before, after, *(call.value for call in self.of("affinity", self.thread))}
