# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks vhintd by vhintctl's code without starting vhintctl each time: tests/e2e/vhintctl-server.c."""
import os
import select
import shlex
import subprocess

from . import process, setting
from .process import Failure
from .setting import BUILD

SERVER = os.path.join(BUILD, "tests/e2e/vhintctl-server")
TIMEOUT = 60  # s


class _Server:
    def __init__(self):
        self.directory = process.temporary_directory()
        self.files = [os.path.join(self.directory, name) for name in ("stdout", "stderr")]
        # It ends when this process does, and its stdin with it.
        self.popen = subprocess.Popen([SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, arguments):
        self.popen.stdin.write(shlex.join([*self.files, *arguments]) + "\0")
        self.popen.stdin.flush()
        told, _, _ = select.select([self.popen.stdout], [], [], TIMEOUT * setting.slowness)
        status = self.popen.stdout.readline() if told else ""
        if not status:
            self.popen.kill()
            raise Failure(f"vhintctl {' '.join(arguments)}: {'has crashed' if told else 'takes too long'}")
        outputs = []
        for path in self.files:
            with open(path) as file:
                outputs.append(file.read())
        return subprocess.CompletedProcess(arguments, int(status), *outputs)


_server = None


def _end():
    global _server
    _server.popen.stdin.close()
    _server.popen.wait()
    _server.popen.stdout.close()
    _server = None


def run(arguments):
    """vhintctl with these arguments, from the main thread; as subprocess.run() tells of it."""
    global _server
    if not _server or _server.popen.poll() is not None:
        _server = _Server()
        process.endings.append(_end)
    return _server.run(arguments)
