/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses program variants by the running kernel's BTF: see hooks.h. */
#include "hooks.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "wire.h"

#define MARK "___"

/* How a kind of hook shows in the kernel's BTF. */
struct hook_kind {
    const char *section;
    const char *prefix; /* before the hook's name */
    __u32 kind;
};

static const struct hook_kind hook_kinds[] = {
    {"fentry", "", BTF_KIND_FUNC},
    {"fexit", "", BTF_KIND_FUNC},
    {"fmod_ret", "", BTF_KIND_FUNC},
    {"kprobe", "", BTF_KIND_FUNC},
    {"kretprobe", "", BTF_KIND_FUNC},
    {"tp_btf", "btf_trace_", BTF_KIND_TYPEDEF},
    {"raw_tp", "btf_trace_", BTF_KIND_TYPEDEF},
    {"raw_tracepoint", "btf_trace_", BTF_KIND_TYPEDEF},
    {"lsm", "bpf_lsm_", BTF_KIND_FUNC},
    {"iter", "bpf_iter_", BTF_KIND_FUNC},
};

/* SEC("fexit.s/name") is the kind fexit with the hook "name". Kinds that BTF does not show count as
 * present: the kernel then says so itself. */
static bool hook_exists(const struct btf *kernel, const char *section)
{
    size_t kind_len;
    const char *hook;

    section += section[0] == '?';
    kind_len = strcspn(section, "./");
    hook = strchr(section, '/');
    for (size_t i = 0; hook && i < sizeof(hook_kinds) / sizeof(hook_kinds[0]); i++) {
        const struct hook_kind *k = &hook_kinds[i];
        char name[256];

        if (strlen(k->section) != kind_len || strncmp(k->section, section, kind_len) != 0)
            continue;
        snprintf(name, sizeof(name), "%s%.*s", k->prefix, (int)strcspn(hook + 1, "+"), hook + 1);
        return btf__find_by_name_kind(kernel, name, k->kind) > 0;
    }
    return true;
}

/* Length of NAME in NAME___VARIANT; 0 when there is no variant. */
static size_t base_len(const struct bpf_program *program)
{
    const char *mark = strstr(bpf_program__name(program), MARK);

    return mark ? (size_t)(mark - bpf_program__name(program)) : 0;
}

static bool same_base(const struct bpf_program *a, const struct bpf_program *b)
{
    size_t len = base_len(a);

    return len > 0 && base_len(b) == len &&
           strncmp(bpf_program__name(a), bpf_program__name(b), len + strlen(MARK)) == 0;
}

int vh_hooks_place(const struct bpf_object *object, const struct bpf_program *program)
{
    return btf__find_by_name_kind(bpf_object__btf(object), bpf_program__name(program),
                                  BTF_KIND_FUNC);
}

/* The first variant, in the source, of the same NAME that is on; NULL when none is. */
static const struct bpf_program *first(struct bpf_object *object, const struct bpf_program *of)
{
    const struct bpf_program *found = NULL;
    struct bpf_program *p;

    bpf_object__for_each_program (p, object) {
        if (same_base(p, of) && bpf_program__autoload(p) &&
            (!found || vh_hooks_place(object, p) < vh_hooks_place(object, found)))
            found = p;
    }
    return found;
}

/* Of the variants that are on, leaves the first of each NAME. */
static void leave_first(struct bpf_object *object)
{
    struct bpf_program *p;

    bpf_object__for_each_program (p, object) {
        if (base_len(p) > 0 && p != first(object, p))
            bpf_program__set_autoload(p, false);
    }
}

/* "NAME: this kernel has none of its hooks: fexit/a, fexit/b" */
static int report_none(struct bpf_object *object, const struct bpf_program *of, char *text)
{
    struct bpf_program *p;
    int len =
        snprintf(text, VH_TEXT_MAX, "%.*s: this kernel has none of its hooks:", (int)base_len(of),
                 bpf_program__name(of));

    bpf_object__for_each_program (p, object) {
        if (same_base(p, of) && len < (int)VH_TEXT_MAX)
            len += snprintf(text + len, VH_TEXT_MAX - (size_t)len, " %s",
                            bpf_program__section_name(p));
    }
    return -ENOENT;
}

bool vh_hooks_any(struct bpf_object *object)
{
    struct bpf_program *p;

    bpf_object__for_each_program (p, object) {
        if (base_len(p) > 0)
            return true;
    }
    return false;
}

int vh_hooks_assume(struct bpf_object *object, char *text)
{
    (void)text;
    leave_first(object);
    return 0;
}

int vh_hooks_choose(struct bpf_object *object, char *text)
{
    struct btf *kernel = NULL;
    struct bpf_program *p;
    int error = 0;

    bpf_object__for_each_program (p, object) {
        if (base_len(p) == 0)
            continue;
        if (!kernel)
            kernel = btf__load_vmlinux_btf();
        if (!kernel) {
            snprintf(text, VH_TEXT_MAX,
                     "the guest's kernel has no BTF (/sys/kernel/btf/vmlinux: %s)",
                     strerror(errno));
            return -ENOENT;
        }
        bpf_program__set_autoload(p, hook_exists(kernel, bpf_program__section_name(p)));
    }
    btf__free(kernel);
    leave_first(object);
    bpf_object__for_each_program (p, object) {
        if (error == 0 && base_len(p) > 0 && !first(object, p))
            error = report_none(object, p, text);
    }
    return error;
}
