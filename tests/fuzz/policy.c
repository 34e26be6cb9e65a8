/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzes the policy files: their text, conditions, and the rules on a record.
 *
 * The input is a file in policy.d; what comes after a NUL byte is a hint's record. Whatever the
 * parser takes must show, for several guests, and must rule on any record without reading outside
 * of it. */
#include <string.h>

#include "lib/fake-object.h"
#include "wish/rules.h"

#define RECORD sizeof(struct fake_stranger)

static VhObject *affinity;
static VhObject *stranger;

static VhObject *read_object(const char *name, const char *path, gpointer data, GError **error)
{
    (void)path;
    (void)data;
    if (g_str_equal(name, "affinity"))
        return vh_object_ref(affinity);
    if (g_str_equal(name, "stranger"))
        return vh_object_ref(stranger);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "no such program");
    return NULL;
}

static void list_objects(GPtrArray *names, gpointer data)
{
    (void)data;
    g_ptr_array_add(names, g_strdup("affinity"));
    g_ptr_array_add(names, g_strdup("stranger"));
}

static void on_log(const struct vh_rule *rule, const char *text, gpointer data)
{
    *(gsize *)data += strlen(rule->name) + strlen(text);
}

static void rule_on(VhPolicy *policy, const struct vh_guest_id *id, const uint8_t *record)
{
    g_autoptr(VhGuestPolicy) guest = vh_policy_for(policy, id);
    static struct vh_cpu_map map;
    VhRules *rules = vh_rules_new();
    VhFacts *facts = vh_facts_new();
    struct vh_hint hint;
    struct vh_wish wishes[4];
    struct vh_seen seen = {.kind = &stranger->kinds[0], .record = record, .news = true};
    bool event = false;
    gsize logged = 0;

    map.count = 4;
    for (int i = 0; i < 4; i++) {
        map.cpus[i].known = map.cpus[i].online = true;
        map.cpus[i].vcpu = i;
    }
    memcpy(&hint, record, sizeof(hint));
    vh_rules_set(rules, guest);
    vh_facts_take(facts, 1, &stranger->kinds[0], &hint, record, &seen.fact);
    for (gint64 now = 0; now < 3; now++) {
        vh_rules_see(rules, &seen, &map, now * G_USEC_PER_SEC, &event, on_log, &logged);
        vh_rules_wishes(rules, facts, &map, now * G_USEC_PER_SEC, wishes, 4);
        g_free(vh_wish_text(&wishes[0]));
    }
    vh_facts_free(facts);
    vh_rules_free(rules);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    affinity = fake_object_affinity();
    stranger = fake_object_stranger();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct vh_cpuset cpus = {{0xffff}};
    const struct vh_policy_world world = {
        .cpus = &cpus, .read_object = read_object, .list_objects = list_objects};
    g_autofree char *copy = g_strndup((const char *)data, size);
    gsize len = strlen(copy);
    struct vh_policy_text text = {"fuzz", copy, len, size % 2 == 0};
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhPolicy) policy = vh_policy_parse(&text, 1, &world, problems);
    g_autofree uint8_t *record =
        g_malloc0(RECORD); /* on the heap, where a read beyond it is noticed */
    const struct vh_hint hint = {.size = RECORD, .kind = 7, .key_size = size % 3 ? 4 : 0};

    g_assert_true((policy != NULL) == (problems->len == 0));
    if (!policy)
        return 0;
    if (size > len + 1)
        memcpy(record, data + len + 1, MIN(size - len - 1, RECORD));
    memcpy(record, &hint, sizeof(hint));
    rule_on(policy, &(struct vh_guest_id){.name = "web-1"}, record);
    rule_on(policy, &(struct vh_guest_id){"db", "5c2b3f0e-7a11-4d6e-9d3c-0c1f7f6f8a10", "batch"},
            record);
    return 0;
}
