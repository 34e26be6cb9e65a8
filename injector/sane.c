// SPDX-License-Identifier: GPL-2.0-or-later
// Checks an object's sections, symbols and relocations: see sane.h.
#include "sane.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "wire.h"

#define REMEDY "copy the object again, or compile it with an unmodified clang -g -target bpf"

struct elf {
    const uint8_t *bytes;
    size_t size;
    Elf64_Ehdr header;
    uint32_t symbols; /* the section; 0: none */
    char *text;
};

static int refuse(const struct elf *elf, const char *what, uint32_t section)
{
    snprintf(elf->text, VH_TEXT_MAX, "its section %u %s: " REMEDY, section, what);
    return -EINVAL;
}

static Elf64_Shdr section_of(const struct elf *elf, uint32_t index)
{
    Elf64_Shdr section;

    memcpy(&section, elf->bytes + elf->header.e_shoff + index * sizeof(section), sizeof(section));
    return section;
}

static int check_header(struct elf *elf)
{
    Elf64_Ehdr *h = &elf->header;

    if (elf->size < sizeof(*h) || memcmp(elf->bytes, ELFMAG, SELFMAG) != 0) {
        snprintf(elf->text, VH_TEXT_MAX, "not a BPF object that can be opened: it is no ELF file");
        return -EINVAL;
    }
    memcpy(h, elf->bytes, sizeof(*h));
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
        h->e_type != ET_REL || h->e_machine != EM_BPF) {
        snprintf(elf->text, VH_TEXT_MAX,
                 "not a BPF object that can be opened: an ELF file for machine %u, type %u",
                 h->e_machine, h->e_type);
        return -EINVAL;
    }
    if (h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shoff > elf->size || h->e_shnum == 0 ||
        h->e_shoff % 8 != 0 || (elf->size - h->e_shoff) / sizeof(Elf64_Shdr) < h->e_shnum ||
        h->e_shstrndx >= h->e_shnum) {
        snprintf(elf->text, VH_TEXT_MAX,
                 "not a BPF object that can be opened: its section table is not whole: " REMEDY);
        return -EINVAL;
    }
    return 0;
}

/* Bytes of a string table, which ends with a NUL; 0: it is none. */
static size_t strings_size(const struct elf *elf, uint32_t index)
{
    Elf64_Shdr section;

    if (index == 0 || index >= elf->header.e_shnum)
        return 0;
    section = section_of(elf, index);
    if (section.sh_type != SHT_STRTAB || section.sh_size == 0 ||
        elf->bytes[section.sh_offset + section.sh_size - 1] != 0)
        return 0;
    return section.sh_size;
}

/* The outline alone: whatever is looked at later lies within the object. */
static int check_bounds(struct elf *elf)
{
    for (uint32_t i = 0; i < elf->header.e_shnum; i++) {
        Elf64_Shdr section = section_of(elf, i);

        if (section.sh_type == SHT_NULL)
            continue;
        if (section.sh_addralign > 4096 || (section.sh_addralign & (section.sh_addralign - 1)))
            return refuse(elf, "has an odd alignment", i);
        if (section.sh_type == SHT_NOBITS && section.sh_size > UINT32_MAX)
            return refuse(elf, "is larger than any map", i);
        if (section.sh_type == SHT_NOBITS)
            continue;
        if (section.sh_offset > elf->size || elf->size - section.sh_offset < section.sh_size)
            return refuse(elf, "ends beyond the object", i);
        if (section.sh_addralign > 1 && section.sh_offset % section.sh_addralign)
            return refuse(elf, "is not aligned as it says", i);
    }
    return 0;
}

static int check_names(struct elf *elf)
{
    size_t size = strings_size(elf, elf->header.e_shstrndx);

    for (uint32_t i = 0; i < elf->header.e_shnum; i++) {
        if (section_of(elf, i).sh_name >= size)
            return refuse(elf, "has a name outside of the string table", i);
    }
    return 0;
}

