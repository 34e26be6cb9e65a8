// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl inject: reads an object and its tunables and hands both to the daemon.
#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

static GVariant *file_error(GError **error, const char *path, const char *why)
{
    g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "cannot read the object %s: %s", path, why);
    return NULL;
}

/* The file's bytes as `ay`. Also reads what is no regular file, such as /dev/stdin. */
static GVariant *read_object(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(error, path, g_strerror(errno));
    g_autofree guint8 *data = g_malloc(VH_OBJECT_MAX + 1u);
    gsize size = 0;
    ssize_t n = 0;
    do {
        n = read(fd, data + size, VH_OBJECT_MAX + 1u - size);
        size += n > 0 ? (gsize)n : 0;
    } while (size <= VH_OBJECT_MAX && (n > 0 || (n < 0 && errno == EINTR)));
    int failed = n < 0 ? errno : 0;
    close(fd);
    if (failed)
        return file_error(error, path, g_strerror(failed));
    if (size > VH_OBJECT_MAX)
        return file_error(error, path,
                          "it is over 16 MiB, the limit: strip its debug sections with llvm-strip "
                          "-g, which keeps BTF");
    guint8 *exact = g_realloc(g_steal_pointer(&data), size);
    return g_variant_new_from_data(G_VARIANT_TYPE_BYTESTRING, exact, size, TRUE, g_free, exact);
}

/* The pairs for the daemon, each name once. */
struct pairs {
    GHashTable *seen;
    GVariantBuilder builder;
};

/* "NAME=VALUE" as it was given to `option`; `prefix` goes before the name. 0 or -1. */
static int add_pair(struct pairs *pairs, const char *option, const char *prefix, const char *text,
                    GError **error)
{
    const char *equals = strchr(text, '=');
    g_autofree char *name =
        g_strdup_printf("%s%.*s", prefix, equals ? (int)(equals - text) : 0, text);
    if (strlen(name) == strlen(prefix)) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "%s %s: it is given as NAME=%s", option,
                    text, *prefix ? "ENTRIES" : "VALUE");
        return -1;
    }
    if (!g_hash_table_add(pairs->seen, g_strdup(name))) {
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "%s %s: this is given twice", option, text);
        return -1;
    }
    g_variant_builder_add(&pairs->builder, "{ss}", name, equals + 1);
    return 0;
}

static int add_all(struct pairs *pairs, const char *option, const char *prefix, char **list,
                   GError **error)
{
    for (; list != NULL && *list != NULL; list++)
        if (add_pair(pairs, option, prefix, *list, error) < 0)
            return -1;
    return 0;
}

/* a{ss} of the tunables, and of the load's options: their names begin with a dot. */
static GVariant *read_tunables(const struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    struct pairs pairs = {.seen = seen};
    g_variant_builder_init(&pairs.builder, G_VARIANT_TYPE("a{ss}"));
    if (add_all(&pairs, "--set", "", ctl->set, error) < 0 ||
        add_all(&pairs, "--map", ".map.", ctl->map, error) < 0) {
        g_variant_builder_clear(&pairs.builder);
        return NULL;
    }
    if (ctl->partial)
        g_variant_builder_add(&pairs.builder, "{ss}", ".partial", "true");
    if (ctl->every)
        g_variant_builder_add(&pairs.builder, "{ss}", ".every", ctl->every);
    return g_variant_builder_end(&pairs.builder);
}

/* What an object without a manifest is called unless --name says: as its file, without ".o" or
 * ".bpf.o". */
static char *name_of_file(const char *path)
{
    char *name = g_path_get_basename(path);
    if (g_str_has_suffix(name, ".o"))
        name[strlen(name) - strlen(".o")] = '\0';
    if (g_str_has_suffix(name, ".bpf"))
        name[strlen(name) - strlen(".bpf")] = '\0';
    g_strcanon(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_.-", '_');
    if (name[0] == '.' || name[0] == '-')
        name[0] = '_';
    if (strlen(name) >= VH_NAME_SIZE)
        name[VH_NAME_SIZE - 1] = '\0';
    return name;
}

int vh_ctl_inject(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) tunables = read_tunables(ctl, error);
    if (tunables == NULL)
        return -1;
    GVariant *object = read_object(ctl->args[1], error);
    if (object == NULL)
        return -1;
    g_autofree char *name = ctl->name ? g_strdup(ctl->name) : name_of_file(ctl->args[1]);
    GVariant *parameters = g_variant_new("(ss@ay@a{ss}b)", ctl->args[0], name, object,
                                         g_steal_pointer(&tunables), ctl->replace);
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, "Inject", parameters, "(a{sv})", true, NULL, error);
    if (answer == NULL) {
        g_prefix_error(error, "%s: ", ctl->args[1]);
        return -1;
    }
    g_autoptr(GVariant) program = g_variant_get_child_value(answer, 0);
    if (ctl->json) {
        vh_ctl_print_variant_json(program);
        return VH_EXIT_OK;
    }
    const char *made = "?", *version = "", *problem = "";
    guint32 attached = 0;
    (void)g_variant_lookup(program, "name", "&s", &made);
    (void)g_variant_lookup(program, "version", "&s", &version);
    (void)g_variant_lookup(program, "attached", "u", &attached);
    (void)g_variant_lookup(program, "problem", "&s", &problem);
    g_autofree char *line = g_strdup_printf(
        "injected %s%s%s into %s: %u BPF program%s attached%s%s", made, version[0] ? " " : "",
        version, ctl->args[0], attached, attached == 1 ? "" : "s", problem[0] ? "; " : "", problem);
    g_autofree char *printable = vh_text_printable(line, false);
    puts(printable);
    return VH_EXIT_OK;
}
