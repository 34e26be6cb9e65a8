# SPDX-License-Identifier: GPL-2.0-or-later
"""A small QMP client."""
import json
import socket
import time

from . import setting
from .process import Failure


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""
        self.events = []
        self._message(10)  # the greeting
        self.call("qmp_capabilities")

    def close(self):
        self.socket.close()

    def _message(self, timeout):
        self.socket.settimeout(max(timeout * setting.slowness, 0.001))
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("QEMU closed the monitor")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def call(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self._message(20)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise Failure(f"QMP {command}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_event(self, name, timeout=20):
        """The next event of this name; earlier other ones are dropped."""
        end = time.monotonic() + timeout * setting.slowness
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    return event
            if time.monotonic() > end:
                raise Failure(f"no QMP event {name} within {timeout} s")
            try:
                message = self._message(end - time.monotonic())
            except (TimeoutError, socket.timeout):
                continue
            if "event" in message:
                self.events.append(message)
