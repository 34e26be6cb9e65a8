# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots guests under QEMU: a stock kernel, the image's initramfs, one port for vhint and two for the test."""
import functools
import os
import re
import socket
import subprocess
import time

from . import process, setting, states, stuck, witness
from .agent import Agent
from .process import Failure, Process, tail, thread_cpus, wait_for
from .proxy import Proxy
from .qmp import Qmp
from .setting import BUILD, TOP

AFFINITY = os.path.join(BUILD, "guest-bpf/affinity.bpf.o")
INJECTOR = os.path.join(BUILD, "injector/vhint-injector")
# Of the C library, for QEMU: it allocates some 30 MiB before a guest does anything, which come one page fault after the other
# otherwise: a fifth of what it takes to resume a guest.
QEMU_TUNABLES = "glibc.malloc.hugetlb=1"

# Of a guest, in MiB: what it does not need, this host has to find and clear for each guest anew all the same.
MEMORY = 160

# Guest CPUs 0 to 5 with APIC ids 0, 1, 2, 4, 5, 6. More than 8 possible CPUs make the guest's kernel address interrupts
# physically; the logical way QEMU 7.2 loses them under TCG where APIC ids have gaps.
SPARSE_APIC_IDS = "6,sockets=3,cores=3,maxcpus=9"

# Without no_timer_check a kernel on a starved host takes late timer interrupts for a broken timer; without tsc=reliable it asks
# the HPET what time it is, of which each answer costs as much as a system call. The last two save a fifth of a boot.
CMDLINE = "console=ttyS0 quiet panic=0 no_timer_check tsc=reliable cryptomgr.notests lpj=8000000"


class Panic(Failure):
    """The guest's kernel, not the system under test."""


# What is said of a guest that has been torn: busybox has died of a segmentation fault, unseen perhaps, or nobody answers.
TORN = r"exit status 139|can't kill pid|the guest did not answer within"


def migrates_live(test):
    """Of a test whose guests do: begins it anew where a copy was torn.

    Under TCG (QEMU 7.2) a vCPU whose thread the host preempts just after it has found a page noted as written takes it for
    noted from then on, though the migration has begun to look anew meanwhile. Of what it writes there nothing arrives, and the
    kernel, or a process, that goes on with such a copy dies or runs in circles, the sooner the busier the host is."""
    @functools.wraps(test)
    def whole(self):
        for _ in range(3):
            try:
                return test(self)
            except Failure as failure:
                guests = [witness for witness in witness.witnesses if isinstance(witness, Guest)]
                torn = re.search(TORN, str(failure)) or \
                    any(guest.says(rb"BUG: |Oops: |Kernel panic") for guest in guests)
                if "kvm" in accelerator() or not torn:
                    raise
                witness.look()
                self.doCleanups()
                witness.second_try(f"a copy of a guest that migrates was torn: {str(failure).splitlines()[0]}")
                self.setUp()
        return test(self)
    return whole


def accelerator():
    """KVM only where the CPU has it: elsewhere /dev/kvm may open and a stock kernel hang under it.

    Under TCG without what QEMU 7.2 does not emulate well enough: a kernel 7.2 panics with la57; an interrupt right
    after cmpxchg16b saves wrong flags, of which a kernel 6.12 dies in one boot of two."""
    with open("/proc/cpuinfo") as file:
        flags = file.read()
    if re.search(r"\b(vmx|svm)\b", flags) and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", "max,-la57,-cx16"]


def build_image(kernel=None, out=None, quiet=True, add=(), injector=True):
    """Builds the image of this kernel (the setting's) with all that tests need in a guest, and with the files `add` ("FILE:DEST", or in
    /bin); returns its directory."""
    kernel = kernel or setting.kernel
    out = out or os.path.join(BUILD, "images", kernel)
    argv = [os.path.join(TOP, "images/build"), "--kernel", kernel, "--out", out, "--add",
            os.path.join(BUILD, "tests/guest/agent") + ":/bin/vhint-test-agent"]
    if injector:
        argv += ["--injector", INJECTOR]
    for name in sorted(os.listdir(os.path.join(BUILD, "tests/guest"))):
        path = os.path.join(BUILD, "tests/guest", name)
        if name != "agent" and os.path.isfile(path) and os.access(path, os.X_OK):
            argv += ["--add", path]
    for path in add:
        argv += ["--add", path]
    result = subprocess.run(argv, capture_output=quiet, text=True)
    if result.returncode:
        raise Failure(f"images/build for {kernel}: {result.stderr if quiet else 'see above'}")
    return out


