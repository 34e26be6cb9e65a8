/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/qemu/memory.c and act/memory.c, against a QEMU that is a function of the test's. */
#include "qemu/memory.h"

#include <string.h>

#include "act/actuate.h"
#include "base/error.h"
#include "lib/loop.h"
#include "lib/stage.h"
#include "lib/target.h"

#define MIB ((guint64)1 << 20)

/* Answers at once, and from the test's own stack: as QEMU never does, and may. */
struct fixture {
    struct stage stage;
    struct vh_config_guest config;
    VhQmp *monitor;
    VhRamDevice *device;
    struct vh_target target;
    unsigned changed;
    bool balloon, virtio_mem;
    bool refuses;
    bool silent; /* keeps its answers to itself */
    GPtrArray *unanswered;
    guint64 size;
    guint64 requested;
    guint64 drift; /* what a balloon says more than the truth, once */
};

struct waiting {
    VhQmpReply reply;
    gpointer data;
};

static void give(VhQmpReply reply, gpointer data, const char *json)
{
    g_autoptr(JsonNode) node = json ? json_from_string(json, NULL) : NULL;

    reply(node, json ? NULL : "no such thing", data);
}

static char *answer(struct fixture *f, const char *command, JsonObject *arguments)
{
    if (f->refuses)
        return NULL;
    if (g_str_equal(command, "query-balloon") && f->balloon) {
        guint64 drift = f->drift;

        f->drift = 0;
        return g_strdup_printf("{\"actual\": %" G_GUINT64_FORMAT "}", f->size + drift);
    }
    if (g_str_equal(command, "balloon")) {
        f->size = (guint64)json_object_get_int_member(arguments, "value");
        return g_strdup("{}");
    }
    if (g_str_equal(command, "query-memory-devices") && f->virtio_mem)
        return g_strdup_printf(
            "[{\"type\": \"dimm\", \"data\": {}}, {\"type\": \"virtio-mem\", \"data\": {\"id\": "
            "\"vm0\", \"requested-size\": %" G_GUINT64_FORMAT
            ", \"max-size\": 104857600, \"block-size\": 2097152}}]",
            f->requested);
    if (g_str_equal(command, "query-memory-size-summary"))
        return g_strdup_printf("{\"base-memory\": %" G_GUINT64_FORMAT "}",
                               (f->virtio_mem ? 64 : 1024) * MIB);
    if (g_str_equal(command, "qom-set")) {
        g_assert_cmpstr(json_object_get_string_member(arguments, "path"), ==,
                        "/machine/peripheral/vm0");
        f->requested = (guint64)json_object_get_int_member(arguments, "value");
        return g_strdup("{}");
    }
    return g_str_equal(command, "query-memory-devices") ? g_strdup("[]") : NULL;
}

static void on_command(gpointer data, const char *command, JsonObject *arguments, VhQmpReply reply,
                       gpointer reply_data)
{
    struct fixture *f = data;
    g_autofree char *text = answer(f, command, arguments);

    if (arguments)
        json_object_unref(arguments);
    if (f->silent) {
        struct waiting *waiting = g_new0(struct waiting, 1);

        *waiting = (struct waiting){reply, reply_data};
        g_ptr_array_add(f->unanswered, waiting);
    } else {
        give(reply, reply_data, text);
    }
}

static struct vh_thread_id no_peer(G_GNUC_UNUSED gpointer data)
{
    return (struct vh_thread_id){0};
}

static void hang_up(gpointer data)
{
    struct fixture *f = data;

    while (f->unanswered->len) {
        g_autofree struct waiting *waiting = g_ptr_array_steal_index(f->unanswered, 0);

        give(waiting->reply, waiting->data, NULL);
    }
}

static const struct vh_qmp_road road = {.command = on_command, .peer = no_peer, .free = hang_up};

static void on_changed(gpointer data)
{
    ((struct fixture *)data)->changed++;
}

static void open_device(struct fixture *f)
{
    f->monitor = vh_qmp_new_over(&road, f);
    f->device = vh_ram_device_new(&f->config, on_changed, f);
    vh_ram_device_monitor(f->device, f->monitor);
    f->target = (struct vh_target){.key = {"guest", VH_TARGET_MEMORY, 0},
                                   .on = thread_id(f->stage.victim.tid),
                                   .ram = f->device};
}

static void close_device(struct fixture *f)
{
    vh_ram_device_leave(f->device);
    g_clear_pointer(&f->monitor, vh_qmp_free);
    vh_ram_device_unref(g_steal_pointer(&f->device));
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_begin(&f->stage);
    f->unanswered = g_ptr_array_new();
    f->balloon = true;
    f->size = 256 * MIB;
    open_device(f);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    close_device(f);
    stage_end(&f->stage);
    g_ptr_array_unref(f->unanswered);
}

static void know(struct fixture *f)
{
    LOOP_UNTIL(vh_ram_device_need(f->device));
}

/* `bytes` 0: what it had. Returns what was undone. */
static guint round_with(struct fixture *f, VhActuate *actuate, guint64 bytes)
{
    union vh_setting setting = {.memory = bytes};

    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &f->target, bytes ? &setting : NULL, NULL);
    return vh_actuate_end(actuate, "a test", NULL);
}

