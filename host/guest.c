// SPDX-License-Identifier: GPL-2.0-or-later
// Serves one guest: wires its monitor and its channel to facts and programs.
#include "guest.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "guest-private.h"
#include "hint.h"

static void complain(VhGuest *guest, const char *what, const char *why)
{
    vh_journal_complaint(guest->journal, &guest->limit, guest->config->name, what, why);
}

/* ---- what changes ---- */

/* Remembers that wishes may have changed; settle tells, once the turn's work is done. */
static void touch_facts(VhGuest *guest, const char *why)
{
    guest->dirty = why;
    guest->wishes_hold = false;
}

/* The same, and not only by facts. */
static void touch(VhGuest *guest, const char *why)
{
    touch_facts(guest, why);
    guest->moved = true;
}

static void settle(VhGuest *guest);

static gboolean on_timer(gpointer data)
{
    VhGuest *guest = data;

    guest->timer = 0;
    guest->deferred = 0;
    touch(guest, "it was due now");
    settle(guest);
    return G_SOURCE_REMOVE;
}

/* At the microsecond `when` of the monotonic clock, or never. */
static void set_timer(VhGuest *guest, gint64 when)
{
    gint64 wait = (when - g_get_monotonic_time() + 999) / 1000;

    g_clear_handle_id(&guest->timer, g_source_remove);
    if (when >= 0)
        guest->timer = g_timeout_add((guint)CLAMP(wait, 0, G_MAXINT), on_timer, guest);
}

/* Asks the rules again. Returns whether anything is asked for that was not, or no longer. */
static bool renew_wishes(VhGuest *guest)
{
    guint count = guest->vcpus->len;
    bool known = guest->wishes->len == count;
    g_autofree struct vh_wish *former = g_memdup2(guest->wishes->data, guest->wishes->len * sizeof(*former));
    const struct vh_ram_wish ram = *vh_rules_ram(guest->rules);
    unsigned near_count = 0;
    const struct vh_near *near = vh_rules_nears(guest->rules, &near_count);
    g_autoptr(GBytes) nears = g_bytes_new(near, near_count * sizeof(*near));
    g_autoptr(GBytes) nears_now = NULL;
    struct vh_wish *wishes = NULL;
    gint64 next = 0;

    g_array_set_size(guest->wishes, count);
    wishes = (struct vh_wish *)(void *)guest->wishes->data;
    next = vh_rules_wishes(guest->rules, guest->facts, &guest->map, g_get_monotonic_time(), wishes, count);
    guest->wishes_hold = true;
    if (!guest->deferred)
        set_timer(guest, next);
    for (guint i = 0; known && i < count; i++)
        known = vh_wish_equal(&wishes[i], &former[i]);
    near = vh_rules_nears(guest->rules, &near_count);
    nears_now = g_bytes_new(near, near_count * sizeof(*near));
    return !known || !g_bytes_equal(nears, nears_now) || !vh_ram_wish_equal(vh_rules_ram(guest->rules), &ram);
}

static void settle(VhGuest *guest)
{
    const char *why = guest->dirty;
    gint64 now = why ? g_get_monotonic_time() : 0;
    gint64 wait = 0;

    if (!why || (guest->deferred && now < guest->deferred))
        return;
    wait = guest->batch ? vh_rules_admit(guest->rules, guest->batch, now) : 0;
    guest->batch = 0;
    if (wait) {
        complain(guest, "hints deferred", "more of them came than max-hints allows");
        guest->deferred = now + wait;
        set_timer(guest, guest->deferred);
        return;
    }
    guest->deferred = 0;
    guest->dirty = NULL;
    if (!guest->moved && !renew_wishes(guest))
        return;
    guest->moved = false;
    guest->funcs->changed(guest, why, guest->data);
}

static void on_ram(gpointer data)
{
    touch(data, "its memory device has answered");
    settle(data);
}

static void join_cpus(VhGuest *guest)
{
    vh_cpu_map_join(&guest->map, guest->cpus, guest->cpu_count, (const struct vh_vcpu *)(void *)guest->vcpus->data,
                    guest->vcpus->len);
}

static void set_problem(VhGuest *guest, const char *text)
{
    g_free(guest->problem);
    guest->problem = g_strdup(text);
}

static uint64_t new_number(void)
{
    uint64_t number = 0;

    while (!number)
        randombytes_buf(&number, sizeof(number));
    return number;
}

/* ---- the session ---- */

static size_t on_room(gpointer data)
{
    return vh_port_room(((VhGuest *)data)->port);
}

static void on_send(const uint8_t *bytes, size_t len, gpointer data)
{
    vh_port_send(((VhGuest *)data)->port, bytes, len);
}

