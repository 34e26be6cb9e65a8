// SPDX-License-Identifier: GPL-2.0-or-later
// Opens objects and sets what the policy and we have to tell them: see load.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "load.h"
#include "sane.h"
#include "tunables.h"

#define CPUS_VARIABLE "vh_cpus_possible"
#define INJECTOR_VARIABLE "vh_injector"

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

int vh_open(const struct vh_transfer *transfer, struct vh_how *how, struct bpf_object **object,
            char *text)
{
    struct bpf_object *opened = NULL;
    int error = vh_sane_object(transfer->object, transfer->load.size, text);

    if (error == 0)
        error = open_object(transfer, &opened, text);
    *object = opened;
    if (error == 0)
        error = vh_options_take(opened, transfer->tunables, transfer->load.tunables_len,
                                &how->options, text);
    return error ? error : tune(opened, transfer, how->cpus, text);
}
