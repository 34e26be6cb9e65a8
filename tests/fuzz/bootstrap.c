/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzes what a guest agent answers: the input's lines, one to each command. */
#include "qemu/bootstrap.h"

#include <elf.h>
#include <string.h>

#include "base/error.h"

struct lines {
    const char *at;
    gsize left;
};

static char *answer(const struct vh_qga *agent, const char *command, int seconds, GError **error)
{
    struct lines *lines = agent->road;
    const char *end = lines->left ? memchr(lines->at, '\n', lines->left) : NULL;
    gsize len = end ? (gsize)(end - lines->at) : 0;
    char *line = end ? g_strndup(lines->at, len) : NULL;

    (void)command;
    (void)seconds;
    if (!end) {
        g_set_error(error, VH_ERROR, VH_ERROR_TIMED_OUT, "no more lines");
        return NULL;
    }
    lines->at += len + 1;
    lines->left -= len + 1;
    return line;
}

/* In GLib's place: nobody waits for a guest here. */
void g_usleep(gulong us)
{
    (void)us;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const Elf64_Ehdr header = {.e_machine = EM_X86_64};
    struct lines lines = {(const char *)bytes, len};
    struct vh_qga agent = {.call = answer, .road = &lines};
    g_autoptr(GBytes) injector = g_bytes_new_static(&header, sizeof(header));
    struct vh_bootstrap bootstrap = {0};
    g_autoptr(GError) error = NULL;
    int result = vh_bootstrap_push(&agent, injector, &bootstrap, &error);

    if ((result == 0) != (error == NULL) || (error && !g_utf8_validate(error->message, -1, NULL)) ||
        (bootstrap.path && !g_str_has_suffix(bootstrap.path, "/vhint-injector")))
        __builtin_trap();
    vh_bootstrap_clear(&bootstrap);
    return 0;
}
