// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl: asks a running vhintd what it does, and tells it what to do.
#include "ctl/ctl.h"
#include "offload.h"

#include <locale.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/bus.h"
#include "base/nearest.h"

/* Every command; usage and help are printed from here. */
static const struct command {
    const char *name;
    const char *args;
    const char *options; /* those of its own, by long name, each between spaces */
    int min, max;        /* number of arguments */
    int (*run)(struct vh_ctl *ctl, GError **error);
    const char *help;
} commands[] = {
    {"status", "[GUEST]", "", 0, 1, vh_ctl_status,
     "show the daemon and each guest's vCPUs: where they may run, and why"},
    {"guests", "", "", 0, 0, vh_ctl_guests, "list the guests"},
    {"why", "GUEST", "", 1, 1, vh_ctl_why,
     "show each action for a guest: its hint, rule and limits, what it replaced, and since when"},
    {"map", "", " topology svg policy replay program-dir vcpus ", 0, 0, vh_ctl_map,
     "draw the host's sockets, caches and cores, and what is placed where, or would be"},
    {"plan", "", " policy topology replay steps program-dir vcpus ", 0, 0, vh_ctl_plan,
     "show what a policy would do to the guests that run, or to recorded ones; change nothing"},
    {"top", "", " batch interval ", 0, 0, vh_ctl_top,
     "show the guests' vCPUs live: where they run, how long they wait, and why they are there"},
    {"record", "FILE [GUEST]", " count ", 1, 2, vh_ctl_record,
     "record guests and their hints into FILE for plan --replay, until interrupted"},
#if VH_NET_KINDS
    {"offload", "[GUEST]", "", 0, 1, vh_ctl_offload,
     "show what of a guest's work, or of all guests', the host's kernel does, and whether that "
     "pays"},
#endif
    {"programs", "GUEST", "", 1, 1, vh_ctl_programs, "list a guest's programs"},
    {"inject", "GUEST FILE", " name set replace partial map every ", 2, 2, vh_ctl_inject,
     "load a BPF object into a guest and keep it there until eject"},
    {"eject", "GUEST PROGRAM", "", 2, 2, vh_ctl_eject, "unload an injected program"},
    {"bootstrap", "GUEST", "", 1, 1, vh_ctl_bootstrap,
     "bring the injector into a running guest that lacks it, through its QEMU guest agent"},
    {"hints", "GUEST", "", 1, 1, vh_ctl_hints, "list the facts that hold now"},
    {"watch", "[GUEST]", " count ", 0, 1, vh_ctl_watch,
     "print hints as they come, of one guest or of all"},
    {"release", "[GUEST]", "", 0, 1, vh_ctl_release,
     "undo every action for a guest, or for all, and take none until resume"},
    {"resume", "GUEST", "", 1, 1, vh_ctl_resume, "act for a guest again"},
    {"handover", "", "", 0, 0, vh_ctl_handover,
     "announce a restart of vhintd: pins stay in place, and the next vhintd takes them over"},
    {"enable", "DOMAIN", " profile connect ", 1, 1, vh_ctl_enable,
     "add vhint's channel to a domain of libvirt's (name or UUID), now and for later"},
    {"disable", "DOMAIN", " connect ", 1, 1, vh_ctl_disable,
     "remove from a domain what enable added: the channel and the profile"},
    {"policy", "check [DIR] | show GUEST", " cpus program-dir ", 1, 2, vh_ctl_policy,
     "check the policy files in DIR (/etc/vhint), or show what applies to a guest"},
};

static const char exit_codes[] =
    "Exit codes:\n"
    "  0  done\n"
    "  1  the daemon or the guest refused or failed, or the policy has a mistake\n"
    "  2  the command line, or a file that it names, cannot be used\n"
    "  3  the daemon cannot be reached\n"
    "  4  no such guest or program\n"
    "  5  plan: some wishes cannot be met\n";

/* ---- options ---- */

/* An option, and where in struct vh_ctl its value goes. */
struct option {
    GOptionEntry entry; /* without arg_data */
    gsize offset;
};

