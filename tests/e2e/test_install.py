# SPDX-License-Identifier: GPL-2.0-or-later
"""What `meson install` puts where, manual pages, and completion."""
import os
import re
import subprocess
import unittest

import vhtest
from vhtest import process
from vhtest.daemon import VHINTCTL

# Beside programs for guests, and rules for them.
INSTALLED = """
/etc/vhint/vhint.conf
/lib/systemd/system/vhint-injector.service
/lib/systemd/system/vhintd-hook.socket
/lib/systemd/system/vhintd.service
/lib/udev/rules.d/60-vhint-injector.rules
PREFIX/bin/vhintctl
PREFIX/lib/sysusers.d/vhint.conf
PREFIX/libexec/vhint/guest/vhint-injector
PREFIX/libexec/vhint/vhint-injector
PREFIX/libexec/vhint/vhint-libvirt-hook
PREFIX/libexec/vhint/vhintctl-libvirt
PREFIX/sbin/vhintd
PREFIX/share/bash-completion/completions/vhintctl
PREFIX/share/initramfs-tools/hooks/vhint-injector
PREFIX/share/initramfs-tools/scripts/init-premount/vhint-injector
PREFIX/share/man/man1/vhintctl.1
PREFIX/share/man/man5/vhint-policy.5
PREFIX/share/man/man5/vhint-recording.5
PREFIX/share/man/man5/vhint.conf.5
PREFIX/share/man/man8/vhint-injector.8
PREFIX/share/man/man8/vhint-libvirt-hook.8
PREFIX/share/man/man8/vhintd.8
PREFIX/share/vhint/grafana-dashboard.json
""".split()
EXECUTABLE = ("/bin/", "/sbin/", "/libexec/", "/initramfs-tools/")


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = process.temporary_directory()
        cls.addClassCleanup(process.remove_directory, cls.root)
        subprocess.run(["meson", "install", "-C", vhtest.BUILD, "--no-rebuild", "--quiet", "--destdir", cls.root],
                       check=True, capture_output=True)
        cls.paths = sorted(os.path.join(directory, name).removeprefix(cls.root)
                           for directory, _, names in os.walk(cls.root) for name in names)
        cls.prefix = next(path for path in cls.paths if path.endswith("/bin/vhintctl")).removesuffix("/bin/vhintctl")

    def read(self, path):
        with open(self.root + path.replace("PREFIX", self.prefix)) as file:
            return file.read()

    def test_what_is_where(self):
        expected = sorted(path.replace("PREFIX", self.prefix) for path in INSTALLED)
        programs = [path for path in self.paths if path.endswith(".bpf.o")]
        rules = [path for path in self.paths if "/share/vhint/policy.d/" in path]
        self.assertEqual([path for path in self.paths if path not in programs + rules], expected)
        self.assertEqual([os.path.basename(path) for path in rules], sorted(os.listdir(os.path.join(vhtest.TOP, "policy.d"))))
        self.assertIn("affinity.bpf.o", [os.path.basename(path) for path in programs])
        self.assertTrue(all("/vhint/programs/" in path or "/vhint/host/" in path for path in programs))
        for path in self.paths:
            self.assertEqual(os.access(self.root + path, os.X_OK), any(part in path for part in EXECUTABLE), path)
        self.assertTrue(os.path.isdir(self.root + "/etc/vhint/policy.d"))

    def test_units_name_what_is_installed(self):
        for unit in ("vhintd", "vhint-injector"):
            command = re.search(r"^ExecStart=(\S+)", self.read(f"/lib/systemd/system/{unit}.service"), re.M).group(1)
            self.assertIn(command, self.paths)
        self.assertIn(re.search(r"^copy_exec (\S+)", self.read("PREFIX/share/initramfs-tools/hooks/vhint-injector"),
                                re.M).group(1), self.paths)

    def test_configuration(self):
        """What is installed is good as it is, and what it says in comments too."""
        text = self.read("/etc/vhint/vhint.conf")
        path = os.path.join(self.root, "try.conf")
        for text in (text, re.sub(r"(?m)^#(\[|\w+=)", r"\1", text)):
            with open(path, "w") as file:
                file.write(text.replace("[daemon]", f"[daemon]\nprogram-dir={vhtest.BUILD}/guest-bpf"))
            done = subprocess.run([vhtest.setting.vhintd(), "--check", "--config", path],
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("[guest *]\nprograms=affinity", text.replace("\n#", "\n"))

    def test_manual_pages(self):
        for path in self.paths:
            if "/man/" not in path:
                continue
            text = self.read(path)
            name, section = os.path.basename(path).rsplit(".", 1)
            self.assertIn(f'.TH "{name}" "{section}"', text)
            for heading in ("NAME", "DESCRIPTION", "SEE ALSO"):
                self.assertRegex(text, rf'\.SH "?{heading}')
            self.assertNotRegex(text, r"^@", path)
        help_text = subprocess.run([VHINTCTL, "--help"], capture_output=True, text=True).stdout
        page = self.read("PREFIX/share/man/man1/vhintctl.1").replace("\\-", "-")
        for word in re.findall(r"^  (--\S+|[a-z]+ )", help_text, re.M):
            self.assertIn(word.strip(), page)
        for key in ("max-pins", "off-anchors", "max-loss"):
            self.assertIn(key, self.read("PREFIX/share/man/man5/vhint-policy.5").replace("\\-", "-"))
        for key in ("metrics", "policy-dir", "channel"):
            self.assertIn(key, self.read("PREFIX/share/man/man5/vhint.conf.5").replace("\\-", "-"))


class Completion(unittest.TestCase):
    def complete(self, line, answers=None):
        """What bash would offer at the end of the line; `answers`: a daemon's, by command."""
        script = os.path.join(vhtest.TOP, "data/vhintctl.bash")
        cases = "".join(f"'{command}') echo '{answer}' ;;\n" for command, answer in (answers or {}).items())
        text = (f"vhintctl() {{ case \"$*\" in\n{cases}*) {VHINTCTL} \"$@\" ;; esac; }}\n. {script}\n"
                f"COMP_WORDS=({line}); [ '{line[-1]}' = ' ' ] && COMP_WORDS+=('')\n"
                "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _vhintctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
        out = subprocess.run(["bash", "-c", text], capture_output=True, text=True)
        self.assertEqual(out.stderr, "")
        return out.stdout.split()

    def test_commands_and_options(self):
        self.assertEqual(self.complete("vhintctl rel"), ["release"])
        self.assertLess({"status", "inject", "policy", "watch"}, set(self.complete("vhintctl ")))
        self.assertEqual(self.complete("vhintctl --js"), ["--json"])
        self.assertIn("--replace", self.complete("vhintctl inject --"))
        self.assertEqual(self.complete("vhintctl policy s"), ["show"])

    def test_guests_and_programs(self):
        guests = {"--json guests": '[{"name": "web", "uuid": ""}, {"name": "db"}]',
                  "--json programs web": '[{"name":"affinity"},{"name":"sched"}]'}
        self.assertEqual(self.complete("vhintctl status ", guests), ["web", "db"])
        self.assertEqual(self.complete("vhintctl --socket /x why w", guests), ["web"])
        self.assertEqual(self.complete("vhintctl eject web a", guests), ["affinity"])
        self.assertEqual(self.complete("vhintctl policy show d", guests), ["db"])
