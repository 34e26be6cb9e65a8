// SPDX-License-Identifier: GPL-2.0-or-later
// Reads what vhint.conf says to the daemon itself.
#include "config/vhintd.h"

#include <stdbool.h>
#include <string.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/file.h"
#include "base/keytext.h"
#include "base/loopback.h"
#include "base/nearest.h"
#include "offload.h"

#define GUEST "guest "
#define RUN_DIR "/run/vhint"

/* The file while it is read. */
struct source {
    const char *path;
    const GPtrArray *entries; /* struct vh_keytext_entry */
    VhConfig *config;
    GPtrArray *problems; /* char *: what is wrong with it */
};

static const char *const daemon_keys[] = {"run-dir",     "state-dir",  "control",
                                          "program-dir", "policy-dir", "journal",
                                          "metrics",     "injector",   "successor-timeout",
#if VH_NET_KINDS
                                          "offload-dir", "bpf-dir",
#endif
                                          NULL};
static const char *const libvirt_keys[] = {"uri", "hook", NULL};
const char *const vh_config_guest_keys[] = {"qmp", "channel", "agent", "uuid", "profile", NULL};

static void guest_free(gpointer data)
{
    struct vh_config_guest *guest = data;

    g_free(guest->name);
    g_free(guest->title);
    g_free(guest->uuid);
    g_free(guest->profile);
    g_free(guest->qmp);
    g_free(guest->channel);
    g_free(guest->agent);
    g_free(guest);
}

void vh_config_free(VhConfig *config)
{
    if (!config)
        return;
    g_free(config->path);
    g_free(config->run_dir);
    g_free(config->state_dir);
    g_free(config->control);
    g_free(config->program_dir);
    g_free(config->policy_dir);
    g_free(config->journal);
    g_free(config->injector);
    g_free(config->metrics);
    g_free(config->offload_dir);
    g_free(config->bpf_dir);
    g_free(config->libvirt);
    g_free(config->hook);
    g_ptr_array_unref(config->guests);
    g_free(config);
}

