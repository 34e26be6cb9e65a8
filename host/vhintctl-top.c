/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vhintctl top: a live view of guests, their vCPUs, where these run and why. Keys: q ends, s goes to the next
 * order, g, w, r, h choose one, the arrows and pages scroll. */
#include <curses.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhintctl-top.h"

#define BATCH_US (G_USEC_PER_SEC / 2) /* between the two looks that --batch takes */
#define HEAD_LINES 3

struct top {
    struct vh_ctl *ctl;
    struct vh_top_sample *sample; /* NULL: none yet */
    enum vh_top_order order;
    guint first;   /* row at the top */
    char *problem; /* why the sample is old; NULL: it is not */
    gint64 next;   /* when to look again, monotonic us */
};

/* ---- looking ---- */

/* A daemon that went away is sought again every time. */
static void look(struct top *top)
{
    g_autoptr(GError) error = NULL;
    struct vh_top_sample *sample = NULL;

    top->next = g_get_monotonic_time() + (gint64)(top->ctl->interval * G_USEC_PER_SEC);
    if (top->problem) {
        g_clear_object(&top->ctl->connection);
        g_clear_pointer(&top->problem, g_free);
    }
    if (top->ctl->connection || vh_ctl_connect(top->ctl, &error) == 0)
        sample = vh_top_sample(top->ctl, top->sample, &error);
    if (!sample) {
        top->problem = vh_text_printable(error->message, false);
        return;
    }
    vh_top_sample_free(top->sample);
    top->sample = sample;
    vh_top_sort(sample, top->order);
}

/* ---- drawing ---- */

/* Writes as much of a printable text as `width` columns take. */
static void put(int y, int x, int width, const char *text)
{
    const char *end = text;
    int used = 0;

    for (; *end; end = g_utf8_next_char(end)) {
        gunichar c = g_utf8_get_char(end);
        int wide = g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;

        if (used + wide > width)
            break;
        used += wide;
    }
    if (width > 0)
        mvaddnstr(y, x, text, (int)(end - text));
}

static void draw_head(const struct top *top)
{
    g_autofree char *line = NULL;

    if (top->sample)
        line = g_strdup_printf("vhint: %u guests, %u connected, %u vCPUs; by %s", top->sample->guests,
                               top->sample->connected, top->sample->rows->len, vh_top_order_names[top->order]);
    attron(A_BOLD);
    put(0, 0, COLS, line ? line : "vhint");
    attroff(A_BOLD);
    if (top->problem) {
        attron(A_REVERSE);
        put(1, 0, COLS, top->problem);
        attroff(A_REVERSE);
    } else {
        put(1, 0, COLS, "q ends, s sorts (g guest, w wait, r run, h hints), arrows scroll");
    }
}

/* What the widest cell takes in each column; the last has what is left. */
static void find_widths(const struct top *top, int *widths)
{
    for (unsigned column = 0; column < VH_TOP_COLUMNS; column++) {
        widths[column] = vh_text_width(vh_top_columns[column]);
        for (guint i = 0; i < top->sample->rows->len; i++) {
            g_autofree char *cell = vh_top_cell(g_ptr_array_index(top->sample->rows, i), column);

            widths[column] = MAX(widths[column], vh_text_width(cell));
        }
    }
}

static void draw_row(int y, const int *widths, const struct vh_top_row *row)
{
    int x = 0;

    for (unsigned column = 0; column < VH_TOP_COLUMNS && x < COLS; column++) {
        g_autofree char *cell = row ? vh_top_cell(row, column) : g_strdup(vh_top_columns[column]);

        put(y, x, MIN(widths[column], COLS - x), cell);
        x += widths[column] + 2;
    }
}

static void draw(struct top *top)
{
    int widths[VH_TOP_COLUMNS];

    erase();
    draw_head(top);
    if (top->sample) {
        guint count = top->sample->rows->len;
        guint room = LINES > HEAD_LINES ? (guint)(LINES - HEAD_LINES) : 0;

        top->first = MIN(top->first, count > room ? count - room : 0);
        find_widths(top, widths);
        attron(A_UNDERLINE);
        draw_row(HEAD_LINES - 1, widths, NULL);
        attroff(A_UNDERLINE);
        attron(top->problem ? A_DIM : A_NORMAL);
        for (guint i = 0; i < room && top->first + i < count; i++)
            draw_row(HEAD_LINES + (int)i, widths, g_ptr_array_index(top->sample->rows, top->first + i));
        attroff(A_DIM);
    }
    refresh();
}

/* ---- keys ---- */

