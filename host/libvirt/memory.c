// SPDX-License-Identifier: GPL-2.0-or-later
// Changes domains' memory by jobs for libvirtd.
#include "libvirt/memory.h"

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <string.h>

#include "libvirt/xml.h"

struct order {
    char *uuid;
    char *name;
    guint64 bytes;
    char *problem;
    void (*done)(const char *problem, void *data); /* NULL: called */
    void *data;
};

static void order_free(gpointer data)
{
    struct order *order = data;

    if (order->done)
        order->done("the connection to libvirtd was closed", order->data);
    g_free(order->uuid);
    g_free(order->name);
    g_free(order->problem);
    g_free(order);
}

/* The first node that `path` finds below `from`; NULL: none. */
static xmlNodePtr find(xmlXPathContextPtr context, xmlNodePtr from, const char *path)
{
    xmlXPathObjectPtr found = NULL;
    xmlNodePtr node = NULL;

    context->node = from;
    found = xmlXPathEvalExpression((const xmlChar *)path, context);
    if (found && found->nodesetval && found->nodesetval->nodeNr)
        node = found->nodesetval->nodeTab[0];
    xmlXPathFreeObject(found);
    return node;
}

/* The device's element, changed in place, as text. */
static char *change(xmlDocPtr document, xmlXPathContextPtr context, const char *name, guint64 bytes)
{
    g_autofree char *path =
        g_strdup_printf("/domain/devices/memory[@model='virtio-mem'][alias/@name='%s']", name);
    g_autofree char *kib = g_strdup_printf("%" G_GUINT64_FORMAT, bytes >> 10);
    xmlNodePtr device = find(context, xmlDocGetRootElement(document), path);
    xmlNodePtr requested = device ? find(context, device, "target/requested") : NULL;
    xmlBufferPtr buffer = requested ? xmlBufferCreate() : NULL;
    char *text = NULL;

    if (!buffer)
        return NULL;
    xmlNodeSetContent(requested, (const xmlChar *)kib);
    xmlSetProp(requested, (const xmlChar *)"unit", (const xmlChar *)"KiB");
    if (xmlNodeDump(buffer, document, device, 0, 0) >= 0)
        text = strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

char *vh_virt_memory_element(const char *xml, const char *name, guint64 bytes)
{
    xmlDocPtr document = NULL;
    xmlXPathContextPtr context = NULL;
    char *text = NULL;

    if (strchr(name, '\''))
        return NULL;
    vh_domain_xml_init();
    document =
        xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);
    context = document ? xmlXPathNewContext(document) : NULL;
    if (context)
        text = change(document, context, name, bytes);
    xmlXPathFreeContext(context);
    xmlFreeDoc(document);
    return text;
}

/* 0, or -1 with the problem noted or the connection lost. */
static int set_virtio_mem(virDomainPtr domain, struct order *order)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    char *element = xml ? vh_virt_memory_element(xml, order->name, order->bytes) : NULL;
    int result = element ? virDomainUpdateDeviceFlags(domain, element, VIR_DOMAIN_AFFECT_LIVE) : -1;

    if (xml && !element)
        order->problem = g_strdup_printf("the domain has no virtio-mem device \"%s\"", order->name);
    free(xml);
    free(element);
    return result;
}

/* In a worker. */
static bool work(virConnectPtr connection, gpointer data)
{
    struct order *order = data;
    virDomainPtr domain = virDomainLookupByUUIDString(connection, order->uuid);
    int result = -1;

    if (domain && *order->name)
        result = set_virtio_mem(domain, order);
    else if (domain)
        result = virDomainSetMemoryFlags(domain, (unsigned long)(order->bytes >> 10),
                                         VIR_DOMAIN_AFFECT_LIVE);
    if (result < 0 && !order->problem && !vh_virt_lost(connection))
        order->problem = vh_virt_error();
    if (domain)
        virDomainFree(domain);
    return result == 0 || order->problem;
}

static void done(gpointer data)
{
    struct order *order = data;
    void (*func)(const char *problem, void *data) = order->done;

    order->done = NULL;
    func(order->problem, order->data);
}

static const struct vh_virt_job job = {.work = work, .done = done, .free = order_free};

void vh_virt_memory_set(VhVirt *virt, const char *uuid, const char *name, guint64 bytes,
                        void (*func)(const char *problem, void *data), void *data)
{
    struct order *order = g_new0(struct order, 1);

    order->uuid = g_strdup(uuid);
    order->name = g_strdup(name);
    order->bytes = bytes;
    order->done = func;
    order->data = data;
    vh_virt_submit(virt, uuid, &job, order);
}
