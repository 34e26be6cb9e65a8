# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests, the demo and the benches share: guests, daemons, and what to expect of them."""
from .agent import Command, Result
from .daemon import HOST_BUILD, Daemon
from .guest import BUILD, KERNEL, SPARSE_APIC_IDS, TOP, Guest, accelerator, build_image
from .process import (SLOWNESS, Failure, Masks, Process, format_cpus, parse_cpus, stays, tail, temporary_directory,
                      thread_cpus, wait_for, witnesses)
from .qmp import Qmp

__all__ = ["BUILD", "HOST_BUILD", "KERNEL", "TOP", "Command", "Daemon", "Failure", "Guest", "Masks", "Process", "Qmp",
           "Result", "SLOWNESS", "SPARSE_APIC_IDS", "accelerator", "build_image", "format_cpus", "parse_cpus", "stays",
           "tail", "temporary_directory", "thread_cpus", "wait_for", "witnesses"]
