/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/net/attach.c on a real uplink and tap: packets are dropped there, other owners stay, and
 * what is pinned is taken over. */
#include "net/attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "lib/loop.h"
#include "lib/net-stage.h"
#include "net/object.h"

#define GUEST 3u

static struct net_stage *stage;
static VhNetMaps *maps;
static VhNetObject *slot;

static void set(const char *name, gconstpointer key, gconstpointer value)
{
    g_assert_cmpint(bpf_map_update_elem(vh_net_maps_fd(maps, name), key, value, 0), ==, 0);
}

static VhNetObject *load(const char *name, const char *constant, guint32 value)
{
    g_autoptr(GError) error = NULL;
    VhNetObject *object = vh_net_object_open(maps, name, &error);

    g_assert_no_error(error);
    vh_net_object_set(object, constant, &value, sizeof(value));
    if (vh_net_object_load(object, &error) < 0)
        g_error("%s", error->message);
    return object;
}

static void fill(enum vh_hook hook, gboolean full)
{
    g_autofree char *map = g_strconcat("vh_", vh_hook_names[hook], NULL);
    guint32 key = VH_SLOT(GUEST, VH_STAGE_FIREWALL);
    int fd = vh_net_object_program(slot, hook);

    if (full)
        set(map, &key, &fd);
    else
        bpf_map_delete_elem(vh_net_maps_fd(maps, map), &key);
}

static struct vh_attach_place place_of(enum vh_hook hook, const char *pin)
{
    const char *name = hook == VH_HOOK_UPLINK ? NET_STAGE_UPLINK : NET_STAGE_TAP;

    return (struct vh_attach_place){
        .hook = hook, .interface = if_nametoindex(name), .name = name, .pin = pin};
}

static void make_maps(void)
{
    const guint32 number = GUEST;
    const struct vh_lease lease = {~0ull, 1ull << 40, 1ull << 40};
    g_autoptr(GError) error = NULL;
    struct vh_mac key = {.vlan = 0};

    maps = vh_net_maps_new(SLOT_OBJECTS, stage->pins, &error);
    g_assert_no_error(error);
    memcpy(key.mac, net_stage_mac, sizeof(key.mac));
    set("vh_macs", &key, &number);
    set("vh_guests", &number, &lease);
    slot = load("byte", "vh_test_stage", VH_STAGE_FIREWALL);
    g_assert_cmpint(
        bpf_map_update_elem(bpf_object__find_map_fd_by_name(vh_net_object_bpf(slot), "test_state"),
                            &(guint32){0}, &(guint64){1}, 0),
        ==, 0);
}

/* To the guest, at the uplink and at the tap; in the one case an answer comes back to the client
 * from the uplink, in the other through the bridge. */
static void drops_to(enum vh_hook hook, const char *pin, bool filter, enum vh_attach_mode mode)
{
    g_autoptr(VhNetObject) dispatcher = load("dispatch", "vh_tap_guest", GUEST);
    struct vh_attach_place place = place_of(hook, pin);
    g_autoptr(GError) error = NULL;
    g_autofree char *seen = NULL;
    g_autofree char *then = NULL;
    VhAttach *attach = NULL;

    place.filter = filter;
    attach = vh_attach_new(&place, vh_net_object_program(dispatcher, hook), &error);
    g_assert_no_error(error);
    g_assert_cmpint(vh_attach_mode(attach), ==, mode);
    g_assert_false(vh_attach_was_found(attach));
    g_assert_true(vh_attach_stands(attach));
    fill(hook, TRUE);
    for (const char *c = "xDyDDz"; *c; c++)
        net_stage_send(stage, -1, *c);
    seen = net_stage_until(stage, 'z');
    g_assert_cmpstr(seen, ==, "xyz");
    vh_attach_end(attach);
    net_stage_send(stage, -1, 'D');
    net_stage_send(stage, -1, 'z');
    then = net_stage_until(stage, 'z');
    g_assert_cmpstr(then, ==, "Dz");
    fill(hook, FALSE);
}

