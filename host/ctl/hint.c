// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a hint's JSON line as people read it.
#include <json-glib/json-glib.h>
#include <string.h>

#include "base/json.h"
#include "ctl/ctl.h"

static void append_value(GString *out, const char *name, JsonNode *node);

static void append_members(GString *out, const char *prefix, JsonObject *object)
{
    JsonObjectIter iter;
    const char *member;
    JsonNode *node;
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &member, &node)) {
        g_autofree char *name =
            prefix ? g_strdup_printf("%s.%s", prefix, member) : g_strdup(member);
        append_value(out, name, node);
    }
}

static void append_scalar(GString *out, JsonNode *node)
{
    const char *text = vh_json_text(node);
    bool plain = text && text[0] != '\0' && strpbrk(text, " \t\n\"'=,[]\\") == NULL;
    g_autofree char *quoted = plain ? g_strdup(text) : json_to_string(node, FALSE);
    g_string_append(out, quoted);
}

/* "name=value"; a struct's members become name.member=value, an array name=[1,2] with structs in it
 * as JSON. */
static void append_value(GString *out, const char *name, JsonNode *node)
{
    if (vh_json_object(node)) {
        append_members(out, name, vh_json_object(node));
        return;
    }
    g_string_append_printf(out, " %s=", name);
    if (vh_json_is_scalar(node)) {
        append_scalar(out, node);
    } else {
        g_autofree char *text = json_to_string(node, FALSE);
        g_string_append(out, text);
    }
}

char *vh_hint_line_pretty(const char *line)
{
    g_autoptr(JsonNode) root = vh_json_parse(line, strlen(line), NULL);
    if (root == NULL)
        return NULL;
    JsonObject *hint = vh_json_object(root);
    GString *out = g_string_new(NULL);
    g_string_append_printf(out, "%s %s", vh_json_member_text(hint, "guest", "?"),
                           vh_json_member_text(hint, "program", "?"));
    JsonNode *kind = vh_json_member(hint, "kind");
    if (vh_json_is_scalar(kind)) {
        g_string_append_c(out, '/');
        append_scalar(out, kind);
    }
    if (vh_json_member_bool(hint, "gone", false))
        g_string_append(out, " gone");
    JsonObject *fields = vh_json_member_object(hint, "fields");
    if (fields != NULL)
        append_members(out, NULL, fields);
    g_autofree char *raw = g_string_free(out, FALSE);
    return vh_text_printable(raw, false);
}

bool vh_hint_line_dropped(const char *line, guint64 *dropped)
{
    g_autoptr(JsonNode) root = vh_json_parse(line, strlen(line), NULL);
    JsonObject *object = vh_json_object(root);
    if (!vh_json_member(object, "dropped") || vh_json_member(object, "fields"))
        return false;
    *dropped = (guint64)vh_json_member_int(object, "dropped", 0, G_MAXINT64, 0);
    return true;
}
