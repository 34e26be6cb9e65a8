/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/pinning.h"
#include "machine/tid.h"

#include <string.h>

void pinning_begin(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_begin(&f->stage);
    f->target = target_vcpu("guest", 2, f->stage.victim.tid);
    g_assert_true(vh_tid_cpus(f->stage.victim.tid, &f->floating));
    memset(&f->first, 0, sizeof(f->first));
    vh_cpuset_add(&f->first, (unsigned)vh_cpuset_next(&f->floating, 0));
}

void pinning_end(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_end(&f->stage);
}

void assert_cpus(pid_t thread, const struct vh_cpuset *expected)
{
    struct vh_cpuset cpus;
    g_autofree char *got = NULL;
    g_autofree char *want = vh_cpuset_format(expected);

    g_assert_true(vh_tid_cpus(thread, &cpus));
    got = vh_cpuset_format(&cpus);
    g_assert_cmpstr(got, ==, want);
}

guint pinning_round(struct pinning *f, VhActuate *actuate, const struct vh_cpuset *cpus,
                    const char *why)
{
    union vh_setting setting;

    if (cpus)
        setting.cpus = *cpus;
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &f->target, cpus ? &setting : NULL, NULL);
    return vh_actuate_end(actuate, why, NULL);
}
