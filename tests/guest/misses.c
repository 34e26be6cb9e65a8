/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel itself counts of all BPF programs, for tests to compare with what is told of
 * them. One line for each program, link of a kprobe, and variable section of 8 bytes:
 *
 *     prog ID NAME RUNS MISSED     runs only while kernel.bpf_stats_enabled is 1
 *     link PROG_ID MISSED
 *     bss NAME VALUE */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From 6.7 on. */
struct link_info {
    uint32_t type, id, prog_id, gap;
    uint32_t what, gap2;
    uint64_t func_name;
    uint32_t name_len, offset;
    uint64_t addr, missed;
};

static int call(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* A descriptor of the object after *id, whose id is put there; -1: there is none. */
static int next(int next_command, int open_command, uint32_t *id)
{
    for (;;) {
        union bpf_attr attr = {.start_id = *id};
        union bpf_attr by_id = {0};
        int fd;

        if (call(next_command, &attr))
            return -1;
        *id = by_id.prog_id = attr.next_id;
        fd = call(open_command, &by_id);
        if (fd >= 0 || errno != ENOENT) /* gone meanwhile */
            return fd;
    }
}

static int info_of(int fd, void *info, uint32_t size)
{
    union bpf_attr attr = {
        .info = {.bpf_fd = (uint32_t)fd, .info_len = size, .info = (uintptr_t)info}};

    return call(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

static void tell_programs(void)
{
    uint32_t id = 0;
    int fd;

    while ((fd = next(BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, &id)) >= 0) {
        struct bpf_prog_info info = {0};

        if (info_of(fd, &info, sizeof(info)) == 0)
            printf("prog %u %s %llu %llu\n", id, info.name[0] ? info.name : "-",
                   (unsigned long long)info.run_cnt, (unsigned long long)info.recursion_misses);
        close(fd);
    }
}

static void tell_links(void)
{
    uint32_t id = 0;
    int fd;

    while ((fd = next(BPF_LINK_GET_NEXT_ID, BPF_LINK_GET_FD_BY_ID, &id)) >= 0) {
        struct link_info info = {0};

        if (info_of(fd, &info, sizeof(info)) == 0 && info.type == 7 &&
            (info.what == 3 || info.what == 4))
            printf("link %u %llu\n", info.prog_id, (unsigned long long)info.missed);
        close(fd);
    }
}

static void tell_variables(void)
{
    uint32_t id = 0;
    int fd;

    while ((fd = next(BPF_MAP_GET_NEXT_ID, BPF_MAP_GET_FD_BY_ID, &id)) >= 0) {
        struct bpf_map_info info = {0};
        uint32_t key = 0;
        uint64_t value;
        union bpf_attr attr = {
            .map_fd = (uint32_t)fd, .key = (uintptr_t)&key, .value = (uintptr_t)&value};

        if (info_of(fd, &info, sizeof(info)) == 0 && strstr(info.name, ".bss") &&
            info.value_size == sizeof(value) && call(BPF_MAP_LOOKUP_ELEM, &attr) == 0)
            printf("bss %s %llu\n", info.name, (unsigned long long)value);
        close(fd);
    }
}

int main(void)
{
    tell_programs();
    tell_links();
    tell_variables();
    return 0;
}
