/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/qemu/bootstrap.c over a made-up guest agent: what is sent, and what is said when the guest
 * does not play along.
 */
#include "qemu/bootstrap.h"

#include <elf.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "lib/scratch.h"

#define LOOK "machine x86_64\nport yes\nplace /run/vhint-injector\n"

/* A guest with its agent. */
struct guest {
    const char *blocked; /* a command that is not enabled */
    const char *look;    /* what the look script prints */
    gsize disk;          /* bytes that fit */
    gsize most;          /* bytes taken by one write */
    bool liar;           /* says that it wrote more than it got */
    bool corrupt;        /* stores something else */
    bool deaf;           /* answers nothing */
    const char *garbage; /* what it answers to everything */
    unsigned running;    /* calls of guest-exec-status before a script ends */
    GByteArray *file;
    GString *log; /* commands, and paths */
    char *script_output;
    int script_status;
};

static char *result_int(gint64 value)
{
    return g_strdup_printf("{\"return\": %" G_GINT64_FORMAT "}", value);
}

static char *refusal(const char *why)
{
    return g_strdup_printf("{\"error\": {\"class\": \"GenericError\", \"desc\": \"%s\"}}", why);
}

static char *info(const struct guest *guest)
{
    static const char *const names[] = {"guest-exec",       "guest-exec-status",
                                        "guest-file-open",  "guest-file-write",
                                        "guest-file-flush", "guest-file-close"};
    g_autoptr(GString) text =
        g_string_new("{\"return\": {\"version\": \"7.2\", \"supported_commands\": [");

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_string_append_printf(text, "%s{\"name\": \"%s\", \"enabled\": %s}", i ? ", " : "",
                               names[i], g_strcmp0(guest->blocked, names[i]) ? "true" : "false");
    g_string_append(text, "]}}");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The scripts are told from one another by what they do. */
static void run_script(struct guest *guest, JsonArray *arguments)
{
    const char *script = json_array_get_string_element(arguments, 1);
    g_autofree char *digest =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, guest->file->data, guest->file->len);

    g_clear_pointer(&guest->script_output, g_free);
    guest->script_status = 0;
    if (strstr(script, "uname -m")) {
        g_assert_cmpstr(json_array_get_string_element(arguments, 3), ==, "/run/vhint-injector");
        guest->script_output = g_strdup(guest->look);
    } else if (strstr(script, "sha256sum")) {
        guest->script_status = !g_str_equal(json_array_get_string_element(arguments, 4), digest);
        guest->script_output =
            g_strdup(guest->script_status ? "what arrived is something else, of 1 bytes\n"
                                          : "started systemd\n");
    } else if (strstr(script, "rm -f")) {
        g_string_append(guest->log, "(removed) ");
        guest->script_output = g_strdup("");
    } else {
        guest->script_output = g_strdup("it runs as process 77\n");
    }
}

static char *status(struct guest *guest)
{
    g_autofree char *output =
        g_base64_encode((const guchar *)guest->script_output, strlen(guest->script_output));

    if (guest->running) {
        guest->running--;
        return g_strdup("{\"return\": {\"exited\": false}}");
    }
    return g_strdup_printf(
        "{\"return\": {\"exited\": true, \"exitcode\": %d, \"out-data\": \"%s\"}}",
        guest->script_status, output);
}

static char *write_file(struct guest *guest, JsonObject *arguments)
{
    gsize len = 0;
    g_autofree guchar *bytes =
        g_base64_decode(json_object_get_string_member(arguments, "buf-b64"), &len);

    g_assert_cmpint(json_object_get_int_member(arguments, "handle"), ==, 1000);
    g_assert_cmpuint(len, <=, VH_QGA_CHUNK);
    if (guest->file->len + len > guest->disk)
        return refusal("failed to write to file: No space left on device");
    len = MIN(len, guest->most);
    if (guest->corrupt)
        bytes[0] ^= 1;
    g_byte_array_append(guest->file, bytes, (guint)len);
    return g_strdup_printf("{\"return\": {\"count\": %zu, \"eof\": false}}",
                           len + (guest->liar ? VH_QGA_CHUNK : 0));
}

