// SPDX-License-Identifier: GPL-2.0-or-later
// Joins what wants to be near into clusters.
#include "placement/near.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static unsigned largest(const struct vh_host_domain *domains, unsigned count,
                        const struct vh_cpuset *pool, const struct vh_cpuset *reserved)
{
    unsigned most = 0;

    for (unsigned i = 0; i < count; i++) {
        struct vh_cpuset cpus = domains[i].cpus;

        if (!vh_cpuset_empty(pool))
            vh_cpuset_and(&cpus, pool);
        if (reserved)
            vh_cpuset_sub(&cpus, reserved);
        most = MAX(most, vh_cpuset_count(&cpus));
    }
    return most;
}

unsigned vh_near_room(const struct vh_topology *topology, const struct vh_cpuset *pool,
                      const struct vh_cpuset *reserved)
{
    unsigned l3 = largest(topology->l3s, topology->l3_count, pool, reserved);

    return l3 > 1 ? l3 : largest(topology->nodes, topology->node_count, pool, reserved);
}

/* The strongest first; of equals in an order that does not depend on the caller's. */
static int by_strength(gconstpointer a, gconstpointer b)
{
    const struct vh_near *x = a;
    const struct vh_near *y = b;

    if (x->strength != y->strength)
        return x->strength > y->strength ? -1 : 1;
    return memcmp(&x->vcpus, &y->vcpus, sizeof(x->vcpus));
}

/* Takes `near` into the clusters that it touches, if what becomes of them is small enough. */
static unsigned take(struct vh_near *clusters, unsigned count, struct vh_near near, unsigned room)
{
    struct vh_near joined = near;
    unsigned kept = 0;
    bool found = false;

    for (unsigned i = 0; i < count; i++) {
        if (!vh_mask_touch(&clusters[i].vcpus, &near.vcpus))
            continue;
        vh_mask_or(&joined.vcpus, &clusters[i].vcpus);
        if (!found)
            joined.by = clusters[i].by;
        found = true;
    }
    if (!vh_mask_several(&near.vcpus) || vh_mask_weight(&joined.vcpus) > room)
        return count;
    for (unsigned i = 0; i < count; i++)
        if (!vh_mask_touch(&clusters[i].vcpus, &near.vcpus))
            clusters[kept++] = clusters[i];
    clusters[kept++] = joined;
    return kept;
}

unsigned vh_near_join(struct vh_near *nears, unsigned count, unsigned room)
{
    unsigned clusters = 0;

    qsort(nears, count, sizeof(*nears), by_strength);
    /* There are never more clusters than what they were made of. */
    for (unsigned i = 0; i < count; i++)
        clusters = take(nears, clusters, nears[i], room);
    return clusters;
}
