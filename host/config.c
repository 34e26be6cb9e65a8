// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the configuration file.
#include "config.h"

#include <string.h>
#include <sys/un.h>

#include "error.h"
#include "wire.h"

#define SET "set."

/* The file while it is read. */
struct source {
    const char *path;
    GKeyFile *file;
    GHashTable *lines; /* "section\nkey" or "section" -> line number */
    VhConfig *config;
    GError **error;
};

static const char *const daemon_keys[] = {"run-dir", "state-dir", "control", "program-dir", "journal", NULL};
static const char *const guest_keys[] = {"qmp", "channel", "programs", "pool", "uuid", NULL};
static const char *const libvirt_keys[] = {"uri", "hook", NULL};
static const char *const domain_keys[] = {"programs", "pool", NULL};
static const char *const program_keys[] = {"path", SET "TUNABLE", NULL};

static void program_free(gpointer data)
{
    struct vh_config_program *program = data;

    g_free(program->name);
    g_free(program->path);
    g_ptr_array_unref(program->tunables);
    g_free(program);
}

static void guest_free(gpointer data)
{
    struct vh_config_guest *guest = data;

    g_free(guest->name);
    g_free(guest->uuid);
    g_free(guest->qmp);
    g_free(guest->channel);
    g_ptr_array_unref(guest->programs);
    g_free(guest);
}

void vh_config_free(VhConfig *config)
{
    if (!config)
        return;
    g_free(config->run_dir);
    g_free(config->state_dir);
    g_free(config->control);
    g_free(config->program_dir);
    g_free(config->journal);
    g_free(config->libvirt);
    g_free(config->hook);
    g_ptr_array_unref(config->guests);
    g_ptr_array_unref(config->domains);
    g_ptr_array_unref(config->programs);
    g_free(config);
}

