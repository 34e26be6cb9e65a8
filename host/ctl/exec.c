// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl enable and disable, left to a program of its own: libvirt's client brings more than
// forty libraries, and loading those takes four times as long as all that any other command does.
#include <errno.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define PROGRAM "vhintctl-libvirt"

/* Beside this program, as they are built, or where it is installed. */
static char *program(void)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *directory = self ? g_path_get_dirname(self) : g_strdup(".");
    g_autofree char *beside = g_build_filename(directory, PROGRAM, NULL);

    return g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE)
               ? g_steal_pointer(&beside)
               : g_build_filename(VH_PRIVATE_DIR, PROGRAM, NULL);
}

static int run_program(const struct vh_ctl *ctl, GError **error)
{
    g_autofree char *path = program();

    execv(path, ctl->command_line);
    g_set_error(error, VH_CTL_ERROR, VH_EXIT_REFUSED,
                "cannot run %s, which speaks with libvirt: %s", path, g_strerror(errno));
    return -1;
}

int vh_ctl_enable(struct vh_ctl *ctl, GError **error)
{
    return run_program(ctl, error);
}

int vh_ctl_disable(struct vh_ctl *ctl, GError **error)
{
    return run_program(ctl, error);
}
