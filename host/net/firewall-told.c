// SPDX-License-Identifier: GPL-2.0-or-later
// Puts together and reads what a guest has told about its firewall.
#include "net/firewall-told.h"

#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "guest-rules.h"

/* ---- parts ---- */

static const struct vh_rules_part *part_of(const struct vh_fact *fact)
{
    if (strcmp(fact->kind->object->name, VH_RULES_PROGRAM) != 0 ||
        fact->size != sizeof(struct vh_rules_part))
        return NULL;
    return (const struct vh_rules_part *)(const void *)fact->record;
}

/* The parts by number, if all are there and of one whole. */
static const char *find_parts(const VhFacts *facts, const struct vh_rules_part **parts,
                              guint *count)
{
    VhFactsIter iter;
    const struct vh_fact *fact = NULL;
    guint found = 0;

    vh_facts_iter_init(&iter, facts);
    while ((fact = vh_facts_iter_next(&iter))) {
        const struct vh_rules_part *part = part_of(fact);

        if (!part)
            continue;
        if (part->part >= VH_RULES_PARTS_MAX || parts[part->part])
            return "the guest tells more rules than vhint takes";
        parts[part->part] = part;
        found++;
    }
    if (!parts[0])
        return "the guest has not told its rules: it needs the program firewall";
    *count = (parts[0]->bytes + VH_RULES_DATA - 1) / VH_RULES_DATA;
    for (guint i = 0; i < found && i < VH_RULES_PARTS_MAX; i++) {
        if (!parts[i] || parts[i]->serial != parts[0]->serial ||
            parts[i]->bytes != parts[0]->bytes || parts[i]->whole != parts[0]->whole)
            return "the guest is telling other rules";
    }
    return found == *count ? NULL : "the guest is telling other rules";
}

/* Why nothing can be done whatever the rules are. */
static const char *obstacle(guint32 flags)
{
    if (flags & VH_RULES_LEGACY)
        return "the guest has rules of iptables-legacy, too, which vhint cannot read";
    if (flags & VH_RULES_OBSERVED)
        return "something in the guest looks at packets before its rules do: a packet socket, XDP "
               "or "
               "tc";
    if (flags & VH_RULES_ROUTED)
        return "the guest's routing rules come before its own addresses";
    return NULL;
}

/* What gather makes: this, and the compressed bytes. */
struct gathered {
    guint32 whole;
    guint32 flags;
};

static GBytes *join(const struct vh_rules_part *const *parts, guint count)
{
    GByteArray *all = g_byte_array_new();
    struct gathered gathered = {parts[0]->whole, parts[0]->flags};

    g_byte_array_append(all, (const guint8 *)&gathered, sizeof(gathered));
    for (guint i = 0; i < count; i++)
        g_byte_array_append(all, parts[i]->data,
                            MIN(VH_RULES_DATA, parts[0]->bytes - i * VH_RULES_DATA));
    return g_byte_array_free_to_bytes(all);
}

GBytes *vh_fw_told_gather(const VhFacts *facts, const char **why)
{
    g_autofree const struct vh_rules_part **parts =
        g_new0(const struct vh_rules_part *, VH_RULES_PARTS_MAX);
    guint count = 0;

    *why = find_parts(facts, parts, &count);
    if (!*why)
        *why = obstacle(parts[0]->flags);
    return *why ? NULL : join(parts, count);
}

/* ---- the whole ---- */

static int refuse(GError **error, const char *why)
{
    g_set_error_literal(error, VH_ERROR, VH_ERROR_REFUSED, why);
    return -1;
}

/* Packets of the host's interface come in at the one network card that the guest has. */
static int find_device(const struct vh_rules_link *links, guint count,
                       const struct vh_rules_link **device, GError **error)
{
    for (guint i = 0; i < count; i++) {
        if (!(links[i].flags & VH_RULES_LINK_DEVICE))
            continue;
        if (*device)
            return refuse(error, "the guest has more than one network card");
        *device = &links[i];
    }
    if (!*device)
        return refuse(error, "the guest has no network card that is up");
    if ((*device)->flags & VH_RULES_LINK_TAKEN)
        return refuse(error, "in the guest a bridge, a bond or the like takes the card's packets");
    return 0;
}

static void add_link(VhFwTold *told, const struct vh_rules_link *from)
{
    struct vh_fw_link *link = &told->guest.links[told->guest.link_count];

    if (told->guest.link_count >= VH_FW_LINKS_MAX)
        return; /* its packets are of no interface, and pass */
    told->guest.link_count++;
    link->index = from->index;
    link->vlan = from->vlan;
    memcpy(link->name, from->name, sizeof(link->name) - 1);
}