#define OPTION(name, letter, type, member, help, value) \
    { \
        {name, letter, 0, G_OPTION_ARG_##type, NULL, help, value}, offsetof(struct vh_ctl, member) \
    }

/* Of every command. */
static const struct option global_options[] = {
    OPTION("socket", 0, FILENAME, socket,
           "the daemon's socket ($VHINT_SOCKET, or " VH_CONTROL_PATH ")", "PATH"),
    OPTION("json", 0, NONE, json, "print one JSON document (watch: one for each hint)", NULL),
    OPTION("help", 'h', NONE, help, "print this help", NULL),
    OPTION("version", 0, NONE, version, "print the version", NULL),
};

/* Each of some commands, which name it in `options`; the last is every command's. */
static const struct option own_options[] = {
    OPTION("name", 0, STRING, name,
           "name of an object that has no manifest (default: its file's name)", "NAME"),
    OPTION("set", 0, STRING_ARRAY, set, "set a tunable; may be repeated", "NAME=VALUE"),
    OPTION("replace", 0, NONE, replace, "replace the program of this name", NULL),
    OPTION("partial", 0, NONE, partial,
           "leave out what the guest's kernel cannot attach, and say so", NULL),
    OPTION("map", 0, STRING_ARRAY, map,
           "size of a map that its own loader would choose; may be repeated", "NAME=ENTRIES"),
    OPTION("every", 0, STRING, every,
           "run programs in SEC(\"perf_event\") so often a second, on each CPU", "HZ"),
    OPTION("cpus", 0, STRING, cpus, "check for a host with these CPUs", "LIST"),
    OPTION("program-dir", 0, FILENAME, program_dir, "use the programs in this directory", "DIR"),
    OPTION("count", 0, INT, count, "stop after N hints", "N"),
    OPTION("profile", 0, STRING, profile, "also note this profile in the domain's metadata",
           "NAME"),
    OPTION("topology", 0, STRING, topology,
           "use a made-up host, described as hwloc does: \"package:2 l3:4 core:8 pu:2\"", "SPEC"),
    OPTION("policy", 0, FILENAME, policy, "use the policy in this directory (/etc/vhint)", "DIR"),
    OPTION("replay", 0, FILENAME, replay, "use the guests and hints of this recording", "FILE"),
    OPTION("steps", 0, NONE, steps, "show what each recorded hint changes", NULL),
    OPTION("batch", 0, NONE, batch, "print once, after half a second, and end", NULL),
    OPTION("interval", 0, DOUBLE, interval, "time between two looks (1)", "SECONDS"),
    OPTION("vcpus", 0, INT, vcpus, "vCPUs of each guest that only the configuration knows (1)",
           "N"),
    OPTION("svg", 0, FILENAME, svg, "draw into this file, as SVG", "FILE"),
    OPTION("connect", 0, STRING, libvirt, "URI of libvirt (" VH_CTL_LIBVIRT ")", "URI"),
    OPTION(G_OPTION_REMAINING, 0, FILENAME_ARRAY, args, NULL, NULL),
};

static void *place_of(struct vh_ctl *ctl, const struct option *option)
{
    return (char *)ctl + option->offset;
}

/* Fills `entries`, which has room for all and one more, with the options that `wanted` has by name,
 * each between spaces; NULL: with all. */
static void make_entries(struct vh_ctl *ctl, const struct option *options, gsize count,
                         const char *wanted, GOptionEntry *entries)
{
    for (gsize i = 0; i < count; i++) {
        const char *name = options[i].entry.long_name;
        g_autofree char *word = g_strdup_printf(" %s ", name);

        if (wanted && *name && !strstr(wanted, word))
            continue;
        *entries = options[i].entry;
        entries++->arg_data = place_of(ctl, &options[i]);
    }
    *entries = (GOptionEntry){0};
}

static void free_values(struct vh_ctl *ctl, const struct option *options, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        void *place = place_of(ctl, &options[i]);
        GOptionArg type = options[i].entry.arg;

        if (type == G_OPTION_ARG_STRING || type == G_OPTION_ARG_FILENAME)
            g_free(*(char **)place);
        else if (type == G_OPTION_ARG_STRING_ARRAY || type == G_OPTION_ARG_FILENAME_ARRAY)
            g_strfreev(*(char ***)place);
    }
}

/* ---- usage ---- */

static void print_options(FILE *out, const GOptionEntry *entries)
{
    for (; entries->long_name != NULL; entries++) {
        if (entries->long_name[0] == '\0')
            continue;
        g_autofree char *left =
            g_strdup_printf("--%s%s%s", entries->long_name, entries->arg_description ? " " : "",
                            entries->arg_description ? entries->arg_description : "");
        fprintf(out, "  %-24s %s\n", left, entries->description);
    }
}

static void print_help(FILE *out, const GOptionEntry *global)
{
    fputs("usage: vhintctl [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n", out);
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autofree char *left = g_strdup_printf("%s %s", commands[i].name, commands[i].args);
        if (strlen(left) > 24) /* its help has a line of its own */
            fprintf(out, "  %s\n  %-24s %s\n", left, "", commands[i].help);
        else
            fprintf(out, "  %-24s %s\n", left, commands[i].help);
    }
    fputs("\nOptions:\n", out);
    print_options(out, global);
    fprintf(out, "\n`vhintctl COMMAND --help` shows the options of a command.\n\n%s", exit_codes);
}

static void print_command_help(FILE *out, const struct command *command, const GOptionEntry *global,
                               const GOptionEntry *own)
{
    fprintf(out, "usage: vhintctl %s [OPTION...] %s\n\n%s\n\nOptions:\n", command->name,
            command->args, command->help);
    print_options(out, own);
    print_options(out, global);
    fprintf(out, "\n%s", exit_codes);
}

static int usage_error(const char *message, const char *see)
{
    fprintf(stderr, "vhintctl: %s: see vhintctl %s%s--help\n", message, see, see[0] ? " " : "");
    return VH_EXIT_USAGE;
}

