// SPDX-License-Identifier: GPL-2.0-or-later
// vhint-injector: waits for the host on a port, loads the BPF programs it sends, relays their
// hints.
//
// One loop: bytes from the port go into the session (session.h), which calls the set of programs;
// hints from the rings and the session's answers go out. Everything is edge-triggered, so that an
// idle guest sees no wake-up of ours. After each event serve() runs until nothing moves any more.
// What may take the kernel long runs beside the loop, as a job (jobs.h): loads, unloads and walks.
//
// Events that the kernel did not show to a program wake nobody. So VH_SETTLE_NS after hints were
// relayed, and again as long as there are more of them, the programs' counts of those are read, and
// what has grown is told; then all is quiet.
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>

#include "agent.h"
#include "cleanup.h"
#include "identity.h"
#include "say.h"
#include "uevent.h"

#define ROUNDS 64           /* of serve(), before other events get a look */
#define DESCRIPTORS 1048576 /* what the kernel allows at most, unless told otherwise */

/* Gives programs turns until none has anything to send, or the way out is full. True when there was
 * anything. */
static bool relay(struct vh_agent *in)
{
    bool any = false;

    do {
        vh_session_pump(&in->session);
        if (!vh_programs_relay(&in->programs, &in->session))
            return any;
        any = true;
    } while (!vh_out_full(&in->session.out));
    return true;
}

/* One round of the pipeline; true when it moved something, so that another may. */
static bool serve(struct vh_agent *in)
{
    struct vh_job *job;
    bool relayed;
    bool moved;

    if (in->host)
        vh_channel_take(in);
    while (!vh_out_full(&in->session.out) && (job = vh_jobs_take(&in->jobs)))
        job->done(job);
    relayed = relay(in);
    moved = vh_channel_flush(in);
    if (relayed)
        vh_agent_stir(in); /* reads the clock: hints go first */
    return moved;
}

/* How long to wait for an event, in ms; -1: for ever. */
static int patience(const struct vh_agent *in)
{
    uint64_t walks = vh_walks_deadline(in);
    uint64_t next = in->settles && (walks == 0 || in->settles < walks) ? in->settles : walks;
    uint64_t now = next ? vh_agent_now() : 0;

    if (next == 0)
        return -1;
    return now >= next ? 0 : (int)((next - now) / 1000000u + 1);
}

/* Looks for losses when it is time to; what it finds is relayed by the serve() that follows, and
 * looked for again.
 */
static void settle(struct vh_agent *in)
{
    if (in->settles == 0 || vh_agent_now() < in->settles)
        return;
    in->settles = 0;
    vh_programs_account(&in->programs);
}

/* ---- other events ---- */

static int on_uevent(struct vh_agent *in)
{
    struct vh_uevents events = {0};
    int error = vh_uevent_read(in->uevents, &events);

    if (error == 0 && events.ports)
        error = vh_channel_look(in);
    if (error == 0 && events.cpus && vh_cpus_read(&in->cpus, "/sys", "/proc") == 0)
        vh_session_send_cpus(&in->session);
    return error;
}

/* serve() takes the jobs themselves. */
static int on_job(struct vh_agent *in)
{
    uint64_t count;

    (void)!read(in->jobs.event, &count, sizeof(count));
    return 0;
}

static int on_event(struct vh_agent *in, const struct epoll_event *event)
{
    switch ((enum vh_source)event->data.u64) {
    case SOURCE_PORT:
        if (in->port >= 0)
            vh_channel_on_event(in, event->events);
        return 0;
    case SOURCE_UEVENT:
        return on_uevent(in);
    case SOURCE_SIGNAL:
        in->gone = true;
        return 0;
    case SOURCE_RING:
        return 0; /* serve() looks into every ring */
    case SOURCE_JOB:
        return on_job(in);
    }
    return 0;
}

static int loop(struct vh_agent *in)
{
    int error = 0;
    int timeout = -1;

    while (error == 0 && !in->gone) {
        struct epoll_event events[16];
        int count = epoll_wait(in->epoll, events, sizeof(events) / sizeof(events[0]), timeout);
        int rounds = 0;

        if (count < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < count && error == 0; i++)
            error = on_event(in, &events[i]);
        settle(in);
        vh_walks_look(in);
        while (rounds < ROUNDS && serve(in))
            rounds++;
        timeout = rounds == ROUNDS ? 0 : patience(in);
    }
    return error;
}

/* ---- start and end ---- */

