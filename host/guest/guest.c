// SPDX-License-Identifier: GPL-2.0-or-later
// Serves one guest: wires its monitor and its channel to facts and programs.
#include "guest/guest.h"

#include <errno.h>
#include <string.h>

#include "guest/state.h"
#include "hint/json.h"

void vh_guest_complain(VhGuest *guest, const char *what, const char *why)
{
    vh_journal_complaint(guest->journal, &guest->limit, guest->config->name, what, why);
}

/* ---- what changes ---- */

/* Remembers that wishes may have changed; settle tells, once the turn's work is done. */
void vh_guest_touch_facts(VhGuest *guest, const char *why)
{
    guest->dirty = why;
    guest->wishes_hold = false;
}

/* The same, and not only by facts. */
void vh_guest_touch(VhGuest *guest, const char *why)
{
    vh_guest_touch_facts(guest, why);
    guest->moved = true;
}

static gboolean on_timer(gpointer data)
{
    VhGuest *guest = data;

    guest->timer = 0;
    guest->deferred = 0;
    vh_guest_touch(guest, "it was due now");
    vh_guest_settle(guest);
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
    g_autofree struct vh_wish *former =
        g_memdup2(guest->wishes->data, guest->wishes->len * sizeof(*former));
    const struct vh_ram_wish ram = *vh_rules_ram(guest->rules);
    unsigned near_count = 0;
    const struct vh_near *near = vh_rules_nears(guest->rules, &near_count);
    g_autoptr(GBytes) nears = g_bytes_new(near, near_count * sizeof(*near));
    g_autoptr(GBytes) nears_now = NULL;
    struct vh_wish *wishes = NULL;
    gint64 next = 0;

    g_array_set_size(guest->wishes, count);
    wishes = (struct vh_wish *)(void *)guest->wishes->data;
    next = vh_rules_wishes(guest->rules, guest->facts, &guest->map, g_get_monotonic_time(), wishes,
                           count);
    guest->wishes_hold = true;
    if (!guest->deferred)
        set_timer(guest, next);
    for (guint i = 0; known && i < count; i++)
        known = vh_wish_equal(&wishes[i], &former[i]);
    near = vh_rules_nears(guest->rules, &near_count);
    nears_now = g_bytes_new(near, near_count * sizeof(*near));
    return !known || !g_bytes_equal(nears, nears_now) ||
           !vh_ram_wish_equal(vh_rules_ram(guest->rules), &ram);
}

void vh_guest_settle(VhGuest *guest)
{
    const char *why = guest->dirty;
    gint64 now = why ? g_get_monotonic_time() : 0;
    gint64 wait = 0;

    if (!why || (guest->deferred && now < guest->deferred))
        return;
    wait = guest->batch ? vh_rules_admit(guest->rules, guest->batch, now) : 0;
    guest->batch = 0;
    if (wait) {
        vh_guest_complain(guest, "hints deferred", "more of them came than max-hints allows");
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
    vh_guest_touch(data, "its memory device has answered");
    vh_guest_settle(data);
}

void vh_guest_join_cpus(VhGuest *guest)
{
    vh_cpu_map_join(&guest->map, guest->cpus, guest->cpu_count,
                    (const struct vh_vcpu *)(void *)guest->vcpus->data, guest->vcpus->len);
}

void vh_guest_set_problem(VhGuest *guest, const char *text)
{
    g_free(guest->problem);
    guest->problem = g_strdup(text);
}

void vh_guest_take_vcpus(VhGuest *guest, GArray *vcpus, const char *why)
{
    if (guest->vcpus != vcpus)
        g_array_unref(guest->vcpus);
    guest->vcpus = vcpus;
    vh_guest_join_cpus(guest);
    vh_guest_touch(guest, why);
    vh_guest_settle(guest);
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

VhGuest *vh_guest_new(const struct vh_config_guest *config, const char *state_dir,
                      VhPathWatch *watch, VhTurn *turn, VhScratch *scratch, VhJournal *journal,
                      const struct vh_guest_funcs *funcs, gpointer data)
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
    guest->programs = vh_programs_new(directory, &vh_guest_programs_funcs, guest);
    if (config->channel)
        guest->channel_link = vh_link_new(watch, config->channel, vh_guest_on_channel, guest);
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
    vh_guest_close_channel(guest);
    vh_programs_free(guest->programs);
    g_clear_handle_id(&guest->timer, g_source_remove);
    g_clear_handle_id(&guest->run_timer, g_source_remove);
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

bool vh_guest_is_settled(const VhGuest *guest)
{
    if (guest->away)
        return true;
    return vh_guest_is_connected(guest) && guest->cpu_count && guest->monitor_ready &&
           !guest->preview && guest->vcpus->len && vh_programs_are_settled(guest->programs);
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

        wishes[count++] =
            (struct vh_program_wish){given->program->object, pack_tunables(given->tunables)};
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
    vh_guest_touch(guest, "the policy has changed");
    vh_guest_settle(guest);
}

const VhGuestPolicy *vh_guest_policy(const VhGuest *guest)
{
    return guest->policy;
}
