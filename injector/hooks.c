// SPDX-License-Identifier: GPL-2.0-or-later
// Chooses programs by the running kernel's hooks: see hooks.h.
#include "hooks.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel.h"

#define MARK "___"

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
void vh_hooks_assume(struct bpf_object *object)
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

void vh_hooks_leave_out(struct vh_left_out *left, const struct bpf_program *program)
{
    size_t used = strlen(left->text);

    snprintf(left->text + used, sizeof(left->text) - used, "%s%s", left->count ? ", " : "",
             bpf_program__section_name(program));
    left->count++;
}

/* Names whose variants are all off, in the order of their first one. */
static int settle_none(struct bpf_object *object, struct vh_left_out *left, char *text)
{
    const struct bpf_program *last = NULL;
    struct bpf_program *p;

    bpf_object__for_each_program (p, object) {
        if (base_len(p) == 0 || first(object, p) || (last && same_base(p, last)))
            continue;
        if (!left)
            return report_none(object, p, text);
        vh_hooks_leave_out(left, p);
        last = p;
    }
    return 0;
}

int vh_hooks_choose(struct bpf_object *object, struct vh_left_out *left, char *text)
{
    vh_autokernel struct vh_kernel kernel = {0};
    struct bpf_program *p;
    int error = vh_kernel_open(&kernel, object, true, text);

    if (error)
        return error;
    bpf_object__for_each_program (p, object) {
        bool there = bpf_program__autoload(p) || base_len(p) > 0;

        if (there && (base_len(p) > 0 || left))
            there = vh_kernel_has(&kernel, bpf_program__section_name(p));
        if (left && base_len(p) == 0 && bpf_program__autoload(p) && !there)
            vh_hooks_leave_out(left, p);
        bpf_program__set_autoload(p, there);
    }
    vh_hooks_assume(object);
    return settle_none(object, left, text);
}

int vh_hooks_check(struct bpf_object *object, char *text)
{
    vh_autokernel struct vh_kernel kernel = {0};
    struct vh_left_out lacking = {0};
    struct bpf_program *p;
    int error = vh_kernel_open(&kernel, object, false, text);

    if (error)
        return error;
    bpf_object__for_each_program (p, object) {
        if (bpf_program__autoload(p) && !vh_kernel_has(&kernel, bpf_program__section_name(p)))
            vh_hooks_leave_out(&lacking, p);
    }
    if (lacking.count == 0)
        return 0;
    snprintf(text, VH_TEXT_MAX,
             "the guest's kernel lacks %u of its hooks: %s; nothing was attached (--partial leaves "
             "such programs out)",
             lacking.count, lacking.text);
    return -ENOENT;
}
