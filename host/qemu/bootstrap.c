// SPDX-License-Identifier: GPL-2.0-or-later
// Brings the injector into a guest through its agent.
#include "qemu/bootstrap.h"

#include <elf.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "wire.h"

#define INJECTOR "vhint-injector"
#define MEGABYTE (1024.0 * 1024.0)

/* Where it may go, in this order. Only root can make names in these, so what has our name there is
 * root's or nobody's; many systems mount /run without the right to run programs. */
static const char *const places[] = {"/run/" INJECTOR, "/var/lib/" INJECTOR, "/root/." INJECTOR,
                                     NULL};

/* $@: places. Prints what is there, a word and its value a line. A place is cleared before anything
 * is written to it: root may have let others into it. */
static const char look_script[] =
    "PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin; umask 077; exec 2>/dev/null\n"
    "echo \"machine $(uname -m)\"\n"
    "for port in /sys/class/virtio-ports/*; do\n"
    "    read -r name <\"$port/name\" && [ \"$name\" = " VH_PORT_NAME " ] && echo port yes\n"
    "done\n"
    "for process in /proc/[0-9]*; do\n"
    "    read -r name <\"$process/comm\" && [ \"$name\" = " INJECTOR
    " ] && echo \"running ${process#/proc/}\" && exit\n"
    "done\n"
    "for place; do\n"
    "    made=\n"
    "    mkdir \"$place\" && made=yes\n"
    "    if [ -d \"$place\" ] && [ ! -L \"$place\" ] && [ -O \"$place\" ] && chmod 0700 "
    "\"$place\"; then\n"
    "        rm -f \"$place/new\" \"$place/log\" \"$place/try\" \"$place/" INJECTOR "\"\n"
    "        printf '#!/bin/sh\\nexit 0\\n' >\"$place/try\" && chmod 0700 \"$place/try\" && "
    "\"$place/try\"\n"
    "        usable=$?\n"
    "        rm -f \"$place/try\"\n"
    "        [ $usable -ne 0 ] || { echo \"place $place\"; break; }\n"
    "    fi\n"
    "    [ -z \"$made\" ] || rmdir \"$place\"\n"
    "done\n"
    "exit 0\n";

/* $1: the place, $2: the digest of what was written there as `new`. A second injector that finds
 * the port taken ends with 75 and is not started again. */
static const char start_script[] =
    "PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin; umask 077\n"
    "cd \"$1\" || exit\n"
    "sum=$(sha256sum <new) || exit\n"
    "[ \"${sum%% *}\" = \"$2\" ] || { echo \"what arrived is something else, of $(wc -c <new) "
    "bytes\"; exit 1; }\n"
    "chmod 0500 new && mv -f new " INJECTOR " || exit\n"
    "if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then\n"
    "    systemctl stop vhint-bootstrap.service 2>/dev/null\n"
    "    systemctl reset-failed vhint-bootstrap.service 2>/dev/null\n"
    "    systemd-run --quiet --unit=vhint-bootstrap --property=Restart=always "
    "--property=RestartSec=1 \\\n"
    "        --property=RestartPreventExitStatus=75 --property=NoNewPrivileges=yes \\\n"
    "        --property='CapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_SYS_ADMIN CAP_SYS_RESOURCE "
    "CAP_DAC_OVERRIDE' \\\n"
    "        \"$1/" INJECTOR "\" && echo started systemd && exit\n"
    "fi\n"
    "alone=$(command -v setsid)\n"
    "$alone \"$1/" INJECTOR "\" </dev/null >log 2>&1 &\n"
    "echo started alone\n";

/* $1: the place. */
static const char remove_script[] = "rm -f \"$1/new\"\n";

/* $@: places. For people. */
static const char examine_script[] =
    "PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin\n"
    "for process in /proc/[0-9]*; do\n"
    "    read -r name <\"$process/comm\" && [ \"$name\" = " INJECTOR
    " ] && echo \"it runs as process ${process#/proc/}\"\n"
    "done 2>/dev/null\n"
    "for place; do\n"
    "    [ ! -s \"$place/log\" ] || tail -n 3 \"$place/log\"\n"
    "done\n"
    "[ ! -d /run/systemd/system ] || journalctl --quiet --output=cat --lines=3 "
    "--unit=vhint-bootstrap 2>/dev/null\n"
    "exit 0\n";

