// SPDX-License-Identifier: GPL-2.0-or-later
// Puts portraits into words. Touches nothing but them, so that any thread may.
#include "round/portrait.h"

#include "machine/tid.h"
#include "wish/survey.h"

const char *const vh_standing_names[] = {
    [VH_STANDING_FLOATING] = "floating",
    [VH_STANDING_WANTED] = "wanted",
    [VH_STANDING_PINNED] = "pinned",
};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_standing_names) == VH_STANDING_STATES);

/* ---- standings ---- */

void vh_standing_clear(VhStanding *standing)
{
    vh_place_clear(&standing->place);
    g_clear_pointer(&standing->off, g_free);
    g_clear_pointer(&standing->former, g_ref_string_release);
    g_clear_pointer(&standing->problem, g_free);
}

char *vh_standing_why(const VhStanding *standing)
{
    g_autofree char *wished = NULL;

    switch (standing->ground) {
    case VH_STANDING_RELEASED:
        return g_strdup("released by hand until resumed");
    case VH_STANDING_LEFT:
        return g_strdup("left so by a former vhintd until the guest has said what holds");
    case VH_STANDING_OFF:
        return g_strdup(standing->off);
    case VH_STANDING_UNPLANNED:
        return g_strdup("no plan has been made for it yet");
    default:
        if (standing->wishes)
            wished = vh_wish_copy_text(&standing->wish, standing->action, standing->rule);
        return vh_survey_words(wished, &standing->place);
    }
}

char *vh_standing_cpus(const VhStanding *standing)
{
    struct vh_cpuset now;

    /* Thread 0 would be the caller's own. */
    if (!standing->thread || !vh_tid_cpus(standing->thread, &now))
        return g_strdup("");
    return vh_cpuset_format(&now);
}

/* ---- portraits ---- */

VhPortrait *vh_portrait_new(unsigned vcpus, unsigned helpers)
{
    gsize threads = (gsize)(vcpus + helpers) * sizeof(struct vh_portrait_thread);
    VhPortrait *portrait = g_atomic_rc_box_alloc0(sizeof(VhPortrait) + threads);

    portrait->vcpus = vcpus;
    portrait->helpers = helpers;
    return portrait;
}

static void portrait_clear(gpointer data)
{
    VhPortrait *portrait = data;

    for (unsigned i = 0; i < portrait->vcpus + portrait->helpers; i++)
        vh_standing_clear(&portrait->threads[i].standing);
    vh_guest_portrait_clear(&portrait->guest);
    g_clear_pointer(&portrait->memory, g_variant_unref);
    g_free(portrait->problem);
    g_free(portrait->nodes);
}

VhPortrait *vh_portrait_ref(VhPortrait *portrait)
{
    return g_atomic_rc_box_acquire(portrait);
}

void vh_portrait_unref(VhPortrait *portrait)
{
    g_atomic_rc_box_release_full(portrait, portrait_clear);
}

static bool same_standing(const VhStanding *a, const VhStanding *b)
{
    return a->thread == b->thread && a->state == b->state && a->ground == b->ground &&
           a->left == b->left && a->held == b->held && a->wishes == b->wishes &&
           a->rule == b->rule && a->action == b->action && a->wish.tasks == b->wish.tasks &&
           (!a->wishes || vh_wish_equal(&a->wish, &b->wish)) &&
           a->place.reason == b->place.reason && a->place.cpu == b->place.cpu &&
           a->place.node == b->place.node && g_strcmp0(a->place.cpus, b->place.cpus) == 0 &&
           g_strcmp0(a->off, b->off) == 0 && g_strcmp0(a->former, b->former) == 0 &&
           g_strcmp0(a->problem, b->problem) == 0;
}

