# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a libvirtd of the test's own, with domains and vhint's real hook, and a vhintd beside it.

All of them live in a mount namespace in which /run, /etc/libvirt and libvirt's directories of /var are the test's: the
host's own libvirt, if there is one, is neither used nor seen."""
import copy
import json
import os
import re
import select
import shlex
import shutil
import socket
import struct
import subprocess
import time
import uuid
from xml.sax.saxutils import quoteattr

from . import process, setting, states, witness
from .agent import Agent
from .daemon import ENVIRONMENT, VHINTCTL, Daemon
from .guest import CMDLINE, MEMORY, QEMU_TUNABLES, Guest
from .process import Failure, Process, wait_for
from .setting import BUILD

QEMU_DRIVER = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"
CACHE = os.path.join(BUILD, "libvirt-cache")  # what QEMU can do, which takes libvirtd seconds to find out

# Holds the namespace. Once the test's end of stdin is closed, also by its death, nothing is left that lives in it: libvirtd
# detaches its QEMUs.
HOLDER = r"""
set -e
mount --bind "$0/run" /run
mount --bind "$0/etc" /etc/libvirt
mount --bind "$0/passwd" /etc/passwd
mount --bind "$0/group" /etc/group
for d in lib log; do mount --bind "$0/$d" /var/$d; done
mount --bind "$1" /var/cache
# Beside v1 libvirt takes an empty v2 hierarchy for one that should have everything.
[ ! -d /sys/fs/cgroup/cpuset ] || umount /sys/fs/cgroup/unified 2>/dev/null || :
echo ready
cat >/dev/null
mine=$(readlink /proc/$$/ns/mnt | sed 's/[][]/\\&/g')
left=1 tries=0
while [ -n "$left" ] && [ $tries -lt 100 ]; do
    left= tries=$((tries + 1))
    for p in $(find /proc/[0-9]*/ns/mnt -maxdepth 0 -lname "$mine" 2>/dev/null | cut -d / -f 1-3); do
        [ "${p#/proc/}" != $$ ] || continue
        kill -9 "${p#/proc/}" 2>/dev/null || continue # it was find, or cut
        grep -q '^State:.Z' $p/status 2>/dev/null || left=1
    done
    [ -z "$left" ] || sleep 0.05
done
find /sys/fs/cgroup/*/machine -depth -type d -exec rmdir {} + 2>/dev/null || :
rm -rf "$0"
"""


def missing():
    """Why these tests cannot run here; None: they can."""
    for file in ("/usr/sbin/libvirtd", "/usr/bin/virsh", QEMU_DRIVER):
        if not os.path.exists(file):
            return f"{file} is not installed"
    return None


