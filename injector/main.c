/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vhint-injector: waits for the host on a port, loads the BPF programs it sends, relays their hints.
 *
 * One loop: bytes from the port go into the session (session.h), which calls the set of programs; hints from the
 * rings and the session's answers go out. Everything is edge-triggered and nothing has a timer, so that an idle
 * guest sees no wake-up of ours. After each event serve() runs until nothing moves any more. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sysexits.h>
#include <time.h>

#include "cleanup.h"
#include "cpus.h"
#include "port.h"
#include "programs.h"
#include "session.h"
#include "uevent.h"

#define READ_SIZE 65536u
#define ROUNDS 64 /* of serve(), before other events get a look */

enum source { SOURCE_PORT, SOURCE_UEVENT, SOURCE_SIGNAL, SOURCE_RING };

struct options {
    const char *port_name;
    const char *port_path; /* NULL: find port_name in sysfs */
    bool verbose;
};

struct injector {
    struct options options;
    int epoll;
    int uevents;
    int signals;
    int port;      /* -1: there is none yet */
    bool host;     /* its end is open */
    bool readable; /* the port may have bytes for us */
    bool gone;     /* a test's socket was closed by its other side, or a signal came */
    uint32_t in_at;
    uint32_t in_len;
    uint8_t in[READ_SIZE];
    struct vh_cpu_map cpus;
    struct vh_programs_set programs;
    struct vh_session session;
};

