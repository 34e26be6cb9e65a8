# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintd with a real libvirtd, real domains and the real hook."""
import contextlib
import os
import re
import signal
import subprocess
import time

import vhtest
from vhtest.libvirt import Domain, LibvirtDaemon
from vhtest.libvirt_case import PIN_EMULATOR, Case, pin

wait_for = vhtest.wait_for


def switches(pid):
    """{thread: how often it has gone to sleep}"""
    counts = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            counts[task] = next(line for line in file if line.startswith("voluntary_ctxt_switches"))
    return counts


def waits(pid):
    """s that its threads have waited for a CPU."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[1])
    return total / 1e9


class Start(Case):
    """A guest that the hook has told of is where its policy says before it runs."""

    def setUp(self):
        super().setUp()
        if len(self.all) < 2:
            self.skipTest("needs two host CPUs")
        self.first, self.last = min(self.all), max(self.all)
        self.keys = {"pool": self.last, "floating": "pool", "emulator": "pool", "iothreads": self.first}

    def defined(self, **kwargs):
        guest = Domain(self.libvirt, fresh=True, **kwargs)  # libvirt starts it itself
        self.addCleanup(guest.stop)
        return guest.define()

    def placed(self, guest):
        """All of QEMU's threads; False while there is no QEMU."""
        try:
            tasks = os.listdir(f"/proc/{guest.pid()}/task")
        except OSError:
            return False
        kinds = {"IO": [], "other": []}
        for task in tasks:
            with open(f"/proc/{guest.pid()}/task/{task}/comm") as file:
                kinds["IO" if file.read().startswith("IO iothread") else "other"].append(int(task))
        return all(vhtest.thread_cpus(task) in ({self.last}, set()) for task in kinds["other"]) and \
            all(vhtest.thread_cpus(task) == {self.first} for task in kinds["IO"])

    def test_without_libvirt_s_word(self):
        """vhintd is not connected to libvirtd at all, so the hook is all it hears."""
        guest = self.defined(iothreads=1)
        with LibvirtDaemon(self.libvirt, {"*": self.keys}, uri="qemu:///nowhere") as daemon:
            self.libvirt.virsh("start", "--paused", guest.uuid)
            self.assertEqual(guest.monitor("query-status")["status"], "prelaunch")
            wait_for(lambda: self.placed(guest), 5, "all threads of a guest that has not run yet are placed")
            rows = daemon.ctl("status", "guest")["guests"][0]
            self.assertEqual([(v["index"], v["state"], v["former"]) for v in rows["vcpu"]],
                             [(i, "pinned", self.pool) for i in range(guest.cpus)])
            self.assertEqual({row["former"] for row in rows["thread"]}, {self.pool})
            daemon.stop()
            self.assertTrue(all(vhtest.thread_cpus(row["thread"]) in (self.all, set())
                                for row in rows["vcpu"] + rows["thread"]))
            daemon.start()

    def assert_placed(self, guest, calls, ran, waited):
        """When QEMU let its CPUs run, and ever since, each vCPU has had its mask: what libvirt sets later is what vhintd has told
        it. It came later only where vhintd has `waited` (s) for a CPU for most of the time since libvirt's own mask."""
        guest.forget()
        self.assertEqual(len(guest.threads()), guest.cpus)
        for thread in guest.threads().values():
            made = calls.of("affinity", thread)
            told = f"waited {waited:.3f} s; {[(round((call.time - ran) * 1000, 1), call.caller, call.value) for call in made]}"
            *_, last = [call for call in made if call.time < ran]
            later = [call for call in made if call.time >= ran]
            self.assertEqual({call.value for call in [*later, *made[-1:]]}, {frozenset({self.last})}, told)
            if last.value != {self.last}:
                self.assertGreater(waited, 0.5 * (later[0].time - last.time), told)

    def test_before_the_first_instruction(self):
        """libvirt sets masks of its own some 5 ms before it lets the CPUs run, and cannot be held up. vhintd is in time each time
        unless it gets no CPU. libvirt's event, which all else lives by, comes after the first instruction without exception."""
        guest = self.defined()
        log = self.libvirt.path("events")
        events = vhtest.Process(self.libvirt.prefix + ["stdbuf", "-oL", "virsh", "-q", "qemu-monitor-event", "--loop", "--event",
                                                       "RESUME"], log)
        self.addCleanup(events.end, sig=9)
        since_boot = time.time() - time.monotonic()

        def ran(since):
            """When QEMU let its CPUs run, by its own word."""
            times = [float(when) - since_boot for when in re.findall(r"RESUME at (\d+\.\d+)", vhtest.tail(log))]
            return [when for when in times if when > since]
        with LibvirtDaemon(self.libvirt, {"*": self.keys}) as daemon:
            # virsh says nothing when it begins to listen.
            self.libvirt.virsh("start", "--paused", guest.uuid)
            while not ran(0):
                self.libvirt.virsh("resume", guest.uuid)
                self.libvirt.virsh("suspend", guest.uuid)
            for _ in range(9):
                self.libvirt.virsh("destroy", guest.uuid)
                daemon.wait_known()
                with vhtest.Calls() as calls:
                    begin, waited = time.monotonic(), waits(daemon.process.pid)
                    self.libvirt.virsh("start", guest.uuid)
                    daemon.wait_known("guest")
                    wait_for(lambda: self.placed(guest), 5, "placed")
                    first, *_ = wait_for(lambda: ran(begin), 10, "QEMU says when it ran")
                self.assert_placed(guest, calls, first, waits(daemon.process.pid) - waited)

    def test_told_of_the_one_before(self):
        """A call that waits while the domain is destroyed and started again reaches the next instance: libvirt knows domains by
        their UUIDs. What it announces then is no pin of somebody else's."""
        guest = self.defined()
        proxy = self.held_call(PIN_EMULATOR)
        keys = {"pool": self.last, "emulator": "pool"}
        with LibvirtDaemon(self.libvirt, {"*": keys}, uri=proxy.uri) as daemon:
            self.libvirt.virsh("start", "--paused", guest.uuid)
            self.assertTrue(proxy.held.wait(20 * vhtest.setting.slowness), "vhintd tells libvirt where the emulator is")
            self.libvirt.virsh("destroy", guest.uuid)
            daemon.wait_known()
            self.libvirt.virsh("start", "--paused", guest.uuid)
            daemon.wait_known("guest")
            proxy.let_go()

            second = self.libvirt.virsh("domid", guest.uuid)
            record = self.libvirt.path(f"run/vhint/saved/{guest.uuid}")
            wait_for(lambda: vhtest.tail(record).startswith(f"{second}\nemulatorpin {self.pool} {self.last}"), 10,
                     "libvirt is told of the second one's")
            self.assertEqual(daemon.steps("hands off"), [])
            daemon.stop()
            self.assertEqual(self.emulator_pin(guest), self.all)
            self.libvirt.virsh("destroy", guest.uuid)
            daemon.start()