/* Sets the error "PATH:LINE: [SECTION] KEY: text"; `key` may be NULL. Returns -1. */
static int refuse(const struct source *source, const char *section, const char *key, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
static int refuse(const struct source *source, const char *section, const char *key, const char *format, ...)
{
    g_autofree char *where = key ? g_strdup_printf("%s\n%s", section, key) : g_strdup(section);
    int line = GPOINTER_TO_INT(g_hash_table_lookup(source->lines, where));
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (line)
        g_set_error(source->error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "%s:%d: [%s]%s%s: %s", source->path, line,
                    section, key ? " " : "", key ? key : "", text);
    else
        g_set_error(source->error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "%s: [%s]%s%s: %s", source->path, section,
                    key ? " " : "", key ? key : "", text);
    return -1;
}

/* Levenshtein's distance, for words of keys' length. */
static guint distance(const char *a, const char *b)
{
    guint row[64];
    guint width = (guint)strlen(b);

    if (width >= G_N_ELEMENTS(row))
        return G_MAXUINT;
    for (guint j = 0; j <= width; j++)
        row[j] = j;
    for (guint i = 1; a[i - 1]; i++) {
        guint diagonal = row[0];

        row[0] = i;
        for (guint j = 1; j <= width; j++) {
            guint above = row[j];
            guint change = diagonal + (a[i - 1] != b[j - 1]);

            row[j] = MIN(MIN(above, row[j - 1]) + 1, change);
            diagonal = above;
        }
    }
    return row[width];
}

static const char *nearest(const char *word, const char *const *known)
{
    const char *best = known[0];

    for (guint i = 1; known[i]; i++)
        if (distance(word, known[i]) < distance(word, best))
            best = known[i];
    return best;
}

/* GKeyFile does not tell lines, and takes the last of two equal keys. 0 or -1. */
static int number_lines(struct source *source, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *section = g_strdup("");

    for (int i = 0; lines[i]; i++) {
        char *line = g_strstrip(lines[i]);
        char *end = strchr(line, *line == '[' ? ']' : '=');
        g_autofree char *where = NULL;

        if (!end || *line == '#')
            continue;
        *end = 0;
        if (*line == '[') {
            g_free(section);
            section = g_strdup(line + 1);
            where = g_strdup(section);
        } else {
            where = g_strdup_printf("%s\n%s", section, g_strchomp(line));
        }
        if (g_hash_table_contains(source->lines, where))
            return refuse(source, section, *line == '[' ? NULL : line, "is there twice (again in line %d)", i + 1);
        g_hash_table_insert(source->lines, g_steal_pointer(&where), GINT_TO_POINTER(i + 1));
    }
    return 0;
}

static int check_keys(const struct source *source, const char *section, const char *const *known,
                      const char *prefix)
{
    g_auto(GStrv) keys = g_key_file_get_keys(source->file, section, NULL, NULL);

    for (guint i = 0; keys[i]; i++) {
        if (g_strv_contains(known, keys[i]) || (prefix && g_str_has_prefix(keys[i], prefix)))
            continue;
        return refuse(source, section, keys[i], "unknown key; did you mean \"%s\"?", nearest(keys[i], known));
    }
    return 0;
}

/* An absolute path; `fallback` (NULL: the key is required) when the key is absent. NULL: refused. */
static char *get_path(const struct source *source, const char *section, const char *key, const char *fallback,
                      gsize limit)
{
    g_autofree char *path = g_key_file_get_string(source->file, section, key, NULL);

    if (!path && !fallback) {
        refuse(source, section, NULL, "the key \"%s\" is missing", key);
        return NULL;
    }
    if (!path)
        path = g_strdup(fallback);
    if (!g_path_is_absolute(path)) {
        refuse(source, section, key, "\"%s\" is not an absolute path", path);
        return NULL;
    }
    if (limit && strlen(path) >= limit) {
        refuse(source, section, key, "%s has %zu bytes, a socket's path has at most %zu: use a shorter directory",
               path, strlen(path), limit - 1);
        return NULL;
    }
    return g_steal_pointer(&path);
}

#define SOCKET_PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

static int read_daemon(struct source *source)
{
    VhConfig *config = source->config;
    g_autofree char *control = NULL;
    g_autofree char *journal = NULL;

    if (g_key_file_has_group(source->file, "daemon") && check_keys(source, "daemon", daemon_keys, NULL) < 0)
        return -1;
    config->run_dir = get_path(source, "daemon", "run-dir", "/run/vhint", 0);
    config->state_dir = config->run_dir ? get_path(source, "daemon", "state-dir", "/var/lib/vhint", 0) : NULL;
    if (!config->state_dir)
        return -1;
    control = g_build_filename(config->run_dir, "control", NULL);
    journal = g_build_filename(config->run_dir, "journal", NULL);
    config->control = get_path(source, "daemon", "control", control, SOCKET_PATH_SIZE);
    config->journal = config->control ? get_path(source, "daemon", "journal", journal, 0) : NULL;
    config->program_dir = config->journal ? get_path(source, "daemon", "program-dir", VH_PROGRAM_DIR, 0) : NULL;
    return config->program_dir ? 0 : -1;
}

static int read_tunables(const struct source *source, const char *section, GPtrArray *tunables)
{
    g_auto(GStrv) keys = g_key_file_get_keys(source->file, section, NULL, NULL);
    gsize total = 0;

    for (guint i = 0; keys[i]; i++) {
        g_autofree char *value = NULL;

        if (!g_str_has_prefix(keys[i], SET))
            continue;
        value = g_key_file_get_string(source->file, section, keys[i], NULL);
        if (!keys[i][strlen(SET)] || !value)
            return refuse(source, section, keys[i], "a tunable is set by " SET "NAME=VALUE");
        g_ptr_array_add(tunables, g_strdup_printf("%s=%s", keys[i] + strlen(SET), value));
        total += strlen(keys[i]) - strlen(SET) + strlen(value) + 2;
        if (total > VH_TUNABLES_MAX)
            return refuse(source, section, keys[i], "the tunables have more than %u bytes", VH_TUNABLES_MAX);
    }
    return 0;
}

static struct vh_config_program *add_program(VhConfig *config, const char *name, const char *path)
{
    struct vh_config_program *program = g_new0(struct vh_config_program, 1);

    program->name = g_strdup(name);
    program->path = g_strdup(path);
    program->tunables = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(config->programs, program);
    return program;
}

static int read_program(struct source *source, const char *section)
{
    const char *name = section + strlen("program ");
    g_autofree char *file = g_strconcat(name, ".bpf.o", NULL);
    g_autofree char *fallback = g_build_filename(source->config->program_dir, file, NULL);
    g_autofree char *path = NULL;

    if (check_keys(source, section, program_keys, SET) < 0)
        return -1;
    path = get_path(source, section, "path", fallback, 0);
    if (!path)
        return -1;
    return read_tunables(source, section, add_program(source->config, name, path)->tunables);
}

/* A program by the word in a guest's list: a section's name, a path, or a name in program-dir. */
static struct vh_config_program *find_program(VhConfig *config, const char *word)
{
    g_autofree char *base = g_path_get_basename(word);
    g_autofree char *path = NULL;
    char *suffix = NULL;

    for (guint i = 0; i < config->programs->len; i++) {
        struct vh_config_program *program = g_ptr_array_index(config->programs, i);

        if (g_str_equal(program->name, word) || g_str_equal(program->path, word))
            return program;
    }
    suffix = strstr(base, ".bpf.o");
    if (suffix)
        *suffix = 0;
    if (g_path_is_absolute(word)) {
        path = g_strdup(word);
    } else {
        g_autofree char *file = g_strconcat(base, ".bpf.o", NULL);

        path = g_build_filename(config->program_dir, file, NULL);
    }
    return add_program(config, base, path);
}

static int read_pool(const struct source *source, const char *section, struct vh_config_guest *guest)
{
    g_autofree char *pool = g_key_file_get_string(source->file, section, "pool", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *present_text = NULL;
    struct vh_cpuset present, absent;

    if (!pool)
        return 0;
    if (vh_cpuset_parse(&guest->pool, pool, &error) < 0)
        return refuse(source, section, "pool", "%s", error->message);
    if (vh_cpuset_empty(&guest->pool))
        return refuse(source, section, "pool", "names no CPU: leave the key out for all of them");
    guest->has_pool = true;
    if (!g_file_get_contents("/sys/devices/system/cpu/present", &present_text, NULL, NULL) ||
        vh_cpuset_parse(&present, present_text, NULL) < 0)
        return 0;
    absent = guest->pool;
    vh_cpuset_sub(&absent, &present);
    if (!vh_cpuset_empty(&absent))
        return refuse(source, section, "pool", "CPU %d is not on this host (%s)", vh_cpuset_next(&absent, 0),
                      g_strstrip(present_text));
    return 0;
}

/* What a [guest NAME] and a [domain MATCH] have in common. */
static int read_care(const struct source *source, const char *section, struct vh_config_guest *guest)
{
    g_autofree char *list = g_key_file_get_string(source->file, section, "programs", NULL);
    g_auto(GStrv) programs = g_strsplit_set(list ? list : "", ",; ", -1);

    for (guint i = 0; programs[i]; i++) {
        if (*programs[i] && strchr(programs[i], '/') && !g_path_is_absolute(programs[i]))
            return refuse(source, section, "programs", "\"%s\" is neither a name nor an absolute path",
                          programs[i]);
        if (*programs[i])
            g_ptr_array_add(guest->programs, find_program(source->config, programs[i]));
    }
    if (guest->programs->len > VH_PROGRAMS_MAX)
        return refuse(source, section, "programs", "%u programs, the limit is %u", guest->programs->len,
                      VH_PROGRAMS_MAX);
    return read_pool(source, section, guest);
}

static struct vh_config_guest *add_guest(GPtrArray *guests, const char *name)
{
    struct vh_config_guest *guest = g_new0(struct vh_config_guest, 1);

    guest->name = g_strdup(name);
    guest->programs = g_ptr_array_new();
    g_ptr_array_add(guests, guest);
    return guest;
}

static int read_domain(struct source *source, const char *section)
{
    struct vh_config_guest *domain = add_guest(source->config->domains, section + strlen("domain "));

    if (check_keys(source, section, domain_keys, NULL) < 0)
        return -1;
    domain->uuid = g_strdup("");
    if (!*domain->name || g_str_equal(domain->name, "profile:"))
        return refuse(source, section, NULL,
                      "it matches nothing: name a pattern such as web-*, a UUID or profile:NAME");
    return read_care(source, section, domain);
}

static int read_libvirt(struct source *source)
{
    g_autofree char *hook = g_build_filename(source->config->run_dir, "hook", NULL);
    VhConfig *config = source->config;

    if (!g_key_file_has_group(source->file, "libvirt")) {
        if (config->domains->len)
            return refuse(source, "libvirt", NULL,
                          "the section is missing, and there are [domain MATCH] sections");
        return 0;
    }
    if (check_keys(source, "libvirt", libvirt_keys, NULL) < 0)
        return -1;
    config->hook = get_path(source, "libvirt", "hook", hook, SOCKET_PATH_SIZE);
    if (!config->hook)
        return -1;
    config->libvirt = g_key_file_get_string(source->file, "libvirt", "uri", NULL);
    if (!config->libvirt)
        config->libvirt = g_strdup("qemu:///system");
    if (!g_str_has_prefix(config->libvirt, "qemu:///"))
        return refuse(source, "libvirt", "uri", "\"%s\" is not libvirt's QEMU of this host: qemu:///system is",
                      config->libvirt);
    return 0;
}

static int read_guest(struct source *source, const char *section)
{
    const char *name = section + strlen("guest ");
    struct vh_config_guest *guest = add_guest(source->config->guests, name);

    if (check_keys(source, section, guest_keys, NULL) < 0)
        return -1;
    /* The name becomes a directory's and goes into every message. */
    if (!*name || strlen(name) >= 100 || *name == '.' ||
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != strlen(name))
        return refuse(source, section, NULL, "a guest's name has 1 to 99 characters of A-Z a-z 0-9 _ . -");
    guest->uuid = g_key_file_get_string(source->file, section, "uuid", NULL);
    if (!guest->uuid)
        guest->uuid = g_strdup("");
    guest->qmp = get_path(source, section, "qmp", NULL, SOCKET_PATH_SIZE);
    guest->channel = guest->qmp ? get_path(source, section, "channel", NULL, SOCKET_PATH_SIZE) : NULL;
    if (!guest->channel)
        return -1;
    return read_care(source, section, guest);
}

/* Two guests on one socket would each take half of what it says. */
static int check_sockets(const struct source *source)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < source->config->guests->len; i++) {
        const struct vh_config_guest *guest = g_ptr_array_index(source->config->guests, i);
        g_autofree char *section = g_strconcat("guest ", guest->name, NULL);

        if (!g_hash_table_add(seen, guest->qmp))
            return refuse(source, section, "qmp", "%s serves another guest already", guest->qmp);
        if (!g_hash_table_add(seen, guest->channel))
            return refuse(source, section, "channel", "%s is used already", guest->channel);
    }
    return 0;
}

