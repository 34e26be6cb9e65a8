// SPDX-License-Identifier: GPL-2.0-or-later
// Loads and attaches objects through libbpf: see load.h.
#include "load.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "hooks.h"
#include "log.h"

/* Leaves on what this kernel can have. Without `look` the first variants are taken. */
static int choose(struct vh_loaded *loaded, const struct vh_how *how, bool look, char *text)
{
    if (look || how->options.partial)
        return vh_hooks_choose(loaded->object, how->options.partial ? &loaded->left : NULL, text);
    vh_hooks_assume(loaded->object);
    return 0;
}

/* Each step leaves what it made in `loaded`. */
static int load_steps(const struct vh_transfer *transfer, struct vh_how *how, bool look,
                      struct vh_loaded *loaded, char *text)
{
    int error = vh_open(transfer, how, &loaded->object, text);

    if (error == 0)
        error = choose(loaded, how, look, text);
    if (error == 0)
        error = vh_hooks_check(loaded->object, text);
    if (error == 0 && atomic_load(how->unwanted))
        error = -ECANCELED;
    if (error == 0)
        error = bpf_object__load(loaded->object);
    if (error == 0)
        error = vh_attach(loaded, how, text);
    return error;
}

/* Answers with our own sentence, else libbpf's first, else errno's; libbpf's first also explains
 * ours. */
static void explain(struct vh_reply *reply, const char *name, const char *text, struct vh_log *log,
                    int error)
{
    const char *kernels = log->first[0] ? log->first : strerror(-error);

    if (text[0] && log->first[0])
        snprintf(reply->text, sizeof(reply->text), "%s: %s (%s)", name, text, log->first);
    else
        snprintf(reply->text, sizeof(reply->text), "%s: %s", name, text[0] ? text : kernels);
    reply->log = vh_take(log->bytes);
    reply->log_len = log->len;
    reply->log_cut = log->cut;
}

int vh_load(const struct vh_transfer *transfer, struct vh_how how, struct vh_loaded *loaded,
            struct vh_reply *reply)
{
    struct vh_loaded fresh = {0};
    char text[VH_TEXT_MAX + 1] = "";
    struct vh_log log;
    int error;

    vh_log_begin(&log);
    /* Reading the kernel's BTF to choose costs as much as all the rest, and the first variants
     * mostly do. */
    error = load_steps(transfer, &how, false, &fresh, text);
    if (error && error != -ECANCELED && fresh.object && vh_hooks_any(fresh.object)) {
        vh_loaded_free(&fresh);
        vh_log_free(&log);
        vh_log_begin(&log);
        text[0] = 0;
        error = load_steps(transfer, &how, true, &fresh, text);
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
    for (uint32_t i = 0; i < loaded->link_count; i++)
        bpf_link__destroy(loaded->links[i]);
    free(loaded->links);
    free(loaded->iterators);
    free(loaded->probes);
    bpf_object__close(loaded->object);
    *loaded = (struct vh_loaded){0};
}
