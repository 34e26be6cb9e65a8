# SPDX-License-Identifier: GPL-2.0-or-later
"""clang-tidy finds nothing in what is installed, by the checks in .clang-tidy.

A file that it has found nothing in is looked at again only when it, what it includes, its compiler's arguments or the checks
have changed: build/tidy has a stamp for each."""
import functools
import hashlib
import json
import os
import subprocess
import tempfile
from collections import defaultdict

import pytest

from vhtest.setting import BUILD, TOP

OURS = ("host/", "injector/", "protocol/")
STAMPS = os.path.join(BUILD, "tidy")
# gcc looks after these, and takes neither a variable that is there to be cleaned up nor {NULL} for a mistake.
ARGUMENTS = ["--extra-arg=-Wno-unused-variable", "--extra-arg=-Wno-missing-field-initializers",
             "--extra-arg=-Wno-unknown-warning-option"]


def run(*argv):
    return subprocess.run(argv, cwd=TOP, capture_output=True, text=True)


@functools.cache
def commands():
    """{source: the first of its compiler's commands}"""
    found = {}
    with open(os.path.join(BUILD, "compile_commands.json")) as file:
        for entry in json.load(file):
            source = os.path.relpath(os.path.join(entry["directory"], entry["file"]), TOP)
            if source.startswith(OURS):
                found.setdefault(source, entry)
    return found


@functools.cache
def includes():
    """{object: files of ours that it was made of}, as ninja has it."""
    found = defaultdict(list)
    target = None
    for line in run("ninja", "-C", BUILD, "-t", "deps").stdout.splitlines():
        if line.startswith(" "):
            path = os.path.normpath(os.path.join(BUILD, line.strip()))
            if path.startswith(TOP):
                found[target].append(path)
        else:
            target = line.partition(":")[0]
    return found


@functools.cache
def contents(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()


@functools.cache
def tool():
    """Its version, and what it is to look for."""
    with open(os.path.join(TOP, ".clang-tidy")) as file:
        return run("clang-tidy", "--version").stdout + file.read() + " ".join(ARGUMENTS)


def stamp(source):
    entry = commands()[source]
    digest = hashlib.sha256((tool() + entry["command"]).encode())
    for path in sorted({*includes()[entry["output"]], os.path.join(TOP, source)}):
        digest.update(contents(path))
    return os.path.join(STAMPS, digest.hexdigest())


def folders():
    found = defaultdict(list)
    for source in commands() if os.path.exists(os.path.join(BUILD, "compile_commands.json")) else ():
        found[os.path.dirname(source)].append(source)
    return found


def findings(sources, database):
    done = run("clang-tidy", "-p", database, "--quiet", *ARGUMENTS, *sources)
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("folder", sorted(folders()))
def test_finds_nothing(folder):
    fresh = [source for source in folders()[folder] if not os.path.exists(stamp(source))]
    with tempfile.TemporaryDirectory() as database:
        with open(os.path.join(database, "compile_commands.json"), "w") as file:
            json.dump([commands()[source] for source in fresh], file)
        found = [text for source in fresh if (text := findings([source], database))]
    assert not found, "\n".join(found)
    os.makedirs(STAMPS, exist_ok=True)
    for source in fresh:
        with open(stamp(source), "w"):
            pass


def test_it_finds_what_it_is_there_for():
    """Its checks are in force, and a finding fails."""
    with tempfile.TemporaryDirectory(dir=os.path.join(TOP, "host")) as directory:
        source = os.path.join(directory, "wrong.c")
        with open(source, "w") as file:
            file.write("#include <sys/mman.h>\nvoid wrong(void *at);\nvoid wrong(void *at)\n{\n    mmap(at, 1, 0, 0, 0, 0);\n}\n")
        with open(os.path.join(directory, "compile_commands.json"), "w") as file:
            json.dump([{"directory": directory, "file": source, "command": f"cc -c {source}"}], file)
        assert "bugprone-unused-return-value" in findings([source], directory)
