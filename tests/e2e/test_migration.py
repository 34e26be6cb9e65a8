# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that migrate while a task in them is bound, from one vhintd to another: two QEMUs and two daemons on one
machine stand for two hosts."""
import os
import unittest

import vhtest
from vhtest import wait_for
from vhtest.fake_guest import FakeGuest

SOON = 5  # s
FORGOTTEN = 1  # s, from the end of a migration to the source's having undone all
MACHINE = {"cpus": 2}
# Slower than any guest needs to be done: what it limits is under way until it is ended.
CRAWL = 1 << 20  # bytes a second

# A bound task that goes on counting wherever it is.
WORK = "exec taskset -c 1 sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.2; done'"


class Arriving(vhtest.Guest):
    """A QEMU that waits for a guest like `MACHINE`."""

    def start(self, wait=False):
        vhtest.witness.witnesses.append(self)
        self._launch("-incoming", f"unix:{self.incoming}")
        return self

    @property
    def incoming(self):
        return self.path("incoming")


def seconds(event):
    return event["timestamp"]["seconds"] + event["timestamp"]["microseconds"] / 1e6


class Case(unittest.TestCase):
    """Has a `source` with a bound task, looked after by the vhintd `here`."""

    @classmethod
    def setUpClass(cls):
        if len(os.sched_getaffinity(0)) < 2:
            raise unittest.SkipTest("this host has one CPU: pinned and floating look alike")

    @classmethod
    def serve(cls, enter):
        """`enter` is a test's or its class's enterContext."""
        cls.floating = vhtest.thread_cpus("self")
        cls.source = enter(vhtest.Guest(served=True, **MACHINE))
        cls.here = enter(vhtest.Daemon(cls.source))
        cls.source.start_command(WORK)
        cls.wait_pinned(cls.source, 1)
        cls.loaded = cls.source.loaded()
        cls.qmp = cls.source.qmp
        cls.qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})

    @staticmethod
    def wait_pinned(guest, *cpus):
        def pinned():
            guest.check()  # a torn copy need not be waited for
            return {cpu for cpu, mask in guest.all_host_cpus().items() if len(mask) == 1}
        wait_for(lambda: pinned() == set(cpus), SOON, f"guest CPUs {cpus} of {guest.name} are pinned and no others")

    def count(self, guest):
        return int(guest.output("cat /tmp/count") or 0)

    def assert_alive(self, guest):
        before = self.count(guest)
        wait_for(lambda: self.count(guest) > before, SOON, "the bound task goes on")

    def assert_untouched(self, guest, daemon):
        """Nothing was loaded into the guest but what was before."""
        self.assertEqual(guest.loaded(), self.loaded)
        self.assertEqual(daemon.program("affinity")["state"], "running")

    def floats(self, guest):
        return all(vhtest.thread_cpus(tid) == self.floating for tid in guest.threads().values())

    def target(self):
        """A QEMU that waits, and a vhintd beside it that has never heard of the guest."""
        target = self.enterContext(Arriving(**MACHINE))
        there = vhtest.Daemon(target)
        self.addCleanup(there.close, True)
        there.start(wait=False)
        wait_for(lambda: there.guest()["vcpus"] == MACHINE["cpus"], SOON, "vhintd there knows the vCPUs")
        return target, there

    def migrate(self, to):
        self.qmp.call("migrate", uri=f"unix:{to}")

    def wait_status(self, *statuses, qmp=None):
        """Of the migration away from the source, or from who has the monitor `qmp`."""
        wait_for(lambda: (qmp or self.qmp).call("query-migrate").get("status") in statuses, 20,
                 f"the migration is {' or '.join(statuses)}")

    def wait_completed(self):
        """Returns when that was, by QEMU's word; vhintd sees to it that QEMU says so."""
        while (event := self.qmp.wait_event("MIGRATION"))["data"]["status"] != "completed":
            pass
        return seconds(event)

    def crawl(self):
        """Begins a migration and returns midway: target, the vhintd there, and the steps that the one here has taken."""
        target, there = self.target()
        before = len(self.here.steps())
        self.qmp.call("migrate-set-parameters", **{"max-bandwidth": CRAWL})
        self.migrate(target.incoming)

        def midway():
            told = self.qmp.call("query-migrate")
            ram = told.get("ram", {})
            self.assertIn(told["status"], ("setup", "active"))
            return told["status"] == "active" and ram["transferred"] > 0 and ram["remaining"] > CRAWL
        wait_for(midway, 20, "the migration is midway")
        return target, there, before


