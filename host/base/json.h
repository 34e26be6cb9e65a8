/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON that somebody else wrote: QEMU, a guest's agent, libvirt, a file.
 *
 * It is read by type. A value that is missing and a value of another type are the same to a reader:
 * each function returns NULL, or what the caller gives as `otherwise`. json-glib's own readers
 * convert, warn, or return NULL for a string that is a number; `./dev test` refuses them elsewhere.
 *
 * All functions take NULL for what was not there, so that calls nest. What they return is borrowed
 * from their argument. */
#pragma once

#include <json-glib/json-glib.h>
#include <stdbool.h>

/* Of nested arrays and objects. json-glib's parser calls itself for each. */
#define VH_JSON_DEPTH_MAX 32u

/* Reads one object, in the JSON of RFC 8259: json-glib would also take comments, 'strings' and
 * assignments. NULL and VH_ERROR_INVALID_ARGUMENT, with a message that continues a sentence about
 * the text ("is no JSON object"); else json_node_unref() it. */
JsonNode *vh_json_parse(const char *text, gsize len, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- a value ---- */

JsonObject *vh_json_object(JsonNode *node);
JsonArray *vh_json_array(JsonNode *node);
const char *vh_json_text(JsonNode *node);
/* A whole number from `least` to `most`. Returns whether it is one; `*value` is untouched if not.
 */
bool vh_json_int(JsonNode *node, gint64 least, gint64 most, gint64 *value);
bool vh_json_bool(JsonNode *node, bool *value);
/* A number, whole or not, that is finite. */
bool vh_json_number(JsonNode *node, double *value);
bool vh_json_is_null(JsonNode *node);
/* Text, a number or a boolean. */
bool vh_json_is_scalar(JsonNode *node);

/* ---- a member of an object ---- */

JsonNode *vh_json_member(JsonObject *object, const char *name);
JsonObject *vh_json_member_object(JsonObject *object, const char *name);
JsonArray *vh_json_member_array(JsonObject *object, const char *name);
const char *vh_json_member_text(JsonObject *object, const char *name, const char *otherwise);
gint64 vh_json_member_int(JsonObject *object, const char *name, gint64 least, gint64 most,
                          gint64 otherwise);
bool vh_json_member_bool(JsonObject *object, const char *name, bool otherwise);

/* ---- an element of an array ---- */

/* 0 for NULL. */
guint vh_json_length(JsonArray *array);
/* NULL beyond the array's end. */
JsonNode *vh_json_element(JsonArray *array, guint position);
