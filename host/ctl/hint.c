/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes a hint's JSON line as people read it. */
#include <json-glib/json-glib.h>

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
    if (json_node_get_value_type(node) != G_TYPE_STRING) {
        g_autofree char *text = json_to_string(node, FALSE);
        g_string_append(out, text);
        return;
    }
    const char *text = json_node_get_string(node);
    bool plain = text[0] != '\0' && strpbrk(text, " \t\n\"'=,[]\\") == NULL;
    g_autofree char *quoted = plain ? g_strdup(text) : json_to_string(node, FALSE);
    g_string_append(out, quoted);
}

/* "name=value"; a struct's members become name.member=value, an array name=[1,2] with structs in it
 * as JSON. */
static void append_value(GString *out, const char *name, JsonNode *node)
{
    if (JSON_NODE_HOLDS_OBJECT(node)) {
        append_members(out, name, json_node_get_object(node));
        return;
    }
    g_string_append_printf(out, " %s=", name);
    if (JSON_NODE_HOLDS_VALUE(node)) {
        append_scalar(out, node);
    } else {
        g_autofree char *text = json_to_string(node, FALSE);
        g_string_append(out, text);
    }
}

static JsonNode *parse_object(const char *line)
{
    JsonNode *root = json_from_string(line, NULL);
    if (root != NULL && !JSON_NODE_HOLDS_OBJECT(root))
        g_clear_pointer(&root, json_node_unref);
    return root;
}

char *vh_hint_line_pretty(const char *line)
{
    g_autoptr(JsonNode) root = parse_object(line);
    if (root == NULL)
        return NULL;
    JsonObject *hint = json_node_get_object(root);
    GString *out = g_string_new(NULL);
    g_string_append_printf(out, "%s %s",
                           json_object_get_string_member_with_default(hint, "guest", "?"),
                           json_object_get_string_member_with_default(hint, "program", "?"));
    JsonNode *kind = json_object_get_member(hint, "kind");
    if (kind != NULL && JSON_NODE_HOLDS_VALUE(kind)) {
        g_string_append_c(out, '/');
        append_scalar(out, kind);
    }
    if (json_object_get_boolean_member_with_default(hint, "gone", FALSE))
        g_string_append(out, " gone");
    JsonNode *fields = json_object_get_member(hint, "fields");
    if (fields != NULL && JSON_NODE_HOLDS_OBJECT(fields))
        append_members(out, NULL, json_node_get_object(fields));
    g_autofree char *raw = g_string_free(out, FALSE);
    return vh_text_printable(raw, false);
}

bool vh_hint_line_dropped(const char *line, guint64 *dropped)
{
    g_autoptr(JsonNode) root = parse_object(line);
    if (root == NULL || !json_object_has_member(json_node_get_object(root), "dropped") ||
        json_object_has_member(json_node_get_object(root), "fields"))
        return false;
    *dropped =
        (guint64)json_object_get_int_member_with_default(json_node_get_object(root), "dropped", 0);
    return true;
}
