/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of a guest share, lowest file first: each calls only those named before it.
 * guest.c and describe.c stand on top.
 *
 * Invariants, whenever wishes are settled:
 *  1. The port and the session are both there, or neither is.
 *  2. A monitor that is ready is there. It alone, or a preview, tells of vCPUs and threads.
 *  3. The CPU map names only vCPUs that are in `vcpus`.
 *  4. Without a process there are no helpers.
 *  5. A guest that is away has no vCPUs. */
#pragma once

#include "channel/port.h"
#include "channel/session.h"
#include "guest/guest.h"
#include "guest/question.h"
#include "inventory/maker.h"
#include "io/link.h"
#include "qemu/qmp.h"

/* Sessions of a guest that may still begin: VH_GUEST_SESSIONS, and one more a second until there
 * are so many again. All zero: that many. */
#define VH_GUEST_SESSIONS 8
struct vh_beginnings {
    gint64 since; /* monotonic, us: what has been used since is to come back; 0: nothing was */
    unsigned used;
    bool held;   /* one was held up since all were there, which was told */
    guint timer; /* says HELLO once the next one may begin */
};

struct VhGuest {
    const struct vh_config_guest *config;
    VhGuestNames *names;
    VhJournal *journal;
    const struct vh_guest_funcs *funcs;
    gpointer data;
    bool leaving; /* it is being freed: none of `funcs` is called any more */

    /* state.c */
    struct vh_journal_limit limit;
    char *problem;            /* why the session is not up */
    char *monitor_problem;    /* why the monitor is not ready */
    char *vcpu_problem;       /* why it did not tell of vCPUs when it was last asked; "": it did */
    const char *port_problem; /* why the events of our port cannot be told from others' (static) */

    /* wishes.c */
    VhGuestPolicy *policy;
    VhRules *rules;
    const char *dirty; /* why wishes may have changed; NULL: they have not */
    bool moved;        /* not only facts may have: its threads, CPUs or policy */
    GArray *wishes;    /* struct vh_wish, one for each vCPU, as last renewed */
    unsigned batch;    /* hints since the last settle */
    gint64 deferred;   /* max-hints: not to act before this time; 0: none */
    guint timer;       /* for what changes though no hint comes */

    /* cpus.c: what the injector says of CPUs, what the monitor says of vCPUs, and both joined */
    struct vh_cpu cpus[VH_CPUS_MAX];
    uint32_t cpu_count;
    GArray *vcpus; /* struct vh_vcpu */
    struct vh_cpu_map map;

    /* threads.c, nodes.c: as the monitor and /proc say */
    struct vh_thread_id process; /* QEMU's, of which the vCPUs' threads are; thread 0: not known */
    bool preview;                /* vcpus and process are by /proc alone */
    struct vh_cpuset usual;
    bool emulated;     /* QEMU computes what its vCPUs do, without KVM */
    GArray *iothreads; /* struct vh_thread: what the monitor says, not yet checked to be QEMU's */
    GArray *threads;   /* struct vh_thread: all of the process */
    gint64 listed;     /* when those were last read all of them; monotonic, us; 0: they were not */
    GArray *helpers;   /* struct vh_thread: those beside vCPUs */
    bool unasked;      /* others than when the monitor was asked which are IOThreads */
    gint64 glanced;    /* when they were last looked over because of hints; monotonic, us */
    struct vh_cpuset nodes; /* NUMA nodes that its memory is bound to */
    bool nodes_known;

    /* nics.c: as the monitor and the kernel say */
    GArray *nics; /* struct vh_nic */
    const char *nic_problem;
    gint64 nics_asked; /* monotonic, us */

    /* channel.c, hints.c */
    VhLink *channel_link; /* NULL: the guest has no channel */
    VhTurn *turn;
    VhScratch *scratch;
    VhPort *port; /* with session, or neither */
    VhSession *session;
    struct vh_hello hello; /* of the session that is up, or was last */
    VhPrograms *programs;
    VhFacts *facts;
    uint64_t hints; /* in this session */
    uint64_t lost;
    uint64_t bad_hints; /* refused, or not acted upon */

    /* begin.c */
    struct vh_beginnings beginnings;

    /* pulse.c */
    struct vh_alarm pulse; /* the next look, while the session is up */
    bool pulse_owing;      /* which is soon, since the guest owes something */
    gint64 pinged; /* when a sign of life was asked for; monotonic, us; 0: it has been given */
    bool silent;   /* that it has not come was told */

    /* run.c: as the monitor says, false as long as it has not */
    bool away;      /* the guest has migrated: another QEMU has it */
    bool still;     /* its vCPUs do not run */
    bool migrating; /* it is being copied, from here or to here */
    bool postcopy;  /* and runs there already */
    struct vh_question about_run;
    guint run_timer; /* asks again */
    guint run_wait;  /* ms */

    /* monitor.c */
    VhLink *monitor_link; /* NULL: the inventory has the monitor */
    VhQmp *monitor;
    bool monitor_ready;
    char *port_device;              /* QEMU's id of our port; NULL: not known */
    struct vh_question about_vcpus; /* and all that goes with them; ask.c */
    gint64 asked_at;                /* what the monitor had cost when that was asked */
    VhRamDevice *ram;
};