bool vh_portrait_equal(const VhPortrait *a, const VhPortrait *b)
{
    bool equal = a->vcpus == b->vcpus && a->helpers == b->helpers && a->held == b->held &&
                 vh_guest_portrait_equal(&a->guest, &b->guest) &&
                 g_strcmp0(a->problem, b->problem) == 0 && g_strcmp0(a->nodes, b->nodes) == 0 &&
                 !a->memory == !b->memory && (!a->memory || g_variant_equal(a->memory, b->memory));

    for (unsigned i = 0; equal && i < a->vcpus + a->helpers; i++) {
        const struct vh_portrait_thread *x = &a->threads[i];
        const struct vh_portrait_thread *y = &b->threads[i];

        equal = same_standing(&x->standing, &y->standing);
        if (i < a->vcpus)
            equal = equal && x->vcpu.index == y->vcpu.index &&
                    x->vcpu.guest_cpu == y->vcpu.guest_cpu && x->vcpu.apic_id == y->vcpu.apic_id;
        else
            equal = equal && g_str_equal(x->helper.role, y->helper.role) &&
                    g_str_equal(x->helper.name, y->helper.name);
    }
    return equal;
}

/* ---- words ---- */

/* What vCPUs and other threads have in common. */
static void insert_standing(GVariantDict *dict, const VhStanding *standing)
{
    g_autofree char *cpus = vh_standing_cpus(standing);
    g_autofree char *why = standing->problem ? NULL : vh_standing_why(standing);

    g_variant_dict_insert(dict, "thread", "i", (gint32)standing->thread);
    g_variant_dict_insert(dict, "host_cpus", "s", cpus);
    g_variant_dict_insert(dict, "former", "s", standing->former ? standing->former : "");
    g_variant_dict_insert(dict, "state", "s", vh_standing_names[standing->state]);
    g_variant_dict_insert(dict, "reason", "s", why ? why : standing->problem);
}

void vh_portrait_describe_helper(const struct vh_portrait_thread *thread, GVariantDict *dict)
{
    g_autofree char *name = g_utf8_make_valid(thread->helper.name, -1);

    g_variant_dict_insert(dict, "role", "s", thread->helper.role);
    g_variant_dict_insert(dict, "name", "s", name);
    insert_standing(dict, &thread->standing);
}

static GVariant *describe_vcpus(const VhPortrait *portrait)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (unsigned i = 0; i < portrait->vcpus; i++) {
        const struct vh_portrait_thread *thread = &portrait->threads[i];
        g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

        g_variant_dict_insert(&dict, "index", "u", thread->vcpu.index);
        g_variant_dict_insert(&dict, "guest_cpu", "i", thread->vcpu.guest_cpu);
        g_variant_dict_insert(&dict, "apic_id", "i", thread->vcpu.apic_id);
        insert_standing(&dict, &thread->standing);
        g_variant_builder_add_value(&builder, g_variant_dict_end(&dict));
    }
    return g_variant_builder_end(&builder);
}

static GVariant *describe_helpers(const VhPortrait *portrait)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    for (unsigned i = 0; i < portrait->helpers; i++) {
        g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

        vh_portrait_describe_helper(&portrait->threads[portrait->vcpus + i], &dict);
        g_variant_builder_add_value(&builder, g_variant_dict_end(&dict));
    }
    return g_variant_builder_end(&builder);
}

static void describe(const VhPortrait *portrait, GVariantDict *dict)
{
    const char *own = portrait->guest.problem;
    g_autofree char *both = NULL;

    vh_guest_portrait_describe(&portrait->guest, dict);
    g_variant_dict_insert(dict, "held", "b", (gboolean)portrait->held);
    if (!portrait->problem)
        return;
    both = own ? g_strdup_printf("%s; %s", own, portrait->problem) : g_strdup(portrait->problem);
    g_variant_dict_insert(dict, "problem", "s", both);
}

GVariant *vh_portrait_summary(const VhPortrait *portrait)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    describe(portrait, &dict);
    return g_variant_dict_end(&dict);
}

GVariant *vh_portrait_describe(const VhPortrait *portrait)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    describe(portrait, &dict);
    g_variant_dict_insert(&dict, "memory_nodes", "s", portrait->nodes ? portrait->nodes : "");
    g_variant_dict_insert_value(&dict, "vcpu", describe_vcpus(portrait));
    g_variant_dict_insert_value(&dict, "thread", describe_helpers(portrait));
    if (portrait->memory)
        g_variant_dict_insert_value(&dict, "memory", portrait->memory);
    return g_variant_dict_end(&dict);
}
