// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the net thread, and keeps guests' numbers and leases for the hint thread.
#include "net/net.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "io/errands.h"
#include "net/guests.h"

/* No packet takes less: a clock that stands still does not make a budget endless. */
#define PACKET_NS_MIN 20u

/* What the hint thread knows of a guest. */
struct known {
    char *name;
    guint64 wanted;  /* serial of the last wish; 0: a former vhintd has left it */
    guint64 applied; /* of the last one that was carried out */
    GBytes *wants[VH_STAGES];
};

struct VhNet {
    VhNetTold told;
    gpointer data;
    struct known *known[VH_NET_GUESTS]; /* by number; NULL: nobody's */
    guint64 serial;
    volatile struct vh_lease *leases; /* the dispatcher's */
    VhNetMaps *maps;
    char *pins;

    GThread *thread;
    GMainContext *context;
    GMainLoop *loop;
    VhErrands *errands;

    /* the net thread's */
    VhNetGuests *guests;
};

/* One thing for the net thread to do. */
struct task {
    struct vh_errand errand;
    VhNet *net;
    guint32 number;
    VhNetWish *wish;   /* to be carried out; NULL: none */
    bool leave;        /* the end: leaves all as it is */
    VhNetState *state; /* the answer; NULL: there is none */
};

/* ---- the net thread ---- */

static struct task *task_of(struct vh_errand *errand)
{
    return (struct task *)(void *)errand;
}

static void work_want(struct vh_errand *errand)
{
    struct task *task = task_of(errand);

    vh_net_guests_apply(task->net->guests, g_steal_pointer(&task->wish));
    task->state = vh_net_guests_look(task->net->guests, task->number);
    vh_errand_finish(errand);
}

static void work_stop(struct vh_errand *errand)
{
    vh_net_guests_remove(task_of(errand)->net->guests, task_of(errand)->number);
    vh_errand_finish(errand);
}

static void work_look(struct vh_errand *errand)
{
    struct task *task = task_of(errand);

    task->state = vh_net_guests_look(task->net->guests, task->number);
    vh_errand_finish(errand);
}

static void work_tidy(struct vh_errand *errand)
{
    vh_net_guests_tidy(task_of(errand)->net->guests);
    vh_errand_finish(errand);
}

static void work_end(struct vh_errand *errand)
{
    struct task *task = task_of(errand);

    vh_net_guests_free(g_steal_pointer(&task->net->guests), task->leave);
    g_main_loop_quit(task->net->loop);
    vh_errand_finish(errand);
}

static gpointer run(gpointer data)
{
    VhNet *net = data;

    g_main_context_push_thread_default(net->context);
    g_main_loop_run(net->loop);
    g_main_context_pop_thread_default(net->context);
    return NULL;
}

/* ---- back on the hint thread ---- */

static void task_free(struct task *task)
{
    vh_net_wish_free(task->wish);
    vh_net_state_free(task->state);
    g_free(task);
}

static void on_dropped(struct vh_errand *errand)
{
    task_free(task_of(errand));
}

/* A guest that has been stopped, or another of its number, is not told of. */
static void on_done(struct vh_errand *errand)
{
    struct task *task = task_of(errand);
    VhNet *net = task->net;
    struct known *known = net->known[task->number];

    if (task->state && known && known->wanted && g_str_equal(known->name, task->state->guest)) {
        known->applied = task->state->serial;
        net->told(g_steal_pointer(&task->state), net->data);
    }
    task_free(task);
}

static void ask(VhNet *net, guint32 number, void (*work)(struct vh_errand *errand), VhNetWish *wish,
                bool leave)
{
    struct task *task = g_new0(struct task, 1);

    task->errand.work = work;
    task->errand.done = on_done;
    task->errand.drop = on_dropped;
    task->net = net;
    task->number = number;
    task->wish = wish;
    task->leave = leave;
    vh_errands_send(net->errands, &task->errand);
}

/* ---- numbers ---- */

static struct known *known_new(VhNet *net, guint32 number, const char *name)
{
    struct known *known = g_new0(struct known, 1);

    known->name = g_strdup(name);
    net->known[number] = known;
    return known;
}

static void known_free(struct known *known)
{
    if (!known)
        return;
    for (guint stage = 0; stage < VH_STAGES; stage++)
        g_clear_pointer(&known->wants[stage], g_bytes_unref);
    g_free(known->name);
    g_free(known);
}

/* VH_NET_GUESTS: it has none. */
static guint32 number_of(const VhNet *net, const char *guest)
{
    guint32 number = 0;

    while (number < VH_NET_GUESTS &&
           !(net->known[number] && g_str_equal(net->known[number]->name, guest)))
        number++;
    return number;
}

static guint32 new_number(VhNet *net, const char *guest)
{
    guint32 number = 0;

    while (number < VH_NET_GUESTS && net->known[number])
        number++;
    if (number < VH_NET_GUESTS)
        known_new(net, number, guest);
    return number;
}

/* Who a former vhintd had. */
static void find_left(VhNet *net)
{
    int map = vh_net_maps_fd(net->maps, "vh_names");

    for (guint32 number = 0; number < VH_NET_GUESTS; number++) {
        struct vh_net_name name = {0};

        if (bpf_map_lookup_elem(map, &number, &name) < 0 || !*name.guest)
            continue;
        name.guest[VH_NET_NAME - 1] = 0;
        known_new(net, number, name.guest);
    }
}

