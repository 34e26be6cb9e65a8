/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/manager/watch.c: who sees which hints. */
#include "base/error.h"
#include "lib/herdsman.h"

struct watcher {
    VhManager *manager;
    guint id;
    GString *seen;
    bool once; /* unwatches itself */
};

static void on_line(const char *line, gsize len, gpointer data)
{
    struct watcher *watcher = data;

    g_string_append_len(watcher->seen, line, (gssize)len);
    if (watcher->once)
        vh_manager_unwatch(watcher->manager, watcher->id);
}

static void begin(struct watcher *watcher, struct herdsman *f, const char *guest)
{
    g_autoptr(GError) error = NULL;

    *watcher = (struct watcher){.manager = &f->manager, .seen = g_string_new(NULL)};
    watcher->id = vh_manager_watch(&f->manager, guest, on_line, watcher, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(watcher->id, >, 0);
}

static void end(struct watcher *watcher)
{
    g_string_free(watcher->seen, TRUE);
}

static void hint(struct vh_entry *entry, const char *text)
{
    g_autoptr(GString) line = g_string_new(text);

    entry->guest->funcs->watch(entry->guest, line, entry->guest->data);
}

static bool is_watched(struct vh_entry *entry)
{
    return entry->guest->funcs->watched(entry->guest, entry->guest->data);
}

static void test_who_sees_what(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 0, 0);
    struct vh_entry *db = herd_add(&f->herd, "db", 0, 0);
    struct watcher of_web;
    struct watcher of_all;

    g_assert_false(is_watched(web)); /* then no line is made at all */
    begin(&of_web, f, "web");
    begin(&of_all, f, "");
    g_assert_cmpuint(of_web.id, !=, of_all.id);
    g_assert_true(is_watched(web));
    hint(web, "a");
    hint(db, "b");
    hint(web, "c");
    g_assert_cmpstr(of_web.seen->str, ==, "ac");
    g_assert_cmpstr(of_all.seen->str, ==, "abc");
    vh_manager_unwatch(&f->manager, of_all.id);
    hint(web, "d");
    g_assert_cmpstr(of_web.seen->str, ==, "acd");
    g_assert_cmpstr(of_all.seen->str, ==, "abc");
    vh_manager_unwatch(&f->manager, of_web.id);
    g_assert_false(is_watched(web));
    vh_manager_unwatch(&f->manager, of_web.id); /* again: nothing happens */
    end(&of_web);
    end(&of_all);
}

/* One of three ends its own watch while all are told. */
static void test_ends_itself(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 0, 0);

    for (guint which = 0; which < 3; which++) {
        struct watcher watchers[3];

        for (guint i = 0; i < 3; i++)
            begin(&watchers[i], f, "web");
        watchers[which].once = true;
        hint(web, "a");
        hint(web, "b");
        for (guint i = 0; i < 3; i++) {
            g_assert_cmpstr(watchers[i].seen->str, ==, i == which ? "a" : "ab");
            vh_manager_unwatch(&f->manager, watchers[i].id);
            end(&watchers[i]);
        }
    }
}

static void test_unknown(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(vh_manager_watch(&f->manager, "nobody", on_line, NULL, &error), ==, 0);
    g_assert_error(error, VH_ERROR, VH_ERROR_NO_SUCH_GUEST);
    g_assert_cmpuint(f->manager.watchers->len, ==, 0);
}

#define ADD(name, func) \
    g_test_add("/watchers/" name, struct herdsman, NULL, herdsman_begin, func, herdsman_end)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("who-sees-what", test_who_sees_what);
    ADD("ends-itself", test_ends_itself);
    ADD("unknown", test_unknown);
    return g_test_run();
}
