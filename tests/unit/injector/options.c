/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/options.c, maps.c, tunables.c: what an object's own loader would decide, and what policy
 * sets. */
#include "options.h"

#include <errno.h>
#include <glib.h>
#include <linux/bpf.h>
#include <string.h>

#include "lib/scratch.h"
#include "maps.h"
#include "tunables.h"
#include "wire.h"

#define FRAMES "/proc/sys/kernel/perf_event_max_stack"

static struct bpf_object *object_open(void)
{
    struct bpf_object *object = bpf_object__open_file(OBJECTS "/tool.bpf.o", NULL);

    g_assert_nonnull(object);
    return object;
}

static struct bpf_map *map_of(struct bpf_object *object, const char *name)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object, name);

    g_assert_nonnull(map);
    return map;
}

/* `words` separated by "|", all in the text. */
static void assert_words(const char *text, const char *words)
{
    g_auto(GStrv) each = g_strsplit(words, "|", -1);

    for (char **word = each; *word; word++)
        if (!strstr(text, *word))
            g_error("\"%s\" does not say \"%s\"", text, *word);
}

/* Options as a LOAD has them, separated by ";". */
static int take(struct bpf_object *object, const char *said, struct vh_load_options *options,
                char *text)
{
    g_autofree char *list = g_strdup(said);
    size_t len = strlen(list) + (list[0] != 0);

    g_strdelimit(list, ";", 0);
    text[0] = 0;
    return vh_options_take(object, list, len, options, text);
}

#define SIZED ".map.counts=64;.map.stacks=1024"

static void test_options(void)
{
    struct bpf_object *object = object_open();
    struct vh_load_options options = {0};
    char text[VH_TEXT_MAX + 1];

    g_assert_cmpint(take(object, "small=2;" SIZED ";.every=49", &options, text), ==, 0);
    g_assert_true(options.partial); /* the object says so itself */
    g_assert_cmpuint(options.every, ==, 49);
    g_assert_cmpuint(bpf_map__max_entries(map_of(object, "counts")), ==, 64);
    g_assert_cmpuint(bpf_map__max_entries(map_of(object, "stacks")), ==, 1024);
    g_assert_cmpuint(bpf_map__value_size(map_of(object, "stacks")), ==, 8 * vh_maps_frames(FRAMES));
    g_assert_null(bpf_map__pin_path(map_of(object, "counts")));
    g_assert_cmpint(take(object, SIZED ";.partial=false", &options, text), ==, 0);
    g_assert_false(options.partial);
    g_assert_cmpuint(options.every, ==, 0);
    bpf_object__close(object);
}

