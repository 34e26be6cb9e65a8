/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/json.h"

#include <unistd.h>

#include "wire.h"

#define DEPTH_MAX 5
#define MEMBERS_MAX 8

static const char *const keys[] = {
    "thread-id", "cpu-index", "qom-path",       "name",       "type",        "enabled",
    "status",    "running",   "host-nodes",     "policy",     "actual",      "id",
    "data",      "max-size",  "requested-size", "block-size", "base-memory", "plugged-memory",
    "open",      "return",    "error",          "desc",       "size",        "event",
    "dump",      "merge",     "present",        "singlestep", "props",       "target",
    "reason",    "guest",
};

static const char *const words[] = {
    "",
    "/cpu0",
    "/cpu1",
    "hints",
    "agent",
    VH_PORT_NAME,
    "child<virtserialport>",
    "running",
    "paused",
    "postmigrate",
    "finish-migrate",
    "inmigrate",
    "virtio-mem",
    "dimm",
    "bind",
    "default",
    "interleave",
    "io1",
    "active",
    "completed",
    "postcopy-active",
    "cancelled",
    "\xc3\xbc\\u0000\\ud800",
    "a name that is longer than any that a kernel would give a thread of its own",
};

static const char *const numbers[] = {
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "255",
    "256",
    "511",
    "512",
    "1023",
    "1024",
    "65535",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "1073741824",
    "2147483648.5",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1e300",
    "-0",
};

static const char *const constants[] = {"null", "true", "false"};

static void make(GString *out, struct script *script, int depth);

static void make_object(GString *out, struct script *script, int depth)
{
    unsigned count = script_byte(script) % MEMBERS_MAX;

    g_string_append_c(out, '{');
    for (unsigned i = 0; i < count; i++) {
        g_string_append_printf(out, "%s\"%s\": ", i ? ", " : "",
                               keys[script_byte(script) % G_N_ELEMENTS(keys)]);
        make(out, script, depth + 1);
    }
    g_string_append_c(out, '}');
}

static void make_array(GString *out, struct script *script, int depth)
{
    unsigned count = script_byte(script) % MEMBERS_MAX;

    g_string_append_c(out, '[');
    for (unsigned i = 0; i < count; i++) {
        if (i)
            g_string_append(out, ", ");
        make(out, script, depth + 1);
    }
    g_string_append_c(out, ']');
}

static void make(GString *out, struct script *script, int depth)
{
    uint8_t what = script_byte(script);

    if (what % 8 == 0 && depth < DEPTH_MAX)
        make_object(out, script, depth);
    else if (what % 8 == 1 && depth < DEPTH_MAX)
        make_array(out, script, depth);
    else if (what % 8 < 4)
        g_string_append(out, numbers[what / 8 % G_N_ELEMENTS(numbers)]);
    else if (what % 8 == 4)
        g_string_append_printf(out, "%d", (int)getpid() + what / 8 % 4);
    else if (what % 8 == 5)
        g_string_append(out, constants[what / 8 % G_N_ELEMENTS(constants)]);
    else
        g_string_append_printf(out, "\"%s\"", words[what / 8 % G_N_ELEMENTS(words)]);
}

void json_make(GString *out, struct script *script)
{
    make(out, script, 0);
}
