# SPDX-License-Identifier: GPL-2.0-or-later
"""The package vhint where systemd runs it: a machine that is the host of standin.py, driven through tests/guest/agent.c."""
import glob
import json
import os
import re
import shutil
import subprocess
import unittest

import systems
from systems import PACKAGES, TOP
import vhtest
from vhtest import parse_cpus, process, wait_for
from vhtest.agent import Agent

STANDIN = "/run/standin"
BOUND, VISITED = 1, 2  # standin.py's guest CPUs
FLOATING = "0-3"
FIELDS = "VHINT_GUEST,VHINT_WHAT,VHINT_WHY,VHINT_BEFORE,VHINT_AFTER,_PID,_SYSTEMD_UNIT"  # of journal entries
CONFIG = """[daemon]
metrics=127.0.0.1:9477
[guest standin]
qmp=/run/standin/qmp
channel=/run/standin/channel
programs=affinity
"""
BOOST = """[rule affinity-boost]
on = affinity
when = cpus == 1
do = boost mask {}
trial = off
hold = 60s
cooldown = 100ms
"""
UNIT = """[Service]
ExecStart={}
RuntimeDirectory={}
Delegate=yes
[Install]
WantedBy=multi-user.target
"""


def rebuilt(package, directory):
    """The same package, of a higher version."""
    tree, out = os.path.join(directory, "tree"), os.path.join(directory, "newer.deb")
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = os.path.join(tree, "DEBIAN/control")
    with open(control) as file:
        text = file.read()
    with open(control, "w") as file:
        file.write(re.sub(r"(?m)^Version: .*", r"\g<0>+1", text))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, out], check=True, capture_output=True)
    return out


def promtool(directory):
    """The program out of Debian's package prometheus, which brings a server, too: it is fetched and not installed."""
    done = subprocess.run([os.path.join(TOP, "images/fetch"), os.path.join(TOP, "cache"), systems.SUITE, "prometheus"],
                          capture_output=True, text=True)
    if done.returncode:
        raise vhtest.Failure(f"images/fetch: {done.stderr}")
    subprocess.run(["dpkg-deb", "-x", done.stdout.strip(), directory], check=True)
    return os.path.join(directory, "usr/bin/promtool")


