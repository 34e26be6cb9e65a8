/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches what an object has loaded: see load.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "hooks.h"
#include "load.h"

static bool is_iterator(const struct bpf_program *program)
{
    return bpf_program__expected_attach_type(program) == BPF_TRACE_ITER;
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

/* In the order of the source, so that a program can have facts end before it begins to make some.
 */
int vh_attach(struct vh_loaded *loaded, const atomic_bool *unwanted, char *text)
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
    loaded->iterators = calloc(count, sizeof(loaded->iterators[0]));
    programs = calloc(count, sizeof(struct bpf_program *));
    if (!loaded->links || !loaded->iterators || !programs)
        return -ENOMEM;
    count = sort(loaded->object, programs);
    for (uint32_t i = 0; error == 0 && i < count; i++)
        error = atomic_load(unwanted) ? -ECANCELED : attach(loaded, programs[i], text);
    return error;
}
