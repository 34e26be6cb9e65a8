/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fake-guest.h"

#include <math.h>
#include <string.h>

/* ---- what tests say ---- */

static void show(VhGuest *guest)
{
    if (guest->funcs->shown)
        guest->funcs->shown(guest, guest->data);
}

void fake_guest_changed(VhGuest *guest, const char *why)
{
    show(guest);
    guest->funcs->changed(guest, why, guest->data);
}

void fake_guest_add_vcpu(VhGuest *guest, pid_t thread)
{
    unsigned index = guest->vcpu_count++;

    g_assert_cmpuint(index, <, FAKE_THREADS);
    guest->vcpus[index] =
        (struct vh_vcpu){.index = index, .thread = thread, .start = FAKE_START, .apic_id = -1};
    fake_guest_float(guest, index);
}

void fake_guest_add_helper(VhGuest *guest, pid_t thread, enum vh_thread_kind kind, unsigned number)
{
    g_assert_cmpuint(guest->helper_count, <, FAKE_THREADS);
    show(guest);
    guest->helpers[guest->helper_count++] = (struct vh_thread){
        .thread = thread, .start = FAKE_START, .kind = kind, .number = number, .name = "thread"};
}

static const struct vh_rule affinity_pin = {.name = (char *)"affinity-pin",
                                            .what = {.action = &vh_action_pin}};

void fake_guest_anchor(VhGuest *guest, unsigned vcpu)
{
    show(guest);
    guest->wishes[vcpu] = (struct vh_wish){.kind = VH_WISH_ANCHOR,
                                           .tasks = 1,
                                           .guest_cpu = (int)vcpu,
                                           .rule = &affinity_pin,
                                           .figure = NAN};
}

void fake_guest_float(VhGuest *guest, unsigned vcpu)
{
    show(guest);
    guest->wishes[vcpu] = (struct vh_wish){.guest_cpu = -1, .figure = NAN};
}

/* ---- guest/guest.h ---- */

static void on_program_gone(uint32_t id, gpointer data)
{
    (void)id;
    (void)data;
}

static void on_program_step(const char *what, const char *why, gpointer data)
{
    (void)what;
    (void)why;
    (void)data;
}

static void on_injected(gpointer data)
{
    VhGuest *guest = data;

    if (guest->funcs->injected)
        guest->funcs->injected(guest, guest->data);
}

static void on_program_ended(gpointer data)
{
    (void)data;
}

static const struct vh_programs_funcs programs_funcs = {.gone = on_program_gone,
                                                        .step = on_program_step,
                                                        .injected = on_injected,
                                                        .ended = on_program_ended};

static void on_ram(gpointer data)
{
    (void)data;
}

VhGuest *vh_guest_new(const struct vh_config_guest *config, const char *state_dir,
                      G_GNUC_UNUSED VhPathWatch *watch, G_GNUC_UNUSED VhTurn *turn,
                      G_GNUC_UNUSED VhScratch *scratch, G_GNUC_UNUSED VhJournal *journal,
                      const struct vh_guest_funcs *funcs, gpointer data)
{
    VhGuest *guest = g_new0(VhGuest, 1);
    g_autofree char *directory = g_build_filename(state_dir, config->name, NULL);

    guest->config = config;
    guest->names = vh_guest_names_new(config);
    guest->funcs = funcs;
    guest->data = data;
    guest->programs = vh_programs_new(directory, &programs_funcs, guest);
    guest->ram = vh_ram_device_new(config, on_ram, guest);
    return guest;
}

void vh_guest_start(G_GNUC_UNUSED VhGuest *guest)
{
}

