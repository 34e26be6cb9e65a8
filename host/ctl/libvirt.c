// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl enable and disable: the channel and the profile in a domain's definition, by way of
// libvirt.
//
// vhintctl speaks with libvirt itself: whoever may change a domain may, and the daemon needs no
// right to.
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "libvirt/xml.h"
#include "wire.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virConnect, virConnectClose)

#define PORT "<target type='virtio' name='" VH_PORT_NAME "'/>"

/* A domain's two lives; either may be NULL. */
struct target {
    virDomainPtr domain;
    struct vh_domain *config; /* the definition that the next start uses; NULL: transient */
    struct vh_domain *live;   /* NULL: not running */
};

/* What was done to one life; for the report. */
enum change {
    CHANGE_NONE,
    CHANGE_ADDED,
    CHANGE_THERE,
    CHANGE_NEXT_START,
    CHANGE_REMOVED,
    CHANGE_ABSENT,
    CHANGE_KEPT,
    CHANGES
};
static const char *const change_texts[] = {"",
                                           "added",
                                           "already there",
                                           "at its next start",
                                           "removed",
                                           "not there",
                                           "kept, as vhintctl did not add it"};
G_STATIC_ASSERT(G_N_ELEMENTS(change_texts) == CHANGES);

static int fail(GError **error, const char *name, const char *doing)
{
    const virError *cause = virGetLastError();
    int code = cause && cause->code == VIR_ERR_NO_DOMAIN ? VH_EXIT_NOT_FOUND : VH_EXIT_REFUSED;

    g_set_error(error, VH_CTL_ERROR, code, "%s: %s: %s", name, doing,
                cause && cause->message ? cause->message : "libvirt does not say why");
    return -1;
}

static int refuse(GError **error, const char *name, const char *text)
{
    g_set_error(error, VH_CTL_ERROR, VH_EXIT_REFUSED, "%s: %s", name, text);
    return -1;
}

/* ---- libvirt ---- */

static void ignore_error(G_GNUC_UNUSED void *data, G_GNUC_UNUSED virErrorPtr error)
{
}

static virConnectPtr open_libvirt(const struct vh_ctl *ctl, GError **error)
{
    const char *uri = ctl->libvirt ? ctl->libvirt : VH_CTL_LIBVIRT;
    virConnectPtr connection;

    virSetErrorFunc(NULL, ignore_error);
    connection = virConnectOpen(uri);
    if (!connection)
        g_set_error(
            error, VH_CTL_ERROR, VH_EXIT_UNREACHABLE,
            "cannot reach libvirt at %s: %s: is libvirtd running? (--connect URI for another)", uri,
            virGetLastErrorMessage());
    return connection;
}

/* NULL and `*error` untouched: there is none of that kind. */
static struct vh_domain *read_xml(virDomainPtr domain, unsigned flags, GError **error)
{
    char *text = virDomainGetXMLDesc(domain, flags);
    struct vh_domain *xml = NULL;

    if (!text)
        fail(error, virDomainGetName(domain), "reading its definition");
    else
        xml = vh_domain_parse(text, strlen(text), error);
    free(text);
    return xml;
}

static int read_target(struct target *target, virConnectPtr connection, const char *name,
                       GError **error)
{
    int active, persistent;

    target->domain =
        g_uuid_string_is_valid(name) ? virDomainLookupByUUIDString(connection, name) : NULL;
    if (!target->domain)
        target->domain = virDomainLookupByName(connection, name);
    if (!target->domain) {
        fail(error, name, "virsh list --all shows the domains that libvirt has");
        return -1;
    }
    active = virDomainIsActive(target->domain);
    persistent = virDomainIsPersistent(target->domain);
    if (active < 0 || persistent < 0)
        return fail(error, name, "asking for its state");
    if (active && !(target->live = read_xml(target->domain, 0, error)))
        return -1;
    if (persistent && !(target->config = read_xml(target->domain, VIR_DOMAIN_XML_INACTIVE, error)))
        return -1;
    return 0;
}

