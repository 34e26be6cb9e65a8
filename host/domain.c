/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a libvirt domain's XML with libxml2's streaming reader. */
#include "domain.h"

#include <libxml/xmlreader.h>
#include <string.h>

#include "error.h"
#include "wire.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlTextReader, xmlFreeTextReader)

/* One <channel> while it is read. */
struct channel {
    bool unix_socket;
    bool bound;
    bool ours;
    bool connected;
    bool stated;
    char *path;
};

struct parse {
    xmlTextReader *reader;
    struct vh_domain *domain;
    GString *path;                          /* "/domain/devices/channel" */
    gsize lengths[VH_DOMAIN_DEPTH_MAX + 1]; /* of the path before each open element */
    GString *text;                          /* of the element that is open, if somebody wants it */
    struct channel channel;
    char *problem; /* set once */
};

const char *vh_domain_channel_text(enum vh_domain_channel channel)
{
    static const char *const texts[] = {"none", "other", "inactive", "disconnected", "connected"};
    G_STATIC_ASSERT(G_N_ELEMENTS(texts) == VH_DOMAIN_CHANNELS);

    return texts[channel];
}

bool vh_domain_name_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    gsize len = strspn(name, allowed);

    return len > 0 && len <= VH_DOMAIN_NAME_MAX && !name[len] && name[0] != '.';
}

