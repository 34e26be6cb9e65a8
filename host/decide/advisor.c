// SPDX-License-Identifier: GPL-2.0-or-later
// Decides whether an offload is tried, kept or given back.
#include "decide/advisor.h"

#include <math.h>
#include <stdlib.h>

const char *const vh_advisor_states[VH_ADVISOR_STATES] = {
    [VH_ADVISOR_COUNTING] = "counting",
    [VH_ADVISOR_TRIAL] = "trial",
    [VH_ADVISOR_KEPT] = "kept",
    [VH_ADVISOR_RESTING] = "resting",
};

static void enter(struct vh_advisor *advisor, enum vh_advisor_state state)
{
    advisor->state = state;
    advisor->count = 0;
    advisor->seen = 0;
}

static void rest(struct vh_advisor *advisor, enum vh_advisor_verdict verdict, gint64 now)
{
    advisor->verdict = verdict;
    advisor->rest = now + (VH_ADVISOR_REST_US << MIN(advisor->reverts, VH_ADVISOR_DOUBLINGS));
    advisor->reverts++;
    enter(advisor, VH_ADVISOR_RESTING);
}

/* ---- what the samples say ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *values)
{
    double sorted[VH_ADVISOR_SAMPLES];

    for (unsigned i = 0; i < VH_ADVISOR_SAMPLES; i++)
        sorted[i] = values[i];
    qsort(sorted, VH_ADVISOR_SAMPLES, sizeof(sorted[0]), compare);
    return sorted[VH_ADVISOR_SAMPLES / 2];
}

/* What a packet costs, ns, and by how much samples differ from that. */
static double cost(const struct vh_advisor *advisor, bool slots, double *spread)
{
    double values[VH_ADVISOR_SAMPLES];
    double away[VH_ADVISOR_SAMPLES];
    double middle = 0;

    for (unsigned i = 0; i < VH_ADVISOR_SAMPLES; i++) {
        const struct vh_advisor_sample *sample = &advisor->series[i];

        values[i] =
            (double)(sample->guest_ns + (slots ? sample->slot_ns : 0)) / (double)sample->packets;
    }
    middle = median(values);
    for (unsigned i = 0; i < VH_ADVISOR_SAMPLES; i++)
        away[i] = fabs(values[i] - middle);
    *spread = median(away);
    return middle;
}

/* Notes how much the slots decide about, and what they take for a packet. */
static void sum_up(struct vh_advisor *advisor)
{
    double packets = 0;
    double hits = 0;
    double ns = 0;

    for (unsigned i = 0; i < VH_ADVISOR_SAMPLES; i++) {
        packets += (double)advisor->series[i].packets;
        hits += (double)advisor->series[i].hits;
        ns += (double)advisor->series[i].slot_ns;
    }
    advisor->share = hits / packets;
    advisor->slot = ns / packets;
}

/* Could it save more than it takes, if what it decides about cost the guest nothing? */
static bool could_pay(const struct vh_advisor *advisor)
{
    return advisor->share * advisor->before > advisor->slot;
}

/* ---- the states ---- */

static void judge_counting(struct vh_advisor *advisor, gint64 now)
{
    double spread = 0;

    sum_up(advisor);
    advisor->before = cost(advisor, false, &spread);
    advisor->noise = advisor->before > 0 ? spread / advisor->before : 0;
    advisor->after = 0;
    if (advisor->share <= 0)
        rest(advisor, VH_ADVISOR_NO_HITS, now);
    else if (!could_pay(advisor))
        rest(advisor, VH_ADVISOR_TOO_FEW, now);
    else
        enter(advisor, VH_ADVISOR_TRIAL);
}

static void judge_trial(struct vh_advisor *advisor, gint64 now)
{
    double spread = 0;
    double gain = 0;

    sum_up(advisor);
    advisor->after = cost(advisor, true, &spread);
    advisor->noise += spread / advisor->before;
    gain = 1 - advisor->after / advisor->before;
    if (gain <= MAX(VH_ADVISOR_GAIN, advisor->noise)) {
        rest(advisor, VH_ADVISOR_NO_GAIN, now);
        return;
    }
    advisor->verdict = VH_ADVISOR_PAYS;
    advisor->reverts = 0;
    enter(advisor, VH_ADVISOR_KEPT);
}

