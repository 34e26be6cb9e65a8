# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs the daemon has never seen: injected, decoded, replaced, kept, refused with a reason."""
import os
import re
import subprocess
import unittest

import vhtest
from vhtest import wait_for
from vhtest.bpf import compile_bpf

OBJECT_MAX = 16 << 20
PROGRAMS_MAX = 32


class Programs(unittest.TestCase):
    sanitized = True
    threads = True

    @classmethod
    def setUpClass(cls):
        cls.directory = vhtest.temporary_directory()
        cls.guest = cls.enterClassContext(vhtest.Guest())
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))

    def tearDown(self):
        for program in self.daemon.ctl("programs", "guest"):
            if program["name"] != "affinity":
                self.daemon.ctl("eject", "guest", program["name"])
        self.affinity_works()

    def path(self, name):
        return os.path.join(self.directory, name)

    def built(self, name, *arguments, out=None):
        return compile_bpf(name, self.path(f"{out or name}.bpf.o"), *arguments)

    def affinity_works(self):
        """Whatever was injected beside it."""
        floating = self.guest.host_cpus(2)
        if len(floating) < 2:
            return
        task = self.guest.start_command("exec taskset -c 2 sleep 1000")
        wait_for(lambda: len(self.guest.host_cpus(2)) == 1, 2, "the affinity program pins")
        task.kill()
        wait_for(lambda: self.guest.host_cpus(2) == floating, 2, "the affinity program floats")

    def names(self):
        return sorted(p["name"] for p in self.daemon.ctl("programs", "guest") if p["state"] == "running")

    def inject(self, file, *arguments):
        return self.daemon.ctl("inject", "guest", file, *arguments)

    def refused(self, code, *words, arguments):
        """vhintctl ARGUMENTS ends with this code, says all words, and changes nothing."""
        before = self.daemon.ctl("programs", "guest")
        result = self.daemon.ask(*arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        shown = [(p["name"], p["digest"], p["state"]) for p in self.daemon.ctl("programs", "guest")]
        self.assertEqual(shown, [(p["name"], p["digest"], p["state"]) for p in before])
        return result

    def typed(self, watch):
        """The hints of the program "typed" so far."""
        return [line for line in watch.lines() if line.get("program") == "typed"]

    def attached_in_guest(self):
        """BPF programs that live in the guest's kernel, by what holds them."""
        return int(self.guest.output("cat /proc/*/fdinfo/* 2>/dev/null | grep -c '^prog_id:'"))

    # What is taken.

    def test_fields_of_every_sort(self):
        self.inject(self.built("typed"), "--set", "minus=-77", "--set", "word=guest")
        watch = self.daemon.watch("guest")
        try:
            def seen():
                self.guest.run("/bin/true")
                return self.typed(watch)
            line = wait_for(seen, 5, "a hint of the program")[0]
        finally:
            watch.end()
        self.assertEqual((line["guest"], line["kind"], line["gone"]), ("guest", "sorts", False))
        self.assertGreater(line["fields"].pop("pid"), 1)
        self.assertEqual(line["fields"], {
            "minus": -77, "large": 1 << 63, "known": "GREEN", "unknown": 9, "text": "guest", "bytes": [1, -2, 3],
            "yes": True, "points": [{"x": 0, "y": 0}, {"x": 3, "y": 4}], "number": 0x01020304, "parts": [4, 3, 2, 1],
            "low": 5, "high": 6})

    def check_policy(self, text):
        """The manual's rules fit the program that they are about."""
        self.assertIn("/srv/vhint/commands.bpf.o", text)
        os.makedirs(self.path("policy/policy.d"), exist_ok=True)
        with open(self.path("policy/policy.d/manual.conf"), "w") as file:
            file.write(text.replace("/srv/vhint", self.directory))
        result = subprocess.run([vhtest.daemon.VHINTCTL, "policy", "check", "--program-dir",
                                 os.path.join(vhtest.BUILD, "guest-bpf"), self.path("policy")],
                                capture_output=True, text=True, env=vhtest.daemon.ENVIRONMENT)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_the_example_of_the_manual(self):
        with open(os.path.join(vhtest.TOP, "docs/programs.md")) as file:
            blocks = re.findall(r"```(\w+)\n(.*?)```", file.read(), re.S)
        source = next(text for language, text in blocks if language == "c" and "VH_PROGRAM(" in text)
        command = next(text for language, text in blocks if language == "sh" and "clang" in text)
        for name in ("guest-bpf", "protocol"):
            if not os.path.exists(self.path(name)):
                os.symlink(os.path.join(vhtest.TOP, name), self.path(name))
        with open(self.path("commands.bpf.c"), "w") as file:
            file.write(source)
        subprocess.run(command, shell=True, cwd=self.directory, check=True)
        self.check_policy(next(text for language, text in blocks if language == "ini"))

        answer = self.daemon.call("inject", "guest", self.path("commands.bpf.o"))
        self.assertEqual(answer.stdout, "injected commands 1.0 into guest: 3 BPF programs attached\n", answer.stderr)
        watch = self.daemon.watch("guest")
        try:
            def killed():
                self.guest.start_command("exec sleep 1000").kill()
                return [line["fields"] for line in watch.lines() if line.get("program") == "commands"
                        and line["fields"]["comm"] == "sleep" and line["fields"]["latest"]["what"] == "KILLED"]
            fields = wait_for(killed, 5, "the killed sleep")[0]
        finally:
            watch.end()
        self.assertEqual(fields["latest"]["status"], 9)
        self.assertEqual(len(fields["counts"]), 4)
        facts = {fact["fields"]["comm"]: fact for fact in self.daemon.ctl("hints", "guest")
                 if fact["program"] == "commands"}
        self.assertEqual(facts["init"]["fields"]["latest"], {"what": "FOUND", "pid": 1, "status": 0})

        self.inject(self.path("commands.bpf.o"), "--replace", "--set", "failures_only=true")
        self.guest.run("/bin/true; /bin/false", check=False)

        def commands():
            return {fact["fields"]["comm"] for fact in self.daemon.ctl("hints", "guest")
                    if fact["program"] == "commands"}
        wait_for(lambda: "false" in commands(), 5, "the failure")
        self.assertNotIn("true", commands())
        self.daemon.ctl("eject", "guest", "commands")
        self.assertEqual(commands(), set())

    def test_an_ordinary_object(self):
        self.inject(self.built("ordinary"))
        program = self.daemon.program("ordinary")
        self.assertEqual((program["state"], program["attached"], program["facts"]), ("running", 1, 0))
        self.inject(self.built("ordinary"), "--name", "another")
        self.assertEqual(self.names(), ["affinity", "another", "ordinary"])

    def test_many_side_by_side(self):
        before = self.attached_in_guest()
        file = self.built("ordinary")
        for number in range(PROGRAMS_MAX - 1):
            self.inject(file, "--name", f"p{number}")
        self.assertEqual(len(self.names()), PROGRAMS_MAX)
        self.refused(1, "32", arguments=["inject", "guest", file, "--name", "one-too-many"])
        self.affinity_works()
        for number in range(0, PROGRAMS_MAX - 1, 2):
            self.daemon.ctl("eject", "guest", f"p{number}")
        self.assertEqual(self.names(), sorted(["affinity"] + [f"p{n}" for n in range(1, PROGRAMS_MAX - 1, 2)]))
        for number in range(1, PROGRAMS_MAX - 1, 2):
            self.daemon.ctl("eject", "guest", f"p{number}")
        wait_for(lambda: self.attached_in_guest() == before, 5, "all are gone from the guest's kernel")

    def test_large_objects_travel_whole(self):
        small = self.built("ordinary")
        for size in (100 << 10, 1 << 20, OBJECT_MAX - 65536):
            with self.subTest(size=size):
                with open(self.path("padding"), "wb") as file:
                    file.write(os.urandom(size))
                large = self.path("large.bpf.o")
                subprocess.run(["llvm-objcopy", f"--add-section=.padding={self.path('padding')}", small, large],
                               check=True)
                self.assertGreater(os.path.getsize(large), size)
                self.inject(large, "--replace")
                self.assertEqual(self.daemon.program("large")["attached"], 1)

    def test_what_is_injected_stays(self):
        self.inject(self.built("typed"), "--set", "minus=-3")
        for what, action in (("injector killed", self.guest.kill_injector),  # and a reset: test_faults.py
                             ("vhintd killed", lambda: (self.daemon.kill(), self.daemon.start()))):
            with self.subTest(what):
                action()
                self.daemon.wait_ready()
                wait_for(lambda: self.names() == ["affinity", "typed"], 5, f"both programs run after: {what}")
        self.daemon.ctl("eject", "guest", "typed")
        self.guest.kill_injector()
        self.daemon.wait_ready()
        self.assertEqual(self.names(), ["affinity"])

    # What is refused.

    def test_no_bpf_object(self):
        with open(self.path("text"), "w") as file:
            file.write("int main(void) { return 0; }\n")
        with open(self.built("typed"), "rb") as file:
            whole = file.read()
        for part in (64, len(whole) // 2, len(whole) - 100):
            with open(self.path(f"cut{part}"), "wb") as file:
                file.write(whole[:part])
        for name in ("text", "cut64", f"cut{len(whole) // 2}", f"cut{len(whole) - 100}"):
            with self.subTest(name):
                self.refused(1, name, arguments=["inject", "guest", self.path(name)])
        self.refused(1, "busybox", arguments=["inject", "guest", "/bin/busybox"])

    def test_files_that_cannot_be_sent(self):
        with open(self.path("huge"), "wb") as file:
            file.truncate(OBJECT_MAX + 1)
        open(self.path("empty"), "w").close()
        self.refused(1, "empty", arguments=["inject", "guest", self.path("empty")])
        self.refused(2, "huge", "16 MiB", arguments=["inject", "guest", self.path("huge")])
        self.refused(2, "missing.bpf.o", arguments=["inject", "guest", self.path("missing.bpf.o")])
        self.refused(4, "nobody", arguments=["inject", "nobody", self.built("typed")])

    def test_no_btf(self):
        bare = self.built("typed", out="bare")
        subprocess.run(["llvm-objcopy", "--remove-section=.BTF", "--remove-section=.BTF.ext", "--strip-debug", bare],
                       check=True)
        self.refused(1, "BTF", arguments=["inject", "guest", bare])

    def test_verifier_log_reaches_the_user(self):
        before = self.attached_in_guest()
        self.refused(1, "verifier log:", "map_value_or_null", arguments=["inject", "guest", self.built("refused")])
        self.assertEqual(self.attached_in_guest(), before)

    def test_same_name_twice(self):
        self.inject(self.built("typed"))
        self.refused(1, "typed", "replace", arguments=["inject", "guest", self.path("typed.bpf.o")])

    def test_a_refused_replacement_leaves_the_old_one(self):
        self.inject(self.built("typed"))
        bad = self.built("refused", '-DNAME="typed"', out="other")
        self.refused(1, "verifier log:", arguments=["inject", "guest", bad, "--replace"])
        watch = self.daemon.watch("guest")
        try:
            wait_for(lambda: self.guest.run("/bin/true") and self.typed(watch), 5, "the old program still gives hints")
        finally:
            watch.end()

    def test_manifests_that_make_no_sense(self):
        for manifest, word in (("program a/b 1.0\n", "a/b"), ("program ok 1.0\nfrobnicate 7\n", "frobnicate"),
                               ("program ok 1.0\nhint 1 nosuch\n", "nosuch"), ("hint 1 note\n", "program"),
                               ("program ok 1.0\nhint 1 note\nhint 1 note\n", "1"),
                               ("program ok 1.0\nprogram ko 1.0\n", "program"),
                               ("program ok 1.0\nhint 70000 note\n", "70000")):
            with self.subTest(manifest=manifest):
                escaped = manifest.replace("\n", "\\n")
                self.refused(1, word, arguments=["inject", "guest",
                                                 self.built("manifest", f'-DMANIFEST="{escaped}"', out="strange")])

    def test_tunables_that_make_no_sense(self):
        file = self.built("typed")
        for setting in ("nosuch=1", "minus=much", "minus=99999999999", "word=longer-than-eight"):
            with self.subTest(setting):
                self.refused(1, setting.split("=")[0], arguments=["inject", "guest", file, "--set", setting])

    def test_ejecting_what_is_not_there(self):
        self.refused(4, "nothing", arguments=["eject", "guest", "nothing"])


class Terminal(unittest.TestCase):
    """What a guest writes steers no terminal."""

    def test_a_task_name_with_escapes(self):
        with vhtest.Guest() as guest, vhtest.Daemon(guest) as daemon:
            task = guest.start_command("exec taskset -c 1 sh -c 'printf \"\\033[2Jx\" >/proc/self/comm; "
                                       "taskset -cp 2 $$; exec sleep 1000 </dev/null & wait'")
            try:
                wait_for(lambda: daemon.ctl("hints", "guest"), 5, "the fact")
                self.assertNotIn("\033", daemon.call("hints", "guest").stdout)
            finally:
                task.kill()