static void test_drops(void)
{
    g_autofree char *pin = g_build_filename(stage->pins, "link", NULL);

    drops_to(VH_HOOK_UPLINK, NULL, false, VH_ATTACH_NATIVE);
    drops_to(VH_HOOK_UPLINK, pin, false, VH_ATTACH_NATIVE);
    drops_to(VH_HOOK_EGRESS, pin, false, VH_ATTACH_TCX);
    drops_to(VH_HOOK_EGRESS, NULL, true, VH_ATTACH_CLSACT);
    g_assert_cmpint(access(pin, F_OK), <, 0);
}

/* From the guest. */
static void test_ingress(void)
{
    g_autoptr(VhNetObject) dispatcher = load("dispatch", "vh_tap_guest", GUEST);
    struct vh_attach_place place = place_of(VH_HOOK_INGRESS, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *seen = NULL;
    VhAttach *attach =
        vh_attach_new(&place, vh_net_object_program(dispatcher, VH_HOOK_INGRESS), &error);

    g_assert_no_error(error);
    fill(VH_HOOK_INGRESS, TRUE);
    for (const char *c = "xDz"; *c; c++)
        net_stage_reply(stage, *c);
    seen = net_stage_back_until(stage, 'z');
    g_assert_null(strchr(seen, 'D'));
    vh_attach_end(attach);
    fill(VH_HOOK_INGRESS, FALSE);
}

/* What goes back from the tap comes through the bridge, once it knows where the client is. */
static void test_answer(void)
{
    g_autoptr(VhNetObject) dispatcher = load("dispatch", "vh_tap_guest", GUEST);
    struct vh_attach_place place = place_of(VH_HOOK_EGRESS, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *seen = NULL;
    VhAttach *attach =
        vh_attach_new(&place, vh_net_object_program(dispatcher, VH_HOOK_EGRESS), &error);

    g_assert_no_error(error);
    fill(VH_HOOK_EGRESS, TRUE);
    net_stage_send(stage, -1, 'A');
    net_stage_send(stage, -1, 'z');
    seen = net_stage_until(stage, 'z');
    g_assert_cmpstr(seen, ==, "z");
    vh_attach_end(attach);
    fill(VH_HOOK_EGRESS, FALSE);
}

static void test_owner(void)
{
    g_autoptr(VhNetObject) dispatcher = load("dispatch", "vh_tap_guest", GUEST);
    g_autoptr(VhNetObject) other = load("dispatch", "vh_tap_guest", GUEST + 1);
    struct vh_attach_place place = place_of(VH_HOOK_UPLINK, NULL);
    g_autoptr(GError) error = NULL;
    VhAttach *attach = NULL;
    VhAttach *second = NULL;

    g_assert_cmpint(
        bpf_xdp_attach((int)place.interface, vh_net_object_program(other, VH_HOOK_UPLINK), 0, NULL),
        ==, 0);
    g_assert_null(vh_attach_new(&place, vh_net_object_program(dispatcher, VH_HOOK_UPLINK), &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, NET_STAGE_UPLINK " has an XDP program of somebody"));
    g_assert_cmpint(bpf_xdp_detach((int)place.interface, 0, NULL), ==, 0);
    /* A tap's hooks are shared. */
    place = place_of(VH_HOOK_EGRESS, NULL);
    g_clear_error(&error);
    attach = vh_attach_new(&place, vh_net_object_program(other, VH_HOOK_EGRESS), &error);
    second = vh_attach_new(&place, vh_net_object_program(dispatcher, VH_HOOK_EGRESS), &error);
    g_assert_no_error(error);
    vh_attach_end(second);
    vh_attach_end(attach);
}

/* A former process's: it goes on without a gap, with this one's program; what it has counted stays.
 */
static void test_takeover(void)
{
    g_autofree char *pin = g_build_filename(stage->pins, "link", NULL);
    struct vh_attach_place place = place_of(VH_HOOK_UPLINK, pin);
    g_autoptr(VhNetObject) dispatcher = load("dispatch", "vh_tap_guest", GUEST);
    g_autoptr(GError) error = NULL;
    g_autofree char *seen = NULL;
    g_autofree char *then = NULL;
    VhAttach *attach =
        vh_attach_new(&place, vh_net_object_program(dispatcher, VH_HOOK_UPLINK), &error);

    g_assert_no_error(error);
    fill(VH_HOOK_UPLINK, TRUE);
    vh_attach_leave(attach);
    g_clear_pointer(&dispatcher, vh_net_object_free);
    vh_net_object_free(slot);
    vh_net_maps_free(maps);
    /* Nobody is there, and it works. */
    net_stage_send(stage, -1, 'D');
    net_stage_send(stage, -1, 'z');
    seen = net_stage_until(stage, 'z');
    g_assert_cmpstr(seen, ==, "z");
    make_maps();
    dispatcher = load("dispatch", "vh_tap_guest", GUEST);
    attach = vh_attach_new(&place, vh_net_object_program(dispatcher, VH_HOOK_UPLINK), &error);
    g_assert_no_error(error);
    g_assert_true(vh_attach_was_found(attach));
    net_stage_send(stage, -1, 'D');
    net_stage_send(stage, -1, 'z');
    then = net_stage_until(stage, 'z');
    g_assert_cmpstr(then, ==, "z");
    vh_attach_end(attach);
    fill(VH_HOOK_UPLINK, FALSE);
}

/* With the pins all is gone, whoever takes them away. */
static void test_unpinned(void)
{
    static const char *const pins[] = {"vh_uplink", "vh_egress", "vh_ingress"};
    g_autoptr(VhNetObject) dispatcher = load("dispatch", "vh_tap_guest", GUEST);
    struct vh_attach_place place = place_of(VH_HOOK_EGRESS, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *seen = NULL;
    VhAttach *attach = NULL;

    place.filter = true;
    attach = vh_attach_new(&place, vh_net_object_program(dispatcher, VH_HOOK_EGRESS), &error);
    g_assert_no_error(error);
    fill(VH_HOOK_EGRESS, TRUE);
    vh_attach_leave(attach);
    g_clear_pointer(&dispatcher, vh_net_object_free);
    g_clear_pointer(&slot, vh_net_object_free);
    g_clear_pointer(&maps, vh_net_maps_free);
    for (gsize i = 0; i < G_N_ELEMENTS(pins); i++) {
        g_autofree char *path = g_build_filename(stage->pins, pins[i], NULL);

        g_assert_cmpint(unlink(path), ==, 0);
    }
    /* The kernel empties arrays that nobody can reach a moment later. */
    LOOP_UNTIL(g_strcmp0(seen, "Dz") == 0)
    {
        net_stage_send(stage, -1, 'D');
        net_stage_send(stage, -1, 'z');
        g_free(seen);
        seen = net_stage_until(stage, 'z');
    }
    make_maps();
}

static void test_gone(void)
{
    g_autoptr(VhNetObject) dispatcher = load("dispatch", "vh_tap_guest", GUEST);
    struct vh_attach_place place = place_of(VH_HOOK_EGRESS, NULL);
    g_autoptr(GError) error = NULL;
    VhAttach *attach =
        vh_attach_new(&place, vh_net_object_program(dispatcher, VH_HOOK_EGRESS), &error);

    g_assert_no_error(error);
    close(stage->tap);
    stage->tap = -1;
    g_assert_false(vh_attach_stands(attach));
    vh_attach_end(attach);
}

int main(int argc, char **argv)
{
    int result = 0;

    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    stage = net_stage_begin("/net/attach");
    if (!stage)
        return g_test_run();
    make_maps();
    g_test_add_func("/net/attach/drops", test_drops);
    g_test_add_func("/net/attach/ingress", test_ingress);
    g_test_add_func("/net/attach/answer", test_answer);
    g_test_add_func("/net/attach/owner", test_owner);
    g_test_add_func("/net/attach/takeover", test_takeover);
    g_test_add_func("/net/attach/unpinned", test_unpinned);
    g_test_add_func("/net/attach/gone", test_gone);
    result = g_test_run();
    vh_net_object_free(slot);
    vh_net_maps_free(maps);
    net_stage_free(stage);
    return result;
}
