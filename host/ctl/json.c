// SPDX-License-Identifier: GPL-2.0-or-later
// Prints JSON, with nothing in it that would steer a terminal.
#include <json-glib/json-glib.h>
#include <stdio.h>

#include "ctl/ctl.h"

void vh_ctl_print_json_text(const char *json)
{
    g_autofree char *escaped = vh_json_escape(json);
    puts(escaped);
}

void vh_ctl_print_json(JsonNode *node)
{
    g_autofree char *text = json_to_string(node, TRUE);
    vh_ctl_print_json_text(text);
}

void vh_ctl_print_variant_json(GVariant *value)
{
    g_autoptr(JsonNode) node = json_gvariant_serialize(value);
    vh_ctl_print_json(node);
}
