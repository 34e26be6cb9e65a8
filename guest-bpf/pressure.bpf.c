// SPDX-License-Identifier: GPL-2.0-or-later
// Reports how much the guest's tasks stand still for want of memory: one fact, about the whole
// guest.
//
// Stalls are what the kernel's own pressure accounting takes for such (psi_memstall_enter to
// _leave: direct reclaim and compaction, waiting for a page that was evicted a moment ago, reading
// from swap), and are summed over tasks. Direct reclaims and pages read from swap are counted
// beside. All that happens on these roads, which are slow already.
//
// A window is closed, and the level decided, where the kernel brings its time up to date after one
// or more ticks. That needs no timer: as long as anything runs, ticks come; when the guest sleeps
// none does, nobody stalls either, and the first interrupt of any kind that wakes it (the one that
// asks for a snapshot among them) makes the kernel catch up before anything else. So the level
// falls without an event of its own, and a quiet guest is left asleep. The kernel does this under a
// lock of its own, so that windows are closed by one CPU at a time.
#include "vhint.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"

#define TASKS \
    4096 /* that stand still at one time; of more, those that began first are forgotten \
          */
#define STALE_NS (30 * 1000000000ULL)
#define PAGES_PER_MIB 256

enum pressure_level { CALM, SOME, HEAVY };

struct pressure {
    struct vh_hint h;
    __u32 scope; /* the fact's key: always 0, the whole guest */
    enum pressure_level level;
    __u32 stall; /* permille of the window; one task that stands still all the time is 1000, two are
                    2000 */
    __u32 window_ms;     /* how long the window was that the numbers are about: the last one */
    __u32 reclaims;      /* how often a task had to free pages before it got some */
    __u32 swapins;       /* pages read from swap */
    __u32 available_mib; /* free, and half of the page cache; 0 with `totals` off */
    __u32 total_mib; /* memory that the kernel has; less what a balloon took; 0 with `totals` off */
};

VH_PROGRAM("pressure", "1");
VH_HINT(1, pressure);
VH_HINTS(64 * 1024);
VH_STATE(__u32, struct pressure, 1);

const volatile __u32 window_ms = 1000;
const volatile __u32 some_permille = 50;   /* of stall, from which on the level is SOME */
const volatile __u32 heavy_permille = 300; /* HEAVY */
const volatile __u32 fall_percent =
    50;                                /* of these, below which a window speaks for a lower level */
const volatile __u32 calm_windows = 3; /* in a row that must do so */
const volatile __u32 room_permille =
    100; /* of the memory: available_mib is said anew when it moved by this */
const volatile bool totals =
    true; /* reads kernel memory, which a kernel locked down for confidentiality bars */

struct stall {
    __u64 since;
    __u32 depth;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, TASKS);
    __type(key, __u32);
    __type(value, struct stall);
} stalls SEC(".maps");

struct counts {
    __u64 stall_ns;
    __u64 reclaims;
    __u64 swapins;
};

/* Not static: of a static struct the compiler makes variables that it describes as the whole, which
 * no kernel takes. */
struct counts seen;   /* since the load, by all CPUs */
struct counts closed; /* of these, what former windows had */
static __u64 window_start;
static __u32 calmer;                     /* windows in a row that speak for a lower level */
static enum pressure_level calmer_level; /* the highest of theirs */

/* ---- what happens to tasks ---- */

/* The kernel's own reclaimers are at work, and nobody waits for them: kswapd, kcompactd. Their
 * names are all that 5.10 tells without reading kernel memory; a task that takes one hides its own
 * stalls only. */
static __always_inline bool is_reclaimer(void)
{
    char comm[TASK_COMM_LEN] = {};

    bpf_get_current_comm(comm, sizeof(comm));
    return comm[0] == 'k' &&
           ((comm[1] == 's' && comm[2] == 'w' && comm[3] == 'a' && comm[4] == 'p') ||
            (comm[1] == 'c' && comm[2] == 'o' && comm[3] == 'm' && comm[4] == 'p'));
}

static __always_inline int begin_stall(void)
{
    __u32 pid = (__u32)bpf_get_current_pid_tgid();
    struct stall fresh = {.since = bpf_ktime_get_ns(), .depth = 1};
    struct stall *stall = bpf_map_lookup_elem(&stalls, &pid);

    if (is_reclaimer())
        return 0;
    /* The kernel may pass a program over; an end that was missed must not hide all later stalls. */
    if (stall && stall->depth && fresh.since - stall->since < STALE_NS)
        stall->depth++;
    else
        bpf_map_update_elem(&stalls, &pid, &fresh, BPF_ANY);
    return 0;
}

static __always_inline int end_stall(void)
{
    __u32 pid = (__u32)bpf_get_current_pid_tgid();
    struct stall *stall = bpf_map_lookup_elem(&stalls, &pid);
    __u64 now = bpf_ktime_get_ns();
    __u64 since;

    if (!stall || !stall->depth || --stall->depth)
        return 0;
    /* What was before the window is not of it. */
    since = stall->since > window_start ? stall->since : window_start;
    if (now > since)
        __sync_fetch_and_add(&seen.stall_ns, now - since);
    bpf_map_delete_elem(&stalls, &pid);
    return 0;
}

