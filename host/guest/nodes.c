// SPDX-License-Identifier: GPL-2.0-or-later
// Learns from a guest's monitor which NUMA nodes its memory is bound to.
#include <string.h>

#include "base/json.h"
#include "guest/state.h"

/* Adds what one of QEMU's memory backends is bound to. Returns whether it is bound at all. */
static bool add_nodes(JsonNode *backend, struct vh_cpuset *nodes)
{
    JsonObject *told = vh_json_object(backend);
    JsonArray *list = vh_json_member_array(told, "host-nodes");

    if (!list || g_str_equal(vh_json_member_text(told, "policy", "default"), "default"))
        return false;
    for (guint i = 0; i < vh_json_length(list); i++) {
        gint64 number = 0;

        if (vh_json_int(vh_json_element(list, i), 0, VH_HOST_CPUS_MAX - 1, &number))
            vh_cpuset_add(nodes, (unsigned)number);
    }
    return vh_json_length(list) > 0;
}

/* Where some of the memory may be anywhere, nobody knows where it is. */
static void on_backends(JsonNode *result, const char *error, gpointer data)
{
    VhGuest *guest = data;
    JsonArray *list = vh_json_array(result);
    struct vh_cpuset nodes = {{0}};
    bool known = true;

    (void)error;
    for (guint i = 0; known && i < vh_json_length(list); i++)
        known = add_nodes(vh_json_element(list, i), &nodes);
    if (!known)
        memset(&nodes, 0, sizeof(nodes));
    guest->nodes = nodes;
    guest->nodes_known = !vh_cpuset_empty(&nodes);
    vh_guest_show(guest);
}

void vh_guest_query_nodes(VhGuest *guest)
{
    vh_qmp_command(guest->monitor, "query-memdev", NULL, on_backends, guest);
}

const struct vh_cpuset *vh_guest_nodes(const VhGuest *guest)
{
    return guest->nodes_known ? &guest->nodes : NULL;
}
