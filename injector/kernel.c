// SPDX-License-Identifier: GPL-2.0-or-later
// Looks for hooks in the running kernel: see kernel.h.
#include "kernel.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

/* Where a kind of hook shows. */
struct hook_kind {
    const char *section;
    const char *btf_prefix; /* before the hook's name in BTF; NULL: it does not show there */
    __u32 btf_kind;
    /* Symbols it goes with, of which one is enough; NULL: none. */
    const char *symbols[4];
    bool modules_only; /* the kernel's own show in BTF */
};

static const struct hook_kind hook_kinds[] = {
    {"fentry", "", BTF_KIND_FUNC, {"%s"}, true},
    {"fexit", "", BTF_KIND_FUNC, {"%s"}, true},
    {"fmod_ret", "", BTF_KIND_FUNC, {"%s"}, true},
    {"tp_btf", "btf_trace_", BTF_KIND_TYPEDEF, {"__traceiter_%s"}, true},
    {"lsm", "bpf_lsm_", BTF_KIND_FUNC, {NULL}, false},
    {"iter", "bpf_iter_", BTF_KIND_FUNC, {NULL}, false},
    {"raw_tp", NULL, 0, {"__traceiter_%s"}, false},
    {"raw_tracepoint", NULL, 0, {"__traceiter_%s"}, false},
    {"kprobe", NULL, 0, {"%s"}, false},
    {"kretprobe", NULL, 0, {"%s"}, false},
    {"ksyscall", NULL, 0, {"__x64_sys_%s", "__arm64_sys_%s", "__se_sys_%s", "sys_%s"}, false},
    {"kretsyscall", NULL, 0, {"__x64_sys_%s", "__arm64_sys_%s", "__se_sys_%s", "sys_%s"}, false},
};

#define HOOK_KINDS (sizeof(hook_kinds) / sizeof(hook_kinds[0]))
#define SYMBOLS (sizeof(hook_kinds[0].symbols) / sizeof(hook_kinds[0].symbols[0]))

/* "?fexit.s/name" is an optional, sleepable one of the kind fexit with the hook "name". NULL: of no
 * kind that we know, or without a hook. */
static const struct hook_kind *kind_of(const char *section, char hook[VH_SYMBOL_SIZE])
{
    const char *slash;
    size_t len;

    section += section[0] == '?';
    slash = strchr(section, '/');
    if (!slash || strlen(slash + 1) >= VH_SYMBOL_SIZE)
        return NULL;
    len = (size_t)(slash - section);
    if (len > 2 && strncmp(slash - 2, ".s", 2) == 0)
        len -= 2;
    for (size_t i = 0; i < HOOK_KINDS; i++) {
        if (strlen(hook_kinds[i].section) != len ||
            strncmp(hook_kinds[i].section, section, len) != 0)
            continue;
        snprintf(hook, VH_SYMBOL_SIZE, "%.*s", (int)strcspn(slash + 1, "+"), slash + 1);
        return &hook_kinds[i];
    }
    return NULL;
}

static void symbol_name(char name[2 * VH_SYMBOL_SIZE], const char *pattern, const char *hook)
{
    const char *at = strstr(pattern, "%s");

    snprintf(name, 2 * VH_SYMBOL_SIZE, "%.*s%s", (int)(at - pattern), pattern, hook);
}

static int want(struct vh_kernel *kernel, const struct hook_kind *kind, const char *hook)
{
    int error = 0;

    for (size_t i = 0; i < SYMBOLS && kind->symbols[i] && error == 0; i++) {
        char name[2 * VH_SYMBOL_SIZE];

        symbol_name(name, kind->symbols[i], hook);
        error = vh_symbols_want(&kernel->symbols, name);
    }
    return error;
}

static bool in_btf(const struct vh_kernel *kernel, const struct hook_kind *kind, const char *hook)
{
    char name[2 * VH_SYMBOL_SIZE];

    snprintf(name, sizeof(name), "%s%s", kind->btf_prefix, hook);
    return btf__find_by_name_kind(kernel->btf, name, kind->btf_kind) > 0;
}

int vh_kernel_open(struct vh_kernel *kernel, struct bpf_object *object, bool early, char *text)
{
    char hook[VH_SYMBOL_SIZE];
    struct bpf_program *p;
    int error = 0;

    if (early)
        kernel->btf = btf__load_vmlinux_btf();
    if (early && !kernel->btf) {
        snprintf(text, VH_TEXT_MAX, "the guest's kernel has no BTF (/sys/kernel/btf/vmlinux: %s)",
                 strerror(errno));
        return -ENOENT;
    }
    bpf_object__for_each_program (p, object) {
        const struct hook_kind *kind = kind_of(bpf_program__section_name(p), hook);

        if (!kind || error || (kind->btf_prefix && (!early || in_btf(kernel, kind, hook))))
            continue;
        error = want(kernel, kind, hook);
    }
    /* Without that list every symbol counts as present. */
    if (error == 0 && kernel->symbols.count > 0)
        (void)vh_symbols_read(&kernel->symbols, "/proc/kallsyms");
    return error;
}

static bool has_symbol(const struct vh_kernel *kernel, const struct hook_kind *kind,
                       const char *hook)
{
    if (!kernel->symbols.read)
        return !kind->modules_only;
    for (size_t i = 0; i < SYMBOLS && kind->symbols[i]; i++) {
        const struct vh_symbol *symbol;
        char name[2 * VH_SYMBOL_SIZE];

        symbol_name(name, kind->symbols[i], hook);
        symbol = vh_symbols_find(&kernel->symbols, name);
        if (symbol && (symbol->module || !kind->modules_only))
            return true;
    }
    return false;
}

/* SEC("tp/group/name"): where tracefs is at hand, it has a directory of that name. */
static bool has_tracepoint(const char *section)
{
    static const char *const roots[] = {"/sys/kernel/tracing/events",
                                        "/sys/kernel/debug/tracing/events"};
    const char *name = strchr(section, '/');
    bool any = false;

    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        char path[512];

        snprintf(path, sizeof(path), "%s%s/id", roots[i], name);
        if (access(path, F_OK) == 0)
            return true;
        any |= access(roots[i], F_OK) == 0;
    }
    return !any;
}

bool vh_kernel_has(const struct vh_kernel *kernel, const char *section)
{
    char hook[VH_SYMBOL_SIZE];
    const struct hook_kind *kind = kind_of(section, hook);
    const char *bare = section + (section[0] == '?');

    if (strncmp(bare, "tp/", 3) == 0 || strncmp(bare, "tracepoint/", 11) == 0)
        return has_tracepoint(bare);
    if (!kind)
        return true;
    if (!kind->btf_prefix)
        return has_symbol(kernel, kind, hook);
    return !kernel->btf || in_btf(kernel, kind, hook) || has_symbol(kernel, kind, hook);
}

void vh_kernel_close(struct vh_kernel *kernel)
{
    btf__free(kernel->btf);
    vh_symbols_free(&kernel->symbols);
}
