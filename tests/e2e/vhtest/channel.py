# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of a channel, spoken by hand: an implementation of protocol/PROTOCOL.md of its own, for tests that
say what vhintd never would."""
import hashlib
import os
import select
import socket
import struct
import time
import zlib

from . import setting, witness
from .process import Failure

TYPES = {"HELLO": 1, "LOAD": 16, "CHUNK": 17, "UNLOAD": 18, "LIST": 19, "RESYNC": 20, "CREDIT": 24, "PING": 25,
         "CPUS": 32, "PROGRAMS": 33, "HINTS": 34, "SNAPSHOT": 35, "ANSWER": 36, "PONG": 37, "TROUBLE": 38}
NAMES = {number: name for name, number in TYPES.items()}
FIRST, LAST, GONE, REPLACE = 1, 2, 1, 1
CHUNK_SIZE = 32768
HELLO = struct.Struct("<IHHQQII16s64s32s")


def cobs_encode(data):
    out = bytearray()
    for part in data.split(b"\0"):
        while len(part) >= 254:
            out += b"\xff" + part[:254]
            part = part[254:]
        out.append(len(part) + 1)
        out += part
    return bytes(out) + b"\0"


def cobs_decode(data):
    out = bytearray()
    at = 0
    while at < len(data):
        block = data[at]
        if at + block > len(data):
            raise ValueError("not COBS")
        out += data[at + 1:at + block]
        at += block
        if block < 255 and at < len(data):
            out.append(0)
    return bytes(out)


def frame(kind, payload=b"", request=0, version=1):
    raw = struct.pack("<BBHI", TYPES.get(kind, kind), version, 0, request) + payload
    return cobs_encode(raw + struct.pack("<I", zlib.crc32(raw)))


class Batch:
    """HINTS or SNAPSHOT."""

    def __init__(self, payload):
        self.program, count, self.seq, self.lost, self.flags, _ = struct.unpack("<IIQQII", payload[:32])
        self.records = []
        at = 32
        for _ in range(count):
            size = struct.unpack_from("<H", payload, at)[0]
            self.records.append(payload[at:at + size])
            at += (size + 7) // 8 * 8
        assert at == len(payload)


class Affinity:
    """A record of the affinity program."""

    def __init__(self, record):
        _, _, _, flags, _, _, _, self.pid, self.tgid, self.cpus, _ = struct.unpack_from("<HHHHIIQIIII", record)
        self.gone = bool(flags & GONE)
        self.mask = int.from_bytes(record[40:104], "little")
        self.comm = record[104:120].split(b"\0")[0].decode(errors="replace")


class Answer:
    def __init__(self, payload, before):
        self.error, self.program, text, log, self.flags, _ = struct.unpack("<IIIIII", payload[:24])
        self.text = payload[24:24 + text].decode()
        self.log = payload[24 + text:24 + text + log].decode(errors="replace")
        self.before = before  # frames that came while it was waited for


class Anew(Failure):
    """The guest has begun another session and knows nothing of what it was asked in the one before."""


def parse_trouble(payload):
    """(program, text) of a TROUBLE."""
    program, size = struct.unpack_from("<II", payload)
    assert len(payload) == 8 + size
    return program, payload[8:].decode()


class Channel:
    """A host. With refill it gives back credit as it is used."""

    def __init__(self, path, credit=1 << 20, refill=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""
        self.session = int.from_bytes(os.urandom(7), "little") + 1
        self.guest = 0
        self.credit = credit
        self.refill = refill
        self.used = 0
        self.requests = 0

    def close(self):
        self.socket.close()

    # sending

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, kind, payload=b"", request=0, version=1):
        self.send_bytes(frame(kind, payload, request, version))

    def hello(self, versions=(1, 1)):
        self.send_bytes(b"\0")
        self.send("HELLO", HELLO.pack(0x544e4856, *versions, self.session, self.guest, 1, self.credit, b"", b"", b"test"),
                  version=0)

    def add_credit(self, size):
        self.send("CREDIT", struct.pack("<II", size, 0))

    # receiving

    def receive(self, timeout=20):
        """(type, request, payload) of the next good frame; None when none comes in time."""
        end = time.monotonic() + timeout * setting.slowness
        while True:
            while b"\0" in self.buffer:
                encoded, _, self.buffer = self.buffer.partition(b"\0")
                if not encoded:
                    continue
                raw = cobs_decode(encoded)
                if struct.unpack("<I", raw[-4:])[0] != zlib.crc32(raw[:-4]):
                    raise Failure("a frame with a wrong CRC")
                number, _, _, request = struct.unpack("<BBHI", raw[:8])
                return self._account(NAMES[number], request, raw[8:-4])
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None
            data = self.socket.recv(65536)
            if not data:
                raise Failure("QEMU closed the channel")
            self.buffer += data

    def _account(self, kind, request, payload):
        if kind not in ("HINTS", "SNAPSHOT"):
            return kind, request, payload
        self.used += len(payload)
        if self.refill and self.used >= self.credit // 2:
            self.add_credit(self.used)
            self.used = 0
        return kind, request, Batch(payload)

    def wait(self, kind, timeout=20):
        """The payload of the next frame of this type; others are passed over."""
        end = time.monotonic() + timeout * setting.slowness
        while time.monotonic() < end:
            got = self.receive((end - time.monotonic()) / setting.slowness)
            if got and got[0] == kind:
                return got[2]
        raise Failure(f"no {kind} within {timeout * setting.slowness:g} s")

    def drain(self, quiet=0.3):
        """All frames until none comes for `quiet` seconds."""
        frames = []
        while got := self.receive(quiet):
            frames.append(got)
        return frames

    # conversations

    def start(self, timeout=20):
        """Greets until the guest knows this session; returns its programs."""
        self.hello()
        while True:
            hello = HELLO.unpack(self.wait("HELLO", timeout))
            self.guest = hello[3]
            self.hello()
            if hello[4] == self.session:
                break
        self.release = hello[8].rstrip(b"\0").decode()
        cpus = self.wait("CPUS")
        self.cpus = [struct.unpack_from("<III", cpus, at) for at in range(8, len(cpus), 12)]
        return parse_programs(self.wait("PROGRAMS"))

    def next_request(self):
        self.requests += 1
        return self.requests

    def answer(self, request, timeout=60):
        before = []
        end = time.monotonic() + timeout * setting.slowness
        while time.monotonic() < end:
            got = self.receive(1)
            if got and got[0] == "ANSWER" and got[1] == request:
                return Answer(got[2], before)
            if got and got[0] == "HELLO" and HELLO.unpack(got[2])[4] != self.session:
                raise Anew(f"no answer to request {request}: the guest has begun another session")
            if got:
                before.append(got)
        raise Failure(f"no answer to request {request}; before: {[b[0] for b in before]}")

    def ask(self, send):
        """The answer to the request that send() makes and returns. It is made again where the guest begins another session: of
        a host that goes as the next one comes, the guest's kernel may tell only when that one has been answered already."""
        for _ in range(3):
            try:
                return self.answer(send())
            except Anew as anew:
                witness.second_try(str(anew))
                self.start()
        return self.answer(send())

    def request(self, kind, payload=b""):
        def send():
            request = self.next_request()
            self.send(kind, payload, request)
            return request
        return self.ask(send)

    def load_header(self, name, data, replace=False, size=None, digest=None, tunables=None):
        text = b"".join(f"{k}={v}".encode() + b"\0" for k, v in (tunables or {}).items())
        return struct.pack("<64s32sIHHII", name.encode(), digest or hashlib.sha256(data).digest(),
                           len(data) if size is None else size, REPLACE if replace else 0, 0, len(text), 0) + text

    def send_load(self, name, data, **options):
        """LOAD and its CHUNKs; returns the request."""
        request = self.next_request()
        self.send("LOAD", self.load_header(name, data, **options), request)
        for at in range(0, len(data), CHUNK_SIZE):
            self.send("CHUNK", struct.pack("<II", at, 0) + data[at:at + CHUNK_SIZE], request)
        return request

    def load(self, name, data, **options):
        return self.ask(lambda: self.send_load(name, data, **options))

    def unload(self, name):
        return self.request("UNLOAD", struct.pack("<64s", name.encode()))

    def programs(self):
        answer = self.request("LIST")
        return parse_programs(next(payload for kind, _, payload in answer.before if kind == "PROGRAMS"))

    def snapshot(self, program=0):
        """{program: [records]}, as RESYNC tells."""
        answer = self.request("RESYNC", struct.pack("<II", program, 0))
        if answer.error:
            raise Failure(f"RESYNC: {answer.text}")
        facts = {}
        for kind, _, batch in answer.before:
            if kind != "SNAPSHOT":
                continue
            if batch.flags & FIRST:
                facts[batch.program] = []
            facts[batch.program] += batch.records
        return facts


class Program:
    def __init__(self, data):
        self.id, self.flags, name, self.digest, self.attached, _, self.seq, self.lost = struct.unpack(
            "<II64s32sIIQQ", data)
        self.name = name.rstrip(b"\0").decode()


def parse_programs(payload):
    """{name: Program}"""
    programs = [Program(payload[at:at + 128]) for at in range(8, len(payload), 128)]
    return {program.name: program for program in programs}


def apply_hints(facts, frames):
    """Updates {pid: mask} as the affinity hints among the frames say."""
    for kind, _, batch in frames:
        for record in batch.records if kind in ("HINTS", "SNAPSHOT") else []:
            hint = Affinity(record)
            if hint.gone:
                facts.pop(hint.pid, None)
            else:
                facts[hint.pid] = hint.mask
    return facts