static void test_refused_options(void)
{
    static const struct {
        const char *said;
        const char *words;
    } cases[] = {
        {"", "map counts|--map counts=ENTRIES"},
        {".map.counts=64", "map stacks|--map stacks=ENTRIES"},
        {SIZED ";.every=0", "1 to 10000"},
        {SIZED ";.every=20000", "20000|1 to 10000"},
        {SIZED ";.strange=1", ".strange|newer"},
        {".map.count=64", "no map \"count\"|counts, stacks, row"},
        {".map..rodata=64", "no map \".rodata\""},
        {".map.counts=0", "map counts|1 to"},
        {".map.counts=2147483648", "map counts|1 to 2147483647"},
        {".map.counts=-1", "map counts|1 to"},
        {".map.counts=12x", "map counts|12x"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct bpf_object *object = object_open();
        struct vh_load_options options = {.every = 7};
        char text[VH_TEXT_MAX + 1];

        g_assert_cmpint(take(object, cases[i].said, &options, text), ==, -EINVAL);
        assert_words(text, cases[i].words);
        g_assert_cmpuint(options.every, ==, 7); /* untouched */
        bpf_object__close(object);
    }
}

/* Sizes that the kernel answers with EINVAL alone are told by the map's name. */
static void test_sizes_of_maps(void)
{
    static const struct {
        const char *map;
        uint32_t key; /* 0: as it is */
        uint32_t value;
        uint32_t flags;
        const char *words; /* NULL: it is fine */
    } cases[] = {
        {"stacks", 0, 8, 0, NULL},
        {"stacks", 0, 1016, 0, NULL},
        {"stacks", 0, 1024, 0, "map stacks|1024|multiple of 8|1016|127 frames"},
        {"stacks", 0, 100, 0, "map stacks|100 bytes|multiple of 8"},
        {"stacks", 0, 40, BPF_F_STACK_BUILD_ID, "map stacks|multiple of 32"},
        {"stacks", 0, 64, BPF_F_STACK_BUILD_ID, NULL},
        {"stacks", 8, 8, 0, "map stacks of type stack_trace|keys have 8 bytes|4"},
        {"row", 8, 16, 0, "map row of type array|keys have 8 bytes|4"},
        {"counts", 8, 32, 0, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct bpf_object *object = object_open();
        struct bpf_map *map = map_of(object, cases[i].map);
        char text[VH_TEXT_MAX + 1] = "";

        bpf_map__set_max_entries(map_of(object, "counts"), 1);
        bpf_map__set_max_entries(map_of(object, "stacks"), 1);
        if (cases[i].key)
            g_assert_cmpint(bpf_map__set_key_size(map, cases[i].key), ==, 0);
        g_assert_cmpint(bpf_map__set_value_size(map, cases[i].value), ==, 0);
        g_assert_cmpint(bpf_map__set_map_flags(map, cases[i].flags), ==, 0);
        g_assert_cmpint(vh_maps_settle(object, VH_STACK_FRAMES, text), ==,
                        cases[i].words ? -EINVAL : 0);
        assert_words(text, cases[i].words ? cases[i].words : "");
        bpf_object__close(object);
    }
}

static void test_frames(void)
{
    static const struct {
        const char *said;
        uint32_t frames;
    } cases[] = {{"64\n", 64}, {"", 127}, {"many", 127}, {"-1", 127}, {"99999999", 127}};
    g_autoptr(GError) error = NULL;
    char *directory = g_dir_make_tmp("vhint-XXXXXX", &error);
    g_autofree char *path = g_build_filename(directory, "frames", NULL);

    g_assert_no_error(error);
    g_assert_cmpuint(vh_maps_frames("/nowhere/at/all"), ==, VH_STACK_FRAMES);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        scratch_write(directory, "frames", cases[i].said);
        g_assert_cmpuint(vh_maps_frames(path), ==, cases[i].frames);
    }
    scratch_remove(directory);
}

static int set(struct bpf_object *object, const char *tunable, char *text)
{
    text[0] = 0;
    return vh_tunables_set(object, tunable, strlen(tunable) + 1, text);
}

static void test_tunables(void)
{
    static const struct {
        const char *set;
        int error;
        const char *words;
    } cases[] = {
        {"small=255", 0, ""},
        {"small=0x10", 0, ""},
        {"small=256", -ERANGE, "0 to 255"},
        {"small=-1", -ERANGE, "0 to 255"},
        {"small=", -EINVAL, "0 to 255"},
        {"negative=-32768", 0, ""},
        {"negative=-32769", -ERANGE, "16 bits"},
        {"negative=32768", -ERANGE, "16 bits"},
        {"large=18446744073709551615", 0, ""},
        {"large=18446744073709551616", -ERANGE, "18446744073709551615"},
        {"flag=true", 0, ""},
        {"flag=2", -EINVAL, "true or false"},
        {"colour=GREEN", 0, ""},
        {"colour=BLUE", -EINVAL, "enum colour"},
        {"word=seven77", 0, ""},
        {"word=eight888", -ERANGE, "7 bytes"},
        {"vh_partial=true", -EINVAL, "vh_"},
        {"nothing=1", -EINVAL, "small, negative"},
        {".partial=true", 0, ""}, /* no tunable: options.c's */
    };
    struct bpf_object *object = object_open();
    char text[VH_TEXT_MAX + 1];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(set(object, cases[i].set, text), ==, cases[i].error);
        assert_words(text, cases[i].words);
    }
    bpf_object__close(object);
}

static void test_values(void)
{
    struct bpf_object *object = object_open();
    char text[VH_TEXT_MAX + 1];
    size_t size;

    g_assert_cmpint(set(object, "negative=-7", text), ==, 0);
    g_assert_cmpint(*(int16_t *)vh_variable(object, ".rodata", "negative", &size), ==, -7);
    g_assert_cmpuint(size, ==, 2);
    g_assert_cmpint(set(object, "colour=GREEN", text), ==, 0);
    g_assert_cmpint(*(int32_t *)vh_variable(object, ".rodata", "colour", &size), ==, 5);
    g_assert_cmpint(set(object, "word=yes", text), ==, 0);
    g_assert_cmpmem(vh_variable(object, ".rodata", "word", &size), 8, "yes\0\0\0\0", 8);
    g_assert_null(vh_variable(object, ".rodata", "wor", &size));
    g_assert_null(vh_variable(object, ".bss", "word", &size));
    bpf_object__close(object);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/options", test_options);
    g_test_add_func("/options/refused", test_refused_options);
    g_test_add_func("/options/sizes-of-maps", test_sizes_of_maps);
    g_test_add_func("/options/frames", test_frames);
    g_test_add_func("/options/tunables", test_tunables);
    g_test_add_func("/options/values", test_values);
    return g_test_run();
}
