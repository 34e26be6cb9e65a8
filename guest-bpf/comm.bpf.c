// SPDX-License-Identifier: GPL-2.0-or-later
// Reports which guest CPUs have much to say to each other: pairs of CPUs across which user tasks
// wake one another.
//
// Each wake-up from one CPU to another counts for the pair, without direction. Pairs have PAIRS
// places, each found by its CPUs' numbers; where two want one place, the less busy of them takes
// the other's count down, and takes its place over once nothing is left. So what is counted is
// bounded, and the busiest stay. Names are those of one wake-up in sixteen, settled in the same
// way.
//
// A pair's window is closed where the kernel brings its time up to date (pressure.bpf.c says why
// there), some pairs at each tick. `state` has the pairs that are busy, no more than `most` of
// them: what was first stays.
#include "vhint.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"

#define PAIRS 256u   /* up to 23 CPUs each pair has a place of its own */
#define PER_TICK 16u /* that are looked at; a power of two */
#define WORDS (VH_CPUS_MAX / 64)
#define NAMES_EVERY 16 /* a power of two */

enum comm_level { COMM_QUIET, COMM_BUSY, COMM_INTENSE };

struct comm {
    struct vh_hint h;
    __u32 low, high; /* the two guest CPUs: the fact's key */
    enum comm_level level;
    __u32 wakeups;             /* per second, in the window before the hint */
    __u64 mask[WORDS];         /* the two CPUs again: bit N is guest CPU N */
    char waker[TASK_COMM_LEN]; /* of the tasks that make most of it, one that wakes */
    char woken[TASK_COMM_LEN]; /* and the one that it wakes */
};

VH_PROGRAM("comm", "1");
VH_HINT(1, comm);
VH_HINTS(64 * 1024);

struct pair_key {
    __u32 low, high;
};

VH_STATE(struct pair_key, struct comm, 64);

const volatile __u32 window_ms = 500;
const volatile __u32 busy_wakeups = 1000;     /* per second, from which on a pair is COMM_BUSY */
const volatile __u32 intense_wakeups = 10000; /* COMM_INTENSE */
const volatile __u32 fall_percent =
    50; /* of these, below which a window speaks for a lower level */
const volatile __u32 raise_windows = 2; /* in a row that must exceed a level */
const volatile __u32 calm_windows = 4;  /* in a row that must fall short of it */
const volatile __u32 most = 8;          /* pairs said at one time; 64 at most */

struct names {
    __u64 waker[TASK_COMM_LEN / 8];
    __u64 woken[TASK_COMM_LEN / 8];
};

/* Counted by all CPUs; all else is the tick's. Races cost a count, never more. */
struct pair {
    struct pair_key key;
    __s64 count; /* in this window */
    __s32 votes;
    __u32 above, below; /* windows in a row */
    enum comm_level level;
    __u64 begin; /* of the window */
    struct names names;
};

static struct pair pairs[PAIRS];
static __u32 cursor;
static __u32 said; /* pairs in `state` */

/* ---- wake-ups ---- */

static __always_inline bool same_names(const struct names *a, const struct names *b)
{
    return a->waker[0] == b->waker[0] && a->waker[1] == b->waker[1] && a->woken[0] == b->woken[0] &&
           a->woken[1] == b->woken[1];
}

static __always_inline void vote(struct pair *pair, const struct names *names)
{
    if (same_names(&pair->names, names)) {
        if (pair->votes < 64)
            pair->votes++;
    } else if (--pair->votes < 0) {
        pair->names = *names;
        pair->votes = 1;
    }
}

/* "kworker/...", "ksoftirqd/...", "rcu_...": 5.10 tells no more of the one that wakes. */
static __always_inline bool is_kernel_name(const struct names *names)
{
    const char *name = (const char *)names->waker;

    return (name[0] == 'k' && name[1] == 'w' && name[2] == 'o' && name[3] == 'r' &&
            name[4] == 'k') ||
           (name[0] == 'k' && name[1] == 's' && name[2] == 'o' && name[3] == 'f' &&
            name[4] == 't') ||
           (name[0] == 'r' && name[1] == 'c' && name[2] == 'u' && name[3] == '_');
}

static __always_inline struct pair *place_of(const struct pair_key *key)
{
    /* The pairs in a triangle, one after another. */
    return &pairs[(key->high * (key->high - 1) / 2 + key->low) & (PAIRS - 1)];
}