void vh_bootstrap_clear(struct vh_bootstrap *bootstrap)
{
    g_free(bootstrap->path);
    g_free(bootstrap->how);
    *bootstrap = (struct vh_bootstrap){0};
}

/* ---- the injector ---- */

static const struct {
    const char *name; /* uname's */
    unsigned number;
} machines[] = {{"x86_64", EM_X86_64}, {"aarch64", EM_AARCH64}};

static int refuse(GError **error, const char *path, const char *why)
{
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED,
                "%s: %s: name another with [daemon] injector in vhint.conf", path, why);
    return -1;
}

static int check_static(const char *path, const char *data, gsize size, GError **error)
{
    Elf64_Ehdr header;

    if (size < sizeof(header) || memcmp(data, ELFMAG, SELFMAG) != 0)
        return refuse(error, path, "it is no ELF program");
    memcpy(&header, data, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN))
        return refuse(error, path, "it is no 64-bit ELF program");
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > size ||
        (size - header.e_phoff) / sizeof(Elf64_Phdr) < header.e_phnum)
        return refuse(error, path, "it is cut off");
    for (guint i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, data + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type == PT_INTERP)
            return refuse(error, path,
                          "it is not statically linked, and guests need not have its libraries");
        if (segment.p_type == PT_LOAD &&
            (segment.p_offset > size || size - segment.p_offset < segment.p_filesz))
            return refuse(error, path, "it is cut off");
    }
    return 0;
}

GBytes *vh_bootstrap_read(const char *path, GError **error)
{
    g_autofree char *data = NULL;
    gsize size = 0;

    if (!vh_file_read(path, &data, &size, error)) {
        g_prefix_error(error, "the injector for guests (install it, or name it by [daemon] "
                              "injector in vhint.conf): ");
        return NULL;
    }
    if (size > VH_BOOTSTRAP_SIZE_MAX) {
        refuse(error, path, "it is over 64 MiB");
        return NULL;
    }
    return check_static(path, data, size, error) < 0
               ? NULL
               : g_bytes_new_take(g_steal_pointer(&data), size);
}

int vh_bootstrap_check(GBytes *injector, const char *machine, GError **error)
{
    Elf64_Ehdr header;
    const char *ours = "another machine";

    memcpy(&header, g_bytes_get_data(injector, NULL), sizeof(header));
    for (gsize i = 0; i < G_N_ELEMENTS(machines); i++) {
        if (header.e_machine != machines[i].number)
            continue;
        ours = machines[i].name;
        if (g_str_equal(machine, ours))
            return 0;
    }
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                "the guest is %s, the injector here is for %s: name another with [daemon] injector "
                "in vhint.conf",
                machine, ours);
    return -1;
}

/* ---- what the guest says ---- */

/* What the look script found. */
struct look {
    char *machine;
    const char *place; /* of ours; NULL: none is of use */
    bool port;
    bool running;
};

static void clear_look(struct look *look)
{
    g_free(look->machine);
}

static void take_line(struct look *look, const char *line)
{
    const char *value = strchr(line, ' ');

    if (!value)
        return;
    value++;
    if (g_str_has_prefix(line, "machine ")) {
        g_free(look->machine);
        look->machine = vh_qga_text(value);
    } else if (g_str_has_prefix(line, "port ")) {
        look->port = true;
    } else if (g_str_has_prefix(line, "running ")) {
        look->running = true;
    } else if (g_str_has_prefix(line, "place ")) {
        for (guint i = 0; places[i]; i++)
            look->place = g_str_equal(places[i], value) ? places[i] : look->place;
    }
}

/* A script that is to end with 0; what it printed. NULL and an error. */
static char *run(const struct vh_qga *agent, const char *what, const char *script,
                 const char *const *arguments, GError **error)
{
    g_autofree char *output = NULL;
    g_autofree char *text = NULL;
    int status = vh_qga_shell(agent, script, arguments, &output, error);

    if (status == 0)
        return g_steal_pointer(&output);
    if (status > 0) {
        text = vh_qga_text(output);
        g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "%s in the guest: %s", what,
                    *text ? text : "the script failed and said nothing");
    }
    return NULL;
}

static int look_around(const struct vh_qga *agent, struct look *look, GError **error)
{
    g_autofree char *output = run(agent, "looking around", look_script, places, error);
    g_auto(GStrv) lines = output ? g_strsplit(output, "\n", 100) : NULL;

    for (guint i = 0; lines && lines[i]; i++)
        take_line(look, lines[i]);
    return output ? 0 : -1;
}

