/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzes the reader of libvirt domains: whatever is accepted keeps libvirt/xml.h's promises. */
#include "libvirt/xml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(bool held)
{
    if (!held)
        abort();
}

static void check_list(const char *list)
{
    check(!list || (*list && strspn(list, "0123456789,-^") == strlen(list) &&
                    strlen(list) <= VH_DOMAIN_TEXT_MAX));
}

static void check_pins(const GArray *pins)
{
    check(pins->len <= VH_DOMAIN_VCPUS_MAX);
    for (guint i = 0; i < pins->len; i++) {
        const struct vh_domain_pin *pin = &g_array_index(pins, struct vh_domain_pin, i);

        check(pin->id <= VH_DOMAIN_VCPUS_MAX && pin->cpus);
        check_list(pin->cpus);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhDomain) domain = vh_domain_parse((const char *)bytes, len, &error);

    check(!domain == !!error);
    if (!domain) {
        check(g_utf8_validate(error->message, -1, NULL));
        return 0;
    }
    check(domain->name && *domain->name && g_uuid_string_is_valid(domain->uuid));
    check(!domain->profile || vh_domain_name_valid(domain->profile));
    check(domain->channel < VH_DOMAIN_CHANNELS && vh_domain_channel_text(domain->channel));
    check(domain->vcpus <= VH_DOMAIN_VCPUS_MAX && domain->vcpus_now <= domain->vcpus);
    check_list(domain->cpus);
    check_list(domain->nodes);
    check_list(domain->emulator);
    check_pins(domain->vcpu_pins);
    check_pins(domain->iothread_pins);
    return 0;
}