static __always_inline void count(const struct pair_key *key, const struct task_struct *woken)
{
    struct pair *pair = place_of(key);
    const __u64 *comm = (const void *)woken;
    __u64 offset = bpf_core_field_offset(woken->comm);
    struct names names = {};

    if (pair->key.low != key->low || pair->key.high != key->high) {
        if (pair->count > 0 || pair->level != COMM_QUIET) {
            __sync_fetch_and_add(&pair->count, -1);
            return;
        }
        pair->key = *key;
        pair->count = 0;
        pair->votes = 0;
        pair->above = pair->below = 0;
    }
    __sync_fetch_and_add(&pair->count, 1);
    if ((pair->count & (NAMES_EVERY - 1)) != 1)
        return;
    barrier_var(offset);
    comm = (const void *)woken + offset;
    names.woken[0] = comm[0];
    names.woken[1] = comm[1];
    bpf_get_current_comm(names.waker, sizeof(names.waker));
    if (!is_kernel_name(&names))
        vote(pair, &names);
}

/* In the context of what wakes: the idle task's is an interrupt's. */
SEC("tp_btf/sched_waking")
int BPF_PROG(waking, struct task_struct *woken)
{
    __u64 waker = bpf_get_current_pid_tgid();
    __u32 here = bpf_get_smp_processor_id();
    __u32 there = woken->wake_cpu;
    struct pair_key key = {.low = here < there ? here : there, .high = here < there ? there : here};

    if (here == there || key.high >= VH_CPUS_MAX || !waker || (woken->flags & PF_KTHREAD) ||
        (vh_injector && (waker >> 32 == vh_injector || woken->tgid == (int)vh_injector)))
        return 0;
    count(&key, woken);
    return 0;
}

/* ---- windows ---- */

static __always_inline enum comm_level level_of(__u64 wakeups, __u32 percent)
{
    if (wakeups * 100 >= (__u64)intense_wakeups * percent)
        return COMM_INTENSE;
    return wakeups * 100 >= (__u64)busy_wakeups * percent ? COMM_BUSY : COMM_QUIET;
}

static __always_inline enum comm_level next_level(struct pair *pair, __u64 wakeups)
{
    enum comm_level up = level_of(wakeups, 100);
    enum comm_level down = level_of(wakeups, fall_percent);

    pair->above = up > pair->level ? pair->above + 1 : 0;
    pair->below = down < pair->level ? pair->below + 1 : 0;
    if (pair->above >= raise_windows)
        return up;
    return pair->below >= calm_windows ? down : pair->level;
}

static __noinline int publish(struct pair *pair, __u32 wakeups, enum comm_level level)
{
    struct comm comm = {.low = pair->key.low, .high = pair->key.high};

    vh_stamp(&comm.h, 1, sizeof(comm), sizeof(struct pair_key),
             level == COMM_QUIET ? VH_HINT_GONE : 0);
    comm.level = level;
    comm.wakeups = wakeups;
    comm.mask[comm.low / 64 & (WORDS - 1)] |= 1ULL << (comm.low % 64);
    comm.mask[comm.high / 64 & (WORDS - 1)] |= 1ULL << (comm.high % 64);
    __builtin_memcpy(comm.waker, pair->names.waker, sizeof(comm.waker));
    __builtin_memcpy(comm.woken, pair->names.woken, sizeof(comm.woken));
    if (level == COMM_QUIET) {
        bpf_map_delete_elem(&state, &pair->key);
        said--;
    } else if (bpf_map_update_elem(&state, &pair->key, &comm, BPF_ANY)) {
        vh_count_lost();
        return -1;
    } else if (pair->level == COMM_QUIET) {
        said++;
    }
    vh_emit(&hints, &comm, sizeof(comm));
    return 0;
}

static __always_inline void close_window(struct pair *pair, __u64 now)
{
    __u64 elapsed = now - pair->begin;
    __s64 counted = pair->count;
    __u64 wakeups = counted > 0 ? (__u64)counted * 1000000000 / elapsed : 0;
    enum comm_level level = next_level(pair, wakeups);

    pair->begin = now;
    pair->count = 0;
    if (level == pair->level || (pair->level == COMM_QUIET && said >= most))
        return;
    if (!publish(pair, wakeups, level)) {
        pair->level = level;
        pair->above = pair->below = 0;
    }
}

SEC("fentry/calc_global_load")
int tick(void *ctx)
{
    __u64 now = bpf_ktime_get_ns();
    __u32 first = cursor;

    cursor = (first + PER_TICK) & (PAIRS - 1);
    for (__u32 i = 0; i < PER_TICK; i++) {
        struct pair *pair = &pairs[(first + i) & (PAIRS - 1)];

        if (!pair->begin)
            pair->begin = now;
        if ((pair->count || pair->level != COMM_QUIET) &&
            now - pair->begin >= (__u64)window_ms * 1000000 + 1)
            close_window(pair, now);
    }
    return 0;
}
