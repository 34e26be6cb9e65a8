// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/history.h"

/* By key, writes first, those by end. */
static gint compare(gconstpointer a, gconstpointer b)
{
    const struct history_op *one = a;
    const struct history_op *other = b;

    if (one->key != other->key)
        return one->key < other->key ? -1 : 1;
    if (one->write != other->write)
        return one->write ? -1 : 1;
    if (one->end != other->end)
        return one->end < other->end ? -1 : 1;
    return 0;
}

static guint64 name_of(const struct history_op *op)
{
    return (guint64)op->key << 32 | op->value;
}

/* Writes by key and value. */
static GHashTable *index_writes(GArray *ops)
{
    GHashTable *writes = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    for (guint i = 0; i < ops->len; i++) {
        struct history_op *op = &g_array_index(ops, struct history_op, i);
        guint64 name = name_of(op);

        if (op->write)
            g_hash_table_insert(writes, g_memdup2(&name, sizeof(name)), op);
    }
    return writes;
}

static struct history_op *write_of(GHashTable *writes, const struct history_op *read)
{
    guint64 name = name_of(read);
    struct history_op *write = g_hash_table_lookup(writes, &name);

    /* A value that nobody has written. */
    g_assert_nonnull(write);
    return write;
}

/* The write among the key's (ordered by end, with the latest beginning so far) that was done before
 * `time` and began last; NULL: none. */
static const struct history_op *last_before(const struct history_op *writes,
                                            const struct history_op *const *latest, guint count,
                                            gint64 time)
{
    guint low = 0;

    while (low < count) {
        guint middle = (low + count) / 2;

        if (writes[middle].end < time)
            low = middle + 1;
        else
            count = middle;
    }
    return low ? latest[low - 1] : NULL;
}

static char *tell(const struct history_op *read, const struct history_op *write,
                  const struct history_op *later)
{
    return g_strdup_printf("key %u: a read from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                           " found %u, which was written from %" G_GINT64_FORMAT
                           " to %" G_GINT64_FORMAT "; %u was written from %" G_GINT64_FORMAT
                           " to %" G_GINT64_FORMAT,
                           read->key, read->begin, read->end, read->value, write->begin, write->end,
                           later->value, later->begin, later->end);
}

static guint stale_of_key(struct history_op *ops, guint count, GHashTable *all, char **first)
{
    g_autofree const struct history_op **latest = NULL;
    guint writes = 0;
    guint stale = 0;

    while (writes < count && ops[writes].write)
        writes++;
    latest = g_new0(const struct history_op *, writes + 1);
    for (guint i = 0; i < writes; i++)
        latest[i] = i && latest[i - 1]->begin > ops[i].begin ? latest[i - 1] : &ops[i];
    for (guint i = writes; i < count; i++) {
        const struct history_op *write = write_of(all, &ops[i]);
        const struct history_op *later = last_before(ops, latest, writes, ops[i].begin);

        if (!later || later->begin <= write->end)
            continue;
        stale++;
        if (first && !*first)
            *first = tell(&ops[i], write, later);
    }
    return stale;
}

guint history_stale(GArray *ops, char **first)
{
    g_autoptr(GHashTable) seen = index_writes(ops);
    g_autoptr(GHashTable) writes = NULL;
    struct history_op *all = (struct history_op *)(gpointer)ops->data;
    guint stale = 0;
    guint begin = 0;

    for (guint i = 0; i < ops->len; i++) {
        struct history_op *write = all[i].write ? NULL : write_of(seen, &all[i]);

        if (write)
            write->end = MIN(write->end, all[i].end);
    }
    g_array_sort(ops, compare);
    writes = index_writes(ops);
    for (guint end = 1; end <= ops->len; end++) {
        if (end < ops->len && all[end].key == all[begin].key)
            continue;
        stale += stale_of_key(all + begin, end - begin, writes, first);
        begin = end;
    }
    return stale;
}