static char *answer(const struct vh_qga *agent, const char *command, int seconds, GError **error)
{
    struct guest *guest = agent->road;
    g_autoptr(JsonNode) node = json_from_string(command, NULL);
    JsonObject *object = json_node_get_object(node);
    const char *name = json_object_get_string_member(object, "execute");
    JsonObject *arguments = json_object_has_member(object, "arguments")
                                ? json_object_get_object_member(object, "arguments")
                                : NULL;

    g_assert_cmpint(seconds, >, 0);
    g_assert_cmpint(seconds, <=, VH_QGA_SECONDS);
    if (guest->deaf) {
        g_set_error(error, VH_ERROR, VH_ERROR_TIMED_OUT, "it does not answer");
        return NULL;
    }
    g_string_append_printf(guest->log, "%s ", name + strlen("guest-"));
    if (guest->garbage)
        return g_strdup(guest->garbage);
    if (g_str_equal(name, "guest-info"))
        return info(guest);
    if (g_str_equal(name, "guest-exec")) {
        g_assert_cmpstr(json_object_get_string_member(arguments, "path"), ==, "/bin/sh");
        run_script(guest, json_object_get_array_member(arguments, "arg"));
        return g_strdup("{\"return\": {\"pid\": 41}}");
    }
    if (g_str_equal(name, "guest-exec-status"))
        return status(guest);
    if (g_str_equal(name, "guest-file-open")) {
        g_assert_cmpstr(json_object_get_string_member(arguments, "path"), ==,
                        "/run/vhint-injector/new");
        return result_int(1000);
    }
    return g_str_equal(name, "guest-file-write") ? write_file(guest, arguments)
                                                 : g_strdup("{\"return\": {}}");
}

/* ---- what is brought in ---- */

/* A program of `size` bytes for this machine. */
static GBytes *program(gsize size, guint16 machine)
{
    guint8 *bytes = g_malloc0(size);
    const Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
        .e_type = ET_EXEC,
        .e_machine = machine,
        .e_phentsize = sizeof(Elf64_Phdr)};

    for (gsize i = 0; i < size; i++)
        bytes[i] = (guint8)(i * 7 + i / 256);
    memcpy(bytes, &header, sizeof(header));
    return g_bytes_new_take(bytes, size);
}

static int push(struct guest *guest, GBytes *injector, struct vh_bootstrap *bootstrap,
                GError **error)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    struct vh_qga agent = {.call = answer, .road = guest, .cancellable = cancellable};
    int result;

    guest->look = guest->look ? guest->look : LOOK;
    guest->disk = guest->disk ? guest->disk : G_MAXSIZE;
    guest->most = guest->most ? guest->most : G_MAXSIZE;
    guest->file = g_byte_array_new();
    guest->log = g_string_new(NULL);
    result = vh_bootstrap_push(&agent, injector, bootstrap, error);
    g_assert_true((result == 0) == (*error == NULL));
    return result;
}

static void clear(struct guest *guest)
{
    g_byte_array_unref(guest->file);
    g_string_free(guest->log, TRUE);
    g_free(guest->script_output);
}

static void test_all_goes_well(void)
{
    struct guest guest = {.running = 2, .most = VH_QGA_CHUNK - 100};
    struct vh_bootstrap bootstrap = {0};
    g_autoptr(GBytes) injector = program(2 * VH_QGA_CHUNK + 5, EM_X86_64);
    g_autoptr(GBytes) arrived = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(push(&guest, injector, &bootstrap, &error), ==, 0);
    g_assert_false(bootstrap.running);
    g_assert_cmpstr(bootstrap.path, ==, "/run/vhint-injector/vhint-injector");
    g_assert_cmpstr(bootstrap.how, ==, "systemd");
    arrived = g_bytes_new(guest.file->data, guest.file->len);
    g_assert_true(g_bytes_equal(arrived, injector));
    g_assert_cmpstr(
        guest.log->str, ==,
        "info exec exec-status exec-status exec-status file-open file-write file-write file-write "
        "file-flush file-close exec exec-status ");
    vh_bootstrap_clear(&bootstrap);
    clear(&guest);
}

