// SPDX-License-Identifier: GPL-2.0-or-later
// Finds and opens the channel: see port.h.
#include "port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "cleanup.h"

#define PORTS "/sys/class/virtio-ports"

static void cleanup_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Reads PORTS/PORT/ATTRIBUTE, one line. */
static int read_attribute(const char *port, const char *attribute, char *text, size_t size)
{
    char path[512];
    vh_autoclose int fd = -1;
    ssize_t got;

    snprintf(path, sizeof(path), PORTS "/%s/%s", port, attribute);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    got = read(fd, text, size - 1);
    if (got < 0)
        return -errno;
    text[got] = 0;
    text[strcspn(text, "\n")] = 0;
    return 0;
}

static int open_node(const char *path)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? -errno : fd;
}

/* A node of our own, in the first directory that takes one; it goes once it is open. */
static int open_private_node(dev_t device)
{
    static const char *const directories[] = {"/dev", "/run", "/tmp"};
    int error = -ENOENT;

    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "%s/.vhint-port.%d", directories[i], (int)getpid());
        unlink(path);
        if (mknod(path, S_IFCHR | 0600, device)) {
            error = -errno;
            continue;
        }
        fd = open_node(path);
        unlink(path);
        if (fd != -EACCES) /* that is a directory mounted nodev */
            return fd;
        error = fd;
    }
    return error;
}

static int open_device(const char *port)
{
    unsigned int major_number;
    unsigned int minor_number;
    struct stat node;
    char text[64];
    char path[300];
    dev_t device;
    int error = read_attribute(port, "dev", text, sizeof(text));

    if (error)
        return error;
    if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
        return -EBADMSG;
    device = makedev(major_number, minor_number);
    snprintf(path, sizeof(path), "/dev/%s", port);
    if (stat(path, &node) == 0 && S_ISCHR(node.st_mode) && node.st_rdev == device)
        return open_node(path);
    return open_private_node(device);
}

int vh_port_find(const char *name)
{
    __attribute__((cleanup(cleanup_dir))) DIR *dir = opendir(PORTS);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char found[256];

        if (entry->d_name[0] != '.' &&
            read_attribute(entry->d_name, "name", found, sizeof(found)) == 0 &&
            strcmp(found, name) == 0)
            return open_device(entry->d_name);
    }
    return -ENODEV;
}

static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    vh_autoclose int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
        return -errno;
    return vh_take_fd(&fd);
}

int vh_port_open(const char *path)
{
    struct stat node;

    if (stat(path, &node))
        return -errno;
    return S_ISSOCK(node.st_mode) ? connect_socket(path) : open_node(path);
}