class Enable(Case):
    """vhintctl enable and disable change a domain, and nothing else needs to."""

    def ctl(self, *args):
        return self.libvirt.vhintctl(*args)

    def test_at_the_next_start_and_while_it_runs(self):
        guest = Domain(self.libvirt, channel=False, fresh=True).define()  # its devices change before it starts
        self.addCleanup(guest.stop)
        self.assertEqual(self.ctl("enable", guest.name, "--profile", "web")["channel_config"], "added")
        self.assertEqual(self.ctl("enable", guest.name)["channel_config"], "already there")
        self.assertIn("org.vhint.0", self.libvirt.virsh("dumpxml", "--inactive", guest.name))
        with LibvirtDaemon(self.libvirt, {"profile:web": {}}) as daemon:
            guest.start()
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)
            done = self.ctl("disable", guest.uuid)
            self.assertEqual((done["channel_config"], done["channel_live"]), ("removed", "removed"))
            daemon.wait_known()
            self.assert_floats(guest)
            xml = self.libvirt.virsh("dumpxml", "--inactive", guest.name)
            self.assertNotIn("org.vhint.0", xml)
            self.assertNotIn("urn:vhint", xml)
            self.assertEqual(self.ctl("disable", guest.name)["channel_live"], "not there")
        with LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_known("guest")
            self.assertIn("vhintctl enable", daemon.guest()["problem"])
            self.assertEqual(self.ctl("enable", guest.name)["channel_live"], "added")
            daemon.wait_ready()
            self.assert_pinned(guest)

    def test_what_it_did_not_add_stays(self):
        guest = Domain(self.libvirt, name="byhand", channel=True).define()
        self.addCleanup(guest.stop)

        def xml():
            return self.libvirt.virsh("dumpxml", guest.name).replace("  <metadata/>\n", "")
        before = xml()
        self.assertEqual(self.ctl("enable", guest.name, "--profile", "web")["channel_config"], "already there")
        self.assertIn("kept", self.ctl("disable", guest.name)["channel_config"])
        self.assertEqual(xml(), before)

    def test_refusals_name_the_thing(self):
        for args, code, text in ((["enable", "nobody"], 4, "nobody"),
                                 (["enable", "x", "--profile", "a b"], 2, "a b"),
                                 (["enable", "x", "--connect", "qemu:///nowhere"], 3, "qemu:///nowhere")):
            result = self.libvirt.vhintctl_call(*args)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(text, result.stderr)


