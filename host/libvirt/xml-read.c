// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a libvirt domain's XML with libxml2's streaming reader.
#include "libvirt/xml-elements.h"

#include <string.h>

#include "base/error.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlTextReader, xmlFreeTextReader)

static void end_element(struct vh_domain_parse *p, int depth)
{
    const struct vh_domain_element *element = vh_domain_element_find(p->path->str);

    if (element && element->text) {
        g_strstrip(p->text->str);
        p->text->len = strlen(p->text->str);
    }
    if (element && element->end)
        element->end(p);
    g_string_truncate(p->path, p->lengths[depth]);
}

static void begin_element(struct vh_domain_parse *p, int depth)
{
    const char *space = (const char *)xmlTextReaderConstNamespaceUri(p->reader);
    const char *name = (const char *)xmlTextReaderConstLocalName(p->reader);
    const struct vh_domain_element *element = NULL;

    p->lengths[depth] = p->path->len;
    if (!name || strlen(name) + (space ? strlen(space) : 0) > VH_DOMAIN_TEXT_MAX) {
        vh_domain_refuse(p, "an element's name has over %u bytes", VH_DOMAIN_TEXT_MAX);
        return;
    }
    if (space)
        g_string_append_printf(p->path, "/{%s}%s", space, name);
    else
        g_string_append_printf(p->path, "/%s", name);
    element = vh_domain_element_find(p->path->str);
    if (depth == 0 && !element)
        vh_domain_refuse(p, "it is not a <domain> but a <%.60s>", name);
    if (element && element->text)
        g_string_truncate(p->text, 0);
    if (element && element->begin)
        element->begin(p);
    if (xmlTextReaderIsEmptyElement(p->reader))
        end_element(p, depth);
}

static void take_text(struct vh_domain_parse *p)
{
    const struct vh_domain_element *element = vh_domain_element_find(p->path->str);
    const char *text = (const char *)xmlTextReaderConstValue(p->reader);

    if (!element || !element->text || !text)
        return;
    if (p->text->len + strlen(text) > element->text)
        vh_domain_refuse(p, "%s: its text has over %zu bytes", p->path->str, element->text);
    else
        g_string_append(p->text, text);
}

static void take_node(struct vh_domain_parse *p)
{
    int depth = xmlTextReaderDepth(p->reader);

    if (depth < 0 || depth > VH_DOMAIN_DEPTH_MAX) {
        vh_domain_refuse(p, "elements are nested over %d deep", VH_DOMAIN_DEPTH_MAX);
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
    struct vh_domain_parse *p = data;
    g_autofree char *text = g_strdup(message);

    if (severity == XML_PARSER_SEVERITY_ERROR)
        vh_domain_refuse(p, "%.200s", g_strstrip(text));
}

static void read_document(struct vh_domain_parse *p)
{
    int more = 1;

    while (!p->problem && (more = xmlTextReaderRead(p->reader)) == 1)
        take_node(p);
    if (more < 0)
        vh_domain_refuse(p, "it is not well-formed XML");
    if (!p->problem && !(p->domain->name && *p->domain->name))
        vh_domain_refuse(p, "the domain has no name");
    if (!p->problem && !p->domain->uuid)
        vh_domain_refuse(p, "the domain has no UUID");
}

/* What no domain of libvirt's contains, and a stranger's might: anything that makes a parser do
 * more than read. */
static bool has_doctype(const char *xml, gsize len)
{
    return memmem(xml, len, "<!DOCTYPE", 9) || memmem(xml, len, "<!ENTITY", 8);
}

void vh_domain_xml_init(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        xmlInitParser();
        g_once_init_leave(&done, 1);
    }
}

struct vh_domain *vh_domain_parse(const char *xml, gsize len, GError **error)
{
    g_autoptr(VhDomain) domain = vh_domain_new();
    g_autoptr(xmlTextReader) reader = NULL;
    struct vh_domain_parse p = {.domain = domain};

    vh_domain_xml_init();
    if (len > VH_DOMAIN_XML_MAX)
        vh_domain_refuse(&p, "it has %zu bytes, the limit is %u", len, VH_DOMAIN_XML_MAX);
    else if (has_doctype(xml, len))
        vh_domain_refuse(&p, "it has a document type or an entity, which libvirt's never have");
    else
        reader = xmlReaderForMemory(xml, (int)len, NULL, "UTF-8", XML_PARSE_NONET);
    if (!reader)
        vh_domain_refuse(&p, "it is not XML");
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
    g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "the domain's XML is refused: %s",
                p.problem);
    g_free(p.problem);
    return NULL;
}
