// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl top: a live view of guests, their vCPUs, where these run and why. Keys: q ends, s goes
// to the next order, g, w, r, h choose one, the arrows and pages scroll.
#include <curses.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"
#include "ctl/top.h"

#define BATCH_US (G_USEC_PER_SEC / 2) /* between the two looks that --batch takes */
#define HEAD_LINES 3
#define PATIENCE_US G_USEC_PER_SEC /* with a daemon, before it is said not to answer */

struct top {
    VhTopLooker *looker;
    gint64 interval;              /* us, between looks */
    struct vh_top_sample *sample; /* NULL: none yet */
    GPtrArray *rows;              /* of it, in order */
    enum vh_top_order order;
    guint first;   /* row at the top */
    char *problem; /* why the sample is old; NULL: it is not */
    bool looking;  /* a look is under way */
    gint64 next;   /* when to look again, monotonic us */
    gint64 asked;  /* when the first look began that has had no answer; 0: all have */
};

/* ---- looking ---- */

/* All times are the monotonic clock's, in us. */
static void look(struct top *top, gint64 now)
{
    struct vh_top_sample *sample = NULL;
    char *problem = NULL;

    if (vh_top_looker_take(top->looker, &sample, &problem)) {
        top->looking = false;
        g_free(top->problem);
        top->problem = problem;
    }
    if (sample) {
        top->asked = 0;
        g_ptr_array_set_size(top->rows, 0);
        g_ptr_array_extend(top->rows, sample->rows, NULL, NULL);
        vh_top_sort(top->rows, top->order);
        vh_top_sample_free(top->sample);
        top->sample = sample;
    }
    if (top->looking || now < top->next)
        return;
    top->looking = true;
    top->next = now + top->interval;
    if (!top->asked)
        top->asked = now;
    vh_top_looker_ask(top->looker, top->sample);
}

/* What is to be said of the daemon; NULL: all is well. g_free() it. */
static char *complaint(const struct top *top, gint64 now)
{
    if (top->looking && now - top->asked >= PATIENCE_US)
        return g_strdup_printf("vhintd does not answer for %u s",
                               (guint)((now - top->asked) / G_USEC_PER_SEC));
    return g_strdup(top->problem);
}

/* ---- drawing ---- */

/* Writes as much of a printable text as `width` columns take. */
static void put(int y, int x, int width, const char *text)
{
    const char *end = text;
    int used = 0;

    for (; *end; end = g_utf8_next_char(end)) {
        int wide = vh_text_char_width(g_utf8_get_char(end));

        if (used + wide > width)
            break;
        used += wide;
    }
    if (width > 0)
        mvaddnstr(y, x, text, (int)(end - text));
}