static void test_one_runs_already(void)
{
    struct guest guest = {.look =
                              "machine x86_64\nport yes\nrunning 12\nplace /run/vhint-injector\n"};
    struct vh_bootstrap bootstrap = {0};
    g_autoptr(GBytes) injector = program(1000, EM_X86_64);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(push(&guest, injector, &bootstrap, &error), ==, 0);
    g_assert_true(bootstrap.running);
    g_assert_null(bootstrap.path);
    g_assert_cmpuint(guest.file->len, ==, 0);
    clear(&guest);
}

/* Each guest has one thing wrong. */
static void test_refusals(void)
{
    const struct {
        struct guest guest;
        guint16 machine;
        int code;
        const char *text;
        bool removed;
    } cases[] = {
        {{.blocked = "guest-exec"},
         EM_X86_64,
         VH_ERROR_REFUSED,
         "does not allow guest-exec: allow it",
         false},
        {{.blocked = "guest-file-write"},
         EM_X86_64,
         VH_ERROR_REFUSED,
         "does not allow guest-file-write:",
         false},
        {{.deaf = true}, EM_X86_64, VH_ERROR_TIMED_OUT, "is qemu-guest-agent installed", false},
        {{.garbage = "x"},
         EM_X86_64,
         VH_ERROR_REFUSED,
         "its answer is not one that an agent gives",
         false},
        {{.garbage = "{\"return\": []}"}, EM_X86_64, VH_ERROR_REFUSED, "with no object", false},
        {{.garbage =
              "{\"return\": {\"supported_commands\": [1, {\"name\": 2}, {\"name\": \"guest-exec\", "
              "\"enabled\": \"yes\"}]}}"},
         EM_X86_64,
         VH_ERROR_REFUSED,
         "does not allow guest-exec,",
         false},
        {{.garbage = "{\"error\": {\"desc\": 5}}"},
         EM_X86_64,
         VH_ERROR_REFUSED,
         "does not say why",
         false},
        {{.disk = VH_QGA_CHUNK}, EM_X86_64, VH_ERROR_REFUSED, "No space left on device", true},
        {{.liar = true}, EM_X86_64, VH_ERROR_REFUSED, "says that it has written", true},
        {{.corrupt = true}, EM_X86_64, VH_ERROR_REFUSED, "something else, of 1 bytes", false},
        {{.look = "machine x86_64\nplace /run/vhint-injector\n"},
         EM_X86_64,
         VH_ERROR_NOT_CONNECTED,
         "no port org.vhint.0: vhintctl enable",
         false},
        {{.look = "machine x86_64\nport yes\n"},
         EM_X86_64,
         VH_ERROR_REFUSED,
         "no directory for",
         false},
        {{.look = "machine x86_64\nport yes\nplace /home/mallory\n"},
         EM_X86_64,
         VH_ERROR_REFUSED,
         "no directory for",
         false},
        {{.look = "machine riscv64\nport yes\nplace /run/vhint-injector\n"},
         EM_X86_64,
         VH_ERROR_REFUSED,
         "the guest is riscv64, the injector here is for x86_64",
         false},
        {{.look = ""}, EM_X86_64, VH_ERROR_REFUSED, "the guest is of an unknown machine", false},
        {{0},
         EM_AARCH64,
         VH_ERROR_REFUSED,
         "the guest is x86_64, the injector here is for aarch64",
         false},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct guest guest = cases[i].guest;
        struct vh_bootstrap bootstrap = {0};
        g_autoptr(GBytes) injector = program(3 * VH_QGA_CHUNK, cases[i].machine);
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(push(&guest, injector, &bootstrap, &error), ==, -1);
        if (!strstr(error->message, cases[i].text) || (int)error->code != cases[i].code)
            g_error("case %u: %d %s", i, error->code, error->message);
        g_assert_true(!!strstr(guest.log->str, "(removed)") == cases[i].removed);
        g_assert_null(bootstrap.path);
        clear(&guest);
    }
}

