# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests, the demo and the benches share: guests, daemons, and what to expect of them."""
from .agent import Command, Result
from .daemon import HOST_BUILD, Daemon
from .guest import AFFINITY, BUILD, KERNEL, SPARSE_APIC_IDS, TOP, Guest, accelerator, build_image, migrates_live
from .process import (SLOWNESS, Failure, Masks, Process, Samples, forget_words, format_cpus, parse_cpus, stays, tail,
                      temporary_directory, thread_cpus, wait_for, witnesses)
from .qmp import Qmp

__all__ = ["AFFINITY", "BUILD", "Command", "Daemon", "Failure", "Guest", "HOST_BUILD", "KERNEL", "Masks", "Process", "Qmp",
           "Result", "SLOWNESS", "SPARSE_APIC_IDS", "Samples", "TOP", "accelerator", "build_image", "forget_words", "format_cpus",
           "migrates_live", "parse_cpus", "stays", "tail", "temporary_directory", "thread_cpus", "wait_for", "witnesses"]
