// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl record: writes guests and their hints into a file, until it is interrupted.
//
// The watch is opened first, then come all guests and the facts that hold, then what the watch has.
// So nothing is missed; what comes twice does no harm, as a hint is a level. In the end come all
// facts once more. The daemon tells of no guest that came or changed, so it is asked when a guest's
// hint comes, at most once a second for each.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "ctl/ctl.h"
#include "forecast/recording.h"

#define ASK_AGAIN_US G_USEC_PER_SEC

struct known {
    gint64 asked;
    char *line; /* what was written of it, from time 0 */
};

struct record {
    struct vh_ctl *ctl;
    const char *path;
    FILE *out;
    gint64 began;
    GHashTable *known; /* name -> struct known */
    guint64 hints;
    GError **error;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static void known_free(gpointer data)
{
    g_free(((struct known *)data)->line);
    g_free(data);
}

/* Takes `line` over. -1 and an error: the file is good up to the line before. */
static int put(const struct record *record, char *line)
{
    g_autofree char *owned = line;
    g_autofree char *escaped = vh_json_escape(owned);

    if (fprintf(record->out, "%s\n", escaped) < 0 || fflush(record->out) != 0) {
        g_set_error(record->error, VH_CTL_ERROR, VH_EXIT_REFUSED,
                    "cannot write %s: %s: it ends after %" G_GUINT64_FORMAT " hints", record->path,
                    g_strerror(errno), record->hints);
        return -1;
    }
    return 0;
}

static gint64 elapsed(const struct record *record)
{
    return g_get_monotonic_time() - record->began;
}

/* Writes what is told of the guest, if it is not what was written before. */
static int put_guest(struct record *record, GVariant *details)
{
    struct vh_forecast_guest *guest = vh_ctl_told_guest(details);
    g_autofree char *name = g_strdup(guest->name);
    g_autofree char *plain = vh_recording_guest(0, guest);
    g_autofree char *timed = vh_recording_guest(elapsed(record), guest);
    const struct known *before = g_hash_table_lookup(record->known, name);
    bool same = before && before->line && g_str_equal(before->line, plain);
    struct known *known = g_new0(struct known, 1);

    vh_forecast_guest_free(guest);
    known->asked = g_get_monotonic_time();
    known->line = g_steal_pointer(&plain);
    g_hash_table_replace(record->known, g_steal_pointer(&name), known);
    return same ? 0 : put(record, g_steal_pointer(&timed));
}

static int put_facts(struct record *record, const char *guest)
{
    g_autoptr(GError) gone = NULL;
    g_autoptr(GVariant) answer = vh_ctl_list_hints(record->ctl, guest, &gone);
    g_autofree const char **lines = NULL;

    if (!answer)
        return 0; /* the guest has left meanwhile */
    g_variant_get(answer, "(^a&s)", &lines);
    if (put(record, vh_recording_facts(elapsed(record), guest, g_strv_length((char **)lines))) < 0)
        return -1;
    for (guint i = 0; lines[i]; i++) {
        if (put(record, vh_recording_hint(elapsed(record), lines[i])) < 0)
            return -1;
    }
    return 0;
}

static int put_beginning(struct record *record, const char *only)
{
    g_autoptr(GVariant) guests = vh_ctl_get_guests(record->ctl, only, record->error);
    g_autofree char *present = NULL;

    if (!guests)
        return -1;
    (void)g_file_get_contents("/sys/devices/system/cpu/online", &present, NULL, NULL);
    if (put(record, vh_recording_head(g_get_host_name(), present ? g_strchomp(present) : "")) < 0)
        return -1;
    for (gsize i = 0; i < g_variant_n_children(guests); i++) {
        g_autoptr(GVariant) details = g_variant_get_child_value(guests, i);
        const char *name = "";

        (void)g_variant_lookup(details, "name", "&s", &name);
        if (put_guest(record, details) < 0 || put_facts(record, name) < 0)
            return -1;
    }
    return 0;
}

/* Asks for the guest again if that is due. */
static int look_again(struct record *record, const char *name)
{
    const struct known *known = g_hash_table_lookup(record->known, name);
    g_autoptr(GError) failed = NULL;
    g_autoptr(GVariant) guests = NULL;
    g_autoptr(GVariant) details = NULL;

    if (known && g_get_monotonic_time() - known->asked < ASK_AGAIN_US)
        return 0;
    guests = vh_ctl_get_guests(record->ctl, name, &failed);
    if (!guests && g_error_matches(failed, VH_ERROR, VH_ERROR_NO_SUCH_GUEST)) {
        g_hash_table_remove(record->known, name);
        return put(record, vh_recording_gone(elapsed(record), name));
    }
    if (!guests) {
        g_propagate_error(record->error, g_steal_pointer(&failed));
        return -1;
    }
    details = g_variant_get_child_value(guests, 0);
    return put_guest(record, details);
}

static int put_line(struct record *record, const char *line)
{
    g_autoptr(JsonNode) root = vh_json_parse(line, strlen(line), NULL);
    JsonObject *object = vh_json_object(root);
    const char *guest = vh_json_member_text(object, "guest", NULL);

    if (!object)
        return 0;
    if (guest && look_again(record, guest) < 0)
        return -1;
    if (guest && !g_hash_table_contains(record->known, guest))
        return 0; /* it has left */
    record->hints += guest != NULL;
    return put(record, vh_recording_hint(elapsed(record), line));
}

/* What holds in the end. Between, a lost hint, or a fact that a snapshot took away, may have left
 * it unclear. */
static int put_end(struct record *record)
{
    g_autofree const char **names =
        (const char **)g_hash_table_get_keys_as_array(record->known, NULL);

    for (guint i = 0; names[i]; i++)
        if (put_facts(record, names[i]) < 0)
            return -1;
    return 0;
}

/* Until interrupted, or --count. Returns an exit code, or -1 and an error. */
static int follow(struct record *record, FILE *pipe)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len = 0;
    int result = VH_EXIT_OK;
    guint64 until = record->ctl->count > 0 ? (guint64)record->ctl->count : G_MAXUINT64;

