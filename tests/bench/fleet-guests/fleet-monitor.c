/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for QEMU's monitor: knows the commands that vhintd gives, in the form json-glib gives
 * them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fleet.h"

void fleet_monitor_say(const struct fleet_guest *guest, const char *text)
{
    const struct ucred who = {guest->process, getuid(), getgid()};
    struct iovec vector = {(void *)text, strlen(text)};
    char control[CMSG_SPACE(sizeof(who))] __attribute__((aligned(8))) = {0};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_CREDENTIALS;
    header->cmsg_len = CMSG_LEN(sizeof(who));
    memcpy(CMSG_DATA(header), &who, sizeof(who));
    if (sendmsg(guest->monitor, &message, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        fleet_die("what a monitor says (as another process, which is up to root)");
}

static void reply(const struct fleet_guest *guest, const char *id, const char *result)
{
    g_autofree char *text = g_strdup_printf("{\"return\":%s,\"id\":%s}\r\n", result, id);

    fleet_monitor_say(guest, text);
}

static char *cpus_of(const struct fleet_guest *guest)
{
    GString *text = g_string_new("[");

    for (unsigned i = 0; i < guest->vcpus; i++)
        g_string_append_printf(
            text,
            "%s{\"cpu-index\":%u,\"qom-path\":\"/machine/unattached/device[%u]\","
            "\"thread-id\":%d,\"target\":\"x86_64\"}",
            i ? "," : "", i, i, guest->threads[i]);
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

/* The APIC id of vCPU N is 2 N + 2, so that it is nobody's index. */
static char *property_of(const char *command)
{
    const char *device = strstr(command, "device[");

    if (!device)
        return g_strdup("\"" VH_PORT_NAME "\"");
    return g_strdup_printf("%" G_GUINT64_FORMAT,
                           2 * g_ascii_strtoull(device + strlen("device["), NULL, 10) + 2);
}

static void answer(const struct fleet_guest *guest, const char *command)
{
    const char *at = strstr(command, "\"id\":");
    g_autofree char *id = NULL;
    g_autofree char *result = NULL;

    if (!at)
        return;
    at += strlen("\"id\":");
    id = g_strndup(at, strspn(at, "0123456789"));
    if (strstr(command, "\"query-cpus-fast\""))
        result = cpus_of(guest);
    else if (strstr(command, "\"qom-get\""))
        result = property_of(command);
    else if (strstr(command, "\"qom-list\""))
        result = g_strdup("[{\"name\":\"vhint\",\"type\":\"child<virtserialport>\"}]");
    else if (strstr(command, "\"query-iothreads\""))
        result = g_strdup("[]");
    else
        result = g_strdup("{}");
    reply(guest, id, result);
}

/* The bytes of the first whole object in `text`; 0: none yet. No string in a command has a brace.
 */
static size_t object_end(const char *text)
{
    int depth = 0;

    for (size_t i = 0; text[i]; i++) {
        depth += (text[i] == '{') - (text[i] == '}');
        if (depth == 0 && text[i] == '}')
            return i + 1;
    }
    return 0;
}

void fleet_monitor_input(struct fleet_guest *guest, const char *text, size_t len)
{
    size_t end = 0;

    g_string_append_len(guest->commands, text, (gssize)len);
    while ((end = object_end(guest->commands->str))) {
        g_autofree char *command = g_strndup(guest->commands->str, end);

        g_string_erase(guest->commands, 0, (gssize)end);
        answer(guest, command);
    }
}
