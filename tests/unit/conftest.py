# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit tests as Meson knows them: each executable is a collector, each case of GTest's an item. An executable runs once."""
import json
import os
import re
import signal
import subprocess

import pytest

from vhtest import setting, witness

TIMEOUT = 120  # s
# They stop a process at each store, look at all that a program says on stderr, count threads.
NOT_FOR_THREADS = {"act/crash-property", "ctl/ctl", "injector/jobs"}
# As `meson test` has them: memory that nobody has set is not zero, and a report ends the program.
ENVIRONMENT = {"MALLOC_PERTURB_": "165", "ASAN_OPTIONS": "halt_on_error=1:abort_on_error=1",
               "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1", "TSAN_OPTIONS": "exitcode=0"}


def pytest_collect_file(parent, file_path):
    if file_path.name == "meson.build" and file_path.parent.name == "unit":
        return Builds.from_parent(parent, path=file_path)
    return None


class Builds(pytest.File):
    def collect(self):
        option = self.config.option
        for label, build in (("", setting.BUILD), ("[sanitized]", option.sanitized), ("[threads]", option.threads)):
            if build:
                build = os.path.join(setting.TOP, build)
                told = subprocess.run(["meson", "introspect", "--tests", build], capture_output=True, text=True, check=True)
                for test in json.loads(told.stdout):
                    if label == "[threads]" and test["name"] in NOT_FOR_THREADS:
                        continue
                    yield Executable.from_parent(self, name=test["name"] + label, test=test)


class Executable(pytest.Collector):
    def __init__(self, test, **arguments):
        super().__init__(**arguments)
        self.test = test
        self.output = None
        self.status = None
        self.cases = {}

    def collect(self):
        told = subprocess.run([self.test["cmd"][0], "-l"], capture_output=True, text=True, env=dict(os.environ, **ENVIRONMENT))
        names = re.findall(r"^/\S+", told.stdout, re.M)
        for name in names:
            yield Case.from_parent(self, name=name)
        if not names:
            yield Case.from_parent(self, name=f"(none: it ends with {told.returncode})")

    def environment(self):
        # What one thread frees another may have next: ThreadSanitizer knows of that from malloc() alone.
        slices = {"G_SLICE": "always-malloc"} if self.name.endswith("[threads]") else {}
        return dict(os.environ, **self.test["env"], **ENVIRONMENT, **slices)

    def run(self):
        """Once; sets cases {name: (outcome, text)}."""
        if self.output is not None:
            return
        limit = TIMEOUT * setting.BASE_SLOWNESS * (2 if self.name.endswith("]") else 1)
        try:
            done = subprocess.run(self.test["cmd"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit,
                                  errors="replace", env=self.environment())
            self.output, self.status = done.stdout, done.returncode
        except subprocess.TimeoutExpired as expired:
            self.output, self.status = (expired.stdout or b"").decode(errors="replace"), f"a time-out after {limit:g} s"
        for outcome, name, text in re.findall(r"^(ok|not ok) \d+ (\S+)(.*)$", self.output, re.M):
            self.cases[name] = (outcome, text)
        for reason in re.findall(r"^# second try: (.*)$", self.output, re.M):
            witness.second_try(f"{self.name}: {reason}")
        self._judge()

    def _judge(self):
        """What is grave."""
        for report in sorted(set(witness.REPORT.findall(self.output.encode()))):
            witness.accuse(self.name, report.decode(errors="replace").strip())
        if isinstance(self.status, int) and self.status < 0 and "Bail out!" not in self.output:
            witness.accuse(self.name, f"ended by {signal.Signals(-self.status).name}")


class Case(pytest.Item):
    def runtest(self):
        self.parent.run()
        outcome, text = self.parent.cases.get(self.name, ("not ok", ""))
        if "# SKIP" in text:
            pytest.skip(text.partition("# SKIP")[2].strip())
        last = self.parent.status and list(self.parent.cases)[-1:] in ([], [self.name])
        if outcome != "ok" or last:
            pytest.fail(f"it ended with {self.parent.status}\n{self.parent.output[-20000:]}", pytrace=False)

    def reportinfo(self):
        return self.path, None, f"{self.parent.name} {self.name}"
