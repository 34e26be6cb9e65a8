# SPDX-License-Identifier: GPL-2.0-or-later
"""Others who want to run where a thread does."""
import os
import subprocess

from .process import format_cpus, thread_cpus
from .setting import BUILD

HOGS = os.path.join(BUILD, "tests/bench/hogs")


class Crowd:
    """Processes that compute on one host CPU, and `thread` beside them, while this is entered. Other tests have the rest of the
    host."""

    def __init__(self, thread, count=3):
        self.thread = thread
        self.count = count

    def __enter__(self):
        self.before = thread_cpus(self.thread)
        self.cpus = {min(self.before)}
        os.sched_setaffinity(self.thread, self.cpus)
        self.hogs = subprocess.Popen(["taskset", "-c", format_cpus(self.cpus), HOGS, str(self.count)], stdin=subprocess.PIPE)
        return self

    def __exit__(self, *_):
        self.hogs.stdin.close()
        self.hogs.wait()
        if thread_cpus(self.thread) == self.cpus:  # else it is gone, or somebody else's
            os.sched_setaffinity(self.thread, self.before)