class Virsh:
    """A virsh that is asked again and again: to load it and its 45 libraries costs more than what it is asked."""
    PROMPT = b"virsh # "

    def __init__(self, prefix):
        # Without a terminal it tells what it reads as one line if that has room.
        environment = dict(os.environ, TERM="dumb", COLUMNS="100000")
        self.process = subprocess.Popen([*prefix, "virsh", "-c", "qemu:///system", "-q"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        self._answer()

    def _answer(self):
        answer, end = b"", time.monotonic() + 90 * setting.slowness
        while not answer.endswith(self.PROMPT):
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure(f"virsh does not answer: {answer}")
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                raise Failure(f"virsh ended: {answer}")
            answer += data
        return answer[:-len(self.PROMPT)].decode()

    def call(self, *args):
        command = shlex.join(map(str, args))
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        echo, _, text = self._answer().partition("\n")
        if echo != command:
            raise Failure(f"virsh has read {echo}, not {command}")
        failed = re.search("(?m)^error: ", text)
        return subprocess.CompletedProcess(args, 1 if failed else 0, "" if failed else text, text if failed else "")

    def close(self):
        self.process.kill()
        self.process.communicate()


class Libvirt:
    """A libvirtd; a context manager."""

    def __init__(self, hook=True, controllers=()):
        self.directory = process.temporary_directory()
        self.hook = hook
        self.controllers = controllers  # cgroup controllers that libvirt uses
        self.holder = None
        self.daemon = None
        self.asked = None  # the Virsh

    def path(self, name):
        return os.path.join(self.directory, name)

    def logs(self):
        return f"--- libvirtd\n{witness.told(self.path('libvirtd.log'))}"

    def __enter__(self):
        self._make_directory()
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", HOLDER,
                                        self.directory, CACHE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                       start_new_session=True)
        try:
            if self.holder.stdout.readline() != "ready\n":
                raise Failure("cannot make a mount namespace of the test's own")
            witness.witnesses.append(self)
            process.keepers.append(self.holder)
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self in witness.witnesses:
            witness.witnesses.remove(self)
        try:
            self.stop(sig=9)
        finally:
            process.end_keeper(self.holder)
            process.remove_directory(self.directory)

    def _make_directory(self):
        for name in ("run/vhint", "etc/hooks/qemu.d", "lib", "log", "drivers"):
            os.makedirs(self.path(name))
        os.makedirs(CACHE, exist_ok=True)
        # libvirtd insists on a user that only its -system package makes, even where it is told another one.
        for name, line in (("passwd", "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin\n"),
                           ("group", "libvirt-qemu:x:64055:\nkvm:x:64056:\n")):
            with open(f"/etc/{name}") as system, open(self.path(name), "w") as own:
                own.write(system.read() + line)
        with open(self.path("etc/qemu.conf"), "w") as file:
            file.write('user="root"\ngroup="root"\nnamespaces=[]\nsecurity_driver="none"\nstdio_handler="file"\n'
                       f"cgroup_controllers={json.dumps(list(self.controllers))}\n")
        with open(self.path("etc/libvirtd.conf"), "w") as file:
            file.write(f'auth_unix_rw="none"\nhost_uuid="{uuid.uuid4()}"\n')  # two of them are two hosts
        os.symlink(QEMU_DRIVER, self.path("drivers/libvirt_driver_qemu.so"))  # no network, no storage, no firewall
        if self.hook:
            os.symlink(setting.hook(), self.path("etc/hooks/qemu.d/vhint"))

    @property
    def prefix(self):
        """Of a command line that is to run beside libvirtd."""
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--"]

    def start(self):
        self.daemon = Process(self.prefix + ["libvirtd"], self.path("libvirtd.log"),
                              dict(os.environ, LIBVIRT_DRIVER_DIR=self.path("drivers")))

        def answers():
            if not self.daemon.alive():
                raise Failure(f"libvirtd ended:\n{self.logs()}")
            with socket.socket(socket.AF_UNIX) as sock:
                return not sock.connect_ex(self.path("run/libvirt/libvirt-sock")) and self.call("version").returncode == 0
        wait_for(answers, 20, "libvirtd answers")
        return self

    def stop(self, sig=15):
        """Ends libvirtd; its domains go on."""
        asked, self.asked = self.asked, None
        if asked:
            asked.close()
        running, self.daemon = self.daemon, None
        if running:
            running.end(sig=sig)

    def clear(self, keep=()):
        """Removes what a test that failed has left, but for the domains of these UUIDs."""
        if not self.daemon or not self.daemon.alive():
            self.stop()
            self.start()
        for name in self.virsh("list", "--all", "--uuid").split():
            if name not in keep:
                self.call("destroy", name)
                self.call("undefine", "--managed-save", name)

    def call(self, *args):
        self.asked = self.asked or Virsh(self.prefix)
        return self.asked.call(*args)

    def virsh(self, *args):
        result = self.call(*args)
        if result.returncode:
            raise Failure(f"virsh {' '.join(map(str, args))}: {result.stderr}")
        return result.stdout.strip()

    @property
    def uri(self):
        """For those in another namespace."""
        return f"qemu+unix:///system?socket={self.path('run/libvirt/libvirt-sock')}"

    def vhintctl_call(self, *args):
        return subprocess.run(self.prefix + [VHINTCTL, "--json", *args], capture_output=True, text=True, timeout=60,
                              env=ENVIRONMENT)

    def vhintctl(self, *args):
        result = self.vhintctl_call(*args)
        if result.returncode:
            raise Failure(f"vhintctl {' '.join(args)}: {result.stderr}")
        return json.loads(result.stdout)


class Domain(Guest):
    """A guest that libvirt runs. It has the channel for vhint (unless told otherwise) and one for the test. Goes on from a
    saved state only if prepare() was called for such a machine; `fresh` boots. `served` as Guest has it.
    libvirt is made to believe that this QEMU cannot tell which features of the CPU are missing: it asks for every feature by
    itself otherwise, in hundreds of commands that QEMU reads byte by byte, a third of what a start costs.
    `restored`: libvirt itself restores the state, as after `virsh managedsave`, and QEMU's command line says nothing of it:
    for what is to be saved or to migrate."""
    channel_label = "charchannel0"

    def __init__(self, libvirt, name="guest", cpus=2, maxcpus=None, memory=MEMORY, channel=True, profile=None, iothreads=0,
                 extra="", devices="<memballoon model='none'/>", cpu="", transient=False, served=True, restored=False, **kwargs):
        super().__init__(name=name, memory=memory, served=served, **kwargs)
        self.libvirt = libvirt
        self.cpus = cpus
        self.maxcpus = maxcpus or cpus
        self.channel = channel
        self.profile = profile
        self.iothreads = iothreads
        self.extra = extra
        self.devices = devices
        self.cpu = cpu  # what the CPU's element is to have
        self.transient = transient
        self.restored = restored
        self.uuid = str(uuid.uuid4())
        self.xml_path = self.path("domain.xml")

    def xml(self):
        with open("/proc/cpuinfo") as file:
            kvm = re.search(r"\b(vmx|svm)\b", file.read())
        cpu = f"<cpu mode='host-passthrough'>{self.cpu}</cpu>" if kvm else \
            f"<cpu mode='maximum' check='none'><feature name='la57' policy='disable'/>{self.cpu}</cpu>"
        profile = f"<metadata><v:profile xmlns:v='urn:vhint:domain:1'>{self.profile}</v:profile></metadata>" \
            if self.profile else ""
        channel = "<channel type='unix'><source mode='bind'/><target type='virtio' name='org.vhint.0'/></channel>" \
            if self.channel else ""
        arguments = states.TO_BE_SAVED
        if self._state():
            arguments = [] if self.restored else states.arguments(self.path("state"))
        qemu = "".join(f"<qemu:arg value='{argument}'/>" for argument in arguments)
        return f"""<domain type='{"kvm" if kvm else "qemu"}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{self.name}</name><uuid>{self.uuid}</uuid>{profile}
  <memory unit='MiB'>{self.memory}</memory>
  <vcpu current='{self.cpus}'>{self.maxcpus}</vcpu>
  {f"<iothreads>{self.iothreads}</iothreads>" if self.iothreads else ""}
  {self.extra}
  <os><type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{self.image}/vmlinuz</kernel><initrd>{self.image}/initrd</initrd>
    <cmdline>{CMDLINE} {self.append}</cmdline></os>
  <features><acpi/></features>
  {cpu}
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>{self.devices}
    <serial type='file'><source path={quoteattr(self.path("serial"))}/></serial>
    {channel}
    <channel type='unix'><source mode='bind' path='/run/{self.uuid}.test'/>
      <target type='virtio' name='org.vhint.test'/></channel>
  </devices>
  <qemu:commandline>{qemu}<qemu:env name='GLIBC_TUNABLES' value='{QEMU_TUNABLES}'/></qemu:commandline>
  <qemu:capabilities><qemu:del capability='cpu-unavailable-features'/></qemu:capabilities>
</domain>
"""

    def _state_path(self):
        machine = (self.cpus, self.maxcpus, self.memory, self.iothreads, f"{CMDLINE} {self.append}", self.channel, self.cpu,
                   self.devices)
        return states.path_of(self.image, ["libvirt", *map(str, machine)], *self.programs)

    def _state(self):
        """The saved state of such a machine; None: it boots."""
        if self.fresh:
            return None
        state = self._state_path()
        return state if os.path.exists(state) else None

    def serve(self):
        super().serve()
        shutil.rmtree(self.libvirt.path("run/vhint"))
        os.mkdir(self.libvirt.path("run/vhint"))  # as if nobody had been there

    def wait_injector(self, call):
        if self.channel:
            super().wait_injector(call)

    def daemon(self):
        return LibvirtDaemon(self.libvirt, {self.name: {}})

    def prepare(self):
        """Makes the saved state of such a machine, if there is none yet. The domain is not used otherwise."""
        if self.fresh:
            return
        state = self._state_path()
        with states.locked(state):
            if not os.path.exists(state):
                self.fresh = True
                begin = time.monotonic()
                with self:
                    self.check_clock(begin)
                    self.save(self.monitor, state)

    def define(self):
        with open(self.xml_path, "w") as file:
            file.write(self.xml())
        self.libvirt.virsh("define", self.xml_path)
        return self

    def start(self, wait=True):
        if self not in witness.witnesses:
            witness.witnesses.append(self)
        if self.transient:
            with open(self.xml_path, "w") as file:
                file.write(self.xml())
            self.libvirt.virsh("create", self.xml_path)
        else:
            if self.libvirt.call("domstate", self.uuid).returncode:
                self.define()
            if self.restored and self._state():
                self._save_as_libvirt()
            self.libvirt.virsh("start", self.uuid)
        if self._state() and not self.restored:
            states.load(self._state(), self.path("state"))
        return self.attach(wait)

    def _save_as_libvirt(self):
        """Writes what `virsh managedsave` would have: a header, what describes the domain, and QEMU's stream. Source: libvirt's
        src/qemu/qemu_saveimage.h."""
        xml = self.libvirt.virsh("dumpxml", "--inactive", self.uuid).encode() + b"\0"
        with open(self.libvirt.path(f"lib/libvirt/qemu/save/{self.name}.save"), "wb") as file, open(self._state(), "rb") as state:
            file.write(struct.pack("<16sIIIII56x", b"LibvirtQemudSave", 2, len(xml), 1, 0, 0) + xml)
            shutil.copyfileobj(state, file, 1 << 20)

    def attach(self, wait=True):
        """To the domain that libvirt has started or restored."""
        self._serial_from = 0
        self._threads = None
        if self.agent:
            self.agent.close()
        self.agent = Agent(self.libvirt.path(f"run/{self.uuid}.test"), self.check)  # each libvirtd has its own
        self.agent.connect()
        if wait:
            self.wait_booted()
        return self

    def migrate(self, there):
        """virsh, while it migrates the domain to another Libvirt."""
        return Process(self.libvirt.prefix + ["virsh", "-q", "migrate", "--live", "--p2p", self.uuid, there.uri, "--migrateuri",
                                              f"unix://{self.path('migration')}"], self.path("migrate.log"))

    def moved(self, there):
        """The same domain where it has migrated to; this one must not be used any longer."""
        self.agent.close()
        moved = copy.copy(self)
        moved.libvirt = there
        moved.agent = None
        return moved.attach(wait=False)

    def pull_reset(self):
        self.libvirt.virsh("reset", self.uuid)

    def destroy(self):
        self.agent.close()
        self.libvirt.virsh("destroy", self.uuid)

    def stop(self):
        if self.agent:
            self.agent.close()
        if self.libvirt.daemon:
            self.libvirt.call("destroy", self.uuid)
            self.libvirt.call("undefine", "--managed-save", self.uuid)
        super().stop()

    def logs(self):
        log = self.libvirt.path(f"log/libvirt/qemu/{self.name}.log")
        return f"--- serial console of {self.name}\n{witness.told(self.path('serial'))}--- QEMU of {self.name}\n{witness.told(log)}"

    def monitor(self, command, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self.libvirt.virsh("qemu-monitor-command", self.uuid, text))["return"]

    def pid(self):
        with open(self.libvirt.path(f"run/libvirt/qemu/{self.name}.pid")) as file:
            return int(file.read())

    def threads(self):
        if self._threads is None:
            self._threads = {self.monitor("qom-get", path=cpu["qom-path"], property="apic-id"): cpu["thread-id"]
                             for cpu in self.monitor("query-cpus-fast")}
        return self._threads

    def forget(self):
        """vCPUs have been plugged or unplugged."""
        self._threads = None
        self._apic = None


class LibvirtDaemon(Daemon):
    """vhintd beside a libvirtd, for the domains that `domains` ({MATCH: keys}) says."""
    saved = "saved/masks"

    def __init__(self, libvirt, domains=None, uri="qemu:///system", **kwargs):
        super().__init__(**kwargs)
        self.libvirt = libvirt
        self.uri = uri
        self.prefix = libvirt.prefix
        self.domains = {"*": {}} if domains is None else domains
        self.control = libvirt.path("run/vhint/control")
        self.journal = libvirt.path("run/vhint/journal")

    def write_guests(self, file):
        file.write(f"[libvirt]\nuri={self.uri}\n")
        for match, keys in self.domains.items():
            keys = {"programs": self.programs, "pool": self.pool, **keys}
            file.write(f"\n[guest {match}]\n" + "".join(f"{key}={value}\n" for key, value in keys.items()))

    def write_config(self):
        super().write_config()
        with open(self.config) as file:
            text = file.read()
        text = re.sub(r"(?m)^run-dir=.*$", "run-dir=/run/vhint", text)
        with open(self.config, "w") as file:
            file.write(re.sub(r"(?m)^control=.*$", "control=/run/vhint/control", text))

    def names(self):
        return sorted(guest["name"] for guest in self.ctl("guests"))

    def wait_known(self, *names, timeout=20):
        wait_for(lambda: self.names() == sorted(names), timeout, f"vhintd knows exactly {', '.join(names) or 'nobody'}")

    def wait_ready(self, guest="guest", timeout=60):
        wait_for(lambda: guest in self.names(), 20, f"vhintd knows {guest}")
        super().wait_ready(guest, timeout)
        wait_for(lambda: self.guest(guest)["vcpus"], 10, f"libvirt has told vhintd the vCPUs of {guest}")
