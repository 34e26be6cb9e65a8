/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest whose QEMU says anything: every reply, of any JSON, in any order or never; events; lines
 * that are none. Over a connection of its own, and over libvirt's.
 *
 * The input's first byte says which road, the rest is a script. QEMU's side of it is lib/qemu.c's;
 * the clock is lib/clock.c's. The injector is lib/peer.c's, so that there is a session for events
 * to end. */
#include <string.h>

#include "guest/state.h"
#include "lib/clock.h"
#include "lib/fake-object.h"
#include "lib/peer.h"
#include "lib/qemu.h"
#include "lib/quiet.h"

struct stage {
    VhTurn *turn;
    VhScratch *scratch;
    VhPathWatch *watch;
    struct vh_config_guest config;
    VhGuest *guest;
    struct qemu qemu;
    struct peer peer;
};

static void on_changed(VhGuest *guest, const char *why, G_GNUC_UNUSED gpointer data)
{
    g_assert(*why);
    g_assert(guest->wishes->len == guest->vcpus->len);
}

static void on_injected(G_GNUC_UNUSED VhGuest *guest, G_GNUC_UNUSED gpointer data)
{
}

static bool is_watched(G_GNUC_UNUSED VhGuest *guest, G_GNUC_UNUSED gpointer data)
{
    return false;
}

static void on_watch(G_GNUC_UNUSED VhGuest *guest, G_GNUC_UNUSED const GString *line,
                     G_GNUC_UNUSED gpointer data)
{
}

static const struct vh_guest_funcs funcs = {
    .changed = on_changed, .injected = on_injected, .watched = is_watched, .watch = on_watch};

/* Threads have a place, so that vhintd looks for new ones. */
static void set_policy(VhGuest *guest)
{
    static const char text[] = "[guest *]\nprograms = affinity\nemulator = 0\nmemory-max = 4G\n";
    const struct vh_policy_world world = {.read_object = fake_object_read,
                                          .list_objects = fake_object_list};
    const struct vh_policy_text texts[] = {{"rules", fake_rules, strlen(fake_rules), false},
                                           {"policy", text, strlen(text), false}};
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhPolicy) policy = vh_policy_parse(texts, 2, &world, problems);

    g_assert(policy);
    vh_guest_set_policy(guest, vh_policy_for(policy, &(struct vh_guest_id){.name = "web"}));
}

static void on_set(const char *problem, G_GNUC_UNUSED gpointer data)
{
    g_assert(!problem || g_utf8_validate(problem, -1, NULL));
}

/* What a round may do with a guest's memory. */
static void use_memory(VhGuest *guest, uint8_t what)
{
    VhRamDevice *ram = vh_guest_ram(guest);
    struct vh_ram_state state = vh_ram_device_state(ram);
    g_autoptr(GError) error = NULL;
    const char *name = NULL;

    g_assert(g_utf8_validate(state.problem, -1, NULL));
    if (what % 2) {
        (void)vh_ram_device_need(ram);
    } else if (what % 4) {
        (void)!vh_ram_device_set(ram, (guint64)what << 24, on_set, NULL, &error);
    } else {
        guint64 value = vh_ram_device_value(ram, &name);
        g_autofree char *copy = g_strdup(name);

        (void)!vh_ram_device_restore(ram, value, copy, on_set, NULL, &error);
    }
}

static void ask(VhGuest *guest)
{
    g_auto(VhGuestPortrait) portrait = {0};
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    unsigned count = 0;
    const struct vh_thread *helpers = vh_guest_helpers(guest, &count);
    const struct vh_cpuset *nodes = vh_guest_nodes(guest);

    vh_guest_portray(guest, &portrait);
    vh_guest_portrait_describe(&portrait, &dict);
    (void)vh_guest_is_settled(guest);
    (void)vh_guest_unsteady(guest);
    g_assert(count <= VH_THREADS_MAX && (!nodes || vh_cpuset_count(nodes)));
    for (unsigned i = 0; i < count; i++)
        g_assert(helpers[i].thread > 0 && memchr(helpers[i].name, 0, sizeof(helpers[i].name)));
}

static void turn(struct stage *stage)
{
    do {
        while (g_main_context_iteration(NULL, FALSE))
            ;
        qemu_hear(&stage->qemu);
        peer_hear(&stage->peer);
    } while (g_main_context_pending(NULL));
}

static void step(struct stage *stage, struct script *script)
{
    uint8_t what = script_byte(script);
    uint8_t more = what % 16 < 9 ? 0 : script_byte(script);

    switch (what % 16) {
    case 8:
        peer_say(&stage->peer, script);
        break;
    case 9:
        clock_pass((gint64)more * more * (more & 1 ? 1000 : 20000));
        break;
    case 10:
        qemu_hang_up(&stage->qemu);
        break;
    case 11:
        qemu_connect(&stage->qemu);
        stage->qemu.deaf = more % 2;
        break;
    case 12:
        use_memory(stage->guest, more);
        break;
    case 13:
        if (stage->guest->monitor)
            vh_guest_query_vcpus(stage->guest);
        break;
    case 14:
        vh_guest_refresh_threads(stage->guest);
        vh_guest_glance_at_threads(stage->guest);
        break;
    case 15:
        ask(stage->guest);
        break;
    default:
        qemu_say(&stage->qemu, script);
        break;
    }
    turn(stage);
}

/* What a QEMU says is bounded. */
static void check(const VhGuest *guest)
{
    vh_guest_check(guest);
    g_assert(guest->vcpus->len <= VH_CPUS_MAX && guest->wishes->len == guest->vcpus->len);
    g_assert(guest->iothreads->len <= VH_THREADS_MAX && guest->threads->len <= VH_THREADS_MAX);
}

static void begin(struct stage *stage, bool over)
{
    stage->config = (struct vh_config_guest){.name = (char *)"web",
                                             .title = (char *)"Web",
                                             .uuid = (char *)"",
                                             .profile = (char *)"",
                                             .channel = (char *)"/nonexistent/channel",
                                             .qmp = over ? NULL : (char *)"/nonexistent/qmp",
                                             .maker = over ? &qemu_maker : NULL,
                                             .owner = &stage->qemu};
    qemu_begin(&stage->qemu, over);
    peer_begin(&stage->peer);
    stage->guest = vh_guest_new(&stage->config, "/nonexistent", stage->watch, stage->turn,
                                stage->scratch, NULL, &funcs, NULL);
    stage->qemu.guest = stage->guest;
    set_policy(stage->guest);
    vh_guest_open_monitor(stage->guest);
    qemu_connect(&stage->qemu);
    vh_guest_on_channel(peer_open(&stage->peer), stage->guest);
    turn(stage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stage stage;
    struct script script = {data, size};

    clock_begin();
    if (!stage.turn) {
        log_begin();
        stage.turn = vh_turn_new(NULL);
        stage.scratch = vh_scratch_new();
        stage.watch = vh_path_watch_new(NULL);
    }
    begin(&stage, script_byte(&script) % 2);
    while (script.left) {
        step(&stage, &script);
        check(stage.guest);
    }
    vh_guest_free(stage.guest);
    qemu_end(&stage.qemu);
    peer_end(&stage.peer);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    clock_end();
    return 0;
}
