/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/guest-stage.h"

#include <string.h>

#include "guest/state.h"
#include "lib/loop.h"
#include "lib/scratch.h"

static void on_changed(G_GNUC_UNUSED VhGuest *guest, const char *why, gpointer data)
{
    g_string_append_printf(((struct guest_stage *)data)->changed, "%s; ", why);
}

static void on_injected(G_GNUC_UNUSED VhGuest *guest, gpointer data)
{
    ((struct guest_stage *)data)->injected++;
}

static bool is_watched(G_GNUC_UNUSED VhGuest *guest, gpointer data)
{
    return ((struct guest_stage *)data)->watched;
}

static void on_watch(G_GNUC_UNUSED VhGuest *guest, const GString *line, gpointer data)
{
    g_string_append_printf(((struct guest_stage *)data)->lines, "%s\n", line->str);
}

static const struct vh_guest_funcs funcs = {
    .changed = on_changed, .injected = on_injected, .watched = is_watched, .watch = on_watch};

void guest_stage_set_policy(struct guest_stage *stage, const char *text)
{
    const struct vh_policy_world world = {.read_object = fake_object_read,
                                          .list_objects = fake_object_list};
    g_autofree char *all = g_strconcat("[guest *]\nprograms = affinity\n", text, NULL);
    const struct vh_policy_text texts[] = {{"rules", fake_rules, strlen(fake_rules), false},
                                           {"test", all, strlen(all), false}};
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhPolicy) policy = vh_policy_parse(texts, 2, &world, problems);

    if (!policy)
        g_error("%s", (const char *)g_ptr_array_index(problems, 0));
    vh_guest_set_policy(stage->guest,
                        vh_policy_for(policy, &(struct vh_guest_id){.name = stage->config.name}));
}

char *guest_stage_cpus(const struct guest_stage *stage, unsigned first, unsigned count)
{
    g_autoptr(GString) list = g_string_new("[");

    for (unsigned i = first; i < first + count; i++)
        g_string_append_printf(list,
                               "%s{\"cpu-index\": %u, \"qom-path\": \"/cpu%u\", \"thread-id\": %d}",
                               i > first ? ", " : "", i, i, stage->vcpus[i].tid);
    g_string_append_c(list, ']');
    return g_string_free(g_steal_pointer(&list), FALSE);
}

/* What a QEMU with two vCPUs says. */
static void set_replies(struct guest_stage *stage)
{
    const char *const replies[][2] = {
        {"query-status", "{\"status\": \"running\"}"},
        {"query-cpus-fast", stage->cpus},
        {"qom-get /cpu0", "7"},
        {"qom-get /cpu1", "3"},
        {"query-iothreads", "[]"},
        {"query-kvm", "{\"enabled\": true, \"present\": true}"},
        {"query-memdev", "[]"},
        {"migrate-set-capabilities", "{}"},
        {"qom-list /machine/peripheral",
         "[{\"name\": \"disk\", \"type\": \"child<virtio-blk-pci>\"}, "
         "{\"name\": \"agent\", \"type\": \"child<virtserialport>\"}, "
         "{\"name\": \"hints\", \"type\": \"child<virtserialport>\"}]"},
        {"qom-get /machine/peripheral/agent", "\"org.qemu.guest_agent.0\""},
        {"qom-get /machine/peripheral/hints", "\"" VH_PORT_NAME "\""},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(replies); i++)
        fake_monitor_reply(&stage->monitor, replies[i][0], replies[i][1]);
}

static struct guest_stage *on_stage; /* NULL: none is */

VhGuest *guest_stage_new_guest(struct guest_stage *stage)
{
    return vh_guest_new(&stage->config, stage->directory, stage->watch, stage->turn, stage->scratch,
                        stage->journal, &funcs, stage);
}

void guest_stage_begin(struct guest_stage *stage, gconstpointer policy)
{
    g_autoptr(GError) error = NULL;

    memset(stage, 0, sizeof(*stage));
    on_stage = stage;
    stage->directory = g_dir_make_tmp("vhint-XXXXXX", &error);
    g_assert_no_error(error);
    stage->watch = vh_path_watch_new(&error);
    g_assert_no_error(error);
    stage->turn = vh_turn_new(&error);
    g_assert_no_error(error);
    stage->scratch = vh_scratch_new();
    stage->changed = g_string_new(NULL);
    stage->lines = g_string_new(NULL);
    for (unsigned i = 0; i < STAGE_VCPUS; i++)
        victim_start(&stage->vcpus[i]);
    fake_monitor_begin(&stage->monitor, stage->directory);
    fake_port_begin(&stage->port, stage->directory);
    fake_port_listen(&stage->port);
    stage->cpus = guest_stage_cpus(stage, 0, STAGE_VCPUS);
    set_replies(stage);
    stage->config = (struct vh_config_guest){.name = (char *)"web",
                                             .title = (char *)"Web server",
                                             .uuid = (char *)"",
                                             .profile = (char *)"gold",
                                             .qmp = stage->monitor.path,
                                             .channel = stage->port.path};
    stage->guest = guest_stage_new_guest(stage);
    guest_stage_set_policy(stage, policy ? policy : "");
    guest_stage_assert_changed(stage, "the policy has changed; ");
}

void guest_stage_end(struct guest_stage *stage, G_GNUC_UNUSED gconstpointer policy)
{
    vh_guest_free(stage->guest);
    on_stage = NULL;
    fake_port_end(&stage->port);
    fake_monitor_end(&stage->monitor);
    guest_stage_turn();
    for (unsigned i = 0; i < STAGE_VCPUS; i++)
        victim_end(&stage->vcpus[i]);
    vh_scratch_free(stage->scratch);
    vh_turn_free(stage->turn);
    vh_path_watch_free(stage->watch);
    g_string_free(stage->changed, TRUE);
    g_free(stage->cpus);
    g_string_free(stage->lines, TRUE);
    scratch_remove(stage->directory);
}