static __attribute__((format(printf, 1, 2))) void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("vhint-injector: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---- what the session asks for ---- */

static void on_opened(void *context)
{
    struct injector *in = context;

    if (in->options.verbose)
        say("a session begins");
    vh_programs_discard(&in->programs);
}

static int on_load(void *context, const struct vh_transfer *transfer, struct vh_reply *reply)
{
    struct injector *in = context;
    int error = vh_programs_load(&in->programs, transfer, reply);

    if (error)
        say("program refused: %s", reply->text);
    else if (in->options.verbose)
        say("program %s runs as number %u", transfer->load.name, reply->program);
    return error;
}

static void on_loaded(void *context, uint32_t program)
{
    struct injector *in = context;
    struct vh_running *running = vh_programs_find(&in->programs, program);
    int error = running ? vh_loaded_iterate(&running->loaded) : 0;

    if (!error)
        return;
    say("%s: its iterator failed: %s", running->name, strerror(-error));
    running->dropped++; /* so that the host asks for a snapshot */
}

static int on_unload(void *context, const char *name, struct vh_reply *reply)
{
    struct injector *in = context;

    return vh_programs_unload(&in->programs, name, reply);
}

static uint32_t on_programs(void *context, struct vh_program programs[VH_PROGRAMS_MAX])
{
    const struct injector *in = context;

    return vh_programs_list(&in->programs, programs);
}

static uint32_t on_cpus(void *context, struct vh_cpu cpus[VH_CPUS_MAX])
{
    const struct injector *in = context;

    return vh_cpus_list(&in->cpus, cpus);
}

static int on_facts(void *context, uint32_t program, struct vh_facts *facts)
{
    struct injector *in = context;
    struct vh_running *running = vh_programs_find(&in->programs, program);

    return running ? vh_snapshot(running, &in->session, facts) : -ENOENT;
}

static uint64_t on_now(void *context)
{
    struct timespec now;

    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const struct vh_session_ops session_ops = {
    .opened = on_opened,
    .load = on_load,
    .loaded = on_loaded,
    .unload = on_unload,
    .programs = on_programs,
    .cpus = on_cpus,
    .facts = on_facts,
    .now = on_now,
};

/* ---- the port ---- */

static uint64_t random_number(void)
{
    uint64_t number = 0;

    /* Only to differ from other sessions: an early boot's poor randomness is good enough, waiting is not. */
    if (getrandom(&number, sizeof(number), GRND_INSECURE) != sizeof(number))
        number = on_now(NULL) ^ (uint64_t)getpid() << 48;
    return number ? number : 1;
}

static int watch(struct injector *in, int fd, uint32_t events, enum source source)
{
    struct epoll_event event = {.events = events, .data.u64 = source};

    return epoll_ctl(in->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Opens the port if it is there. 0 also when it is not: a uevent will tell. */
static int port_look(struct injector *in)
{
    const struct options *o = &in->options;
    vh_autoclose int fd = -1;
    int error;

    if (in->port >= 0)
        return 0;
    fd = o->port_path ? vh_port_open(o->port_path) : vh_port_find(o->port_name);
    if (fd == -ENODEV && !o->port_path) {
        if (o->verbose)
            say("no virtio port is called %s yet, waiting for one", o->port_name);
        return 0;
    }
    if (fd == -EBUSY)
        say("port %s is open in another process: does another vhint-injector run? Stop it first",
            o->port_path ? o->port_path : o->port_name);
    else if (fd < 0)
        say("port %s cannot be opened: %s", o->port_path ? o->port_path : o->port_name, strerror(-fd));
    if (fd < 0)
        return fd;
    error = watch(in, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, SOURCE_PORT);
    if (error)
        return error;
    in->port = vh_take_fd(&fd);
    return 0;
}

static void host_closed(struct injector *in)
{
    if (in->host && in->options.verbose)
        say("the host has closed the channel");
    in->host = false;
    in->readable = false;
    in->in_len = 0;
    vh_session_close(&in->session);
}

/* The port failed or was unplugged; a path that was given is not waited for. */
static void port_lost(struct injector *in, int error)
{
    host_closed(in);
    say("the port has gone: %s", error ? strerror(-error) : "closed by the other side");
    close(in->port);
    in->port = -1;
    in->gone |= in->options.port_path != NULL;
}

/* Throws away what a host left behind that has closed its end. */
static void port_discard(struct injector *in)
{
    ssize_t got;

    do {
        got = read(in->port, in->in, sizeof(in->in));
    } while (got > 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        port_lost(in, -errno);
    else if (got == 0 && in->options.port_path) {
        struct stat node;

        if (fstat(in->port, &node) == 0 && S_ISSOCK(node.st_mode))
            port_lost(in, 0);
    }
}

static void on_port(struct injector *in, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
        host_closed(in);
        port_discard(in);
        return;
    }
    in->readable |= (events & EPOLLIN) != 0;
    if (in->host)
        return;
    in->host = true;
    vh_session_open(&in->session, random_number());
}

/* Reads and handles until nothing is left, or the answers fill the way out. */
static void take_input(struct injector *in)
{
    for (;;) {
        ssize_t got;

        if (in->in_len > 0) {
            size_t taken = vh_session_input(&in->session, in->in + in->in_at, in->in_len);

            in->in_at += (uint32_t)taken;
            in->in_len -= (uint32_t)taken;
            if (in->in_len > 0)
                return;
        }
        if (!in->readable)
            return;
        got = read(in->port, in->in, sizeof(in->in));
        if (got <= 0) {
            in->readable = got < 0 && errno == EINTR;
            if (got < 0 && errno != EAGAIN && errno != EINTR)
                port_lost(in, -errno);
            if (!in->readable)
                return;
            continue;
        }
        in->in_at = 0;
        in->in_len = (uint32_t)got;
    }
}

/* Writes what the port takes; true when that was anything. */
static bool flush(struct injector *in)
{
    bool any = false;

    while (in->host) {
        size_t len;
        const uint8_t *bytes = vh_out_waiting(&in->session.out, &len);
        ssize_t written = len > 0 ? write(in->port, bytes, len) : 0;

        if (written > 0) {
            vh_out_written(&in->session.out, (size_t)written);
            any = true;
        } else if (written == 0 || errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            port_lost(in, -errno);
        }
    }
    return any;
}

/* One round of the pipeline; true when it moved something, so that another may. */
static bool serve(struct injector *in)
{
    bool moved;

    if (in->host)
        take_input(in);
    vh_session_pump(&in->session);
    vh_programs_relay(&in->programs, &in->session);
    moved = flush(in);
    vh_programs_account(&in->programs);
    return moved;
}

/* ---- other events ---- */

static int on_uevent(struct injector *in)
{
    struct vh_uevents events = {0};
    int error = vh_uevent_read(in->uevents, &events);

    if (error == 0 && events.ports)
        error = port_look(in);
    if (error == 0 && events.cpus && vh_cpus_read(&in->cpus, "/sys", "/proc") == 0)
        vh_session_send_cpus(&in->session);
    return error;
}

static int on_event(struct injector *in, const struct epoll_event *event)
{
    switch ((enum source)event->data.u64) {
    case SOURCE_PORT:
        if (in->port >= 0)
            on_port(in, event->events);
        return 0;
    case SOURCE_UEVENT:
        return on_uevent(in);
    case SOURCE_SIGNAL:
        in->gone = true;
        return 0;
    case SOURCE_RING:
        return 0; /* serve() looks into every ring */
    }
    return 0;
}

static int loop(struct injector *in)
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
        while (rounds < ROUNDS && serve(in))
            rounds++;
        timeout = rounds == ROUNDS ? 0 : -1;
    }
    return error;
}

/* ---- start and end ---- */

/* /proc/sys/kernel/random/boot_id, a UUID in hexadecimal. */
static void read_boot_id(uint8_t id[16])
{
    vh_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[64] = "";
    size_t digits = 0;

    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        return;
    for (const char *at = text; *at && digits < 32; at++) {
        unsigned int value;
        char digit[2] = {*at, 0};

        if (sscanf(digit, "%1x", &value) != 1)
            continue;
        id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | value);
        digits++;
    }
}

static struct vh_hello describe_self(void)
{
    struct vh_hello hello = {.agent = "vhint-injector " VH_VERSION};
    struct utsname name;

    read_boot_id(hello.boot_id);
    if (uname(&name) == 0)
        snprintf(hello.release, sizeof(hello.release), "%.63s", name.release);
    return hello;
}

static int start_signals(struct injector *in)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return -errno;
    in->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return in->signals < 0 ? -errno : watch(in, in->signals, EPOLLIN, SOURCE_SIGNAL);
}

