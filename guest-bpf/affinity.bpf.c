// SPDX-License-Identifier: GPL-2.0-or-later
// Reports which user tasks may not run on every CPU of the guest.
//
// `state` holds one fact for each user task (thread) whose mask lacks a CPU: what a walk over
// /proc/PID/task/TID/status would find. Every hook ends in evaluate(), which makes the fact of one
// task true again. Hooks run concurrently for the same task (a thread's mask is set while it exits,
// while the walk passes), so evaluate() reads the task again after it wrote: it is done only when
// `state`, the last hint that it emitted and the task agree. Of the evaluations that overlap, the
// last to look finds and repairs what the others left.
#include "vhint.bpf.h"

#include <linux/errno.h>

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
    char comm[TASK_COMM_LEN]; /* the thread's name; a new one counts as a change when a hook or the
                                 walk sees it */
};

VH_PROGRAM("affinity", "1");
VH_HINT(1, affinity);
VH_HINTS(512 * 1024);
VH_STATE(__u32, struct affinity, 16384);
VH_WALK_CONFIRMS;

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

/* A field that is an array: the barrier keeps the compiler from folding the offset into a load,
 * whose size libbpf would then want to be the whole field's. */
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

static __always_inline void fill(struct affinity *a, struct task_struct *task,
                                 const struct view *view)
{
    vh_stamp(&a->h, 1, sizeof(*a), sizeof(a->pid), view->narrowed ? 0 : VH_HINT_GONE);
    a->pid = view->pid;
    a->tgid = task->tgid;
    a->cpus = weight(view->mask);
    __builtin_memcpy(a->mask, view->mask, sizeof(a->mask));
    __builtin_memcpy(a->comm, view->comm, sizeof(a->comm));
}

/* An int, since before 6.4 the upper half of what the kernel's function returns means nothing. */
static __always_inline int drop(__u32 pid)
{
    return (int)bpf_map_delete_elem(&state, &pid);
}

/* Makes `state` say what the hint says; false when it is full, or the kernel could not. */
static __always_inline bool store(const struct affinity *a)
{
    int error;

    if (!(a->h.flags & VH_HINT_GONE))
        return !bpf_map_update_elem(&state, &a->pid, a, BPF_ANY);
    error = drop(a->pid);
    return !error || error == -ENOENT;
}

/* Ends the fact of a thread id, false when there was none. */
static __always_inline bool forget(__u32 pid)
{
    struct affinity gone = {.pid = pid};
    int error = drop(pid);

    if (error == -ENOENT)
        return false;
    if (error)
        vh_count_lost(); /* a snapshot's walk will not confirm it; the hint wakes the injector */
    vh_stamp(&gone.h, 1, sizeof(gone), sizeof(gone.pid), VH_HINT_GONE);
    vh_emit(&hints, &gone, sizeof(gone));
    return true;
}

/* A task has another id than the one we wrote about. A thread that took over its leader's in exec
 * has left its own to the leader, which is dead. But where it is the leader's that was taken, what
 * we wrote about may be the new owner's fact by now: a walk will see. */
static __always_inline void disown(const struct task_struct *task, __u32 pid)
{
    if (task->pid == task->tgid)
        forget(pid);
    else
        vh_count_lost();
}

/* The thread id that there is a fact of now; 0 when the task has none. */
static __always_inline __u32 evaluate(struct task_struct *task, bool leaving)
{
    struct affinity said = {};
    struct view view;

    for (int i = 0; i < ATTEMPTS; i++) {
        struct affinity *fact;

        look(task, leaving, &view);
        if (said.pid && said.pid != view.pid) {
            disown(task, said.pid);
            said.pid = 0;
        }
        fact = bpf_map_lookup_elem(&state, &view.pid);
        if (agrees(fact, &view) && (!said.pid || agrees(&said, &view)))
            return view.narrowed ? view.pid : 0;
        fill(&said, task, &view);
        if (!store(&said))
            break;
        vh_emit(&hints, &said, sizeof(said));
    }
    vh_count_lost();
    return 0;
}

/* The hooks. The kernel passes a program over while another task on the same CPU is inside it,
 * which can be when that task was preempted there: in a tracepoint from 7.0 on, in fentry and fexit
 * from 5.11 on. So what must not be missed is hooked where the kernel cannot be preempted. */

/* The last that a task does, with preemption off. Its parent may have heard of its end shortly
 * before, or another thread taken its id over: if that happened while we forgot it, a walk will see
 * whose fact it was. */
SEC("fentry/do_task_dead")
int BPF_PROG(task_dead)
{
    __u32 pid = (__u32)bpf_get_current_pid_tgid();

    if (forget(pid) && (__u32)bpf_get_current_pid_tgid() != pid)
        vh_count_lost();
    return 0;
}

/* A thread other than the leader that calls exec takes over the leader's id, whether the exec then
 * succeeds or not, with the list of tasks locked; the leader, dead already, is left with the
 * thread's old one. */
SEC("fexit/exchange_tids")
int BPF_PROG(task_takeover, struct task_struct *task, struct task_struct *leader)
{
    evaluate(leader, true);
    evaluate(task, false);
    return 0;
}

/* Every scheduling class on every kernel from 5.10 on sets a mask through this function, with the
 * task's lock held, after all checks have passed; what follows the task in its arguments differs.
 */
SEC("fexit/set_cpus_allowed_common")
int BPF_PROG(set_mask, struct task_struct *task)
{
    evaluate(task, false);
    return 0;
}

/* A child begins with its parent's mask. It becomes runnable with the run queue's lock held. */
SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(task_fork, struct task_struct *task)
{
    evaluate(task, false);
    return 0;
}

/* A new name; and on some kernels a kernel thread that calls exec (a usermode helper) is a user
 * task from here on.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(task_exec, struct task_struct *task)
{
    evaluate(task, false);
    return 0;
}

/* Tasks older than this program. */
SEC("iter/task")
int walk(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    __u32 pid = task ? evaluate(task, false) : 0;

    if (pid)
        vh_confirm(ctx->meta->seq, &pid, sizeof(pid));
    return 0;
}
