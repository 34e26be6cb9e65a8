/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One reading of one document, for xml-read.c only: the elements that are looked at. */
#pragma once

#include <libxml/xmlreader.h>

#include "libvirt/xml.h"

/* One <channel> while it is read. */
struct channel {
    bool unix_socket;
    bool bound;
    bool ours;
    bool connected;
    bool stated;
    char *path;
};

struct vh_domain_parse {
    xmlTextReader *reader;
    struct vh_domain *domain;
    GString *path;                          /* "/domain/devices/channel" */
    gsize lengths[VH_DOMAIN_DEPTH_MAX + 1]; /* of the path before each open element */
    GString *text;                          /* of the element that is open, if somebody wants it */
    struct channel channel;
    char *problem; /* set once */
};

/* Refuses the document; the first word counts. */
void vh_domain_refuse(struct vh_domain_parse *p, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* What is looked at; `end` gets the element's text, stripped. */
struct vh_domain_element {
    const char *path;
    void (*begin)(struct vh_domain_parse *p);
    void (*end)(struct vh_domain_parse *p);
    gsize text; /* bytes of it at most; 0: nobody wants it */
};

/* NULL: nobody looks at what has this path. */
const struct vh_domain_element *vh_domain_element_find(const char *path);
