/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports which user tasks may not run on every CPU of the guest.
 *
 * `state` holds one fact for each user task (thread) whose mask lacks a CPU: what a walk over
 * /proc/PID/task/TID/status would find. Every hook ends in evaluate(), which makes the fact of one task true
 * again. Hooks run concurrently for the same task (a thread's mask is set while it exits, while the walk passes),
 * so evaluate() reads the task again after it wrote: it is done only when `state`, the last hint that it emitted
 * and the task agree. Of the evaluations that overlap, the last to look finds and repairs what the others left. */
#include "vhint.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"

#define WORDS (VH_CPUS_MAX / 64)
#define ATTEMPTS 4 /* each one lost to a mask change that came between two of our instructions */

struct affinity {
    struct vh_hint h;
    __u32 pid;  /* the thread: the fact's key */
    __u32 tgid; /* its process */
    __u32 cpus; /* how many CPUs the mask has */
    __u32 reserved;
    __u64 mask[WORDS];        /* bit N: may run on guest CPU N */
    char comm[TASK_COMM_LEN]; /* the thread's name; a new one counts as a change when a hook or the walk sees it */
};

VH_PROGRAM("affinity", "1");
VH_HINT(1, affinity);
VH_HINTS(512 * 1024);
VH_STATE(__u32, struct affinity, 16384);

/* What a task says of itself right now. */
struct view {
    __u32 pid;
    bool narrowed;
    __u64 mask[WORDS];
    __u64 comm[TASK_COMM_LEN / 8];
};

/* The bits of `word` that stand for CPUs the guest may ever have. */
static __always_inline __u64 possible_bits(__u32 word)
{
    __u32 first = word * 64;

    if (vh_cpus_possible <= first)
        return 0;
    if (vh_cpus_possible - first >= 64)
        return ~0ULL;
    return (1ULL << (vh_cpus_possible - first)) - 1;
}

/* A field that is an array: the barrier keeps the compiler from folding the offset into a load, whose size libbpf
 * would then want to be the whole field's. */
static __always_inline const void *field_at(const struct task_struct *task, __u64 offset)
{
    barrier_var(offset);
    return (const void *)task + offset;
}

static __always_inline void look(struct task_struct *task, bool leaving, struct view *view)
{
    const __u64 *mask = field_at(task, bpf_core_field_offset(task->cpus_mask));
    const __u64 *comm = field_at(task, bpf_core_field_offset(task->comm));
    const __u32 mask_size = bpf_core_field_size(task->cpus_mask);
    __u32 flags = task->flags;
    __u64 missing = 0;

#pragma unroll
    for (__u32 i = 0; i < WORDS; i++) {
        __u64 possible = possible_bits(i);

        view->mask[i] = 0;
        if (i * 8 < mask_size)
            view->mask[i] = mask[i] & possible;
        missing |= possible & ~view->mask[i];
    }
#pragma unroll
    for (__u32 i = 0; i < TASK_COMM_LEN / 8; i++)
        view->comm[i] = comm[i];
    view->pid = task->pid;
    view->narrowed = missing && !leaving && view->pid && !(flags & (PF_EXITING | PF_KTHREAD));
}

static __always_inline bool same_words(const __u64 *a, const __u64 *b, __u32 count)
{
    __u64 difference = 0;

#pragma unroll
    for (__u32 i = 0; i < count; i++)
        difference |= a[i] ^ b[i];
    return !difference;
}

/* Is what a hint or fact says (NULL: nothing) the same as what was seen? */
static __always_inline bool agrees(const struct affinity *said, const struct view *view)
{
    if (!said || (said->h.flags & VH_HINT_GONE))
        return !view->narrowed;
    return view->narrowed && said->pid == view->pid && same_words(said->mask, view->mask, WORDS) &&
           same_words((const void *)said->comm, view->comm, TASK_COMM_LEN / 8);
}

static __always_inline __u32 weight(const __u64 *mask)
{
    __u32 bits = 0;

#pragma unroll
    for (__u32 i = 0; i < WORDS; i++)
        bits += __builtin_popcountll(mask[i]);
    return bits;
}

static __always_inline void fill(struct affinity *a, struct task_struct *task, const struct view *view)
{
    vh_stamp(&a->h, 1, sizeof(*a), sizeof(a->pid), view->narrowed ? 0 : VH_HINT_GONE);
    a->pid = view->pid;
    a->tgid = task->tgid;
    a->cpus = weight(view->mask);
    __builtin_memcpy(a->mask, view->mask, sizeof(a->mask));
    __builtin_memcpy(a->comm, view->comm, sizeof(a->comm));
}

/* Makes `state` say what the hint says; false when it is full. */
static __always_inline bool store(const struct affinity *a)
{
    if (!(a->h.flags & VH_HINT_GONE))
        return !bpf_map_update_elem(&state, &a->pid, a, BPF_ANY);
    bpf_map_delete_elem(&state, &a->pid);
    return true;
}

/* Ends the fact of a thread id that no task has any more. */
static __always_inline void forget(__u32 pid)
{
    struct affinity gone = {.pid = pid};

    if (bpf_map_delete_elem(&state, &pid))
        return;
    vh_stamp(&gone.h, 1, sizeof(gone), sizeof(gone.pid), VH_HINT_GONE);
    vh_emit(&hints, &gone, sizeof(gone));
}

static __always_inline int evaluate(struct task_struct *task, bool leaving)
{
    struct affinity said = {};
    struct view view;

    for (int i = 0; i < ATTEMPTS; i++) {
        struct affinity *fact;

        look(task, leaving, &view);
        if (said.pid && said.pid != view.pid) {
            forget(said.pid); /* it took its process's id over in exec, after we wrote */
            said.pid = 0;
        }
        fact = bpf_map_lookup_elem(&state, &view.pid);
        if (agrees(fact, &view) && (!said.pid || agrees(&said, &view)))
            return 0;
        fill(&said, task, &view);
        if (!store(&said))
            break;
        vh_emit(&hints, &said, sizeof(said));
    }
    vh_count_lost();
    return 0;
}

/* Every scheduling class on every kernel from 5.10 on sets a mask through this function, after all checks passed;
 * what follows the task in its arguments differs. Should it go: the next function up, which does not see
 * every road (CPU hot-unplug breaks masks below it). */
SEC("fexit/set_cpus_allowed_common")
int BPF_PROG(set_mask___common, struct task_struct *task)
{
    return evaluate(task, false);
}

SEC("fexit/__set_cpus_allowed_ptr")
int BPF_PROG(set_mask___ptr, struct task_struct *task)
{
    return evaluate(task, false);
}

/* A child begins with its parent's mask. */
SEC("tp_btf/task_newtask")
int BPF_PROG(task_fork, struct task_struct *task)
{
    return evaluate(task, false);
}

/* A thread other than the leader that calls exec goes on under the leader's id; and a kernel thread that calls it
 * (a usermode helper) is a user task from here on. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(task_exec, struct task_struct *task, int old_pid)
{
    if (old_pid != task->pid)
        forget(old_pid);
    return evaluate(task, false);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_exit, struct task_struct *task)
{
    return evaluate(task, true);
}

/* From 7.x on tracepoints can be preempted, and a program that another task on the same CPU is just in is passed
 * over. A task's very last steps cannot be preempted, so this one sees every end. */
SEC("fentry/do_task_dead")
int BPF_PROG(task_dead___last)
{
    forget((__u32)bpf_get_current_pid_tgid());
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_dead___exit, struct task_struct *task)
{
    return evaluate(task, true);
}

/* An exec that fails after it took the leader's id over never reports its old one; the leader is reaped under it.
 */
SEC("fentry/release_task")
int BPF_PROG(task_reap___release, struct task_struct *task)
{
    return evaluate(task, true);
}

SEC("tp_btf/sched_process_free")
int BPF_PROG(task_reap___free, struct task_struct *task)
{
    return evaluate(task, true);
}

/* Tasks older than this program. */
SEC("iter/task")
int walk(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;

    return task ? evaluate(task, false) : 0;
}
