#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the seeds in tests/fuzz/corpus/ of those targets whose inputs are scripts: seeds.py [DIRECTORY]"""
import os
import sys

DIRECTORY = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(target, **seeds):
    os.makedirs(os.path.join(DIRECTORY, target), exist_ok=True)
    for name, steps in seeds.items():
        with open(os.path.join(DIRECTORY, target, name.replace("_", "-")), "wb") as file:
            file.write(b"".join(steps))


# guest: lib/peer.c's steps, then guest.c's own

AFFINITY, STRANGER, NOBODYS = 0, 1, 2


def peer(kind, *operands):
    return bytes([0, kind, *operands])


def hello(session=1, boot=0):
    return peer(0, session - 1 + 8 + 64 * boot)


def cpus(*apic_ids):
    return peer(1, len(apic_ids), *apic_ids)


def programs(*running, wrong=False):
    return peer(2, len(running), *[number - 1 + 8 * name + 32 * wrong for number, name in running])


def answer(which=0, program=0, error=0):
    return peer(3, which, program + 16 * error)


def records(*which, gone=False, event=False):
    return [byte for key, value, name in which
            for byte in ((128 if gone else 0) + (0 if event else 64) + (2 if name == STRANGER else 0), key, value)]


def hints(program, *which, **flags):
    return peer(4, program - 1 + 8 * len(which), *records(*which, **flags))


def snapshot(program, *which, flags=3):
    return peer(5, program - 1 + 8 * len(which), flags, *records(*which))


def policy(which):
    return bytes([8, which])


def inject(stranger=True, replace=False, tuned=False):
    return bytes([9, stranger + 2 * replace + 4 * tuned])


def eject(stranger=True):
    return bytes([10, stranger])


def wait(ms):
    return bytes([11, 2 * max(1, min(127, int((ms / 20 / 4) ** 0.5)))])


HANG_UP, CONNECT, DEAF, RESTART, ASK, WATCH = [bytes(b) for b in ([12, 0], [13, 0], [13, 1], [14, 1], [15, 0], [15, 1])]
UP = [hello(), cpus(0, 1, 2, 3), programs(), answer(program=3), programs((3, AFFINITY)), snapshot(3), answer()]

write("guest",
      session=UP + [hints(3, (1, 1, AFFINITY), (2, 6, AFFINITY)), ASK, hints(3, (1, 0, AFFINITY), gone=True), ASK],
      gap=UP + [peer(4, 128 + 2 + 8, 9, 1, 64, 5, 1), snapshot(3, (1, 2, AFFINITY), flags=1), snapshot(3, flags=2), answer(), ASK],
      another_id=[hello(), cpus(0, 1, 2, 3), programs(), programs((5, AFFINITY)), hints(5, (1, 1, AFFINITY)), answer(program=7),
                  hints(7, (1, 2, AFFINITY)), policy(1), ASK],
      policies=UP + [policy(1), answer(program=4), hints(4, (1, 1, STRANGER)), hints(4, (0, 1, STRANGER), event=True), wait(3000),
                     policy(3), answer(program=5), policy(2), answer(), policy(4), answer(), ASK],
      by_hand=UP + [inject(), answer(program=4), programs((3, AFFINITY), (4, STRANGER)), WATCH, hints(4, (1, 1, STRANGER)),
                    inject(replace=True, tuned=True), answer(program=5), inject(replace=True), answer(error=1), eject(), answer(), ASK],
      strangers=UP + [programs((1, NOBODYS), (2, 3), (3, AFFINITY)), answer(error=2), answer(), programs((3, AFFINITY), wrong=True),
                      answer(program=6), peer(6, 5 + 8 * 5, *b"wrong"), ASK],
      silence=UP + [programs((4, AFFINITY), (6, NOBODYS)), DEAF, wait(60000), inject(), wait(300000), wait(300000), ASK],
      anew=UP + [hints(3, (1, 1, AFFINITY)), hello(2, boot=1), programs(), HANG_UP, CONNECT, *UP, RESTART, *UP, policy(2),
                 hints(3, (1, 1, AFFINITY)), hints(3, (1, 2, AFFINITY)), wait(2000)],
      sessions=[hello(1 + i % 8) for i in range(12)] + [wait(1500), hello(3), programs()],
      misfits=UP + [peer(4, 2 + 8, 3, 0, 0, *bytes([64, 0, 9, 0, 4, 0, 0, 0] + 56 * [1])),
                    peer(4, 2 + 8, 3, 0, 0, *bytes([40, 0, 1, 0, 4, 0, 0, 0] + 56 * [0])), ASK],
      unknown=UP + [peer(7, 35, 4, 1, 2, 3, 4), peer(8, 5, *b"\x05abc\x00"), hints(3, (1, 255, AFFINITY)), ASK])