class Guest:
    """A guest; a context manager. `qmp_path` and `channel_path` are for vhintd, `qmp` is the test's own monitor. With
    `proxies`, both paths can be cut: proxies["qmp"], proxies["channel"]. `ports` are the names of further ports; the
    socket of each is path(NAME). Goes on from a saved state where there are such (states.py); `fresh` boots. `served`: it goes
    on with the affinity program loaded, by a vhintd that is gone."""
    channel_label = "org.vhint.0"  # QEMU's name for the channel

    def __init__(self, cpus=4, smp=None, memory=MEMORY, image=None, append="", arguments=(), name="guest",
                 proxies=False, fresh=False, ports=(), served=False):
        self.name = name
        self.smp = smp or str(cpus)
        self.memory = memory
        self.image = image or os.path.join(BUILD, "images", setting.kernel)
        self.append = append
        self.arguments = list(arguments)
        self.ports = ports
        self.directory = process.temporary_directory()
        self.qmp_path = self.path("qmp")
        self.channel_path = self.path("channel")
        self.bench_path = self.path("bench")
        self.fresh = fresh or not states.DIRECTORY
        self.served = served
        self.proxies = {}
        if proxies:
            for port in ("qmp", "channel"):
                self.proxies[port] = Proxy(self.path(f"{port}-proxy"), self.path(port))
        self.qemu = None
        self.rescue = None
        self.qmp = None
        self.agent = None
        self._threads = None
        self._apic = None
        self._serial_from = 0
        self.dies = False

    @property
    def programs(self):
        """Files of those that it goes on with."""
        return [AFFINITY] if self.served else []

    def path(self, name):
        return os.path.join(self.directory, name)

    def log_files(self):
        return [self.path("serial"), self.path("qemu.log")]

    def grave(self):
        """Of its kernel, unless the test has it die on purpose (`dies`)."""
        if not self.dies:
            witness.accuse(f"the kernel of {self.name}", witness.find(self.path("serial"), witness.CONSOLE, self._serial_from))
        if self.rescue and self.rescue.freed:
            witness.second_tries += [f"{self.name}: vCPUs freed from a breakpoint that QEMU missed is gone"]
            self.rescue.freed.clear()

    def logs(self):
        return (f"--- serial console of {self.name}\n{witness.told(self.path('serial'))}"
                f"--- QEMU of {self.name}\n{witness.told(self.path('qemu.log'))}--- where its CPUs are: {self._places()}\n"
                f"--- where it was freed: {self.rescue.freed if self.rescue else []}\n")

    def _places(self):
        """What its vCPUs execute: tells a guest that hangs from one that is slow."""
        try:
            text = "".join(self.qmp.call("human-monitor-command", **{"command-line": "info registers -a"}) for _ in range(2))
            return re.findall(r"[RE]IP=(\w+)", text)
        except Exception as error:  # there may be no QEMU, or one that hangs
            return error

    def __enter__(self):
        try:
            return self.start()
        except Exception as error:
            logs = self.logs()  # gone with the directory
            self.stop()
            raise Failure(f"{error}\n{logs}") from error
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def _argv(self):
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35", *accelerator(),
                "-smp", self.smp, "-m", str(self.memory), "-display", "none",
                "-kernel", f"{self.image}/vmlinuz", "-initrd", f"{self.image}/initrd",
                "-append", f"{CMDLINE} {self.append}".strip(),
                "-serial", f"file:{self.path('serial')}",
                "-qmp", f"unix:{self.path('qmp')},server=on,wait=off",
                "-qmp", f"unix:{self.path('test-qmp')},server=on,wait=off",
                "-qmp", f"unix:{self.path('rescue-qmp')},server=on,wait=off",
                "-device", "virtio-serial-pci"]
        for port, path in (("org.vhint.0", self.path("channel")), ("org.vhint.test", self.path("test")),
                           ("org.vhint.bench", self.bench_path), *((port, self.path(port)) for port in self.ports)):
            argv += ["-chardev", f"socket,id={port},path={path},server=on,wait=off",
                     "-device", f"virtserialport,id={port},chardev={port},name={port}"]
        return argv + self.arguments

    def start(self, wait=True):
        """Starts QEMU; returns once the guest runs commands."""
        witness.witnesses.append(self)
        if self.fresh and wait:
            self._boot()
            return self
        if self.fresh or not wait:
            self._launch()
        else:
            self._resume()
        if wait:
            self.wait_booted()
        return self

    def _boot(self):
        """Boots a fresh guest; nothing of vhint's is in its kernel yet.

        Under TCG (QEMU 7.2) a booting kernel 7.2 dies now and then (3 of about 25 times) of a breakpoint that it has set
        and taken back itself, patching its code; another boot then helps. So it does where the clock goes wrong."""
        for attempt in range(4):
            begin = time.monotonic()
            self._launch(*states.TO_BE_SAVED)
            try:
                self.wait_booted()
                return self.check_clock(begin)
            except Panic as panic:
                if attempt == 3 or "kvm" in accelerator() or self.proxies:
                    raise
                witness.second_try(f"{self.name} boots once more: {str(panic).splitlines()[0]}")
                self.agent.close()
                self.qmp.close()
                self.qemu.end(sig=9)

    def _launch(self, *arguments):
        self._serial_from = 0
        self.qemu = Process([*self._argv(), *arguments], self.path("qemu.log"),
                            dict(os.environ, GLIBC_TUNABLES=QEMU_TUNABLES))

        if "kvm" not in accelerator():
            self.rescue = stuck.Rescue(self.qemu.pid, self.path("rescue-qmp"), self.path("debugger"))

        def monitor():
            if not self.qemu.alive():
                raise Failure(f"QEMU ended: {tail(self.path('qemu.log'))}")
            try:
                return Qmp(self.path("test-qmp"))
            except (FileNotFoundError, ConnectionError, EOFError):
                return None
        for name, proxy in self.proxies.items():
            proxy.start(self.qemu.pid)
            setattr(self, f"{name}_path", proxy.path)
        self.qmp = wait_for(monitor, 20, "QEMU's monitor")
        self.agent = Agent(self.path("test"), self.check)
        self.agent.connect()
        self._threads = None

    def _resume(self):
        """Starts from the saved state of such a guest, which is made first if there is none."""
        state = states.path_of(self.image, [arg.replace(self.directory, "") for arg in self._argv()], *self.programs)
        with states.locked(state):
            if not os.path.exists(state):
                with Guest(smp=self.smp, memory=self.memory, image=self.image, append=self.append,
                           arguments=self.arguments, name=self.name, ports=self.ports, fresh=True,
                           served=self.served) as model:
                    model.save(model.qmp.call, state)
        self._launch(*states.arguments(self.path("state")))
        states.load(state, self.path("state"))

    def daemon(self):
        """A vhintd for it."""
        from .daemon import Daemon  # which knows of guests
        return Daemon(self)

    def serve(self):
        """Returns once it has the affinity program, and no vhintd any longer."""
        daemon = self.daemon()
        try:
            daemon.start()
            daemon.wait_ready(self.name)
            daemon.stop()
        finally:
            daemon.close(quietly=True)

    def save(self, call, state):
        """Once the injector waits for the host. Pages of zeros take no room, and no time to load."""
        if self.served:
            self.serve()
        self.wait_injector(call)
        self.run("blank")
        self.agent.close()
        states.save(call, state, self.path("state"))

    def wait_injector(self, call):
        """Returns once the guest has the port open; at once if it was told to run no injector."""
        def is_open():
            return any(port["frontend-open"] for port in call("query-chardev") if port["label"] == self.channel_label)
        if "vhint.injector=0" not in self.append:
            wait_for(is_open, 20, "the injector opens its port")

    def wait_booted(self, timeout=60):
        answer = self.agent.send("true")
        still = process.Still(self.qemu.pid, 5) if self.qemu else None

        def ran():
            self.check()
            if still and still.is_it():
                raise Failure(f"{self.name} has booted no further for {still.seconds} s")
            return answer.done()
        wait_for(ran, timeout, f"{self.name} boots and runs commands")
        self._apic = None

    def check_clock(self, begin):
        """Raises Panic where the guest, which was started at `begin`, finds that more time has passed than has.

        Under TCG a starved host may let a kernel take its time stamp counter, which it measures against the emulated PIT, for
        ten times as slow as it is."""
        uptime = float(self.output("cut -d' ' -f1 /proc/uptime"))
        passed = time.monotonic() - begin
        if uptime > 1.1 * passed:
            raise Panic(f"the clock of {self.name} says {uptime:g} s after {passed:g} s")

    def says(self, pattern):
        """Whether its console has this of the present boot."""
        if not os.path.exists(self.path("serial")):
            return None
        with open(self.path("serial"), "rb") as file:
            file.seek(self._serial_from)
            return re.search(pattern, file.read())

    def check(self):
        """Raises Panic where the guest's kernel has found itself wrong."""
        if self.says(rb"Oops: |Kernel panic"):
            raise Panic(f"the kernel of {self.name} dies:\n{tail(self.path('serial'))}")

    def stop(self):
        """Ends QEMU at once."""
        if self.agent:
            self.agent.close()
        if self.qmp:
            self.qmp.close()
        for proxy in self.proxies.values():
            proxy.close()
        if self.qemu:
            self.qemu.end(sig=9)
        self.grave()
        if self in witness.witnesses:
            witness.witnesses.remove(self)
        process.remove_directory(self.directory)

    # In the guest.

    def run(self, command, timeout=60, check=True):
        return self.agent.run(command, timeout, check)

    def start_command(self, command):
        return self.agent.start(command)

    def output(self, command, timeout=60):
        return self.run(command, timeout).output.strip()

    def injector_pid(self):
        pids = self.run("pidof vhint-injector", check=False).output.split()
        return int(pids[0]) if pids else 0

    def loaded(self):
        """All that the injector has in the guest's kernel, which gives no number twice in one boot: what is loaded anew shows."""
        return self.output("cat /proc/$(pidof vhint-injector)/fdinfo/* | grep -E '^(prog|map)_id' | sort -u")

    def kill_injector(self, *others):
        """kill -9, of other processes with it; init starts another injector."""
        old = self.injector_pid()
        self.run(f"kill -9 {old} {' '.join(map(str, others))}")
        return wait_for(lambda: (lambda new: new if new not in (0, old) else 0)(self.injector_pid()), 10,
                        "a new injector")

    # The machine.

    def poweroff(self):
        """The guest powers off by itself; QEMU ends."""
        self.agent.send("poweroff -f")
        self.qemu.popen.wait(30 * setting.slowness)

    def pull_reset(self):
        self.qmp.events.clear()
        self.qmp.call("system_reset")
        self.qmp.wait_event("RESET")

    def reset(self, meanwhile=lambda: None):
        """Resets the machine; returns once the guest runs commands again. `meanwhile` is called while it boots.

        Under TCG (QEMU 7.2) one reset in about ten leaves a kernel that panics or stands still at a random place, which
        fresh boots do not; another reset then helps."""
        for attempt in range(4):
            self._serial_from = os.path.getsize(self.path("serial"))
            self.pull_reset()
            self.agent.connect()
            meanwhile()
            try:
                return self.wait_booted(40)
            except Failure as failure:
                if attempt == 3 or "kvm" in accelerator():
                    raise
                witness.second_try(f"{self.name} is reset once more: {str(failure).splitlines()[0]}")

    def apic_ids(self):
        """{guest CPU: APIC id}, as the guest sees it."""
        if self._apic is None:
            text = self.output("grep -E '^(processor|apicid)' /proc/cpuinfo")
            numbers = [int(line.split(":")[1]) for line in text.splitlines()]
            self._apic = dict(zip(numbers[0::2], numbers[1::2]))
        return self._apic

    def threads(self):
        """{APIC id: host thread} of the vCPUs, as QEMU sees it."""
        if self._threads is None:
            self._threads = {self.qmp.call("qom-get", path=cpu["qom-path"], property="apic-id"): cpu["thread-id"]
                             for cpu in self.qmp.call("query-cpus-fast")}
        return self._threads

    def thread(self, guest_cpu):
        """The host thread of the vCPU that the guest calls CPU `guest_cpu`."""
        return self.threads()[self.apic_ids()[guest_cpu]]

    def host_cpus(self, guest_cpu):
        return thread_cpus(self.thread(guest_cpu))

    def all_host_cpus(self):
        """{guest CPU: set of host CPUs}."""
        return {cpu: self.host_cpus(cpu) for cpu in sorted(self.apic_ids())}

    def bench_socket(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.bench_path)
        return sock
