// SPDX-License-Identifier: GPL-2.0-or-later
// The values that a domain's XML is read into.
#include "libvirt/xml.h"

#include <string.h>

const char *vh_domain_channel_text(enum vh_domain_channel channel)
{
    static const char *const texts[] = {"none", "other", "inactive", "disconnected", "connected"};
    G_STATIC_ASSERT(G_N_ELEMENTS(texts) == VH_DOMAIN_CHANNELS);

    return texts[channel];
}

bool vh_domain_name_valid(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    gsize len = strspn(name, allowed);

    return len > 0 && len <= VH_DOMAIN_NAME_MAX && !name[len] && name[0] != '.';
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

struct vh_domain *vh_domain_new(void)
{
    struct vh_domain *domain = g_new0(struct vh_domain, 1);

    domain->id = -1;
    domain->vcpu_pins = pins_new();
    domain->iothread_pins = pins_new();
    return domain;
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
    g_free(domain->pins_ours);
    g_free(domain->wishes);
    g_array_unref(domain->vcpu_pins);
    g_array_unref(domain->iothread_pins);
    g_free(domain);
}