static void on_up(const struct vh_hello *hello, gpointer data)
{
    VhGuest *guest = data;

    guest->hello = *hello;
    guest->hints = 0;
    guest->lost = 0;
    set_problem(guest, "");
    vh_journal_step(guest->journal, guest->config->name, "connect", "the injector has answered", NULL,
                    hello->release);
    vh_programs_up(guest->programs, guest->session, hello->boot_id);
}

static void on_down(const char *why, gpointer data)
{
    VhGuest *guest = data;

    vh_programs_down(guest->programs);
    vh_facts_clear(guest->facts);
    guest->cpu_count = 0;
    guest->batch = 0;
    guest->deferred = 0;
    join_cpus(guest);
    set_problem(guest, why);
    vh_journal_step(guest->journal, guest->config->name, "disconnect", why, NULL, NULL);
    touch(guest, "the guest's injector is not connected any longer");
}

/* A CPU that QEMU has not told of may have been plugged in since. */
static bool unknown_cpu(const VhGuest *guest)
{
    for (uint32_t cpu = 0; cpu < guest->map.count; cpu++)
        if (guest->map.cpus[cpu].online && guest->map.cpus[cpu].vcpu < 0)
            return true;
    return false;
}

static void on_cpus(const struct vh_cpu *cpus, uint32_t count, gpointer data)
{
    VhGuest *guest = data;

    memcpy(guest->cpus, cpus, count * sizeof(cpus[0]));
    guest->cpu_count = count;
    join_cpus(guest);
    if (guest->monitor_ready && unknown_cpu(guest))
        vh_guest_query_vcpus(guest);
    touch(guest, "the guest's CPUs have changed");
}

static void on_programs(const struct vh_program *programs, uint32_t count, gpointer data)
{
    VhGuest *guest = data;

    guest->lost = 0;
    for (uint32_t i = 0; i < count; i++)
        guest->lost += programs[i].lost;
    vh_programs_report(guest->programs, programs, count);
}

static void on_gone(uint32_t id, gpointer data)
{
    VhGuest *guest = data;

    if (vh_facts_drop(guest->facts, id))
        touch(guest, "the program that said so is gone");
}

static void on_step(const char *what, const char *why, gpointer data)
{
    const VhGuest *guest = data;

    vh_journal_step(guest->journal, guest->config->name, what, why, NULL, NULL);
}

static void on_rule_log(const struct vh_rule *rule, const char *text, gpointer data)
{
    VhGuest *guest = data;
    g_autofree char *what = g_strdup_printf("rule %s", rule->name);

    complain(guest, what, text);
}

/* What the rules say of one record, which is a fact now if it has a key. */
static void see_record(VhGuest *guest, const struct vh_kind *kind, const struct vh_hint *hint,
                       const uint8_t *record, int result)
{
    bool event = false;
    g_autofree char *misfit = NULL;
    enum vh_verdict verdict = vh_rules_see(guest->rules, kind, record, result > 0 || !hint->key_size, &guest->map,
                                           g_get_monotonic_time(), &event, on_rule_log, guest);

    /* Before QEMU has told of its vCPUs there is nothing to judge by; policy looks again once it has. */
    if (verdict > VH_VERDICT_OTHER && guest->vcpus->len) {
        guest->bad_hints++;
        complain(guest, "hint not acted upon", vh_verdict_text(verdict));
    }
    if (event)
        touch_facts(guest, "an event asks for it");
    misfit = vh_rules_misfit(guest->rules);
    if (misfit)
        complain(guest, "rule not used", misfit);
}

/* One record of a batch: decoded by nobody yet, only matched with its kind and taken for a fact. */
static void take_record(VhGuest *guest, struct vh_managed *managed, const struct vh_hint *hint,
                        const uint8_t *record)
{
    const struct vh_kind *kind = vh_object_kind(managed->object, hint->kind);
    int result = 0;

    if (!kind || !vh_hint_fits(kind, hint)) {
        guest->bad_hints++;
        complain(guest, "hint refused",
                 kind ? "its size is not its kind's" : "the program's manifest has no such kind");
        return;
    }
    result = vh_facts_take(guest->facts, managed->id, kind, hint, record);
    if (result > 0)
        touch_facts(guest,
                    hint->flags & VH_HINT_GONE ? "the hint that asked for it is gone" : "a hint has changed");
    else if (result < 0)
        complain(guest, "fact refused", "the guest has more facts than are kept");
    if (!(hint->flags & VH_HINT_GONE))
        see_record(guest, kind, hint, record, result);
}

static void tell_watchers(VhGuest *guest, const struct vh_managed *managed, const struct vh_batch *batch,
                          struct vh_records records)
{
    struct vh_hint hint;
    const uint8_t *record = NULL;
    gint64 seq = (gint64)batch->seq;

