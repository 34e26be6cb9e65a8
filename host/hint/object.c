// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a BPF object's outline, manifest and BTF.
#include "hint/object.h"

#include <elf.h>
#include <errno.h>
#include <libelf.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "hint/btf.h"
#include "msg.h"

#define REMEDY "compile it with clang -O2 -g -target bpf -c"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Elf, elf_end)

static void free_object(gpointer data)
{
    VhObject *object = data;

    for (guint i = 0; i < object->kind_count; i++)
        g_free(object->kinds[i].name);
    g_free(object->kinds);
    g_free(object->version);
    g_free(object->digest_hex);
    g_bytes_unref(object->bytes);
    btf__free(object->btf);
}

VhObject *vh_object_ref(VhObject *object)
{
    return g_atomic_rc_box_acquire(object);
}

void vh_object_unref(VhObject *object)
{
    g_atomic_rc_box_release_full(object, free_object);
}

const struct vh_kind *vh_object_kind(const VhObject *object, uint16_t number)
{
    for (guint i = 0; i < object->kind_count; i++)
        if (object->kinds[i].number == number)
            return &object->kinds[i];
    return NULL;
}

static int refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static int refuse(GError **error, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, VH_ERROR, VH_ERROR_INVALID_OBJECT, text);
    return -1;
}

/* Size, magic and machine, and that no section ends beyond the object. 0 or -1. */
static int check_outline(const uint8_t *data, gsize size, GError **error)
{
    Elf64_Ehdr header;

    if (size > VH_OBJECT_MAX)
        return refuse(error,
                      "the object has %zu bytes, the limit is %u: strip it with llvm-strip -g",
                      size, VH_OBJECT_MAX);
    if (size < sizeof(header) || memcmp(data, ELFMAG, SELFMAG) != 0)
        return refuse(error, "not a BPF object (it is no ELF file): " REMEDY);
    memcpy(&header, data, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_type != ET_REL || header.e_machine != EM_BPF)
        return refuse(error, "not a BPF object (an ELF file for machine %u, type %u): " REMEDY,
                      header.e_machine, header.e_type);
    if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shoff > size ||
        (size - header.e_shoff) / sizeof(Elf64_Shdr) < header.e_shnum)
        return refuse(
            error,
            "the object is cut off: its section table should end at byte %" G_GUINT64_FORMAT
            " of %zu: copy it again",
            (guint64)header.e_shoff + (guint64)header.e_shnum * sizeof(Elf64_Shdr), size);
    for (guint i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;

        memcpy(&section, data + header.e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
            (section.sh_offset > size || size - section.sh_offset < section.sh_size))
            return refuse(
                error, "the object is cut off: its section %u ends beyond byte %zu: copy it again",
                i, size);
    }
    return 0;
}

/* The bytes of the first section called `name`; NULL: there is none. */
static Elf_Data *find_section(Elf *elf, const char *name)
{
    size_t names = 0;
    Elf_Scn *section = NULL;

    if (elf_getshdrstrndx(elf, &names) < 0)
        return NULL;
    while ((section = elf_nextscn(elf, section))) {
        const void *at = elf64_getshdr(section); /* in the object itself, at any byte */
        const char *found = NULL;
        Elf64_Shdr header;

        if (!at)
            continue;
        memcpy(&header, at, sizeof(header));
        found = elf_strptr(elf, names, header.sh_name);
        if (found && g_str_equal(found, name) && header.sh_type == SHT_PROGBITS)
            return elf_rawdata(section, NULL);
    }
    return NULL;
}

/* *btf stays NULL for an object that has none. 0 or -1. */
static int read_btf(Elf *elf, struct btf **btf, GError **error)
{
    Elf_Data *data = find_section(elf, ".BTF");
    struct btf_header header;
    struct btf *made = NULL;

    if (!data || !data->d_buf)
        return 0;
    if (data->d_size < sizeof(header))
        return refuse(error, "its BTF is cut off: " REMEDY);
    memcpy(&header, data->d_buf, sizeof(header));
    if (header.magic != BTF_MAGIC || header.version != BTF_VERSION ||
        header.hdr_len != sizeof(header))
        return refuse(error, "its BTF has an unknown header: " REMEDY);
    made = btf__new(data->d_buf, (uint32_t)data->d_size);
    if (!made)
        return refuse(error, "its BTF is malformed (%s): " REMEDY, g_strerror(errno));
    *btf = made;
    return 0;
}

/* The BTF struct behind a "hint" line: its first member must be the header. 0 or -1. */
static int resolve_kind(VhObject *object, struct vh_kind *kind, GError **error)
{
    const struct btf_type *type = NULL;
    const struct btf_type *head = NULL;
    const char *head_name = NULL;
    int id =
        object->btf ? btf__find_by_name_kind(object->btf, kind->name, BTF_KIND_STRUCT) : -ENOENT;
    int size = 0;

    if (id < 0)
        return refuse(
            error,
            "the manifest's hint %u is a struct %s, which its BTF does not describe: " REMEDY
            " and declare the kind with VH_HINT",
            kind->number, kind->name);
    size = vh_btf_check(object->btf, (uint32_t)id, error);
    if (size < 0)
        return -1;
    type = btf__type_by_id(object->btf, (uint32_t)id);
    head = btf_vlen(type) ? vh_btf_strip(object->btf, btf_members(type)[0].type) : NULL;
    head_name =
        head && btf_is_struct(head) ? btf__name_by_offset(object->btf, head->name_off) : NULL;
    if (!head_name || !g_str_equal(head_name, "vh_hint") || head->size != sizeof(struct vh_hint))
        return refuse(error, "struct %s of hint %u does not begin with struct vh_hint", kind->name,
                      kind->number);
    kind->size = (uint32_t)size;
    kind->type = (uint32_t)id;
    kind->btf = object->btf;
    return 0;
}