static void set_order(struct top *top, enum vh_top_order order)
{
    top->order = order;
    top->first = 0;
    if (top->sample)
        vh_top_sort(top->sample, order);
}

/* Returns whether to go on. */
static bool on_key(struct top *top, int key)
{
    static const char choices[] = "gwrh"; /* as enum vh_top_order */
    const char *choice = key > 0 && key < 128 ? strchr(choices, key) : NULL;
    guint page = LINES > HEAD_LINES ? (guint)(LINES - HEAD_LINES) : 1;

    if (choice && *choice)
        set_order(top, (enum vh_top_order)(choice - choices));
    else if (key == 's')
        set_order(top, (top->order + 1) % VH_TOP_ORDER_COUNT);
    else if (key == KEY_DOWN)
        top->first++;
    else if (key == KEY_UP)
        top->first -= top->first > 0;
    else if (key == KEY_NPAGE)
        top->first += page;
    else if (key == KEY_PPAGE)
        top->first -= MIN(top->first, page);
    return key != 'q' && key != 'Q';
}

/* Until q; a key, a new size (KEY_RESIZE) and the time to look each draw anew. */
static void live(struct top *top)
{
    bool on = true;

    while (on) {
        gint64 now = g_get_monotonic_time();
        int key = ERR;

        if (now >= top->next)
            look(top);
        draw(top);
        now = g_get_monotonic_time();
        timeout((int)(MAX(top->next - now, 0) / 1000) + 1);
        key = getch();
        if (key != ERR)
            on = on_key(top, key);
        else if (g_get_monotonic_time() < top->next && !isatty(STDIN_FILENO))
            on = false; /* the terminal has gone */
    }
}

/* ---- once ---- */

static void print_json(const struct vh_top_sample *sample)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_array(builder);
    for (guint i = 0; i < sample->rows->len; i++) {
        const struct vh_top_row *row = g_ptr_array_index(sample->rows, i);
        const struct {
            const char *name;
            double value;
        } numbers[] = {{"vcpu", row->vcpu}, {"thread", row->thread}, {"cpu", row->cpu},
                       {"run", row->run},   {"wait", row->wait},     {"hints_per_second", row->hints}};

        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "guest");
        json_builder_add_string_value(builder, row->guest);
        for (gsize n = 0; n < G_N_ELEMENTS(numbers); n++) {
            json_builder_set_member_name(builder, numbers[n].name);
            if (isnan(numbers[n].value))
                json_builder_add_null_value(builder);
            else if (n < 3)
                json_builder_add_int_value(builder, (gint64)numbers[n].value);
            else
                json_builder_add_double_value(builder, numbers[n].value);
        }
        json_builder_set_member_name(builder, "held_to");
        json_builder_add_string_value(builder, row->held_to);
        json_builder_set_member_name(builder, "reason");
        json_builder_add_string_value(builder, row->reason);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, TRUE);
    puts(text);
}

static int batch(struct vh_ctl *ctl, GError **error)
{
    struct vh_top_sample *before = vh_top_sample(ctl, NULL, error);
    struct vh_top_sample *sample = NULL;

    if (!before)
        return -1;
    g_usleep(BATCH_US);
    sample = vh_top_sample(ctl, before, error);
    vh_top_sample_free(before);
    if (!sample)
        return -1;
    vh_top_sort(sample, VH_TOP_GUEST);
    if (ctl->json) {
        print_json(sample);
    } else {
        g_autoptr(VhTable) table = vh_table_new(vh_top_columns);

        for (guint i = 0; i < sample->rows->len * VH_TOP_COLUMNS; i++) {
            g_autofree char *cell =
                vh_top_cell(g_ptr_array_index(sample->rows, i / VH_TOP_COLUMNS), i % VH_TOP_COLUMNS);

            vh_table_add(table, cell);
        }
        vh_table_print(table);
    }
    vh_top_sample_free(sample);
    return VH_EXIT_OK;
}

int vh_ctl_top(struct vh_ctl *ctl, GError **error)
{
    struct top top = {.ctl = ctl};
    SCREEN *screen = NULL;

    if (ctl->batch || ctl->json)
        return batch(ctl, error);
    if (!(ctl->interval >= 0.1 && ctl->interval <= 3600)) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "--interval takes seconds from 0.1 to 3600");
        return -1;
    }
    screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? newterm(NULL, stdout, stdin) : NULL;
    if (!screen) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE,
                    "top needs a terminal, of a kind that $TERM names: use --batch");
        return -1;
    }
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    live(&top);
    endwin();
    delscreen(screen);
    vh_top_sample_free(top.sample);
    g_free(top.problem);
    return VH_EXIT_OK;
}
