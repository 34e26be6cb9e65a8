# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test leaves to be told: logs of what took part in it, what no second try excuses, and second tries that were needed.

A witness is an object with logs() -> text, and perhaps grave() -> text or None. Both speak of the present test alone: the logs
of what serves a whole class are read from where they ended when the test began."""
import os
import re

# Whoever can tell what happened.
witnesses = []

# What fails a test whatever else comes of it, and is never tried again: a crash, a sanitizer's report, an Oops.
graves = []

# Why something was tried once more without a word to the test: a fault of the emulator's, or of the machine's.
second_tries = []

_begins = {}  # path -> where the present test's part begins

# Of a guest's kernel: none of these is ever expected.
CONSOLE = re.compile(rb".*(?:Oops: |BUG: |Kernel panic|WARNING: CPU|rcu: INFO: .*(?:stall|detected)|blocked for more than).*")
# Of a process of ours, on its stderr. Of races only those that are ours: ThreadSanitizer sees what GLib, which is not compiled for
# it, hands from thread to thread, but not how.
REPORT = re.compile(rb".*(?:ERROR: \w+Sanitizer|SUMMARY: ThreadSanitizer: .* \.\./(?:host|protocol|tests)/|: runtime error: |"
                    rb"-CRITICAL \*\*|^ERROR:\w).*", re.M)


class Words:
    """What a witness said who is gone by the time that a test's failure is told."""

    def __init__(self, text):
        self.text = text

    def logs(self):
        return self.text


def begin_test(paths):
    """A test begins: what these files have now is of tests before it."""
    _begins.clear()
    _begins.update((path, os.path.getsize(path)) for path in paths if os.path.exists(path))
    graves.clear()
    second_tries.clear()
    witnesses[:] = [witness for witness in witnesses if not isinstance(witness, Words)]


def log_files():
    """Of all witnesses."""
    return [path for witness in witnesses for path in getattr(witness, "log_files", lambda: [])()]


def _begin(path):
    """Where the test's part begins, unless the file has been made anew since."""
    begin = _begins.get(path, 0)
    return begin if begin <= os.path.getsize(path) else 0


def told(path, lines=100):
    """The end of what the file has of this test, as text."""
    try:
        with open(path, errors="replace") as file:
            file.seek(_begin(path))
            return "".join(file.readlines()[-lines:])
    except OSError as error:
        return f"({error})\n"


def find(path, pattern, begin=0):
    """The first match of `pattern` in what the file has of this test, from `begin` on, as text; or None."""
    try:
        with open(path, "rb") as file:
            file.seek(max(begin, _begin(path)))
            match = pattern.search(file.read())
            return match and match[0].decode(errors="replace").strip()
    except OSError:
        return None


def accuse(what, text):
    """Notes what is grave, once."""
    if text and f"{what}: {text}" not in graves:
        graves.append(f"{what}: {text}")


def look():
    """Asks all witnesses for what is grave."""
    for witness in witnesses:
        if hasattr(witness, "grave"):
            witness.grave()


def second_try(reason):
    """Something is tried once more; what was grave in the first try is excused by that, and told with it."""
    second_tries.append("; ".join([reason, *graves]))
    graves.clear()


def keep():
    """What all say now, who may be gone when it is told."""
    if witnesses and not any(isinstance(one, Words) for one in witnesses):
        witnesses.append(Words("".join(one.logs() for one in witnesses)))