static uint64_t next_serial(void)
{
    static uint64_t last; /* objects are read by several threads */

    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

static int take_hint_line(VhObject *object, char **words, const char *line, GError **error)
{
    guint64 number = 0;
    struct vh_kind kind = {0};

    if (!g_ascii_string_to_unsigned(words[1], 10, 1, UINT16_MAX, &number, NULL))
        return refuse(error, "manifest line \"%s\": the kind is not a number from 1 to %u", line,
                      UINT16_MAX);
    if (vh_object_kind(object, (uint16_t)number))
        return refuse(error, "manifest line \"%s\": kind %u is declared twice", line,
                      (guint)number);
    if (object->kind_count == VH_KINDS_MAX)
        return refuse(error, "manifest line \"%s\": more than %u kinds of hints", line,
                      VH_KINDS_MAX);
    kind.number = (uint16_t)number;
    kind.name = words[2];
    if (resolve_kind(object, &kind, error) < 0)
        return -1;
    kind.name = g_strdup(kind.name);
    kind.serial = next_serial();
    kind.object = object;
    object->kinds[object->kind_count++] = kind;
    return 0;
}

static int take_line(VhObject *object, const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    guint count = g_strv_length(words);

    if (count == 3 && g_str_equal(words[0], "hint"))
        return take_hint_line(object, words, line, error);
    if (count != 3 || !g_str_equal(words[0], "program"))
        return refuse(
            error,
            "manifest line \"%s\" is unknown; a line is \"program NAME VERSION\" or \"hint NUMBER "
            "STRUCT\": use VH_PROGRAM and VH_HINT of this version's vhint.bpf.h",
            line);
    if (object->version)
        return refuse(error, "manifest line \"%s\": the program is named twice", line);
    if (!vh_name_valid(words[1]))
        return refuse(error,
                      "manifest line \"%s\": a name has 1 to %u characters of A-Z a-z 0-9 _ . -",
                      line, VH_NAME_SIZE - 1);
    g_strlcpy(object->name, words[1], sizeof(object->name));
    object->version = g_strdup(words[2]);
    return 0;
}

/* The section is the manifest's string constants as the compiler laid them out, NULs and padding
 * between them. */
static int read_manifest(VhObject *object, Elf *elf, GError **error)
{
    Elf_Data *data = find_section(elf, ".vhint");
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(GStrv) lines = NULL;

    if (!data)
        return 0;
    if (data->d_size > VH_MANIFEST_MAX)
        return refuse(error, "its manifest has %zu bytes, the limit is %u", data->d_size,
                      VH_MANIFEST_MAX);
    for (size_t i = 0; i < data->d_size; i++)
        if (((const char *)data->d_buf)[i])
            g_string_append_c(text, ((const char *)data->d_buf)[i]);
    if (!g_utf8_validate(text->str, (gssize)text->len, NULL))
        return refuse(error, "its manifest is not text");
    lines = g_strsplit(text->str, "\n", -1);
    for (guint i = 0; lines[i]; i++)
        if (*lines[i] && take_line(object, lines[i], error) < 0)
            return -1;
    return object->version
               ? 0
               : refuse(error, "its manifest does not name the program: use VH_PROGRAM");
}

static void set_digest(VhObject *object)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize size = 0;
    const guchar *data = g_bytes_get_data(object->bytes, &size);
    gsize len = sizeof(object->digest);

    g_checksum_update(sum, data, (gssize)size);
    object->digest_hex = g_strdup(g_checksum_get_string(sum));
    g_checksum_get_digest(sum, object->digest, &len);
}

VhObject *vh_object_read(GBytes *bytes, const char *fallback, GError **error)
{
    gsize size = 0;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autoptr(VhObject) object = NULL;
    g_autoptr(Elf) elf = NULL;

    if (check_outline(data, size, error) < 0)
        return NULL;
    elf_version(EV_CURRENT);
    elf = elf_memory((char *)data, size);
    if (!elf) {
        refuse(error, "not a BPF object (%s): " REMEDY, elf_errmsg(-1));
        return NULL;
    }
    object = g_atomic_rc_box_new0(VhObject);
    object->bytes = g_bytes_ref(bytes);
    object->kinds = g_new0(struct vh_kind, VH_KINDS_MAX);
    if (read_btf(elf, &object->btf, error) < 0 || read_manifest(object, elf, error) < 0)
        return NULL;
    if (!object->version) {
        if (!vh_name_valid(fallback)) {
            g_set_error(
                error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                *fallback
                    ? "\"%s\" is no name for a program: 1 to %u characters of A-Z a-z 0-9 _ . -"
                    : "the object has no manifest and%s no name was given: name it (up to %u "
                      "characters)",
                fallback, VH_NAME_SIZE - 1);
            return NULL;
        }
        g_strlcpy(object->name, fallback, sizeof(object->name));
        object->version = g_strdup("");
    }
    set_digest(object);
    return g_steal_pointer(&object);
}