static int read_sections(struct source *source)
{
    static const char *const known[] = {"daemon", "guest", "libvirt", "domain", "program", NULL};
    g_auto(GStrv) sections = g_key_file_get_groups(source->file, NULL);

    if (read_daemon(source) < 0)
        return -1;
    for (guint i = 0; sections[i]; i++)
        if (g_str_has_prefix(sections[i], "program ") && read_program(source, sections[i]) < 0)
            return -1;
    for (guint i = 0; sections[i]; i++) {
        if (g_str_has_prefix(sections[i], "guest ")) {
            if (read_guest(source, sections[i]) < 0)
                return -1;
        } else if (g_str_has_prefix(sections[i], "domain ")) {
            if (read_domain(source, sections[i]) < 0)
                return -1;
        } else if (!g_str_equal(sections[i], "daemon") && !g_str_equal(sections[i], "libvirt") &&
                   !g_str_has_prefix(sections[i], "program ")) {
            g_autofree char *word = g_strndup(sections[i], strcspn(sections[i], " "));
            const char *meant = nearest(word, known);
            bool named = !g_str_equal(meant, "daemon") && !g_str_equal(meant, "libvirt");

            return refuse(source, sections[i], NULL, "unknown section; did you mean [%s%s]?", meant,
                          named ? " NAME" : "");
        }
    }
    return read_libvirt(source) < 0 ? -1 : check_sockets(source);
}

VhConfig *vh_config_load(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GHashTable) lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(VhConfig) config = g_new0(VhConfig, 1);
    struct source source = {.path = path, .file = file, .lines = lines, .config = config, .error = error};

    config->guests = g_ptr_array_new_with_free_func(guest_free);
    config->domains = g_ptr_array_new_with_free_func(guest_free);
    config->programs = g_ptr_array_new_with_free_func(program_free);
    if (!g_file_get_contents(path, &text, NULL, error))
        return NULL;
    if (number_lines(&source, text) < 0)
        return NULL;
    if (!g_key_file_load_from_data(file, text, (gsize)-1, G_KEY_FILE_NONE, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    return read_sections(&source) < 0 ? NULL : g_steal_pointer(&config);
}