static void draw_head(const struct top *top, const char *problem)
{
    g_autofree char *line = NULL;

    if (top->sample)
        line =
            g_strdup_printf("vhint: %u guests, %u connected, %u vCPUs; by %s", top->sample->guests,
                            top->sample->connected, top->rows->len, vh_top_order_names[top->order]);
    attron(A_BOLD);
    put(0, 0, COLS, line ? line : "vhint");
    attroff(A_BOLD);
    if (problem) {
        attron(A_REVERSE);
        put(1, 0, COLS, problem);
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
        for (guint i = 0; i < top->rows->len; i++) {
            g_autofree char *cell = vh_top_cell(g_ptr_array_index(top->rows, i), column);

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

static void draw(struct top *top, gint64 now)
{
    g_autofree char *problem = complaint(top, now);
    int widths[VH_TOP_COLUMNS];

    erase();
    draw_head(top, problem);
    if (top->sample) {
        guint count = top->rows->len;
        guint room = LINES > HEAD_LINES ? (guint)(LINES - HEAD_LINES) : 0;

        top->first = MIN(top->first, count > room ? count - room : 0);
        find_widths(top, widths);
        attron(A_UNDERLINE);
        draw_row(HEAD_LINES - 1, widths, NULL);
        attroff(A_UNDERLINE);
        attron(problem ? A_DIM : A_NORMAL);
        for (guint i = 0; i < room && top->first + i < count; i++)
            draw_row(HEAD_LINES + (int)i, widths, g_ptr_array_index(top->rows, top->first + i));
        attroff(A_DIM);
    }
    refresh();
}

/* ---- keys ---- */

static void set_order(struct top *top, enum vh_top_order order)
{
    top->order = order;
    top->first = 0;
    vh_top_sort(top->rows, order);
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

/* Until there is a key, something looked at or, at `until`, something to say. Returns false: the
 * terminal has gone. */
static bool wait_for_any(const struct top *top, gint64 until)
{
    struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {vh_top_looker_fd(top->looker), POLLIN, 0}};
    gint64 left = CLAMP(until - g_get_monotonic_time(), 0, PATIENCE_US);

    /* A new size of the terminal interrupts it, unless it has come just now, and is a key then. */
    return poll(fds, G_N_ELEMENTS(fds), (int)(left / 1000) + 1) < 0 ||
           !(fds[0].revents & (POLLHUP | POLLERR));
}

/* Until q; a key, a new size (KEY_RESIZE), a new sample and, while there is none, each second draw
 * anew. */
static void live(struct top *top)
{
    bool on = true;

    timeout(0);
    while (on) {
        gint64 now = g_get_monotonic_time();
        int key = ERR;

        look(top, now);
        /* The first picture is a whole one, unless that takes long. */
        if (top->sample || !top->looking || now - top->asked >= PATIENCE_US)
            draw(top, now);
        on = wait_for_any(top, top->looking ? now + PATIENCE_US : top->next);
        while (on && (key = getch()) != ERR) {
            on = on_key(top, key);
            /* Before getch shows what is left of the former size. */
            if (key == KEY_RESIZE)
                draw(top, now);
        }
    }
}

/* ---- once ---- */

static void print_json(const struct vh_top_sample *sample)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;

    json_builder_begin_array(builder);
    for (guint i = 0; i < sample->rows->len; i++) {
        const struct vh_top_row *row = g_ptr_array_index(sample->rows, i);
        const struct {
            const char *name;
            double value;
        } numbers[] = {{"vcpu", row->vcpu}, {"thread", row->thread},
                       {"cpu", row->cpu},   {"run", row->run},
                       {"wait", row->wait}, {"hints_per_second", row->hints}};

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
    vh_ctl_print_json(root);
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
    vh_top_sort(sample->rows, VH_TOP_GUEST);
    if (ctl->json) {
        print_json(sample);
    } else {
        g_autoptr(VhTable) table = vh_table_new(vh_top_columns);

        for (guint i = 0; i < sample->rows->len * VH_TOP_COLUMNS; i++) {
            g_autofree char *cell = vh_top_cell(g_ptr_array_index(sample->rows, i / VH_TOP_COLUMNS),
                                                i % VH_TOP_COLUMNS);

            vh_table_add(table, cell);
        }
        vh_table_print(table);
    }
    vh_top_sample_free(sample);
    return VH_EXIT_OK;
}

int vh_ctl_top(struct vh_ctl *ctl, GError **error)
{
    struct top top = {.interval = (gint64)(ctl->interval * G_USEC_PER_SEC)};
    SCREEN *screen = NULL;

    if (ctl->batch || ctl->json)
        return batch(ctl, error);
    if (!(ctl->interval >= 0.1 && ctl->interval <= 3600)) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE,
                    "--interval takes seconds from 0.1 to 3600");
        return -1;
    }
    screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? newterm(NULL, stdout, stdin) : NULL;
    if (!screen) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE,
                    "top needs a terminal that $TERM names: without one, use --batch");
        return -1;
    }
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    top.rows = g_ptr_array_new();
    top.looker = vh_top_looker_new(ctl);
    live(&top);
    endwin();
    delscreen(screen);
    vh_top_looker_free(top.looker);
    g_ptr_array_unref(top.rows);
    vh_top_sample_free(top.sample);
    g_free(top.problem);
    return VH_EXIT_OK;
}
