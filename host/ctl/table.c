// SPDX-License-Identifier: GPL-2.0-or-later
// Text for people, in columns.
#include <stdio.h>
#include <unistd.h>

#include "ctl/ctl.h"

struct VhTable {
    const char *const *columns;
    guint count;
    GPtrArray *cells; /* char *, row by row */
};

VhTable *vh_table_new(const char *const *columns)
{
    VhTable *table = g_new0(VhTable, 1);
    table->columns = columns;
    table->count = g_strv_length((char **)columns);
    table->cells = g_ptr_array_new_with_free_func(g_free);
    return table;
}

void vh_table_add(VhTable *table, const char *text)
{
    g_ptr_array_add(table->cells, vh_text_printable(text, false));
}

void vh_table_addf(VhTable *table, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    vh_table_add(table, text);
}

static void print_row(const char *const *cells, guint count, const int *widths)
{
    for (guint i = 0; i < count; i++) {
        fputs(cells[i], stdout);
        if (i + 1 < count)
            printf("%*s", widths[i] - vh_text_width(cells[i]) + 2, "");
    }
}

void vh_table_print(const VhTable *table)
{
    g_autofree int *widths = g_new0(int, table->count);
    for (guint i = 0; i < table->count; i++)
        widths[i] = vh_text_width(table->columns[i]);
    for (guint i = 0; i < table->cells->len; i++)
        widths[i % table->count] =
            MAX(widths[i % table->count], vh_text_width(g_ptr_array_index(table->cells, i)));

    bool bold = isatty(STDOUT_FILENO) && g_getenv("NO_COLOR") == NULL;
    fputs(bold ? "\033[1m" : "", stdout);
    print_row(table->columns, table->count, widths);
    puts(bold ? "\033[0m" : "");
    for (guint row = 0; row + table->count <= table->cells->len; row += table->count) {
        print_row((const char *const *)table->cells->pdata + row, table->count, widths);
        putchar('\n');
    }
}

void vh_table_free(VhTable *table)
{
    g_ptr_array_unref(table->cells);
    g_free(table);
}
