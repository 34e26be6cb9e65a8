# SPDX-License-Identifier: GPL-2.0-or-later
"""The house as host/meson.build draws it: folders in rows, nobody knows who is above or beside, no circles, small rooms."""
import glob
import json
import os
import re
import statistics
import subprocess
import unittest

import vhtest

HOST = os.path.join(vhtest.TOP, "host")
FILE_LINES = 450
FUNCTION_LINES = 60
FUNCTION_MEDIAN = 12


def rows():
    """The folders by row, ground floor first, as host/meson.build builds them."""
    with open(os.path.join(HOST, "meson.build")) as file:
        table = re.search(r"^rows = \[\n(.*?)^\]", file.read(), re.M | re.S)[1]
    return [re.findall(r"'(\w+)'", line) for line in table.splitlines()]


def sources(suffixes=(".c", ".h")):
    """{path below host/: its text}"""
    found = {}
    for folder, _, names in os.walk(HOST):
        for name in names:
            if name.endswith(suffixes):
                path = os.path.join(folder, name)
                with open(path) as file:
                    found[os.path.relpath(path, HOST)] = file.read()
    return found


def out_of_order(files, house):
    """Each include of `files` that breaks the order of `house`, and each of what is private to another folder."""
    row_of = {folder: number for number, row in enumerate(house) for folder in row}
    broken = []
    for path, text in sorted(files.items()):
        folder = os.path.dirname(path)
        for other, name in re.findall(r'^#include "([a-z]+)/([^"]+)"', text, re.M):
            if other not in row_of or other == folder:
                continue
            if row_of[other] >= row_of[folder]:
                broken.append(f'host/{path} includes "{other}/{name}", which is not in a row below that of {folder}/')
            elif name == "state.h" or name.endswith("-state.h"):
                broken.append(f'host/{path} includes "{other}/{name}", which is private to {other}/')
    return broken


def shadows(libraries, bare):
    """Headers beside which others of the same name, which are included by that alone, are not found."""
    return sorted(path for path in libraries if os.path.basename(path) in {os.path.basename(other) for other in bare})


def symbols(path):
    """(defined, undefined) names of an object file."""
    listed = subprocess.run(["nm", "--portability", path], capture_output=True, text=True, check=True).stdout
    fields = [line.split()[:2] for line in listed.splitlines()]
    return {name for name, kind in fields if kind in "BCDRTVW"}, {name for name, kind in fields if kind == "U"}


def calls(objects):
    """{object: the others that it needs}, of {object: (defined, undefined)}."""
    home = {name: path for path, (defined, _) in objects.items() for name in defined}
    return {path: {home[name] for name in undefined if name in home} - {path}
            for path, (_, undefined) in objects.items()}


def circles(graph):
    """Sets of nodes that reach each other."""
    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for other in graph[todo.pop()] - seen:
                seen.add(other)
                todo.append(other)
        return seen

    reached = {node: reach(node) for node in graph}
    return {frozenset(other for other in reached[node] if node in reached[other])
            for node in graph if node in reached[node]}


def functions(text):
    """How many lines each function has, from its opening brace to its closing one: the format puts both in column 0."""
    lines = text.splitlines()
    start, found = None, []
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            found.append(number - start + 1)
            start = None
    return found


def built(folder):
    """{source: (defined, undefined)} of what the build compiles of this folder's sources, once each."""
    found = {}
    with open(os.path.join(vhtest.BUILD, "compile_commands.json")) as file:
        for command in json.load(file):
            source = os.path.relpath(os.path.join(command["directory"], command["file"]), vhtest.TOP)
            if source.startswith(folder + "/") and source not in found:
                found[source] = symbols(os.path.join(command["directory"], command["output"]))
    return found


