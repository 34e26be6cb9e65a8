// SPDX-License-Identifier: GPL-2.0-or-later
// vhintd: serves the guests of its configuration until it is told to stop.
#include <bpf/libbpf.h>
#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "act/actuate.h"
#include "act/bell.h"
#include "act/memory-left.h"
#include "base/error.h"
#include "config/vhintd.h"
#include "control/control.h"
#include "daemon/confine.h"
#include "io/service.h"
#include "libvirt/loop.h"
#include "manager/manager.h"
#include "metrics/metrics.h"
#include "net/pins.h"
#include "policy/load.h"

#define DEFAULT_CONFIG "/etc/vhint/vhint.conf"
#define EXIT_USAGE 2

static gboolean on_signal(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_CONTINUE;
}

/* Returns how many things are wrong with the configuration and the policy. */
static guint check_all(const char *path)
{
    const struct vh_policy_place place = {.main = path};
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhPolicy) policy = vh_policy_check(&place, problems);

    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        g_ptr_array_add(
            problems,
            g_strdup_printf("%s: no such file: write it, or name another (--config FILE)", path));
    for (guint i = 0; i < problems->len; i++)
        fprintf(stderr, "vhintd: %s\n", (const char *)g_ptr_array_index(problems, i));
    return problems->len;
}

static gboolean on_hangup(gpointer data)
{
    vh_service_reloading();
    vh_manager_reload(data);
    return G_SOURCE_CONTINUE;
}

static int serve(const VhConfig *config, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(VhManager) manager = NULL;
    g_autoptr(VhControl) control = NULL;
    g_autoptr(VhMetrics) metrics = NULL;

    g_unix_signal_add(SIGTERM, on_signal, loop);
    g_unix_signal_add(SIGINT, on_signal, loop);
    manager = vh_manager_new(config, error);
    if (!manager)
        return -1;
    g_unix_signal_add(SIGHUP, on_hangup, manager);
    control = vh_control_new(manager, config->control, error);
    metrics = control && config->metrics
                  ? vh_metrics_new(config->metrics, vh_manager_figures, manager, error)
                  : NULL;
    /* Confined once whatever may need more, or starts a thread that does, is done. */
    if (!control || (config->metrics && !metrics) ||
        vh_confine(vh_manager_has_offloads(manager), error) < 0) {
        /* What a predecessor left is for one that starts. */
        vh_manager_hand_over(manager, "vhintd cannot start");
        return -1;
    }
    fprintf(stderr, "vhintd: ready, %u guest%s, control socket %s\n", config->guests->len,
            config->guests->len == 1 ? "" : "s", config->control);
    vh_service_ready("serving guests");
    g_main_loop_run(loop);
    vh_service_stopping();
    return 0;
}

/* A descriptor is held for each thread under management, and thousands may be: the usual soft
 * limit, 1024, is there for programs that use select(2). Source: setrlimit(2), systemd's
 * file-descriptors document. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        g_warning("cannot raise the limit of open files: %s", g_strerror(errno));
}

/* Puts back all that is noted in the file. 0, or -1 with an error where that could not be done. */
static int restore(const char *path, GError **error)
{
    VhSaved *saved = vh_confine(false, error) < 0 ? NULL : vh_saved_open(path, error);
    /* Of each step the service manager's journal is told, or stderr, if that can be opened: a
     * socket cannot. */
    const char *told = g_getenv("JOURNAL_STREAM") ? "/dev/null" : "/dev/stderr";
    g_autoptr(VhJournal) journal = saved ? vh_journal_new(told, NULL) : NULL;
    guint left = 0;

    if (!saved)
        return -1;
    vh_actuate_free(vh_actuate_new(saved, journal, &vh_actuator_boost), NULL);
    vh_actuate_free(vh_actuate_new(saved, journal, &vh_actuator_pin), NULL);
    left = vh_memory_left_put_back(saved, journal, VH_MEMORY_LEFT_PATIENCE_MS);
    vh_net_pins_remove(path);
    /* What waits for a successor need not any longer. */
    vh_bell_ring(saved);
    vh_saved_close(saved);
    if (left)
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED,
                    "the memory of %u guest%s is not put back yet: the next vhintd does it, or "
                    "this once more",
                    left, left == 1 ? "" : "s");
    return left ? -1 : 0;
}

/* An exit status. */
static int serve_by(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhConfig) config = vh_config_load(path, problems, &error);

    if (config && serve(config, &error) == 0)
        return EXIT_SUCCESS;
    for (guint i = 0; i < problems->len; i++)
        fprintf(stderr, "vhintd: %s\n", (const char *)g_ptr_array_index(problems, i));
    if (!problems->len)
        fprintf(stderr, "vhintd: %s\n", error->message);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    g_autofree char *path = NULL;
    gboolean check = FALSE;
    gboolean version = FALSE;
    g_autofree char *saved = NULL;
    const GOptionEntry options[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &path,
         "use this configuration instead of " DEFAULT_CONFIG, "FILE"},
        {"check", 0, 0, G_OPTION_ARG_NONE, &check,
         "check the configuration, the policy and the programs, say what is wrong, and end", NULL},
        {"restore", 0, 0, G_OPTION_ARG_FILENAME, &saved,
         "put back what an earlier vhintd noted in FILE (run-dir/saved/masks), and end", "FILE"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &version, "print the version and end", NULL},
        {0},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- act on the hints of guests");
    g_autoptr(GError) error = NULL;

    setlocale(LC_MESSAGES, "");
    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
        fprintf(stderr, "vhintd: %s; see vhintd --help\n",
                error ? error->message : "it takes options only");
        return EXIT_USAGE;
    }
    if (version) {
        printf("vhintd %s\n", VH_VERSION);
        return EXIT_SUCCESS;
    }
    raise_descriptors();
    /* A file that may not grow is told as any other that cannot be written. */
    (void)signal(SIGXFSZ, SIG_IGN);
    /* A worker that has nothing to do would wake up once more to end itself. */
    g_thread_pool_set_max_unused_threads(0);
    /* Objects that are no good are reported in our own words. */
    libbpf_set_print(NULL);
    if (sodium_init() < 0) {
        fprintf(stderr, "vhintd: libsodium does not start: is there no source of randomness?\n");
        return EXIT_FAILURE;
    }
    if (!path)
        path = g_strdup(DEFAULT_CONFIG);
    if (check)
        return check_all(path) ? EXIT_FAILURE : EXIT_SUCCESS;
    if (saved) {
        if (restore(saved, &error) == 0)
            return EXIT_SUCCESS;
        fprintf(stderr, "vhintd: %s\n", error->message);
        return EXIT_FAILURE;
    }
    vh_virt_loop_exit(serve_by(path));
}
