# SPDX-License-Identifier: GPL-2.0-or-later
"""What all tests share under pytest: options, the order, what fails for good, and what is told in the end.

- A test that fails is told with what took part in it: consoles, vhintd's log and journal, of that test only.
- A crash, a sanitizer's report, or an Oops on a guest's console is *grave*: it fails the test whatever else comes of it, and is
  never repeated.
- What fails otherwise may run once more, alone (`--again`). What passes then is *unsteady*: it is counted as such, and more
  than `--unsteady` of them fail the run.
- A helper's own second try (vhtest/witness.py) is told with its reason."""
import json
import os
from collections import Counter

import pytest

from vhtest import setting, witness

OUTCOMES = os.path.join(setting.BUILD, "tests/outcomes.json")
DURATIONS = os.path.join(setting.BUILD, "tests/durations.json")


def pytest_addoption(parser):
    group = parser.getgroup("vhint")
    group.addoption("--kernels", default="bookworm", help='suites of guest kernels, separated by commas, or "all"')
    group.addoption("--sanitized", metavar="DIR", help="a build under sanitizers, for the tests that run there, too")
    group.addoption("--threads", metavar="DIR", help="a build under ThreadSanitizer, for its unit tests")
    group.addoption("--boot", action="store_true", help="boot every guest instead of resuming saved ones")
    group.addoption("--again", action="store_true", help="only what failed in the last run and is not grave")
    group.addoption("--unsteady", type=int, default=0, metavar="N", help="with --again: up to N unsteady tests are no failure")


def is_controller(config):
    return not hasattr(config, "workerinput")


def read(path, default):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return default


class Outcomes:
    """What came of each test: {nodeid: {"outcome", "seconds", "why", "graves", "tries"}}; of the worker's reports, or of this
    process."""

    def __init__(self, config):
        self.config = config
        self.tests = {}
        self.before = read(OUTCOMES, {}) if config.option.again else {}

    def pytest_runtest_logreport(self, report):
        test = self.tests.setdefault(report.nodeid, {"outcome": "passed", "seconds": 0, "why": "", "graves": [], "tries": []})
        test["seconds"] += report.duration
        if report.outcome != "passed" and test["outcome"] != "failed":
            test["outcome"] = report.outcome
            crash = getattr(report.longrepr, "reprcrash", None)
            test["why"] = (crash.message if crash else str(report.longrepr)).partition("\n")[0]
        for name, value in report.user_properties:
            if name in ("graves", "tries") and value not in test[name]:
                test[name].append(value)

    def pytest_sessionfinish(self, session):
        unsteady = self.unsteady()
        if self.config.option.again:
            hopeless = [name for name, test in self.whole().items() if test["outcome"] == "failed"]
            session.exitstatus = 1 if hopeless or len(unsteady) > self.config.option.unsteady else 0
        os.makedirs(os.path.dirname(OUTCOMES), exist_ok=True)
        with open(OUTCOMES, "w") as file:
            json.dump(self.whole(), file, indent=1)
        if not self.config.option.again:
            self._write_durations()

    def _write_durations(self):
        seconds = Counter()
        for name, test in self.tests.items():
            seconds[scope_of(name)] += test["seconds"]
        known = read(DURATIONS, {}) | {name: round(value, 1) for name, value in seconds.items()}
        with open(DURATIONS, "w") as file:
            json.dump(known, file, indent=1)

    def whole(self):
        """Of this run and, with --again, of the one before it."""
        return self.before | self.tests

    def unsteady(self):
        return [name for name, test in self.tests.items()
                if test["outcome"] == "passed" and self.before.get(name, test)["outcome"] == "failed"]

    def tell(self, say):
        whole = self.whole()
        tries = Counter(reason for test in [*self.before.values(), *self.tests.values()] for reason in test["tries"])
        for reason, count in sorted(tries.items()):
            say(f"second try, {count} x: {reason}")
        for name in self.unsteady():
            say(f"unsteady: {name}: {self.before[name]['why']}")
        for name, test in whole.items():
            if test["outcome"] == "failed":
                say(f"{'grave' if test['graves'] else 'failed'}: {name}: {'; '.join(test['graves']) or test['why']}")
        counts = Counter(test["outcome"] for test in whole.values())
        unsteady = len(self.unsteady())
        say(f"{counts['passed'] - unsteady} passed, {counts['failed']} failed, {counts['skipped']} skipped, {unsteady} unsteady,"
            f" {sum(tries.values())} second tries in helpers")


def pytest_configure(config):
    os.environ["VH_STATES"] = "" if config.option.boot else os.path.join(setting.BUILD, "states")
    if is_controller(config):
        config.outcomes = Outcomes(config)
        config.pluginmanager.register(config.outcomes)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    if hasattr(config, "outcomes") and config.outcomes.tests and not config.option.collectonly:
        config.outcomes.tell(print)


def scope_of(name):
    """The class, or what else runs as one piece in one worker."""
    return name.rpartition("::")[0]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Those that took longest in the last run begin, so that all workers end together; what is new comes first."""
    seconds = read(DURATIONS, {})
    items.sort(key=lambda item: -seconds.get(scope_of(item.nodeid), 60))
    if config.option.again:
        wanted = {name for name, test in read(OUTCOMES, {}).items() if test["outcome"] == "failed" and not test["graves"]}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
        items[:] = [item for item in items if item.nodeid in wanted]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    witness.begin_test(witness.log_files())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    witness.look()
    if report.failed:
        words = [one for one in witness.witnesses if isinstance(one, witness.Words)] or witness.witnesses
        report.sections += [("what took part", one.logs()) for one in words]
    if witness.graves and not report.failed:
        report.outcome = "failed"
        report.longrepr = "\n".join(witness.graves)
    report.user_properties += [("graves", grave) for grave in witness.graves]
    report.user_properties += [("tries", reason) for reason in witness.second_tries]
    witness.graves.clear()
    witness.second_tries.clear()
