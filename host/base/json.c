// SPDX-License-Identifier: GPL-2.0-or-later
// Reads JSON by type.
#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

static int refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static int refuse(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(VH_ERROR, VH_ERROR_INVALID_ARGUMENT, format, args);
    va_end(args);
    return -1;
}

/* Looks at all that json-glib's scanner is about to see. Outside of strings there is nothing but
 * what JSON has there: a comment could hide a quotation mark, and all brackets behind it. */
static int check(const char *text, gsize len, GError **error)
{
    static const char outside[] = " \t\r\n{}[],:0123456789+-.eEtrufalsn";
    guint depth = 0;
    bool quoted = false;

    for (gsize i = 0; i < len; i++) {
        char c = text[i];

        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if (!c || !strchr(outside, c))
            return refuse(error, "is no JSON: byte %zu (0x%02x) has no meaning there", i + 1,
                          (guchar)c);
        else if (c == '{' || c == '[')
            depth++;
        else if (depth && (c == '}' || c == ']'))
            depth--;
        if (depth > VH_JSON_DEPTH_MAX)
            return refuse(error, "nests deeper than %u levels", VH_JSON_DEPTH_MAX);
    }
    return 0;
}

JsonNode *vh_json_parse(const char *text, gsize len, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError) bad = NULL;
    JsonNode *root = NULL;

    if (!g_utf8_validate_len(text, len, NULL)) {
        refuse(error, "is not UTF-8");
        return NULL;
    }
    if (check(text, len, error) < 0)
        return NULL;
    if (!json_parser_load_from_data(parser, text, (gssize)len, &bad)) {
        refuse(error, "is no JSON: %s", bad->message);
        return NULL;
    }
    root = json_parser_get_root(parser);
    if (vh_json_object(root))
        return json_node_ref(root);
    refuse(error, "is no JSON object");
    return NULL;
}

/* ---- a value ---- */

static bool is_value(JsonNode *node, GType type)
{
    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type;
}

JsonObject *vh_json_object(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonArray *vh_json_array(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

const char *vh_json_text(JsonNode *node)
{
    return is_value(node, G_TYPE_STRING) ? json_node_get_string(node) : NULL;
}

bool vh_json_int(JsonNode *node, gint64 least, gint64 most, gint64 *value)
{
    gint64 number = is_value(node, G_TYPE_INT64) ? json_node_get_int(node) : 0;

    if (!is_value(node, G_TYPE_INT64) || number < least || number > most)
        return false;
    *value = number;
    return true;
}

bool vh_json_bool(JsonNode *node, bool *value)
{
    if (!is_value(node, G_TYPE_BOOLEAN))
        return false;
    *value = json_node_get_boolean(node);
    return true;
}

bool vh_json_number(JsonNode *node, double *value)
{
    if (!is_value(node, G_TYPE_INT64) &&
        !(is_value(node, G_TYPE_DOUBLE) && isfinite(json_node_get_double(node))))
        return false;
    *value = json_node_get_double(node);
    return true;
}

bool vh_json_is_null(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_NULL(node);
}

bool vh_json_is_scalar(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_VALUE(node);
}

/* ---- a member of an object ---- */

JsonNode *vh_json_member(JsonObject *object, const char *name)
{
    return object ? json_object_get_member(object, name) : NULL;
}

JsonObject *vh_json_member_object(JsonObject *object, const char *name)
{
    return vh_json_object(vh_json_member(object, name));
}

JsonArray *vh_json_member_array(JsonObject *object, const char *name)
{
    return vh_json_array(vh_json_member(object, name));
}

const char *vh_json_member_text(JsonObject *object, const char *name, const char *otherwise)
{
    const char *text = vh_json_text(vh_json_member(object, name));

    return text ? text : otherwise;
}

gint64 vh_json_member_int(JsonObject *object, const char *name, gint64 least, gint64 most,
                          gint64 otherwise)
{
    gint64 value = otherwise;

    vh_json_int(vh_json_member(object, name), least, most, &value);
    return value;
}

bool vh_json_member_bool(JsonObject *object, const char *name, bool otherwise)
{
    bool value = otherwise;

    vh_json_bool(vh_json_member(object, name), &value);
    return value;
}

/* ---- an element of an array ---- */

guint vh_json_length(JsonArray *array)
{
    return array ? json_array_get_length(array) : 0;
}

JsonNode *vh_json_element(JsonArray *array, guint position)
{
    return position < vh_json_length(array) ? json_array_get_element(array, position) : NULL;
}