static int check_symbols(struct elf *elf, uint32_t index)
{
    Elf64_Shdr table = section_of(elf, index);
    size_t names = strings_size(elf, table.sh_link);

    if (elf->symbols)
        return refuse(elf, "is one more table of symbols", index);
    elf->symbols = index;
    if (table.sh_entsize != sizeof(Elf64_Sym) || table.sh_size % sizeof(Elf64_Sym) ||
        table.sh_offset % 8)
        return refuse(elf, "is no table of symbols", index);
    for (size_t at = 0; at < table.sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        Elf64_Shdr section;

        memcpy(&symbol, elf->bytes + table.sh_offset + at, sizeof(symbol));
        if (symbol.st_name >= names)
            return refuse(elf, "has a symbol whose name is outside of the string table", index);
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS)
            continue;
        if (symbol.st_shndx >= elf->header.e_shnum)
            return refuse(elf, "has a symbol of a section that is not there", index);
        section = section_of(elf, symbol.st_shndx);
        if (symbol.st_value > section.sh_size || section.sh_size - symbol.st_value < symbol.st_size)
            return refuse(elf, "has a symbol outside of its section", index);
    }
    return 0;
}

static int check_relocations(struct elf *elf, uint32_t index)
{
    Elf64_Shdr table = section_of(elf, index);
    Elf64_Shdr target;
    size_t symbols;

    if (table.sh_entsize != sizeof(Elf64_Rel) || table.sh_size % sizeof(Elf64_Rel) ||
        table.sh_offset % 8 || table.sh_info == 0 || table.sh_info >= elf->header.e_shnum ||
        table.sh_link != elf->symbols || !elf->symbols)
        return refuse(elf, "is no table of relocations", index);
    target = section_of(elf, table.sh_info);
    symbols = section_of(elf, elf->symbols).sh_size / sizeof(Elf64_Sym);
    for (size_t at = 0; at < table.sh_size; at += sizeof(Elf64_Rel)) {
        Elf64_Rel relocation;

        memcpy(&relocation, elf->bytes + table.sh_offset + at, sizeof(relocation));
        if (ELF64_R_SYM(relocation.r_info) >= symbols)
            return refuse(elf, "has a relocation to a symbol that is not there", index);
        if (target.sh_size < 4 || relocation.r_offset > target.sh_size - 4)
            return refuse(elf, "has a relocation outside of its section", index);
    }
    return 0;
}

/* Each section of this type. */
static int check_each(struct elf *elf, uint32_t type, int (*check)(struct elf *elf, uint32_t index))
{
    int error = 0;

    for (uint32_t i = 1; i < elf->header.e_shnum && error == 0; i++) {
        if (section_of(elf, i).sh_type == type)
            error = check(elf, i);
    }
    return error;
}

/* Instructions have 8 bytes, and text of the object's own is read to its end. */
static int check_contents(struct elf *elf, uint32_t index)
{
    Elf64_Shdr names = section_of(elf, elf->header.e_shstrndx);
    Elf64_Shdr section = section_of(elf, index);
    const char *name = (const char *)elf->bytes + names.sh_offset + section.sh_name;
    const uint8_t *bytes = elf->bytes + section.sh_offset;

    if (section.sh_flags & SHF_EXECINSTR && (section.sh_size % 8 || section.sh_offset % 8))
        return refuse(elf, "has half an instruction", index);
    if (strcmp(name, ".BTF") == 0)
        return vh_sane_btf(bytes, section.sh_size, elf->text);
    if (strcmp(name, ".BTF.ext") == 0)
        return vh_sane_btf_ext(bytes, section.sh_size, elf->text);
    return 0;
}

int vh_sane_object(const uint8_t *bytes, size_t size, char *text)
{
    struct elf elf = {.bytes = bytes, .size = size, .text = text};
    int error = check_header(&elf);

    if (error == 0)
        error = check_bounds(&elf);
    if (error == 0)
        error = check_names(&elf);
    if (error == 0)
        error = check_each(&elf, SHT_SYMTAB, check_symbols);
    if (error == 0)
        error = check_each(&elf, SHT_REL, check_relocations);
    if (error == 0)
        error = check_each(&elf, SHT_PROGBITS, check_contents);
    return error;
}
