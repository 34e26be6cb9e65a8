// SPDX-License-Identifier: GPL-2.0-or-later
// Takes the records that a guest's programs send: facts are kept, rules see them, watchers are
// told.
#include "guest/state.h"
#include "hint/json.h"

static void on_rule_log(const struct vh_rule *rule, const char *text, gpointer data)
{
    VhGuest *guest = data;
    g_autofree char *what = g_strdup_printf("rule %s", rule->name);

    vh_guest_complain(guest, what, text);
}

/* What the rules say of one record. */
static void see_record(VhGuest *guest, const struct vh_seen *seen)
{
    bool event = false;
    g_autofree char *misfit = NULL;
    enum vh_verdict verdict = vh_rules_see(guest->rules, seen, &guest->map, g_get_monotonic_time(),
                                           &event, on_rule_log, guest);

    /* Before QEMU has told of its vCPUs there is nothing to judge by; policy looks again once it
     * has. */
    if (verdict > VH_VERDICT_OTHER && guest->vcpus->len) {
        guest->bad_hints++;
        vh_guest_complain(guest, "hint not acted upon", vh_verdict_text(verdict));
    }
    if (event)
        vh_guest_touch_facts(guest, "an event asks for it");
    misfit = vh_rules_misfit(guest->rules);
    if (misfit)
        vh_guest_complain(guest, "rule not used", misfit);
}

/* What whoever wrote the program should mend, said once: of its kinds, sizes, or missing state. */
static void note_misfit(struct vh_managed *managed, const struct vh_kind *kind,
                        const struct vh_hint *hint)
{
    if (*managed->misfit)
        return;
    g_free(managed->misfit);
    if (!kind)
        managed->misfit =
            g_strdup_printf("it sends hints of kind %u, which its manifest does not have: declare "
                            "it with VH_HINT(%u, STRUCT)",
                            hint->kind, hint->kind);
    else if (!vh_hint_fits(kind, hint))
        managed->misfit = g_strdup_printf(
            "it sends hints of kind %u with %u bytes and a key of %u, but struct %s has %u bytes: "
            "stamp them with sizeof",
            hint->kind, hint->size, hint->key_size, kind->name, kind->size);
    else
        managed->misfit =
            g_strdup_printf("its hints of kind %s have a key, but it has no VH_STATE: a fact whose "
                            "hint is lost stays unknown",
                            kind->name);
}

/* One record of a batch: decoded by nobody yet, only matched with its kind and taken for a fact. */
static void take_record(VhGuest *guest, struct vh_managed *managed, const struct vh_hint *hint,
                        const uint8_t *record)
{
    const struct vh_kind *kind = vh_object_kind(managed->object, hint->kind);
    struct vh_seen seen = {.kind = kind, .record = record};
    int result = 0;

    if (!kind || !vh_hint_fits(kind, hint)) {
        guest->bad_hints++;
        note_misfit(managed, kind, hint);
        vh_guest_complain(guest, "hint refused",
                          kind ? "its size is not its kind's"
                               : "the program's manifest has no such kind");
        return;
    }
    if (hint->key_size && !managed->has_state)
        note_misfit(managed, kind, hint);
    result = vh_facts_take(guest->facts, managed->id, kind, hint, record, &seen.fact);
    seen.news = result > 0 || !hint->key_size;
    if (result > 0)
        vh_guest_touch_facts(guest, hint->flags & VH_HINT_GONE
                                        ? "the hint that asked for it is gone"
                                        : "a hint has changed");
    else if (result < 0)
        vh_guest_complain(guest, "fact refused", "the guest has more facts than are kept");
    if (!(hint->flags & VH_HINT_GONE))
        see_record(guest, &seen);
}

/* Whom it tells may do as it likes: what is told is kept by a reference. */
static void tell_watchers(VhGuest *guest, const struct vh_managed *managed,
                          const struct vh_batch *batch, struct vh_records records)
{
    g_autoptr(VhObject) object = vh_object_ref(managed->object);
    struct vh_hint hint;
    const uint8_t *record = NULL;
    gint64 seq = (gint64)batch->seq;

    while ((record = vh_records_next(&records, &hint))) {
        const struct vh_kind *kind = vh_object_kind(object, hint.kind);
        g_autoptr(GString) line = NULL;

        seq++;
        if (!kind || !vh_hint_fits(kind, &hint))
            continue;
        line = g_string_sized_new(512);
        vh_hint_json(line, guest->config->name, object->name, kind, record, seq - 1);
        guest->funcs->watch(guest, line, guest->data);
    }
}

void vh_guest_on_hints(const struct vh_batch *batch, struct vh_records records, gpointer data)
{
    VhGuest *guest = data;
    struct vh_managed *managed = vh_programs_by_id(guest->programs, batch->program);
    struct vh_records again = records;
    struct vh_hint hint;
    const uint8_t *record = NULL;

    guest->hints += batch->count;
    guest->batch += batch->count;
    vh_guest_glance_at_threads(guest);
    if (!managed)
        return;
    managed->hints += batch->count;
    if (batch->lost > managed->lost)
        guest->lost += batch->lost - managed->lost;
    managed->lost = batch->lost;
    while ((record = vh_records_next(&records, &hint)))
        take_record(guest, managed, &hint, record);
    if (guest->funcs->watched(guest, guest->data))
        tell_watchers(guest, managed, batch, again);
}

void vh_guest_on_snapshot(const struct vh_batch *batch, struct vh_records records, gpointer data)
{
    VhGuest *guest = data;
    struct vh_managed *managed = vh_programs_by_id(guest->programs, batch->program);
    struct vh_hint hint;
    const uint8_t *record = NULL;

    if (!managed)
        return;
    if (batch->flags & VH_SNAPSHOT_FIRST)
        vh_facts_begin(guest->facts, managed->id);
    while ((record = vh_records_next(&records, &hint)))
        take_record(guest, managed, &hint, record);
    if ((batch->flags & VH_SNAPSHOT_LAST) && vh_facts_end(guest->facts, managed->id))
        vh_guest_touch(guest, "a snapshot did not confirm it");
}