static void test_cancelled(void)
{
    struct guest guest = {.log = g_string_new(NULL), .file = g_byte_array_new()};
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    struct vh_qga agent = {.call = answer, .road = &guest, .cancellable = cancellable};
    struct vh_bootstrap bootstrap = {0};
    g_autoptr(GBytes) injector = program(1000, EM_X86_64);
    g_autoptr(GError) error = NULL;

    g_cancellable_cancel(cancellable);
    g_assert_cmpint(vh_bootstrap_push(&agent, injector, &bootstrap, &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_BUSY);
    g_assert_cmpstr(guest.log->str, ==, "");
    clear(&guest);
}

static void test_examine(void)
{
    struct guest guest = {.log = g_string_new(NULL), .file = g_byte_array_new()};
    struct vh_qga agent = {.call = answer, .road = &guest};
    g_autoptr(GError) error = NULL;
    g_autofree char *text = vh_bootstrap_examine(&agent, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, "it runs as process 77");
    clear(&guest);
}

static void test_text(void)
{
    g_autofree char *many = g_strnfill(5000, 'x');
    g_autofree char *cut = vh_qga_text(many);
    g_autofree char *line = vh_qga_text("two\nlines\xff\n");

    g_assert_cmpuint(strlen(cut), ==, VH_QGA_TEXT_MAX);
    g_assert_cmpstr(line, ==, "two lines\xef\xbf\xbd");
}

/* ---- the file ---- */

static void check_file(const char *path, gconstpointer bytes, gsize size, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) read = NULL;

    g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
    read = vh_bootstrap_read(path, &error);
    g_assert_true(!read == !!text);
    if (text && !strstr(error->message, text))
        g_error("%s", error->message);
}

static void test_file(void)
{
    char *directory = g_dir_make_tmp("vhint-bootstrap-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "injector", NULL);
    g_autoptr(GBytes) good = program(1000, EM_X86_64);
    g_autofree guint8 *bytes = g_memdup2(g_bytes_get_data(good, NULL), 1000);
    Elf64_Ehdr *header = (Elf64_Ehdr *)(void *)bytes;
    Elf64_Phdr *segment = (Elf64_Phdr *)(void *)(bytes + sizeof(*header));
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_bootstrap_read(path, &error));
    g_assert_nonnull(strstr(error->message, "[daemon] injector"));
    check_file(path, bytes, 1000, NULL);
    check_file(path, "#!/bin/sh\n", 10, "no ELF program");
    check_file(path, bytes, 40, "no ELF program");
    header->e_phoff = sizeof(*header);
    header->e_phnum = 1;
    *segment = (Elf64_Phdr){.p_type = PT_INTERP};
    check_file(path, bytes, 1000, "not statically linked");
    *segment = (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = 500, .p_filesz = 501};
    check_file(path, bytes, 1000, "cut off");
    segment->p_filesz = 500;
    check_file(path, bytes, 1000, NULL);
    header->e_phoff = G_MAXUINT64;
    check_file(path, bytes, 1000, "cut off");
    header->e_phoff = 960;
    check_file(path, bytes, 1000, "cut off");
    header->e_type = ET_REL;
    check_file(path, bytes, 1000, "no 64-bit ELF program");
    scratch_remove(directory);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    (void)vh_error_quark();
    g_test_add_func("/bootstrap/all-goes-well", test_all_goes_well);
    g_test_add_func("/bootstrap/one-runs-already", test_one_runs_already);
    g_test_add_func("/bootstrap/refusals", test_refusals);
    g_test_add_func("/bootstrap/cancelled", test_cancelled);
    g_test_add_func("/bootstrap/examine", test_examine);
    g_test_add_func("/bootstrap/text", test_text);
    g_test_add_func("/bootstrap/file", test_file);
    return g_test_run();
}
