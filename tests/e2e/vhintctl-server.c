/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs vhintctl's main() again and again in one process: what a test asks some thousand times is
 * answered for a tenth of what it takes to start a program.
 *
 * stdin: for each run words quoted as for a shell, and a zero byte: where stdout goes, where stderr
 * goes, the arguments. stdout: a line for each run: its exit status. Ends with its stdin. */
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#undef main

int vhintctl_main(int argc, char **argv); /* main() of host/ctl/main.c */

static bool redirect(int fd, const char *path)
{
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool done = to >= 0 && dup2(to, fd) >= 0;

    close(to);
    return done;
}

int main(void)
{
    FILE *answers = fdopen(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), "w");
    char *line = NULL;
    size_t size = 0;

    while (answers && getdelim(&line, &size, 0, stdin) > 0) {
        g_auto(GStrv) words = NULL;
        g_autofree char **argv = NULL; /* main() moves its words, and they are freed here */
        unsigned count;

        if (!g_shell_parse_argv(line, NULL, &words, NULL) || (count = g_strv_length(words)) < 2 ||
            !redirect(STDOUT_FILENO, words[0]) || !redirect(STDERR_FILENO, words[1]))
            return EXIT_FAILURE;
        argv = g_memdup2(words + 1, count * sizeof(*words));
        argv[0] = (char *)"vhintctl";
        int status = vhintctl_main((int)count - 1, argv);
        fflush(stdout);
        fprintf(answers, "%d\n", status);
        fflush(answers);
    }
    free(line);
    return EXIT_SUCCESS;
}