    while (!interrupted && result == VH_EXIT_OK && record->hints < until &&
           (len = getline(&line, &room, pipe)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        if (put_line(record, line) < 0)
            result = -1;
    }
    free(line);
    if (result == VH_EXIT_OK && !interrupted && record->hints < until) {
        g_set_error(record->error, VH_CTL_ERROR, VH_EXIT_UNREACHABLE,
                    "vhintd at %s has ended the watch; %s has what came until then",
                    record->ctl->socket, record->path);
        return -1;
    }
    return result;
}

static int run(struct record *record)
{
    const char *guest = record->ctl->args[1] ? record->ctl->args[1] : "";
    FILE *pipe = vh_ctl_open_watch(record->ctl, guest, record->error);
    int result = -1;

    if (!pipe)
        return -1;
    if (put_beginning(record, *guest ? guest : NULL) == 0) {
        if (!record->ctl->json)
            fprintf(stderr, "recording %u guest%s into %s; interrupt (Ctrl-C) to end it\n",
                    g_hash_table_size(record->known),
                    g_hash_table_size(record->known) == 1 ? "" : "s", record->path);
        result = follow(record, pipe);
        if (result == VH_EXIT_OK && put_end(record) < 0)
            result = -1;
    }
    fclose(pipe);
    return result;
}

int vh_ctl_record(struct vh_ctl *ctl, GError **error)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: reading is to end */
    struct record record = {.ctl = ctl, .path = ctl->args[0], .error = error};
    int fd = open(ctl->args[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    int result = 0;

    if (fd < 0) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "%s: %s%s", ctl->args[0], g_strerror(errno),
                    errno == EEXIST ? ": name another file" : "");
        return -1;
    }
    record.out = fdopen(fd, "w");
    record.began = g_get_monotonic_time();
    record.known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, known_free);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    (void)signal(
        SIGXFSZ,
        SIG_IGN); /* a file that may not grow is told as any other that cannot be written */
    result = run(&record);
    g_hash_table_unref(record.known);
    if (fclose(record.out) != 0 && result >= 0) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_REFUSED, "cannot write %s: %s", ctl->args[0],
                    g_strerror(errno));
        return -1;
    }
    if (result == VH_EXIT_OK && !ctl->json)
        fprintf(stderr, "%" G_GUINT64_FORMAT " hints recorded\n", record.hints);
    return result;
}