/* Is a question to the monitor only waiting for its turn? */
static bool is_about_to_ask(void)
{
    const VhGuest *guest = on_stage ? on_stage->guest : NULL;

    return guest && (guest->about_vcpus.timer || guest->about_run.timer);
}

void guest_stage_turn(void)
{
    do
        while (g_main_context_iteration(NULL, is_about_to_ask()))
            ;
    while (is_about_to_ask());
}

void guest_stage_start(struct guest_stage *stage)
{
    vh_guest_start(stage->guest);
    LOOP_UNTIL(fake_port_is_connected(&stage->port) && stage->port.hello.session);
    guest_stage_turn();
}

void guest_stage_greet(struct guest_stage *stage)
{
    static const uint8_t digest[VH_DIGEST_SIZE];

    fake_port_hello(&stage->port, 77, VH_WIRE_MIN, VH_WIRE_MAX);
    fake_port_cpus(&stage->port, (const uint32_t[]){3, 7}, STAGE_VCPUS);
    fake_port_programs(&stage->port, STAGE_PROGRAM, "affinity", digest, stage->seq);
    guest_stage_turn();
    guest_stage_snapshot(stage, 0, 0);
}

void guest_stage_up(struct guest_stage *stage)
{
    guest_stage_start(stage);
    guest_stage_greet(stage);
    g_assert_true(vh_guest_is_settled(stage->guest));
    g_string_truncate(stage->changed, 0);
    g_string_truncate(stage->port.heard, 0);
}

static struct fake_affinity task(guint32 pid, guint64 mask)
{
    struct fake_affinity record = {
        .h = fake_hint(sizeof(record), 1, 4), .pid = pid, .tgid = pid, .mask = {mask}};

    record.cpus = (guint32)__builtin_popcountll(mask);
    record.h.flags = mask ? 0 : VH_HINT_GONE;
    g_strlcpy(record.comm, "worker", sizeof(record.comm));
    return record;
}

static void say_tasks(struct guest_stage *stage, enum vh_type type, const struct vh_batch *batch,
                      guint32 pid, guint64 mask)
{
    g_autofree struct fake_affinity *records = g_new0(struct fake_affinity, batch->count + 1);

    G_STATIC_ASSERT(sizeof(*records) % 8 == 0);
    for (guint i = 0; i < batch->count; i++)
        records[i] = task(pid + i, mask);
    fake_port_say(&stage->port, type, type == VH_SNAPSHOT ? stage->port.last_id : 0, batch,
                  sizeof(*batch), records, batch->count * sizeof(*records));
}

void guest_stage_tasks(struct guest_stage *stage, guint32 pid, guint count, guint64 mask)
{
    say_tasks(stage, VH_HINTS,
              &(struct vh_batch){
                  .program = STAGE_PROGRAM, .count = count, .seq = stage->seq, .lost = stage->lost},
              pid, mask);
    stage->seq += count;
    guest_stage_turn();
}

void guest_stage_snapshot(struct guest_stage *stage, guint32 pid, guint64 mask)
{
    say_tasks(stage, VH_SNAPSHOT,
              &(struct vh_batch){.program = STAGE_PROGRAM,
                                 .count = pid != 0,
                                 .seq = stage->seq,
                                 .lost = stage->lost,
                                 .flags = VH_SNAPSHOT_FIRST | VH_SNAPSHOT_LAST},
              pid, mask);
    fake_port_answer(&stage->port, 0);
    guest_stage_turn();
}

void guest_stage_assert_changed(struct guest_stage *stage, const char *expected)
{
    g_assert_cmpstr(stage->changed->str, ==, expected);
    g_string_truncate(stage->changed, 0);
}

void guest_stage_assert_wishes(struct guest_stage *stage, const char *expected)
{
    g_autoptr(GString) got = g_string_new(NULL);
    const struct vh_wish *wishes = vh_guest_wishes(stage->guest);
    unsigned count = 0;

    vh_guest_vcpus(stage->guest, &count);
    for (unsigned i = 0; i < count; i++) {
        if (i)
            g_string_append_c(got, ' ');
        if (wishes[i].kind == VH_WISH_ANCHOR)
            g_string_append_printf(got, "A%d", wishes[i].guest_cpu);
        else if (wishes[i].kind == VH_WISH_GROUP)
            g_string_append_printf(got, "G%u", wishes[i].group);
        else
            g_string_append_c(got, '-');
    }
    g_assert_cmpstr(got->str, ==, expected);
}

void guest_stage_assert_vcpus(struct guest_stage *stage, const char *expected)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(stage->guest, &count);
    g_autoptr(GString) got = g_string_new(NULL);

    g_string_printf(got, "%u:", count);
    for (unsigned i = 0; i < count; i++)
        g_string_append_printf(got, " %d", (int)vcpus[i].apic_id);
    g_assert_cmpstr(got->str, ==, expected);
}

void guest_stage_assert_told(struct guest_stage *stage, const char *key, const char *expected)
{
    g_auto(VhGuestPortrait) portrait = {0};
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(GVariant) value = NULL;
    g_autofree char *text = NULL;

    vh_guest_portray(stage->guest, &portrait);
    vh_guest_portrait_describe(&portrait, &dict);
    value = g_variant_dict_lookup_value(&dict, key, NULL);
    g_assert_nonnull(value);
    text = g_variant_is_of_type(value, G_VARIANT_TYPE_STRING) ? g_variant_dup_string(value, NULL)
                                                              : g_variant_print(value, FALSE);
    g_assert_cmpstr(text, ==, expected);
}
