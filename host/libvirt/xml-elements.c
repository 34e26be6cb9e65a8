// SPDX-License-Identifier: GPL-2.0-or-later
// What of a domain's XML is looked at, and what it means.
#include "libvirt/xml-elements.h"

#include <string.h>

#include "wire.h"

void vh_domain_refuse(struct vh_domain_parse *p, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (p->problem)
        return;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    p->problem = g_utf8_make_valid(text, -1); /* a quotation may have been cut inside a character */
}

/* ---- values ---- */

/* The attribute `name` without a namespace; NULL: absent or refused. g_free() it. */
static char *attribute(struct vh_domain_parse *p, const char *name)
{
    xmlChar *value = xmlTextReaderGetAttribute(p->reader, (const xmlChar *)name);
    char *copy = NULL;

    if (value && strlen((const char *)value) > VH_DOMAIN_TEXT_MAX)
        vh_domain_refuse(p, "%s: the attribute %s has over %u bytes", p->path->str, name,
                         VH_DOMAIN_TEXT_MAX);
    else if (value)
        copy = g_strdup((const char *)value);
    xmlFree(value);
    return copy;
}

static bool attribute_is(struct vh_domain_parse *p, const char *name, const char *wanted)
{
    g_autofree char *value = attribute(p, name);

    return g_strcmp0(value, wanted) == 0;
}

static unsigned number(struct vh_domain_parse *p, const char *text, const char *what)
{
    guint64 value = 0;

    if (!g_ascii_string_to_unsigned(text, 10, 0, VH_DOMAIN_VCPUS_MAX, &value, NULL))
        vh_domain_refuse(p, "%s: %s \"%.20s\" is not a number of at most %u", p->path->str, what,
                         text, VH_DOMAIN_VCPUS_MAX);
    return (unsigned)value;
}

/* A list of CPUs or nodes; NULL: absent or refused. */
static char *list(struct vh_domain_parse *p, const char *name)
{
    g_autofree char *value = attribute(p, name);

    if (value && (!*value || strspn(value, "0123456789,-^") != strlen(value))) {
        vh_domain_refuse(p, "%s: %s=\"%.60s\" is not a list such as 0-3,8", p->path->str, name,
                         value);
        return NULL;
    }
    return g_steal_pointer(&value);
}

static void set(char **field, char *value)
{
    g_free(*field);
    *field = value;
}

/* ---- elements ---- */

static void begin_domain(struct vh_domain_parse *p)
{
    g_autofree char *id = attribute(p, "id");
    guint64 value = 0;

    if (id && g_ascii_string_to_unsigned(id, 10, 0, G_MAXINT, &value, NULL))
        p->domain->id = (int)value;
}

static void end_name(struct vh_domain_parse *p)
{
    set(&p->domain->name, g_strdup(p->text->str));
}

static void end_uuid(struct vh_domain_parse *p)
{
    g_autofree char *uuid = g_ascii_strdown(p->text->str, -1);

    if (!g_uuid_string_is_valid(uuid))
        vh_domain_refuse(p, "\"%.60s\" is not a UUID", p->text->str);
    else
        set(&p->domain->uuid, g_steal_pointer(&uuid));
}

static void end_profile(struct vh_domain_parse *p)
{
    if (!vh_domain_name_valid(p->text->str))
        vh_domain_refuse(
            p, "the profile \"%.120s\" is not a name of 1 to %d characters of A-Z a-z 0-9 _ . -",
            p->text->str, VH_DOMAIN_NAME_MAX);
    else
        set(&p->domain->profile, g_strdup(p->text->str));
}

static void begin_added(struct vh_domain_parse *p)
{
    p->domain->channel_added = true;
}

static void end_pins(struct vh_domain_parse *p)
{
    set(&p->domain->pins_ours, g_strdup(p->text->str));
}

static void end_wishes(struct vh_domain_parse *p)
{
    set(&p->domain->wishes, g_strdup(p->text->str));
}

static void begin_vcpu(struct vh_domain_parse *p)
{
    g_autofree char *now = attribute(p, "current");

    if (now)
        p->domain->vcpus_now = number(p, now, "current");
    set(&p->domain->cpus, list(p, "cpuset"));
    p->domain->cpus_auto = attribute_is(p, "placement", "auto");
}

static void end_vcpu(struct vh_domain_parse *p)
{
    p->domain->vcpus = number(p, p->text->str, "the number of vCPUs");
    if (!p->domain->vcpus_now || p->domain->vcpus_now > p->domain->vcpus)
        p->domain->vcpus_now = p->domain->vcpus;
}

static void end_iothreads(struct vh_domain_parse *p)
{
    p->domain->iothreads = number(p, p->text->str, "the number of IOThreads");
}

static void begin_memory(struct vh_domain_parse *p)
{
    set(&p->domain->nodes, list(p, "nodeset"));
}

