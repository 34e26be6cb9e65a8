/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One guest: its monitor, its channel, and all that is known through them.
 *
 * What the channel says (programs, facts, CPU map) holds for one session with one injector; what
 * the monitor says (vCPUs, threads) holds for one connection. When either ends, what it said is
 * void at once and the guest's vCPUs float, until the next one says it anew. */
#pragma once

#include "base/nic.h"
#include "channel/session.h"
#include "config/guest.h"
#include "guest/portrait.h"
#include "hint/facts.h"
#include "inventory/seat.h"
#include "io/journal.h"
#include "io/pathwatch.h"
#include "io/turn.h"
#include "metrics/figures.h"
#include "programs/programs.h"
#include "qemu/memory.h"
#include "qemu/threads.h"
#include "wish/rules.h"

typedef struct VhGuest VhGuest;

struct vh_guest_funcs {
    /* What the guest wishes may have changed, because of `why`. */
    void (*changed)(VhGuest *guest, const char *why, gpointer data);
    /* What vh_guest_portray copies, or its vCPUs and other threads, may have changed. In the midst
     * of other calls: it may only note it. */
    void (*shown)(VhGuest *guest, gpointer data);
    /* What is injected by hand has changed. */
    void (*injected)(VhGuest *guest, gpointer data);
    /* Does anybody watch? Only then is watch called: with a hint as one JSON object. */
    bool (*watched)(VhGuest *guest, gpointer data);
    void (*watch)(VhGuest *guest, const GString *line, gpointer data);
};

/* `config`, `watch`, `turn`, `scratch`, `journal` and `funcs` are borrowed. */
VhGuest *vh_guest_new(const struct vh_config_guest *config, const char *state_dir,
                      VhPathWatch *watch, VhTurn *turn, VhScratch *scratch, VhJournal *journal,
                      const struct vh_guest_funcs *funcs, gpointer data);
/* Connects, or waits until it can; may call `funcs` at once. */
void vh_guest_start(VhGuest *guest);
/* Calls none of `funcs`. */
void vh_guest_free(VhGuest *guest);

const struct vh_config_guest *vh_guest_config(const VhGuest *guest);
VhPrograms *vh_guest_programs(VhGuest *guest);
const struct vh_cpu_map *vh_guest_cpus(const VhGuest *guest);

/* Is there a session with its injector? */
bool vh_guest_is_connected(const VhGuest *guest);
/* Why what is measured of it now says nothing (static): it stands still, or is being migrated.
 * NULL: it does. */
const char *vh_guest_unsteady(const VhGuest *guest);
/* Is all known that its wishes follow from? Of one that is away, all is. */
bool vh_guest_is_settled(const VhGuest *guest);
/* Does its channel flood us? */
bool vh_guest_is_heavy(const VhGuest *guest);
/* Charges its channel what it caused elsewhere. */
void vh_guest_charge(VhGuest *guest, gint64 us);
/* The vCPUs known now. */
const struct vh_vcpu *vh_guest_vcpus(const VhGuest *guest, unsigned *count);
/* The threads known to serve the guest beside its vCPUs, by kind, then by number; none while its
 * vCPUs are not known. */
const struct vh_thread *vh_guest_helpers(const VhGuest *guest, unsigned *count);
/* QEMU's process, by its first thread; `thread` 0: not known. */
struct vh_thread_id vh_guest_process(const VhGuest *guest);
/* Does its policy give such threads a place? Others' dedicated pools may do so too. */
bool vh_guest_places_threads(const VhGuest *guest);
/* The NUMA nodes that QEMU has bound its memory to; NULL: not known. */
const struct vh_cpuset *vh_guest_nodes(const VhGuest *guest);
/* Has its monitor said that there is no KVM? QEMU's first thread runs the vCPUs' timers then. */
bool vh_guest_is_emulated(const VhGuest *guest);
/* Looks which of them are gone and which are new. Quick, but vhost workers that the kernel has
 * threads of its own for are only looked for when the vCPUs are asked for. */
void vh_guest_refresh_threads(VhGuest *guest);
/* Its QEMU is `process` and its monitor does not answer yet: until it does, the guest has the
 * threads that /proc names, and vCPUs that no guest CPU is matched with. Called again and again
 * while QEMU makes them. */
void vh_guest_preview(VhGuest *guest, const struct vh_thread_id *process);
/* May its maker set the mask of a thread yet, so that what it has is no former mask? Then `*usual`
 * (borrowed) is what that will be; NULL: what it was before. `seat` NULL: the maker has no name for
 * the thread. */
bool vh_guest_echoes(const VhGuest *guest, const struct vh_seat *seat,
                     const struct vh_cpuset **usual);
/* One wish for each vCPU, as last settled: asking changes nothing, so a wish that max-hints defers
 * is not in them yet. Borrowed until the main loop goes on. */
const struct vh_wish *vh_guest_wishes(const VhGuest *guest);
/* Which of its vCPUs are to be near each other, likewise. */
const struct vh_near *vh_guest_nears(const VhGuest *guest, unsigned *count);
/* What is wished for its memory, likewise. */
const struct vh_ram_wish *vh_guest_ram_wish(const VhGuest *guest);
/* Its network interfaces that taps serve, where policy lets it have offloads. `*problem` (static)
 * is why one is missing; NULL: none is. */
const struct vh_nic *vh_guest_nics(const VhGuest *guest, unsigned *count, const char **problem);
/* Asks for them once more, though nobody has told of a change; not more often than is of use. */
void vh_guest_look_at_nics(VhGuest *guest);
/* What its programs have said, and holds. */
const VhFacts *vh_guest_facts(const VhGuest *guest);
/* By what its memory is changed. */
VhRamDevice *vh_guest_ram(const VhGuest *guest);

/* From now on `policy` (taken over) applies: its programs and its rules. May call changed() at
 * once. */
void vh_guest_set_policy(VhGuest *guest, VhGuestPolicy *policy);
/* NULL before the first. */
const VhGuestPolicy *vh_guest_policy(const VhGuest *guest);

/* Copies what is shown of it. vh_guest_portrait_clear() it. Returns whether that holds until
 * shown() is called: what is said of its problems may change by time alone. */
bool vh_guest_portray(const VhGuest *guest, VhGuestPortrait *portrait);
/* ListPrograms' dictionaries. */
GVariant *vh_guest_describe_programs(const VhGuest *guest);
GVariant *vh_guest_describe_program(const VhGuest *guest, const struct vh_managed *managed);
/* All but `held` and `pinned`. */
void vh_guest_figures(const VhGuest *guest, struct vh_guest_figures *figures);
/* The facts, as JSON objects. */
char **vh_guest_describe_facts(const VhGuest *guest);
/* The facts that ask for what the actuator of this name does, for the vCPU at this position, as
 * JSON objects, in the order of their text, at most `max`; `*count` is how many there are.
 * g_strfreev() it. */
char **vh_guest_describe_behind(VhGuest *guest, unsigned position, const char *actuator,
                                unsigned max, unsigned *count);
