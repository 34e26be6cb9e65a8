/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads and attaches objects through libbpf: see load.h. */
#include "load.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "hooks.h"
#include "log.h"
#include "tunables.h"

#define CPUS_VARIABLE "vh_cpus_possible"
#define INJECTOR_VARIABLE "vh_injector"

static bool is_iterator(const struct bpf_program *program)
{
    return bpf_program__expected_attach_type(program) == BPF_TRACE_ITER;
}

static int open_object(const struct vh_transfer *transfer, struct bpf_object **object, char *text)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = transfer->load.name);
    struct bpf_object *opened = bpf_object__open_mem(transfer->object, transfer->load.size, &opts);

    if (!opened) {
        snprintf(text, VH_TEXT_MAX, "not a BPF object that can be opened");
        return -errno;
    }
    *object = opened;
    return 0;
}

static void set_variable(struct bpf_object *object, const char *name, uint32_t value)
{
    size_t size;
    void *variable = vh_variable(object, ".rodata", name, &size);

    if (variable && size == sizeof(value))
        memcpy(variable, &value, sizeof(value));
}

/* Tells the program how many CPUs there may be and who we are, if it wants to know, then sets what
 * the policy wants.
 */
static int tune(struct bpf_object *object, const struct vh_transfer *transfer, uint32_t cpus,
                char *text)
{
    set_variable(object, CPUS_VARIABLE, cpus);
    set_variable(object, INJECTOR_VARIABLE, (uint32_t)getpid());
    return vh_tunables_set(object, transfer->tunables, transfer->load.tunables_len, text);
}

static int attach(struct vh_loaded *loaded, struct bpf_program *program, char *text)
{
    struct bpf_link *link = bpf_program__attach(program);
    int error = link ? 0 : -errno;

    if (error == -EOPNOTSUPP) {
        snprintf(text, VH_TEXT_MAX,
                 "program %s in SEC(\"%s\") does not say by itself where to attach; vhint attaches "
                 "fentry, fexit, "
                 "fmod_ret, tp_btf, raw_tp, tp, kprobe, kretprobe, ksyscall, lsm and iter",
                 bpf_program__name(program), bpf_program__section_name(program));
    } else if (error) {
        snprintf(text, VH_TEXT_MAX, "program %s in SEC(\"%s\") cannot be attached: %s",
                 bpf_program__name(program), bpf_program__section_name(program), strerror(-error));
    }
    if (error)
        return error;
    loaded->links[loaded->attached++] = link;
    if (is_iterator(program))
        loaded->iterators[loaded->iterator_count++] = bpf_link__fd(link);
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

/* In the order of the source, so that a program can have facts end before it begins to make some.
 */
static int attach_all(struct vh_loaded *loaded, char *text)
{
    vh_autofree struct bpf_program **programs = NULL;
    struct bpf_program *p;
    uint32_t count = 0;
    int error = 0;

    bpf_object__for_each_program (p, loaded->object) {
        count += bpf_program__autoload(p);
    }
    if (count == 0) {
        snprintf(text, VH_TEXT_MAX, "the object has no BPF program to attach");
        return -EINVAL;
    }
    loaded->links = calloc(count, sizeof(struct bpf_link *));
    loaded->iterators = calloc(count, sizeof(int));
    programs = calloc(count, sizeof(struct bpf_program *));
    if (!loaded->links || !loaded->iterators || !programs)
        return -ENOMEM;
    count = sort(loaded->object, programs);
    for (uint32_t i = 0; error == 0 && i < count; i++)
        error = attach(loaded, programs[i], text);
    return error;
}

/* Each step leaves what it made in `loaded`; `choose` is one of hooks.h. */
static int load_steps(const struct vh_transfer *transfer, uint32_t cpus,
                      int (*choose)(struct bpf_object *, char *), struct vh_loaded *loaded,
                      char *text)
{
    int error = open_object(transfer, &loaded->object, text);

    if (error == 0)
        error = tune(loaded->object, transfer, cpus, text);
    if (error == 0)
        error = choose(loaded->object, text);
    if (error == 0)
        error = bpf_object__load(loaded->object);
    if (error == 0)
        error = attach_all(loaded, text);
    return error;
}

/* Answers with our own sentence, else libbpf's first, else errno's; libbpf's first also explains
 * ours. */
static void explain(struct vh_reply *reply, const char *name, const char *text, struct vh_log *log,
                    int error)
{
    if (text[0] && log->first[0])
        snprintf(reply->text, sizeof(reply->text), "%s: %s (%s)", name, text, log->first);
    else
        snprintf(reply->text, sizeof(reply->text), "%s: %s", name,
                 text[0]         ? text
                 : log->first[0] ? log->first
                                 : strerror(-error));
    reply->log = vh_take(log->bytes);
    reply->log_len = log->len;
    reply->log_cut = log->cut;
}

int vh_load(const struct vh_transfer *transfer, uint32_t cpus, struct vh_loaded *loaded,
            struct vh_reply *reply)
{
    struct vh_loaded fresh = {0};
    char text[VH_TEXT_MAX + 1] = "";
    struct vh_log log;
    int error;

    vh_log_begin(&log);
    /* Reading the kernel's BTF to choose costs as much as all the rest, and the first variants
     * mostly do. */
    error = load_steps(transfer, cpus, vh_hooks_assume, &fresh, text);
    if (error && fresh.object && vh_hooks_any(fresh.object)) {
        vh_loaded_free(&fresh);
        vh_log_free(&log);
        vh_log_begin(&log);
        text[0] = 0;
        error = load_steps(transfer, cpus, vh_hooks_choose, &fresh, text);
    }
    vh_log_end();
    if (error) {
        vh_loaded_free(&fresh);
        explain(reply, transfer->load.name, text, &log, error);
    } else {
        *loaded = fresh;
    }
    vh_log_free(&log);
    return error;
}

void vh_loaded_free(struct vh_loaded *loaded)
{
    for (uint32_t i = 0; i < loaded->attached; i++)
        bpf_link__destroy(loaded->links[i]);
    free(loaded->links);
    free(loaded->iterators);
    bpf_object__close(loaded->object);
    *loaded = (struct vh_loaded){0};
}

static int iterate(int link_fd, struct vh_written *written)
{
    vh_autoclose int fd = bpf_iter_create(link_fd);
    char bytes[4096];
    ssize_t got;
    int error = 0;

    if (fd < 0)
        return -errno;
    do {
        got = read(fd, bytes, sizeof(bytes));
        if (got > 0 && written && error == 0)
            error = vh_written_add(written, bytes, (size_t)got);
    } while (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)));
    return got < 0 ? -errno : error;
}

int vh_loaded_iterate(const struct vh_loaded *loaded, struct vh_written *written)
{
    int error = 0;

    for (uint32_t i = 0; i < loaded->iterator_count; i++) {
        int result = iterate(loaded->iterators[i], written);

        error = error ? error : result;
    }
    return error;
}

uint64_t vh_loaded_misses(const struct vh_loaded *loaded)
{
    struct bpf_program *p;
    uint64_t misses = 0;

    bpf_object__for_each_program (p, loaded->object) {
        struct bpf_prog_info info = {0};
        __u32 size = sizeof(info);

        if (bpf_program__fd(p) >= 0 &&
            bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size) == 0)
            misses += info.recursion_misses;
    }
    return misses;
}
