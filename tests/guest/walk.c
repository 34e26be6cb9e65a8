/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints what /proc says of user tasks whose mask lacks a CPU: one line "TID MASK" each, sorted by
 * thread id, the mask in hexadecimal. Kernel threads, zombies and dead tasks are left out. */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PF_KTHREAD 0x00200000u
#define CPUS_MAX 8192

struct task {
    int tid;
    char mask[CPUS_MAX / 4 + 1];
};

static int possible_cpus(void)
{
    FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
    int first = 0;
    int last = 0;
    int got = file ? fscanf(file, "%d-%d", &first, &last) : 0;

    if (file)
        fclose(file);
    return got == 2 ? last + 1 : 1;
}

/* Field 9 of /proc/.../stat, after the name, which may hold anything. */
static bool is_kernel_thread(const char *directory)
{
    char path[640];
    char text[1024];
    const char *name_end;
    unsigned int flags = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/stat", directory);
    file = fopen(path, "r");
    if (!file)
        return true;
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    name_end = strrchr(text, ')');
    return !name_end || sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1 ||
           (flags & PF_KTHREAD);
}

/* "ff,ffffffff" without commas and leading zeros. */
static void copy_mask(char *mask, const char *text)
{
    size_t len = 0;

    for (; isxdigit((unsigned char)*text) || *text == ','; text++) {
        if (*text != ',' && (len > 0 || *text != '0') && len < CPUS_MAX / 4)
            mask[len++] = *text;
    }
    mask[len] = 0;
}

/* Has the mask all of the CPUs 0 to `cpus` - 1? */
static bool is_full(const char *mask, int cpus)
{
    size_t len = strlen(mask);

    for (int cpu = 0; cpu < cpus; cpu++) {
        size_t digit = (size_t)cpu / 4;
        char text[2] = {digit < len ? mask[len - 1 - digit] : '0', 0};

        if (!(strtoul(text, NULL, 16) >> (cpu % 4) & 1))
            return false;
    }
    return true;
}

/* True when the task lives; its mask then. */
static bool read_status(const char *directory, char *mask)
{
    char path[640];
    char line[4096];
    char state = 'X';
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "%s/status", directory);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "State:", 6) == 0)
            sscanf(line + 6, " %c", &state);
        if (strncmp(line, "Cpus_allowed:", 13) == 0) {
            copy_mask(mask, line + 13 + strspn(line + 13, "\t "));
            found = true;
        }
    }
    if (file)
        fclose(file);
    return found && state != 'Z' && state != 'X';
}

static int by_tid(const void *a, const void *b)
{
    return ((const struct task *)a)->tid - ((const struct task *)b)->tid;
}

int main(void)
{
    DIR *proc = opendir("/proc");
    struct task *tasks = NULL;
    size_t count = 0;
    int cpus = possible_cpus();
    struct dirent *process;

    while (proc && (process = readdir(proc))) {
        char path[300];
        struct dirent *thread;
        DIR *threads;

        snprintf(path, sizeof(path), "/proc/%s/task", process->d_name);
        threads = isdigit((unsigned char)process->d_name[0]) ? opendir(path) : NULL;
        while (threads && (thread = readdir(threads))) {
            char directory[600];
            struct task task = {.tid = atoi(thread->d_name)};

            snprintf(directory, sizeof(directory), "%s/%s", path, thread->d_name);
            if (task.tid == 0 || is_kernel_thread(directory) ||
                !read_status(directory, task.mask) || is_full(task.mask, cpus))
                continue;
            tasks = realloc(tasks, (count + 1) * sizeof(*tasks));
            if (!tasks)
                return 1;
            tasks[count++] = task;
        }
        if (threads)
            closedir(threads);
    }
    if (!proc)
        return 1;
    closedir(proc);
    if (count > 0)
        qsort(tasks, count, sizeof(*tasks), by_tid);
    for (size_t i = 0; i < count; i++)
        printf("%d %s\n", tasks[i].tid, tasks[i].mask[0] ? tasks[i].mask : "0");
    free(tasks);
    return 0;
}
