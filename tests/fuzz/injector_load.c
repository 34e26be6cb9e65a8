/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the injector does with an object and its tunables before the kernel sees any of it.
 *
 * The input is tunables, each "name=value" and a NUL, an empty one, then the object. Nothing here
 * asks the kernel, and nothing is loaded. */
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "hooks.h"
#include "load.h"
#include "log.h"

/* As protocol/msg.c lets pass: each has a '=' that is not its first byte. */
static size_t tunables_of(const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    while (at < len && at < VH_TUNABLES_MAX) {
        const uint8_t *end = memchr(bytes + at, 0, len - at);
        const uint8_t *equals = end ? memchr(bytes + at, '=', (size_t)(end - bytes) - at) : NULL;

        if (!equals || equals == bytes + at)
            break;
        at = (size_t)(end + 1 - bytes);
    }
    return at;
}

static void look_over(struct bpf_object *object)
{
    struct bpf_program *p;

    (void)vh_hooks_any(object);
    vh_hooks_assume(object);
    bpf_object__for_each_program (p, object) {
        (void)vh_hooks_place(object, p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct vh_transfer transfer = {.load.name = "fuzz"};
    char text[VH_TEXT_MAX + 1] = "";
    struct bpf_object *object = NULL;
    struct vh_how how = {.cpus = 4};
    size_t tunables = tunables_of(bytes, len);
    struct vh_log log;

    transfer.load.tunables_len = (uint32_t)tunables;
    if (tunables < len && bytes[tunables] == 0)
        tunables++;
    if (tunables == len)
        return 0;
    transfer.tunables = (char *)(uintptr_t)bytes;
    transfer.load.size = (uint32_t)(len - tunables);
    /* Of its own, so that whoever reads beyond it is caught. */
    transfer.object = malloc(transfer.load.size);
    memcpy(transfer.object, bytes + tunables, transfer.load.size);
    vh_log_begin(&log);
    if (vh_open(&transfer, &how, &object, text) == 0)
        look_over(object);
    else if (strlen(text) > VH_TEXT_MAX)
        abort();
    vh_log_end();
    vh_log_free(&log);
    bpf_object__close(object);
    free(transfer.object);
    return 0;
}