static void judge_kept(struct vh_advisor *advisor, gint64 now)
{
    sum_up(advisor);
    if (!could_pay(advisor))
        rest(advisor, VH_ADVISOR_CHANGED, now);
}

bool vh_advisor_take(struct vh_advisor *advisor, const struct vh_advisor_sample *sample, gint64 now)
{
    enum vh_advisor_state before = advisor->state;

    g_assert(advisor->state != VH_ADVISOR_RESTING);
    advisor->seen++;
    /* The first of a trial has packets of both kinds. */
    if (sample->packets >= VH_ADVISOR_BUSY && !(before == VH_ADVISOR_TRIAL && advisor->seen == 1))
        advisor->series[advisor->count++ % VH_ADVISOR_SAMPLES] = *sample;
    if (before == VH_ADVISOR_COUNTING && advisor->count == VH_ADVISOR_SAMPLES)
        judge_counting(advisor, now);
    else if (before == VH_ADVISOR_TRIAL && advisor->count == VH_ADVISOR_SAMPLES)
        judge_trial(advisor, now);
    else if (before == VH_ADVISOR_TRIAL && advisor->seen >= VH_ADVISOR_PATIENCE)
        rest(advisor, VH_ADVISOR_NO_WORD, now);
    else if (before == VH_ADVISOR_KEPT && advisor->count >= VH_ADVISOR_SAMPLES)
        judge_kept(advisor, now);
    return advisor->state != before;
}

bool vh_advisor_wake(struct vh_advisor *advisor, gint64 now)
{
    if (advisor->state != VH_ADVISOR_RESTING || now < advisor->rest)
        return false;
    enter(advisor, VH_ADVISOR_COUNTING);
    return true;
}

void vh_advisor_restart(struct vh_advisor *advisor)
{
    *advisor = (struct vh_advisor){.reverts = 0};
}

bool vh_advisor_loads(const struct vh_advisor *advisor)
{
    return advisor->state != VH_ADVISOR_RESTING;
}

bool vh_advisor_acts(const struct vh_advisor *advisor)
{
    return advisor->state == VH_ADVISOR_TRIAL || advisor->state == VH_ADVISOR_KEPT;
}

/* ---- words ---- */

char *vh_advisor_why(const struct vh_advisor *advisor)
{
    double share = advisor->share * 100;

    switch (advisor->verdict) {
    case VH_ADVISOR_NONE:
    case VH_ADVISOR_VERDICTS:
        break;
    case VH_ADVISOR_NO_HITS:
        return g_strdup("none of the packets was one that it decides about");
    case VH_ADVISOR_TOO_FEW:
        return g_strdup_printf("it decides about %.2f%% of the packets, which can save %.0f ns a "
                               "packet at most, and takes %.0f ns",
                               share, advisor->share * advisor->before, advisor->slot);
    case VH_ADVISOR_PAYS:
        return g_strdup_printf("a packet costs %.0f ns, and %.0f ns without it; it decides about "
                               "%.2f%% of them",
                               advisor->after, advisor->before, share);
    case VH_ADVISOR_NO_GAIN:
        return g_strdup_printf("a packet costs %.0f ns with it and %.0f ns without, which is not "
                               "more than %.0f%% less",
                               advisor->after, advisor->before,
                               100 * MAX(VH_ADVISOR_GAIN, advisor->noise));
    case VH_ADVISOR_CHANGED:
        return g_strdup_printf("the workload has changed: it decides about %.2f%% of the packets, "
                               "which saves less than the %.0f ns a packet that it takes",
                               share, advisor->slot);
    case VH_ADVISOR_NO_WORD:
        return g_strdup("too few packets came while it was tried");
    }
    return g_strdup("");
}
