// SPDX-License-Identifier: GPL-2.0-or-later
// Checks that BTF refers to what there is: see sane.h. Source of the layout: the kernel's
// Documentation/bpf/btf.rst.
#include <errno.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sane.h"
#include "wire.h"

#define TYPES_MAX 0x000fffffu /* the kernel's own limit */
#define DEPTH_MAX 128u        /* of types within types */
#define UNDER_WAY 255u        /* instead of a height */
#define KIND_ENUM64 19u       /* newer than the oldest headers that we are built with */

struct types {
    const uint8_t *at; /* the type section */
    size_t size;
    const char *strings;
    size_t strings_size;
    uint32_t count; /* types; ids begin with 1, 0 is void */
    char *text;
};

static int refuse(const struct types *types, const char *what)
{
    snprintf(types->text, VH_TEXT_MAX,
             "its BTF %s: compile it with an unmodified clang -g -target bpf", what);
    return -EINVAL;
}

static bool id_good(const struct types *types, uint32_t id)
{
    return id <= types->count;
}

static bool name_good(const struct types *types, uint32_t offset)
{
    return offset < types->strings_size;
}

/* What follows a type: records of one size, whose 32-bit words at these places are names and ids.
 */
struct layout {
    uint32_t record; /* bytes of one; 0: nothing follows */
    bool once;       /* one record, whatever vlen says */
    uint32_t names;  /* bit N: word N is a name */
    uint32_t ids;    /* bit N: word N is an id */
    bool refers;     /* the type's own `type` is an id, not a size */
};

static bool layout_of(uint32_t kind, struct layout *layout)
{
    static const struct layout layouts[] = {
        [BTF_KIND_INT] = {4, true, 0, 0, false},
        [BTF_KIND_PTR] = {0, false, 0, 0, true},
        [BTF_KIND_ARRAY] = {12, true, 0, 3, false},
        [BTF_KIND_STRUCT] = {12, false, 1, 2, false},
        [BTF_KIND_UNION] = {12, false, 1, 2, false},
        [BTF_KIND_ENUM] = {8, false, 1, 0, false},
        [BTF_KIND_FWD] = {0, false, 0, 0, false},
        [BTF_KIND_TYPEDEF] = {0, false, 0, 0, true},
        [BTF_KIND_VOLATILE] = {0, false, 0, 0, true},
        [BTF_KIND_CONST] = {0, false, 0, 0, true},
        [BTF_KIND_RESTRICT] = {0, false, 0, 0, true},
        [BTF_KIND_FUNC] = {0, false, 0, 0, true},
        [BTF_KIND_FUNC_PROTO] = {8, false, 1, 2, true},
        [BTF_KIND_VAR] = {4, true, 0, 0, true},
        [BTF_KIND_DATASEC] = {12, false, 0, 1, false},
        [BTF_KIND_FLOAT] = {0, false, 0, 0, false},
        [BTF_KIND_DECL_TAG] = {4, true, 0, 0, true},
        [BTF_KIND_TYPE_TAG] = {0, false, 0, 0, true},
        [KIND_ENUM64] = {12, false, 1, 0, false},
    };

    *layout = (struct layout){0};
    if (kind == 0 || kind >= sizeof(layouts) / sizeof(layouts[0]))
        return false;
    *layout = layouts[kind];
    return true;
}

static uint32_t records_of(const struct btf_type *type, const struct layout *layout)
{
    if (layout->record == 0)
        return 0;
    return layout->once ? 1 : BTF_INFO_VLEN(type->info);
}

/* The type at `at`, and all that follows it; 0: it is not whole. */
static size_t type_size(const struct types *types, size_t at, struct btf_type *type,
                        struct layout *layout)
{
    size_t size;

    *type = (struct btf_type){0};
    *layout = (struct layout){0};
    if (types->size - at < sizeof(*type))
        return 0;
    memcpy(type, types->at + at, sizeof(*type));
    if (!layout_of(BTF_INFO_KIND(type->info), layout))
        return 0;
    size = sizeof(*type) + (size_t)records_of(type, layout) * layout->record;
    return size <= types->size - at ? size : 0;
}

static bool records_good(const struct types *types, const uint8_t *at, const struct btf_type *type,
                         const struct layout *layout)
{
    for (uint32_t i = 0; i < records_of(type, layout); i++) {
        uint32_t words[3] = {0};

        memcpy(words, at + (size_t)i * layout->record, layout->record);
        for (uint32_t w = 0; w < 3; w++) {
            if ((layout->names >> w & 1 && !name_good(types, words[w])) ||
                (layout->ids >> w & 1 && !id_good(types, words[w])))
                return false;
        }
    }
    return true;
}

