# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that is none: its monitor, its channel and the threads of its "vCPUs" belong to the test's own process, so
that a test can say to vhintd what no injector would."""
import contextlib
import json
import os
import select
import signal
import socket
import struct
import threading

from . import process, setting
from .channel import NAMES, TYPES, cobs_decode, frame
from .process import Failure, thread_cpus, wait_for

AFFINITY = 1  # the kind's number
FIRST_AND_LAST = 3  # of a SNAPSHOT
SETRESUID = 117  # x86-64


def listen(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen(4)
    return sock


class FakeGuest:
    """`cpus` vCPUs whose APIC ids are 2, 4, 6...; guest CPU N has the APIC id 2 N + 2. `busy`: they want to run.
    `user`: whose the threads and sockets are; the latter in `directory`, by default one of its own. `apart`: the threads are a
    process's of their own, as two guests' must be that one vhintd looks after. It is what answers for the monitor, too."""

    def __init__(self, cpus=4, name="fake", busy=False, user=0, apart=False, directory=None):
        self.user = user
        self.apart = apart
        self.process = None
        self.busy = busy
        self.name = name
        self.directory = directory or process.temporary_directory()
        self.qmp_path = os.path.join(self.directory, "qmp")
        self.channel_path = os.path.join(self.directory, "channel")
        self.cpus = cpus
        self.over = threading.Event()
        self.tids = []
        self.session = int.from_bytes(os.urandom(7), "little") + 1
        self.channel = None
        self.monitor = None
        self.buffer = b""
        self.host = 0
        self.digest = bytes(32)
        self.run_state = "running"
        self.memory = []  # query-memdev's answer

    def _make_threads(self):
        ready = threading.Barrier(self.cpus + 1)

        def vcpu():
            if self.user:  # of this thread alone: the C library's would change all
                process.libc.syscall(SETRESUID, self.user, self.user, self.user)
            self.tids.append(threading.get_native_id())
            ready.wait()
            while not self.over.wait(0.001 if self.busy else None):
                sum(range(2000))
        for _ in range(self.cpus):
            threading.Thread(target=vcpu, daemon=True).start()
        ready.wait()

    def _make_process(self):
        read, write = os.pipe()
        self.process = os.fork()
        if not self.process:
            process.libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            self._make_threads()
            os.write(write, struct.pack(f"{self.cpus}i", *self.tids))
            self.over.wait()
        self.tids = list(struct.unpack(f"{self.cpus}i", os.read(read, 4 * self.cpus)))
        os.close(read)
        os.close(write)

    def __enter__(self):
        if self.apart:
            self._make_process()
        else:
            self._make_threads()
        self.floating = thread_cpus(self.tids[0])
        self.qmp_listener = listen(self.qmp_path)
        self.channel_listener = listen(self.channel_path)
        if self.user:
            for path in (self.qmp_path, self.channel_path):
                os.chmod(path, 0o600)
                os.chown(path, self.user, -1)
        self.server = threading.Thread(target=self._serve_monitor, daemon=True)
        self.server.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        sockets = [sock for sock in (self.qmp_listener, self.monitor, self.channel_listener, self.channel) if sock]
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        # Before its sockets' numbers are the next guest's, whom it would answer for.
        self.server.join(10)
        for sock in sockets:
            sock.close()
        process.remove_directory(self.directory)

    # the monitor

    def _answer(self, command, arguments):
        if command == "query-cpus-fast":
            return [{"cpu-index": index, "thread-id": tid, "qom-path": f"/cpu/{index}"}
                    for index, tid in enumerate(self.tids)]
        if command == "qom-get" and arguments.get("property") == "apic-id":
            return 2 * int(arguments["path"].rpartition("/")[2]) + 2
        if command == "query-memdev":
            return self.memory
        if command == "query-status":
            return {"status": self.run_state, "running": self.run_state == "running"}
        return []

    def event(self, name, **details):
        """The monitor tells of something by itself."""
        self._say(self.monitor, {"event": name, "data": details, "timestamp": {}})

    def _say(self, client, what):
        process.send_as(self.process or os.getpid(), client, json.dumps(what).encode() + b"\r\n")

    def _serve_monitor(self):
        while True:
            try:
                client, _ = self.qmp_listener.accept()
            except OSError:
                return
            self.monitor = client
            self._serve_client(client)
            client.close()

    def _serve_client(self, client):
        decoder = json.JSONDecoder()
        text = ""
        try:
            self._say(client, {"QMP": {"version": {}, "capabilities": []}})
            while data := client.recv(65536):
                text += data.decode()
                while text:
                    try:
                        request, end = decoder.raw_decode(text)  # commands need no newline between them
                    except ValueError:
                        break
                    text = text[end:].lstrip()
                    self._say(client, {"return": self._answer(request["execute"], request.get("arguments", {})),
                                       "id": request.get("id")})
        except OSError:
            pass

    # the channel

    def accept(self):
        """Takes vhintd's connection and its HELLO."""
        self.channel_listener.settimeout(10 * setting.slowness)
        self.channel, _ = self.channel_listener.accept()
        self.host = struct.unpack_from("<Q", self.receive("HELLO")[1], 8)[0]

    def next(self, timeout):
        """(type, request, payload) of the next frame; None if none comes in time."""
        while True:
            while b"\0" in self.buffer:
                encoded, _, self.buffer = self.buffer.partition(b"\0")
                if encoded:
                    raw = cobs_decode(encoded)
                    return NAMES[raw[0]], struct.unpack_from("<I", raw, 4)[0], raw[8:-4]
            if not select.select([self.channel], [], [], timeout)[0]:
                return None
            data = self.channel.recv(65536)
            if not data:
                raise Failure("vhintd closed the channel")
            self.buffer += data

    def receive(self, kind, timeout=10):
        """(request, payload) of the next frame of this type."""
        while got := self.next(timeout * setting.slowness):
            if got[0] == kind:
                return got[1:]
        raise Failure(f"no {kind} from vhintd within {timeout * setting.slowness:g} s")

    def send(self, kind, payload=b"", request=0, version=1):
        self.channel.sendall(frame(kind, payload, request, version))

    def hello(self, versions=(1, 1)):
        self.channel.sendall(b"\0")
        self.send("HELLO", struct.pack("<IHHQQII16s64s32s", 0x544e4856, *versions, self.session, self.host, 2, 0,
                                       b"\1" * 16, b"6.1.0-fake", b"fake"), version=0)

    def say_cpus(self):
        self.send("CPUS", struct.pack("<II", self.cpus, 0) + b"".join(
            struct.pack("<III", cpu, 2 * cpu + 2, 1) for cpu in range(self.cpus)))

    def say_programs(self, *programs, flags=3):
        """Each is (id, name, digest); flags: they have hints (1) and state (2)."""
        self.send("PROGRAMS", struct.pack("<II", len(programs), 0) + b"".join(
            struct.pack("<II64s32sIIQQ", number, flags, name.encode(), digest, 1, 0, 0, 0)
            for number, name, digest in programs))

    def start(self):
        """Connects, and takes the affinity program as an injector would, without running it."""
        self.accept()
        self.hello()
        self.say_cpus()
        self.say_programs()
        self.take(*self.receive("LOAD"))

    def take(self, request, load):
        """What follows a LOAD: the object, and the answer that it runs."""
        self.digest = load[64:96]
        size = struct.unpack_from("<I", load, 96)[0]
        while size > 0:
            size -= len(self.receive("CHUNK")[1]) - 8
        self.say_programs((1, "affinity", self.digest))
        self.answer(request, program=1)
        self.seq = 0

    def answer(self, request, error=0, program=0):
        self.send("ANSWER", struct.pack("<IIIIII", error, program, 0, 0, 0, 0), request)

    # hints

    @staticmethod
    def record(pid=1, mask=(), flags=0, size=120, kind=AFFINITY, key_size=4):
        words = [0] * 8
        for cpu in mask:
            words[cpu // 64] |= 1 << cpu % 64
        return struct.pack("<HHHHIIQIIII8Q16s", size, kind, key_size, flags, 0, 0, 0, pid, pid, len(mask), 0, *words,
                           b"fake")[:size].ljust((min(size, 4096) + 7) // 8 * 8, b"\0")

    def hint(self, *records, count=None, lost=0, program=1):
        self.send("HINTS", struct.pack("<IIQQII", program, len(records) if count is None else count, self.seq, lost,
                                       0, 0) + b"".join(records))
        self.seq += len(records)

    def snapshot(self, *records):
        """Answers the RESYNC that is under way: these are all the facts."""
        self.resync(self.receive("RESYNC")[0], *records)

    def resync(self, request, *records):
        self.send("SNAPSHOT", struct.pack("<IIQQII", 1, len(records), self.seq, 0, FIRST_AND_LAST, 0) + b"".join(records),
                  request)
        self.answer(request, program=1)

    def pinned(self):
        """{guest CPU: its one host CPU}"""
        return {cpu: next(iter(allowed)) for cpu, tid in enumerate(self.tids)
                if len(allowed := thread_cpus(tid)) == 1}

    def wait_pinned(self, *cpus, timeout=5):
        wait_for(lambda: set(self.pinned()) == set(cpus), timeout, f"exactly guest CPUs {cpus} are pinned")


assert TYPES["HINTS"] == 34
