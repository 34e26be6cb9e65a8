/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pin actuator against a real cpuset of cgroups v2, which the test's host may not have: this
 * runs in a guest.
 *
 * usage: cpuset; needs root and two CPUs. Prints what each step gives, one line each; 0 when all is
 * as it should be. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/actuator.h"
#include "base/error.h"
#include "machine/tid.h"

#define ROOT "/sys/fs/cgroup"

static int failures;

/* The daemon's registers the codes with D-Bus, which is not needed here. */
GQuark vh_error_quark(void)
{
    return g_quark_from_static_string("vh-error");
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);

    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        printf("%s: %s\n", path, strerror(errno));
        exit(2);
    }
    close(fd);
}

static void make_group(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST) {
        printf("%s: %s\n", path, strerror(errno));
        exit(2);
    }
}

/* `text` NULL: the pin is to succeed; else it is refused with that text. */
static void pin(VhSaved *saved, pid_t thread, unsigned cpu, const char *what, const char *text)
{
    struct vh_target target = {.key = {"guest", VH_TARGET_VCPU, 0}};
    union vh_setting setting = {{{0}}};
    g_autoptr(GError) error = NULL;
    VhHold *hold = NULL;
    int result = -1;
    bool right = false;

    vh_cpuset_add(&setting.cpus, cpu);
    if (vh_tid_identify("/proc", vh_tid_process(thread), thread, &target.on) == 0)
        hold = vh_actuator_pin.probe(saved, &target, &error);
    if (hold)
        result = vh_actuator_pin.apply(hold, &setting, &error);
    right = text ? g_error_matches(error, VH_ERROR, VH_ERROR_REFUSED) &&
                       strstr(error->message, text) != NULL
                 : result == 0;
    printf("%s: %s: %s\n", right ? "right" : "WRONG", what, error ? error->message : "pinned");
    failures += !right;
    if (hold) {
        vh_actuator_pin.revert(hold, NULL);
        vh_actuator_pin.forget(hold);
    }
}

int main(void)
{
    g_autoptr(GError) error = NULL;
    VhSaved *saved = vh_saved_open("/tmp/masks", &error);
    pid_t child = fork();
    g_autofree char *number = g_strdup_printf("%d", child);

    if (child == 0)
        for (;;)
            pause();
    if (!saved || child < 0) {
        printf("%s\n", error ? error->message : strerror(errno));
        return 2;
    }
    make_group(ROOT "/outer");
    put(ROOT "/outer/cpuset.cpus", "0");
    make_group(ROOT "/outer/inner");
    put(ROOT "/outer/inner/cgroup.procs", number);
    /* The inner group has no cpuset of its own: the one above it holds. */
    pin(saved, child, 0, "inside the group above", NULL);
    pin(saved, child, 1, "outside the group above",
        "its control group /outer/inner allows host CPUs 0 only, not 1");
    put(ROOT "/outer/cpuset.cpus", "0-1");
    pin(saved, child, 1, "once it is widened", NULL);
    put(ROOT "/outer/cgroup.subtree_control", "+cpuset");
    put(ROOT "/outer/inner/cpuset.cpus", "1");
    pin(saved, child, 0, "outside its own group",
        "its control group /outer/inner allows host CPUs 1 only, not 0");
    pin(saved, child, 1, "inside its own group", NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    rmdir(ROOT "/outer/inner");
    rmdir(ROOT "/outer");
    vh_saved_close(saved);
    return failures ? 1 : 0;
}