SEC("fentry/psi_memstall_enter")
int stall_begin___psi(void *ctx)
{
    return begin_stall();
}

/* A kernel without CONFIG_PSI. */
SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int stall_begin___reclaim(void *ctx)
{
    return begin_stall();
}

SEC("fentry/psi_memstall_leave")
int stall_end___psi(void *ctx)
{
    return end_stall();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int stall_end___reclaim(void *ctx)
{
    return end_stall();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int reclaim(void *ctx)
{
    __sync_fetch_and_add(&seen.reclaims, 1);
    return 0;
}

SEC("fentry/swap_read_folio")
int swap_in___folio(void *ctx)
{
    __sync_fetch_and_add(&seen.swapins, 1);
    return 0;
}

SEC("fentry/swap_readpage")
int swap_in___page(void *ctx)
{
    __sync_fetch_and_add(&seen.swapins, 1);
    return 0;
}

/* A kernel without CONFIG_SWAP. */
SEC("fentry/calc_global_load")
int swap_in___none(void *ctx)
{
    return 0;
}

/* ---- how much memory there is ---- */

enum zone_stat_item { NR_FREE_PAGES };
enum node_stat_item { NR_INACTIVE_FILE, NR_ACTIVE_FILE };

extern const void vm_zone_stat __ksym __weak;
extern const void vm_node_stat __ksym __weak;
extern const void _totalram_pages __ksym __weak;

static __always_inline __u64 read_pages(const void *array, __u64 index)
{
    long pages = 0;

    if (!array || bpf_probe_read_kernel(&pages, sizeof(pages), array + index * sizeof(pages)) ||
        pages < 0)
        return 0;
    return pages;
}

static __always_inline void read_totals(struct pressure *pressure)
{
    __u64 free = read_pages(&vm_zone_stat, bpf_core_enum_value(enum zone_stat_item, NR_FREE_PAGES));
    __u64 cache =
        read_pages(&vm_node_stat, bpf_core_enum_value(enum node_stat_item, NR_INACTIVE_FILE)) +
        read_pages(&vm_node_stat, bpf_core_enum_value(enum node_stat_item, NR_ACTIVE_FILE));

    pressure->available_mib = (free + cache / 2) / PAGES_PER_MIB;
    pressure->total_mib = read_pages(&_totalram_pages, 0) / PAGES_PER_MIB;
}

/* ---- the level ---- */

static __always_inline enum pressure_level level_of(__u64 stall, __u32 percent)
{
    if (stall * 100 >= (__u64)heavy_permille * percent)
        return HEAVY;
    return stall * 100 >= (__u64)some_permille * percent ? SOME : CALM;
}

/* The level after `windows` more windows like this one. */
static __always_inline enum pressure_level next_level(enum pressure_level now, __u64 stall,
                                                      __u64 windows)
{
    enum pressure_level up = level_of(stall, 100);
    enum pressure_level down = level_of(stall, fall_percent);

    if (up > now || down >= now) {
        calmer = 0;
        return up > now ? up : now;
    }
    if (!calmer || down > calmer_level)
        calmer_level = down;
    calmer += windows > calm_windows ? calm_windows : windows;
    if (calmer < calm_windows)
        return now;
    calmer = 0;
    return calmer_level;
}

static __always_inline bool room_moved(const struct pressure *said, const struct pressure *now)
{
    __u32 a = said->available_mib;
    __u32 b = now->available_mib;
    __u64 moved = a > b ? a - b : b - a;

    return said->total_mib != now->total_mib ||
           moved * 1000 > (__u64)now->total_mib * room_permille;
}

static __always_inline void close_window(__u64 elapsed)
{
    struct counts upto = seen;
    __u64 stall = (upto.stall_ns - closed.stall_ns) * 1000 / elapsed;
    __u64 window = (__u64)window_ms * 1000000;
    __u32 scope = 0;
    struct pressure *said = bpf_map_lookup_elem(&state, &scope);
    struct pressure now = {};

    vh_stamp(&now.h, 1, sizeof(now), sizeof(now.scope), 0);
    now.level = next_level(said ? said->level : CALM, stall, window ? elapsed / window : 1);
    now.stall = stall;
    now.window_ms = elapsed / 1000000;
    now.reclaims = upto.reclaims - closed.reclaims;
    now.swapins = upto.swapins - closed.swapins;
    closed = upto;
    if (totals)
        read_totals(&now);
    if (said && said->level == now.level && !room_moved(said, &now))
        return;
    if (bpf_map_update_elem(&state, &scope, &now, BPF_ANY)) {
        vh_count_lost();
        return;
    }
    vh_emit(&hints, &now, sizeof(now));
}

SEC("fentry/calc_global_load")
int tick(void *ctx)
{
    __u64 now = bpf_ktime_get_ns();
    __u64 elapsed = now - window_start;

    if (!window_start || now < window_start) {
        window_start = now;
        return 0;
    }
    if (elapsed < (__u64)window_ms * 1000000 || elapsed < 1000000)
        return 0;
    window_start = now;
    close_window(elapsed);
    return 0;
}