void vh_guest_free(VhGuest *guest)
{
    vh_guest_policy_free(guest->policy);
    vh_guest_names_unref(guest->names);
    vh_programs_free(guest->programs);
    vh_ram_device_leave(guest->ram);
    vh_ram_device_unref(guest->ram);
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

bool vh_guest_places_threads(const VhGuest *guest)
{
    const VhGuestPolicy *policy = vh_guest_policy(guest);

    return policy && vh_placement_places_threads(&policy->placement);
}

const struct vh_cpu_map *vh_guest_cpus(const VhGuest *guest)
{
    return &guest->map;
}

bool vh_guest_is_connected(const VhGuest *guest)
{
    return guest->connected;
}

const char *vh_guest_unsteady(const VhGuest *guest)
{
    return guest->unsteady;
}

bool vh_guest_is_settled(const VhGuest *guest)
{
    return guest->connected;
}

bool vh_guest_is_heavy(const VhGuest *guest)
{
    return guest->heavy;
}

void vh_guest_charge(VhGuest *guest, gint64 us)
{
    guest->charged += us;
}

const struct vh_vcpu *vh_guest_vcpus(const VhGuest *guest, unsigned *count)
{
    *count = guest->vcpu_count;
    return guest->vcpus;
}

const struct vh_thread *vh_guest_helpers(const VhGuest *guest, unsigned *count)
{
    ((VhGuest *)guest)->looks++;
    *count = guest->helper_count;
    return guest->helpers;
}

struct vh_thread_id vh_guest_process(const VhGuest *guest)
{
    return (struct vh_thread_id){guest->process, guest->process, FAKE_START};
}

const struct vh_cpuset *vh_guest_nodes(G_GNUC_UNUSED const VhGuest *guest)
{
    return NULL;
}

bool vh_guest_is_emulated(const VhGuest *guest)
{
    return guest->emulated;
}

void vh_guest_refresh_threads(VhGuest *guest)
{
    guest->refreshed++;
}

bool vh_guest_echoes(G_GNUC_UNUSED const VhGuest *guest, G_GNUC_UNUSED const struct vh_seat *seat,
                     G_GNUC_UNUSED const struct vh_cpuset **usual)
{
    return false;
}

const struct vh_wish *vh_guest_wishes(const VhGuest *guest)
{
    return guest->wishes;
}

const struct vh_near *vh_guest_nears(G_GNUC_UNUSED const VhGuest *guest, unsigned *count)
{
    *count = 0;
    return NULL;
}

const struct vh_ram_wish *vh_guest_ram_wish(const VhGuest *guest)
{
    return &guest->memory;
}

VhRamDevice *vh_guest_ram(const VhGuest *guest)
{
    return guest->ram;
}

void vh_guest_set_policy(VhGuest *guest, VhGuestPolicy *policy)
{
    vh_guest_policy_free(guest->policy);
    guest->policy = policy;
}

const VhGuestPolicy *vh_guest_policy(const VhGuest *guest)
{
    return guest->policy;
}

bool vh_guest_portray(const VhGuest *guest, VhGuestPortrait *portrait)
{
    *portrait = (VhGuestPortrait){.names = vh_guest_names_ref(guest->names),
                                  .connected = guest->connected,
                                  .vcpus = guest->vcpu_count};
    return guest->connected;
}

void vh_guest_figures(const VhGuest *guest, struct vh_guest_figures *figures)
{
    *figures = (struct vh_guest_figures){.connected = guest->connected, .vcpus = guest->vcpu_count};
    g_strlcpy(figures->name, guest->config->name, sizeof(figures->name));
}

GVariant *vh_guest_describe_programs(G_GNUC_UNUSED const VhGuest *guest)
{
    return g_variant_new_array(G_VARIANT_TYPE_VARDICT, NULL, 0);
}

GVariant *vh_guest_describe_program(G_GNUC_UNUSED const VhGuest *guest,
                                    const struct vh_managed *managed)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert(&dict, "name", "s", managed->name);
    return g_variant_dict_end(&dict);
}

char **vh_guest_describe_facts(G_GNUC_UNUSED const VhGuest *guest)
{
    return g_new0(char *, 1);
}

char **vh_guest_describe_behind(G_GNUC_UNUSED VhGuest *guest, G_GNUC_UNUSED unsigned position,
                                G_GNUC_UNUSED const char *actuator, G_GNUC_UNUSED unsigned max,
                                unsigned *count)
{
    *count = 0;
    return g_new0(char *, 1);
}

const struct vh_nic *vh_guest_nics(G_GNUC_UNUSED const VhGuest *guest, unsigned *count,
                                   const char **problem)
{
    *count = 0;
    *problem = NULL;
    return NULL;
}

void vh_guest_look_at_nics(G_GNUC_UNUSED VhGuest *guest)
{
}

const VhFacts *vh_guest_facts(G_GNUC_UNUSED const VhGuest *guest)
{
    return NULL;
}
