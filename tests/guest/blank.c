/* SPDX-License-Identifier: GPL-2.0-or-later */
/* blank: has the kernel clear nearly all memory that is free. What it once held would be saved with the guest. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define LEFT 16 /* a part in so many, for those who want some meanwhile */

int main(void)
{
    struct sysinfo info;
    size_t left = 0;
    size_t bytes = 0;

    if (sysinfo(&info) == 0) {
        left = info.totalram * info.mem_unit / LEFT;
        bytes = info.freeram * info.mem_unit;
    }
    if (bytes > left && mmap(NULL, bytes - left, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED) {
        perror("blank");
        return 1;
    }
    return 0;
}