# monitor: lib/qemu.c's steps, lib/json.c's values, then monitor.c's own; lib/peer.c's by step 8

OWN, ROAD = b"\0", b"\1"


def qemu(kind, *operands):
    return bytes([0, kind, *operands])


def an(kind, *members):
    """An object (0) or an array (1)."""
    return [kind, len(members), *[byte for member in members for byte in member]]


KEYS = ["thread-id", "cpu-index", "qom-path", "name", "type", "enabled", "status", "running", "host-nodes", "policy", "actual", "id",
        "data", "max-size", "requested-size", "block-size", "base-memory", "plugged-memory", "open", "return", "error", "desc"]
WORDS = ["", "/cpu0", "/cpu1", "hints", "agent", "org.vhint.0", "child<virtserialport>", "running", "paused", "postmigrate",
         "finish-migrate", "inmigrate", "virtio-mem", "dimm", "bind", "default", "interleave", "io1", "active", "completed",
         "postcopy-active", "cancelled"]
EVENTS = ["VSERPORT_CHANGE", "RESET", "SHUTDOWN", "STOP", "RESUME", "MIGRATION", "DEVICE_DELETED", "ACPI_DEVICE_OST"]
NULL, TRUE, FALSE, ME = [5], [13], [21], [4]


def key(name, value):
    return [KEYS.index(name), *value]


def word(text):
    return [6 + 8 * WORDS.index(text)]


def number(index):
    return [2 + 8 * index]


def result(value, which=None):
    return qemu(1, *value) if which is None else qemu(129, which, *value)


def event(name, *members):
    return qemu(4, EVENTS.index(name), *an(0, *members))


HONEST, ALL_HONEST, GREET = qemu(0), qemu(6), qemu(7)
QEMU_UP = [GREET, ALL_HONEST, ALL_HONEST, ALL_HONEST]
DEAF_QEMU, QEMU_HANGS_UP, QEMU_CONNECTS = bytes([11, 1]), bytes([10, 0]), bytes([11, 0])
NEED, SET, RESTORE, QUERY, GLANCE, DESCRIBE = (bytes([12, 1]), bytes([12, 66]), bytes([12, 64]), bytes([13, 0]), bytes([14, 0]),
                                               bytes([15, 0]))
SESSION = [bytes([8]) + step[1:] for step in UP]
BALLOON = [NEED, result(an(1)), HONEST, HONEST]


def pause(ms):
    return bytes([9]) + wait(ms)[1:]


VALUES = (NULL, TRUE, number(0), word(""), an(0), an(1), an(1, an(0)), an(1, NULL))

