# SPDX-License-Identifier: GPL-2.0-or-later
"""A UNIX socket that passes everything on to another one until it is cut: a monitor or channel that goes away."""
import os
import socket
import threading

from . import process


class Proxy:
    """What the target says is passed on as if the process `speaker` said it, or this one: vhintd wants threads to be of the
    process that answers for the monitor."""

    def __init__(self, path, target):
        self.path = path
        self.target = target
        self.speaker = os.getpid()
        self.sockets = []
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)

    def start(self, speaker=None):
        self.speaker = speaker or self.speaker
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Ends every connection and takes the socket out of sight."""
        os.rename(self.path, self.path + ".hidden")
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def restore(self):
        os.rename(self.path + ".hidden", self.path)

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.target)
            except OSError:
                near.close()
                far.close()
                continue
            with self.lock:
                self.sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pieces(self, source):
        """What comes, in pieces that are passed on as a whole."""
        while data := source.recv(65536):
            yield data

    def _send(self, sink, piece):
        process.send_as(self.speaker, sink, piece)

    def _pass(self, source, sink):
        try:
            for piece in self._pieces(source):
                self._send(sink, piece)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
