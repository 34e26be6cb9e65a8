# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests, the demo and the benches share: guests, daemons, and what to expect of them."""
from .agent import Command, Result
from . import setting, witness
from .calls import Calls, Masks
from .daemon import Daemon
from .guest import AFFINITY, SPARSE_APIC_IDS, Guest, accelerator, build_image, migrates_live
from .process import (Failure, Process, Samples, format_cpus, parse_cpus, real_time_is_allowed, stays, tail,
                      temporary_directory, thread_cpus, wait_for)
from .qmp import Qmp
from .setting import BUILD, TOP

__all__ = ["AFFINITY", "BUILD", "Calls", "Command", "Daemon", "Failure", "Guest", "Masks", "Process", "Qmp",
           "Result", "SPARSE_APIC_IDS", "Samples", "TOP", "accelerator", "build_image", "format_cpus",
           "migrates_live", "parse_cpus", "real_time_is_allowed", "setting",
           "stays", "tail", "temporary_directory", "thread_cpus", "wait_for", "witness"]
