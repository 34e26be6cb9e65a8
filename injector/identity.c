// SPDX-License-Identifier: GPL-2.0-or-later
// Finds out who this guest is: see identity.h.
#include "identity.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>

#include "cleanup.h"

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

struct vh_hello vh_identity_hello(void)
{
    struct vh_hello hello = {.agent = "vhint-injector " VH_VERSION};
    struct utsname name;

    read_boot_id(hello.boot_id);
    if (uname(&name) == 0)
        snprintf(hello.release, sizeof(hello.release), "%.63s", name.release);
    return hello;
}

static __u64 poor_number(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (__u64)now.tv_sec << 32 ^ (__u64)now.tv_nsec ^ (__u64)getpid() << 48;
}

__u64 vh_identity_number(void)
{
    __u64 number = 0;

    /* Only to differ from other sessions: an early boot's poor randomness is good enough, waiting
     * is not. */
    if (getrandom(&number, sizeof(number), GRND_INSECURE) != sizeof(number))
        number = poor_number();
    return number ? number : 1;
}
