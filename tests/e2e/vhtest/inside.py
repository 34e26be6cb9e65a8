# SPDX-License-Identifier: GPL-2.0-or-later
"""In a made-up host (hostvm.py), where there is no pytest: runs tests by name, each in a child, which finds everything imported.

usage: python3 -m vhtest.inside DIRECTORY MODULE...

A test's name comes on the pipe DIRECTORY/ask. What came of it goes to the pipe DIRECTORY/told, one line of JSON, the rest to the
file DIRECTORY/output."""
import importlib
import json
import os
import sys
import traceback
import unittest

from . import process, witness


class Report(unittest.TestResult):
    """Of one test: {"outcome", "text", "why", "graves", "second_tries"}."""

    def __init__(self):
        super().__init__()
        self.told = {"outcome": "passed", "text": "", "why": ""}

    def _failed(self, _, error):
        logs = "".join(one.logs() for one in witness.witnesses)
        self.told = {"outcome": "failed", "text": "".join(traceback.format_exception(*error)) + logs,
                     "why": traceback.format_exception_only(*error[:2])[-1].partition("\n")[0]}

    def stopTest(self, test):
        super().stopTest(test)
        witness.look()

    addError = addFailure = _failed

    def addSubTest(self, test, subtest, error):
        if error:
            self._failed(test, error)

    def addSkip(self, test, reason):
        self.told = {"outcome": "skipped", "text": reason, "why": ""}


def run(name):
    """In the child; does not return."""
    report = Report()
    try:
        unittest.TestLoader().loadTestsFromName(name).run(report)
        report.told |= {"graves": witness.graves, "second_tries": witness.second_tries}
        return report.told
    finally:
        process.clean_up()


def serve(directory, modules):
    for module in modules:
        importlib.import_module(module)
    for pipe in ("ask", "told"):
        os.mkfifo(os.path.join(directory, pipe))
    while True:
        with open(os.path.join(directory, "ask")) as ask:
            name = ask.read().strip()
        told = os.open(os.path.join(directory, "told"), os.O_WRONLY)
        child = os.fork()
        if not child:
            os.setsid()
            output = os.open(os.path.join(directory, "output"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for fd, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
                os.dup2(file, fd)
            try:
                os.write(told, json.dumps(run(name)).encode() + b"\n")
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(0)
        os.close(told)
        os.waitpid(child, 0)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
