// SPDX-License-Identifier: GPL-2.0-or-later
// Attaches programs to uplinks and taps.
#include "net/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "net/object.h"

/* Of Linux 6.6, which the headers may be older than. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS ((enum bpf_attach_type)47)

/* Our filter's handle and priority, by which it is found again. */
#define HANDLE 0x7668
#define PRIORITY 0x7668

struct VhAttach {
    enum vh_hook hook;
    unsigned interface;
    enum vh_attach_mode mode;
    int link; /* -1: a filter */
    char *pin;
    bool found;
};

const char *const vh_attach_modes[VH_ATTACH_MODES] = {
    [VH_ATTACH_NATIVE] = "native",
    [VH_ATTACH_GENERIC] = "generic",
    [VH_ATTACH_TCX] = "tcx",
    [VH_ATTACH_CLSACT] = "clsact",
};

enum vh_attach_mode vh_attach_mode(const VhAttach *attach)
{
    return attach->mode;
}

unsigned vh_attach_interface(const VhAttach *attach)
{
    return attach->interface;
}

bool vh_attach_was_found(const VhAttach *attach)
{
    return attach->found;
}

static VhAttach *attach_new(const struct vh_attach_place *place, enum vh_attach_mode mode, int link)
{
    VhAttach *attach = g_new0(VhAttach, 1);

    attach->hook = place->hook;
    attach->interface = place->interface;
    attach->mode = mode;
    attach->link = link;
    attach->pin = g_strdup(place->pin);
    return attach;
}

static VhAttach *fail(GError **error, const struct vh_attach_place *place, const char *what)
{
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "%s: %s: %s", place->name, what,
                g_strerror(errno));
    return NULL;
}

/* ---- links ---- */

/* Headers older than tcx have no member for its part, which begins like XDP's. */
static unsigned interface_of(int link, __u32 type)
{
    struct bpf_link_info info = {0};
    __u32 size = sizeof(info);

    if (bpf_obj_get_info_by_fd(link, &info, &size) < 0 || (type && info.type != type))
        return 0;
    return info.xdp.ifindex;
}

static enum vh_attach_mode xdp_mode(unsigned interface)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);

    return bpf_xdp_query((int)interface, 0, &opts) == 0 && opts.attach_mode == XDP_ATTACHED_SKB
               ? VH_ATTACH_GENERIC
               : VH_ATTACH_NATIVE;
}

/* Takes over what is pinned; NULL: there is nothing of this interface's. */
static VhAttach *find_link(const struct vh_attach_place *place, int program)
{
    bool xdp = place->hook == VH_HOOK_UPLINK;
    int link = place->pin ? bpf_obj_get(place->pin) : -1;
    VhAttach *attach = NULL;

    if (link < 0)
        return NULL;
    if (interface_of(link, xdp ? BPF_LINK_TYPE_XDP : 0) != place->interface ||
        bpf_link_update(link, program, NULL) < 0) {
        close(link);
        unlink(place->pin);
        return NULL;
    }
    attach = attach_new(place, xdp ? xdp_mode(place->interface) : VH_ATTACH_TCX, link);
    attach->found = true;
    return attach;
}

static int pin_link(const VhAttach *attach)
{
    return attach->pin ? bpf_obj_pin(attach->link, attach->pin) : 0;
}

static VhAttach *with_pin(VhAttach *attach, const struct vh_attach_place *place, GError **error)
{
    if (pin_link(attach) == 0)
        return attach;
    fail(error, place, "pinning what was attached");
    vh_attach_end(attach);
    return NULL;
}

/* ---- an uplink ---- */

static VhAttach *refuse_uplink(const struct vh_attach_place *place, GError **error)
{
    __u32 id = 0;

    bpf_xdp_query_id((int)place->interface, 0, &id);
    g_set_error(error, VH_ERROR, VH_ERROR_BUSY,
                "%s has an XDP program of somebody else's (number %u), which stays: take it away "
                "(ip link set dev %s xdp off, or what has loaded it), or do without uplink",
                place->name, id, place->name);
    return NULL;
}

static VhAttach *attach_uplink(const struct vh_attach_place *place, int program, GError **error)
{
    static const struct {
        enum vh_attach_mode mode;
        __u32 flags;
    } tries[] = {{VH_ATTACH_NATIVE, XDP_FLAGS_DRV_MODE}, {VH_ATTACH_GENERIC, XDP_FLAGS_SKB_MODE}};

    for (gsize i = 0; i < G_N_ELEMENTS(tries); i++) {
        LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = tries[i].flags);
        int link = bpf_link_create(program, (int)place->interface, BPF_XDP, &opts);

        if (link >= 0)
            return with_pin(attach_new(place, tries[i].mode, link), place, error);
        if (errno == EBUSY || errno == EEXIST)
            return refuse_uplink(place, error);
    }
    return fail(error, place, "attaching XDP");
}

