// SPDX-License-Identifier: GPL-2.0-or-later
// A policy as a value: what it is made of, and how that ends.
#include "policy/policy.h"

#include "policy/reader.h"

void vh_policy_entry_free(gpointer data)
{
    struct vh_policy_entry *entry = data;

    g_free(entry->key);
    g_free(entry->value);
    g_free(entry);
}

void vh_guest_entry_free(gpointer data)
{
    struct vh_guest_entry *entry = data;

    g_free(entry->name);
    g_free(entry->text);
    g_free(entry->value);
    g_free(entry);
}

static void section_free(gpointer data)
{
    struct vh_guest_section *section = data;

    g_free(section->pattern);
    g_ptr_array_unref(section->entries);
    g_free(section);
}

static void program_free(gpointer data)
{
    struct vh_policy_program *program = data;

    g_free(program->name);
    g_free(program->path);
    g_clear_pointer(&program->object, vh_object_unref);
    g_byte_array_unref(program->tunables);
    g_free(program);
}

static void rule_free(gpointer data)
{
    vh_rule_free(data);
}

static void policy_free(gpointer data)
{
    VhPolicy *policy = data;

    g_ptr_array_unref(policy->sections);
    g_ptr_array_unref(policy->fallbacks);
    g_ptr_array_unref(policy->lists);
    g_ptr_array_unref(policy->rules);
    g_ptr_array_unref(policy->programs);
}

VhPolicy *vh_policy_new(void)
{
    VhPolicy *policy = g_atomic_rc_box_new0(VhPolicy);

    policy->sections = g_ptr_array_new_with_free_func(section_free);
    policy->fallbacks = g_ptr_array_new_with_free_func(vh_guest_entry_free);
    policy->lists = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    policy->rules = g_ptr_array_new_with_free_func(rule_free);
    policy->programs = g_ptr_array_new_with_free_func(program_free);
    policy->budget = (struct vh_budget_limits){VH_BUDGET_SHARE, VH_BUDGET_PERIOD_US};
    policy->trial_window_us = VH_TRIAL_WINDOW_US;
    return policy;
}

VhPolicy *vh_policy_ref(VhPolicy *policy)
{
    return g_atomic_rc_box_acquire(policy);
}

void vh_policy_unref(VhPolicy *policy)
{
    g_atomic_rc_box_release_full(policy, policy_free);
}

struct vh_policy_program *vh_policy_program(const VhPolicy *policy, const char *name)
{
    for (guint i = 0; i < policy->programs->len; i++) {
        struct vh_policy_program *program = g_ptr_array_index(policy->programs, i);

        if (g_str_equal(program->name, name) || (program->path && g_str_equal(program->path, name)))
            return program;
    }
    return NULL;
}