static int start_signals(struct vh_agent *in)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return -errno;
    in->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return in->signals < 0 ? -errno : vh_agent_watch(in, in->signals, EPOLLIN, SOURCE_SIGNAL);
}

/* A kprobe takes three, and a large program that is replaced is there twice. */
static void raise_descriptors(void)
{
    static const struct rlimit most = {DESCRIPTORS, DESCRIPTORS};
    struct rlimit allowed;

    if (setrlimit(RLIMIT_NOFILE, &most) == 0 || getrlimit(RLIMIT_NOFILE, &allowed))
        return;
    allowed.rlim_cur = allowed.rlim_max;
    setrlimit(RLIMIT_NOFILE, &allowed);
}

static int start(struct vh_agent *in)
{
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    struct vh_hello self = vh_identity_hello();
    int error;

    setrlimit(RLIMIT_MEMLOCK, &unlimited); /* before Linux 5.11 BPF memory counts against it */
    raise_descriptors();
    setpriority(PRIO_PROCESS, 0,
                -20); /* a busy guest is the one whose hints matter, and whose rings fill */
    error = vh_cpus_read(&in->cpus, "/sys", "/proc");
    if (error)
        vh_say("the CPU map cannot be read: %s; are /proc and /sys mounted?", strerror(-error));
    if (error == 0)
        error = start_signals(in);
    if (error)
        return error;
    in->uevents = vh_uevent_open();
    error = in->uevents < 0 ? in->uevents : vh_agent_watch(in, in->uevents, EPOLLIN, SOURCE_UEVENT);
    if (error) {
        vh_say("the kernel's uevents cannot be watched: %s", strerror(-error));
        return error;
    }
    error = vh_jobs_init(&in->jobs);
    if (error == 0)
        error = vh_agent_watch(in, in->jobs.event, EPOLLIN | EPOLLET, SOURCE_JOB);
    if (error)
        return error;
    vh_programs_init(&in->programs, in->epoll, SOURCE_RING, in->cpus.possible);
    error = vh_session_init(&in->session, &self, &vh_agent_ops, in);
    return error ? error : vh_channel_look(in);
}

static int run(const struct vh_options *options)
{
    vh_autofree struct vh_agent *in = calloc(1, sizeof(*in));
    int error;

    if (!in)
        return -ENOMEM;
    in->options = *options;
    in->port = -1;
    in->uevents = -1;
    in->signals = -1;
    in->epoll = epoll_create1(EPOLL_CLOEXEC);
    error = in->epoll < 0 ? -errno : start(in);
    if (error == 0)
        error = loop(in);
    /* The port first: the host is to hear of the end before the kernel detaches anything, which it
     * does as this process goes. Jobs that are under way go with it. */
    vh_cleanup_close(&in->port);
    vh_session_free(&in->session);
    vh_cleanup_close(&in->uevents);
    vh_cleanup_close(&in->signals);
    vh_cleanup_close(&in->epoll);
    if (in->jobs.running > 0)
        (void)vh_take(in); /* theirs until the process has ended, which it does now */
    return error;
}

static void usage(FILE *out)
{
    fputs("Usage: vhint-injector [OPTION]...\n"
          "Loads the BPF programs that the host sends over a virtio port, and sends their hints "
          "back.\n\n"
          "  --port NAME       wait for this virtio port (default " VH_PORT_NAME ")\n"
          "  --port-path PATH  use this device or listening UNIX socket instead of a port\n"
          "  --verbose         say what happens, on standard error\n"
          "  --version         print the version and exit\n"
          "  --help            print this help and exit\n",
          out);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"port", required_argument, NULL, 'n'}, {"port-path", required_argument, NULL, 'p'},
        {"verbose", no_argument, NULL, 'v'},    {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},       {0},
    };
    struct vh_options options = {.port_name = VH_PORT_NAME};
    int option;
    int error;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'n':
            options.port_name = optarg;
            break;
        case 'p':
            options.port_path = optarg;
            break;
        case 'v':
            options.verbose = true;
            break;
        case 'V':
            puts("vhint-injector " VH_VERSION);
            return EX_OK;
        case 'h':
            usage(stdout);
            return EX_OK;
        default:
            usage(stderr);
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        vh_say("unexpected argument %s; try --help", argv[optind]);
        return EX_USAGE;
    }
    error = run(&options);
    if (error && error != -EBUSY)
        vh_say("ended: %s", strerror(-error));
    if (error == -EBUSY)
        return EX_TEMPFAIL;
    return error ? EX_OSERR : EX_OK;
}