/* ---- the steps ---- */

static int check_agent(const struct vh_qga *agent, GError **error)
{
    static const char *const commands[] = {"guest-exec",
                                           "guest-exec-status",
                                           "guest-file-open",
                                           "guest-file-write",
                                           "guest-file-flush",
                                           "guest-file-close",
                                           NULL};
    GError *cause = NULL;
    g_autofree char *missing = vh_qga_missing(agent, commands, &cause);

    if (cause && (cause->code == VH_ERROR_TIMED_OUT || cause->code == VH_ERROR_NOT_CONNECTED))
        g_prefix_error(
            &cause, "is qemu-guest-agent installed in the guest, does it run, and is there a port "
                    "org.qemu.guest_agent.0 for it? docs/guests.md has ways without it; ");
    if (cause) {
        g_propagate_error(error, cause);
        return -1;
    }
    if (!*missing)
        return 0;
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                "the guest agent does not allow %s: allow it there (block-rpcs or allow-rpcs in "
                "/etc/qemu/qemu-ga.conf, or "
                "in /etc/sysconfig/qemu-ga), or bring in the injector another way (docs/guests.md)",
                missing);
    return -1;
}

static int check_look(const struct look *look, GBytes *injector, GError **error)
{
    if (vh_bootstrap_check(injector, look->machine ? look->machine : "of an unknown machine",
                           error) < 0)
        return -1;
    if (!look->port) {
        g_set_error(error, VH_ERROR, VH_ERROR_NOT_CONNECTED,
                    "the guest has no port " VH_PORT_NAME
                    ": vhintctl enable gives a domain one, docs/config.md has the "
                    "arguments for QEMU (does the guest have the driver, virtio_console?)");
        return -1;
    }
    if (look->place || look->running)
        return 0;
    g_set_error(
        error, VH_ERROR, VH_ERROR_REFUSED,
        "the guest has no directory for the injector: none of %s, %s and %s is the agent's alone "
        "and lets it run programs (the agent must run as root there, and not be confined)",
        places[0], places[1], places[2]);
    return -1;
}

static int write_injector(const struct vh_qga *agent, const char *place, GBytes *injector,
                          GError **error)
{
    g_autofree char *new = g_build_filename(place, "new", NULL);
    const char *const arguments[] = {place, NULL};
    g_autofree char *output = NULL;

    if (vh_qga_write(agent, new, injector, error) == 0)
        return 0;
    g_prefix_error(error, "writing %s in the guest, %.1f MiB: ", new,
                   (double)g_bytes_get_size(injector) / MEGABYTE);
    output = run(agent, "removing it", remove_script, arguments, NULL);
    return -1;
}

/* The place is root's alone, so what is started is what was compared. */
static int start(const struct vh_qga *agent, const char *place, GBytes *injector,
                 struct vh_bootstrap *bootstrap, GError **error)
{
    g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, injector);
    const char *const arguments[] = {place, digest, NULL};
    g_autofree char *output = run(agent, "starting the injector", start_script, arguments, error);

    if (!output)
        return -1;
    bootstrap->path = g_build_filename(place, INJECTOR, NULL);
    bootstrap->how = g_strdup(strstr(output, "started systemd") ? "systemd" : "alone");
    return 0;
}

int vh_bootstrap_push(struct vh_qga *agent, GBytes *injector, struct vh_bootstrap *bootstrap,
                      GError **error)
{
    __attribute__((cleanup(clear_look))) struct look look = {0};

    agent->deadline = g_get_monotonic_time() + VH_BOOTSTRAP_SECONDS * G_USEC_PER_SEC;
    if (check_agent(agent, error) < 0 || look_around(agent, &look, error) < 0 ||
        check_look(&look, injector, error) < 0)
        return -1;
    bootstrap->running = look.running;
    if (look.running)
        return 0;
    if (write_injector(agent, look.place, injector, error) < 0)
        return -1;
    return start(agent, look.place, injector, bootstrap, error);
}

char *vh_bootstrap_examine(struct vh_qga *agent, GError **error)
{
    g_autofree char *output = NULL;

    agent->deadline = g_get_monotonic_time() + VH_QGA_SECONDS * G_USEC_PER_SEC;
    output = run(agent, "looking for the injector", examine_script, places, error);
    if (!output)
        return NULL;
    return *output ? vh_qga_text(output) : g_strdup("it has ended and said nothing");
}
