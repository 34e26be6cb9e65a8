// SPDX-License-Identifier: GPL-2.0-or-later
// Tells by two series whether an action was worth it.
#include "decide/judge.h"

#include <math.h>
#include <stdlib.h>

#define SIGNIFICANT 3.0      /* standard errors */
#define GAIN_LEAST 0.02      /* of the wanted time: less is not worth an action */
#define NOTHING_TO_GAIN 0.03 /* who waits less than this has nothing to gain */
#define LOAD_CHANGE 0.5      /* relative, and at least LOAD_LEAST threads */
#define LOAD_LEAST 1.0
#define FIGURE_WORSE 0.2 /* relative */

static const char *const verdict_texts[] = {"", "kept", "reverted", "inconclusive"};
G_STATIC_ASSERT(G_N_ELEMENTS(verdict_texts) == VH_TRIAL_VERDICTS);

const char *vh_trial_verdict_text(enum vh_trial_verdict verdict)
{
    return verdict_texts[verdict];
}

/* Values that are there, in the order of time. */
struct values {
    unsigned count;
    double at[VH_TRIAL_SAMPLES];
};

/* What a series says, and the standard error of that. */
struct summary {
    unsigned count;
    double middle, error;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *values, unsigned count)
{
    double sorted[VH_TRIAL_SAMPLES];

    if (!count)
        return NAN;
    for (unsigned i = 0; i < count; i++)
        sorted[i] = values[i];
    qsort(sorted, count, sizeof(sorted[0]), by_value);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* By the median, and its error by the median's absolute deviation: one wild sample moves neither.
 */
static struct summary summarize(const double *values, unsigned count)
{
    struct summary made = {.count = count, .middle = median(values, count), .error = NAN};
    double deviations[VH_TRIAL_SAMPLES];

    if (!count)
        return made;
    for (unsigned i = 0; i < count; i++)
        deviations[i] = fabs(values[i] - made.middle);
    /* 1.4826: a normal distribution's deviation by its median's; 1.2533: the error of its median by
     * that of its mean. */
    made.error = 1.4826 * 1.2533 * median(deviations, count) / sqrt(count);
    return made;
}

/* By the mean: what neighbours got in all is what counts. Beside a boost that is paused where its
 * budget is spent they get it by turns, and a median is that of one turn or of the other. */
static struct summary average(const double *values, unsigned count)
{
    struct summary made = {.count = count, .middle = NAN, .error = NAN};
    double sum = 0;
    double squares = 0;

    if (!count)
        return made;
    for (unsigned i = 0; i < count; i++)
        sum += values[i];
    made.middle = sum / count;
    for (unsigned i = 0; i < count; i++)
        squares += (values[i] - made.middle) * (values[i] - made.middle);
    made.error = count > 1 ? sqrt(squares / (count - 1) / count) : NAN;
    return made;
}

enum column { WAIT, NEIGHBOURS, LOAD, FIGURE };

static double value_of(const struct vh_trial_sample *sample, enum column column)
{
    switch (column) {
    case WAIT:
        return sample->wait;
    case NEIGHBOURS:
        return sample->neighbours;
    case LOAD:
        return sample->load;
    default:
        return sample->figure;
    }
}

/* A guest's figure may be anything; a share that is none is an error of measurement. */
static bool is_value(double value, enum column column)
{
    return isfinite(value) && value >= 0 && (value <= 1 || column == LOAD || column == FIGURE);
}

static struct values pick(const struct vh_trial_series *series, enum column column)
{
    struct values values = {0};

    for (unsigned i = 0; i < series->count; i++) {
        double value = value_of(&series->samples[i], column);

        if (is_value(value, column))
            values.at[values.count++] = value;
    }
    return values;
}

static double noise_of(const struct summary *a, const struct summary *b)
{
    return SIGNIFICANT * hypot(a->error, b->error);
}

/* The baseline's second half was better than its first already: by as much as half of what was
 * gained. */
static bool was_improving(const struct values *before, double gain)
{
    unsigned half = before->count / 2;
    struct summary first = summarize(before->at, half);
    struct summary second = summarize(before->at + before->count - half, half);
    double trend = first.middle - second.middle;

    return trend > noise_of(&first, &second) && trend > GAIN_LEAST && trend * 2 >= gain;
}

static bool load_changed(const struct summary *before, const struct summary *after)
{
    double change = fabs(after->middle - before->middle);

    return before->count >= VH_TRIAL_ENOUGH && after->count >= VH_TRIAL_ENOUGH &&
           change > LOAD_CHANGE * before->middle && change >= LOAD_LEAST &&
           change > noise_of(before, after);
}

/* What a thread gets of what it wants is 1 less its waits. Where many compete that is little, and a
 * loss of most of it little, too: the least that counts is a share of what they got. */
static bool are_robbed(const struct summary *before, const struct summary *after, unsigned loss)
{
    double got = MAX(1 - before->middle, 0.001);
    double lost = after->middle - before->middle;

    return before->count >= VH_TRIAL_ENOUGH && after->count >= VH_TRIAL_ENOUGH &&
           lost > MAX(noise_of(before, after), GAIN_LEAST * got) && lost / got > loss / 100.0;
}

static bool figure_is_worse(const struct summary *before, const struct summary *after)
{
    double more = after->middle - before->middle;

    return before->count >= VH_TRIAL_ENOUGH && after->count >= VH_TRIAL_ENOUGH &&
           more > noise_of(before, after) && more > FIGURE_WORSE * before->middle;
}

bool vh_trial_is_calm(double wait)
{
    return !(wait >= NOTHING_TO_GAIN);
}

static void conclude(struct vh_trial_result *result, enum vh_trial_verdict verdict,
                     const char *reason)
{
    result->verdict = verdict;
    result->reason = reason;
}

struct vh_trial_result vh_trial_judge(const struct vh_trial_series *before,
                                      const struct vh_trial_series *after, unsigned loss)
{
    struct values series[2][FIGURE + 1];
    struct summary sums[2][FIGURE + 1];
    struct vh_trial_result result = {0};
    double gain = 0;
    bool robbed = false;
    bool excused = false;

    for (enum column column = WAIT; column <= FIGURE; column++) {
        series[0][column] = pick(before, column);
        series[1][column] = pick(after, column);
        for (unsigned i = 0; i < 2; i++)
            sums[i][column] = column == NEIGHBOURS
                                  ? average(series[i][column].at, series[i][column].count)
                                  : summarize(series[i][column].at, series[i][column].count);
    }
    result.before = sums[0][WAIT].middle;
    result.after = sums[1][WAIT].middle;
    result.noise = noise_of(&sums[0][WAIT], &sums[1][WAIT]);
    result.neighbours_before = sums[0][NEIGHBOURS].middle;
    result.neighbours_after = sums[1][NEIGHBOURS].middle;
    result.load_before = sums[0][LOAD].middle;
    result.load_after = sums[1][LOAD].middle;
    result.figure_before = sums[0][FIGURE].middle;
    result.figure_after = sums[1][FIGURE].middle;
    gain = result.before - result.after;
    robbed = are_robbed(&sums[0][NEIGHBOURS], &sums[1][NEIGHBOURS], loss);
    /* More load explains a loss, but never a gain; who takes CPU time from others makes more of
     * them runnable. */
    excused =
        gain > MAX(result.noise, GAIN_LEAST) && !robbed && result.load_after > result.load_before;

    /* What a guest can bring about by its own load or figures ends in one of these, none of which
     * keeps. */
    if (sums[0][WAIT].count < VH_TRIAL_ENOUGH || sums[1][WAIT].count < VH_TRIAL_ENOUGH)
        conclude(&result, VH_TRIAL_INCONCLUSIVE, "it ran too little to be measured");
    else if (load_changed(&sums[0][LOAD], &sums[1][LOAD]) && !excused)
        conclude(&result, VH_TRIAL_INCONCLUSIVE, "the host's load changed meanwhile");
    else if (robbed)
        conclude(&result, VH_TRIAL_REVERTED, "it robs its neighbours");
    else if (figure_is_worse(&sums[0][FIGURE], &sums[1][FIGURE]))
        conclude(&result, VH_TRIAL_REVERTED, "the guest's own figure got worse");
    else if (-gain > MAX(result.noise, GAIN_LEAST))
        conclude(&result, VH_TRIAL_REVERTED, "it waits more than before");
    else if (vh_trial_is_calm(result.before))
        conclude(&result, VH_TRIAL_INCONCLUSIVE,
                 "it hardly waited before, so there was nothing to gain");
    else if (gain <= MAX(result.noise, GAIN_LEAST))
        conclude(&result, VH_TRIAL_INCONCLUSIVE, "the difference may be chance");
    else if (was_improving(&series[0][WAIT], gain))
        conclude(&result, VH_TRIAL_INCONCLUSIVE, "it was getting better already");
    else
        conclude(&result, VH_TRIAL_KEPT, "it waits less than before");
    return result;
}

static void append_pair(GString *out, const char *name, double before, double after, double scale,
                        const char *unit)
{
    if (isfinite(before) && isfinite(after))
        g_string_append_printf(out, "%s%s %.1f%s -> %.1f%s", out->len ? ", " : "", name,
                               before * scale, unit, after * scale, unit);
}

char *vh_trial_numbers(const struct vh_trial_result *result)
{
    GString *out = g_string_new(NULL);

    append_pair(out, "waits", result->before, result->after, 100, "%");
    if (out->len && isfinite(result->noise))
        g_string_append_printf(out, " (noise %.1f%%)", result->noise * 100);
    append_pair(out, "neighbours wait", result->neighbours_before, result->neighbours_after, 100,
                "%");
    append_pair(out, "load", result->load_before, result->load_after, 1, "");
    append_pair(out, "the guest's figure", result->figure_before, result->figure_after, 1, "");
    return g_string_free(out, FALSE);
}
