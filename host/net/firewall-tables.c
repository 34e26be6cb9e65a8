// SPDX-License-Identifier: GPL-2.0-or-later
// Makes tables of rows: sweeps over each field's values, and keeps each block and class once.
#include "net/firewall-tables.h"

#include <string.h>

#include "base/error.h"

#define BLOCK_ROWS (64u * VH_FW_WORDS)
#define SMALL_VALUES 256u
#define WORD_VALUES 65536u

G_STATIC_ASSERT(VH_FW_ALL == VH_FW_FIELDS);
G_STATIC_ASSERT(VH_FW_FRAG == VH_FW_SMALL && VH_FW_SADDR == VH_FW_SMALL + VH_FW_WORD);
G_STATIC_ASSERT(VH_FW_BLOCKS * 64u * VH_FW_WORDS >= VH_FW_ROWS_MAX);
G_STATIC_ASSERT((int)VH_FW_ROW_DROP == VH_FW_DROP && (int)VH_FW_ROW_GOTO == VH_FW_GOTO);

/* From `at` on, the row takes or does not take. */
struct event {
    vh_u128 at;
    guint row;
    bool takes;
};

struct maker {
    VhFwTables *tables;
    GHashTable *blocks;  /* struct vh_fw_block -> number, as a pointer */
    GHashTable *classes; /* struct vh_fw_class -> number */
    struct vh_fw_block now[VH_FW_BLOCKS];
    struct vh_fw_class class;
    guint32 dirty; /* blocks that have changed since the class was made */
    bool full;
};

