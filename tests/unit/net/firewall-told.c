// SPDX-License-Identifier: GPL-2.0-or-later
// injector/rules.c and host/net/firewall-told.c: what the one collects of a kernel, the other
// reads.
#include "net/firewall-told.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "guest-rules.h"
#include "lib/net-stage.h"
#include "lib/netspace.h"
#include "rules.h"

typedef struct {
    int state;
    VhObject *object;
    VhFacts *facts;
} Fixture;

static VhObject *object_new(void)
{
    VhObject *object = g_atomic_rc_box_new0(VhObject);

    object->bytes = g_bytes_new_static("", 0);
    strcpy(object->name, VH_RULES_PROGRAM);
    object->kinds = g_new0(struct vh_kind, 1);
    object->kinds[0] = (struct vh_kind){.number = 1,
                                        .name = g_strdup("vh_rules_part"),
                                        .size = sizeof(struct vh_rules_part),
                                        .object = object};
    object->kind_count = 1;
    return object;
}

static void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    f->state = bpf_map_create(BPF_MAP_TYPE_HASH, "state", 4, sizeof(struct vh_rules_part),
                              VH_RULES_PARTS_MAX, NULL);
    g_assert_cmpint(f->state, >=, 0);
    f->object = object_new();
    f->facts = vh_facts_new();
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    vh_facts_free(f->facts);
    vh_object_unref(f->object);
    close(f->state);
}

/* As a snapshot would tell it. How many parts there are. */
static guint collect(Fixture *f)
{
    guint count = 0;

    g_assert_cmpint(vh_rules_collect(f->state), ==, 0);
    vh_facts_clear(f->facts);
    for (guint32 i = 0; i < VH_RULES_PARTS_MAX; i++) {
        struct vh_rules_part part;

        if (bpf_map_lookup_elem(f->state, &i, &part))
            break;
        count++;
        g_assert_cmpint(
            vh_facts_take(f->facts, 1, f->object->kinds, &part.h, (const uint8_t *)&part, NULL), ==,
            1);
    }
    return count;
}

/* In a namespace all interfaces are made up: here the tap is taken for a card. */
static GBytes *with_card(GBytes *wants)
{
    gsize size = 0;
    const guint8 *bytes = g_bytes_get_data(wants, &size);
    uLongf whole = *(const guint32 *)(const void *)bytes;
    uLongf packed = compressBound(whole);
    g_autofree guint8 *text = g_malloc(whole);
    guint8 *all = g_malloc(8 + packed);
    struct vh_rules_head *head = (void *)text;
    struct vh_rules_link *links = (void *)(head + 1);

    g_assert_cmpint(uncompress(text, &whole, bytes + 8, size - 8), ==, Z_OK);
    for (guint i = 0; i < head->links; i++) {
        if (!strcmp(links[i].name, "tap9"))
            links[i].flags |= VH_RULES_LINK_DEVICE;
    }
    memcpy(all, bytes, 8);
    g_assert_cmpint(compress2(all + 8, &packed, text, whole, 1), ==, Z_OK);
    return g_bytes_new_take(all, 8 + packed);
}

static VhFwTold *told_of(Fixture *f)
{
    const char *why = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) gathered = vh_fw_told_gather(f->facts, &why);
    g_autoptr(GBytes) wants = NULL;
    VhFwTold *told = NULL;

    g_assert_cmpstr(why, ==, NULL);
    g_assert_null(vh_fw_told_read(gathered, &error));
    g_assert_cmpstr(error->message, ==, "the guest has no network card that is up");
    g_clear_error(&error);
    wants = with_card(gathered);
    told = vh_fw_told_read(wants, &error);
    g_assert_no_error(error);
    return told;
}

static void test_whole(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhFwTold) told = NULL;
    g_autoptr(VhNftRules) rules = NULL;
    g_autoptr(VhFwRows) rows = NULL;
    const VhRanges *local = NULL;

    (void)data;
    netspace_set(
        "table inet t { chain in { type filter hook input priority 0; tcp dport 80 drop; } }");
    g_assert_cmpuint(collect(f), >, 0);
    told = told_of(f);
    g_assert_cmpint(memcmp(told->mac, "\x52\x54\x00\x01\x02\x03", 6), ==, 0);
    g_assert_cmpstr(told->guest.links[0].name, ==, "tap9");
    rules = vh_nft_read(told->dump, &error);
    g_assert_no_error(error);
    rows = vh_fw_translate(rules, &told->guest);
    g_assert_cmpuint(rows->drops, ==, 2);
    local = vh_ranges_union(rows->store, (struct vh_range *)(void *)told->guest.local[0]->data,
                            told->guest.local[0]->len);
    g_assert_true(vh_ranges_has(local, 0x0a000001));
    g_assert_false(vh_ranges_has(local, 0x0a000002));
}

