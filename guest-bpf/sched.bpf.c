// SPDX-License-Identifier: GPL-2.0-or-later
// Reports guest CPUs on which tasks wait to run, wake up late, or are real-time or of high
// priority.
//
// Each guest CPU sums up what its context switches show for a window of time, then takes it for one
// of a few levels. A level is left only after several windows say so (`raise_windows`,
// `calm_windows`), so that there is one hint for each change of it and none while it lasts. That a
// task of high priority runs is said at once. `state` has the CPUs that are not calm.
//
// A CPU that does not switch closes no window: it is idle, or one task has it all. The other CPUs
// look after those (sweep()); of a guest that is idle altogether the next task to wake up does.
#include "vhint.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"

#define WOKEN 16 /* a power of two */
#define ATTEMPTS 4
#define PRIO_OF_NICE_0 120

enum sched_level {
    SCHED_CALM,
    SCHED_BUSY,    /* somebody waits a good part of the time */
    SCHED_PRESSED, /* several do all the time, or wake-ups are late by tens of milliseconds */
};

struct sched {
    struct vh_hint h;
    __u32 cpu; /* the guest CPU: the fact's key */
    enum sched_level level;
    bool urgent; /* a user task that is real-time or of high priority runs there, or did a moment
                    ago */
    __u8 reserved[3];
    __u32 runnable;  /* tasks that ran or waited, at most. This and what follows: in the window
                        before the change */
    __u32 wait_pct;  /* time that tasks waited, all together; 100: one task waited all the time */
    __u32 wakeup_us; /* the latest that a woken task ran */
};

VH_PROGRAM("sched", "1");
VH_HINT(1, sched);
VH_HINTS(64 * 1024);
VH_STATE(__u32, struct sched, VH_CPUS_MAX);

const volatile __u32 window_ms = 100;
const volatile __u32 raise_windows = 2; /* that in a row are above a level before it is left */
const volatile __u32 calm_windows = 10; /* that in a row are below it */
const volatile __u32 busy_wait_pct = 50;
const volatile __u32 pressed_wait_pct = 200;
const volatile __u32 busy_wakeup_us = 5000;
const volatile __u32 pressed_wakeup_us = 20000;
const volatile __s32 urgent_nice =
    -5; /* a nice value up to this is a high priority; -21: real-time tasks only */

/* One guest CPU. Only it writes here, but for the words that sweep() ends. Times are those of the
 * CPUs' run queues, in ns. */
struct cpu {
    __u64 begin; /* of the window */
    __u64 seen;  /* the last switch */
    __u64 waited, wakeup;
    __u32 runnable;
    __u32 above, below; /* windows in a row */
    __u32 dull;         /* windows in a row without an urgent task */
    __u32 level;
    bool urgent;
    bool urgent_now;                 /* a task was, in this window */
    bool urgent_last;                /* the one is that runs since the last switch */
    __u32 wait_pct, wakeup_us, peak; /* of the last window */
    __u32 woken[WOKEN]; /* thread ids, each where its lowest bits say; of two alike one is not timed
                         */
} __attribute__((aligned(64)));

static struct cpu cpus[VH_CPUS_MAX];
static __u64 swept; /* when sweep() last looked */

static __always_inline __u64 window_ns(void)
{
    return (window_ms ? window_ms : 1) * 1000000ULL;
}

/* ---- state and hints ---- */

static __always_inline bool agrees(const struct sched *said, const struct cpu *cpu)
{
    if (!said || (said->h.flags & VH_HINT_GONE))
        return cpu->level == SCHED_CALM && !cpu->urgent;
    return said->level == cpu->level && said->urgent == cpu->urgent;
}

static __always_inline bool store(const struct sched *s)
{
    if (!(s->h.flags & VH_HINT_GONE))
        return !bpf_map_update_elem(&state, &s->cpu, s, BPF_ANY);
    bpf_map_delete_elem(&state, &s->cpu);
    return true;
}

/* Makes `state` and the last hint say what is so of one CPU. It may be about to be said by a CPU
 * that sweeps, too: of both, the last to look again repairs what the other left. */
static __always_inline void publish(struct cpu *cpu, __u32 number)
{
    struct sched said = {};
    bool any = false;

    for (int i = 0; i < ATTEMPTS; i++) {
        const struct sched *fact = bpf_map_lookup_elem(&state, &number);

        if (agrees(fact, cpu) && (!any || agrees(&said, cpu)))
            return;
        any = true;
        said.cpu = number;
        said.level = cpu->level;
        said.urgent = cpu->urgent;
        said.runnable = cpu->peak;
        said.wait_pct = cpu->wait_pct;
        said.wakeup_us = cpu->wakeup_us;
        vh_stamp(&said.h, 1, sizeof(said), sizeof(said.cpu),
                 said.level == SCHED_CALM && !said.urgent ? VH_HINT_GONE : 0);
        if (!store(&said))
            break;
        vh_emit(&hints, &said, sizeof(said));
    }
    vh_count_lost();
}

