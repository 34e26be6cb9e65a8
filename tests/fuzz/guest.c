/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest above its channel: its programs, facts and wishes, whatever its injector says in whatever
 * order, while policy changes, programs are injected and ejected, and time passes.
 *
 * The input is a script. The injector's side of it is lib/peer.c's; the clock is lib/clock.c's.
 * Objects live no longer than those who hold them, so a pointer into one that is gone is caught. */
#include <sodium.h>
#include <string.h>

#include "guest/state.h"
#include "lib/clock.h"
#include "lib/fake-object.h"
#include "lib/peer.h"
#include "lib/quiet.h"
#include "programs/kept.h"

#define VCPUS 4u

struct stage {
    VhTurn *turn;
    VhScratch *scratch;
    VhPathWatch *watch;
    VhGuest *guest;
    struct peer peer;
    bool watched;
};

/* ---- in place of what is outside ---- */

void randombytes_buf(void *const bytes, const size_t len)
{
    memset(bytes, 0x11, len);
}

/* Programs on disk: programs/kept.h. */
void vh_injected_read(G_GNUC_UNUSED const char *directory, G_GNUC_UNUSED VhInjectedFunc func,
                      G_GNUC_UNUSED gpointer data)
{
}

void vh_injected_write(G_GNUC_UNUSED const char *directory, G_GNUC_UNUSED VhObject *object,
                       G_GNUC_UNUSED GBytes *tunables, GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, callback, data);

    g_task_return_boolean(task, TRUE);
}

int vh_injected_write_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_boolean(G_TASK(result), error) ? 0 : -1;
}

void vh_injected_remove(G_GNUC_UNUSED const char *directory, G_GNUC_UNUSED const char *name)
{
}

/* ---- the guest's owner ---- */

static void on_changed(VhGuest *guest, const char *why, G_GNUC_UNUSED gpointer data)
{
    unsigned count = 0;
    const struct vh_wish *wishes = vh_guest_wishes(guest);

    g_assert(*why);
    vh_guest_vcpus(guest, &count);
    for (unsigned i = 0; i < count; i++)
        g_assert(wishes[i].guest_cpu < (int)VH_CPUS_MAX);
}

static void on_injected(G_GNUC_UNUSED VhGuest *guest, G_GNUC_UNUSED gpointer data)
{
}

static bool is_watched(G_GNUC_UNUSED VhGuest *guest, gpointer data)
{
    return ((struct stage *)data)->watched;
}

static void on_watch(G_GNUC_UNUSED VhGuest *guest, const GString *line, G_GNUC_UNUSED gpointer data)
{
    g_assert(g_utf8_validate(line->str, (gssize)line->len, NULL));
}

static const struct vh_guest_funcs funcs = {
    .changed = on_changed, .injected = on_injected, .watched = is_watched, .watch = on_watch};

/* ---- what an operator does ---- */

static const char *const policies[] = {
    "[guest *]\nprograms = affinity\n",
    "[guest *]\nprograms = affinity stranger\nmax-pins = 1\n",
    "[guest *]\nprograms = stranger\nmax-hints = 2/s\n",
    "[guest *]\nprograms = affinity stranger\nset.stranger.threshold = 7\nrules = kept\n",
    "[guest *]\nprograms =\n",
};

static void set_policy(struct stage *stage, uint8_t which)
{
    const struct vh_policy_world world = {.read_object = fake_object_read,
                                          .list_objects = fake_object_list};
    const char *text = policies[which % G_N_ELEMENTS(policies)];
    const struct vh_policy_text texts[] = {{"rules", fake_rules, strlen(fake_rules), false},
                                           {"policy", text, strlen(text), false}};
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhPolicy) policy = vh_policy_parse(texts, 2, &world, problems);

    g_assert(policy);
    vh_guest_set_policy(stage->guest,
                        vh_policy_for(policy, &(struct vh_guest_id){.name = (char *)"web"}));
}

static void on_done(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer injected)
{
    g_autoptr(GError) error = NULL;

    if (injected)
        g_free(g_task_propagate_pointer(G_TASK(result), &error));
    else
        g_task_propagate_int(G_TASK(result), &error);
    g_assert(!error || *error->message);
}

static void inject(struct stage *stage, uint8_t what)
{
    VhObject *object = what % 2 ? fake_object_stranger() : fake_object_affinity();

    vh_programs_inject(vh_guest_programs(stage->guest), object,
                       g_bytes_new("a=1", what & 4 ? 4 : 0), what & 2,
                       g_task_new(NULL, NULL, on_done, stage));
}

