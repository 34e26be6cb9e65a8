// SPDX-License-Identifier: GPL-2.0-or-later
// Learns from a guest's monitor which NUMA nodes its memory is bound to.
#include <string.h>

#include "guest/state.h"

/* Adds what one of QEMU's memory backends is bound to. Returns whether it is bound at all. */
static bool add_nodes(JsonNode *backend, struct vh_cpuset *nodes)
{
    JsonObject *told = JSON_NODE_HOLDS_OBJECT(backend) ? json_node_get_object(backend) : NULL;
    JsonNode *member = told ? json_object_get_member(told, "host-nodes") : NULL;
    JsonArray *list = member && JSON_NODE_HOLDS_ARRAY(member) ? json_node_get_array(member) : NULL;

    if (!list || g_str_equal(json_object_get_string_member_with_default(told, "policy", "default"),
                             "default"))
        return false;
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);
        gint64 number = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_int(node) : -1;

        if (number >= 0 && number < VH_HOST_CPUS_MAX)
            vh_cpuset_add(nodes, (unsigned)number);
    }
    return json_array_get_length(list) > 0;
}

/* Where some of the memory may be anywhere, nobody knows where it is. */
static void on_backends(JsonNode *result, const char *error, gpointer data)
{
    VhGuest *guest = data;
    JsonArray *list = result && JSON_NODE_HOLDS_ARRAY(result) ? json_node_get_array(result) : NULL;
    struct vh_cpuset nodes = {{0}};
    bool known = true;

    (void)error;
    for (guint i = 0; list && known && i < json_array_get_length(list); i++)
        known = add_nodes(json_array_get_element(list, i), &nodes);
    if (!known)
        memset(&nodes, 0, sizeof(nodes));
    guest->nodes = nodes;
}

void vh_guest_query_nodes(VhGuest *guest)
{
    vh_qmp_command(guest->monitor, "query-memdev", NULL, on_backends, guest);
}

const struct vh_cpuset *vh_guest_nodes(const VhGuest *guest)
{
    return vh_cpuset_empty(&guest->nodes) ? NULL : &guest->nodes;
}
