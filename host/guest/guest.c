// SPDX-License-Identifier: GPL-2.0-or-later
// Serves one guest: wires its monitor and its channel to facts and programs.
#include "guest/guest.h"

#include <string.h>

#include "guest/state.h"

static void on_ram(gpointer data)
{
    vh_guest_touch(data, "its memory device has answered");
    vh_guest_settle(data);
}

VhGuest *vh_guest_new(const struct vh_config_guest *config, const char *state_dir,
                      VhPathWatch *watch, VhTurn *turn, VhScratch *scratch, VhJournal *journal,
                      const struct vh_guest_funcs *funcs, gpointer data)
{
    VhGuest *guest = g_new0(VhGuest, 1);
    g_autofree char *directory = g_build_filename(state_dir, "injected", config->name, NULL);

    guest->config = config;
    guest->names = vh_guest_names_new(config);
    guest->about_vcpus = (struct vh_question){.ask = vh_guest_ask_vcpus, .data = guest};
    guest->about_run = (struct vh_question){.ask = vh_guest_ask_run, .data = guest};
    guest->turn = turn;
    guest->scratch = scratch;
    guest->journal = journal;
    guest->funcs = funcs;
    guest->data = data;
    guest->ram = vh_ram_device_new(config, on_ram, guest);
    guest->problem = g_strdup("");
    guest->monitor_problem = g_strdup("");
    guest->vcpu_problem = g_strdup("");
    guest->port_problem = "";
    guest->facts = vh_facts_new();
    guest->rules = vh_rules_new();
    guest->wishes = g_array_new(FALSE, TRUE, sizeof(struct vh_wish));
    guest->vcpus = g_array_new(FALSE, TRUE, sizeof(struct vh_vcpu));
    guest->iothreads = g_array_new(FALSE, TRUE, sizeof(struct vh_thread));
    guest->threads = g_array_new(FALSE, TRUE, sizeof(struct vh_thread));
    guest->helpers = g_array_new(FALSE, TRUE, sizeof(struct vh_thread));
    guest->nics = g_array_new(FALSE, TRUE, sizeof(struct vh_nic));
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
    guest->leaving = true;
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
    g_clear_handle_id(&guest->beginnings.timer, g_source_remove);
    vh_question_drop(&guest->about_vcpus);
    vh_question_drop(&guest->about_run);
    vh_guest_end_pulse(guest);
    vh_rules_free(guest->rules);
    vh_guest_policy_free(guest->policy);
    vh_facts_free(guest->facts);
    g_array_unref(guest->wishes);
    g_array_unref(guest->vcpus);
    g_array_unref(guest->iothreads);
    g_array_unref(guest->threads);
    g_array_unref(guest->helpers);
    g_array_unref(guest->nics);
    vh_guest_names_unref(guest->names);
    g_free(guest->port_device);
    g_free(guest->monitor_problem);
    g_free(guest->vcpu_problem);
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

VhRamDevice *vh_guest_ram(const VhGuest *guest)
{
    return guest->ram;
}

static void want_programs(VhGuest *guest)
{
    struct vh_program_wish wishes[VH_PROGRAMS_MAX] = {0};
    uint32_t count = 0;

    for (guint i = 0; i < guest->policy->programs->len && count < VH_PROGRAMS_MAX; i++) {
        const struct vh_guest_program *given = g_ptr_array_index(guest->policy->programs, i);

        wishes[count++] =
            (struct vh_program_wish){given->program->object, vh_tunables_bytes(given->tunables)};
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
    vh_guest_renew(guest);
    want_programs(guest);
    vh_guest_look_at_nics(guest);
    vh_guest_touch(guest, "the policy has changed");
    vh_guest_settle(guest);
}

const VhGuestPolicy *vh_guest_policy(const VhGuest *guest)
{
    return guest->policy;
}
