/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/pinning.h"
#include "machine/tid.h"

#include <string.h>

void pinning_begin(struct pinning *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_begin(&f->stage);
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

char *pinning_reason(unsigned guest, unsigned vcpu, gpointer data)
{
    (void)data;
    return g_strdup_printf("asked for by %u/%u", guest, vcpu);
}

guint pinning_round(struct pinning *f, VhActuate *actuate, const struct vh_cpuset *cpus,
                    const char *why)
{
    struct vh_target target = {.guest = "guest", .vcpu = 2, .thread = f->stage.victim.tid};
    union vh_setting setting;

    if (cpus)
        setting.cpus = *cpus;
    vh_actuate_begin(actuate, pinning_reason, NULL);
    vh_actuate_want(actuate, &target, 0, 2, cpus ? &setting : NULL);
    return vh_actuate_end(actuate, why, NULL);
}