class Restarts(Case):
    """Whoever goes and comes back finds the guests as they are."""
    machines = ({},)

    def test_from_before_libvirtd_to_the_guest_s_end(self):
        self.libvirt.stop()
        with LibvirtDaemon(self.libvirt, {"late": {}}) as daemon:
            self.assertEqual(daemon.names(), [])
            self.libvirt.start()
            with Domain(self.libvirt, name="late", transient=True) as guest:
                daemon.wait_ready("late")
                self.assertEqual(daemon.guest("late")["uuid"], guest.uuid)
                task = pin(guest, 1)
                self.assert_pinned(guest, 1)
                self.assertEqual(guest.host_cpus(0), self.all)
                task.kill()
                self.assert_floats(guest, 1)
                pin(guest, 0)
                self.assert_pinned(guest, 0)
                guest.destroy()
                daemon.wait_known()

    def test_running_ones_are_adopted(self):
        with self.running() as guest:
            task = pin(guest)
            with LibvirtDaemon(self.libvirt) as daemon:
                daemon.wait_ready()
                self.assert_pinned(guest)
                daemon.kill()
                self.assertEqual(len(guest.host_cpus(0)), 1)
                task.kill()
                daemon.start()
                daemon.wait_ready()
                self.assert_floats(guest)
                pin(guest, 1)
                self.assert_pinned(guest, 1)
                daemon.stop()
                self.assert_floats(guest, 1)
                daemon.start()

    def test_libvirtd_restarts(self):
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_ready()
            task = pin(guest)
            self.assert_pinned(guest)
            for sig in (15, 9):
                self.libvirt.stop(sig)
                vhtest.stays(lambda: len(guest.host_cpus(0)) == 1, 1, "the pin, while libvirtd is away")
                other = pin(guest, 1)  # hints go on
                self.assert_pinned(guest, 1)
                other.kill()
                self.assert_floats(guest, 1)
                self.libvirt.start()
                vhtest.stays(lambda: len(guest.host_cpus(0)) == 1, 2, "the pin, once libvirtd is back")
            task.kill()
            self.assert_floats(guest)
            # What ended meanwhile is noticed.
            self.libvirt.stop(9)
            os.kill(guest.pid(), 9)
            wait_for(lambda: not daemon.guest()["connected"], 5, "the guest is gone")
            self.libvirt.start()
            daemon.wait_known()
            # What libvirt tells reaches us again.
            guest.start()
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)

    def test_ends_while_it_connects(self):
        """At any moment of that: 0 is vhintd's exit status, or stop() fails."""
        with LibvirtDaemon(self.libvirt) as daemon:
            for delay in range(0, 50, 5):
                daemon.stop()
                daemon.start(wait=False)
                time.sleep(delay / 1000)

    def test_libvirtd_hangs(self):
        with self.running() as guest, LibvirtDaemon(self.libvirt) as daemon:
            daemon.wait_ready()
            os.kill(self.libvirt.daemon.pid, signal.SIGSTOP)
            try:
                pin(guest)
                wait_for(lambda: "pinned" in [v["state"] for v in daemon.ctl("status")["guests"][0]["vcpu"]], 5, "pinned")
                daemon.stop()
            finally:
                os.kill(self.libvirt.daemon.pid, signal.SIGCONT)
            self.assert_floats(guest)
            daemon.start()
            daemon.wait_ready()
            self.assert_pinned(guest)

    def test_idle_costs_no_wakeups(self):
        """With pins alone: a boost is measured as long as the vCPU waits for others, which it does where the host is busy."""
        with self.running() as guest, LibvirtDaemon(self.libvirt, {"*": {"actions": "pin"}}) as daemon:
            daemon.wait_ready()
            pin(guest)
            self.assert_pinned(guest)

            def quiet():  # worker threads end after 15 s without work
                before = switches(daemon.process.pid)
                time.sleep(3)
                return switches(daemon.process.pid) == before
            wait_for(quiet, 60, "three seconds without a wake-up")


