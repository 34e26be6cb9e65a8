# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands for a guest in the machine that service.py boots: a fake guest, owned by a user who is not root, one of whose tasks is
bound to guest CPU 1 all the time, while another comes and goes on guest CPU 2.

What a test wants to know of it is in /run/standin: `threads` (of the vCPUs, in order), `masks` (each mask that the thread of
vCPU 1 has had, one to a line), `looks` (how often that was looked at), `hints` (how many were sent)."""
import os
import sys
import threading
import time

sys.path.insert(0, "/srv/vhint-test")

from vhtest.fake_guest import FakeGuest  # noqa: E402
from vhtest.process import Failure, format_cpus, thread_cpus  # noqa: E402

DIRECTORY = "/run/standin"
NOBODY = 65534
BOUND, VISITED = 1, 2  # guest CPUs
PAUSE = 0.2  # s, between two hints


def say(name, value):
    """Never half of it."""
    path = os.path.join(DIRECTORY, name)
    with open(path + ".new", "w") as file:
        file.write(f"{value}\n")
    os.rename(path + ".new", path)


def watch(thread):
    seen, looks = [], 0
    while True:
        cpus = format_cpus(thread_cpus(thread))
        if seen[-1:] != [cpus]:
            seen.append(cpus)
            say("masks", "\n".join(seen))
        looks += 1
        if looks % 100 == 0:
            say("looks", looks)
        time.sleep(0.001)


class Standin(FakeGuest):
    def __init__(self):
        super().__init__(name="standin", user=NOBODY, directory=DIRECTORY)
        self.bound = self.record(pid=1, mask=[BOUND])
        self.visitor = False
        self.sent = 0
        self.seq = 0
        self.loaded = False

    def serve(self):
        """One vhintd, until it goes."""
        self.channel, _ = self.channel_listener.accept()
        self.buffer = b""
        self.host = int.from_bytes(self.receive("HELLO")[1][8:16], "little")
        self.hello()
        self.say_cpus()
        self.say_programs(*([(1, "affinity", self.digest)] if self.loaded else []))
        while True:
            kind, request, payload = self.next(PAUSE) or (None, None, None)
            if kind == "LOAD":
                self.take(request, payload)
                self.loaded = True
                self.hint(self.bound)
            elif kind == "RESYNC":
                visitors = [self.record(pid=2, mask=[VISITED])] if self.visitor else []
                self.resync(request, self.bound, *visitors)
            elif kind is None and self.loaded:
                self.visitor = not self.visitor
                self.hint(self.record(pid=2, mask=[VISITED]) if self.visitor else self.record(pid=2, flags=1))
                self.sent += 1
                say("hints", self.sent)


def main():
    with Standin() as guest:
        say("threads", " ".join(map(str, guest.tids)))
        threading.Thread(target=watch, args=[guest.tids[BOUND]], daemon=True).start()
        while True:
            try:
                guest.serve()
            except (Failure, OSError):
                guest.channel.close()


if __name__ == "__main__":
    main()