class Stays(Case):
    """A migration that fails leaves the source as it was, for the next one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.serve(cls.enterClassContext)

    def test_cancelled_midway(self):
        _, there, before = self.crawl()
        self.assertFalse(there.guest()["connected"])
        self.qmp.call("migrate_cancel")
        self.wait_status("cancelled")
        self.assert_alive(self.source)
        self.assert_stayed(before)
        self.assertEqual(there.applied(), 0)

    def test_target_dies_midway(self):
        target, there, before = self.crawl()
        target.qemu.end(sig=9)
        self.wait_status("failed")
        self.assert_alive(self.source)
        self.assert_stayed(before)
        self.assertEqual(there.applied(), 0)

    def test_nobody_is_there(self):
        before = len(self.here.steps())
        self.migrate(self.source.path("nobody"))
        self.wait_status("failed")
        self.assert_alive(self.source)
        self.assert_stayed(before)

    def assert_stayed(self, before):
        """The pin was never lifted, the session never broken, and what comes after is acted upon."""
        self.wait_pinned(self.source, 1)
        self.assert_untouched(self.source, self.here)
        steps = [step["what"] for step in self.here.steps()[before:]]
        self.assertEqual([what for what in steps if what.startswith(("unpin", "pin", "load", "unload", "connect",
                                                                     "disconnect", "leave"))], [])
        task = self.source.start_command("exec taskset -c 0 sleep 1000")
        self.wait_pinned(self.source, 0, 1)
        task.kill()
        self.wait_pinned(self.source, 1)


class Migration(Case):
    def setUp(self):
        self.serve(self.enterContext)

    @vhtest.migrates_live
    def test_there(self):
        target, there = self.target()
        self.migrate(target.incoming)
        gone = self.wait_completed()
        self.wait_pinned(target, 1)
        self.assert_alive(target)
        self.assert_untouched(target, there)
        self.assertEqual([step["what"] for step in there.steps("load") + there.steps("unload")], [])
        wait_for(lambda: self.here.guest()["vcpus"] == 0, SOON, "vhintd here has forgotten the guest")
        undone = wait_for(lambda: self.here.steps("unpin vCPU"), SOON, "the journal has it")[-1]["time"]
        forgotten = undone - gone
        print(f"forgotten {1000 * forgotten:.1f} ms after the migration was completed")
        self.assertLess(forgotten, FORGOTTEN * vhtest.setting.slowness)
        self.assertTrue(self.floats(self.source))
        self.assertEqual(self.here.applied(), 0)
        self.assertGreater(there.applied(), 0)
        told = self.here.guest()
        self.assertFalse(told["connected"])
        self.assertIn("migrated", told["problem"])
        # It is that host's alone: what ends there, ends there.
        target.run("killall -9 sh sleep", check=False)
        self.wait_pinned(target)
        self.source.qemu.end(sig=9)
        wait_for(lambda: "migrated" not in self.here.guest()["problem"], SOON, "a QEMU that ends has no guest elsewhere")

    @vhtest.migrates_live
    def test_in_a_storm_of_hints(self):
        """What is on its way when the CPUs stop is cut anywhere."""
        storm = self.source.start_command("exec sh -c 'while :; do taskset -c 0 true; done'")
        wait_for(lambda: self.here.guest()["hints"] > 60, 20, "hints")
        target, there = self.target()
        self.migrate(target.incoming)

        def hints():
            target.check()
            return there.guest()["hints"]
        wait_for(lambda: hints() > 60, 20, "hints there")
        target.run(f"kill -9 {storm.pid}")
        self.wait_pinned(target, 1)
        self.assert_alive(target)
        self.assert_untouched(target, there)
        self.assertEqual(there.guest()["refused"], 0)
        wait_for(lambda: self.here.guest()["vcpus"] == 0 and self.here.applied() == 0, SOON, "forgotten")

    @vhtest.migrates_live
    def test_daemons_restart_midway(self):
        target, there, _ = self.crawl()
        self.here.kill()
        there.kill()
        self.here.start()
        there.start(wait=False)
        self.wait_pinned(self.source, 1)
        self.qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.wait_pinned(target, 1)
        self.assert_untouched(target, there)
        wait_for(lambda: self.here.guest()["vcpus"] == 0 and self.here.applied() == 0, SOON, "forgotten")

    @vhtest.migrates_live
    def test_there_and_back(self):
        target, there = self.target()
        self.migrate(target.incoming)
        self.wait_status("completed")
        self.wait_pinned(target, 1)
        self.source.stop()
        back = self.enterContext(Arriving(**MACHINE))
        self.here.guests["guest"] = back
        self.here.stop()
        self.here.start(wait=False)
        wait_for(lambda: self.here.guest()["vcpus"] == MACHINE["cpus"], SOON, "vhintd knows the vCPUs")
        target.qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        target.qmp.call("migrate", uri=f"unix:{back.incoming}")
        self.wait_status("completed", qmp=target.qmp)
        self.wait_pinned(back, 1)
        self.assert_alive(back)
        self.assert_untouched(back, self.here)
        wait_for(lambda: there.guest()["vcpus"] == 0 and there.applied() == 0, SOON, "forgotten there")

    @vhtest.migrates_live
    def test_target_dies_after_the_end(self):
        """QEMU has handed the guest over, and somebody lets it go on here, since nothing came of the other. The channel has to
        be there before the guest writes: QEMU 7.2 takes nothing from it any more otherwise."""
        target, _ = self.target()
        self.migrate(target.incoming)
        self.wait_status("completed")
        target.qemu.end(sig=9)
        wait_for(lambda: self.here.guest()["vcpus"] == 0, SOON, "forgotten")
        self.assertTrue(self.floats(self.source))
        channel = next(port["filename"] for port in self.qmp.call("query-chardev") if port["label"] == self.source.channel_label)
        self.assertFalse(channel.startswith("disconnected"), channel)
        self.qmp.call("cont")
        self.wait_pinned(self.source, 1)
        self.assert_alive(self.source)
        self.assert_untouched(self.source, self.here)

    @vhtest.migrates_live
    def test_daemon_comes_after_the_guest(self):
        """vhintd starts beside a guest that has arrived already, and beside one that has left."""
        target = self.enterContext(Arriving(**MACHINE))
        self.here.kill()
        self.migrate(target.incoming)
        self.wait_status("completed")
        self.here.start(wait=False)
        wait_for(lambda: "migrated" in self.here.guest()["problem"], SOON, "vhintd here sees that it has left")
        self.assertTrue(self.floats(self.source))
        self.assertEqual(self.here.applied(), 0)
        there = self.enterContext(vhtest.Daemon(target))
        self.wait_pinned(target, 1)
        self.assert_untouched(target, there)


class Words(unittest.TestCase):
    """What no QEMU can be made to say at a given moment; by a monitor that is none."""

    sanitized = True

    def setUp(self):
        self.guest = self.enterContext(FakeGuest())
        if len(self.guest.floating) < 2:
            self.skipTest("this host has one CPU: pinned and floating look alike")
        self.daemon = vhtest.Daemon(self.guest)
        self.addCleanup(self.daemon.close, True)
        self.daemon.start(wait=False)
        self.guest.start()
        self.guest.hint(self.guest.record(pid=1, mask=[1]))
        wait_for(self.is_pinned, SOON, "pinned")

    def is_pinned(self):
        return set(self.guest.pinned()) == {1}

    def say(self, run_state, event, **details):
        """`run_state` is what a question gets from now on."""
        self.guest.run_state = run_state
        self.guest.event(event, **details)

    def test_undecided(self):
        """Between the CPUs' stop and the word that the other side has them the pin stays; without a word, too."""
        self.say("finish-migrate", "STOP")
        vhtest.stays(self.is_pinned, 0.3, "the pin of a guest that may go on")
        self.guest.run_state = "postmigrate"
        wait_for(lambda: not self.guest.pinned(), SOON, "nobody says so, and it is noticed")

    def test_cancelled_in_the_last_moment(self):
        self.say("finish-migrate", "STOP")
        self.say("running", "RESUME")
        vhtest.stays(self.is_pinned, 0.3, "the pin of a guest that goes on")

    def test_postcopy(self):
        """It runs there while its memory is still on its way: the source's work is over."""
        self.say("running", "MIGRATION", status="active")
        self.say("finish-migrate", "STOP")
        self.guest.event("MIGRATION", status="postcopy-active")
        wait_for(lambda: not self.guest.pinned(), SOON, "it runs elsewhere")
        self.assertEqual(self.daemon.guest("fake")["vcpus"], 0)

    def test_paused_is_not_gone(self):
        self.say("paused", "STOP")
        vhtest.stays(self.is_pinned, 0.3, "the pin of a guest that is paused")
        self.say("running", "RESUME")
        vhtest.stays(self.is_pinned, 0.2, "the pin of a guest that goes on")
