/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fake-manager.h. */
#include "lib/fake-manager.h"

#include <sched.h>
#include <string.h>

#include "action/action.h"
#include "lib/victim.h"

struct watch {
    guint number;
    VhWatchFunc func;
    gpointer data;
};

struct VhManager {
    GPtrArray *watches; /* struct watch */
    GPtrArray *waiting; /* GTask */
    guint last_watch;
    gsize last_size;
    char *last_call;
    struct victim victim;
    unsigned cpu; /* that it is bound to */
};

static void bind_victim(VhManager *manager)
{
    cpu_set_t mask;

    victim_start(&manager->victim);
    g_assert_cmpint(sched_getaffinity(0, sizeof(mask), &mask), ==, 0);
    while (!CPU_ISSET(manager->cpu, &mask))
        manager->cpu++;
    CPU_ZERO(&mask);
    CPU_SET(manager->cpu, &mask);
    g_assert_cmpint(sched_setaffinity(manager->victim.tid, sizeof(mask), &mask), ==, 0);
}

pid_t fake_manager_thread(const VhManager *manager, unsigned *cpu)
{
    *cpu = manager->cpu;
    return manager->victim.tid;
}

VhManager *fake_manager_new(void)
{
    VhManager *manager = g_new0(VhManager, 1);
    manager->watches = g_ptr_array_new_with_free_func(g_free);
    manager->waiting = g_ptr_array_new_with_free_func(g_object_unref);
    manager->last_call = g_strdup("");
    bind_victim(manager);
    return manager;
}

void vh_manager_free(VhManager *manager)
{
    fake_manager_answer(manager);
    victim_end(&manager->victim);
    g_ptr_array_unref(manager->watches);
    g_ptr_array_unref(manager->waiting);
    g_free(manager->last_call);
    g_free(manager);
}

/* "idle" is in no list. */
static bool known(const char *guest, GError **error)
{
    if (g_str_equal(guest, "web") || g_str_equal(guest, "idle"))
        return true;
    g_set_error(error, VH_ERROR, VH_ERROR_NO_SUCH_GUEST,
                "there is no guest '%s': see vhintctl guests", guest);
    return false;
}

static void pin(struct vh_portrait_thread *thread, const VhManager *manager)
{
    thread->vcpu.guest_cpu = 0;
    thread->vcpu.apic_id = 0;
    thread->standing = (VhStanding){.thread = manager->victim.tid,
                                    .state = VH_STANDING_PINNED,
                                    .ground = VH_STANDING_PLANNED,
                                    .held = true,
                                    .wishes = true,
                                    .wish = {.kind = VH_WISH_ANCHOR, .tasks = 4, .guest_cpu = 0},
                                    .action = &vh_action_pin,
                                    .rule = "affinity-pin",
                                    .place = {.reason = VH_REASON_ANCHOR, .cpu = (int)manager->cpu},
                                    .former = g_ref_string_new("0-1")};
}

/* The release is what a hostile guest would say: it would clear the screen, or turn round what
 * follows. */
static VhPortrait *portray(const VhManager *manager, bool brief)
{
    const struct vh_config_guest config = {
        .name = (char *)"web", .title = (char *)"web", .uuid = (char *)"", .profile = (char *)""};
    VhPortrait *portrait = vh_portrait_new(brief ? 0 : 2, 0);

    portrait->guest = (VhGuestPortrait){.names = vh_guest_names_new(&config),
                                        .connected = true,
                                        .release = "6.1\x1b[2J\xc2\x9b\xe2\x80\xae\xc3\xa9",
                                        .agent = "vhint-injector 0.1",
                                        .programs = 1,
                                        .vcpus = 2,
                                        .facts = 1,
                                        .hints = 12};
    if (brief)
        return portrait;
    pin(&portrait->threads[0], manager);
    portrait->threads[1].vcpu.index = 1;
    portrait->threads[1].vcpu.guest_cpu = portrait->threads[1].vcpu.apic_id = -1;
    portrait->threads[1].standing = (VhStanding){.ground = VH_STANDING_UNPLANNED};
    return portrait;
}

/* Released, and without an injector. */
static VhPortrait *portray_idle(void)
{
    const struct vh_config_guest config = {.name = (char *)"idle"};
    VhPortrait *portrait = vh_portrait_new(0, 0);

    portrait->held = true;
    portrait->guest = (VhGuestPortrait){.names = vh_guest_names_new(&config),
                                        .problem = g_strdup("no injector has answered yet")};
    return portrait;
}

VhPortrait *vh_manager_portrait(VhManager *manager, const char *guest, GError **error)
{
    if (g_str_equal(guest, "idle"))
        return portray_idle();
    return known(guest, error) ? portray(manager, false) : NULL;
}

GPtrArray *vh_manager_portraits(VhManager *manager, guint64 *last, bool brief)
{
    GPtrArray *portraits = g_ptr_array_new_with_free_func((GDestroyNotify)vh_portrait_unref);

    /* The only guest, then a page without any. */
    if (*last == 0)
        g_ptr_array_add(portraits, portray(manager, brief));
    *last = *last == 0;
    return portraits;
}

