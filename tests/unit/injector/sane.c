/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/sane.c, sane-btf.c: what a compiler makes passes, and what refers to nowhere does not.
 */
#include "sane.h"

#include <bpf/btf.h>
#include <elf.h>
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "wire.h"

static const char *const objects[] = {"rich",     "plain",    "unknown-line", "unknown-kind",
                                      "twice",    "headless", "bad-number",   "bad-name",
                                      "nameless", "tool"};

static uint8_t *read_object(const char *name, size_t *size)
{
    g_autofree char *path = g_strdup_printf("%s/%s.bpf.o", OBJECTS, name);
    char *bytes = NULL;

    g_assert_true(g_file_get_contents(path, &bytes, size, NULL));
    return (uint8_t *)bytes;
}

static void test_good(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(objects); i++) {
        char text[VH_TEXT_MAX + 1] = "";
        size_t size = 0;
        g_autofree uint8_t *bytes = read_object(objects[i], &size);

        g_assert_cmpint(vh_sane_object(bytes, size, text), ==, 0);
        g_assert_cmpstr(text, ==, "");
    }
}

static void assert_bad(const uint8_t *bytes, size_t size, const char *words)
{
    char text[VH_TEXT_MAX + 1] = "";

    g_assert_cmpint(vh_sane_object(bytes, size, text), ==, -EINVAL);
    if (!strstr(text, words))
        g_error("\"%s\" does not say \"%s\"", text, words);
}

/* At every length, and with any byte changed: it is refused or taken, and nothing is read that is
 * not there. */
static void test_damaged(void)
{
    size_t size = 0;
    g_autofree uint8_t *bytes = read_object("rich", &size);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    char text[VH_TEXT_MAX + 1];

    assert_bad((const uint8_t *)"text", 4, "not a BPF object");
    for (size_t len = 0; len < size; len += 5) {
        g_autofree uint8_t *cut = g_memdup2(bytes, len);

        assert_bad(cut, len, "");
    }
    for (int round = 0; round < 20000; round++) {
        g_autofree uint8_t *copy = g_memdup2(bytes, size);

        for (int i = 0; i < 3; i++)
            copy[g_rand_int_range(random, 0, (gint32)size)] =
                (uint8_t)g_rand_int_range(random, 0, 256);
        (void)vh_sane_object(copy, size, text);
    }
}

/* The header of the first section of this type. */
static Elf64_Shdr *section_of(uint8_t *bytes, uint32_t type)
{
    Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)bytes;
    Elf64_Shdr *sections = (Elf64_Shdr *)(void *)(bytes + header->e_shoff);

    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type == type)
            return &sections[i];
    }
    g_assert_not_reached();
}

static void test_outline(void)
{
    for (int which = 0; which < 9; which++) {
        size_t size = 0;
        g_autofree uint8_t *bytes = read_object("rich", &size);
        Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)bytes;
        Elf64_Shdr *symbols = section_of(bytes, SHT_SYMTAB);
        Elf64_Shdr *relocations = section_of(bytes, SHT_REL);
        Elf64_Sym *symbol = (Elf64_Sym *)(void *)(bytes + symbols->sh_offset) + 1;
        Elf64_Rel *relocation = (Elf64_Rel *)(void *)(bytes + relocations->sh_offset);
        const char *words[] = {"machine",        "section table",  "ends beyond",
                               "string table",   "string table",   "not there",
                               "outside of its", "symbol that is", "relocation outside"};

        switch (which) {
        case 0:
            header->e_machine = EM_X86_64;
            break;
        case 1:
            header->e_shnum = 0xff00;
            break;
        case 2:
            symbols->sh_offset = size - 8;
            break;
        case 3:
            symbols->sh_name = UINT32_MAX;
            break;
        case 4:
            symbol->st_name = UINT32_MAX;
            break;
        case 5:
            symbol->st_shndx = header->e_shnum;
            break;
        case 6:
            symbol->st_shndx = 1;
            symbol->st_value = UINT64_MAX;
            break;
        case 7:
            relocation->r_info = UINT64_MAX;
            break;
        default:
            relocation->r_offset = UINT64_MAX;
            break;
        }
        assert_bad(bytes, size, words[which]);
    }
}

static void assert_btf(struct btf *btf, const char *words)
{
    char text[VH_TEXT_MAX + 1] = "";
    __u32 size = 0;
    const void *bytes = btf__raw_data(btf, &size);
    int error = vh_sane_btf(bytes, size, text);

    g_assert_cmpint(error, ==, words ? -EINVAL : 0);
    if (words && !strstr(text, words))
        g_error("\"%s\" does not say \"%s\"", text, words);
    btf__free(btf);
}

/* The type's bytes, to be spoiled: libbpf makes no such thing. */
static struct btf_type *type_of(struct btf *btf, int id)
{
    return (struct btf_type *)(void *)btf__type_by_id(btf, (__u32)id);
}

static void test_btf(void)
{
    struct btf *btf = btf__new_empty();
    int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    int id = btf__add_struct(btf, "list", 8);

    btf__add_field(btf, "next", btf__add_ptr(btf, id), 0, 0); /* refers to itself, and ends */
    assert_btf(btf, NULL);

    btf = btf__new_empty();
    number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    id = btf__add_struct(btf, "itself", 8);
    btf__add_field(btf, "me", id, 0, 0);
    assert_btf(btf, "contains itself");

    btf = btf__new_empty();
    btf__add_typedef(btf, "a", 2);
    btf__add_typedef(btf, "b", 1);
    assert_btf(btf, "contains itself");

    btf = btf__new_empty();
    number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    for (int i = 0; i < 1000; i++)
        number = btf__add_const(btf, number);
    assert_btf(btf, "nested too deeply");

    btf = btf__new_empty();
    btf__add_ptr(btf, 7);
    assert_btf(btf, "not there");

    btf = btf__new_empty();
    id = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    type_of(btf, id)->name_off = 1000;
    assert_btf(btf, "name outside");

    btf = btf__new_empty();
    id = btf__add_enum(btf, "e", 4);
    btf__add_enum_value(btf, "A", 1);
    btf_enum(type_of(btf, id))->name_off = 1000;
    assert_btf(btf, "not there");

    btf = btf__new_empty();
    number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    btf__add_datasec(btf, ".rodata", 4);
    btf__add_datasec_var_info(btf, number, 0, 4); /* no variable */
    assert_btf(btf, "wrong kind");

    btf = btf__new_empty();
    number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    id = btf__add_func(btf, "f", BTF_FUNC_GLOBAL, number);
    assert_btf(btf, "wrong kind");
}

/* Types that share parts are walked once: else this would not end. */
static void test_btf_shared(void)
{
    struct btf *btf = btf__new_empty();
    int id = btf__add_struct(btf, "leaf", 0);

    for (int level = 0; level < 60; level++) {
        int outer = btf__add_struct(btf, "level", 0);

        for (int i = 0; i < 8; i++)
            btf__add_field(btf, "m", id, 0, 0);
        id = outer;
    }
    assert_btf(btf, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sane/good", test_good);
    g_test_add_func("/sane/damaged", test_damaged);
    g_test_add_func("/sane/outline", test_outline);
    g_test_add_func("/sane/btf", test_btf);
    g_test_add_func("/sane/btf-shared", test_btf_shared);
    return g_test_run();
}
