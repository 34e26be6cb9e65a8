/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vhint wants to know of a libvirt domain, read from its XML. Pure.
 *
 * The XML may come from anybody who can define a domain, so it is read as a stranger's: without
 * entities, document types, network or files, within limits of size and depth. Source: libvirt's
 * formatdomain. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define VH_DOMAIN_XML_MAX (4u << 20)
#define VH_DOMAIN_DEPTH_MAX 64
#define VH_DOMAIN_TEXT_MAX 4096u        /* bytes of an attribute or text that is looked at */
#define VH_DOMAIN_NOTE_MAX (512u << 10) /* bytes of what vhintd itself notes */
#define VH_DOMAIN_VCPUS_MAX 4096u       /* also: pins, IOThreads */
#define VH_DOMAIN_NAME_MAX 99           /* characters of a guest's or profile's name */

/* The element <profile> of this namespace in the domain's <metadata> names its profile. */
#define VH_DOMAIN_NAMESPACE "urn:vhint:domain:1"
#define VH_DOMAIN_PREFIX "vhint"
/* The element <added> of this one says that the channel is vhintctl's work. libvirt keeps one
 * element for each namespace. */
#define VH_DOMAIN_CHANNEL_NAMESPACE "urn:vhint:channel:1"
#define VH_DOMAIN_CHANNEL_PREFIX "vhint-channel"
/* The element <pins> of this one says which of the domain's pins are vhintd's, in the words of
 * pins-sync.h.
 */
#define VH_DOMAIN_PINS_NAMESPACE "urn:vhint:pins:1"
#define VH_DOMAIN_PINS_PREFIX "vhint-pins"
/* The element <wishes> of this one is what goes with the domain wherever it migrates
 * (programs/travel.h). */
#define VH_DOMAIN_WISHES_NAMESPACE "urn:vhint:wishes:1"
#define VH_DOMAIN_WISHES_PREFIX "vhint-wishes"

enum vh_domain_channel {
    VH_DOMAIN_CHANNEL_NONE,     /* no port org.vhint.0 */
    VH_DOMAIN_CHANNEL_OTHER,    /* there is one, but not on a UNIX socket that QEMU listens at */
    VH_DOMAIN_CHANNEL_INACTIVE, /* there is one, not running or not plugged in yet */
    VH_DOMAIN_CHANNEL_DISCONNECTED, /* nobody in the guest has it open */
    VH_DOMAIN_CHANNEL_CONNECTED,
    VH_DOMAIN_CHANNELS
};
const char *vh_domain_channel_text(enum vh_domain_channel channel);

struct vh_domain_pin {
    unsigned id; /* vCPU or IOThread */
    char *cpus;
};

/* Lists of CPUs and NUMA nodes are in the format of cpuset(7), as libvirt prints them; NULL where
 * there is none.
 */
struct vh_domain {
    int id; /* of the running instance; -1: inactive */
    char *name;
    char *uuid;    /* canonical, lower case */
    char *profile; /* NULL: none */
    enum vh_domain_channel channel;
    char *channel_path; /* NULL: not known yet */
    bool channel_added; /* by vhintctl */
    bool virtio_serial; /* has a controller, so a port can be plugged in while it runs */
    unsigned vcpus;     /* those that can be */
    unsigned vcpus_now; /* those that are */
    char *cpus;         /* <vcpu cpuset> */
    bool cpus_auto;     /* <vcpu placement='auto'>: numad chooses */
    unsigned iothreads;
    char *nodes;       /* <numatune><memory nodeset> */
    char *emulator;    /* <emulatorpin cpuset> */
    GArray *vcpu_pins; /* struct vh_domain_pin */
    GArray *iothread_pins;
    char *pins_ours; /* NULL: none are said to be vhintd's */
    char *wishes;    /* NULL: none */
};

/* Before the first use of libxml2, in whichever thread: it makes its tables when they are first
 * asked for, and two threads that ask at once meet half of one. Again does nothing. Source:
 * libxml2's xmlInitParser. */
void vh_domain_xml_init(void);

/* From any thread. NULL and VH_ERROR_INVALID_ARGUMENT that says what is wrong, or what the limit
 * is. */
struct vh_domain *vh_domain_parse(const char *xml, gsize len,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* An inactive domain of which nothing is known. */
struct vh_domain *vh_domain_new(void);
void vh_domain_free(struct vh_domain *domain);
typedef struct vh_domain VhDomain;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhDomain, vh_domain_free)

/* 1 to VH_DOMAIN_NAME_MAX characters of A-Z a-z 0-9 _ . - and not beginning with a dot: what vhint
 * takes as the name of a guest or profile. */
bool vh_domain_name_valid(const char *name);