GVariant *vh_manager_programs(G_GNUC_UNUSED VhManager *manager, const char *guest, GError **error)
{
    if (!known(guest, error))
        return NULL;
    return g_variant_new_parsed(
        "@aa{sv} [{'name': <'affinity'>, 'version': <'1.0'>, 'state': <'running'>, "
        "'digest': <'0123456789abcdef'>, 'attached': <uint32 5>, 'hints': <uint64 12>}]");
}

GVariant *vh_manager_offload(G_GNUC_UNUSED VhManager *manager, const char *guest, GError **error)
{
    if (*guest && !known(guest, error))
        return NULL;
    if (g_str_equal(guest, "idle"))
        return g_variant_new_parsed("@aa{sv} []");
    return g_variant_new_parsed(
        "@aa{sv} [{'guest': <'web'>, 'offload': <'firewall'>, 'state': <'kept'>, "
        "'reason': <'a packet costs 210 ns, and 2900 ns without it'>, 'problem': <''>, "
        "'left_out': <'ip filter input rule 3: it logs\nip filter input rule 7: limit'>, "
        "'hits': <uint64 7>, 'share': <0.5>, 'hook': <[{'interface': <'eth0'>, "
        "'hook': <'uplink'>, 'mode': <'native'>, 'problem': <''>, 'packets': <uint64 14>, "
        "'dropped': <uint64 7>, 'answered': <uint64 0>, 'over_budget': <uint64 1>, "
        "'ns': <uint64 1400>}, {'interface': <'vnet0'>, 'hook': <'egress'>, 'mode': <''>, "
        "'problem': <'there is no \033 vnet0'>, 'packets': <uint64 0>}]>}]");
}

GVariant *vh_manager_explain(G_GNUC_UNUSED VhManager *manager, const char *guest, GError **error)
{
    if (!known(guest, error))
        return NULL;
    if (g_str_equal(guest, "idle"))
        return g_variant_new_parsed("@aa{sv} []");
    return g_variant_new_parsed(
        "@aa{sv} [{'vcpu': <uint32 1>, 'action': <'pin'>, 'rule': <'affinity-pin'>, 'state': "
        "<'applied'>, "
        "'rule_from': <'00-affinity.conf:5'>, 'rule_text': <'on affinity when cpus == 1 do pin "
        "mask'>, "
        "'in_force': <true>, 'host_cpus': <'5'>, 'former': <'0-7'>, 'age': <3725.5>, "
        "'why': <'4 hints pin guest CPU 1 (rule affinity-pin); CPU 5 of NUMA node 0'>, "
        "'limits': <'pool 2-5 (10-web.conf:3), max-pins 512 (default)'>, 'verdict': <''>, "
        "'hints': "
        "<['{\"guest\":\"web\",\"program\":\"affinity\",\"kind\":\"affinity\",\"fields\":{\"pid\":"
        "812,"
        "\"comm\":\"x \\\\u001b\"}}']>, 'hint_count': <uint32 4>}, "
        "{'vcpu': <uint32 2>, 'reverts': <uint32 1>, 'action': <'boost by nice'>, 'rule': "
        "<'urgent'>, "
        "'state': <'kept'>, 'why': <'the rule says by nice'>, 'verdict': <'kept'>, 'reason': <'it "
        "waits less than "
        "before'>, "
        "'numbers': <'waits 65.2% -> 2.8%'>, 'before': <0.625>, 'problem': <''>}]");
}

GVariant *vh_manager_policy(G_GNUC_UNUSED VhManager *manager, const char *guest, GError **error)
{
    if (*guest && !known(guest, error))
        return NULL;
    return g_variant_new_parsed(
        "@a{sv} {'problems': <['10-web.conf:3: [guest web] pol: unknown key\\u001b[2J']>, "
        "'lines': <[('pool', '2-5', '/etc/vhint/policy.d/10-web.conf', @u 3), "
        "('smt', 'avoid', '', @u 0)]>}");
}

char **vh_manager_hints(G_GNUC_UNUSED VhManager *manager, const char *guest, GError **error)
{
    if (!known(guest, error))
        return NULL;
    return g_strsplit(
        "{\"guest\":\"web\",\"program\":\"affinity\",\"kind\":\"affinity\",\"cpu\":1,\"ktime\":5,"
        "\"fields\":{\"pid\":812,\"mask\":[4,0],\"in\":{\"a\":1},\"comm\":\"x y\"}}",
        "\n", -1);
}

static void answer(GTask *task)
{
    g_task_return_pointer(
        task,
        g_variant_ref_sink(g_variant_new_parsed(
            "@a{sv} {'name': <'made'>, 'version': <'2'>, 'attached': <uint32 3>}")),
        (GDestroyNotify)g_variant_unref);
}

