#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows the whole path once: a guest's ordinary taskset gives its vCPU a host CPU of its own, and its end floats it."""
import os
import signal
import sys
import time

import vhtest
from vhtest import format_cpus as names

CPU = 2  # the guest CPU that the command is bound to
COMMAND = f"taskset -c {CPU} sleep 1000"


class Stage:
    """Says what takes a while, and how long it took."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.begin = time.monotonic()
        print(f"-- {self.what} ... ", end="", flush=True)
        return self

    def __exit__(self, kind, *_):
        print(f"{'failed' if kind else 'done'} ({time.monotonic() - self.begin:.1f} s)", flush=True)


def change(guest, what, act):
    """Calls act() and returns when the mask of CPU's thread changed, on the host's clock in s."""
    thread = guest.thread(CPU)
    before = os.sched_getaffinity(thread)
    end = time.monotonic() + 10 * vhtest.setting.slowness
    act()
    while os.sched_getaffinity(thread) == before:
        if time.monotonic() > end:
            raise vhtest.Failure(f"{what}, but the vCPU's thread {thread} may still run on host CPUs {names(before)}")
    return time.monotonic()


def hint_time(watch, gone, pid):
    """When the guest's kernel emitted the hint about the task, on the guest's clock in s."""
    def ours(line):
        return line.get("program") == "affinity" and line.get("gone", False) == gone and line["fields"]["pid"] == pid
    return watch.wait(ours, 5, "the hint appears in vhintctl watch")["ktime"] / 1e9


def show(columns):
    """The table: one row for each vCPU, one column for each moment."""
    guest = columns[0][1]
    rows = [["vCPU", "host thread"] + [name for name, _, _ in columns]]
    for cpu in sorted(columns[0][2]):
        rows.append([str(cpu), str(guest.thread(cpu))] + [names(masks[cpu]) for _, _, masks in columns])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print("\nHost CPUs that each vCPU's thread may run on:\n")
    for row in rows:
        print("   " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print(flush=True)


def check(condition, what):
    if not condition:
        raise vhtest.Failure(what)


def demo():
    check(os.geteuid() == 0, "this needs root: vhintd changes other threads' CPU masks")
    check(len(os.sched_getaffinity(0)) > 1, "this host gives us one CPU only; pinning could not be seen")
    guest, daemon = vhtest.Guest(), None
    try:
        with Stage("booting a 4-vCPU guest from a stock kernel"):
            guest.start()
        print(f"   Linux {guest.output('uname -r')}, unmodified, under QEMU ({vhtest.accelerator()[1].split(',')[0]})")
        daemon = vhtest.Daemon(guest)
        with Stage("starting vhintd, which injects the affinity program"):
            daemon.start()
        return run(guest, daemon)
    except vhtest.Failure:
        for witness in vhtest.witness.witnesses:
            print(witness.logs(), file=sys.stderr)
        raise
    finally:
        if daemon:
            daemon.close(quietly=True)
        guest.stop()


def run(guest, daemon):
    program = daemon.program("affinity")
    print(f"   {program['name']} {program['version']}: {program['attached']} BPF programs attached in the guest")
    watch = daemon.watch(guest.name)
    own = vhtest.thread_cpus(guest.qemu.pid)
    vhtest.wait_for(lambda: all(cpus == own for cpus in guest.all_host_cpus().values()), 5, "every vCPU floats")
    offset, error = guest.agent.clock_offset()

    before = guest.all_host_cpus()
    print(f"-- in the guest: {COMMAND}", flush=True)
    tasks = []
    pinned_at = change(guest, COMMAND, lambda: tasks.append(guest.agent.send(f"exec {COMMAND}")))
    task = tasks[0].started()
    during = guest.all_host_cpus()
    called_at = hint_time(watch, False, task.pid) - offset

    print("-- in the guest: the command ends", flush=True)
    floats_at = change(guest, "the command ended", lambda: guest.agent.send(f"kill {task.pid}"))
    after = guest.all_host_cpus()
    ended_at = hint_time(watch, True, task.pid) - offset
    watch.end()

    show([("before", guest, before), ("during", guest, during), ("after", guest, after)])
    pin, loose = (pinned_at - called_at) * 1000, (floats_at - ended_at) * 1000
    print(f"   from the guest's call to the host's change: {pin:.2f} ms; from the task's end: {loose:.2f} ms\n"
          f"   (two clocks, compared to within {error * 1000:.2f} ms)\n")

    check(len(during[CPU]) == 1, f"vCPU {CPU} got host CPUs {names(during[CPU])}, not one")
    check(all(during[cpu] == before[cpu] for cpu in before if cpu != CPU), "another vCPU's mask changed too")
    check(after == before, "the masks afterwards are not those from before")
    return f"demo: ok: vCPU {CPU} was pinned to host CPU {names(during[CPU])} after {pin:.2f} ms and floats again"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        line = demo()
    except (vhtest.Failure, OSError, EOFError) as error:
        print(f"demo: FAILED: {error}", flush=True)
        return 1
    print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
