// SPDX-License-Identifier: GPL-2.0-or-later
// Speaks with a guest's agent.
#include "qemu/qga.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "qemu/qmp.h"

#define POLL_MIN_US 10000
#define POLL_MAX_US 200000

char *vh_qga_text(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)strnlen(text, VH_QGA_TEXT_MAX));

    g_strdelimit(g_strchomp(valid), "\r\n\t", ' ');
    return g_steal_pointer(&valid);
}

/* ---- commands ---- */

static JsonNode *result_of(const char *name, const char *answer, GError **error)
{
    g_autoptr(JsonNode) root = vh_json_parse(answer, strlen(answer), NULL);
    JsonObject *object = vh_json_object(root);
    JsonNode *result = vh_json_member(object, "return");
    JsonObject *refusal = vh_json_member_object(object, "error");
    g_autofree char *why = NULL;

    if (result)
        return json_node_copy(result);
    if (refusal)
        why = vh_qga_text(vh_json_member_text(refusal, "desc", "it does not say why"));
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "the guest agent refuses %s: %s", name,
                why ? why : "its answer is not one that an agent gives");
    return NULL;
}

/* How long the next command may take; 0 and an error: there is no time left. */
static int seconds_left(const struct vh_qga *agent, GError **error)
{
    gint64 left = agent->deadline ? agent->deadline - g_get_monotonic_time()
                                  : VH_QGA_SECONDS * G_USEC_PER_SEC;

    if (g_cancellable_is_cancelled(agent->cancellable)) {
        g_set_error(error, VH_ERROR, VH_ERROR_BUSY, "the attempt was given up");
        return 0;
    }
    if (left > 0)
        return (int)MIN((left + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC, VH_QGA_SECONDS);
    g_set_error(error, VH_ERROR, VH_ERROR_TIMED_OUT, "the guest agent has taken too long in all");
    return 0;
}

JsonNode *vh_qga_command(const struct vh_qga *agent, const char *name, JsonObject *arguments,
                         GError **error)
{
    g_autofree char *text = vh_qmp_command_text(name, arguments);
    g_autofree char *answer = NULL;
    int seconds = seconds_left(agent, error);

    answer = seconds ? agent->call(agent, text, seconds, error) : NULL;
    return answer ? result_of(name, answer, error) : NULL;
}

/* The same for commands whose result is an object: its object, of `*node`. NULL and an error. */
static JsonObject *command_object(const struct vh_qga *agent, const char *name,
                                  JsonObject *arguments, JsonNode **node, GError **error)
{
    *node = vh_qga_command(agent, name, arguments, error);
    if (vh_json_object(*node))
        return vh_json_object(*node);
    if (*node)
        g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "the guest agent answers %s with no object",
                    name);
    return NULL;
}

static bool is_enabled(JsonArray *commands, const char *name)
{
    for (guint i = 0; i < vh_json_length(commands); i++) {
        JsonObject *object = vh_json_object(vh_json_element(commands, i));

        if (g_str_equal(vh_json_member_text(object, "name", ""), name))
            return vh_json_member_bool(object, "enabled", false);
    }
    return false;
}

char *vh_qga_missing(const struct vh_qga *agent, const char *const *commands, GError **error)
{
    g_autoptr(JsonNode) node = NULL;
    JsonObject *info = command_object(agent, "guest-info", NULL, &node, error);
    JsonArray *supported = vh_json_member_array(info, "supported_commands");
    g_autoptr(GString) missing = g_string_new(NULL);

    if (!info)
        return NULL;
    for (guint i = 0; commands[i]; i++)
        if (!is_enabled(supported, commands[i]))
            g_string_append_printf(missing, "%s%s", missing->len ? ", " : "", commands[i]);
    return g_string_free(g_steal_pointer(&missing), FALSE);
}

/* ---- scripts ---- */

static JsonObject *shell_arguments(const char *script, const char *const *arguments)
{
    JsonObject *object = json_object_new();
    JsonArray *list = json_array_new();

    json_array_add_string_element(list, "-c");
    json_array_add_string_element(list, script);
    json_array_add_string_element(list, "vhint"); /* $0 */
    for (guint i = 0; arguments[i]; i++)
        json_array_add_string_element(list, arguments[i]);
    json_object_set_string_member(object, "path", "/bin/sh");
    json_object_set_array_member(object, "arg", list);
    json_object_set_boolean_member(object, "capture-output", TRUE);
    return object;
}