class House(unittest.TestCase):
    def test_every_folder_has_a_row(self):
        there = sorted(entry.name for entry in os.scandir(HOST) if entry.is_dir())
        self.assertEqual(sorted(folder for row in rows() for folder in row), there)

    def test_the_design_has_the_same_rows(self):
        with open(os.path.join(vhtest.TOP, "docs/design.md")) as file:
            table = re.findall(r"^\| \d+ \| (`.*`) \|$", file.read(), re.M)
        self.assertEqual([re.findall(r"`(\w+)`", row) for row in table], rows())

    def test_order(self):
        self.assertEqual(out_of_order(sources(), rows()), [])

    def test_a_wrong_include_is_found(self):
        """An include upwards, one sideways, one of what is private; none that is right."""
        house = [["base", "decide"], ["io"]]
        wrong = {"base/a.c": '#include "io/link.h"\n', "base/b.h": '#include "decide/judge.h"\n',
                 "io/c.c": '#include "base/state.h"\n', "io/f.c": '#include "base/pins-state.h"\n'}
        right = {"base/d.c": '#include "base/state.h"\n', "io/e.c": '#include "decide/judge.h"\n#include "wire.h"\n'}
        self.assertEqual(len(out_of_order({**wrong, **right}, house)), len(wrong))
        for path, text in wrong.items():
            self.assertIn(f"host/{path} includes", out_of_order({path: text}, house)[0])

    def test_no_header_hides_another(self):
        """The compiler looks beside the file first: lib/wire.h would be taken for protocol/'s."""
        bare = glob.glob(os.path.join(vhtest.TOP, "protocol/*.h")) + glob.glob(os.path.join(vhtest.TOP, "injector/*.h"))
        self.assertEqual(shadows(glob.glob(os.path.join(vhtest.TOP, "tests/*/lib/*.h")), bare), [])
        self.assertEqual(shadows(["lib/wire.h", "lib/loop.h"], ["protocol/wire.h"]), ["lib/wire.h"])

    def test_no_circles(self):
        for folder in "host", "injector":
            objects = built(folder)
            self.assertGreater(len(objects), 20)
            self.assertEqual([sorted(circle) for circle in circles(calls(objects))], [])

    def test_a_circle_is_found(self):
        objects = {"a": ({"f"}, {"g"}), "b": ({"g"}, {"h", "printf"}), "c": ({"h"}, {"f"}), "d": ({"i"}, {"f"})}
        self.assertEqual(circles(calls(objects)), {frozenset("abc")})

    def test_sizes(self):
        files = sources()
        self.assertEqual([path for path, text in files.items() if text.count("\n") > FILE_LINES], [])
        lengths = {path: functions(text) for path, text in files.items() if path.endswith(".c")}
        self.assertEqual([path for path, of_it in lengths.items() if max(of_it, default=0) > FUNCTION_LINES], [])
        self.assertLessEqual(statistics.median(sum(lengths.values(), [])), FUNCTION_MEDIAN)


class RawJson(unittest.TestCase):
    """JSON from outside is read by type, with base/json.h. json-glib's own readers give NULL or 0 for
    a value of another type, or convert it."""
    ALLOWED = ("host/base/json.c",)
    # The names of an object's members, and writing JSON, are nobody's word.
    RAW = re.compile(r"\bjson_(object_get_(?!members\b)\w+|object_has_member|array_get_\w+|node_get_\w+|"
                     r"from_string|parser_\w+|reader_\w+)|\bJSON_(NODE_HOLDS\w*|NODE_TYPE)")

    def found(self, top):
        """FILE:LINE: NAME of each raw call below `top`."""
        paths = [os.path.join(folder, name) for part in ("host", "injector")
                 for folder, _, names in os.walk(os.path.join(top, part)) for name in names
                 if name.endswith((".c", ".h"))]
        for path in sorted(set(paths) - {os.path.join(top, file) for file in self.ALLOWED}):
            with open(path) as file:
                for number, line in enumerate(file, 1):
                    for call in self.RAW.finditer(line):
                        yield f"{os.path.relpath(path, top)}:{number}: {call[0]}"

    def test_nothing_reads_json_past_base_json(self):
        self.assertEqual(list(self.found(vhtest.TOP)), [], "read it with base/json.h instead")

    def test_the_check_finds_what_it_is_there_for(self):
        top = vhtest.temporary_directory()
        lines = {'const char *a = json_object_get_string_member(object, "type");': 1,
                 'json_object_get_int_member_with_default(object, "id", 0)': 1,
                 'json_object_get_member(object, "return")': 1,
                 "JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL": 2,
                 "json_array_get_length(list)": 1,
                 "json_from_string(line, NULL)": 1,
                 "g_autoptr(JsonParser) parser = json_parser_new_immutable();": 1,
                 "g_autoptr(GList) names = json_object_get_members(fields);": 0,
                 'json_object_set_string_member(object, "execute", name);': 0,
                 'vh_json_member_text(object, "type", "")': 0}
        os.makedirs(os.path.join(top, "host/qemu"))
        for line, count in lines.items():
            with self.subTest(line):
                with open(os.path.join(top, "host/qemu/made-up.c"), "w") as file:
                    file.write(f"\n{line}\n")
                found = list(self.found(top))
                self.assertEqual(len(found), count, found)
                for entry in found:
                    self.assertTrue(entry.startswith("host/qemu/made-up.c:2: "), entry)
