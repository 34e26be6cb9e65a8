/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the injector does with an object and its tunables before the kernel sees any of it; and what
 * it would say of the programs that it leaves out, as their TROUBLE.
 *
 * The input is tunables, each "name=value" and a NUL, an empty one, then the object. The kernel
 * that is asked for its hooks has the few that are named here. Nothing is loaded. */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hooks.h"
#include "load.h"
#include "log.h"
#include "symbols.h"

/* ---- a kernel, in place of the running one ---- */

static const char kallsyms[] = "ffffffff81000000 T __sched_setaffinity\n"
                               "ffffffff81000010 T __traceiter_sched_switch\n"
                               "ffffffff81000020 T __x64_sys_execve\n"
                               "ffffffffc0000000 t of_a_module\t[module]\n";

struct btf *btf__load_vmlinux_btf(void)
{
    struct btf *btf = btf__new_empty();
    int proto = btf__add_func_proto(btf, 0);

    if (proto <= 0 || btf__add_func(btf, "__sched_setaffinity", BTF_FUNC_STATIC, proto) < 0 ||
        btf__add_func(btf, "bpf_iter_task", BTF_FUNC_STATIC, proto) < 0 ||
        btf__add_typedef(btf, "btf_trace_sched_switch", proto) < 0)
        abort();
    return btf;
}

/* By the linker's --wrap. */
int __real_vh_symbols_read(struct vh_symbols *symbols, const char *path);
int __wrap_vh_symbols_read(struct vh_symbols *symbols, const char *path);
int __wrap_vh_symbols_read(struct vh_symbols *symbols, const char *path)
{
    static char ours[64];

    if (strcmp(path, "/proc/kallsyms") != 0)
        abort();
    if (!ours[0]) {
        int fd = memfd_create("kallsyms", 0);

        if (fd < 0 || write(fd, kallsyms, strlen(kallsyms)) != (ssize_t)strlen(kallsyms))
            abort();
        snprintf(ours, sizeof(ours), "/proc/self/fd/%d", fd);
    }
    return __real_vh_symbols_read(symbols, ours);
}

/* ---- an object ---- */

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

static void check_text(const char *text)
{
    if (!memchr(text, 0, VH_TEXT_MAX + 1))
        abort();
}

/* As load.c does: wholly, or in part. */
static void choose(struct bpf_object *object, bool partial, char *text)
{
    struct vh_left_out left = {0};
    int error = vh_hooks_choose(object, partial ? &left : NULL, text);

    if (!memchr(left.text, 0, sizeof(left.text)) || (left.count == 0) != (left.text[0] == 0))
        abort();
    if (error == 0)
        error = vh_hooks_check(object, text);
    if (error && !text[0])
        abort();
    check_text(text);
}

static void look_over(struct bpf_object *object, bool partial, char *text)
{
    struct bpf_program *p;

    bpf_object__for_each_program (p, object) {
        (void)vh_hooks_place(object, p);
    }
    if (vh_hooks_any(object) || partial)
        choose(object, partial, text);
    else
        vh_hooks_assume(object);
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
        look_over(object, how.options.partial, text);
    check_text(text);
    vh_log_end();
    vh_log_free(&log);
    bpf_object__close(object);
    free(transfer.object);
    return 0;
}