class NoHook(Case):
    """Without the hook, libvirt's events are enough; and only the domains that are asked for are looked after."""
    hook = False
    machines = ({},)

    def test_match(self):
        with LibvirtDaemon(self.libvirt, {"web-*": {}, "profile:batch": {}}) as daemon, \
                Domain(self.libvirt, name="web-1") as first, Domain(self.libvirt, name="other") as other:
            daemon.wait_ready("web-1")
            self.assertEqual(daemon.names(), ["web-1"])
            pin(first)
            self.assert_pinned(first)
            pin(other)
            vhtest.stays(lambda: other.host_cpus(0) == self.all, 1, "a domain that no section matches floats")
            self.libvirt.vhintctl("enable", "other", "--profile", "batch")
            daemon.wait_known("other", "web-1")
            daemon.wait_ready("other")
            self.assert_pinned(other)
            daemon.stop()
            daemon.domains = {"profile:batch": {}, first.uuid: {}}
            daemon.start()
            daemon.wait_known("other", "web-1")
            first.destroy()
            daemon.wait_known("other")


class Many(Case):
    """Eight guests at once, and a storm of hook calls meanwhile."""
    machines = ({},)

    def test_eight_guests(self):
        with LibvirtDaemon(self.libvirt) as daemon:
            guests = [self.enterContext(Domain(self.libvirt, name=f"g{i}")) for i in range(8)]
            garbage = self.libvirt.path("garbage")
            with open(garbage, "w") as file:
                file.write("<domain>garbage\n")
            storm = vhtest.Process(
                ["sh", "-c", 'i=0; while [ $i -lt 100 ]; do i=$((i + 1)); '
                 'VHINT_HOOK_SOCKET="$1" "$0" nobody start begin - <"$2" || exit 1; done', vhtest.setting.hook(),
                 self.libvirt.path("run/vhint/hook"), garbage], self.libvirt.path("storm.log"))
            for guest in guests:
                daemon.wait_ready(guest.name, timeout=120)
            for guest in guests:
                pin(guest)
            # There are more anchors than host CPUs here: as many are pinned as there is room for.
            wait_for(lambda: sum(len(g.host_cpus(0)) == 1 for g in guests) >= min(len(self.all) - 1, 8) or
                     len(self.all) == 1, 20, "guests are pinned")
            self.assertEqual(storm.popen.wait(120), 0)
            random = subprocess.run(["sh", "-c", 'head -c 1048576 /dev/urandom | VHINT_HOOK_SOCKET="$1" "$0" nobody start begin -',
                                     vhtest.setting.hook(), self.libvirt.path("run/vhint/hook")], capture_output=True, timeout=60)
            self.assertEqual((random.returncode, random.stdout, random.stderr), (0, b"", b""))
            self.assertEqual(daemon.names(), [f"g{i}" for i in range(8)])
            for guest in guests:
                guest.destroy()
            daemon.wait_known()