for road, name in ((OWN, "own"), (ROAD, "road")):
    write("monitor", **{
        f"{name}_life": [road, *QEMU_UP, *SESSION, DESCRIBE, event("RESET"), pause(100), ALL_HONEST, ALL_HONEST, DESCRIBE],
        f"{name}_events": [road, *QEMU_UP, *SESSION, event("VSERPORT_CHANGE", key("open", FALSE), key("id", word("hints"))),
                           event("VSERPORT_CHANGE", key("open", TRUE), key("id", word("agent"))), event("STOP"), event("RESUME"),
                           event("MIGRATION", key("status", word("active"))), pause(100), ALL_HONEST,
                           event("MIGRATION", key("status", word("postcopy-active"))), pause(100),
                           result(an(0, key("status", word("finish-migrate")))), DESCRIBE, event("RESUME"), pause(100), ALL_HONEST,
                           event("SHUTDOWN"), event("DEVICE_DELETED"), DESCRIBE],
        f"{name}_silent": [road, *QEMU_UP, *[event("RESET")] * 20, pause(30000), pause(60000), ALL_HONEST, ALL_HONEST, DESCRIBE],
        f"{name}_memory": [road, *QEMU_UP, NEED, ALL_HONEST, SET, ALL_HONEST, RESTORE, qemu(3, *an(0)), DESCRIBE],
        f"{name}_balloon": [road, *QEMU_UP, *BALLOON, pause(600), ALL_HONEST, SET, pause(31000), *BALLOON, event("RESUME"), pause(600)],
        f"{name}_vcpus": [road, GREET, HONEST, HONEST, HONEST,
                          *[result(an(1, an(0, key("cpu-index", number(i)), key("qom-path", word("/cpu1")), key("thread-id", ME)),
                                      an(0, key("cpu-index", number(0)), key("qom-path", word("/cpu0")), key("thread-id", tid))))
                            for i, tid in ((0, ME), (1, number(1)), (8, number(12)))], ALL_HONEST, QUERY, ALL_HONEST, DESCRIBE],
        f"{name}_types": [road, GREET, HONEST, *[step for value in VALUES
                                                 for step in (*[result(value)] * 8, QUERY, pause(100))], DESCRIBE],
    })
write("monitor",
      own_again=[OWN, *QEMU_UP, QEMU_HANGS_UP, QEMU_CONNECTS, *QEMU_UP, DEAF_QEMU, QUERY, pause(100), QUERY, GLANCE, QEMU_HANGS_UP,
                 DESCRIBE],
      own_lines=[OWN, GREET, qemu(5, 8, *b'{"a": 1}'), qemu(5, 6, *b'["\\u1"'), GREET, QEMU_CONNECTS, *QEMU_UP, qemu(5, 0)])


def status(text, which):
    return result(an(0, key("status", word(text))), which)


def balloon(index):
    return result(an(0, key("actual", number(index))), 4)


# What it was asked before it left, and once it is back.
TWICE = [*QEMU_UP, NEED, event("STOP"), pause(100), status("postmigrate", 1), event("RESUME"), pause(100), status("running", 1), NEED,
         result(an(1), 0), result(an(1), 4), balloon(5), balloon(6)]
write("monitor", own_twice=[OWN, *TWICE, QEMU_HANGS_UP, pause(600)], road_twice=[ROAD, *TWICE, status("postmigrate", 0), pause(600)])


# hook: hook.c's steps; caller 0, 1 and so on


def header(*lengths, caller=0, flags=0):
    return bytes([8 * caller, flags, *lengths])