static void test_balloon(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->drift = 5 * MIB; /* it is on its way: the first answer is not to be believed */
    g_assert_false(vh_ram_device_need(f->device));
    know(f);
    g_assert_cmpuint(vh_ram_device_state(f->device).kind, ==, VH_RAM_BALLOON);
    g_assert_cmpuint(vh_ram_device_state(f->device).has, ==, 256 * MIB);
    g_assert_cmpuint(f->changed, >, 0);
}

static void test_no_device(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->balloon = false;
    know(f);
    g_assert_cmpuint(vh_ram_device_state(f->device).kind, ==, VH_RAM_NONE);
    g_assert_nonnull(strstr(vh_ram_device_state(f->device).problem, "virtio-balloon-pci"));
    g_assert_cmpint(vh_ram_device_set(f->device, MIB, NULL, NULL, &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_REFUSED);
}

static void test_virtio_mem(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->virtio_mem = true;
    know(f);
    g_assert_cmpuint(vh_ram_device_state(f->device).kind, ==, VH_RAM_VIRTIO_MEM);
    g_assert_cmpuint(vh_ram_device_state(f->device).has, ==, 64 * MIB);
    g_assert_cmpuint(vh_ram_device_state(f->device).most, ==, 164 * MIB);
    g_assert_cmpint(vh_ram_device_set(f->device, 64 * MIB + 5 * MIB, NULL, NULL, NULL), ==, 0);
    g_assert_cmpuint(f->requested, ==, 4 * MIB);
    g_assert_cmpint(vh_ram_device_set(f->device, 1000 * MIB, NULL, NULL, NULL), ==, 0);
    g_assert_cmpuint(f->requested, ==, 100 * MIB);
    g_assert_cmpuint(f->size, ==, 256 * MIB);
}

static void test_act_and_revert(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_memory);
    g_autofree char *former = NULL;
    const char *problem = NULL;

    know(f);
    round_with(f, actuate, 300 * MIB);
    g_assert_cmpuint(f->size, ==, 300 * MIB);
    round_with(f, actuate, 400 * MIB);
    vh_actuate_describe(actuate, &f->target.key, &former, &problem);
    g_assert_cmpstr(former, ==, "256 MiB");
    g_assert_cmpuint(round_with(f, actuate, 0), ==, 1);
    g_assert_cmpuint(f->size, ==, 256 * MIB);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL));
    round_with(f, actuate, 300 * MIB);
    vh_actuate_free(actuate, "the end");
    g_assert_cmpuint(f->size, ==, 256 * MIB);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL));
}

/* The former value stays on record until QEMU has taken it. */
static void test_unanswered(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_memory);

    know(f);
    round_with(f, actuate, 300 * MIB);
    f->silent = true;
    vh_actuate_free(actuate, "the end");
    g_assert_true(vh_ram_device_busy(f->device));
    g_assert_nonnull(vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL));
    f->silent = false;
    close_device(f); /* the monitor is gone before it has answered */
    g_assert_nonnull(vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL));
    open_device(f);
    f->size = 300 * MIB; /* it had not heard either */
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_memory);
    g_assert_cmpuint(round_with(f, actuate, 0), ==, 1);
    g_assert_cmpuint(f->size, ==, 256 * MIB);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL));
    vh_actuate_free(actuate, "the end");
}

/* kill -9: a second daemon finds the file, and the guest asks still. */
static void test_left_by_the_dead(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_memory);
    g_autoptr(GError) error = NULL;
    g_autofree char *copy = g_strconcat(f->stage.path, "-later", NULL);
    g_autofree char *bytes = NULL;
    const struct vh_saved_slot *slot = NULL;
    gsize len = 0;

    know(f);
    f->config.qmp = (char *)"/run/qmp";
    round_with(f, actuate, 300 * MIB);
    slot = vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL);
    g_assert_cmpstr(slot->memory.road, ==, "/run/qmp");
    g_assert_true(g_file_get_contents(f->stage.path, &bytes, &len, NULL));
    g_assert_true(g_file_set_contents(copy, bytes, (gssize)len, NULL));
    f->refuses = true; /* this one's end is not seen */
    vh_actuate_free(actuate, "the end");
    close_device(f);
    f->refuses = false;
    open_device(f);
    vh_saved_close(f->stage.saved);
    f->stage.saved = vh_saved_open(copy, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(f->size, ==, 300 * MIB);
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_memory);
    g_assert_cmpuint(f->size, ==, 300 * MIB);
    round_with(f, actuate, 0);
    g_assert_cmpuint(f->size, ==, 256 * MIB);
    /* Where it was sent it is as good as there: a balloon on its way must not become the former
     * value. */
    f->size = 280 * MIB;
    know(f);
    g_assert_cmpuint(vh_ram_device_state(f->device).has, ==, 256 * MIB);
    vh_actuate_free(actuate, "the end");
}

static void test_thread_gone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_memory);

    know(f);
    round_with(f, actuate, 300 * MIB);
    victim_end(&f->stage.victim);
    round_with(f, actuate, 0);
    vh_actuate_free(actuate, "the end");
    g_assert_cmpuint(f->size, ==, 300 * MIB);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_MEMORY, NULL));
    victim_start(&f->stage.victim);
}

#define ADD(name, func) g_test_add("/ram/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("balloon", test_balloon);
    ADD("no-device", test_no_device);
    ADD("virtio-mem", test_virtio_mem);
    ADD("act-and-revert", test_act_and_revert);
    ADD("unanswered", test_unanswered);
    ADD("left-by-the-dead", test_left_by_the_dead);
    ADD("thread-gone", test_thread_gone);
    return g_test_run();
}