static int refuse_command(const char *word)
{
    const char *names[G_N_ELEMENTS(commands) + 1] = {NULL};
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        names[i] = commands[i].name;
    const char *best = vh_nearest(word, names);
    g_autofree char *message =
        best ? g_strdup_printf("there is no command '%s'; did you mean '%s'?", word, best)
             : g_strdup_printf("there is no command '%s'", word);
    return usage_error(message, "");
}

/* ---- one run ---- */

static const struct command *find_command(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        if (g_str_equal(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static gboolean parse(const GOptionEntry *first, const GOptionEntry *second, bool strict, int *argc,
                      char ***argv, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_strict_posix(context, strict);
    g_option_context_add_main_entries(context, first, NULL);
    if (second != NULL)
        g_option_context_add_main_entries(context, second, NULL);
    return g_option_context_parse(context, argc, argv, error);
}

/* With --json a failure, too, is a document on stdout; people read it on stderr. */
static int report(const struct vh_ctl *ctl, const GError *error)
{
    g_autofree char *text = vh_text_printable(error->message, true);
    fprintf(stderr, "vhintctl: %s\n", text);
    int code = vh_ctl_exit_code(error);
    if (ctl->json)
        vh_ctl_print_error_json(error, code);
    return code;
}

/* Others connect by themselves, if at all. */
static bool asks_daemon(const struct command *command)
{
    return command->run != vh_ctl_enable && command->run != vh_ctl_disable &&
           command->run != vh_ctl_policy && command->run != vh_ctl_map &&
           command->run != vh_ctl_plan;
}

static int run(struct vh_ctl *ctl, const struct command *command)
{
    g_autoptr(GError) error = NULL;
    int code =
        asks_daemon(command) && vh_ctl_connect(ctl, &error) < 0 ? -1 : command->run(ctl, &error);
    if (code < 0)
        code = report(ctl, error);
    if (fflush(stdout) || ferror(stdout)) {
        if (code == VH_EXIT_OK) {
            fprintf(stderr, "vhintctl: cannot write the output\n");
            code = VH_EXIT_REFUSED;
        }
    }
    g_clear_object(&ctl->connection);
    return code;
}

static int run_command(struct vh_ctl *ctl, const GOptionEntry *global, int argc, char **argv)
{
    const struct command *command = find_command(argv[0]);
    if (command == NULL)
        return refuse_command(argv[0]);
    GOptionEntry own[G_N_ELEMENTS(own_options) + 1];
    make_entries(ctl, own_options, G_N_ELEMENTS(own_options), command->options, own);
    g_autoptr(GError) error = NULL;
    if (!parse(global, own, false, &argc, &argv, &error))
        return usage_error(error->message, command->name);
    if (ctl->help) {
        print_command_help(stdout, command, global, own);
        return VH_EXIT_OK;
    }
    if (ctl->socket == NULL) {
        const char *socket = g_getenv("VHINT_SOCKET");
        ctl->socket = g_strdup(socket != NULL && socket[0] != '\0' ? socket : VH_CONTROL_PATH);
    }
    int count = ctl->args ? (int)g_strv_length(ctl->args) : 0;
    if (count < command->min || count > command->max) {
        g_autofree char *message = g_strdup_printf("%s: %s arguments, it takes: %s", command->name,
                                                   count < command->min ? "too few" : "too many",
                                                   command->args[0] ? command->args : "none");
        return usage_error(message, command->name);
    }
    for (int i = 0; i < count; i++) /* a FILE may have any name, what D-Bus carries may not */
        if (!g_utf8_validate(ctl->args[i], -1, NULL) && !(i == 1 && command->run == vh_ctl_inject))
            return usage_error("a name is not UTF-8", command->name);
    if (ctl->count == 0 || ctl->count < -1)
        return usage_error("--count takes a number above 0", command->name);
    return run(ctl, command);
}

int main(int argc, char **argv)
{
    struct vh_ctl ctl = {.command_line = g_strdupv(argv), .count = -1, .vcpus = 1, .interval = 1};
    GOptionEntry global[G_N_ELEMENTS(global_options) + 1];
    g_autoptr(GError) error = NULL;
    int code = VH_EXIT_OK;

    setlocale(LC_ALL, "");
    make_entries(&ctl, global_options, G_N_ELEMENTS(global_options), NULL, global);
    if (!parse(global, NULL, true, &argc, &argv, &error)) {
        code = usage_error(error->message, "");
    } else if (ctl.version) {
        puts("vhintctl " VH_VERSION);
    } else if (argc < 2) {
        print_help(ctl.help ? stdout : stderr, global);
        code = ctl.help ? VH_EXIT_OK : VH_EXIT_USAGE;
    } else {
        code = run_command(&ctl, global, argc - 1, argv + 1);
    }
    free_values(&ctl, global_options, G_N_ELEMENTS(global_options));
    free_values(&ctl, own_options, G_N_ELEMENTS(own_options));
    g_strfreev(ctl.command_line);
    return code;
}