static void clear_target(struct target *target)
{
    vh_domain_free(target->config);
    vh_domain_free(target->live);
    if (target->domain)
        virDomainFree(target->domain);
}

/* ---- the channel ---- */

/* Notes that the channel is vhintctl's work, or that it is not. */
static int set_mark(const struct target *target, const char *name, bool ours, unsigned flags,
                    GError **error)
{
    if (virDomainSetMetadata(target->domain, VIR_DOMAIN_METADATA_ELEMENT, ours ? "<added/>" : NULL,
                             ours ? VH_DOMAIN_CHANNEL_PREFIX : NULL, VH_DOMAIN_CHANNEL_NAMESPACE,
                             flags) < 0)
        return fail(error, name, "noting whose work the channel is");
    return 0;
}

/* The note comes first: without it, what was added could not be told from what was there. */
static int attach(const struct target *target, const char *name, unsigned flags, GError **error)
{
    static const char xml[] = "<channel type='unix'><source mode='bind'/>" PORT "</channel>";

    if (set_mark(target, name, true, flags, error) < 0)
        return -1;
    if (virDomainAttachDeviceFlags(target->domain, xml, flags) == 0)
        return 0;
    fail(error, name, "adding the channel");
    set_mark(target, name, false, flags, NULL);
    return -1;
}

static int add_channel(const struct target *target, const char *name, enum change *config,
                       enum change *live, GError **error)
{
    const struct vh_domain *lives[] = {target->config, target->live};

    for (int i = 0; i < 2; i++)
        if (lives[i] && lives[i]->channel == VH_DOMAIN_CHANNEL_OTHER)
            return refuse(error, name,
                          "it has a port " VH_PORT_NAME
                          " that is no UNIX socket of QEMU's: remove that first");
    if (!target->config && !target->live->virtio_serial &&
        target->live->channel == VH_DOMAIN_CHANNEL_NONE)
        return refuse(error, name,
                      "it is transient and runs without a virtio-serial controller: create it "
                      "again with one");
    if (target->config && target->config->channel != VH_DOMAIN_CHANNEL_NONE) {
        *config = CHANGE_THERE;
    } else if (target->config) {
        if (attach(target, name, VIR_DOMAIN_AFFECT_CONFIG, error) < 0)
            return -1;
        *config = CHANGE_ADDED;
    }
    if (!target->live)
        return 0;
    if (target->live->channel != VH_DOMAIN_CHANNEL_NONE) {
        *live = CHANGE_THERE;
    } else if (!target->live->virtio_serial) {
        *live = CHANGE_NEXT_START;
    } else {
        if (attach(target, name, VIR_DOMAIN_AFFECT_LIVE, error) < 0)
            return -1;
        *live = CHANGE_ADDED;
    }
    return 0;
}

static int detach(const struct target *target, const struct vh_domain *xml, const char *name,
                  unsigned flags, enum change *change, GError **error)
{
    g_autofree char *path =
        xml->channel_path ? g_markup_printf_escaped(" path='%s'", xml->channel_path) : NULL;
    g_autofree char *text = g_strdup_printf(
        "<channel type='unix'><source mode='bind'%s/>" PORT "</channel>", path ? path : "");

    *change = CHANGE_REMOVED;
    if (xml->channel == VH_DOMAIN_CHANNEL_NONE)
        *change = CHANGE_ABSENT;
    else if (!xml->channel_added || xml->channel == VH_DOMAIN_CHANNEL_OTHER)
        *change = CHANGE_KEPT;
    if (*change == CHANGE_REMOVED && virDomainDetachDeviceFlags(target->domain, text, flags) < 0)
        return fail(error, name, "removing the channel");
    return xml->channel_added ? set_mark(target, name, false, flags, error) : 0;
}

/* ---- the profile ---- */

