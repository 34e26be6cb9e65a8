# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintd with a kind of offload that packets tell what to do (vhintd-byte), on an uplink, a bridge and a tap of a network
namespace: what becomes of it with the guest's word, by hand, and with vhintd's own end."""
import os
import subprocess
import sys
import threading
import time
import unittest

import vhtest
from vhtest import process, wait_for
from vhtest.fake_guest import FakeGuest

SOON = 5  # s
VERDICT = 60  # s: of an advisor that looks five times a second
MAC = "52:54:00:01:02:03"

# At both ends: sends "COUNT COMMAND" of its stdin from the client, and says the command of each packet that comes to the guest.
PEER = r'''
import fcntl, os, select, socket, struct, sys
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"tap0", 0x1002))
def packet(command):
    head = struct.pack(">BBHHHBBHII", 0x45, 0, 64, 0, 0, 64, 17, 0, 0x0a000001, 0x0a000002)
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack(">H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + head[12:]
    udp = struct.pack(">HHHH", 257, 514, 44, 0) + command.encode() + bytes(35)
    return bytes.fromhex("525400010203020000000001") + b"\x08\x00" + head + udp
os.write(1, b"ready\n")
sys.stdin.readline()
client = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
client.bind(("client0", 0))
while True:
    for fd in select.select([sys.stdin, tap], [], [])[0]:
        if fd is sys.stdin:
            line = os.read(0, 4096).decode()
            if not line:
                sys.exit()
            for words in map(str.split, line.splitlines()):
                for _ in range(int(words[0])):
                    client.send(packet(words[1]))
        else:
            data = os.read(tap, 4096)
            if len(data) > 42 and data[14] == 0x45 and data[23] == 17:
                os.write(1, data[42:43])
'''

NETWORK = """set -e
sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link add client0 type veth peer name uplink0
ip link add bridge0 type bridge mcast_snooping 0
ip link set uplink0 master bridge0
ip link set tap0 master bridge0
for name in client0 uplink0 bridge0 tap0; do ip link set $name up; done
mount -t bpf bpf "$1"
"""

# As `ethtool -K uplink0 rxvlan off`.
SHOW_TAGS = r'''
import fcntl, socket, struct, ctypes
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for command, mask in (0x25, ~0), (0x26, ~(1 << 8)):
    value = ctypes.create_string_buffer(struct.pack("II", command, flags & mask if command == 0x26 else 0))
    fcntl.ioctl(sock, 0x8946, struct.pack("16sP16x", b"uplink0", ctypes.addressof(value)))
    flags = struct.unpack("II", value.raw[:8])[1]
'''


class Wired(FakeGuest):
    """Its monitor tells of one interface."""

    def _answer(self, command, arguments):
        if command == "human-monitor-command":
            return f"net0: index=0,type=nic,model=virtio-net-pci,macaddr={MAC}\n \\ n: index=0,type=tap,ifname=tap0,script=no\n"
        return super()._answer(command, arguments)


class Offload(unittest.TestCase):
    def setUp(self):
        if os.geteuid() or not os.access("/dev/net/tun", os.W_OK):
            self.skipTest("a network namespace with a tap takes root and /dev/net/tun")
        self.pins = process.temporary_directory()
        self.addCleanup(process.remove_directory, self.pins)
        self.space = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 1000"],
                                      stdout=subprocess.PIPE)
        self.addCleanup(self.end, self.space)
        self.space.stdout.readline()
        self.enter = ["nsenter", "--target", str(self.space.pid), "--net", "--mount"]
        self.peer = subprocess.Popen([*self.enter, sys.executable, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.addCleanup(self.end, self.peer)
        self.assertIn(b"ready", self.peer.stdout.read(64))
        subprocess.run([*self.enter, "sh", "-c", NETWORK, "sh", self.pins], check=True)
        subprocess.run([*self.enter, sys.executable, "-c", SHOW_TAGS], check=True)
        self.peer.stdin.write(b"\n")
        self.seen = b""
        self.marks = 0  # packets "z" that it is done with
        self.burns = 0  # s of CPU time that each packet costs the guest, which is this process
        threading.Thread(target=self._serve, daemon=True).start()
        wait_for(lambda: self.send(1, "w") or b"w" in self.seen, SOON, "the bridge forwards")

    @staticmethod
    def end(popen):
        popen.kill()
        popen.wait()
        for pipe in popen.stdin, popen.stdout:
            if pipe:
                pipe.close()

    def _serve(self):
        while data := self.peer.stdout.read(4096):
            self.seen += data
            end = time.thread_time() + self.burns * len(data)
            while time.thread_time() < end:
                pass
            self.marks += data.count(b"z")

    def send(self, count, command):
        self.peer.stdin.write(f"{count} {command}\n".encode())

    def drops(self):
        """Is what is to be dropped?"""
        self.seen = b""
        self.send(1, "D")
        self.send(1, "z")
        wait_for(lambda: b"z" in self.seen, SOON, "a packet that is to pass")
        return b"D" not in self.seen

    def begin(self, timeout=30):
        guest = self.enterContext(Wired())
        daemon = vhtest.Daemon(guest)
        daemon.binary = os.path.join(vhtest.BUILD, "tests/e2e/vhintd-byte")
        daemon.prefix = self.enter
        daemon.timeout = timeout
        daemon.keys = f"offload-dir={vhtest.BUILD}/tests/unit\nbpf-dir={self.pins}/vhint\n"
        os.makedirs(daemon.path("policy.d"))
        with open(daemon.path("policy.d/50.conf"), "w") as file:
            file.write("[guest *]\noffloads = byte\nuplink = uplink0\noffload-cycles = 50%\n")
        daemon.write_config()
        daemon.start(wait=False)
        self.addCleanup(daemon.close, quietly=True)
        guest.start()
        return guest, daemon

    def offload(self, daemon):
        return daemon.ctl("offload", "fake")[0]

    def _flood(self, over):
        """As fast as the guest comes along: what it has still to do for packets of before is none of a trial's cost."""
        while not over.is_set():
            before = self.marks
            self.send(100, "D")
            self.send(1, "z")
            while self.marks == before and not over.wait(0.001):
                pass

    def wait_state(self, daemon, state, busy=True):
        over = threading.Event()
        flood = threading.Thread(target=self._flood, args=(over,), daemon=True)
        self.burns = 0.0002
        if busy:
            flood.start()
        try:
            wait_for(lambda: self.offload(daemon)["state"] == state, VERDICT, f"the offload is {state}")
        finally:
            over.set()
        if busy:
            flood.join()
        self.burns = 0

    def keep(self, guest, daemon):
        guest.hint(guest.record(pid=1, mask=(0,)))
        self.wait_state(daemon, "kept")
        self.assertTrue(self.drops())

    def pinned(self):
        return subprocess.run([*self.enter, "ls", f"{self.pins}/vhint"], capture_output=True, text=True).stdout.split()

    def test_with_the_guests_word(self):
        guest, daemon = self.begin()
        told = self.offload(daemon)
        self.assertEqual((told["state"], told["problem"]), ("off", "the guest has said nothing"))
        self.assertFalse(self.drops())
        guest.hint(guest.record(pid=1, mask=(0,)))
        self.wait_state(daemon, "counting", busy=False)
        self.assertFalse(self.drops(), "it counts at first")
        self.wait_state(daemon, "kept")
        told = self.offload(daemon)
        self.assertEqual({(hook["interface"], hook["hook"], hook["mode"]) for hook in told["hook"]},
                         {("uplink0", "uplink", "native"), ("tap0", "egress", "tcx"), ("tap0", "ingress", "tcx")})
        self.assertIn("a packet costs", told["reason"])
        self.assertTrue(self.drops())
        # The guest takes it back; then it says so again.
        guest.hint(guest.record(pid=1, flags=1))
        wait_for(lambda: not self.drops(), 1, "nothing is dropped any longer")
        self.assertEqual(self.offload(daemon)["state"], "off")
        self.keep(guest, daemon)
        daemon.call("release", "fake")
        self.assertFalse(self.drops(), "released by hand, it is off at once")
        self.assertEqual(self.offload(daemon)["problem"], "the guest is released by hand")
        daemon.call("resume", "fake")
        self.wait_state(daemon, "kept")
        guest.event("RESET")
        wait_for(lambda: not self.drops(), 1, "a guest that was reset has no offload")
        daemon.stop()
        self.assertEqual(self.pinned(), [])

    def test_killed_and_followed(self):
        guest, daemon = self.begin()
        self.keep(guest, daemon)
        daemon.kill()
        self.assertTrue(self.drops(), "it goes on")
        wait_for(lambda: not self.drops(), SOON, "nobody renews its lease")
        self.assertIn("vh_uplink", self.pinned())
        daemon.start(wait=False)
        guest.start()
        self.keep(guest, daemon)

    def test_killed_and_not_followed(self):
        guest, daemon = self.begin(timeout=1)
        self.keep(guest, daemon)
        daemon.kill()
        wait_for(lambda: not self.pinned(), 20, "the guard takes away what is pinned")
        self.assertFalse(self.drops())


if __name__ == "__main__":
    unittest.main()