static void test_many_parts(Fixture *f, gconstpointer data)
{
    GString *text = g_string_new("table inet t { chain in { type filter hook input priority 0; ");
    g_autoptr(VhFwTold) told = NULL;
    const char *why = NULL;
    guint count = 0;

    (void)data;
    for (guint i = 0; i < 3000; i++)
        g_string_append_printf(text, "ip saddr 10.%u.%u.%u tcp dport %u drop; ", i % 251,
                               i * 7 % 250, i * 13 % 249, i * 31 % 60000 + 1);
    g_string_append(text, "} }");
    netspace_set(text->str);
    g_string_free(text, TRUE);
    count = collect(f);
    g_assert_cmpuint(count, >, 3);
    told = told_of(f);
    /* A part of another whole is not taken for one of this. */
    bpf_map_delete_elem(f->state, &(guint32){count - 1});
    netspace_set("table inet t { }");
    g_assert_cmpuint(collect(f), ==, 1);
    g_clear_pointer(&told, vh_fw_told_free);
    told = told_of(f);
    vh_facts_clear(f->facts);
    g_assert_null(vh_fw_told_gather(f->facts, &why));
    g_assert_nonnull(strstr(why, "has not told its rules"));
}

static void test_parts_of_two(Fixture *f, gconstpointer data)
{
    struct vh_rules_part part;
    const char *why = NULL;

    (void)data;
    netspace_set("table inet t { }");
    g_assert_cmpuint(collect(f), ==, 1);
    g_assert_cmpint(bpf_map_lookup_elem(f->state, &(guint32){0}, &part), ==, 0);
    part.part = 1;
    vh_facts_take(f->facts, 1, f->object->kinds, &part.h, (const uint8_t *)&part, NULL);
    g_assert_null(vh_fw_told_gather(f->facts, &why));
    g_assert_nonnull(strstr(why, "is telling other rules"));
    part.part = VH_RULES_PARTS_MAX;
    vh_facts_take(f->facts, 1, f->object->kinds, &part.h, (const uint8_t *)&part, NULL);
    g_assert_null(vh_fw_told_gather(f->facts, &why));
    g_assert_nonnull(strstr(why, "more rules than vhint takes"));
}

static void test_damaged(Fixture *f, gconstpointer data)
{
    const char *why = NULL;
    g_autoptr(GBytes) wants = NULL;
    g_autofree guint8 *bytes = NULL;
    gsize size = 0;

    (void)data;
    netspace_set("table inet t { chain in { type filter hook input priority 0; drop; } }");
    collect(f);
    wants = vh_fw_told_gather(f->facts, &why);
    size = g_bytes_get_size(wants);
    bytes = g_memdup2(g_bytes_get_data(wants, NULL), size);
    for (gsize i = 0; i < size; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) other = NULL;
        g_autoptr(VhFwTold) told = NULL;

        bytes[i] ^= 0xff;
        other = g_bytes_new(bytes, size);
        bytes[i] ^= 0xff;
        told = vh_fw_told_read(other, &error);
        g_assert(!told == !!error);
    }
}

/* A packet socket sees what the host would drop. */
static void test_observed(Fixture *f, gconstpointer data)
{
    const char *why = NULL;
    int fd = socket(AF_PACKET, SOCK_RAW, GUINT16_TO_BE(3));

    (void)data;
    g_assert_cmpint(fd, >=, 0);
    netspace_set("table inet t { }");
    collect(f);
    close(fd);
    g_assert_null(vh_fw_told_gather(f->facts, &why));
    g_assert_nonnull(strstr(why, "packet socket"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!netspace_enter()) {
        g_print("1..0 # SKIP a network namespace with nf_tables is needed, and nft\n");
        return 77;
    }
    net_stage_run("ip tuntap add tap9 mode tap");
    net_stage_run("ip link set tap9 address 52:54:00:01:02:03");
    net_stage_run("ip link set tap9 up");
    net_stage_run("ip address add 10.0.0.1/24 dev tap9");
    g_test_add("/net/firewall-told/whole", Fixture, NULL, set_up, test_whole, tear_down);
    g_test_add("/net/firewall-told/many-parts", Fixture, NULL, set_up, test_many_parts, tear_down);
    g_test_add("/net/firewall-told/parts-of-two", Fixture, NULL, set_up, test_parts_of_two,
               tear_down);
    g_test_add("/net/firewall-told/damaged", Fixture, NULL, set_up, test_damaged, tear_down);
    g_test_add("/net/firewall-told/observed", Fixture, NULL, set_up, test_observed, tear_down);
    return g_test_run();
}