static void begin_emulatorpin(struct vh_domain_parse *p)
{
    set(&p->domain->emulator, list(p, "cpuset"));
}

static void add_pin(struct vh_domain_parse *p, GArray *pins, const char *what)
{
    g_autofree char *id = attribute(p, what);
    g_autofree char *cpus = list(p, "cpuset");
    struct vh_domain_pin pin;

    if (!id || !cpus || pins->len >= VH_DOMAIN_VCPUS_MAX)
        return;
    pin = (struct vh_domain_pin){.id = number(p, id, what), .cpus = g_steal_pointer(&cpus)};
    g_array_append_val(pins, pin);
}

static void begin_vcpupin(struct vh_domain_parse *p)
{
    add_pin(p, p->domain->vcpu_pins, "vcpu");
}

static void begin_iothreadpin(struct vh_domain_parse *p)
{
    add_pin(p, p->domain->iothread_pins, "iothread");
}

static void begin_controller(struct vh_domain_parse *p)
{
    if (attribute_is(p, "type", "virtio-serial"))
        p->domain->virtio_serial = true;
}

static void begin_channel(struct vh_domain_parse *p)
{
    g_free(p->channel.path);
    p->channel = (struct channel){.unix_socket = attribute_is(p, "type", "unix")};
}

static void begin_channel_source(struct vh_domain_parse *p)
{
    p->channel.bound = attribute_is(p, "mode", "bind");
    set(&p->channel.path, attribute(p, "path"));
}

static void begin_channel_target(struct vh_domain_parse *p)
{
    g_autofree char *state = attribute(p, "state");

    p->channel.ours = attribute_is(p, "type", "virtio") && attribute_is(p, "name", VH_PORT_NAME);
    p->channel.stated = state != NULL;
    p->channel.connected = g_strcmp0(state, "connected") == 0;
}

static void end_channel(struct vh_domain_parse *p)
{
    const struct channel *channel = &p->channel;
    struct vh_domain *domain = p->domain;

    if (!channel->ours || domain->channel != VH_DOMAIN_CHANNEL_NONE)
        return;
    if (!channel->unix_socket || (channel->path && !channel->bound))
        domain->channel = VH_DOMAIN_CHANNEL_OTHER;
    else if (!channel->stated || !channel->path)
        domain->channel = VH_DOMAIN_CHANNEL_INACTIVE;
    else
        domain->channel =
            channel->connected ? VH_DOMAIN_CHANNEL_CONNECTED : VH_DOMAIN_CHANNEL_DISCONNECTED;
    if (domain->channel != VH_DOMAIN_CHANNEL_OTHER)
        set(&domain->channel_path, g_steal_pointer(&p->channel.path));
}

static const struct vh_domain_element elements[] = {
    {"/domain", begin_domain, NULL, 0},
    {"/domain/name", NULL, end_name, VH_DOMAIN_TEXT_MAX},
    {"/domain/uuid", NULL, end_uuid, VH_DOMAIN_TEXT_MAX},
    {"/domain/metadata/{" VH_DOMAIN_NAMESPACE "}profile", NULL, end_profile, VH_DOMAIN_TEXT_MAX},
    {"/domain/metadata/{" VH_DOMAIN_CHANNEL_NAMESPACE "}added", begin_added, NULL, 0},
    {"/domain/metadata/{" VH_DOMAIN_PINS_NAMESPACE "}pins", NULL, end_pins, VH_DOMAIN_NOTE_MAX},
    {"/domain/metadata/{" VH_DOMAIN_WISHES_NAMESPACE "}wishes", NULL, end_wishes,
     VH_DOMAIN_NOTE_MAX},
    {"/domain/vcpu", begin_vcpu, end_vcpu, VH_DOMAIN_TEXT_MAX},
    {"/domain/iothreads", NULL, end_iothreads, VH_DOMAIN_TEXT_MAX},
    {"/domain/numatune/memory", begin_memory, NULL, 0},
    {"/domain/cputune/vcpupin", begin_vcpupin, NULL, 0},
    {"/domain/cputune/emulatorpin", begin_emulatorpin, NULL, 0},
    {"/domain/cputune/iothreadpin", begin_iothreadpin, NULL, 0},
    {"/domain/devices/controller", begin_controller, NULL, 0},
    {"/domain/devices/channel", begin_channel, end_channel, 0},
    {"/domain/devices/channel/source", begin_channel_source, NULL, 0},
    {"/domain/devices/channel/target", begin_channel_target, NULL, 0},
};

const struct vh_domain_element *vh_domain_element_find(const char *path)
{
    for (gsize i = 0; i < G_N_ELEMENTS(elements); i++)
        if (g_str_equal(elements[i].path, path))
            return &elements[i];
    return NULL;
}
