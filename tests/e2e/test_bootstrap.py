# SPDX-License-Identifier: GPL-2.0-or-later
"""vhintctl bootstrap: the injector is brought into guests that lack it, by their QEMU guest agents."""
import hashlib
import unittest

import vhtest
from vhtest import guestagent, wait_for
from vhtest.daemon import ENVIRONMENT, VHINTCTL
from vhtest.guest import INJECTOR
from vhtest.libvirt import Domain, Libvirt, LibvirtDaemon, missing

PLACE = "/run/vhint-injector"


class BootstrapDaemon(vhtest.Daemon):
    """Knows of the guest's agent; `allowed` is what policy says."""
    allowed = "yes"

    def write_guests(self, file):
        super().write_guests(file)
        for guest in self.guests.values():
            file.write(f"agent={guest.path(guestagent.PORT)}\n")
            if self.allowed:
                file.write(f"bootstrap={self.allowed}\n")


class Static(unittest.TestCase):
    """A guest of the configuration file's."""

    @classmethod
    def setUpClass(cls):
        cls.guest = cls.enterClassContext(vhtest.Guest(image=guestagent.image(), ports=(guestagent.PORT,),
                                                       append="vhint.injector=0"))

    def setUp(self):
        self.addCleanup(self.clean_up)

    def clean_up(self):
        self.guest.run("umount /run/vhint-injector; killall -9 vhint-injector qemu-ga; mount -o remount,exec /run; "
                       "rm -rf /run/vhint-injector /var /root", check=False)
        wait_for(lambda: self.guest.run("pidof vhint-injector qemu-ga", check=False).code, 10, "both have ended")

    def serve(self, allowed="yes"):
        daemon = BootstrapDaemon(self.guest)
        daemon.allowed = allowed
        self.addCleanup(daemon.close)
        return daemon.start(wait=False)

    def agent(self, *arguments):
        return guestagent.GuestAgent(self.guest, *arguments)

    def refused(self, daemon, text):
        """vhintctl bootstrap fails and says so; the guest has no injector of ours then."""
        result = daemon.call("bootstrap", "guest")
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        self.assertIn(text, result.stderr)
        self.assertNotEqual(self.guest.run(f"test -e {PLACE}/new -o -e {PLACE}/vhint-injector", check=False).code, 0)
        return result.stderr

    def test_brought_in(self):
        self.agent()
        daemon = self.serve()
        result = daemon.ctl("bootstrap", "guest")
        self.assertEqual((result["already"], result["path"], result["how"]), (False, f"{PLACE}/vhint-injector", "alone"))
        self.assertEqual(result["release"], self.guest.output("uname -r"))
        daemon.wait_ready()
        with open(INJECTOR, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        self.assertEqual(self.guest.output(f"sha256sum <{PLACE}/vhint-injector").split()[0], digest)
        self.assertEqual(self.guest.output(f"stat -c '%a %u' {PLACE} {PLACE}/vhint-injector").split("\n"), ["700 0", "500 0"])
        self.assertEqual([(step["what"], step["after"]) for step in daemon.steps("bootstrap")],
                         [("bootstrap", f"{PLACE}/vhint-injector")])
        pid = self.guest.injector_pid()
        self.guest.start_command("exec taskset -c 2 sleep 1000")
        wait_for(lambda: [vcpu["guest_cpu"] for vcpu in daemon.ctl("status", "guest")["guests"][0]["vcpu"]
                          if vcpu["state"] == "pinned"] == [2], 10, "a bound task's vCPU is pinned")
        # The guest agent is not even asked when there is nothing to do.
        self.guest.run("killall qemu-ga")
        self.assertTrue(daemon.ctl("bootstrap", "guest")["already"])
        self.assertIn("has an injector already", daemon.call("bootstrap", "guest").stdout)
        self.assertEqual(self.guest.injector_pid(), pid)

    def test_policy_has_to_allow_it(self):
        self.agent()
        for said in (None, "no"):
            with self.subTest(said):
                daemon = self.serve(said)
                self.refused(daemon, "policy does not allow it: write bootstrap = yes in a [guest ...] section for guest")
                daemon.close()

    def test_commands_that_the_guest_blocks(self):
        for blocked in ("guest-exec", "guest-file-open,guest-file-write"):
            with self.subTest(blocked):
                agent = self.agent("-b", blocked)
                daemon = self.serve()
                self.refused(daemon, f"the guest agent does not allow {blocked.replace(',', ', ')}: allow it there")
                self.assertEqual([step["what"] for step in daemon.steps("bootstrap")], ["bootstrap failed"])
                daemon.close()
                agent.end()

    def test_no_agent(self):
        daemon = self.serve()
        self.refused(daemon, "is qemu-guest-agent installed in the guest, does it run")
        # What it was asked meanwhile does no harm to one that comes late.
        self.agent()
        self.assertFalse(daemon.ctl("bootstrap", "guest")["already"])

    def test_no_room(self):
        self.agent()
        self.guest.run(f"mkdir -m 700 {PLACE} && mount -t tmpfs -o size=256k tmpfs {PLACE}")
        self.refused(self.serve(), "No space left on device")

    def test_where_programs_may_run(self):
        """A link that somebody has put there is not followed, and /run may be mounted noexec."""
        self.agent()
        daemon = self.serve()
        self.guest.run("mkdir -p /var/lib/elsewhere /root && ln -s elsewhere /var/lib/vhint-injector && "
                       "mount -o remount,noexec /run")
        self.assertEqual(daemon.ctl("bootstrap", "guest")["path"], "/root/.vhint-injector/vhint-injector")
        self.assertEqual(self.guest.output("ls /var/lib/elsewhere; ls /run | grep vhint || :"), "")

    def test_one_that_does_not_answer(self):
        self.agent()
        self.guest.run("mkdir -p /var && printf '#!/bin/sh\\nsleep 1000\\n' >/var/vhint-injector && chmod 755 /var/vhint-injector")
        fake = self.guest.start_command("exec /var/vhint-injector")
        said = self.refused(self.serve(), "an injector ran already in the guest, and has not answered")
        self.assertIn(f"it runs as process {fake.pid}", said)

    def test_port_that_comes_later(self):
        self.agent()
        daemon = self.serve()
        self.guest.qmp.call("device_del", id="org.vhint.0")
        wait_for(lambda: self.guest.run("grep -x org.vhint.0 /sys/class/virtio-ports/*/name", check=False).code, 10,
                 "the port has gone")
        self.addCleanup(self.plug)
        self.refused(daemon, "the guest has no port org.vhint.0: vhintctl enable")
        self.plug()
        self.assertFalse(daemon.ctl("bootstrap", "guest")["already"])

    def plug(self):
        if self.guest.run("grep -x org.vhint.0 /sys/class/virtio-ports/*/name", check=False).code:
            self.guest.qmp.call("device_add", driver="virtserialport", id="org.vhint.0", chardev="org.vhint.0",
                                name="org.vhint.0")
            wait_for(lambda: not self.guest.run("grep -x org.vhint.0 /sys/class/virtio-ports/*/name", check=False).code, 10,
                     "the port is back")

    def test_one_call_at_a_time(self):
        """Two calls, and nobody answers the one that is first; vhintd stops without waiting for that."""
        daemon = self.serve()
        calls = [vhtest.Process([VHINTCTL, "--socket", daemon.control, "bootstrap", "guest"], daemon.path(f"call{i}"), ENVIRONMENT)
                 for i in range(2)]
        for call in calls:
            self.addCleanup(call.end, 9)
        refused = wait_for(lambda: next((call for call in calls if not call.alive()), None), 10, "the second one is refused")
        self.assertIn("guest is being bootstrapped already", vhtest.tail(refused.log))
        waiting, = (call for call in calls if call is not refused)
        self.assertTrue(waiting.alive())
        daemon.stop()
        self.assertNotEqual(waiting.popen.wait(10 * vhtest.setting.slowness), 0)

    def test_no_such_file(self):
        daemon = BootstrapDaemon(self.guest)
        self.addCleanup(daemon.close)
        daemon.write_config()
        with open(daemon.config) as file:
            text = file.read()
        for injector, said in (("/none", "[daemon] injector"), ("/bin/ls", "not statically linked"),
                               (__file__, "no ELF program")):
            with self.subTest(injector):
                daemon.write_config = lambda: None
                with open(daemon.config, "w") as file:
                    file.write(text.replace(INJECTOR, injector))
                daemon.start(wait=False)
                self.refused(daemon, said)
                daemon.stop()


class OfLibvirt(unittest.TestCase):
    """A domain with nothing but a guest agent."""

    @classmethod
    def setUpClass(cls):
        if missing():
            raise unittest.SkipTest(missing())
        cls.libvirt = cls.enterClassContext(Libvirt())

    def wait_agent(self, state):
        def channel():
            return next(part for part in self.libvirt.virsh("dumpxml", "guest").split("<channel") if guestagent.PORT in part)
        wait_for(lambda: f"state='{state}'" in channel(), 10, f"libvirt knows that the agent is {state}")

    def test_enable_and_bootstrap(self):
        port = f"<channel type='unix'><source mode='bind'/><target type='virtio' name='{guestagent.PORT}'/></channel>"
        machine = {"image": guestagent.image(), "channel": False, "served": False, "append": "vhint.injector=0",
                   "devices": f"<memballoon model='none'/>{port}"}
        Domain(self.libvirt, name="model", **machine).prepare()
        guest = self.enterContext(Domain(self.libvirt, **machine))
        daemon = LibvirtDaemon(self.libvirt, {"*": {"bootstrap": "yes"}})
        self.addCleanup(daemon.close)
        daemon.start(wait=False)
        daemon.wait_known("guest")

        def refused(text):
            result = daemon.call("bootstrap", "guest")
            self.assertEqual(result.returncode, 1)
            self.assertIn(text, result.stderr)
        refused("vhintctl enable guest gives it one")
        self.libvirt.vhintctl("enable", "guest")
        wait_for(lambda: "vhintctl enable" not in daemon.guest()["problem"], 10, "vhintd knows of the channel")
        refused("is qemu-guest-agent installed in the guest")
        agent = guestagent.GuestAgent(guest, "-b", "guest-exec")
        self.wait_agent("connected")
        refused("the guest agent does not allow guest-exec")
        agent.end()
        self.wait_agent("disconnected")
        guestagent.GuestAgent(guest)
        self.wait_agent("connected")
        self.assertEqual(daemon.ctl("bootstrap", "guest")["path"], f"{PLACE}/vhint-injector")
        daemon.wait_ready()
