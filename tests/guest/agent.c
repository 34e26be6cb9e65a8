/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs shell commands in a test guest for the host, over port org.vhint.test; tests/e2e/vhtest.py
 * is the other end.
 *
 * Both ways a message is a header (little-endian) and `len` bytes. The host sends RUN with a number
 * of its choice and a command for `sh -c`; the answers repeat the number: STARTED says the process
 * id, DONE its exit status (128
 * + n after signal n) and what it wrote to stdout and stderr. Any number of commands run side by
 * side. A RUN with an empty command makes the agent return, and the guest powers off. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ports.h"

enum { RUN = 1, STARTED = 2, DONE = 3, CLOCK = 4 };

struct header {
    uint32_t type;
    uint32_t id;
    int32_t value; /* STARTED: process id; DONE: exit status */
    uint32_t len;
};

#define COMMANDS_MAX 256
#define OUTPUT_MAX (4u << 20) /* bytes kept of one command's output */

struct command {
    pid_t pid; /* 0: this slot is free */
    uint32_t id;
    int out;
    char *output;
    size_t len;
};

static struct command commands[COMMANDS_MAX];

static void send_bytes(int port, const void *data, size_t len)
{
    while (len) {
        ssize_t n = write(port, data, len);

        if (n <= 0) {
            usleep(5000); /* the host is away or slow */
            continue;
        }
        data = (const char *)data + n;
        len -= (size_t)n;
    }
}

static void answer(int port, uint32_t type, uint32_t id, int32_t value, const char *data,
                   size_t len)
{
    struct header header = {.type = type, .id = id, .value = value, .len = (uint32_t)len};

    send_bytes(port, &header, sizeof(header));
    send_bytes(port, data, len);
}

static void start(int port, uint32_t id, const char *text)
{
    struct command *command = NULL;
    sigset_t none;
    int out[2];

    for (int i = 0; i < COMMANDS_MAX && !command; i++)
        if (!commands[i].pid)
            command = &commands[i];
    if (!command || pipe2(out, O_CLOEXEC)) {
        answer(port, DONE, id, 126, "agent: too many commands\n", 25);
        return;
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    *command = (struct command){.id = id, .out = out[0]};
    command->pid = fork();
    if (command->pid == 0) {
        int null = open("/dev/null", O_RDONLY);

        dup2(null, 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        execl("/bin/sh", "sh", "-c", text, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    if (command->pid < 0) {
        close(out[0]);
        command->pid = 0;
        answer(port, DONE, id, 126, "agent: cannot fork\n", 19);
        return;
    }
    answer(port, STARTED, id, command->pid, NULL, 0);
}

/* Takes what the command has written so far; what exceeds OUTPUT_MAX is dropped. */
static void collect(struct command *command)
{
    char chunk[4096];

    for (ssize_t n; command->out >= 0 && (n = read(command->out, chunk, sizeof(chunk))) != -1;) {
        char *grown;

        if (n == 0) {
            close(command->out);
            command->out = -1;
            return;
        }
        if (command->len + (size_t)n > OUTPUT_MAX)
            continue;
        grown = realloc(command->output, command->len + (size_t)n);
        if (!grown)
            continue;
        command->output = grown;
        memcpy(grown + command->len, chunk, (size_t)n);
        command->len += (size_t)n;
    }
}

static void reap(int port)
{
    int status;

    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (int i = 0; i < COMMANDS_MAX; i++) {
            struct command *command = &commands[i];

            if (command->pid != pid)
                continue;
            collect(command);
            answer(port, DONE, command->id,
                   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                   command->output, command->len);
            if (command->out >= 0)
                close(command->out);
            free(command->output);
            *command = (struct command){0};
        }
    }
}

/* Blocks until all of `len` bytes are there. */
static void receive_bytes(int port, void *data, size_t len)
{
    while (len) {
        ssize_t n = read(port, data, len);

        if (n <= 0) {
            usleep(5000);
            continue;
        }
        data = (char *)data + n;
        len -= (size_t)n;
    }
}

/* False when the host asked the agent to end. */
static bool receive(int port)
{
    struct header header;
    struct timespec now;
    uint64_t ns;
    char *text;

    receive_bytes(port, &header, sizeof(header));
    if (header.type == CLOCK && header.len == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        answer(port, CLOCK, header.id, 0, (const char *)&ns, sizeof(ns));
        return true;
    }
    text = calloc(1, (size_t)header.len + 1);
    if (header.type != RUN || !text) {
        fprintf(stderr, "agent: a message of type %u and %u bytes\n", header.type, header.len);
        exit(1);
    }
    receive_bytes(port, text, header.len);
    if (header.len)
        start(port, header.id, text);
    free(text);
    return header.len;
}

int main(void)
{
    struct pollfd polls[COMMANDS_MAX + 2];
    int port;
    sigset_t signals;
    int children;

    while ((port = port_open("org.vhint.test")) < 0)
        usleep(20000);
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    children = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);

    for (;;) {
        struct signalfd_siginfo info;

        polls[0] = (struct pollfd){.fd = port, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = children, .events = POLLIN};
        for (int i = 0; i < COMMANDS_MAX; i++)
            polls[i + 2] =
                (struct pollfd){.fd = commands[i].pid ? commands[i].out : -1, .events = POLLIN};
        if (poll(polls, COMMANDS_MAX + 2, -1) < 0)
            continue;
        for (int i = 0; i < COMMANDS_MAX; i++)
            if (polls[i + 2].revents)
                collect(&commands[i]);
        if (polls[1].revents) {
            while (read(children, &info, sizeof(info)) > 0)
                ;
            reap(port);
        }
        if (polls[0].revents & POLLIN) {
            if (!receive(port))
                return 0;
        } else if (polls[0].revents) {
            usleep(20000); /* POLLHUP: the host is not there */
        }
    }
}