/* `profile` NULL: removes it. */
static int set_profile(const struct target *target, const char *name, const char *profile,
                       GError **error)
{
    g_autofree char *xml =
        profile ? g_markup_printf_escaped("<profile>%s</profile>", profile) : NULL;
    const struct vh_domain *lives[] = {target->config, target->live};
    static const unsigned flags[] = {VIR_DOMAIN_AFFECT_CONFIG, VIR_DOMAIN_AFFECT_LIVE};

    for (int i = 0; i < 2; i++) {
        if (!lives[i] || (!profile && !lives[i]->profile))
            continue;
        if (virDomainSetMetadata(target->domain, VIR_DOMAIN_METADATA_ELEMENT, xml,
                                 profile ? VH_DOMAIN_PREFIX : NULL, VH_DOMAIN_NAMESPACE,
                                 flags[i]) < 0)
            return fail(error, name, profile ? "noting the profile" : "removing the profile");
    }
    return 0;
}

/* ---- the commands ---- */

static void print_life(const char *life, enum change change)
{
    if (change != CHANGE_NONE)
        printf("  channel, %s: %s\n", life, change_texts[change]);
}

static void print_result(const struct vh_ctl *ctl, const struct target *target, enum change config,
                         enum change live, const char *profile)
{
    const struct vh_domain *xml = target->config ? target->config : target->live;

    if (ctl->json) {
        g_autoptr(GVariant) all = g_variant_ref_sink(
            g_variant_new_parsed("{'domain': <%s>, 'uuid': <%s>, 'channel_config': <%s>, "
                                 "'channel_live': <%s>, 'profile': <%s>}",
                                 xml->name, xml->uuid, change_texts[config], change_texts[live],
                                 profile ? profile : ""));

        vh_ctl_print_variant_json(all);
        return;
    }
    printf("%s\n", xml->name);
    print_life("persistent", config);
    print_life("live", live);
    if (profile)
        printf("  profile: %s\n", profile);
}

int vh_ctl_enable(struct vh_ctl *ctl, GError **error)
{
    const char *name = ctl->args[0];
    g_autoptr(virConnect) connection = NULL;
    struct target target = {NULL};
    enum change config = CHANGE_NONE, live = CHANGE_NONE;
    int result = -1;

    if (ctl->profile && !vh_domain_name_valid(ctl->profile)) {
        g_set_error(
            error, VH_CTL_ERROR, VH_EXIT_USAGE,
            "\"%s\" cannot be a profile's name: 1 to %d characters of A-Z a-z 0-9 _ . - can",
            ctl->profile, VH_DOMAIN_NAME_MAX);
        return -1;
    }
    connection = open_libvirt(ctl, error);
    if (connection && read_target(&target, connection, name, error) == 0 &&
        add_channel(&target, name, &config, &live, error) == 0 &&
        (!ctl->profile || set_profile(&target, name, ctl->profile, error) == 0)) {
        print_result(ctl, &target, config, live, ctl->profile);
        result = VH_EXIT_OK;
    }
    clear_target(&target);
    return result;
}

int vh_ctl_disable(struct vh_ctl *ctl, GError **error)
{
    const char *name = ctl->args[0];
    g_autoptr(virConnect) connection = open_libvirt(ctl, error);
    struct target target = {NULL};
    enum change config = CHANGE_NONE, live = CHANGE_NONE;
    int result = connection ? read_target(&target, connection, name, error) : -1;

    if (result == 0 && target.config)
        result = detach(&target, target.config, name, VIR_DOMAIN_AFFECT_CONFIG, &config, error);
    if (result == 0 && target.live)
        result = detach(&target, target.live, name, VIR_DOMAIN_AFFECT_LIVE, &live, error);
    if (result == 0)
        result = set_profile(&target, name, NULL, error);
    if (result == 0)
        print_result(ctl, &target, config, live, NULL);
    clear_target(&target);
    return result < 0 ? -1 : VH_EXIT_OK;
}