class Service(systems.Booted, unittest.TestCase):
    """One machine for all; each test goes on where the one before has ended."""
    system, packages = "service", ("vhint", "python3")

    @classmethod
    def prepare(cls):
        cls.directory = process.temporary_directory()
        cls.addClassCleanup(process.remove_directory, cls.directory)
        for user, arguments in (("member", ["-G", "vhint"]), ("other", [])):
            if systems.chroot(cls.root, "id", user).returncode:
                subprocess.run(["chroot", cls.root, "useradd", *arguments, user], check=True)
        place = os.path.join(cls.root, "srv/vhint-test")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(os.path.join(TOP, "tests/e2e/vhtest"), os.path.join(place, "vhtest"))
        package, = glob.glob(os.path.join(PACKAGES, "vhint_*.deb"))
        for path in (os.path.join(TOP, "tests/packages/standin.py"), os.path.join(vhtest.BUILD, "tests/guest/agent"),
                     rebuilt(package, cls.directory)):
            shutil.copy(path, place)
        shutil.copy(package, os.path.join(place, "vhint.deb"))
        cls.write("etc/systemd/system/standin.service", UNIT.format("python3 /srv/vhint-test/standin.py", "standin"))
        cls.write("etc/systemd/system/test-agent.service", UNIT.format("/srv/vhint-test/agent", "test-agent"))
        subprocess.run(["chroot", cls.root, "systemctl", "enable", "standin.service", "test-agent.service"], check=True,
                       capture_output=True)
        cls.write("etc/vhint/vhint.conf", CONFIG)
        cls.write("etc/vhint/policy.d/50-test.conf", BOOST.format("nice"))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        qemu = cls.machine(cls.directory, arguments=systems.port(cls.directory, "agent", "org.vhint.test"))
        cls.addClassCleanup(qemu.end, 9)
        wait_for(lambda: systems.check_alive(qemu) or os.path.exists(os.path.join(cls.directory, "agent")), 20, "QEMU listens")
        cls.agent = Agent(os.path.join(cls.directory, "agent"))
        cls.addClassCleanup(cls.agent.close)
        cls.agent.connect()
        try:
            cls.sh("systemctl is-system-running --wait", timeout=300, check=False)
            wait_for(lambda: cls.agent.run(f"test -e {STANDIN}/masks", check=False).code == 0, 60, "the stand-in runs")
        except vhtest.Failure as failure:
            raise vhtest.Failure(f"{failure}\n{process.tail(os.path.join(cls.directory, 'serial'))}") from failure

    # in the machine

    @classmethod
    def sh(cls, text, timeout=60, check=True):
        return cls.agent.run(text, timeout, check).output

    def fails(self, text):
        """What it says then."""
        result = self.agent.run(text, check=False)
        self.assertNotEqual(result.code, 0, result.output)
        return result.output

    def unit(self, *names, unit="vhintd.service"):
        values = dict(line.partition("=")[::2] for line in
                      self.sh(f"systemctl show -p {','.join(names)} {unit}").splitlines())
        return [values[name] for name in names] if len(names) > 1 else values[names[0]]

    def pid(self):
        return int(self.unit("MainPID"))

    def ctl(self, *argv):
        return json.loads(self.sh(f"vhintctl --json {' '.join(argv)}"))

    def masks(self):
        """Each that the bound task's vCPU has had so far."""
        return self.sh(f"cat {STANDIN}/masks").split()

    def number(self, name):
        return int(self.sh(f"cat {STANDIN}/{name}"))

    def threads(self):
        return self.sh(f"cat {STANDIN}/threads").split()

    def cpus(self):
        """Where each vCPU may run, in order."""
        paths = " ".join(f"/proc/{thread}/status" for thread in self.threads())
        return re.findall(r"Cpus_allowed_list:\s*(\S+)", self.sh(f"cat {paths}"))

    def is_pinned(self):
        return len(parse_cpus(self.masks()[-1])) == 1

    def wait_pinned(self):
        wait_for(self.is_pinned, 30, "the vCPU is pinned")

    def wait_put_back(self, seconds=20):
        wait_for(lambda: set(self.cpus()) == {FLOATING}, seconds, "all vCPUs float")

    def wait_hints(self):
        """The other task comes and goes, and is acted upon: it is pinned, and it floats."""
        sent = self.number("hints")
        wait_for(lambda: self.number("hints") > sent + 10, 30, "hints go on")
        for pinned in (True, False):
            wait_for(lambda: (len(parse_cpus(self.cpus()[VISITED])) == 1) == pinned, 60,
                     f"the vCPU that a task comes to and leaves {'is pinned' if pinned else 'floats'}")

    def journal(self, *matches):
        lines = self.sh(f"journalctl --no-pager -o json --output-fields={FIELDS} {' '.join(matches)}").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def scheduling(self):
        """(nice, policy) of the bound task's vCPU: proc(5)."""
        fields = self.sh(f"cat /proc/{self.threads()[BOUND]}/stat").rpartition(")")[2].split()
        return int(fields[16]), int(fields[38])

    # the tests

    def test_1_active(self):
        self.assertEqual(self.unit("Type", "ActiveState", "SubState", "NRestarts"), ["notify", "active", "running", "0"])
        self.assertEqual(self.unit("ActiveState", "SubState", unit="vhintd-hook.socket"), ["active", "running"])
        self.assertEqual(self.sh("stat -c '%U %G %a' /run/vhint/hook /run/vhint/control").split("\n")[:2],
                         ["root root 600", "root vhint 660"])
        wait_for(lambda: "1 guests, 1 of them" in self.unit("StatusText"), 30, "systemd is told of the guest")

    def test_2_sandbox(self):
        score = re.search(r"exposure level for vhintd.service: ([\d.]+)", self.sh("systemd-analyze security --no-pager vhintd"))
        print(f"exposure level of vhintd.service as it runs: {score.group(1)}", flush=True)
        self.assertLessEqual(float(score.group(1)), 3.0)
        # All of vhintd's processes, and all of their threads.
        processes = self.sh("cat /sys/fs/cgroup$(systemctl show -P ControlGroup vhintd)/cgroup.procs").split()
        names = self.sh(f"cat {' '.join(f'/proc/{pid}/comm' for pid in processes)}").split()
        self.assertEqual(sorted(names), ["vhintd", "vhintd-guard", "vhintd-warden"])
        sys_nice, capabilities = 1 << 23, 1 << 23 | 1 << 1 | 1 << 0  # with DAC_OVERRIDE, CHOWN: capability.h
        for pid, name in zip(processes, names):
            status = self.sh(f"cat /proc/{pid}/task/*/status")
            kept = sys_nice if name == "vhintd-warden" else capabilities
            for key, value in (("CapEff", kept), ("CapPrm", kept), ("CapBnd", capabilities)):
                self.assertEqual({int(found, 16) for found in re.findall(rf"{key}:\s*(\w+)", status)}, {value}, (name, key))
            for key, value in (("NoNewPrivs", "1"), ("Seccomp", "2")):
                self.assertEqual(set(re.findall(rf"{key}:\s*(\w+)", status)), {value}, (name, key))
        inside = f"nsenter -t {self.pid()} -m"
        self.assertIn("Read-only", self.fails(f"{inside} touch /etc/vhint/x"))
        self.assertIn("Read-only", self.fails(f"{inside} sh -c 'echo 1 >/proc/sys/kernel/sched_autogroup_enabled'"))
        self.sh(f"{inside} sh -c 'touch /var/lib/vhint/x /run/vhint/x && rm /var/lib/vhint/x /run/vhint/x'")

    def test_3_who_may_ask(self):
        for who in ("", "runuser -u member -- "):
            self.assertIn("standin", self.sh(f"{who}vhintctl status"))
        self.assertIn("permission denied: be root or a member of the group vhint", self.fails("runuser -u other -- vhintctl status"))

    def test_4_pins_and_boosts(self):
        self.assertEqual(self.sh(f"stat -c %U {STANDIN}/qmp").strip(), "nobody")
        self.wait_pinned()
        self.assertEqual({self.sh(f"stat -c %U /proc/{thread}").strip() for thread in self.threads()}, {"nobody"})
        self.wait_hints()
        self.assertEqual(self.masks()[0], FLOATING)
        self.assertEqual(len(self.masks()), 2, "pinned once, and left alone since")
        group = "/sys/fs/cgroup/system.slice/standin.service"
        self.sh(f"""set -e
            mkdir {group}/vcpu
            echo threaded >{group}/vcpu/cgroup.type
            echo +cpu >{group}/cgroup.subtree_control
            echo {self.threads()[BOUND]} >{group}/vcpu/cgroup.threads""")
        for kind, is_done in (("nice", lambda: self.scheduling() == (-15, 0)), ("rr", lambda: self.scheduling()[1] == 2),
                              ("weight", lambda: self.sh(f"cat {group}/vcpu/cpu.weight") == "2800\n"),
                              ("uclamp", lambda: "no util clamping" in self.boost()["problem"])):
            with self.subTest(kind):
                self.sh(f"cat >/etc/vhint/policy.d/50-test.conf <<'END'\n{BOOST.format(kind)}END")
                self.sh("systemctl reload vhintd")
                wait_for(is_done, 60, f"boosted by {kind}, or told why not")
        self.assertEqual(self.scheduling(), (0, 0))
        self.assertEqual(self.sh(f"cat {group}/vcpu/cpu.weight"), "100\n")

    def boost(self):
        return next(action for action in self.ctl("why", "standin")
                    if action["vcpu"] == BOUND and action["action"].startswith("boost"))

    def test_5_metrics(self):
        """What Prometheus's own tool says of the page."""
        script = 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:9477/metrics").read().decode(), end="")'
        page = self.sh(f"python3 -c '{script}'")
        self.assertIn('vhint_guest_connected{guest="standin"} 1\n', page)
        done = subprocess.run([promtool(self.directory), "check", "metrics"], input=page, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_6_hook(self):
        """Nobody serves libvirt's hook, as nothing of libvirt is configured: it ends at once, and a stop is a stop."""
        self.sh("/etc/libvirt/hooks/qemu.d/vhint web prepare begin - </dev/null")
        self.sh("systemctl stop vhintd")
        self.wait_put_back()
        vhtest.stays(lambda: self.unit("ActiveState") == "inactive", 2, "stopped")
        self.sh("systemctl start vhintd")
        self.wait_pinned()

    def check_adopted(self, change, seconds=60):
        """The pin stays as it is while vhintd becomes another process, hints go on, and it is the new one that acts on them."""
        self.wait_pinned()
        masks, looks, pid = self.masks(), self.number("looks"), self.pid()
        self.assertEqual(len(parse_cpus(masks[-1])), 1)
        change()
        wait_for(lambda: self.pid() not in (0, pid) and self.unit("ActiveState") == "active", seconds, "another vhintd")
        self.wait_hints()
        self.assertEqual(self.masks(), masks)
        self.assertGreater(self.number("looks"), looks + 100)
        return pid

    def test_7_upgrade(self):
        calls = self.agent.start("while /etc/libvirt/hooks/qemu.d/vhint web prepare begin - </dev/null; do sleep 0.5; done; exit 1")
        begin = self.sh("date '+%F %T.%N'").strip()
        old = self.check_adopted(lambda: self.sh("dpkg -i /srv/vhint-test/newer.deb", timeout=300))
        self.assertTrue(self.sh("dpkg-query -W -f '${Version}' vhint").endswith("+1"))
        self.assertFalse(calls.done(), "a call of libvirt's hook has failed meanwhile")
        calls.kill()
        self.assertEqual(self.sh(f"readlink /proc/{self.pid()}/exe").strip(), "/usr/sbin/vhintd")
        self.assertEqual(self.unit("ActiveState", unit="vhintd-hook.socket"), "active")
        self.assertEqual(self.unit("NRestarts"), "0")
        self.assertEqual(self.fails(f"cat /proc/{old}/comm").count("No such file"), 1)
        since = f"--since '{begin}'"
        steps = self.journal(since, "VHINT_GUEST=standin")
        self.assertEqual({step["_SYSTEMD_UNIT"] for step in steps}, {"vhintd.service"})
        self.assertEqual({int(step["_PID"]) for step in steps}, {old, self.pid()})
        new = [step for step in steps if int(step["_PID"]) == self.pid()]
        pin = next(step for step in new if step["VHINT_WHAT"] == f"pin vCPU {VISITED}")
        self.assertEqual((pin["VHINT_BEFORE"], len(parse_cpus(pin["VHINT_AFTER"]))), (FLOATING, 1))
        self.assertIn("affinity-pin", pin["VHINT_WHY"])
        self.assertFalse([step for step in steps if step["VHINT_WHAT"] in (f"unpin vCPU {BOUND}", "load affinity")])
        self.assertIn("handover", [step.get("VHINT_WHAT") for step in self.journal(since, f"_PID={old}")])

    def test_8_killed(self):
        self.check_adopted(lambda: self.sh(f"kill -9 {self.pid()}"))
        self.assertEqual(self.unit("NRestarts"), "1")

    def test_8_restart_and_stop(self):
        """Not announced: everything is put back first."""
        self.wait_pinned()
        masks, pid = self.masks(), self.pid()
        self.sh("systemctl restart vhintd")
        self.assertNotEqual(self.pid(), pid)
        wait_for(lambda: len(self.masks()) == len(masks) + 2 and self.is_pinned(), 30, "put back, and pinned anew")
        self.assertEqual(self.masks()[len(masks)], FLOATING)
        self.wait_hints()
        self.sh("systemctl stop vhintd")
        self.assertEqual(set(self.cpus()), {FLOATING})
        self.assertEqual(self.scheduling(), (0, 0))
        self.assertEqual(self.unit("ActiveState", "Result"), ["inactive", "success"])
        self.assertIn("is vhintd running?", self.fails("vhintctl status"))
        self.sh("systemctl start vhintd")
        self.wait_pinned()

    def test_9_purged(self):
        """A vhintd that was killed has left pins, for a successor that will not come."""
        self.wait_pinned()
        self.sh(f"systemctl mask --runtime vhintd && kill -9 {self.pid()}")
        self.sh("dpkg --purge vhint", timeout=300)
        self.assertEqual(set(self.cpus()), {FLOATING})
        self.assertEqual(self.sh("pidof vhintd", check=False), "")
        self.assertEqual(self.sh("systemctl is-active vhintd-hook.socket", check=False), "inactive\n")
        left = self.sh("find / /run -xdev -path /srv -prune -o -path /run/systemd -prune -o -path /run/udev -prune -o "
                       "-name '*vhint*' -print")
        # What the operator has put into it keeps the directory, and Debian's packages keep their groups.
        self.assertEqual(left.split(), ["/etc/vhint"])
        self.assertIn("vhint:", self.sh("getent group vhint"))