/* ---- windows ---- */

static __always_inline bool is_urgent(const struct task_struct *task)
{
    return task->prio <= PRIO_OF_NICE_0 + urgent_nice && !(task->flags & PF_KTHREAD) && task->pid &&
           task->tgid != (int)vh_injector;
}

static __always_inline __u32 measure(const struct cpu *cpu)
{
    if (cpu->wait_pct >= pressed_wait_pct || cpu->wakeup_us >= pressed_wakeup_us)
        return SCHED_PRESSED;
    return cpu->wait_pct >= busy_wait_pct || cpu->wakeup_us >= busy_wakeup_us ? SCHED_BUSY
                                                                              : SCHED_CALM;
}

/* The level follows when it has been exceeded, or not reached, for long enough. */
static __always_inline void follow(struct cpu *cpu, __u32 windows)
{
    __u32 measured = measure(cpu);

    cpu->above = measured > cpu->level ? cpu->above + windows : 0;
    cpu->below = measured < cpu->level ? cpu->below + windows : 0;
    if (cpu->above >= raise_windows || cpu->below >= calm_windows) {
        cpu->above = cpu->below = 0;
        cpu->level = measured;
    }
    cpu->dull = cpu->urgent_now ? 0 : cpu->dull + windows;
    if (cpu->dull >= calm_windows)
        cpu->urgent = false;
}

/* A CPU that has not switched since long ago has nobody who waits for it, and runs what it ran
 * then. */
static __always_inline void sweep(__u64 now)
{
    if (now - swept < window_ns())
        return;
    swept = now;
    for (__u32 i = 0; i < VH_CPUS_MAX; i++) {
        struct cpu *cpu = &cpus[i];

        if (i >= vh_cpus_possible)
            break;
        if ((cpu->level == SCHED_CALM && cpu->urgent == cpu->urgent_last) ||
            cpu->seen + calm_windows * window_ns() > now)
            continue;
        cpu->level = SCHED_CALM;
        cpu->urgent = cpu->urgent_last;
        cpu->wait_pct = cpu->wakeup_us = 0;
        cpu->peak = cpu->urgent_last;
        publish(cpu, i);
    }
}

static __always_inline void close_window(struct cpu *cpu, __u32 number, __u64 now)
{
    __u64 length = now - cpu->begin;
    __u64 windows = length / window_ns();

    cpu->wait_pct = cpu->waited * 100 / length;
    cpu->wakeup_us = cpu->wakeup / 1000;
    cpu->peak = cpu->runnable;
    follow(cpu, windows > calm_windows ? calm_windows : windows);
    cpu->begin = now;
    cpu->waited = cpu->wakeup = 0;
    cpu->runnable = 0;
    cpu->urgent_now = false;
    publish(cpu, number);
    sweep(now);
}

/* ---- events ---- */

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
    __u32 number = task->wake_cpu; /* it has just been queued there */

    if (number < VH_CPUS_MAX)
        cpus[number].woken[task->pid & (WOKEN - 1)] = task->pid;
    return 0;
}

static __always_inline void arrive(struct cpu *cpu, const struct task_struct *next, __u64 now)
{
    __u64 queued = next->sched_info.last_queued;
    __u64 waited = queued && now > queued ? now - queued : 0;
    __u32 *woken = &cpu->woken[next->pid & (WOKEN - 1)];

    cpu->waited += waited;
    if (*woken == (__u32)next->pid) {
        *woken = 0;
        if (waited > cpu->wakeup)
            cpu->wakeup = waited;
    }
    cpu->urgent_now |= cpu->urgent_last;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    const struct rq *rq = next->se.cfs_rq->rq; /* of this CPU, whatever class the task is of */
    __u32 number = bpf_get_smp_processor_id();
    __u64 now = rq->clock;
    struct cpu *cpu = NULL;

    if (number >= VH_CPUS_MAX)
        return 0;
    cpu = &cpus[number];
    cpu->seen = now;
    cpu->urgent_last = is_urgent(next);
    if (next->pid)
        arrive(cpu, next, now);
    if (rq->nr_running > cpu->runnable)
        cpu->runnable = rq->nr_running;
    if (cpu->urgent_now && !cpu->urgent) {
        cpu->urgent = true;
        cpu->dull = 0;
        publish(cpu, number);
    }
    if (!cpu->begin || now < cpu->begin)
        cpu->begin = now;
    else if (now - cpu->begin >= window_ns())
        close_window(cpu, number, now);
    return 0;
}