/* state.c */
/* Asserts the invariants above. */
void vh_guest_check(const VhGuest *guest);
/* What is shown of it may have changed: to be called with each change, before or after it. Settle
 * does so, with which each turn that serves the guest ends. */
void vh_guest_show(VhGuest *guest);
/* Why the session is not up; "": it is. */
void vh_guest_set_problem(VhGuest *guest, const char *text);
/* Why the monitor is not ready. */
void vh_guest_set_monitor_problem(VhGuest *guest, const char *text);
/* Why it has not told of vCPUs; "": it has. */
void vh_guest_set_vcpu_problem(VhGuest *guest, const char *text);
/* One line for the journal, of which a guest gets so many a second, and so many bytes. All lines
 * that this folder writes are such: who is in the guest, or in its QEMU, can cause each of them
 * again and again. */
void vh_guest_tell(VhGuest *guest, const char *what, const char *why, const char *after);
/* The same of what it did wrong. */
void vh_guest_complain(VhGuest *guest, const char *what, const char *why);

/* wishes.c */
/* Asks the rules again. Returns whether anything is asked for that was not, or no longer. Settle
 * does so when hints may be acted upon; what wishes belong to (vCPUs, policy) may change before. */
bool vh_guest_renew(VhGuest *guest);
/* Remembers that wishes may have changed, because of `why` (static); settle tells, once the turn's
 * work is done. */
void vh_guest_touch_facts(VhGuest *guest, const char *why);
/* The same, and not only by facts. */
void vh_guest_touch(VhGuest *guest, const char *why);
void vh_guest_settle(VhGuest *guest);

/* cpus.c */
/* Joins what the injector and the monitor say of CPUs. */
void vh_guest_join_cpus(VhGuest *guest);
/* Takes `vcpus` over, whose threads are known. */
void vh_guest_take_vcpus(VhGuest *guest, GArray *vcpus, const char *why);

/* threads.c */
/* Before the vCPUs are asked for. */
void vh_guest_query_iothreads(VhGuest *guest);
void vh_guest_query_kvm(VhGuest *guest);
/* Takes `vcpus` over, and looks for all threads of `process` anew, of which theirs are (NULL: there
 * are none). */
void vh_guest_set_vcpus(VhGuest *guest, GArray *vcpus, const struct vh_thread_id *process,
                        const char *why);
/* The guest has hinted, so we are awake: are there threads that nobody tells of? Seldom, and only
 * where policy gives them a place. */
void vh_guest_glance_at_threads(VhGuest *guest);

/* nodes.c: known before the vCPUs that are asked for next. */
void vh_guest_query_nodes(VhGuest *guest);

/* nics.c: the same, where policy lets the guest have offloads. */
void vh_guest_query_nics(VhGuest *guest);

/* ask.c */
void vh_guest_query_vcpus(VhGuest *guest);
/* For about_vcpus. */
void vh_guest_ask_vcpus(gpointer guest);

/* hints.c: of struct vh_session_funcs. */
void vh_guest_on_hints(const struct vh_batch *batch, struct vh_records records, gpointer data);
void vh_guest_on_snapshot(const struct vh_batch *batch, struct vh_records records, gpointer data);

/* begin.c */
/* The guest's side of the port was opened: says HELLO if nobody has answered yet. */
void vh_guest_greet(VhGuest *guest);
/* Of struct vh_session_funcs. */
bool vh_guest_may_begin(gpointer data);

/* channel.c */
extern const struct vh_programs_funcs vh_guest_programs_funcs;
void vh_guest_on_channel(int fd, gpointer data);
void vh_guest_close_channel(VhGuest *guest);
void vh_guest_restart_session(VhGuest *guest, const char *why);

/* pulse.c: while the session is up, looks whether the injector still answers. */
void vh_guest_begin_pulse(VhGuest *guest);
void vh_guest_end_pulse(VhGuest *guest);
/* Of struct vh_session_funcs. */
void vh_guest_on_asked(gpointer data);
/* Is a sign of life awaited, so that it may come to be silent by time alone? */
bool vh_guest_is_awaited(const VhGuest *guest);
/* For how long it has not answered, s; 0: it does, or need not. */
unsigned vh_guest_silence(const VhGuest *guest);

/* run.c */
/* The monitor is there: asks whether the guest runs, and keeps following. */
void vh_guest_follow_run(VhGuest *guest);
/* The monitor is gone. */
void vh_guest_forget_run(VhGuest *guest);
void vh_guest_query_run(VhGuest *guest);
/* For about_run. */
void vh_guest_ask_run(gpointer guest);
/* Something may have changed: asks at once. */
void vh_guest_look_at_run(VhGuest *guest);
/* The same, after QEMU's event MIGRATION. */
void vh_guest_follow_migration(VhGuest *guest, JsonObject *details);

/* monitor.c */
void vh_guest_on_monitor(int fd, gpointer data);
/* Seeks it, or takes the one that the inventory has. */
void vh_guest_open_monitor(VhGuest *guest);