void vh_manager_inject(VhManager *manager, const char *guest, const char *name, GBytes *object,
                       GVariant *tunables, bool replace, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    g_autofree char *set = tunables ? g_variant_print(tunables, FALSE) : g_strdup("");
    GError *error = NULL;
    gsize size = 0;
    const char *bytes = g_bytes_get_data(object, &size);
    g_autofree char *head = g_strndup(size > 0 ? bytes : "", MIN(size, 16));

    g_free(manager->last_call);
    manager->last_call = g_strdup_printf("inject %s %s replace=%d %s", guest, name, replace, set);
    manager->last_size = size;
    if (!known(guest, &error))
        g_task_return_error(task, error);
    else if (g_str_has_prefix(head, "REFUSE"))
        g_task_return_new_error(
            task, VH_ERROR, VH_ERROR_REFUSED,
            "the kernel refused hook\xff\nverifier log:\n0: (85) call 1\n\tR1\x1b[31m bad\n");
    else if (g_str_has_prefix(head, "BROKEN"))
        g_task_return_new_error(task, VH_ERROR, VH_ERROR_INVALID_OBJECT, "not an ELF file");
    else if (g_str_has_prefix(head, "EXISTS"))
        g_task_return_new_error(task, VH_ERROR, VH_ERROR_EXISTS,
                                "'made' runs already: use --replace");
    else if (g_str_has_prefix(head, "DISK"))
        g_task_return_new_error(task, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "no space left");
    else if (g_str_has_prefix(head, "WAIT"))
        g_ptr_array_add(manager->waiting, g_steal_pointer(&task));
    else
        answer(task);
}

GVariant *vh_manager_inject_finish(G_GNUC_UNUSED VhManager *manager, GAsyncResult *result,
                                   GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

void vh_manager_eject(VhManager *manager, const char *guest, const char *program,
                      GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    GError *error = NULL;
    g_free(manager->last_call);
    manager->last_call = g_strdup_printf("eject %s %s", guest, program);
    if (!known(guest, &error))
        g_task_return_error(task, error);
    else if (!g_str_equal(program, "made"))
        g_task_return_new_error(task, VH_ERROR, VH_ERROR_NO_SUCH_PROGRAM,
                                "there is no program '%s' in '%s'", program, guest);
    else
        g_task_return_int(task, 0);
}

int vh_manager_eject_finish(G_GNUC_UNUSED VhManager *manager, GAsyncResult *result, GError **error)
{
    return (int)g_task_propagate_int(G_TASK(result), error);
}

int vh_manager_release(G_GNUC_UNUSED VhManager *manager, const char *guest, GError **error)
{
    return guest[0] == '\0' || known(guest, error) ? 2 : -1;
}

int vh_manager_resume(G_GNUC_UNUSED VhManager *manager, const char *guest, GError **error)
{
    return known(guest, error) ? 0 : -1;
}

void vh_manager_bootstrap(G_GNUC_UNUSED VhManager *manager, const char *guest,
                          GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    GError *error = NULL;

    if (!known(guest, &error))
        g_task_return_error(task, error);
    else
        g_task_return_pointer(
            task,
            g_variant_new_parsed(
                "@a{sv} {'already': <false>, 'path': <'/run/vhint-injector/vhint-injector'>, "
                "'how': <'systemd'>, "
                "'injector': <'vhint-injector 0.1'>, 'release': <'6.1\\u001b[2J'>}"),
            (GDestroyNotify)g_variant_unref);
}

GVariant *vh_manager_bootstrap_finish(G_GNUC_UNUSED VhManager *manager, GAsyncResult *result,
                                      GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

guint vh_manager_hand_over(G_GNUC_UNUSED VhManager *manager, G_GNUC_UNUSED const char *why)
{
    return VH_HANDOVER_SECONDS;
}

guint vh_manager_watch(VhManager *manager, const char *guest, VhWatchFunc func, gpointer data,
                       GError **error)
{
    if (guest[0] != '\0' && !known(guest, error))
        return 0;
    struct watch *watch = g_new(struct watch, 1);
    *watch = (struct watch){++manager->last_watch, func, data};
    g_ptr_array_add(manager->watches, watch);
    return watch->number;
}

void vh_manager_unwatch(VhManager *manager, guint number)
{
    for (guint i = 0; i < manager->watches->len; i++)
        if (((struct watch *)g_ptr_array_index(manager->watches, i))->number == number) {
            g_ptr_array_remove_index(manager->watches, i);
            return;
        }
    g_assert_not_reached();
}

void fake_manager_hint(VhManager *manager, const char *line)
{
    for (guint i = 0; i < manager->watches->len; i++) {
        struct watch *watch = g_ptr_array_index(manager->watches, i);
        watch->func(line, strlen(line), watch->data);
    }
}

guint fake_manager_watches(const VhManager *manager)
{
    return manager->watches->len;
}

guint fake_manager_waiting(const VhManager *manager)
{
    return manager->waiting->len;
}

gsize fake_manager_last_size(const VhManager *manager)
{
    return manager->last_size;
}

const char *fake_manager_last_call(const VhManager *manager)
{
    return manager->last_call;
}

void fake_manager_answer(VhManager *manager)
{
    for (guint i = 0; i < manager->waiting->len; i++)
        answer(g_ptr_array_index(manager->waiting, i));
    g_ptr_array_set_size(manager->waiting, 0);
}
