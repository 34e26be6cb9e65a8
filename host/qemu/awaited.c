// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the commands that a monitor has not answered yet.
#include "qemu/awaited.h"

struct pending {
    gint64 id;
    gint64 until; /* monotonic time, us */
    VhQmpReply reply;
    gpointer data;
};

struct VhAwaited {
    GPtrArray *list; /* struct pending, by id */
    gint64 last_id;
    guint patience; /* ms */
    guint timer;    /* for the first; 0: there is none */
    void (*overdue)(gpointer data);
    gpointer data;
};

static void set_timer(VhAwaited *awaited);

static gboolean on_timer(gpointer data)
{
    VhAwaited *awaited = data;
    const struct pending *first = g_ptr_array_index(awaited->list, 0);

    awaited->timer = 0;
    if (first->until <= g_get_monotonic_time())
        awaited->overdue(awaited->data);
    else
        set_timer(awaited);
    return G_SOURCE_REMOVE;
}

/* Runs while anybody waits. It may ring for a command that was answered: then the next one's time
 * has not come. */
static void set_timer(VhAwaited *awaited)
{
    const struct pending *first = awaited->list->len ? g_ptr_array_index(awaited->list, 0) : NULL;
    gint64 left = first ? first->until - g_get_monotonic_time() : 0;

    if (!first)
        g_clear_handle_id(&awaited->timer, g_source_remove);
    else if (!awaited->timer)
        awaited->timer = g_timeout_add((guint)(MAX(left, 0) / 1000) + 1, on_timer, awaited);
}

VhAwaited *vh_awaited_new(void (*overdue)(gpointer data), gpointer data)
{
    VhAwaited *awaited = g_new0(VhAwaited, 1);

    awaited->list = g_ptr_array_new();
    awaited->patience = VH_QMP_PATIENCE_MS;
    awaited->overdue = overdue;
    awaited->data = data;
    return awaited;
}

void vh_awaited_free(VhAwaited *awaited)
{
    g_assert(awaited->list->len == 0);
    g_ptr_array_unref(awaited->list);
    g_free(awaited);
}

void vh_awaited_set_patience(VhAwaited *awaited, guint ms)
{
    awaited->patience = ms;
}

guint vh_awaited_count(const VhAwaited *awaited)
{
    return awaited->list->len;
}

gint64 vh_awaited_add(VhAwaited *awaited, VhQmpReply reply, gpointer data)
{
    struct pending *pending = g_new0(struct pending, 1);

    *pending = (struct pending){.id = ++awaited->last_id,
                                .until = g_get_monotonic_time() + awaited->patience * 1000,
                                .reply = reply,
                                .data = data};
    g_ptr_array_add(awaited->list, pending);
    set_timer(awaited);
    return pending->id;
}

/* Ends the wait of the one at `position`. */
static void end(VhAwaited *awaited, guint position, JsonNode *result, const char *error)
{
    g_autofree struct pending *pending = g_ptr_array_steal_index(awaited->list, position);

    set_timer(awaited);
    if (pending->reply)
        pending->reply(result, result ? NULL : error, pending->data);
}

bool vh_awaited_answer(VhAwaited *awaited, gint64 id, JsonNode *result, const char *error)
{
    g_assert(result || error);
    for (guint i = 0; i < awaited->list->len; i++) {
        if (((const struct pending *)g_ptr_array_index(awaited->list, i))->id != id)
            continue;
        end(awaited, i, result, error);
        return true;
    }
    return false;
}

guint vh_awaited_fail(VhAwaited *awaited, const char *why)
{
    guint count = 0;

    for (; awaited->list->len; count++)
        end(awaited, 0, NULL, why);
    return count;
}
