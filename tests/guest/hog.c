/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hog MIB: takes that much memory and writes to every page of it, over and over, until it is
 * killed. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    size_t bytes = argc == 2 ? strtoul(argv[1], NULL, 10) << 20 : 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = MAP_FAILED;

    if (bytes)
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "usage: hog MIB\n");
        return 2;
    }
    for (unsigned round = 0;; round++) {
        for (size_t at = 0; at < bytes; at += page)
            *(volatile unsigned *)(void *)(memory + at) = round + (unsigned)at;
        usleep(300000); /* what it holds is what matters, not how often it says so */
    }
}