char **vh_net_left(const VhNet *net)
{
    GPtrArray *names = g_ptr_array_new();

    for (guint32 number = 0; number < VH_NET_GUESTS; number++)
        if (net->known[number] && !net->known[number]->wanted)
            g_ptr_array_add(names, g_strdup(net->known[number]->name));
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

/* ---- wishes ---- */

/* Returns whether they are the same as before. */
static bool note_wants(struct known *known, const VhNetWish *wish)
{
    bool same = true;

    for (guint stage = 0; stage < VH_STAGES; stage++) {
        GBytes *wants = wish->wants[stage];

        same = same && !wants == !known->wants[stage] &&
               (!wants || g_bytes_equal(wants, known->wants[stage]));
        g_clear_pointer(&known->wants[stage], g_bytes_unref);
        known->wants[stage] = wants ? g_bytes_ref(wants) : NULL;
    }
    return same;
}

bool vh_net_want(VhNet *net, VhNetWish *wish)
{
    guint32 number = number_of(net, wish->guest);
    guint64 chunk = (1ull << VH_BUDGET_SHIFT) * wish->cycles / 100 / VH_BUDGET_CHUNKS;
    struct known *known = NULL;

    if (number == VH_NET_GUESTS)
        number = new_number(net, wish->guest);
    if (number == VH_NET_GUESTS) {
        vh_net_wish_free(wish);
        return false;
    }
    known = net->known[number];
    if (!note_wants(known, wish))
        net->leases[number].until = 0;
    net->leases[number].chunk_ns = MAX(chunk, 1);
    net->leases[number].chunk_packets = MAX(chunk / PACKET_NS_MIN, 1);
    wish->number = number;
    wish->serial = known->wanted = ++net->serial;
    ask(net, number, work_want, wish, false);
    return true;
}

void vh_net_stop(VhNet *net, const char *guest)
{
    guint32 number = number_of(net, guest);

    if (number == VH_NET_GUESTS)
        return;
    net->leases[number].until = 0;
    g_clear_pointer(&net->known[number], known_free);
    ask(net, number, work_stop, NULL, false);
}

bool vh_net_renew(VhNet *net, const char *guest, gint64 until)
{
    guint32 number = number_of(net, guest);

    if (number == VH_NET_GUESTS || !net->known[number]->wanted ||
        net->known[number]->applied != net->known[number]->wanted)
        return false;
    net->leases[number].until = (guint64)until * 1000;
    return true;
}

void vh_net_look(VhNet *net, const char *guest)
{
    guint32 number = number_of(net, guest);

    if (number < VH_NET_GUESTS)
        ask(net, number, work_look, NULL, false);
}

void vh_net_tidy(VhNet *net)
{
    ask(net, 0, work_tidy, NULL, false);
}

/* ---- life ---- */

static gsize leases_size(void)
{
    return VH_NET_GUESTS * sizeof(struct vh_lease);
}

static void net_free(VhNet *net)
{
    if (net->leases)
        munmap((gpointer)net->leases, leases_size());
    for (guint32 number = 0; number < VH_NET_GUESTS; number++)
        known_free(net->known[number]);
    vh_net_maps_free(net->maps);
    g_free(net->pins);
    g_free(net);
}

static int open_maps(VhNet *net, const struct vh_net_place *place, GError **error)
{
    if (place->pins && g_mkdir_with_parents(place->pins, 0700) < 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "%s cannot be made: %s", place->pins,
                    g_strerror(errno));
        return -1;
    }
    net->maps = vh_net_maps_new(place->objects, place->pins, error);
    if (!net->maps)
        return -1;
    net->leases = mmap(NULL, leases_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
                       vh_net_maps_fd(net->maps, "vh_guests"), 0);
    if (net->leases != MAP_FAILED)
        return 0;
    net->leases = NULL;
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the dispatcher's leases cannot be mapped: %s",
                g_strerror(errno));
    return -1;
}

VhNet *vh_net_new(const struct vh_net_place *place, VhNetTold told, gpointer data, GError **error)
{
    VhNet *net = g_new0(VhNet, 1);

    net->told = told;
    net->data = data;
    net->pins = g_strdup(place->pins);
    if (open_maps(net, place, error) < 0) {
        net_free(net);
        return NULL;
    }
    find_left(net);
    net->guests = vh_net_guests_new(net->maps, net->pins, place->kinds);
    net->context = g_main_context_new();
    net->loop = g_main_loop_new(net->context, FALSE);
    net->errands = vh_errands_new(net->context, NULL);
    net->thread = g_thread_new("vhintd-net", run, net);
    return net;
}

void vh_net_free(VhNet *net, bool leave)
{
    if (!net)
        return;
    for (guint32 number = 0; !leave && number < VH_NET_GUESTS; number++)
        net->leases[number].until = 0;
    ask(net, 0, work_end, NULL, leave);
    g_thread_join(net->thread);
    /* Both ends are this thread's now. */
    vh_errands_close(net->errands);
    g_main_loop_unref(net->loop);
    g_main_context_unref(net->context);
    net_free(net);
}