def call(guest, xml, caller=0):
    return bytes([1 + 8 * caller, len(guest) + 16 * (len(xml) // 100)]) + guest + xml


def put(text, caller=0):
    return bytes([5 + 8 * caller, len(text)]) + text


def gone(caller=0):
    return bytes([2 + 8 * caller])


LATE, AT_ONCE = bytes([3, 60]), bytes([4])
write("hook",
      calls=[call(b"web", b"<domain/>" + b" " * 91), call(b"db", b"", caller=1), call(b"", b""), call(b"\xff", b"", caller=2)],
      pieces=[header(3, 7, 5), put(b"webst"), put(b"arted<a/"), put(b">"), gone()],
      early=[header(3, 7, 5), put(b"web"), gone(), header(3, 7, 5), put(b"webstarted<a/> and more")],
      late=[header(3, 7, 5), header(250, 7, 0, caller=1), LATE, put(b"web"), gone(1)],
      limits=[header(251, 0, 0), header(250, 250, 252, caller=1), header(1, 1, 253, caller=2), put(b"x" * 40)],
      many=[AT_ONCE + header(3, 7, 5, caller=n) for n in range(8)] + [put(b"webstarted<a/>", caller=n) for n in range(8)])

# pins: a text, a NUL, pins.c's steps


def pins(text, *steps):
    return [text.encode(), b"\0", *[bytes(step) for step in steps]]


VCPU, EMULATOR, IOTHREAD = 0, 8, 16
write("pins",
      carried=pins("vcpupin0 * 3;emulatorpin 0-1 0;iothreadpin1 0,2-3 1", [VCPU, 0, 3], [2 + VCPU, 0, 3], [5, 0, 0], [1 + VCPU, 0, 0]),
      file=pins("7\nvcpupin1 0-7 1\nemulatorpin 1 0\n", [EMULATOR, 0, 0], [2 + EMULATOR, 0, 1], [7, 0, 0], [4, 0, 0]),
      announced=pins("vcpupin1 0 1", [6 + VCPU, 1, 1], [2 + VCPU, 1, 1], [2 + VCPU, 1, 2], [6 + 128 + VCPU, 1, 2], [3, 1, 2], [5, 0, 0]),
      wrong=pins("vcpupin4096 * 1;vcpupin * 1;vcpupin1 * 1024;vcpupin1  1;vcpupin1 1 ;;iothreadpin0 ^1 1;emulatorpin1 0 0; "))

# agent: lines; a NUL hangs up


def sync(number=7):
    return b'\xff{"return": %d}\n' % number


def line(text):
    return text.encode() + b"\n"


ALLOWED = line('{"return": {"supported_commands": [{"name": "guest-exec", "enabled": true}, '
               '{"name": "guest-file-open", "enabled": false}]}}')
PID, OPEN = line('{"return": {"pid": 5}}'), line('{"return": 1000}')
RUNS = line('{"return": {"exited": false}}')
ENDED = line('{"return": {"exited": true, "exitcode": 0, "out-data": "b2sK", "err-data": "/w=="}}')
REFUSED = line('{"error": {"class": "CommandNotFound", "desc": "Command guest-exec has been disabled"}}')
write("agent",
      whole=[b"of somebody else\n", sync(6), sync(), ALLOWED, PID, RUNS, RUNS, ENDED, OPEN, line('{"return": {"count": 4, "eof": false}}'),
             line('{"return": {}}')],
      refused=[sync(), REFUSED, REFUSED, REFUSED],
      hangs_up=[sync(), ALLOWED, b"\0", sync(), PID, b"\0", sync(), OPEN, b'{"return": \0', sync(6)],
      types=[sync(), line('{"return": {"supported_commands": {}}}'), line('{"return": {"pid": "5"}}'), line("[]"),
             line('{"return": null}')])

# travel: 0 and the text, or 1 and what it unpacks to


def variant(host, released, *programs):
    """A (sba(sayay)): of GVariant's format each member, then where each but the last ends, backwards."""
    def name(text):
        return text.encode() + b"\0"

    def ends(body, *offsets):
        size = 1 if len(body) + len(offsets) < 256 else 2
        return body + b"".join(offset.to_bytes(size, "little") for offset in offsets)
    packed, over = b"", []
    for program, tunables, data in programs:
        body = name(program) + tunables + data
        packed += ends(body, len(name(program)) + len(tunables), len(name(program)))
        over.append(len(packed))
    head = name(host) + bytes([released])
    return ends(head + ends(packed, *over), len(head) - 1)


def read(*path):
    with open(os.path.join(DIRECTORY, *path), "rb") as file:
        return file.read()


PLAIN = read("object", "plain")
write("travel",
      text=[b"\0eNpjYGBgAAAABAAB"],
      nothing=[b"\1", variant("other", True)],
      own=[b"\1", variant("own", False, ("a", b"", b"\x7fELF"))],
      program=[b"\1", variant("other", False, ("plain", b"a=1\0", PLAIN))],
      wrong=[b"\1", variant("other", False, ("a", b"a=1", b"x"), ("b", b"", b""))])

# injector_load: tunables, an empty one, an object. What a loader of its own would decide is among them.


def load(data, *tunables):
    return ["".join(f"{tunable}\0" for tunable in tunables).encode(), b"\0", data]


RICH = read("object", "rich")
write("injector_load",
      partial=load(RICH, ".partial=true", "threshold=5"),
      maps=load(RICH, ".map.state=100", ".map.hints=4096", ".map.none=1"),
      every=load(PLAIN, ".every=99", ".map.state=0"),
      options=load(PLAIN, ".every=0", ".partial=", ".new=1", ".map.=7"))


# saved: which version, and what is done; slots; what a QEMU says

RESTORE, SUCCEED, TOLD = 0, 4, 7 * 16


def filled(text, to_the_end=False):
    return bytes([len(text)]) + text + (bytes([0 if to_the_end else 1]) if text else b"")


def slot(kind, target, guest, rest, whose=0, identity=b""):
    """Of this very thread (whose 0), of one that had its number (1), of any (2), or of another process (3)."""
    return bytes([1, whose]) + identity + bytes([4 * kind + 32 * target, 0]) + filled(guest) + rest


def mask(cpus=b"\xff", **arguments):
    return slot(0, 1, b"web", filled(cpus, to_the_end=True), **arguments)


def boost(kind, weight=b"", **arguments):
    return slot(1, 1, b"web", bytes([kind, 0, 0xf1, 0]) + filled(weight), **arguments)


def memory(name=b"", road=b"/run/qmp", guest=b"web", **arguments):
    return slot(2, 5, guest, bytes([1, 9]) + filled(name) + filled(road), **arguments)


def former(kind, vcpu, guest=b"web", whose=0):
    what = 4 * kind + (128 if vcpu is None else 0)
    return bytes([1, whose, what]) + (b"" if vcpu is None else bytes([vcpu])) + filled(guest.ljust(104, b"\0") + b"\xff" * 100)


END = b"\0\0"
for done, what in ((RESTORE, "restored"), (SUCCEED, "succeeded")):
    write("saved", **{
        f"{what}_masks": [bytes([3 + done]), mask(), mask(whose=1), mask(b"\1", whose=3),
                          mask(b"\1", whose=2, identity=filled(b"\1")), END],
        f"{what}_boosts": [bytes([3 + done]), *[boost(kind, b"/sys/fs/cgroup/cpu.weight") for kind in range(6)], END],
        f"{what}_memory": [bytes([3 + done]), memory(), memory(b"vm0"), memory(road=b""), memory(whose=1), END],
        f"{what}_former": [bytes([2 + done]), former(0, 3), former(0, None), former(1, 0), former(2, None), former(0, 3, whose=1), END],
        f"{what}_first": [bytes([1 + done]), former(0, 3), END],
        f"{what}_endless": [bytes([3 + done + TOLD]), slot(2, 5, b"g" * 250, bytes([1, 9]) + filled(b"n", True) + filled(b"r", True)),
                            slot(1, 7, b"\xff\x9b", bytes([2, 0, 0, 0]) + filled(b"w", True)), b"\0", bytes([0xff, 0xff])]})
write("saved",
      cut=[bytes([3]), mask(), b"\0", bytes([14, 100])],
      raw=[bytes([0]), b"vhsaved3" + bytes([0x40, 4, 0, 0, 0, 0, 1, 0, 9, 0, 0, 0])],
      refused=[bytes([3 + 8]), memory(), END, b'{"error": {"desc": "no"}, "id": 2}\n[]\n'])

# injector_session: trouble in a program's own words, which a new host is told again
TROUBLE = bytes([9, 128, 3, 20]) + b"iterator \xff\x1b[0m/%s%n"[:20]
write("injector_session", trouble=[TROUBLE, bytes([4]), bytes([6]), bytes([3, 1, 100]), TROUBLE, bytes([4])])