/* Where each type is, by its id, once all are known to be whole. */
struct index {
    uint32_t *places;
    uint8_t *heights; /* 0: not walked yet */
};

static void cleanup_index(struct index *index)
{
    free(index->places);
    free(index->heights);
}

static const uint8_t *type_at(const struct types *types, const struct index *index, uint32_t id,
                              struct btf_type *type, struct layout *layout)
{
    const uint8_t *at = types->at + index->places[id];

    memcpy(type, at, sizeof(*type));
    layout_of(BTF_INFO_KIND(type->info), layout);
    return at + sizeof(*type);
}

/* 0: void. */
static uint32_t kind_of(const struct types *types, const struct index *index, uint32_t id)
{
    struct btf_type type;
    struct layout layout;

    if (id == 0)
        return BTF_KIND_UNKN;
    type_at(types, index, id, &type, &layout);
    return BTF_INFO_KIND(type.info);
}

/* Is what a type refers to of a kind that it can refer to? Others take it for that. */
static bool kinds_good(const struct types *types, const struct index *index, uint32_t id)
{
    struct btf_type type;
    struct layout layout;
    const uint8_t *records = type_at(types, index, id, &type, &layout);
    uint32_t kind = BTF_INFO_KIND(type.info);
    uint32_t referred = layout.refers ? kind_of(types, index, type.type) : BTF_KIND_UNKN;

    if (kind == BTF_KIND_FUNC)
        return referred == BTF_KIND_FUNC_PROTO;
    if (kind == BTF_KIND_VAR)
        return referred != BTF_KIND_UNKN && referred != BTF_KIND_FUNC;
    for (uint32_t i = 0; kind == BTF_KIND_DATASEC && i < BTF_INFO_VLEN(type.info); i++) {
        struct btf_var_secinfo info;

        memcpy(&info, records + (size_t)i * sizeof(info), sizeof(info));
        referred = kind_of(types, index, info.type);
        if (referred != BTF_KIND_VAR && referred != BTF_KIND_FUNC)
            return false;
    }
    return true;
}

/* The id of the part number `i` that a type is made of. Pointers and functions only refer. False:
 * it has no such part. */
static bool part_of(const struct btf_type *type, const struct layout *layout,
                    const uint8_t *records, uint32_t i, uint32_t *id)
{
    uint32_t kind = BTF_INFO_KIND(type->info);

    if (kind == BTF_KIND_ARRAY && i == 0) {
        memcpy(id, records, sizeof(*id));
        return true;
    }
    if ((kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION) && i < records_of(type, layout)) {
        memcpy(id, records + (size_t)i * layout->record + 4, sizeof(*id));
        return true;
    }
    *id = type->type;
    return i == 0 && layout->refers && kind != BTF_KIND_PTR && kind != BTF_KIND_FUNC &&
           kind != BTF_KIND_FUNC_PROTO;
}

/* How many types stand within one another, this one included; 0: too many, or it contains itself,
 * or is a name for itself, and would be walked for ever. */
static uint8_t height_of(const struct types *types, const struct index *index, uint32_t id,
                         uint32_t depth)
{
    struct btf_type type;
    struct layout layout;
    const uint8_t *records;
    uint8_t height = 1;
    uint32_t inner;

    if (id == 0)
        return 1;
    if (index->heights[id] == UNDER_WAY || depth > DEPTH_MAX)
        return 0;
    if (index->heights[id] > 0)
        return index->heights[id];
    records = type_at(types, index, id, &type, &layout);
    index->heights[id] = UNDER_WAY;
    for (uint32_t i = 0; part_of(&type, &layout, records, i, &inner); i++) {
        uint8_t of = height_of(types, index, inner, depth + 1);

        if (of == 0 || of >= DEPTH_MAX)
            return 0;
        height = height > of ? height : (uint8_t)(of + 1);
    }
    index->heights[id] = height;
    return height;
}

/* Counts the types, and finds each whole. */
static int measure(struct types *types)
{
    struct btf_type type;
    struct layout layout;
    size_t size;

    for (size_t at = 0; at < types->size; at += size) {
        size = type_size(types, at, &type, &layout);
        if (size == 0 || ++types->count > TYPES_MAX)
            return refuse(types, "has a type that is not whole, or of no known kind");
    }
    return 0;
}

