# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects made to hurt, and refusals that only a guest can give: an answer each time, and nobody suffers."""
import json
import os
import struct
import unittest

import vhtest
from vhtest.bpf import compile_bpf


HOOKLESS = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
char gpl[] SEC("license") = "GPL";
SEC("fentry/vhint_no_kernel_has_this_function") int BPF_PROG(never) { return 0; }
"""
UNATTACHABLE = HOOKLESS.replace("fentry/vhint_no_kernel_has_this_function", "xdp")
EMPTY = '__attribute__((section("license"))) char gpl[] = "GPL";'


class Objects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = vhtest.temporary_directory()
        cls.guest = cls.enterClassContext(vhtest.Guest())
        cls.daemon = cls.enterClassContext(vhtest.Daemon(cls.guest))
        cls.typed = compile_bpf("typed", cls.path("typed.bpf.o"))

    def setUp(self):
        self.injector = self.guest.injector_pid()

    def tearDown(self):
        self.assertEqual([p["name"] for p in self.daemon.ctl("programs", "guest")], ["affinity"])
        self.assertTrue(self.daemon.process.alive())
        self.assertEqual(self.guest.injector_pid(), self.injector, "the injector ended")

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    def file(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def compiled(self, text):
        return compile_bpf(self.file("odd.bpf.c", text.encode()), self.path("odd.bpf.o"))

    def refused(self, *arguments):
        result = self.daemon.ask(*arguments)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        return result.stderr

    def test_a_hook_that_no_kernel_has(self):
        self.assertIn("vhint_no_kernel_has_this_function", self.refused("inject", "guest", self.compiled(HOOKLESS)))

    def test_a_program_that_does_not_say_where_to_attach(self):
        said = self.refused("inject", "guest", self.compiled(UNATTACHABLE))
        self.assertIn('SEC("xdp")', said)
        self.assertIn("tp_btf", said)

    def test_no_program_at_all(self):
        self.assertIn("no BPF program", self.refused("inject", "guest", self.compiled(EMPTY)))

    def test_a_refusal_as_json(self):
        refused = compile_bpf("refused", self.path("refused.bpf.o"))
        result = self.daemon.call("--json", "inject", "guest", refused)
        self.assertEqual(result.returncode, 1)
        error = json.loads(result.stdout)["error"]
        self.assertEqual((error["name"], error["exit_code"]), ("org.vhint.Error.Refused", 1))
        self.assertIn("map_value_or_null", error["message"].partition("\nverifier log:\n")[2])

    def test_names_that_are_none(self):
        ordinary = compile_bpf("ordinary", self.path("ordinary.bpf.o"))
        for name in ("a/b", "x" * 64, ".hidden", "-", "new\nline", "ä"):
            with self.subTest(name):
                self.refused("inject", "guest", ordinary, f"--name={name}")

    def test_a_policys_program_is_not_ejected(self):
        self.assertIn("affinity", self.refused("eject", "guest", "affinity"))

    # Malicious BTF: of a section that clang made, one word of the types or one byte of the names is another.

    def btf(self, data):
        """Where the BTF's types and names are in the object: [first byte, one past the last] of both."""
        table, = struct.unpack_from("<Q", data, 40)
        size, count, names = struct.unpack_from("<HHH", data, 58)
        sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
        at = next(s[4] for s in sections if data[sections[names][4] + s[0]:].startswith(b".BTF\0"))
        length, type_at, type_size, name_at, name_size = struct.unpack_from("<4xIIIII", data, at)
        at += length
        return [at + type_at, at + type_at + type_size], [at + name_at, at + name_at + name_size]

    def try_each(self, variants):
        """Injects every variant: each is taken or refused in words, and changes nothing else."""
        taken = 0
        for variant in variants:
            result = self.daemon.ask("inject", "guest", self.file("evil.bpf.o", bytes(variant)))
            self.assertIn(result.returncode, (0, 1), result.stderr)
            if result.returncode == 0:  # what was changed did not matter
                taken += 1
                self.guest.run("/bin/true")  # and a hint, decoded by it
                self.daemon.ctl("hints", "guest")
                self.daemon.ctl("eject", "guest", self.daemon.ctl("programs", "guest")[-1]["name"])
            else:
                self.assertRegex(result.stderr, r"^vhintctl: .*: .+")
        return taken

    def changed(self, first, end, step, values):
        with open(self.typed, "rb") as file:
            good = file.read()
        for number, at in enumerate(range(first, end - 3, step)):
            variant = bytearray(good)
            struct.pack_into("<I", variant, at, values[number % len(values)])
            yield variant

    def test_malicious_types(self):
        with open(self.typed, "rb") as file:
            (first, end), _ = self.btf(file.read())
        # Sizes, counts, kinds, type ids and offsets all are such words.
        values = [0xffffffff, 0, 1, 2, 0x7fffffff, 0x84000040, 0x0400ffff, 0x03000000, 64]
        variants = list(self.changed(first, end, 4, values))
        self.assertGreater(len(variants), 200)
        taken = self.try_each(variants[::len(variants) // 75])
        self.assertGreater(taken, 0)
        self.assertLess(taken, 75)

    def test_malicious_names(self):
        with open(self.typed, "rb") as file:
            _, (first, end) = self.btf(file.read())
        self.try_each(self.changed(first, end, (end - first) // 30, [0xffffffff, 0x41414141, 0x1b5b324a, 0]))

    def test_btf_of_itself(self):
        """A header that claims more than there is."""
        with open(self.typed, "rb") as file:
            good = file.read()
        (first, _), _ = self.btf(good)
        header = good.rindex(struct.pack("<HBB", 0xeb9f, 1, 0), 0, first)
        self.try_each(self.changed(header, header + 28, 4, [0xffffffff]))
        self.try_each(self.changed(header + 4, header + 28, 4, [0x7ffffff0]))
