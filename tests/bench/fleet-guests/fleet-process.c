/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for QEMU's processes: each has idle threads, named as QEMU names vCPUs', and does
 * nothing. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fleet.h"

#define STACK 16384u /* bytes; a thread that only waits needs little */

struct vcpu {
    unsigned index;
    int told;
};

static void *wait_for_ever(void *data)
{
    const struct vcpu *vcpu = data;
    pid_t thread = gettid();
    char name[16];

    snprintf(name, sizeof(name), "CPU %u/TCG", vcpu->index);
    prctl(PR_SET_NAME, name);
    if (write(vcpu->told, &thread, sizeof(thread)) != sizeof(thread))
        _exit(1);
    for (;;)
        pause();
}

static void be_qemu(pid_t parent, int told, unsigned count) G_GNUC_NORETURN;
static void be_qemu(pid_t parent, int told, unsigned count)
{
    pthread_attr_t attributes;
    struct vcpu vcpus[FLEET_VCPUS_MAX];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;

        vcpus[i] = (struct vcpu){i, told};
        if (pthread_create(&thread, &attributes, wait_for_ever, &vcpus[i]))
            _exit(1);
    }
    for (;;)
        pause();
}

/* The threads' names say which vCPU each is; the pipe does not keep their order. */
static unsigned index_of(pid_t thread)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/comm", thread);
    g_autofree char *name = NULL;

    if (!g_file_get_contents(path, &name, NULL, NULL))
        fleet_die(path);
    return (unsigned)g_ascii_strtoull(name + strlen("CPU "), NULL, 10);
}

void fleet_fork(struct fleet *fleet)
{
    pid_t parent = getpid();

    for (unsigned i = 0; i < fleet->count; i++) {
        int told[2];
        pid_t child = -1;

        if (pipe(told) < 0 || (child = fork()) < 0)
            fleet_die("a guest's process");
        if (child == 0)
            be_qemu(parent, told[1], fleet->guests[i].vcpus);
        close(told[1]);
        fleet->guests[i].process = child;
        for (unsigned j = 0; j < fleet->guests[i].vcpus; j++) {
            pid_t thread = 0;

            if (read(told[0], &thread, sizeof(thread)) != sizeof(thread))
                fleet_die("a guest's thread");
            fleet->guests[i].threads[index_of(thread)] = thread;
        }
        close(told[0]);
    }
}
