// SPDX-License-Identifier: GPL-2.0-or-later
// Attaches what an object has loaded: see load.h.
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "load.h"

#define ATTACHES \
    "fentry, fexit, fmod_ret, tp_btf, raw_tp, tp, kprobe, kretprobe, ksyscall, lsm and iter"

static bool is_iterator(const struct bpf_program *program)
{
    return bpf_program__expected_attach_type(program) == BPF_TRACE_ITER;
}

static bool is_sampler(const struct bpf_program *program)
{
    return bpf_program__type(program) == BPF_PROG_TYPE_PERF_EVENT;
}

/* Takes the link over. 0 or -ENOMEM. */
static int keep(struct vh_loaded *loaded, struct bpf_link *link)
{
    struct bpf_link **grown =
        reallocarray(loaded->links, loaded->link_count + 1u, sizeof(struct bpf_link *));

    if (!grown) {
        bpf_link__destroy(link);
        return -ENOMEM;
    }
    loaded->links = grown;
    loaded->links[loaded->link_count++] = link;
    return 0;
}

/* A clock that ticks so often on this CPU, whether it sleeps or not. A descriptor or -errno. */
static int open_clock(uint32_t cpu, uint32_t hz)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(attributes),
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .sample_freq = hz,
        .freq = 1,
    };
    long fd = syscall(SYS_perf_event_open, &attributes, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);

    return fd < 0 ? -errno : (int)fd;
}

/* On each CPU that is online now. 0 or -errno. */
static int attach_clocks(struct vh_loaded *loaded, const struct bpf_program *program,
                         const struct vh_how *how)
{
    uint32_t clocks = 0;

    for (uint32_t cpu = 0; cpu < how->cpus; cpu++) {
        vh_autoclose int fd = open_clock(cpu, how->options.every);
        struct bpf_link *link;
        int error;

        if (fd == -ENODEV || fd == -ENXIO)
            continue; /* offline */
        if (fd < 0)
            return fd;
        link = bpf_program__attach_perf_event(program, fd);
        if (!link)
            return -errno;
        (void)vh_take_fd(&fd); /* the link's */
        error = keep(loaded, link);
        if (error)
            return error;
        clocks++;
    }
    return clocks ? 0 : -ENODEV;
}

/* Does SEC("KIND/HOOK") name its hook, so that libbpf has asked the kernel for it? */
static bool names_hook(const struct bpf_program *program)
{
    const char *slash = strchr(bpf_program__section_name(program), '/');

    return slash && slash[1];
}

static int explain(const struct bpf_program *program, int error, char *text)
{
    const char *name = bpf_program__name(program);
    const char *section = bpf_program__section_name(program);

    if (error == -EOPNOTSUPP && is_sampler(program))
        snprintf(
            text, VH_TEXT_MAX,
            "program %s in SEC(\"%s\") takes samples at a rate that its own loader chooses: say "
            "how many a second with --every HZ",
            name, section);
    else if (error == -EOPNOTSUPP && names_hook(program))
        snprintf(
            text, VH_TEXT_MAX,
            "program %s in SEC(\"%s\") cannot be attached: the guest's kernel says that it does "
            "not support that (EOPNOTSUPP)",
            name, section);
    else if (error == -EOPNOTSUPP)
        snprintf(text, VH_TEXT_MAX,
                 "program %s in SEC(\"%s\") does not say by itself where to attach; vhint "
                 "attaches " ATTACHES,
                 name, section);
    else
        snprintf(text, VH_TEXT_MAX, "program %s in SEC(\"%s\") cannot be attached: %s", name,
                 section, strerror(-error));
    return error;
}

static int attach(struct vh_loaded *loaded, struct bpf_program *program, const struct vh_how *how,
                  char *text)
{
    struct bpf_link *link = NULL;
    int error = 0;

    if (is_sampler(program)) {
        error = how->options.every ? attach_clocks(loaded, program, how) : -EOPNOTSUPP;
    } else {
        link = bpf_program__attach(program);
        error = link ? keep(loaded, link) : -errno;
    }
    if (error)
        return explain(program, error, text);
    loaded->attached++;
    if (link && bpf_program__type(program) == BPF_PROG_TYPE_KPROBE)
        loaded->probes[loaded->probe_count++] = bpf_link__fd(link);
    if (is_iterator(program))
        loaded->iterators[loaded->iterator_count++] =
            (struct vh_iterator){bpf_link__fd(link), bpf_program__name(program)};
    return 0;
}

/* Puts the programs that are to be attached into the order of the source. */
static uint32_t sort(const struct bpf_object *object, struct bpf_program **programs)
{
    struct bpf_program *p;
    uint32_t count = 0;

    bpf_object__for_each_program (p, object) {
        uint32_t at = count;

        if (!bpf_program__autoload(p))
            continue;
        for (count++;
             at > 0 && vh_hooks_place(object, programs[at - 1]) > vh_hooks_place(object, p); at--)
            programs[at] = programs[at - 1];
        programs[at] = p;
    }
    return count;
}

/* With VH_PARTIAL or --partial a program that cannot be attached is left out. */
static int attach_each(struct vh_loaded *loaded, struct bpf_program **programs, uint32_t count,
                       const struct vh_how *how, char *text)
{
    int error = 0;

    for (uint32_t i = 0; error == 0 && i < count; i++) {
        error = atomic_load(how->unwanted) ? -ECANCELED : attach(loaded, programs[i], how, text);
        if (error == 0 || error == -ECANCELED || error == -ENOMEM || !how->options.partial)
            continue;
        vh_hooks_leave_out(&loaded->left, programs[i]);
        error = 0;
    }
    return error;
}

/* In the order of the source, so that a program can have facts end before it begins to make some.
 */
int vh_attach(struct vh_loaded *loaded, const struct vh_how *how, char *text)
{
    vh_autofree struct bpf_program **programs = NULL;
    struct bpf_program *p;
    uint32_t count = 0;
    int error;

    bpf_object__for_each_program (p, loaded->object) {
        count += bpf_program__autoload(p);
    }
    loaded->iterators = calloc(count + 1u, sizeof(loaded->iterators[0]));
    loaded->probes = calloc(count + 1u, sizeof(loaded->probes[0]));
    programs = calloc(count + 1u, sizeof(struct bpf_program *));
    if (!loaded->iterators || !loaded->probes || !programs)
        return -ENOMEM;
    count = sort(loaded->object, programs);
    error = attach_each(loaded, programs, count, how, text);
    if (error || loaded->attached > 0)
        return error;
    if (loaded->left.count > 0)
        snprintf(text, VH_TEXT_MAX, "none of its programs can be attached: %s", loaded->left.text);
    else
        snprintf(text, VH_TEXT_MAX, "the object has no BPF program to attach");
    return loaded->left.count > 0 ? -ENOENT : -EINVAL;
}