static int check_types(const struct types *types)
{
    __attribute__((cleanup(cleanup_index))) struct index index = {
        .places = calloc(types->count + 1u, sizeof(uint32_t)),
        .heights = calloc(types->count + 1u, 1),
    };
    struct btf_type type;
    struct layout layout;
    uint32_t id = 0;
    size_t size;

    if (!index.places || !index.heights)
        return -ENOMEM;
    for (size_t at = 0; at < types->size; at += size) {
        size = type_size(types, at, &type, &layout);
        index.places[++id] = (uint32_t)at;
        if (!name_good(types, type.name_off))
            return refuse(types, "has a name outside of its strings");
        if ((layout.refers && !id_good(types, type.type)) ||
            !records_good(types, types->at + at + sizeof(type), &type, &layout))
            return refuse(types, "refers to a name or type that is not there");
    }
    for (id = 1; id <= types->count; id++) {
        if (!kinds_good(types, &index, id))
            return refuse(types, "refers to a type of the wrong kind");
        if (height_of(types, &index, id, 0) == 0)
            return refuse(types, "has a type that contains itself, or is nested too deeply");
    }
    return 0;
}

int vh_sane_btf(const uint8_t *bytes, size_t size, char *text)
{
    struct types types = {.text = text};
    struct btf_header h;
    size_t body = size - sizeof(h);

    if (size < sizeof(h))
        return refuse(&types, "is cut off");
    memcpy(&h, bytes, sizeof(h));
    if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.hdr_len != sizeof(h))
        return refuse(&types, "has an unknown header");
    if (h.type_off > body || body - h.type_off < h.type_len || h.str_off > body ||
        body - h.str_off < h.str_len || h.str_len == 0 || h.type_off % 4)
        return refuse(&types, "is cut off");
    types.at = bytes + sizeof(h) + h.type_off;
    types.size = h.type_len;
    types.strings = (const char *)bytes + sizeof(h) + h.str_off;
    types.strings_size = h.str_len;
    if (types.strings[0] != 0 || types.strings[h.str_len - 1] != 0)
        return refuse(&types, "has strings without an end");
    if (measure(&types))
        return -EINVAL;
    return check_types(&types);
}

/* One table: the size of a record, then for each section its name, the number of its records, and
 * these. */
static bool table_good(const uint8_t *at, size_t size, uint32_t smallest)
{
    uint32_t record;

    if (size == 0)
        return true;
    if (size < sizeof(record))
        return false;
    memcpy(&record, at, sizeof(record));
    if (record < smallest || record % 4)
        return false;
    at += sizeof(record);
    size -= sizeof(record);
    while (size > 0) {
        uint32_t head[2];

        if (size < sizeof(head))
            return false;
        memcpy(head, at, sizeof(head));
        size -= sizeof(head);
        at += sizeof(head);
        if (head[1] == 0 || head[1] > size / record)
            return false;
        size -= (size_t)head[1] * record;
        at += (size_t)head[1] * record;
    }
    return true;
}

/* linux/btf.h does not have it: tools/lib/bpf/libbpf_internal.h. */
struct ext_header {
    uint16_t magic;
    uint8_t version;
    uint8_t flags;
    uint32_t hdr_len;
    struct {
        uint32_t off;
        uint32_t len;
    } tables[3]; /* functions, lines, relocations; the last one is not in the oldest */
};

int vh_sane_btf_ext(const uint8_t *bytes, size_t size, char *text)
{
    static const uint32_t smallest[] = {8, 16, 16};
    const struct types types = {.text = text};
    struct ext_header h = {0};
    size_t body;

    if (size < offsetof(struct ext_header, tables[2]))
        return refuse(&types, "about instructions is cut off");
    memcpy(&h, bytes, size < sizeof(h) ? size : sizeof(h));
    if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.hdr_len % 4 || h.hdr_len > size ||
        h.hdr_len < offsetof(struct ext_header, tables[2]))
        return refuse(&types, "about instructions has an unknown header");
    body = size - h.hdr_len;
    for (size_t i = 0; i < (h.hdr_len < sizeof(h) ? 2 : 3); i++) {
        if (h.tables[i].off % 4 || h.tables[i].off > body ||
            body - h.tables[i].off < h.tables[i].len ||
            !table_good(bytes + h.hdr_len + h.tables[i].off, h.tables[i].len, smallest[i]))
            return refuse(&types, "about instructions is not whole");
    }
    return 0;
}