static int read_links(VhFwTold *told, const struct vh_rules_link *links, guint count,
                      GError **error)
{
    const struct vh_rules_link *device = NULL;

    if (find_device(links, count, &device, error))
        return -1;
    memcpy(told->mac, device->mac, sizeof(told->mac));
    add_link(told, device);
    told->guest.links[0].vlan = 0;
    for (guint i = 0; i < count; i++) {
        if (links[i].vlan && links[i].vlan < 4095 && links[i].parent == device->index &&
            !(links[i].flags & VH_RULES_LINK_TAKEN))
            add_link(told, &links[i]);
    }
    return 0;
}

static vh_u128 number_of(const guint8 *bytes, bool v6)
{
    vh_u128 number = 0;

    for (guint i = 0; i < (v6 ? 16u : 4u); i++)
        number = number << 8 | bytes[i];
    return number;
}

static void read_range(VhFwTold *told, const struct vh_rules_range *from)
{
    struct vh_range range = {number_of(from->lo, from->v6), number_of(from->hi, from->v6)};
    GArray *const *to = from->kind == VH_RULES_LOCAL ? told->guest.local : told->guest.unseen;

    if (range.lo <= range.hi)
        g_array_append_val(to[from->v6 != 0], range);
}

static VhFwTold *told_new(void)
{
    VhFwTold *told = g_new0(VhFwTold, 1);

    for (int i = 0; i < 2; i++) {
        told->guest.local[i] = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
        told->guest.unseen[i] = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
    }
    return told;
}

void vh_fw_told_free(VhFwTold *told)
{
    if (!told)
        return;
    for (int i = 0; i < 2; i++) {
        g_array_unref(told->guest.local[i]);
        g_array_unref(told->guest.unseen[i]);
    }
    g_clear_pointer(&told->dump, g_bytes_unref);
    g_free(told);
}

static GBytes *unpack(GBytes *wants, struct gathered *gathered)
{
    gsize size = 0;
    const guint8 *bytes = g_bytes_get_data(wants, &size);
    uLongf got = 0;
    g_autofree guint8 *whole = NULL;

    if (size < sizeof(*gathered))
        return NULL;
    memcpy(gathered, bytes, sizeof(*gathered));
    got = gathered->whole;
    if (got > VH_RULES_MAX)
        return NULL;
    whole = g_malloc(got + 1);
    if (uncompress(whole, &got, bytes + sizeof(*gathered), size - sizeof(*gathered)) != Z_OK ||
        got != gathered->whole)
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&whole), got);
}

/* False: the lengths do not fit. */
static bool read_head(GBytes *whole, struct vh_rules_head *head)
{
    gsize size = g_bytes_get_size(whole);

    if (size < sizeof(*head))
        return false;
    memcpy(head, g_bytes_get_data(whole, NULL), sizeof(*head));
    return head->magic == VH_RULES_MAGIC && head->version == VH_RULES_VERSION &&
           sizeof(*head) + (guint64)head->links * sizeof(struct vh_rules_link) +
                   (guint64)head->ranges * sizeof(struct vh_rules_range) + head->dump ==
               size;
}

VhFwTold *vh_fw_told_read(GBytes *wants, GError **error)
{
    g_autoptr(VhFwTold) told = told_new();
    struct gathered gathered;
    struct vh_rules_head head;
    g_autoptr(GBytes) whole = unpack(wants, &gathered);
    g_autofree struct vh_rules_link *links = NULL;
    const guint8 *at = NULL;

    if (!whole || !read_head(whole, &head)) {
        refuse(error, "what the guest tells of its rules is damaged");
        return NULL;
    }
    at = (const guint8 *)g_bytes_get_data(whole, NULL) + sizeof(head);
    links = g_memdup2(at, head.links * sizeof(struct vh_rules_link));
    if (read_links(told, links, head.links, error))
        return NULL;
    at += head.links * sizeof(struct vh_rules_link);
    for (guint i = 0; i < head.ranges; i++, at += sizeof(struct vh_rules_range)) {
        struct vh_rules_range range;

        memcpy(&range, at, sizeof(range));
        read_range(told, &range);
    }
    told->conntrack = gathered.flags & VH_RULES_CONNTRACK;
    told->dump = g_bytes_new_from_bytes(whole, g_bytes_get_size(whole) - head.dump, head.dump);
    return g_steal_pointer(&told);
}