    while ((record = vh_records_next(&records, &hint))) {
        const struct vh_kind *kind = vh_object_kind(managed->object, hint.kind);
        g_autoptr(GString) line = NULL;

        seq++;
        if (!kind || !vh_hint_fits(kind, &hint))
            continue;
        line = g_string_sized_new(512);
        vh_hint_json(line, guest->config->name, managed->name, kind, record, seq - 1);
        guest->funcs->watch(guest, line, guest->data);
    }
}

static void on_hints(const struct vh_batch *batch, struct vh_records records, gpointer data)
{
    VhGuest *guest = data;
    struct vh_managed *managed = vh_programs_by_id(guest->programs, batch->program);
    struct vh_records again = records;
    struct vh_hint hint;
    const uint8_t *record = NULL;

    guest->hints += batch->count;
    guest->batch += batch->count;
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

static void on_snapshot(const struct vh_batch *batch, struct vh_records records, gpointer data)
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
        touch(guest, "a snapshot did not confirm it");
}

static void on_complaint(const char *text, gpointer data)
{
    VhGuest *guest = data;

    complain(guest, "protocol", text);
    if (!vh_session_is_up(guest->session))
        set_problem(guest, text);
}

static const struct vh_session_funcs session_funcs = {
    .room = on_room,
    .send = on_send,
    .up = on_up,
    .down = on_down,
    .cpus = on_cpus,
    .programs = on_programs,
    .hints = on_hints,
    .snapshot = on_snapshot,
    .complaint = on_complaint,
};

static const struct vh_programs_funcs programs_funcs = {.gone = on_gone, .step = on_step};

/* ---- the channel ---- */

static void on_received(const uint8_t *bytes, size_t len, gpointer data)
{
    VhGuest *guest = data;

    vh_session_receive(guest->session, bytes, len);
    settle(guest);
}

static void on_writable(gpointer data)
{
    vh_session_flush(((VhGuest *)data)->session);
}

static void close_channel(VhGuest *guest)
{
    vh_session_free(guest->session);
    guest->session = NULL;
    g_clear_pointer(&guest->port, vh_port_free);
}

static void on_channel_closed(gpointer data)
{
    VhGuest *guest = data;

    close_channel(guest);
    settle(guest);
    vh_link_seek(guest->channel_link);
}

static const struct vh_port_funcs port_funcs = {
    .received = on_received, .writable = on_writable, .closed = on_channel_closed};

static void on_channel(int fd, gpointer data)
{
    VhGuest *guest = data;

    guest->port = vh_port_new(guest->turn, fd, &port_funcs, guest);
    guest->session = vh_session_new(new_number(), guest->scratch, &session_funcs, guest);
    set_problem(guest, "no injector has answered yet: start vhint-injector in the guest");
    vh_session_hello(guest->session);
}

void vh_guest_restart_session(VhGuest *guest, const char *why)
{
    if (guest->session)
        vh_session_restart(guest->session, new_number(), why);
    settle(guest);
}

void vh_guest_greet(VhGuest *guest)
{
    if (guest->session && !vh_session_is_up(guest->session))
        vh_session_hello(guest->session);
}

void vh_guest_take_vcpus(VhGuest *guest, GArray *vcpus, const char *why)
{
    if (guest->vcpus != vcpus)
        g_array_unref(guest->vcpus);
    guest->vcpus = vcpus;
    join_cpus(guest);
    touch(guest, why);
    settle(guest);
}

void vh_guest_set_vcpus(VhGuest *guest, GArray *vcpus, pid_t process, const char *why)
{
    g_array_unref(guest->vcpus);
    guest->vcpus = vcpus;
    guest->preview = false;
    vh_guest_find_threads(guest, process);
    vh_guest_take_vcpus(guest, vcpus, why);
}

/* ---- the guest ---- */

VhGuest *vh_guest_new(const struct vh_config_guest *config, const char *state_dir, VhPathWatch *watch,
                      VhTurn *turn, VhScratch *scratch, VhJournal *journal, const struct vh_guest_funcs *funcs,
                      gpointer data)
{
    VhGuest *guest = g_new0(VhGuest, 1);
    g_autofree char *directory = g_build_filename(state_dir, "injected", config->name, NULL);

    guest->config = config;
    guest->turn = turn;
    guest->scratch = scratch;
    guest->journal = journal;
    guest->funcs = funcs;
    guest->data = data;
    guest->ram = vh_ram_device_new(config, on_ram, guest);
    guest->problem = g_strdup("");
    guest->monitor_problem = g_strdup("");
    guest->facts = vh_facts_new();
    guest->rules = vh_rules_new();
    guest->wishes = g_array_new(FALSE, TRUE, sizeof(struct vh_wish));
    guest->vcpus = g_array_new(FALSE, TRUE, sizeof(struct vh_vcpu));
    guest->iothreads = g_array_new(FALSE, TRUE, sizeof(struct vh_thread));
    guest->threads = g_array_new(FALSE, TRUE, sizeof(struct vh_thread));
    guest->helpers = g_array_new(FALSE, TRUE, sizeof(struct vh_thread));
    guest->programs = vh_programs_new(directory, &programs_funcs, guest);
    if (config->channel)
        guest->channel_link = vh_link_new(watch, config->channel, on_channel, guest);
    if (config->qmp)
        guest->monitor_link = vh_link_new(watch, config->qmp, vh_guest_on_monitor, guest);
    return guest;
}

