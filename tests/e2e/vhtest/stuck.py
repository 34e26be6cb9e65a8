# SPDX-License-Identifier: GPL-2.0-or-later
"""Frees guests that their emulator has got stuck.

A kernel patches its code by a breakpoint that it takes back at once. Under TCG (QEMU 7.2) a vCPU that translates code while
another one writes it may keep what it read: a breakpoint that memory has no longer. The kernel finds none either and goes on
where it was, and the vCPU meets it again, for ever, with interrupts off; seen when programs are attached to what all CPUs execute,
one time in ten, and in boots. What somebody writes QEMU translates anew: so a debugger writes there what is there."""
import collections
import contextlib
import os
import re
import socket
import threading

from .process import Failure, cpu_time
from .qmp import Qmp

PERIOD = 3  # s
BUSY = 0.5  # s of CPU time within it: one that is stuck is never idle
FEW, MANY = 4, 12  # samples: each costs QEMU, and the guest, a little time
# What kernels patch in: calls, jumps, and no-operations of five and two bytes.
PATCHED = re.compile(r"0x(e8|e9|eb|0f 0x1f 0x44 0x00 0x00|66 0x90)")


class Rescue(threading.Thread):
    """Looks after a QEMU as long as it lives. `monitor`: a QMP socket that nobody else uses; `debugger`: a path for another."""

    def __init__(self, pid, monitor, debugger):
        super().__init__(daemon=True)
        self.pid = pid
        self.monitor = monitor
        self.debugger = debugger
        self.freed = []  # addresses
        self.start()

    def run(self):
        pause = threading.Event()
        used = 0
        with contextlib.suppress(OSError):  # QEMU is gone
            while not pause.wait(PERIOD):
                before, used = used, cpu_time(self.pid)
                if used - before >= BUSY:
                    with contextlib.suppress(OSError, EOFError, ValueError, TypeError, Failure):  # it ends, or boots
                        self._look()

    def _look(self):
        qmp = Qmp(self.monitor)

        def command(line):
            return qmp.call("human-monitor-command", **{"command-line": line})
        with contextlib.closing(qmp):
            if not qmp.call("query-status")["running"]:
                return
            seen = collections.Counter()

            def met(samples):
                """How often CPUs were seen where the kernel begins to deal with a breakpoint."""
                for _ in range(samples):
                    registers = command("info registers -a")
                    seen.update(re.findall(r"RIP=(ffffffff\w+)", registers))
                handler = self._handler(command, registers)
                return seen[f"{handler:x}"] + seen[f"{handler + 3:x}"]
            # Who patches code comes across one now and then, but not to be seen twice.
            if met(FEW) and met(MANY) > 1:
                self._write(command, [place for place in seen
                                      if PATCHED.match(command(f"x /5xb 0x{place}").partition(": ")[2])])

    @staticmethod
    def _handler(command, registers):
        """Where the kernel deals with breakpoints: the fourth of the processor's interrupt descriptors."""
        table = int(re.search(r"IDT= *(\w+)", registers)[1], 16)
        low, high = (int(word, 16) for word in command(f"x /2xg 0x{table + 3 * 16:x}").partition(": ")[2].split())
        return (high & 0xffffffff) << 32 | (low >> 48) << 16 | low & 0xffff

    def _write(self, command, places):
        command(f"gdbserver unix:{self.debugger},server=on,wait=off")
        with socket.socket(socket.AF_UNIX) as debugger:
            debugger.settimeout(10)
            debugger.connect(self.debugger)  # which stops the guest
            stream = debugger.makefile("rb")

            def until(mark):
                text = b""
                while not text.endswith(mark):
                    byte = stream.read(1)
                    if not byte:
                        raise EOFError("QEMU closed the debugger")
                    text += byte
                return text[:-1]

            def ask(text):
                debugger.sendall(b"$%s#%02x" % (text, sum(text) % 256))
                while True:
                    until(b"$")
                    reply = until(b"#")
                    stream.read(2)
                    debugger.sendall(b"+")
                    if not reply.startswith(b"T"):  # that it has stopped
                        return reply
            for place in places:
                ask(b"M%s,1:%s" % (place.encode(), ask(b"m%s,1" % place.encode())))
            self.freed += places
            ask(b"D")  # the guest goes on
        command("gdbserver none")
        os.unlink(self.debugger)
