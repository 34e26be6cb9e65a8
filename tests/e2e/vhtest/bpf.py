# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the tests' own BPF programs, each of them once: what comes of the same sources is kept in the build directory."""
import glob
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile

from .setting import BUILD, TOP

OBJECTS = os.path.join(BUILD, "tests/e2e/objects")
PROGRAMS = os.path.join(TOP, "tests/e2e/programs")
INCLUDE = [os.path.join(TOP, "guest-bpf"), os.path.join(TOP, "protocol")]


def _key(source, arguments):
    digest = hashlib.sha256("\0".join((os.path.basename(source), *arguments)).encode())
    for path in (source, *sorted(header for directory in (*INCLUDE, PROGRAMS) for header in glob.glob(f"{directory}/*.h"))):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def compile_bpf(source, target, *arguments):
    """clang's object of a source, or of programs/SOURCE.bpf.c by its name, put at `target`, which is returned."""
    if not source.endswith(".c"):
        source = os.path.join(PROGRAMS, f"{source}.bpf.c")
    kept = os.path.join(OBJECTS, _key(source, arguments) + ".o")
    if not os.path.exists(kept):
        os.makedirs(OBJECTS, exist_ok=True)
        include = [f"-I{path}" for path in (*INCLUDE, f"/usr/include/{platform.machine()}-linux-gnu")]
        with tempfile.TemporaryDirectory(dir=OBJECTS) as directory:
            made = os.path.join(directory, "made.o")
            subprocess.run(["clang", "-target", "bpf", "-mcpu=v2", "-g", "-O2", *include, *arguments, "-c", source, "-o", made],
                           check=True)
            os.rename(made, kept)
    return shutil.copyfile(kept, target)
