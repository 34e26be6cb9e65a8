/* SPDX-License-Identifier: GPL-2.0-or-later */
/* blank: has the kernel clear most of the memory that is free. What it once held would be saved
 * with the guest. */
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define STEP (1ul << 20) /* bytes at once */
#define LEFT 12          /* a part of all memory in so many, for those who want some meanwhile */

static bool is_plenty(void)
{
    struct sysinfo info;

    return sysinfo(&info) == 0 && info.freeram > info.totalram / LEFT;
}

int main(void)
{
    while (is_plenty()) {
        if (mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
                 0) == MAP_FAILED) {
            perror("blank");
            return 1;
        }
    }
    return 0;
}