static void refuse(struct parse *p, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void refuse(struct parse *p, const char *format, ...)
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
static char *attribute(struct parse *p, const char *name)
{
    xmlChar *value = xmlTextReaderGetAttribute(p->reader, (const xmlChar *)name);
    char *copy = NULL;

    if (value && strlen((const char *)value) > VH_DOMAIN_TEXT_MAX)
        refuse(p, "%s: the attribute %s has over %u bytes", p->path->str, name, VH_DOMAIN_TEXT_MAX);
    else if (value)
        copy = g_strdup((const char *)value);
    xmlFree(value);
    return copy;
}

static bool attribute_is(struct parse *p, const char *name, const char *wanted)
{
    g_autofree char *value = attribute(p, name);

    return g_strcmp0(value, wanted) == 0;
}

static unsigned number(struct parse *p, const char *text, const char *what)
{
    guint64 value = 0;

    if (!g_ascii_string_to_unsigned(text, 10, 0, VH_DOMAIN_VCPUS_MAX, &value, NULL))
        refuse(p, "%s: %s \"%.20s\" is not a number of at most %u", p->path->str, what, text, VH_DOMAIN_VCPUS_MAX);
    return (unsigned)value;
}

/* A list of CPUs or nodes; NULL: absent or refused. */
static char *list(struct parse *p, const char *name)
{
    g_autofree char *value = attribute(p, name);

    if (value && (!*value || strspn(value, "0123456789,-^") != strlen(value))) {
        refuse(p, "%s: %s=\"%.60s\" is not a list such as 0-3,8", p->path->str, name, value);
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

static void begin_domain(struct parse *p)
{
    g_autofree char *id = attribute(p, "id");
    guint64 value = 0;

    if (id && g_ascii_string_to_unsigned(id, 10, 0, G_MAXINT, &value, NULL))
        p->domain->id = (int)value;
}

static void end_name(struct parse *p)
{
    set(&p->domain->name, g_strdup(p->text->str));
}

static void end_uuid(struct parse *p)
{
    g_autofree char *uuid = g_ascii_strdown(p->text->str, -1);

    if (!g_uuid_string_is_valid(uuid))
        refuse(p, "\"%.60s\" is not a UUID", p->text->str);
    else
        set(&p->domain->uuid, g_steal_pointer(&uuid));
}

static void end_profile(struct parse *p)
{
    if (!vh_domain_name_valid(p->text->str))
        refuse(p, "the profile \"%.120s\" is not a name of 1 to %d characters of A-Z a-z 0-9 _ . -", p->text->str,
               VH_DOMAIN_NAME_MAX);
    else
        set(&p->domain->profile, g_strdup(p->text->str));
}

static void begin_vcpu(struct parse *p)
{
    g_autofree char *now = attribute(p, "current");

    if (now)
        p->domain->vcpus_now = number(p, now, "current");
    set(&p->domain->cpus, list(p, "cpuset"));
    p->domain->cpus_auto = attribute_is(p, "placement", "auto");
}

static void end_vcpu(struct parse *p)
{
    p->domain->vcpus = number(p, p->text->str, "the number of vCPUs");
    if (!p->domain->vcpus_now || p->domain->vcpus_now > p->domain->vcpus)
        p->domain->vcpus_now = p->domain->vcpus;
}

static void end_iothreads(struct parse *p)
{
    p->domain->iothreads = number(p, p->text->str, "the number of IOThreads");
}

static void begin_memory(struct parse *p)
{
    set(&p->domain->nodes, list(p, "nodeset"));
}

static void begin_emulatorpin(struct parse *p)
{
    set(&p->domain->emulator, list(p, "cpuset"));
}

static void add_pin(struct parse *p, GArray *pins, const char *what)
{
    g_autofree char *id = attribute(p, what);
    g_autofree char *cpus = list(p, "cpuset");
    struct vh_domain_pin pin;

    if (!id || !cpus || pins->len >= VH_DOMAIN_VCPUS_MAX)
        return;
    pin = (struct vh_domain_pin){.id = number(p, id, what), .cpus = g_steal_pointer(&cpus)};
    g_array_append_val(pins, pin);
}

static void begin_vcpupin(struct parse *p)
{
    add_pin(p, p->domain->vcpu_pins, "vcpu");
}

static void begin_iothreadpin(struct parse *p)
{
    add_pin(p, p->domain->iothread_pins, "iothread");
}

static void begin_controller(struct parse *p)
{
    if (attribute_is(p, "type", "virtio-serial"))
        p->domain->virtio_serial = true;
}

static void begin_channel(struct parse *p)
{
    g_free(p->channel.path);
    p->channel = (struct channel){.unix_socket = attribute_is(p, "type", "unix")};
}

static void begin_channel_source(struct parse *p)
{
    p->channel.bound = attribute_is(p, "mode", "bind");
    set(&p->channel.path, attribute(p, "path"));
}

static void begin_channel_target(struct parse *p)
{
    g_autofree char *state = attribute(p, "state");

    p->channel.ours = attribute_is(p, "type", "virtio") && attribute_is(p, "name", VH_PORT_NAME);
    p->channel.stated = state != NULL;
    p->channel.connected = g_strcmp0(state, "connected") == 0;
}

static void end_channel(struct parse *p)
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
        domain->channel = channel->connected ? VH_DOMAIN_CHANNEL_CONNECTED : VH_DOMAIN_CHANNEL_DISCONNECTED;
    if (domain->channel != VH_DOMAIN_CHANNEL_OTHER)
        set(&domain->channel_path, g_steal_pointer(&p->channel.path));
}

/* What is looked at; `end` gets the element's text, stripped. */
static const struct element {
    const char *path;
    void (*begin)(struct parse *p);
    void (*end)(struct parse *p);
    bool text;
} elements[] = {
    {"/domain", begin_domain, NULL, false},
    {"/domain/name", NULL, end_name, true},
    {"/domain/uuid", NULL, end_uuid, true},
    {"/domain/metadata/{" VH_DOMAIN_NAMESPACE "}profile", NULL, end_profile, true},
    {"/domain/vcpu", begin_vcpu, end_vcpu, true},
    {"/domain/iothreads", NULL, end_iothreads, true},
    {"/domain/numatune/memory", begin_memory, NULL, false},
    {"/domain/cputune/vcpupin", begin_vcpupin, NULL, false},
    {"/domain/cputune/emulatorpin", begin_emulatorpin, NULL, false},
    {"/domain/cputune/iothreadpin", begin_iothreadpin, NULL, false},
    {"/domain/devices/controller", begin_controller, NULL, false},
    {"/domain/devices/channel", begin_channel, end_channel, false},
    {"/domain/devices/channel/source", begin_channel_source, NULL, false},
    {"/domain/devices/channel/target", begin_channel_target, NULL, false},
};

static const struct element *find_element(const char *path)
{
    for (gsize i = 0; i < G_N_ELEMENTS(elements); i++)
        if (g_str_equal(elements[i].path, path))
            return &elements[i];
    return NULL;
}

/* ---- the document ---- */

static void end_element(struct parse *p, int depth)
{
    const struct element *element = find_element(p->path->str);

    if (element && element->text) {
        g_strstrip(p->text->str);
        p->text->len = strlen(p->text->str);
    }
    if (element && element->end)
        element->end(p);
    g_string_truncate(p->path, p->lengths[depth]);
}

static void begin_element(struct parse *p, int depth)
{
    const char *space = (const char *)xmlTextReaderConstNamespaceUri(p->reader);
    const char *name = (const char *)xmlTextReaderConstLocalName(p->reader);
    const struct element *element = NULL;

    p->lengths[depth] = p->path->len;
    if (!name || strlen(name) + (space ? strlen(space) : 0) > VH_DOMAIN_TEXT_MAX) {
        refuse(p, "an element's name has over %u bytes", VH_DOMAIN_TEXT_MAX);
        return;
    }
    if (space)
        g_string_append_printf(p->path, "/{%s}%s", space, name);
    else
        g_string_append_printf(p->path, "/%s", name);
    element = find_element(p->path->str);
    if (depth == 0 && !element)
        refuse(p, "it is not a <domain> but a <%.60s>", name);
    if (element && element->text)
        g_string_truncate(p->text, 0);
    if (element && element->begin)
        element->begin(p);
    if (xmlTextReaderIsEmptyElement(p->reader))
        end_element(p, depth);
}

static void take_text(struct parse *p)
{
    const struct element *element = find_element(p->path->str);
    const char *text = (const char *)xmlTextReaderConstValue(p->reader);

    if (!element || !element->text || !text)
        return;
    if (p->text->len + strlen(text) > VH_DOMAIN_TEXT_MAX)
        refuse(p, "%s: its text has over %u bytes", p->path->str, VH_DOMAIN_TEXT_MAX);
    else
        g_string_append(p->text, text);
}

static void take_node(struct parse *p)
{
    int depth = xmlTextReaderDepth(p->reader);

    if (depth < 0 || depth > VH_DOMAIN_DEPTH_MAX) {
        refuse(p, "elements are nested over %d deep", VH_DOMAIN_DEPTH_MAX);
        return;
    }
    switch (xmlTextReaderNodeType(p->reader)) {
    case XML_READER_TYPE_ELEMENT:
        begin_element(p, depth);
        break;
    case XML_READER_TYPE_END_ELEMENT:
        end_element(p, depth);
        break;
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
        take_text(p);
        break;
    default:
        break;
    }
}

static void remember_error(void *data, const char *message, xmlParserSeverities severity,
                           G_GNUC_UNUSED xmlTextReaderLocatorPtr locator)
{
    struct parse *p = data;
    g_autofree char *text = g_strdup(message);

    if (severity == XML_PARSER_SEVERITY_ERROR)
        refuse(p, "%.200s", g_strstrip(text));
}

static void read_document(struct parse *p)
{
    int more = 1;

    while (!p->problem && (more = xmlTextReaderRead(p->reader)) == 1)
        take_node(p);
    if (more < 0)
        refuse(p, "it is not well-formed XML");
    if (!p->problem && !(p->domain->name && *p->domain->name))
        refuse(p, "the domain has no name");
    if (!p->problem && !p->domain->uuid)
        refuse(p, "the domain has no UUID");
}

static void clear_pin(gpointer data)
{
    g_free(((struct vh_domain_pin *)data)->cpus);
}

static GArray *pins_new(void)
{
    GArray *pins = g_array_new(FALSE, TRUE, sizeof(struct vh_domain_pin));

    g_array_set_clear_func(pins, clear_pin);
    return pins;
}

/* What no domain of libvirt's contains, and a stranger's might: anything that makes a parser do more than read. */
static bool has_doctype(const char *xml, gsize len)
{
    return memmem(xml, len, "<!DOCTYPE", 9) || memmem(xml, len, "<!ENTITY", 8);
}

struct vh_domain *vh_domain_parse(const char *xml, gsize len, GError **error)
{
    g_autoptr(VhDomain) domain = g_new0(VhDomain, 1);
    g_autoptr(xmlTextReader) reader = NULL;
    struct parse p = {.domain = domain};

    domain->id = -1;
    domain->vcpu_pins = pins_new();
    domain->iothread_pins = pins_new();
    if (len > VH_DOMAIN_XML_MAX)
        refuse(&p, "it has %zu bytes, the limit is %u", len, VH_DOMAIN_XML_MAX);
    else if (has_doctype(xml, len))
        refuse(&p, "it has a document type or an entity, which libvirt's never have");
    else
        reader = xmlReaderForMemory(xml, (int)len, NULL, "UTF-8", XML_PARSE_NONET);
    if (!reader)
        refuse(&p, "it is not XML");
    if (reader && !p.problem) {
        p.reader = reader;
        p.path = g_string_new(NULL);
        p.text = g_string_new(NULL);
        xmlTextReaderSetErrorHandler(reader, remember_error, &p);
        read_document(&p);
        g_string_free(p.path, TRUE);
        g_string_free(p.text, TRUE);
        g_free(p.channel.path);
    }
    if (!p.problem)
        return g_steal_pointer(&domain);
    g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "the domain's XML is refused: %s", p.problem);
    g_free(p.problem);
    return NULL;
}

void vh_domain_free(struct vh_domain *domain)
{
    if (!domain)
        return;
    g_free(domain->name);
    g_free(domain->uuid);
    g_free(domain->profile);
    g_free(domain->channel_path);
    g_free(domain->cpus);
    g_free(domain->nodes);
    g_free(domain->emulator);
    g_array_unref(domain->vcpu_pins);
    g_array_unref(domain->iothread_pins);
    g_free(domain);
}
