// SPDX-License-Identifier: GPL-2.0-or-later
// What a comparison of registers says of a packet's fields.
#include <string.h>

#include "net/firewall-parts.h"

/* Conntrack's states of a packet whose flow the guest does not know: new, invalid, untracked; and
 * related, if helpers are at work. */
static const uint32_t states[] = {8, 1, 64, 4};

guint vh_fw_states(const VhFwRule *rule, uint8_t reg, gsize len)
{
    if (rule->reg[reg].source != VH_FW_BYTE_STATE || len != sizeof(states[0]))
        return 0;
    return rule->work->rules->helpers ? 4 : 3;
}

static bool holds(enum vh_fw_op op, const uint8_t *bytes, const struct vh_fw_test *test)
{
    int order = memcmp(bytes, test->data, test->len);

    switch (op) {
    case VH_FW_EQ:
        return order == 0;
    case VH_FW_LT:
        return order < 0;
    case VH_FW_LTE:
        return order <= 0;
    case VH_FW_GT:
        return order > 0;
    case VH_FW_GTE:
        return order >= 0;
    case VH_FW_BETWEEN:
        return order >= 0 && memcmp(bytes, test->data2, test->len) <= 0;
    }
    return false;
}

/* What is in the register if the field on which it depends is `value`. */
static uint8_t byte_of(const VhFwRule *rule, const struct vh_fw_byte *byte, uint32_t value)
{
    const VhFwWork *work = rule->work;
    const struct vh_fw_link *link =
        &work->guest->links[value < work->guest->link_count ? value : 0];
    uint8_t raw = byte->value;

    if (byte->source == VH_FW_BYTE_FIELD)
        raw = (uint8_t)(value >> 8 * (vh_fw_field_size(byte->field, work->v6) - 1 - byte->at));
    else if (byte->source == VH_FW_BYTE_NAME)
        raw = (uint8_t)link->name[byte->at];
    else if (byte->source == VH_FW_BYTE_INDEX)
        raw = ((const uint8_t *)&link->index)[byte->at];
    else if (byte->source == VH_FW_BYTE_EXT)
        raw = (value & byte->value) != 0;
    else if (byte->source == VH_FW_BYTE_STATE)
        raw = ((const uint8_t *)&states[value])[byte->at];
    return (uint8_t)((raw & byte->mask) ^ byte->flip);
}

static bool holds_at(const VhFwRule *rule, const struct vh_fw_test *test, uint32_t value)
{
    uint8_t bytes[VH_NFT_REGISTERS];

    for (uint8_t i = 0; i < test->len; i++)
        bytes[i] = byte_of(rule, &rule->reg[test->reg + i], value);
    return holds(test->op, bytes, test);
}

bool vh_fw_holds_in(const VhFwRule *rule, const struct vh_fw_test *test, guint state)
{
    return holds_at(rule, test, state);
}

static bool narrow_state(const VhFwRule *rule, const struct vh_fw_test *test, struct vh_fw_box *box)
{
    guint count = rule->work->rules->helpers ? 4 : 3;
    guint held = 0;

    for (guint i = 0; i < count; i++)
        held += holds_at(rule, test, i);
    box->may |= held && held < count;
    return held;
}

/* Tries all values of a field that has few. */
static bool narrow_small(const VhFwRule *rule, const struct vh_fw_test *test, struct vh_fw_box *box)
{
    enum vh_fw_field field = rule->reg[test->reg].field;
    uint32_t max = (uint32_t)vh_fw_field_max(field, rule->work->v6);
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(struct vh_range));

    vh_fw_step(rule->work, 1 + max / 64);
    for (uint32_t value = 0; value <= max; value++) {
        struct vh_range *last =
            found->len ? &g_array_index(found, struct vh_range, found->len - 1) : NULL;
        struct vh_range one = {value, value};

        if (!holds_at(rule, test, value))
            continue;
        if (last && last->hi + 1 == value)
            last->hi = value;
        else
            g_array_append_val(found, one);
    }
    return vh_fw_box_and(
        rule->work, box, field,
        vh_ranges_union(rule->work->store, (struct vh_range *)(void *)found->data, found->len));
}

/* The values of a field whose first `len` bytes, unchanged, are within the test. */
static const VhRanges *leading(VhFwRule *rule, const struct vh_fw_test *test, gsize size)
{
    vh_u128 max = vh_fw_field_max(rule->reg[test->reg].field, rule->work->v6);
    unsigned shift = (unsigned)(8 * (size - test->len));
    vh_u128 below = shift ? ((vh_u128)1 << shift) - 1 : 0;
    vh_u128 lo = vh_fw_number(test->data, test->len) << shift;
    vh_u128 hi = lo | below;

    if (test->op == VH_FW_LT)
        return lo ? vh_ranges_one(rule->work->store, 0, lo - 1) : vh_ranges_none(rule->work->store);
    if (test->op == VH_FW_GT)
        return hi < max ? vh_ranges_one(rule->work->store, hi + 1, max)
                        : vh_ranges_none(rule->work->store);
    if (test->op == VH_FW_LTE)
        lo = 0;
    else if (test->op == VH_FW_GTE)
        hi = max;
    else if (test->op == VH_FW_BETWEEN)
        hi = vh_fw_number(test->data2, test->len) << shift | below;
    return vh_ranges_one(rule->work->store, lo, hi);
}

