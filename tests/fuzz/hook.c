/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The port at which vhintd takes libvirt's hook, whatever its callers send, in whatever pieces.
 *
 * The input is a script: callers that come, say something and go, several at a time, and time that
 * passes. */
#include "hook/port.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/quiet.h"
#include "lib/script.h"

#define CALLERS 8u

struct stage {
    char *path;
    VhHookPort *port;
    int callers[CALLERS]; /* -1: there is none */
};

static void on_call(const struct vh_hook_call *call, G_GNUC_UNUSED gpointer data)
{
    g_assert(*call->guest && g_utf8_validate(call->guest, -1, NULL));
    g_assert(g_utf8_validate(call->operation, -1, NULL));
    g_assert(strlen(call->guest) <= VH_HOOK_TEXT_MAX &&
             strlen(call->operation) <= VH_HOOK_TEXT_MAX);
    g_assert(g_bytes_get_size(call->xml) <= VH_HOOK_XML_MAX);
}

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static int call(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static void put(int fd, const void *bytes, size_t len)
{
    (void)!send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A header whose lengths are small, or near a limit, or any. */
static void put_header(int fd, struct script *script)
{
    static const uint32_t near[] = {
        0,          1, VH_HOOK_TEXT_MAX, VH_HOOK_TEXT_MAX + 1, VH_HOOK_XML_MAX, VH_HOOK_XML_MAX + 1,
        G_MAXUINT32};
    struct vh_hook_header header = {.magic = VH_HOOK_MAGIC};
    uint32_t *const lengths[] = {&header.text_len[VH_HOOK_GUEST],
                                 &header.text_len[VH_HOOK_OPERATION], &header.xml_len};

    header.flags = script_byte(script) % 8;
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        uint8_t what = script_byte(script);

        *lengths[i] = what < 248 ? what : near[what % G_N_ELEMENTS(near)];
    }
    put(fd, &header, sizeof(header));
}

/* As the hook would. */
static void put_call(int fd, struct script *script)
{
    uint8_t what = script_byte(script);
    size_t len = what % 16;
    const uint8_t *guest = script_bytes(script, &len);
    size_t xml_len = what / 16 * 100u;
    const uint8_t *xml = script_bytes(script, &xml_len);
    struct vh_hook_header header = {
        .magic = VH_HOOK_MAGIC, .text_len = {(uint32_t)len, 7}, .xml_len = (uint32_t)xml_len};

    put(fd, &header, sizeof(header));
    put(fd, guest, len);
    put(fd, "started", 7);
    put(fd, xml, xml_len);
}

static void step(struct stage *stage, struct script *script)
{
    uint8_t what = script_byte(script);
    int *caller = &stage->callers[what / 8 % CALLERS];
    size_t len = 0;
    const uint8_t *bytes = NULL;

    if (*caller < 0)
        *caller = call(stage->path);
    switch (what % 8) {
    case 0:
        put_header(*caller, script);
        break;
    case 1:
        put_call(*caller, script);
        break;
    case 2:
        close(*caller);
        *caller = -1;
        break;
    case 3:
        clock_pass(script_byte(script) * 20000);
        break;
    case 4:
        break; /* the next step comes before what was said is heard */
    default:
        len = script_byte(script) * (what % 8 == 5 ? 1u : 16u);
        bytes = script_bytes(script, &len);
        put(*caller, bytes, len);
    }
    if (what % 8 != 4)
        turn();
}

static void begin(struct stage *stage)
{
    log_begin();
    stage->path = g_strdup_printf("%s/vhint-fuzz-hook-%d", g_get_tmp_dir(), (int)getpid());
    stage->port = vh_hook_port_new(stage->path, on_call, stage, NULL);
    g_assert(stage->port);
    for (unsigned i = 0; i < CALLERS; i++)
        stage->callers[i] = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stage stage;
    struct script script = {data, size};

    clock_begin();
    begin(&stage);
    while (script.left)
        step(&stage, &script);
    turn();
    vh_hook_port_free(stage.port);
    for (unsigned i = 0; i < CALLERS; i++)
        if (stage.callers[i] >= 0)
            close(stage.callers[i]);
    turn();
    g_free(stage.path);
    clock_end();
    return 0;
}