static int start(struct injector *in)
{
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    struct vh_hello self = describe_self();
    int error;

    setrlimit(RLIMIT_MEMLOCK, &unlimited); /* before Linux 5.11 BPF memory counts against it */
    setpriority(PRIO_PROCESS, 0, -20);     /* a busy guest is the one whose hints matter, and whose rings fill */
    error = vh_cpus_read(&in->cpus, "/sys", "/proc");
    if (error)
        say("the CPU map cannot be read: %s; are /proc and /sys mounted?", strerror(-error));
    if (error == 0)
        error = start_signals(in);
    if (error)
        return error;
    in->uevents = vh_uevent_open();
    error = in->uevents < 0 ? in->uevents : watch(in, in->uevents, EPOLLIN, SOURCE_UEVENT);
    if (error) {
        say("the kernel's uevents cannot be watched: %s", strerror(-error));
        return error;
    }
    vh_programs_init(&in->programs, in->epoll, SOURCE_RING, in->cpus.possible);
    error = vh_session_init(&in->session, &self, &session_ops, in);
    return error ? error : port_look(in);
}

static int run(const struct options *options)
{
    vh_autofree struct injector *in = calloc(1, sizeof(*in));
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
    vh_programs_free(&in->programs);
    vh_session_free(&in->session);
    vh_cleanup_close(&in->port);
    vh_cleanup_close(&in->uevents);
    vh_cleanup_close(&in->signals);
    vh_cleanup_close(&in->epoll);
    return error;
}

static void usage(FILE *out)
{
    fputs("Usage: vhint-injector [OPTION]...\n"
          "Loads the BPF programs that the host sends over a virtio port, and relays their hints.\n\n"
          "  --port NAME       virtio port to wait for (default " VH_PORT_NAME ")\n"
          "  --port-path PATH  device, or listening UNIX socket, to use instead\n"
          "  --verbose         tell what happens, on standard error\n"
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
    struct options options = {.port_name = VH_PORT_NAME};
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
        say("unexpected argument %s; try --help", argv[optind]);
        return EX_USAGE;
    }
    error = run(&options);
    if (error && error != -EBUSY)
        say("ended: %s", strerror(-error));
    return error == -EBUSY ? EX_TEMPFAIL : error ? EX_OSERR : EX_OK;
}
