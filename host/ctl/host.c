// SPDX-License-Identifier: GPL-2.0-or-later
// The host that a command is about: this one, or one that is made up.
#include "ctl/ctl.h"

struct vh_topology *vh_ctl_topology(const struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GError) bad = NULL;
    struct vh_topology *topology =
        ctl->topology ? vh_topology_synthetic(ctl->topology, &bad) : vh_topology_load(&bad);

    if (!topology)
        g_set_error(error, VH_CTL_ERROR, VH_EXIT_USAGE, "%s", bad->message);
    return topology;
}
