# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benches of contention share: load for the host, four ways to run a guest beside it, and plots."""
import os
import random
import subprocess
import threading
import time

from rows import TOP

import vhtest

CPUS = sorted(os.sched_getaffinity(0))
LOADS = {"none": 0, "low": 2 * len(CPUS), "high": 8 * len(CPUS)}  # as in the paper's experiment, per host CPU
MODES = ("floating", "static", "pinned", "default")
MODE_TEXTS = {"floating": "no vhint", "static": "pinned 1:1 by hand", "pinned": "pinned by hints, trials off",
              "default": "vhint by default"}

# (3): what the hints say is pinned at once; no other rule of vhint's.
PINNED = "[guest *]\nrules = affinity-pin\n\n[rule affinity-pin]\ntrial = off\n"


class Hogs:
    """Processes that compute, in the session of QEMU, so that each thread counts as much as any other."""

    def __init__(self, count):
        self.count = count
        self.process = subprocess.Popen([os.path.join(vhtest.BUILD, "tests/bench/hogs"), str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def look(self):
        """(rounds, s) so far."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        rounds, now = self.process.stdout.readline().split()
        return int(rounds), int(now) / 1e9

    @staticmethod
    def rate(before, after):
        return (after[0] - before[0]) / (after[1] - before[1])


class Mode:
    """One of the four ways, as a context manager around a running guest."""

    def __init__(self, guest, name):
        self.guest = guest
        self.name = name
        self.daemon = None

    def __enter__(self):
        self.float()
        if self.name == "static":
            for guest_cpu, cpu in enumerate(CPUS):
                os.sched_setaffinity(self.guest.thread(guest_cpu), {cpu})
        elif self.name != "floating":
            self.daemon = vhtest.Daemon(self.guest, programs="affinity,sched")
            os.makedirs(self.daemon.path("policy.d"))
            if self.name == "pinned":
                with open(self.daemon.path("policy.d/50-pinned.conf"), "w") as file:
                    file.write(PINNED)
            self.daemon.start()
        return self

    def __exit__(self, kind, *_):
        if self.daemon:
            self.daemon.close(quietly=kind is not None)
        self.float()

    def float(self):
        for guest_cpu in range(len(CPUS)):
            os.sched_setaffinity(self.guest.thread(guest_cpu), CPUS)

    def why(self):
        """What vhintd did, for people."""
        return self.daemon.call("why", self.guest.name).stdout if self.daemon else ""

    def verdicts(self):
        """Of the boosts' last trials."""
        actions = self.daemon.ctl("why", self.guest.name) if self.daemon else []
        return [action["verdict"] or "none" for action in actions if action["action"].startswith("boost")]


class Together(threading.Thread):
    """Holds all vCPUs on one host CPU for `share` of the next `seconds`, beginning at a random moment: what a scheduler
    may do to threads that float."""

    def __init__(self, guest, share, seconds):
        super().__init__(daemon=True)
        self.threads = [guest.thread(cpu) for cpu in range(len(CPUS))]
        self.begin = random.uniform(0, (1 - share) * seconds)
        self.length = share * seconds

    def run(self):
        time.sleep(self.begin)
        cpu = random.choice(CPUS)
        for thread in self.threads:
            os.sched_setaffinity(thread, {cpu})
        time.sleep(self.length)
        for thread in self.threads:
            os.sched_setaffinity(thread, CPUS)


def guest():
    """As many vCPUs as this host has CPUs, so that pinning by hand can be 1:1."""
    vhtest.build_image()
    return vhtest.Guest(cpus=len(CPUS), name="bench")


def plot(path, title, label, cells, values, log=False):
    """Grouped bars as SVG: values[mode][cell] = list of figures, shown as median with quartiles."""
    from rows import percentile
    data = []
    for cell in cells:
        line = [cell]
        for mode in MODES:
            figures = values[mode][cell]
            line += [f"{percentile(figures, p):.6g}" for p in (50, 25, 75)]
        data.append(" ".join(line))
    bars = ", ".join(f"$data using {3 * i + 2}:{3 * i + 3}:{3 * i + 4}:xtic(1) title '{MODE_TEXTS[mode]}'"
                     for i, mode in enumerate(MODES))
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    script = (f"set terminal svg size 900,420 dynamic background 'white' font 'sans,12'\nset output '{path}'\n"
              f"set title '{title}'\nset ylabel '{label}'\nset style data histograms\n"
              "set style histogram errorbars gap 1 lw 1\nset style fill solid 0.8 border -1\nset boxwidth 0.9\n"
              "set key outside bottom center horizontal\nset grid ytics\n"
              + ("set logscale y\n" if log else "set yrange [0:*]\n")
              + "$data << EOD\n" + "\n".join(data) + f"\nEOD\nplot {bars}\n")
    result = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True)
    if result.returncode:
        raise vhtest.Failure(f"gnuplot: {result.stderr}")
    print(f"plot: {os.path.relpath(path, TOP)}")
