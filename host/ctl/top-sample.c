// SPDX-License-Identifier: GPL-2.0-or-later
// What vhintctl top shows: asks the daemon for guests, and /proc how their threads fare.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ctl/top.h"

const char *const vh_top_order_names[] = {"guest", "wait", "run", "hints", NULL};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_top_order_names) == VH_TOP_ORDER_COUNT + 1);
const char *const vh_top_columns[] = {"GUEST", "VCPU",    "ON",     "HELD TO", "RUN%",
                                      "WAIT%", "HINTS/S", "REASON", NULL};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_top_columns) == VH_TOP_COLUMNS + 1);

static void row_free(gpointer data)
{
    struct vh_top_row *row = data;

    g_free(row->guest);
    g_free(row->held_to);
    g_free(row->reason);
    g_free(row);
}

void vh_top_sample_free(struct vh_top_sample *sample)
{
    if (!sample)
        return;
    g_ptr_array_unref(sample->rows);
    g_hash_table_unref(sample->hints);
    g_free(sample);
}

/* Field 39 of /proc/TID/stat, counted from behind the name, which may hold anything: proc(5). -1:
 * not known. */
static int last_cpu(pid_t thread)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", thread);
    g_autofree char *text = NULL;
    const char *at = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL) || !(at = strrchr(text, ')')))
        return -1;
    for (int field = 2; at && field < 39; field++)
        at = strchr(at + 1, ' ');
    return at ? (int)g_ascii_strtoll(at, NULL, 10) : -1;
}

/* The same thread of the sample before; NULL: it was not there. */
static const struct vh_top_row *find_before(const struct vh_top_sample *before, pid_t thread)
{
    for (guint i = 0; before && i < before->rows->len; i++) {
        const struct vh_top_row *row = g_ptr_array_index(before->rows, i);

        if (row->thread == thread)
            return row;
    }
    return NULL;
}

static void measure(struct vh_top_row *row, const struct vh_top_sample *before, double seconds)
{
    const struct vh_top_row *last = find_before(before, row->thread);

    row->cpu = last_cpu(row->thread);
    if (vh_sample_thread("/proc", row->thread, &row->total) < 0 || !last || !(seconds > 0) ||
        row->total.ran < last->total.ran || row->total.waited < last->total.waited)
        return;
    row->run = (double)(row->total.ran - last->total.ran) / seconds / 1e7;
    row->wait = (double)(row->total.waited - last->total.waited) / seconds / 1e7;
}

static char *printable(GVariant *dict, const char *key)
{
    const char *text = "";

    (void)g_variant_lookup(dict, key, "&s", &text);
    return vh_text_printable(text, false);
}

static void take_guest(struct vh_top_sample *sample, GVariant *guest,
                       const struct vh_top_sample *before)
{
    g_autoptr(GVariant) vcpus = g_variant_lookup_value(guest, "vcpu", G_VARIANT_TYPE("aa{sv}"));
    g_autofree char *name = printable(guest, "name");
    double seconds = before ? (double)(sample->time - before->time) / G_USEC_PER_SEC : NAN;
    const guint64 *last = before ? g_hash_table_lookup(before->hints, name) : NULL;
    guint64 *hints = g_new0(guint64, 1);
    gboolean connected = FALSE;
    double rate = NAN;

    (void)g_variant_lookup(guest, "hints", "t", hints);
    (void)g_variant_lookup(guest, "connected", "b", &connected);
    sample->guests++;
    sample->connected += connected;
    if (last && *hints >= *last && seconds > 0)
        rate = (double)(*hints - *last) / seconds;
    g_hash_table_insert(sample->hints, g_strdup(name), hints);
    for (gsize i = 0; vcpus && i < g_variant_n_children(vcpus); i++) {
        g_autoptr(GVariant) dict = g_variant_get_child_value(vcpus, i);
        struct vh_top_row *row = g_new0(struct vh_top_row, 1);
        struct vh_cpuset cpus;
        gint32 thread = 0;

        (void)g_variant_lookup(dict, "index", "u", &row->vcpu);
        (void)g_variant_lookup(dict, "thread", "i", &thread);
        row->guest = g_strdup(name);
        row->thread = thread;
        row->held_to = vh_ctl_held_to(dict, &cpus) ? printable(dict, "host_cpus") : g_strdup("");
        row->reason = printable(dict, "reason");
        row->run = row->wait = NAN;
        row->hints = rate;
        row->cpu = -1;
        if (thread > 0)
            measure(row, before, seconds);
        g_ptr_array_add(sample->rows, row);
    }
}

struct vh_top_sample *vh_top_sample_of(GVariant *guests, const struct vh_top_sample *before)
{
    struct vh_top_sample *sample = g_new0(struct vh_top_sample, 1);

    sample->time = g_get_monotonic_time();
    sample->rows = g_ptr_array_new_with_free_func(row_free);
    sample->hints = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (gsize i = 0; i < g_variant_n_children(guests); i++) {
        g_autoptr(GVariant) guest = g_variant_get_child_value(guests, i);

        take_guest(sample, guest, before);
    }
    return sample;
}

struct vh_top_sample *vh_top_sample(struct vh_ctl *ctl, const struct vh_top_sample *before,
                                    GError **error)
{
    g_autoptr(GVariant) guests = vh_ctl_get_guests(ctl, NULL, error);

    return guests ? vh_top_sample_of(guests, before) : NULL;
}

/* ---- order ---- */

static double figure(const struct vh_top_row *row, enum vh_top_order order)
{
    double value = row->hints;

    if (order == VH_TOP_WAIT)
        value = row->wait;
    else if (order == VH_TOP_RUN)
        value = row->run;
    return isnan(value) ? -1 : value;
}

static int compare(gconstpointer a, gconstpointer b, gpointer data)
{
    const struct vh_top_row *x = *(struct vh_top_row *const *)a;
    const struct vh_top_row *y = *(struct vh_top_row *const *)b;
    enum vh_top_order order = (enum vh_top_order)GPOINTER_TO_UINT(data);
    int names = strcmp(x->guest, y->guest);

    if (order != VH_TOP_GUEST && figure(x, order) != figure(y, order))
        return figure(x, order) > figure(y, order) ? -1 : 1;
    if (names)
        return names;
    return x->vcpu < y->vcpu ? -1 : x->vcpu > y->vcpu;
}

void vh_top_sort(GPtrArray *rows, enum vh_top_order order)
{
    g_ptr_array_sort_with_data(rows, compare, GUINT_TO_POINTER(order));
}

/* ---- text ---- */

static char *number(double value)
{
    return isnan(value) ? g_strdup("-") : g_strdup_printf("%.1f", value);
}

char *vh_top_cell(const struct vh_top_row *row, unsigned column)
{
    switch (column) {
    case 0:
        return g_strdup(row->guest);
    case 1:
        return g_strdup_printf("%u", row->vcpu);
    case 2:
        return row->cpu < 0 ? g_strdup("-") : g_strdup_printf("%d", row->cpu);
    case 3:
        return g_strdup(*row->held_to ? row->held_to : "floats");
    case 4:
        return number(row->run);
    case 5:
        return number(row->wait);
    case 6:
        return number(row->hints);
    default:
        return g_strdup(row->reason);
    }
}