static void ask(struct stage *stage)
{
    g_auto(VhGuestPortrait) portrait = {0};
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(GVariant) programs = g_variant_ref_sink(vh_guest_describe_programs(stage->guest));
    g_auto(GStrv) facts = vh_guest_describe_facts(stage->guest);
    unsigned count = 0;
    g_auto(GStrv) behind = vh_guest_describe_behind(stage->guest, 1, "pin", 3, &count);

    struct vh_guest_figures figures;

    vh_guest_portray(stage->guest, &portrait);
    vh_guest_portrait_describe(&portrait, &dict);
    vh_guest_figures(stage->guest, &figures);
    (void)vh_guest_is_settled(stage->guest);
    for (unsigned i = 0; facts[i]; i++)
        g_assert(g_utf8_validate(facts[i], -1, NULL));
}

/* ---- the script ---- */

static void turn(struct stage *stage)
{
    do {
        while (g_main_context_iteration(NULL, FALSE))
            ;
        peer_hear(&stage->peer);
    } while (g_main_context_pending(NULL));
}

static void connect_channel(struct stage *stage)
{
    if (stage->peer.fd < 0 && !stage->guest->session)
        vh_guest_on_channel(peer_open(&stage->peer), stage->guest);
}

/* vCPUs 0 to 3, with APIC ids from `first`. */
static void set_vcpus(struct stage *stage, uint8_t first)
{
    GArray *vcpus = g_array_new(FALSE, TRUE, sizeof(struct vh_vcpu));

    for (unsigned i = 0; i < VCPUS; i++) {
        const struct vh_vcpu vcpu = {.index = i, .thread = 1, .apic_id = (first + i) % 8};

        g_array_append_val(vcpus, vcpu);
    }
    stage->guest->preview = true;
    vh_guest_take_vcpus(stage->guest, vcpus, "the script says so");
}

static void step(struct stage *stage, struct script *script)
{
    uint8_t what = script_byte(script);
    uint8_t more = what % 16 < 8 ? 0 : script_byte(script);

    switch (what % 16) {
    case 8:
        set_policy(stage, more);
        break;
    case 9:
        inject(stage, more);
        break;
    case 10:
        vh_programs_eject(vh_guest_programs(stage->guest), more % 2 ? "stranger" : "affinity",
                          g_task_new(NULL, NULL, on_done, NULL));
        break;
    case 11:
        clock_pass((gint64)more * more * (more & 1 ? 1000 : 20000));
        break;
    case 12:
        peer_hang_up(&stage->peer);
        break;
    case 13:
        connect_channel(stage);
        stage->peer.deaf = more % 2;
        break;
    case 14:
        if (more % 4)
            vh_guest_restart_session(stage->guest, "the script says so");
        else
            set_vcpus(stage, more / 4);
        break;
    case 15:
        stage->watched = more % 2;
        ask(stage);
        break;
    default:
        peer_say(&stage->peer, script);
        break;
    }
    turn(stage);
}

/* What is kept for a guest is bounded. */
static void check(const VhGuest *guest)
{
    vh_guest_check(guest);
    g_assert(guest->wishes->len == guest->vcpus->len);
    g_assert(vh_facts_count(guest->facts) <= VH_FACTS_MAX);
    g_assert(vh_programs_count(guest->programs) <= VH_PROGRAMS_MAX);
    if (guest->session)
        g_assert(vh_session_owed(guest->session) <= VH_SESSION_OWED);
}

static void begin(struct stage *stage)
{
    static struct vh_config_guest config = {.name = (char *)"web",
                                            .title = (char *)"Web",
                                            .uuid = (char *)"",
                                            .profile = (char *)"",
                                            .channel = (char *)"/nonexistent/channel"};

    peer_begin(&stage->peer);
    stage->guest = vh_guest_new(&config, "/nonexistent", stage->watch, stage->turn, stage->scratch,
                                NULL, &funcs, stage);
    stage->watched = false;
    set_vcpus(stage, 0);
    set_policy(stage, 0);
    connect_channel(stage);
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
    begin(&stage);
    while (script.left) {
        step(&stage, &script);
        check(stage.guest);
    }
    vh_guest_free(stage.guest);
    peer_end(&stage.peer);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    clock_end();
    return 0;
}
