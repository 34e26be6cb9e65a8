/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens a virtio-serial port by its name, for the programs that run in test guests (no udev there).
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* The port's descriptor (blocking, close-on-exec) or -errno; -ENODEV when there is no port of that
 * name. */
static inline int port_open(const char *name)
{
    DIR *ports = opendir("/sys/class/virtio-ports");
    int r = -ENODEV;

    for (struct dirent *e = ports ? readdir(ports) : NULL; e && r == -ENODEV; e = readdir(ports)) {
        char path[sizeof("/sys/class/virtio-ports//name") + sizeof(e->d_name)];
        char found[128] = "";
        FILE *f;

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
        f = fopen(path, "re");
        if (f && fgets(found, sizeof(found), f))
            found[strcspn(found, "\n")] = 0;
        if (f)
            fclose(f);
        if (strcmp(found, name) != 0)
            continue;
        snprintf(path, sizeof(path), "/dev/%s", e->d_name);
        r = open(path, O_RDWR | O_CLOEXEC);
        if (r < 0)
            r = -errno;
    }
    if (ports)
        closedir(ports);
    return r;
}