/* Of bytes that a mask leaves the first bits of: how many these are; -1: it is not so. */
static int prefix_bits(const struct vh_fw_byte *reg, gsize len)
{
    int bits = 0;
    bool ended = false;

    for (gsize i = 0; i < len * 8; i++) {
        bool set = reg[i / 8].mask >> (7 - i % 8) & 1;

        if (set && ended)
            return -1;
        bits += set;
        ended |= !set;
    }
    return bits;
}

/* An address that is masked to a prefix and compared with one. */
static bool narrow_prefix(VhFwRule *rule, const struct vh_fw_test *test, gsize size,
                          struct vh_fw_box *box)
{
    const struct vh_fw_byte *reg = rule->reg + test->reg;
    int bits = prefix_bits(reg, test->len);
    unsigned free_bits = (unsigned)(8 * size) - (unsigned)MAX(bits, 0);
    uint8_t wanted[16];
    vh_u128 lo = 0;
    vh_u128 span = 0;

    if (bits < 0 || test->op != VH_FW_EQ) {
        box->may = true;
        return true;
    }
    for (gsize i = 0; i < test->len; i++) {
        wanted[i] = test->data[i] ^ reg[i].flip;
        if (wanted[i] & ~reg[i].mask)
            return false;
    }
    if (!bits)
        return true;
    lo = vh_fw_number(wanted, test->len) << 8 * (size - test->len);
    span = free_bits ? ((vh_u128)1 << free_bits) - 1 : 0;
    return vh_fw_box_and(rule->work, box, reg->field,
                         vh_ranges_one(rule->work->store, lo, lo | span));
}

static bool unchanged(const struct vh_fw_byte *reg, gsize len)
{
    for (gsize i = 0; i < len; i++) {
        if (reg[i].mask != 0xff || reg[i].flip || reg[i].at != i)
            return false;
    }
    return true;
}

/* Bytes of one source, one after the other. */
static bool narrow_run(VhFwRule *rule, const struct vh_fw_test *test, struct vh_fw_box *box)
{
    const struct vh_fw_byte *reg = rule->reg + test->reg;
    gsize size = reg->source == VH_FW_BYTE_FIELD ? vh_fw_field_size(reg->field, rule->work->v6) : 0;

    if (reg->source == VH_FW_BYTE_CONST)
        return holds_at(rule, test, 0);
    if (reg->source == VH_FW_BYTE_STATE)
        return narrow_state(rule, test, box);
    if (reg->source == VH_FW_BYTE_UNKNOWN || reg->at + test->len > MAX(size, 16)) {
        box->may = true;
        return true;
    }
    if (size && unchanged(reg, test->len))
        return vh_fw_box_and(rule->work, box, reg->field, leading(rule, test, size));
    if (size <= 2)
        return narrow_small(rule, test, box);
    if (reg->at == 0)
        return narrow_prefix(rule, test, size, box);
    box->may = true;
    return true;
}

/* How many bytes from here on are of one source and follow one another. */
static uint8_t run_of(const struct vh_fw_byte *reg, uint8_t len)
{
    uint8_t run = 1;

    while (run < len && reg[run].source == reg->source && reg[run].field == reg->field &&
           (reg->source == VH_FW_BYTE_CONST || reg->source == VH_FW_BYTE_UNKNOWN ||
            reg[run].at == reg->at + run))
        run++;
    return run;
}

bool vh_fw_narrow(VhFwRule *rule, const struct vh_fw_test *test, struct vh_fw_box *box)
{
    uint8_t run = run_of(rule->reg + test->reg, test->len);

    if (run == test->len)
        return narrow_run(rule, test, box);
    if (test->op != VH_FW_EQ) {
        box->may = true;
        return true;
    }
    for (uint8_t done = 0; done < test->len; done = (uint8_t)(done + run)) {
        struct vh_fw_test part = *test;

        run = run_of(rule->reg + test->reg + done, (uint8_t)(test->len - done));
        part.reg = (uint8_t)(test->reg + done);
        part.len = run;
        part.data = test->data + done;
        if (!narrow_run(rule, &part, box))
            return false;
    }
    return true;
}

enum vh_fw_field vh_fw_whole_field(const VhFwRule *rule, uint8_t reg, gsize len)
{
    const struct vh_fw_byte *byte = rule->reg + reg;

    if (byte->source != VH_FW_BYTE_FIELD || run_of(byte, (uint8_t)len) != len ||
        vh_fw_field_size(byte->field, rule->work->v6) != len || !unchanged(byte, len))
        return VH_FW_FIELDS;
    return byte->field;
}
