/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The baseline of the injection benchmark: opens, loads and attaches a BPF object with libbpf
 * alone, as often as asked.
 *
 * usage: vhint-loadtime OBJECT ROUNDS; prints one line of ns for each round. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define LINKS_MAX 64

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A variant is the program NAME___VARIANT; only the first of each NAME is loaded, as the injector
 * does. */
static void choose_variants(struct bpf_object *object)
{
    struct bpf_program *program;
    struct bpf_program *other;

    bpf_object__for_each_program (program, object) {
        const char *name = bpf_program__name(program);
        const char *mark = strstr(name, "___");

        if (!mark)
            continue;
        bpf_object__for_each_program (other, object) {
            const char *earlier = bpf_program__name(other);

            if (other == program)
                break;
            if (strncmp(earlier, name, (size_t)(mark - name) + 3) == 0)
                bpf_program__set_autoload(program, false);
        }
    }
}

static int one_round(const char *path)
{
    struct bpf_link *links[LINKS_MAX];
    struct bpf_program *program;
    struct bpf_object *object;
    uint64_t begin = now_ns();
    int n = 0;

    object = bpf_object__open_file(path, NULL);
    if (!object)
        return -1;
    choose_variants(object);
    if (bpf_object__load(object))
        return -1;
    bpf_object__for_each_program (program, object) {
        if (!bpf_program__autoload(program) || n == LINKS_MAX)
            continue;
        links[n] = bpf_program__attach(program);
        if (!links[n++])
            return -1;
    }
    printf("%llu\n", (unsigned long long)(now_ns() - begin));
    fflush(stdout);
    while (n > 0)
        bpf_link__destroy(links[--n]);
    bpf_object__close(object);
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

    if (argc != 3) {
        fprintf(stderr, "usage: vhint-loadtime OBJECT ROUNDS\n");
        return 2;
    }
    libbpf_set_print(NULL);
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
    for (long round = atol(argv[2]); round > 0; round--) {
        if (one_round(argv[1])) {
            perror("vhint-loadtime");
            return 1;
        }
    }
    return 0;
}
