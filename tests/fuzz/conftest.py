# SPDX-License-Identifier: GPL-2.0-or-later
"""The fuzz targets as tests: each runs its corpus, and then for VH_FUZZ_SECONDS what it finds (2). A crash leaves its input in
build-fuzz/."""
import glob
import os
import subprocess

import pytest

from vhtest import setting, witness

BUILD = os.path.join(setting.TOP, "build-fuzz")
CORPUS = os.path.join(setting.TOP, "tests/fuzz/corpus")


def pytest_collect_file(parent, file_path):
    if file_path.name == "meson.build" and file_path.parent.name == "fuzz":
        return Targets.from_parent(parent, path=file_path)
    return None


class Targets(pytest.File):
    def collect(self):
        for path in sorted(glob.glob(os.path.join(BUILD, "tests/fuzz/fuzz-*"))):
            if os.path.isfile(path):
                yield Target.from_parent(self, name=os.path.basename(path).removeprefix("fuzz-"), executable=path)


class Target(pytest.Item):
    """A scope of its own for the workers."""

    def __init__(self, executable, **arguments):
        super().__init__(**arguments)
        self.executable = executable

    def runtest(self):
        seconds = os.environ.get("VH_FUZZ_SECONDS", "2")
        corpora = [os.path.join(BUILD, "corpus", self.name), os.path.join(CORPUS, self.name)]
        for corpus in corpora:
            os.makedirs(corpus, exist_ok=True)
        done = subprocess.run([self.executable, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096", "-verbosity=0",
                               f"-artifact_prefix={BUILD}/{self.name}-", *corpora], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode:
            witness.accuse(f"fuzzing {self.name}", f"ended with {done.returncode}")
            pytest.fail(f"its input is in build-fuzz/{self.name}-*\n{done.stdout[-20000:]}", pytrace=False)

    def reportinfo(self):
        return self.path, None, f"fuzz {self.name}"