static void append_output(GString *out, JsonObject *status, const char *key)
{
    gsize len = 0;
    g_autofree guchar *bytes = g_base64_decode(vh_json_member_text(status, key, ""), &len);
    g_autofree char *valid =
        g_utf8_make_valid((const char *)bytes, (gssize)strnlen((const char *)bytes, len));

    g_string_append(out, valid);
}

/* The exit status of the process `pid` of the guest's, once it has ended. -1 and an error. */
static int wait_for_exit(const struct vh_qga *agent, gint64 pid, char **output, GError **error)
{
    gint64 end = g_get_monotonic_time() + VH_QGA_SECONDS * G_USEC_PER_SEC;

    for (gulong pause = POLL_MIN_US; g_get_monotonic_time() < end;
         pause = MIN(pause * 2, POLL_MAX_US)) {
        g_autoptr(JsonNode) node = NULL;
        JsonObject *arguments = json_object_new();
        JsonObject *status = NULL;

        json_object_set_int_member(arguments, "pid", pid);
        status = command_object(agent, "guest-exec-status", arguments, &node, error);
        if (!status)
            return -1;
        if (vh_json_member_bool(status, "exited", false)) {
            g_autoptr(GString) out = g_string_new(NULL);
            gint64 code = vh_json_member_int(status, "exitcode", 0, 255, 255);

            append_output(out, status, "out-data");
            append_output(out, status, "err-data");
            *output = g_string_free(g_steal_pointer(&out), FALSE);
            return (int)code;
        }
        g_usleep(pause);
    }
    g_set_error(error, VH_ERROR, VH_ERROR_TIMED_OUT,
                "a script that ran in the guest has not ended within %d s", VH_QGA_SECONDS);
    return -1;
}

int vh_qga_shell(const struct vh_qga *agent, const char *script, const char *const *arguments,
                 char **output, GError **error)
{
    g_autoptr(JsonNode) node = NULL;
    JsonObject *started =
        command_object(agent, "guest-exec", shell_arguments(script, arguments), &node, error);

    return started ? wait_for_exit(agent, vh_json_member_int(started, "pid", 0, G_MAXINT64, 0),
                                   output, error)
                   : -1;
}

/* ---- files ---- */

static JsonObject *handle_arguments(gint64 handle)
{
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "handle", handle);
    return object;
}

static int write_all(const struct vh_qga *agent, gint64 handle, GBytes *bytes, GError **error)
{
    gsize size = 0;
    const guchar *data = g_bytes_get_data(bytes, &size);
    gsize at = 0;

    while (at < size) {
        gsize len = MIN(size - at, VH_QGA_CHUNK);
        g_autofree char *encoded = g_base64_encode(data + at, len);
        g_autoptr(JsonNode) node = NULL;
        JsonObject *arguments = handle_arguments(handle);
        JsonObject *result = NULL;
        gint64 count = 0;

        json_object_set_string_member(arguments, "buf-b64", encoded);
        result = command_object(agent, "guest-file-write", arguments, &node, error);
        if (!result)
            return -1;
        count = vh_json_member_int(result, "count", 0, G_MAXINT64, 0);
        if (count <= 0 || count > (gint64)len) {
            g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                        "the guest agent says that it has written %" G_GINT64_FORMAT
                        " of %zu bytes",
                        count, len);
            return -1;
        }
        at += (gsize)count;
    }
    return 0;
}

static int simple(const struct vh_qga *agent, const char *name, JsonObject *arguments,
                  GError **error)
{
    g_autoptr(JsonNode) node = vh_qga_command(agent, name, arguments, error);

    return node ? 0 : -1;
}

int vh_qga_write(const struct vh_qga *agent, const char *path, GBytes *bytes, GError **error)
{
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) opened = NULL;
    gint64 handle = 0;
    int result = 0;

    json_object_set_string_member(arguments, "path", path);
    json_object_set_string_member(arguments, "mode", "w");
    opened = vh_qga_command(agent, "guest-file-open", arguments, error);
    if (!opened)
        return -1;
    vh_json_int(opened, 0, G_MAXINT64, &handle);
    result = write_all(agent, handle, bytes, error);
    /* What the agent still has in its buffer is written here, or not. */
    if (result == 0)
        result = simple(agent, "guest-file-flush", handle_arguments(handle), error);
    if (simple(agent, "guest-file-close", handle_arguments(handle), result == 0 ? error : NULL) < 0)
        return -1;
    return result;
}