void vh_guest_start(VhGuest *guest)
{
    vh_guest_open_monitor(guest);
    if (guest->channel_link)
        vh_link_seek(guest->channel_link);
}

void vh_guest_free(VhGuest *guest)
{
    if (!guest)
        return;
    vh_link_free(guest->channel_link);
    vh_link_free(guest->monitor_link);
    guest->monitor_ready = false;
    vh_ram_device_leave(guest->ram);
    g_clear_pointer(&guest->monitor, vh_qmp_free);
    vh_ram_device_unref(guest->ram);
    close_channel(guest);
    vh_programs_free(guest->programs);
    g_clear_handle_id(&guest->timer, g_source_remove);
    vh_rules_free(guest->rules);
    vh_guest_policy_free(guest->policy);
    vh_facts_free(guest->facts);
    g_array_unref(guest->wishes);
    g_array_unref(guest->vcpus);
    g_array_unref(guest->iothreads);
    g_array_unref(guest->threads);
    g_array_unref(guest->helpers);
    g_free(guest->port_device);
    g_free(guest->monitor_problem);
    g_free(guest->problem);
    g_free(guest);
}

const struct vh_config_guest *vh_guest_config(const VhGuest *guest)
{
    return guest->config;
}

VhPrograms *vh_guest_programs(VhGuest *guest)
{
    return guest->programs;
}

const VhFacts *vh_guest_facts(const VhGuest *guest)
{
    return guest->facts;
}

const struct vh_cpu_map *vh_guest_cpus(const VhGuest *guest)
{
    return &guest->map;
}

bool vh_guest_is_connected(const VhGuest *guest)
{
    return guest->session && vh_session_is_up(guest->session);
}

bool vh_guest_is_heavy(const VhGuest *guest)
{
    return guest->port && vh_member_is_heavy(vh_port_member(guest->port));
}

void vh_guest_charge(VhGuest *guest, gint64 us)
{
    if (guest->port)
        vh_member_charge(vh_port_member(guest->port), us);
}

const struct vh_vcpu *vh_guest_vcpus(const VhGuest *guest, unsigned *count)
{
    *count = guest->vcpus->len;
    return (const struct vh_vcpu *)(void *)guest->vcpus->data;
}

void vh_guest_wishes(VhGuest *guest, struct vh_wish *wishes)
{
    if (!guest->wishes_hold || guest->wishes->len != guest->vcpus->len)
        renew_wishes(guest);
    if (guest->vcpus->len)
        memcpy(wishes, guest->wishes->data, guest->vcpus->len * sizeof(*wishes));
}

const struct vh_near *vh_guest_nears(const VhGuest *guest, unsigned *count)
{
    return vh_rules_nears(guest->rules, count);
}

const struct vh_ram_wish *vh_guest_ram_wish(const VhGuest *guest)
{
    return vh_rules_ram(guest->rules);
}

VhRamDevice *vh_guest_ram(const VhGuest *guest)
{
    return guest->ram;
}

/* "name=value" strings, each with its NUL. */
static GBytes *pack_tunables(const GPtrArray *list)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    for (guint i = 0; i < list->len; i++) {
        const char *text = g_ptr_array_index(list, i);

        g_byte_array_append(bytes, (const guint8 *)text, (guint)strlen(text) + 1);
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

static void want_programs(VhGuest *guest)
{
    struct vh_program_wish wishes[VH_PROGRAMS_MAX] = {0};
    uint32_t count = 0;

    for (guint i = 0; i < guest->policy->programs->len && count < VH_PROGRAMS_MAX; i++) {
        const struct vh_guest_program *given = g_ptr_array_index(guest->policy->programs, i);

        wishes[count++] = (struct vh_program_wish){given->program->object, pack_tunables(given->tunables)};
    }
    vh_programs_want(guest->programs, wishes, count);
    for (uint32_t i = 0; i < count; i++)
        g_bytes_unref(wishes[i].tunables);
}

void vh_guest_set_policy(VhGuest *guest, VhGuestPolicy *policy)
{
    g_autoptr(VhGuestPolicy) former = guest->policy;

    guest->policy = policy;
    vh_rules_set(guest->rules, policy);
    want_programs(guest);
    touch(guest, "the policy has changed");
    settle(guest);
}

const VhGuestPolicy *vh_guest_policy(const VhGuest *guest)
{
    return guest->policy;
}