static guint hash_bytes(const void *data, gsize len)
{
    const guint64 *words = data;
    guint64 hash = 0x9e3779b97f4a7c15u;

    for (gsize i = 0; i < len / 8; i++) {
        hash = (hash ^ words[i]) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    return (guint)hash;
}

static guint block_hash(gconstpointer key)
{
    return hash_bytes(key, sizeof(struct vh_fw_block));
}

static gboolean block_equal(gconstpointer a, gconstpointer b)
{
    return !memcmp(a, b, sizeof(struct vh_fw_block));
}

static guint class_hash(gconstpointer key)
{
    return hash_bytes(key, sizeof(struct vh_fw_class));
}

static gboolean class_equal(gconstpointer a, gconstpointer b)
{
    return !memcmp(a, b, sizeof(struct vh_fw_class));
}

static guint block_number(struct maker *maker, const struct vh_fw_block *block)
{
    gpointer number = NULL;

    if (g_hash_table_lookup_extended(maker->blocks, block, NULL, &number))
        return GPOINTER_TO_UINT(number);
    if (maker->tables->blocks->len > G_MAXUINT16) {
        maker->full = true;
        return 0;
    }
    g_array_append_val(maker->tables->blocks, *block);
    g_hash_table_insert(maker->blocks, g_memdup2(block, sizeof(*block)),
                        GUINT_TO_POINTER(maker->tables->blocks->len - 1));
    return maker->tables->blocks->len - 1;
}

/* The number of the class that the rows taken now make. */
static guint32 class_number(struct maker *maker)
{
    gpointer number = NULL;

    for (guint b = 0; b < VH_FW_BLOCKS; b++) {
        if (!(maker->dirty >> b & 1))
            continue;
        maker->class.block[b] = (guint16)block_number(maker, &maker->now[b]);
        /* Number 0 is the empty one. */
        maker->class.summary &= ~(1u << b);
        maker->class.summary |= (guint32)(maker->class.block[b] != 0) << b;
    }
    maker->dirty = 0;
    if (g_hash_table_lookup_extended(maker->classes, &maker->class, NULL, &number))
        return GPOINTER_TO_UINT(number);
    if (maker->tables->classes->len >= VH_FW_CLASSES_MAX) {
        maker->full = true;
        return 0;
    }
    g_array_append_val(maker->tables->classes, maker->class);
    g_hash_table_insert(maker->classes, g_memdup2(&maker->class, sizeof(maker->class)),
                        GUINT_TO_POINTER(maker->tables->classes->len - 1));
    return maker->tables->classes->len - 1;
}

static void set_row(struct maker *maker, guint row, bool takes)
{
    __u64 *word = &maker->now[row / BLOCK_ROWS].words[row % BLOCK_ROWS / 64];
    guint64 bit = (guint64)1 << row % 64;

    *word = takes ? *word | bit : *word & ~bit;
    maker->dirty |= 1u << row / BLOCK_ROWS;
}

static int by_at(gconstpointer a, gconstpointer b)
{
    const struct event *x = a;
    const struct event *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

/* Sets the rows that take all values, and returns where the others begin and end to take some. */
static GArray *begin_field(struct maker *maker, const GArray *rows, enum vh_fw_field field,
                           vh_u128 max)
{
    GArray *events = g_array_new(FALSE, FALSE, sizeof(struct event));

    memset(maker->now, 0, sizeof(maker->now));
    maker->dirty = ~0u;
    for (guint i = 0; i < rows->len; i++) {
        const VhRanges *ranges = g_array_index(rows, struct vh_fw_row, i).field[field];

        if (!ranges)
            set_row(maker, i, true);
        for (guint j = 0; ranges && j < ranges->count; j++) {
            struct event begin = {ranges->at[j].lo, i, true};
            struct event end = {ranges->at[j].hi + 1, i, false};

            g_array_append_val(events, begin);
            if (ranges->at[j].hi < max)
                g_array_append_val(events, end);
        }
    }
    g_array_sort(events, by_at);
    return events;
}

/* The sweep's next run of values of one class. */
struct run {
    vh_u128 from;
    guint32 class;
};

static GArray *runs_of(struct maker *maker, const GArray *rows, enum vh_fw_field field, bool v6)
{
    GArray *runs = g_array_new(FALSE, FALSE, sizeof(struct run));
    g_autoptr(GArray) events = begin_field(maker, rows, field, vh_fw_field_max(field, v6));

    for (guint i = 0; i < events->len || !runs->len;) {
        vh_u128 at = events->len ? g_array_index(events, struct event, i).at : 0;
        struct run run = {.from = runs->len ? at : 0};

        for (; i < events->len && g_array_index(events, struct event, i).at == run.from; i++)
            set_row(maker, g_array_index(events, struct event, i).row,
                    g_array_index(events, struct event, i).takes);
        run.class = class_number(maker);
        if (!runs->len || g_array_index(runs, struct run, runs->len - 1).class != run.class)
            g_array_append_val(runs, run);
    }
    return runs;
}

static guint32 class_at(const GArray *runs, guint *run, guint value)
{
    while (*run + 1 < runs->len && g_array_index(runs, struct run, *run + 1).from <= value)
        ++*run;
    return g_array_index(runs, struct run, *run).class;
}

static void put_small(VhFwTables *tables, const GArray *runs, struct vh_fw_table *table)
{
    guint run = 0;

    *table = (struct vh_fw_table){tables->smalls->len, SMALL_VALUES};
    for (guint value = 0; value < SMALL_VALUES; value++) {
        guint32 class = class_at(runs, &run, value);

        g_array_append_val(tables->smalls, class);
    }
}

static void put_word(VhFwTables *tables, const GArray *runs, struct vh_fw_table *table)
{
    guint run = 0;

    *table = (struct vh_fw_table){tables->words->len, WORD_VALUES / 2};
    for (guint value = 0; value < WORD_VALUES; value += 2) {
        guint32 pair[2];

        pair[0] = class_at(runs, &run, value);
        pair[1] = class_at(runs, &run, value + 1);
        g_array_append_val(tables->words, pair);
    }
}

static void put_edges(VhFwTables *tables, const GArray *runs, struct vh_fw_table *table)
{
    *table = (struct vh_fw_table){tables->edges->len, runs->len};
    for (guint i = 0; i < runs->len; i++) {
        const struct run *run = &g_array_index(runs, struct run, i);
        struct vh_fw_edge edge = {
            .high = (guint64)(run->from >> 64), .low = (guint64)run->from, .class = run->class};

        g_array_append_val(tables->edges, edge);
    }
}

static bool is_looked_at(const GArray *rows, guint field)
{
    for (guint i = 0; i < rows->len; i++) {
        if (g_array_index(rows, struct vh_fw_row, i).field[field])
            return true;
    }
    return false;
}

static void put_fields(struct maker *maker, const GArray *rows, bool v6)
{
    VhFwTables *tables = maker->tables;

    for (guint field = 0; field < VH_FW_FIELDS && !maker->full; field++) {
        struct vh_fw_table *table = &tables->config.table[v6][field];
        g_autoptr(GArray) runs = NULL;

        /* One field is looked at in any case: else no row would be found. */
        if (!is_looked_at(rows, field) && field != VH_FW_PROTO)
            continue;
        runs = runs_of(maker, rows, (enum vh_fw_field)field, v6);
        if (field < VH_FW_FRAG)
            put_small(tables, runs, table);
        else if (field < VH_FW_SADDR)
            put_word(tables, runs, table);
        else
            put_edges(tables, runs, table);
        maker->full |= tables->edges->len > VH_FW_EDGES_MAX;
    }
}

static void put_actions(VhFwTables *tables, const GArray *rows, bool v6)
{
    tables->config.rows[v6] = rows->len;
    tables->config.first_row[v6] = tables->actions->len;
    for (guint i = 0; i < rows->len; i++) {
        const struct vh_fw_row *row = &g_array_index(rows, struct vh_fw_row, i);
        guint argument = row->target;
        guint32 action = 0;

        if (row->action == VH_FW_DROP) {
            argument = tables->droppers->len;
            g_array_append_val(tables->droppers, row->rule);
        }
        action = VH_FW_ROW(row->action, argument);
        g_array_append_val(tables->actions, action);
    }
}

static VhFwTables *tables_new(void)
{
    VhFwTables *tables = g_new0(VhFwTables, 1);

    tables->blocks = g_array_new(FALSE, FALSE, sizeof(struct vh_fw_block));
    tables->classes = g_array_new(FALSE, FALSE, sizeof(struct vh_fw_class));
    tables->smalls = g_array_new(FALSE, FALSE, sizeof(guint32));
    tables->words = g_array_new(FALSE, FALSE, sizeof(guint32[2]));
    tables->edges = g_array_new(FALSE, FALSE, sizeof(struct vh_fw_edge));
    tables->actions = g_array_new(FALSE, FALSE, sizeof(guint32));
    tables->droppers = g_array_new(FALSE, FALSE, sizeof(gpointer));
    return tables;
}

void vh_fw_tables_free(VhFwTables *tables)
{
    if (!tables)
        return;
    g_array_unref(tables->blocks);
    g_array_unref(tables->classes);
    g_array_unref(tables->smalls);
    g_array_unref(tables->words);
    g_array_unref(tables->edges);
    g_array_unref(tables->actions);
    g_array_unref(tables->droppers);
    g_free(tables);
}

VhFwTables *vh_fw_tables_new(const VhFwRows *rows, GError **error)
{
    g_autoptr(VhFwTables) tables = tables_new();
    g_autoptr(GHashTable) blocks = g_hash_table_new_full(block_hash, block_equal, g_free, NULL);
    g_autoptr(GHashTable) classes = g_hash_table_new_full(class_hash, class_equal, g_free, NULL);
    g_autofree struct maker *maker = g_new0(struct maker, 1);
    static const struct vh_fw_block empty;

    maker->tables = tables;
    maker->blocks = blocks;
    maker->classes = classes;
    block_number(maker, &empty);
    for (guint v6 = 0; v6 < 2; v6++) {
        if (rows->rows[v6]->len)
            put_fields(maker, rows->rows[v6], v6);
        put_actions(tables, rows->rows[v6], v6);
    }
    if (!maker->full)
        return g_steal_pointer(&tables);
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                "the rules tell more kinds of packets apart than the limit of %u",
                VH_FW_CLASSES_MAX);
    return NULL;
}

gsize vh_fw_tables_bytes(const VhFwTables *tables)
{
    return tables->blocks->len * sizeof(struct vh_fw_block) +
           tables->classes->len * sizeof(struct vh_fw_class) +
           tables->edges->len * sizeof(struct vh_fw_edge) +
           ((gsize)tables->smalls->len + tables->words->len + tables->actions->len) * 8;
}

/* ---- asking them ---- */

static guint32 class_of(const VhFwTables *tables, bool v6, guint field, vh_u128 value)
{
    const struct vh_fw_table *table = &tables->config.table[v6][field];
    guint found = 0;

    if (field < VH_FW_FRAG)
        return g_array_index(tables->smalls, guint32, table->base + (guint)value);
    if (field < VH_FW_SADDR)
        return (&g_array_index(tables->words, guint32, 2 * table->base))[(guint)value];
    for (guint i = 1; i < table->count; i++) {
        const struct vh_fw_edge *edge =
            &g_array_index(tables->edges, struct vh_fw_edge, table->base + i);

        if (((vh_u128)edge->high << 64 | edge->low) <= value)
            found = i;
    }
    return g_array_index(tables->edges, struct vh_fw_edge, table->base + found).class;
}

static bool row_takes(const VhFwTables *tables, bool v6, guint row, const guint32 *classes)
{
    for (guint field = 0; field < VH_FW_FIELDS; field++) {
        const struct vh_fw_class *class = NULL;
        const struct vh_fw_block *block = NULL;

        if (!tables->config.table[v6][field].count)
            continue;
        class = &g_array_index(tables->classes, struct vh_fw_class, classes[field]);
        block = &g_array_index(tables->blocks, struct vh_fw_block, class->block[row / BLOCK_ROWS]);
        if (!(block->words[row % BLOCK_ROWS / 64] >> row % 64 & 1))
            return false;
    }
    return true;
}

enum vh_fw_action vh_fw_tables_ask(const VhFwTables *tables, bool v6,
                                   const vh_u128 value[VH_FW_FIELDS])
{
    guint32 classes[VH_FW_FIELDS] = {0};

    for (guint field = 0; field < VH_FW_FIELDS; field++) {
        if (tables->config.table[v6][field].count)
            classes[field] = class_of(tables, v6, field, value[field]);
    }
    for (guint row = 0; row < tables->config.rows[v6];) {
        guint32 action = 0;

        if (!row_takes(tables, v6, row++, classes))
            continue;
        action = g_array_index(tables->actions, guint32, tables->config.first_row[v6] + row - 1);
        if ((action & 3) != VH_FW_ROW_GOTO)
            return (enum vh_fw_action)(action & 3);
        row = action >> 2;
    }
    return VH_FW_PASS;
}
