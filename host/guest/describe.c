// SPDX-License-Identifier: GPL-2.0-or-later
// Describes a guest for the control interface: copies what is shown of it, and puts its programs
// and facts into the words of org.vhint.Manager1.xml.
#include <string.h>

#include "guest/state.h"
#include "hint/json.h"

static const char *known_problem_of(const VhGuest *guest)
{
    if (!guest->monitor_ready)
        return guest->monitor_link && *vh_link_problem(guest->monitor_link)
                   ? vh_link_problem(guest->monitor_link)
                   : guest->monitor_problem;
    if (guest->away)
        return "it has migrated, or was saved: QEMU has handed it over";
    if (!guest->channel_link)
        return "it has no channel: give it one with vhintctl enable";
    if (!guest->session)
        return vh_link_problem(guest->channel_link);
    if (!vh_guest_is_connected(guest))
        return guest->problem;
    return *guest->vcpu_problem ? guest->vcpu_problem : guest->port_problem;
}

/* Owned by the caller; NULL: none. */
static char *problem_of(const VhGuest *guest)
{
    unsigned silence = vh_guest_silence(guest);
    unsigned owed = vh_programs_owed(guest->programs);
    const char *known = NULL;

    if (silence && guest->monitor_ready && !guest->away)
        return g_strdup_printf(
            "the injector has not answered for %u s: is the guest out of CPU, or "
            "the injector stopped?",
            silence);
    if (owed && guest->monitor_ready && !guest->away)
        return g_strdup_printf("the injector owes %u answers, and is not asked more before it "
                               "gives some: restart vhint-injector in the guest",
                               owed);
    known = known_problem_of(guest);
    return *known ? g_strdup(known) : NULL;
}

bool vh_guest_portray(const VhGuest *guest, VhGuestPortrait *portrait)
{
    *portrait = (VhGuestPortrait){.names = vh_guest_names_ref(guest->names),
                                  .connected = vh_guest_is_connected(guest),
                                  .programs = vh_programs_count(guest->programs),
                                  .vcpus = guest->vcpus->len,
                                  .facts = vh_facts_count(guest->facts),
                                  .hints = guest->hints,
                                  .lost = guest->lost,
                                  .refused = guest->bad_hints,
                                  .problem = problem_of(guest)};
    if (!portrait->connected)
        return false;
    memcpy(portrait->boot_id, guest->hello.boot_id, sizeof(portrait->boot_id));
    memcpy(portrait->release, guest->hello.release, sizeof(portrait->release));
    memcpy(portrait->agent, guest->hello.agent, sizeof(portrait->agent));
    return !portrait->problem && !vh_guest_is_awaited(guest);
}

void vh_guest_figures(const VhGuest *guest, struct vh_guest_figures *figures)
{
    *figures = (struct vh_guest_figures){
        .connected = vh_guest_is_connected(guest),
        .vcpus = guest->vcpus->len,
        .facts = vh_facts_count(guest->facts),
        .hints = guest->hints,
        .lost = guest->lost,
        .refused = guest->bad_hints,
        .gaps = guest->session ? vh_session_counters(guest->session)->gaps : 0};
    g_strlcpy(figures->name, guest->config->name, sizeof(figures->name));
}

GVariant *vh_guest_describe_program(const VhGuest *guest, const struct vh_managed *managed)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    g_autofree char *problem = NULL;

    g_variant_dict_insert(&dict, "name", "s", managed->name);
    g_variant_dict_insert(&dict, "version", "s", managed->object ? managed->object->version : "");
    g_variant_dict_insert(&dict, "digest", "s", managed->object ? managed->object->digest_hex : "");
    g_variant_dict_insert(&dict, "state", "s", vh_programs_state(managed));
    g_variant_dict_insert(&dict, "attached", "u", managed->attached);
    g_variant_dict_insert(&dict, "hints", "t", managed->hints);
    g_variant_dict_insert(&dict, "lost", "t", managed->lost);
    g_variant_dict_insert(&dict, "facts", "u",
                          managed->id ? vh_facts_count_of(guest->facts, managed->id) : 0);
    g_variant_dict_insert(&dict, "origin", "s", managed->injected ? "injected" : "policy");
    problem = vh_programs_problem(managed);
    g_variant_dict_insert(&dict, "problem", "s", problem);
    return g_variant_dict_end(&dict);
}

GVariant *vh_guest_describe_programs(const VhGuest *guest)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (guint i = 0; i < vh_programs_count(guest->programs); i++)
        g_variant_builder_add_value(
            &builder, vh_guest_describe_program(guest, vh_programs_get(guest->programs, i)));
    return g_variant_builder_end(&builder);
}

static int by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *fact_json(const VhGuest *guest, const struct vh_fact *fact)
{
    const struct vh_managed *managed = vh_programs_by_id(guest->programs, fact->program);
    GString *line = g_string_new(NULL);

    vh_hint_json(line, guest->config->name, managed ? managed->name : "", fact->kind, fact->record,
                 -1);
    return g_string_free(line, FALSE);
}

char **vh_guest_describe_facts(const VhGuest *guest)
{
    GPtrArray *lines = g_ptr_array_new();
    VhFactsIter iter;
    const struct vh_fact *fact = NULL;

    vh_facts_iter_init(&iter, guest->facts);
    while ((fact = vh_facts_iter_next(&iter)))
        g_ptr_array_add(lines, fact_json(guest, fact));
    g_ptr_array_sort(lines, by_text);
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_free(lines, FALSE);
}

struct behind {
    const VhGuest *guest;
    const char *actuator;
    GPtrArray *lines;
};

static void note_behind(const struct vh_rule *rule, const struct vh_fact *fact, gpointer data)
{
    const struct behind *behind = data;

    if (g_strcmp0(rule->what.action->actuator, behind->actuator) == 0)
        g_ptr_array_add(behind->lines, fact_json(behind->guest, fact));
}

char **vh_guest_describe_behind(VhGuest *guest, unsigned position, const char *actuator,
                                unsigned max, unsigned *count)
{
    struct behind behind = {
        .guest = guest, .actuator = actuator, .lines = g_ptr_array_new_with_free_func(g_free)};

    vh_rules_behind(guest->rules, guest->facts, &guest->map, position, note_behind, &behind);
    *count = behind.lines->len;
    g_ptr_array_sort(behind.lines, by_text);
    if (behind.lines->len > max)
        g_ptr_array_set_size(behind.lines, (gint)max);
    g_ptr_array_set_free_func(behind.lines, NULL);
    g_ptr_array_add(behind.lines, NULL);
    return (char **)g_ptr_array_free(behind.lines, FALSE);
}
