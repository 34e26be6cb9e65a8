// SPDX-License-Identifier: GPL-2.0-or-later
// All of the firewall at once: made-up rules and packets go to this machine's kernel, which stands
// for a guest's, and through the programs in the host's. What the kernel lets pass, or does
// something with, the host must not drop. What the host passes needlessly is counted and told.
//
// VH_PAIRS says how many packets there are, each with one of the sets of rules, and VH_SEED where
// it begins: `./dev fuzz firewall`.
#include <stdlib.h>

#include "lib/fw-random.h"
#include "lib/netspace.h"

#define PAIRS 100000u
#define BATCH 2000u

struct count {
    guint pairs;
    guint sets;
    guint refused; /* sets that nft did not take */
    guint dropped; /* by the host */
    guint lost;    /* by the kernel's rules, or because they were not as they should be */
    guint answers;
    guint rules;
    guint noted;
};

static void tell(const char *rules, const struct world_packet *packet, const char *what)
{
    g_autoptr(GString) hex = g_string_new(NULL);

    for (gsize i = 0; i < packet->len; i++)
        g_string_append_printf(hex, "%02x", packet->bytes[i]);
    g_error("the host dropped what the kernel %s: %s\nby these rules:\n%s", what, hex->str, rules);
}

static void compare(const char *rules, const struct world_packet *packets, const bool *dropped,
                    const struct world_seen *seen, struct count *count)
{
    for (guint i = 0; i < BATCH; i++) {
        gpointer id = GUINT_TO_POINTER(packets[i].id);
        bool accepted = g_hash_table_contains(seen->accepted[packets[i].v6], id);

        count->dropped += dropped[i];
        count->lost += !accepted;
        if (dropped[i] && accepted)
            tell(rules, &packets[i], "lets pass");
        if (dropped[i] && g_hash_table_contains(seen->touched[packets[i].v6], id))
            tell(rules, &packets[i], "does something with");
    }
}

static void try_set(World *world, GRand *rand, struct count *count)
{
    g_autofree char *rules = random_rules(rand);
    g_autofree struct world_packet *packets = g_new(struct world_packet, BATCH);
    g_autofree bool *dropped = g_new(bool, BATCH);
    struct world_seen seen;

    if (!world_set(world, &rules)) {
        count->refused++;
        return;
    }
    for (guint i = 0; i < BATCH; i++) {
        struct world_packet answer;

        /* 0 is the label of what the kernel itself sends. */
        random_packet(rand, (guint16)(i + 1), &packets[i]);
        if (g_rand_int_range(rand, 0, 4) == 0) {
            random_answer(rand, 0, &answer);
            world_answer(world, &answer);
            count->answers++;
        }
        dropped[i] = world_send(world, &packets[i]);
    }
    world_look(world, &seen);
    compare(rules, packets, dropped, &seen, count);
    world_seen_clear(&seen);
    count->sets++;
    count->pairs += BATCH;
    count->rules += world_rules(world);
    count->noted += world_noted(world);
}

static guint number_of(const char *name, guint otherwise)
{
    const char *text = g_getenv(name);

    return text ? (guint)strtoul(text, NULL, 10) : otherwise;
}

static void test_pairs(void)
{
    guint pairs = number_of("VH_PAIRS", PAIRS);
    guint seed = number_of("VH_SEED", (guint)g_test_rand_int());
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    World *world = world_new();
    struct count count = {0};

    g_test_message("VH_SEED=%u", seed);
    while (count.pairs < pairs)
        try_set(world, rand, &count);
    g_test_message("%u packets by %u sets of rules (%u more nft did not take), %u answers",
                   count.pairs, count.sets, count.refused, count.answers);
    g_test_message("%u of %u rules have a note", count.noted, count.rules);
    g_test_message("the host dropped %u of %u that the kernel did not let pass: %.1f%% needlessly "
                   "passed",
                   count.dropped, count.lost,
                   count.lost ? 100.0 * (count.lost - count.dropped) / count.lost : 0.0);
    /* A test of nothing proves nothing. */
    g_assert_cmpuint(count.sets, >, count.refused);
    g_assert_cmpuint(count.dropped, >, count.lost / 50);
    world_free(world);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!netspace_enter()) {
        g_print("1..0 # SKIP a network namespace with nf_tables is needed, and nft\n");
        return 77;
    }
    g_test_add_func("/net/firewall/pairs", test_pairs);
    return g_test_run();
}