/* `key` NULL: the section's header. NULL: there is none. */
static const struct vh_keytext_entry *find(const struct source *source, const char *section,
                                           const char *key)
{
    for (guint i = 0; i < source->entries->len; i++) {
        const struct vh_keytext_entry *entry = g_ptr_array_index(source->entries, i);

        if (g_str_equal(entry->section, section) && g_strcmp0(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

/* Notes the problem "PATH:LINE: [SECTION] KEY: text"; `key` may be NULL. Reading goes on. */
static void refuse(const struct source *source, const char *section, const char *key,
                   const char *format, ...) G_GNUC_PRINTF(4, 5);
static void refuse(const struct source *source, const char *section, const char *key,
                   const char *format, ...)
{
    const struct vh_keytext_entry *entry = find(source, section, key);
    g_autofree char *line = entry ? g_strdup_printf(":%u", entry->line) : g_strdup("");
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(source->problems,
                    g_strdup_printf("%s%s: [%s]%s%s: %s", source->path, line, section,
                                    key ? " " : "", key ? key : "", text));
}

static void check_keys(const struct source *source, const char *section, const char *const *known)
{
    for (guint i = 0; i < source->entries->len; i++) {
        const struct vh_keytext_entry *entry = g_ptr_array_index(source->entries, i);
        const char *best = NULL;

        if (!entry->key || !g_str_equal(entry->section, section) ||
            g_strv_contains(known, entry->key))
            continue;
        best = vh_nearest(entry->key, known);
        refuse(source, section, entry->key, "unknown key; did you mean \"%s\"?",
               best ? best : known[0]);
    }
}

static const char *get(const struct source *source, const char *section, const char *key,
                       const char *fallback)
{
    const struct vh_keytext_entry *entry = find(source, section, key);

    return entry ? entry->value : fallback;
}

/* An absolute path; `fallback` (NULL: the key is required) when the key is absent. NULL: refused.
 */
static char *get_path(const struct source *source, const char *section, const char *key,
                      const char *fallback, gsize limit)
{
    const char *path = get(source, section, key, fallback);

    if (!path) {
        refuse(source, section, NULL, "the key \"%s\" is missing", key);
        return NULL;
    }
    if (!g_path_is_absolute(path)) {
        refuse(source, section, key, "\"%s\" is not an absolute path: begin it with /", path);
        return NULL;
    }
    if (limit && strlen(path) >= limit) {
        refuse(source, section, key,
               "%s has %zu bytes, a socket's path has at most %zu: use a shorter directory", path,
               strlen(path), limit - 1);
        return NULL;
    }
    return g_strdup(path);
}

#define SOCKET_PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

static void read_metrics(struct source *source)
{
    const char *text = get(source, "daemon", "metrics", NULL);
    g_autoptr(GSocketAddress) address = text ? vh_loopback_parse(text) : NULL;

    if (text && !address)
        refuse(source, "daemon", "metrics",
               "\"%s\" is not an address of this machine alone and a port: write "
               "127.0.0.1:9477, for example",
               text);
    source->config->metrics = g_strdup(text);
}

static void read_successor(struct source *source)
{
    const char *text = get(source, "daemon", "successor-timeout", "30");
    guint64 seconds = 0;

    if (!g_ascii_string_to_unsigned(text, 10, 1, 3600, &seconds, NULL))
        refuse(source, "daemon", "successor-timeout",
               "\"%s\" is not a number of seconds from 1 to 3600", text);
    source->config->successor_seconds = (guint)seconds;
}

/* A file of the run directory, where that is good. g_free() it. */
static char *in_run_dir(const VhConfig *config, const char *name)
{
    return g_build_filename(config->run_dir ? config->run_dir : RUN_DIR, name, NULL);
}

static void read_daemon(struct source *source)
{
    VhConfig *config = source->config;
    g_autofree char *directory = g_path_get_dirname(source->path);
    g_autofree char *absolute = g_canonicalize_filename(directory, NULL);
    g_autofree char *policy = g_build_filename(absolute, "policy.d", NULL);
    g_autofree char *control = NULL;
    g_autofree char *journal = NULL;

    check_keys(source, "daemon", daemon_keys);
    config->run_dir = get_path(source, "daemon", "run-dir", RUN_DIR, 0);
    control = in_run_dir(config, "control");
    journal = in_run_dir(config, "journal");
    config->state_dir = get_path(source, "daemon", "state-dir", "/var/lib/vhint", 0);
    config->control = get_path(source, "daemon", "control", control, SOCKET_PATH_SIZE);
    config->journal = get_path(source, "daemon", "journal", journal, 0);
    config->policy_dir = get_path(source, "daemon", "policy-dir", policy, 0);
    config->program_dir = get_path(source, "daemon", "program-dir", VH_PROGRAM_DIR, 0);
    config->injector = get_path(source, "daemon", "injector", VH_GUEST_INJECTOR, 0);
    config->offload_dir = get_path(source, "daemon", "offload-dir", VH_OFFLOAD_DIR, 0);
    config->bpf_dir = get_path(source, "daemon", "bpf-dir", "/sys/fs/bpf/vhint", 0);
    read_successor(source);
    read_metrics(source);
}

static void read_libvirt(struct source *source)
{
    VhConfig *config = source->config;
    g_autofree char *hook = in_run_dir(config, "hook");

    if (!find(source, "libvirt", NULL)) {
        config->hook = g_steal_pointer(&hook);
        return;
    }
    check_keys(source, "libvirt", libvirt_keys);
    config->hook = get_path(source, "libvirt", "hook", hook, SOCKET_PATH_SIZE);
    config->libvirt = g_strdup(get(source, "libvirt", "uri", "qemu:///system"));
    if (!g_str_has_prefix(config->libvirt, "qemu:///"))
        refuse(source, "libvirt", "uri",
               "\"%s\" is not libvirt's QEMU of this host: write qemu:///system, for example",
               config->libvirt);
}

/* A section without a guest's own keys is policy, and its name a pattern. */
static void read_guest(struct source *source, const char *section)
{
    const char *name = section + strlen(GUEST);
    struct vh_config_guest *guest = NULL;
    bool own = false;

    for (guint i = 0; vh_config_guest_keys[i]; i++)
        own = own || find(source, section, vh_config_guest_keys[i]);
    if (!own)
        return;
    /* The name becomes a directory's and goes into every message. */
    if (!*name || strlen(name) >= 100 || *name == '.' ||
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") !=
            strlen(name)) {
        refuse(source, section, NULL, "a guest's name has 1 to 99 characters of A-Z a-z 0-9 _ . -");
        return;
    }
    guest = g_new0(struct vh_config_guest, 1);
    g_ptr_array_add(source->config->guests, guest);
    guest->name = g_strdup(name);
    guest->title = g_strdup(name);
    guest->uuid = g_strdup(get(source, section, "uuid", ""));
    guest->profile = g_strdup(get(source, section, "profile", ""));
    guest->qmp = get_path(source, section, "qmp", NULL, SOCKET_PATH_SIZE);
    guest->channel = get_path(source, section, "channel", NULL, SOCKET_PATH_SIZE);
    if (find(source, section, "agent"))
        guest->agent = get_path(source, section, "agent", NULL, SOCKET_PATH_SIZE);
}

/* Two guests on one socket would each take half of what it says. */
static void check_sockets(const struct source *source)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < source->config->guests->len; i++) {
        const struct vh_config_guest *guest = g_ptr_array_index(source->config->guests, i);
        g_autofree char *section = g_strconcat(GUEST, guest->name, NULL);

        if (guest->qmp && !g_hash_table_add(seen, guest->qmp))
            refuse(source, section, "qmp", "%s serves another guest already", guest->qmp);
        if (guest->channel && !g_hash_table_add(seen, guest->channel))
            refuse(source, section, "channel",
                   "%s is used already: give each guest sockets of its own", guest->channel);
        if (guest->agent && !g_hash_table_add(seen, guest->agent))
            refuse(source, section, "agent",
                   "%s is used already: give each guest sockets of its own", guest->agent);
    }
}

static void read_sections(struct source *source)
{
    read_daemon(source);
    read_libvirt(source);
    for (guint i = 0; i < source->entries->len; i++) {
        const struct vh_keytext_entry *entry = g_ptr_array_index(source->entries, i);

        if (!entry->key && g_str_has_prefix(entry->section, GUEST))
            read_guest(source, entry->section);
    }
    check_sockets(source);
}

VhConfig *vh_config_load(const char *path, GPtrArray *problems, GError **error)
{
    g_autofree char *text = NULL;
    gsize len = 0;
    g_autoptr(GPtrArray) entries = NULL;
    g_autoptr(VhConfig) config = g_new0(VhConfig, 1);
    struct source source = {.path = path, .config = config, .problems = problems};
    guint known = problems->len;

    config->path = g_strdup(path);
    config->guests = g_ptr_array_new_with_free_func(guest_free);
    if (!vh_file_read(path, &text, &len, error))
        return NULL;
    source.entries = entries = vh_keytext_read(path, text, len, problems);
    if (entries)
        read_sections(&source);
    if (problems->len == known)
        return g_steal_pointer(&config);
    g_set_error_literal(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                        g_ptr_array_index(problems, known));
    return NULL;
}