/* ---- a tap ---- */

static enum bpf_tc_attach_point point_of(enum vh_hook hook)
{
    return hook == VH_HOOK_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

static VhAttach *attach_filter(const struct vh_attach_place *place, int program, GError **error)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)place->interface,
                .attach_point = point_of(place->hook));
    LIBBPF_OPTS(bpf_tc_opts, known, .handle = HANDLE, .priority = PRIORITY);
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY, .prog_fd = program,
                .flags = BPF_TC_F_REPLACE);
    VhAttach *attach = NULL;
    int made = bpf_tc_hook_create(&hook);
    bool found = false;

    if (made < 0 && made != -EEXIST)
        return fail(error, place, "making a clsact qdisc");
    found = made == -EEXIST && bpf_tc_query(&hook, &known) == 0;
    if (bpf_tc_attach(&hook, &opts) < 0)
        return fail(error, place, "attaching a filter");
    attach = attach_new(place, VH_ATTACH_CLSACT, -1);
    attach->found = found;
    return attach;
}

static void end_filter(const VhAttach *attach)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)attach->interface,
                .attach_point = point_of(attach->hook));
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

    /* The qdisc may have others' filters by now, and does nothing without any. */
    bpf_tc_detach(&hook, &opts);
}

static VhAttach *attach_tap(const struct vh_attach_place *place, int program, GError **error)
{
    enum bpf_attach_type type = place->hook == VH_HOOK_EGRESS ? TCX_EGRESS : TCX_INGRESS;
    int link = place->filter ? -1 : bpf_link_create(program, (int)place->interface, type, NULL);

    if (link >= 0)
        return with_pin(attach_new(place, VH_ATTACH_TCX, link), place, error);
    /* EINVAL: a kernel without tcx. */
    if (!place->filter && errno != EINVAL)
        return fail(error, place, "attaching tcx");
    return attach_filter(place, program, error);
}

/* ---- all ---- */

VhAttach *vh_attach_new(const struct vh_attach_place *place, int program, GError **error)
{
    VhAttach *found = find_link(place, program);

    g_assert(program >= 0 && place->interface);
    if (found)
        return found;
    return place->hook == VH_HOOK_UPLINK ? attach_uplink(place, program, error)
                                         : attach_tap(place, program, error);
}

/* "uplink-7": the hook, then the interface. */
static char *pin_of(const char *pins, enum vh_hook hook, unsigned interface)
{
    return pins ? g_strdup_printf("%s/%s-%u", pins, vh_hook_names[hook], interface) : NULL;
}

bool vh_attach_read_pin(const char *pin, enum vh_hook *hook, unsigned *interface)
{
    const char *dash = strrchr(pin, '-');
    guint64 number = 0;

    if (!dash || !g_ascii_string_to_unsigned(dash + 1, 10, 1, G_MAXINT, &number, NULL))
        return false;
    *interface = (unsigned)number;
    for (*hook = 0; *hook < VH_HOOKS; (*hook)++)
        if (strncmp(pin, vh_hook_names[*hook], (gsize)(dash - pin)) == 0 &&
            strlen(vh_hook_names[*hook]) == (gsize)(dash - pin))
            return true;
    return false;
}

VhAttach *vh_attach_named(enum vh_hook hook, const char *name, const char *pins, int program,
                          GError **error)
{
    unsigned interface = if_nametoindex(name);
    g_autofree char *pin = pin_of(pins, hook, interface);
    const struct vh_attach_place place = {
        .hook = hook, .interface = interface, .name = name, .pin = pin};

    if (interface)
        return vh_attach_new(&place, program, error);
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "there is no interface %s", name);
    return NULL;
}

bool vh_attach_stands(const VhAttach *attach)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)attach->interface,
                .attach_point = point_of(attach->hook));
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

    if (attach->link >= 0)
        return interface_of(attach->link, 0) == attach->interface;
    return bpf_tc_query(&hook, &opts) == 0;
}

void vh_attach_leave(VhAttach *attach)
{
    if (!attach)
        return;
    if (attach->link >= 0)
        close(attach->link);
    g_free(attach->pin);
    g_free(attach);
}

void vh_attach_end(VhAttach *attach)
{
    if (attach && attach->pin)
        unlink(attach->pin);
    if (attach && attach->link >= 0)
        bpf_link_detach(attach->link);
    if (attach && attach->link < 0)
        end_filter(attach);
    vh_attach_leave(attach);
}
