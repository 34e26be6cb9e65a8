/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains as libvirt prints them, and XML as strangers write it. */
#include "libvirt/xml.h"

#include <dlfcn.h>
#include <libxml/xmlreader.h>
#include <string.h>

#include "base/error.h"

#define UUID "<uuid>04e404a5-4fac-4774-b77a-4a52a787257e</uuid>"

/* libxml2's own, in between: any thread may be the first that parses, and several at once. */
static int initialised;

void xmlInitParser(void)
{
    void (*real)(void) = NULL;

    initialised++;
    *(void **)&real = dlsym(RTLD_NEXT, "xmlInitParser");
    real();
}

xmlTextReaderPtr xmlReaderForMemory(const char *buffer, int size, const char *url,
                                    const char *encoding, int options)
{
    xmlTextReaderPtr (*real)(const char *, int, const char *, const char *, int) = NULL;

    g_assert_cmpint(initialised, ==, 1);
    *(void **)&real = dlsym(RTLD_NEXT, "xmlReaderForMemory");
    return real(buffer, size, url, encoding, options);
}

static struct vh_domain *parse_file(const char *name)
{
    GError *error = NULL;
    g_autofree char *path = g_build_filename(DOMAINS, name, NULL);
    g_autofree char *text = NULL;
    gsize len = 0;
    g_assert_true(g_file_get_contents(path, &text, &len, &error));
    struct vh_domain *domain = vh_domain_parse(text, len, &error);
    g_assert_no_error(error);
    return domain;
}

/* A running domain as `virsh dumpxml` printed it. */
static void test_live(void)
{
    g_autoptr(VhDomain) domain = parse_file("live.xml");
    g_assert_cmpint(domain->id, ==, 1);
    g_assert_cmpstr(domain->name, ==, "t1");
    g_assert_cmpstr(domain->uuid, ==, "04e404a5-4fac-4774-b77a-4a52a787257e");
    g_assert_cmpstr(domain->profile, ==, "web");
    g_assert_true(domain->channel_added);
    g_assert_cmpuint(domain->vcpus, ==, 4);
    g_assert_cmpuint(domain->vcpus_now, ==, 2);
    g_assert_cmpuint(domain->iothreads, ==, 1);
    g_assert_true(domain->virtio_serial);
    g_assert_cmpint(domain->channel, ==, VH_DOMAIN_CHANNEL_CONNECTED);
    g_assert_cmpstr(domain->channel_path, ==,
                    "/var/lib/libvirt/qemu/channel/target/domain-1-t1/org.vhint.0");
    g_assert_null(domain->cpus);
    g_assert_null(domain->emulator);
    g_assert_cmpuint(domain->vcpu_pins->len, ==, 0);
}

static void test_pinned(void)
{
    g_autoptr(VhDomain) domain = parse_file("pinned.xml");
    g_assert_cmpint(domain->id, ==, 12);
    g_assert_cmpstr(domain->name, ==, "web 1/ä");
    g_assert_cmpstr(domain->uuid, ==, "04e404a5-4fac-4774-b77a-4a52a787257e");
    g_assert_cmpstr(domain->profile, ==, "web-farm");
    g_assert_cmpuint(domain->vcpus, ==, 8);
    g_assert_cmpuint(domain->vcpus_now, ==, 6);
    g_assert_cmpstr(domain->cpus, ==, "0-3,8");
    g_assert_true(domain->cpus_auto);
    g_assert_cmpstr(domain->nodes, ==, "0-1");
    g_assert_cmpstr(domain->emulator, ==, "0-1");
    g_assert_cmpuint(domain->vcpu_pins->len, ==, 2);
    const struct vh_domain_pin *pin = &g_array_index(domain->vcpu_pins, struct vh_domain_pin, 1);
    g_assert_cmpuint(pin->id, ==, 7);
    g_assert_cmpstr(pin->cpus, ==, "3-4");
    g_assert_cmpuint(domain->iothread_pins->len, ==, 1);
    /* libvirt refuses two ports of one name; if there were two, the first would count. */
    g_assert_cmpint(domain->channel, ==, VH_DOMAIN_CHANNEL_OTHER);
    g_assert_null(domain->channel_path);
}

static void test_least(void)
{
    static const char text[] = "<domain><name>a</name>" UUID "</domain>";
    GError *error = NULL;
    g_autoptr(VhDomain) domain = vh_domain_parse(text, strlen(text), &error);
    g_assert_no_error(error);
    g_assert_cmpint(domain->id, ==, -1);
    g_assert_null(domain->profile);
    g_assert_false(domain->channel_added);
    g_assert_cmpint(domain->channel, ==, VH_DOMAIN_CHANNEL_NONE);
    g_assert_false(domain->virtio_serial);
}

/* What vhintd has noted itself. */
static void test_notes(void)
{
    g_autofree char *long_text = g_strnfill(VH_DOMAIN_NOTE_MAX, 'A');
    g_autofree char *text = g_strdup_printf(
        "<domain><name>a</name>" UUID "<metadata>"
        "<v:pins xmlns:v='" VH_DOMAIN_PINS_NAMESPACE "'>vcpupin0 * 1;vcpupin1 0-3 2</v:pins>"
        "<w:wishes xmlns:w='" VH_DOMAIN_WISHES_NAMESPACE "'>%s</w:wishes></metadata></domain>",
        long_text);
    GError *error = NULL;
    g_autoptr(VhDomain) domain = vh_domain_parse(text, strlen(text), &error);
    g_assert_no_error(error);
    g_assert_cmpstr(domain->pins_ours, ==, "vcpupin0 * 1;vcpupin1 0-3 2");
    g_assert_cmpstr(domain->wishes, ==, long_text);
}

static void test_channels(void)
{
    static const struct {
        const char *channel;
        enum vh_domain_channel state;
        const char *path;
    } cases[] = {
        {"<channel type='unix'><source mode='bind' path='/s'/><target type='virtio' "
         "name='org.vhint.0'/></channel>",
         VH_DOMAIN_CHANNEL_INACTIVE, "/s"},
        {"<channel type='unix'><target type='virtio' name='org.vhint.0'/></channel>",
         VH_DOMAIN_CHANNEL_INACTIVE, NULL},
        {"<channel type='unix'><source mode='bind' path='/s'/>"
         "<target type='virtio' name='org.vhint.0' state='disconnected'/></channel>",
         VH_DOMAIN_CHANNEL_DISCONNECTED, "/s"},
        {"<channel type='unix'><source mode='connect' path='/s'/>"
         "<target type='virtio' name='org.vhint.0' state='connected'/></channel>",
         VH_DOMAIN_CHANNEL_OTHER, NULL},
        {"<channel type='unix'><source mode='bind' path='/s'/>"
         "<target type='virtio' name='org.vhint.1' state='connected'/></channel>",
         VH_DOMAIN_CHANNEL_NONE, NULL},
        {"<channel type='unix'><source mode='bind' path='/s'/>"
         "<target type='guestfwd' name='org.vhint.0' state='connected'/></channel>",
         VH_DOMAIN_CHANNEL_NONE, NULL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        g_autofree char *text = g_strdup_printf(
            "<domain><name>a</name>" UUID "<devices>%s</devices></domain>", cases[i].channel);
        g_autoptr(VhDomain) domain = vh_domain_parse(text, strlen(text), &error);
        g_assert_no_error(error);
        g_assert_cmpint(domain->channel, ==, cases[i].state);
        g_assert_cmpstr(domain->channel_path, ==, cases[i].path);
    }
}

static void assert_refused(const char *text, gsize len, const char *pattern)
{
    GError *error = NULL;
    struct vh_domain *domain = vh_domain_parse(text, len, &error);
    g_assert_null(domain);
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    if (!g_pattern_match_simple(pattern, error->message))
        g_error("%.200s: \"%s\" does not match \"%s\"", text, error->message, pattern);
    g_error_free(error);
}

#define DOMAIN(inner) "<domain><name>a</name>" UUID inner "</domain>"

static void test_refused(void)
{
    static const struct {
        const char *text;
        const char *pattern;
    } cases[] = {
        {"", "*"},
        {"not XML", "*"},
        {"<domain><name>a</name>" UUID, "*"},
        {"<domain><name>a</name>" UUID "</network>", "*"},
        {"<network><name>a</name></network>", "*not a <domain> but a <network>*"},
        {"<domain>" UUID "</domain>", "*no name*"},
        {"<domain><name></name>" UUID "</domain>", "*no name*"},
        {"<domain><name>a</name></domain>", "*no UUID*"},
        {"<domain><name>a</name><uuid>04e4</uuid></domain>", "*not a UUID*"},
        {DOMAIN("<vcpu>many</vcpu>"), "*not a number of at most 4096*"},
        {DOMAIN("<vcpu>4097</vcpu>"), "*not a number of at most 4096*"},
        {DOMAIN("<vcpu>-1</vcpu>"), "*not a number*"},
        {DOMAIN("<vcpu cpuset='0;reboot'>1</vcpu>"), "*not a list*"},
        {DOMAIN("<metadata><p:profile xmlns:p='urn:vhint:domain:1'>../x</p:profile></metadata>"),
         "*profile*../x*"},
        {"<!DOCTYPE domain [<!ENTITY a 'aaaa'><!ENTITY b "
         "'&a;&a;'>]><domain><name>&b;</name></domain>",
         "*entity*"},
        {"<!DOCTYPE domain SYSTEM 'http://localhost/x'><domain/>", "*document type*"},
        {DOMAIN("<x>&undefined;</x>"), "*"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].pattern);
    assert_refused("<domain>\0</domain>", 18, "*");
    assert_refused("<domain><name>\xff\xfe</name></domain>", 33, "*");
}

static void test_limits(void)
{
    g_autoptr(GString) deep = g_string_new("<domain>");
    g_autoptr(GString) wide = g_string_new("<domain>");
    g_autofree char *long_name = g_strnfill(VH_DOMAIN_TEXT_MAX + 1, 'n');
    g_autofree char *named = g_strdup_printf("<domain><name>%s</name></domain>", long_name);
    g_autofree char *attributed =
        g_strdup_printf("<domain><vcpu cpuset='%s'>1</vcpu></domain>", long_name);
    g_autofree char *huge = g_strnfill(VH_DOMAIN_XML_MAX + 1, ' ');
    gint64 begin = g_get_monotonic_time();

    for (int i = 0; i < 100000; i++)
        g_string_append(deep, "<a>");
    assert_refused(deep->str, deep->len, "*nested over 64 deep*");
    while (wide->len < VH_DOMAIN_XML_MAX - 100)
        g_string_append(wide, "<cputune><vcpupin vcpu='1' cpuset='1'/></cputune>");
    assert_refused(wide->str, wide->len, "*");
    assert_refused(named, strlen(named), "*over 4096 bytes*");
    assert_refused(attributed, strlen(attributed), "*over 4096 bytes*");
    assert_refused(huge, strlen(huge), "*the limit is 4194304*");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 5 * G_USEC_PER_SEC);
}

static void test_names(void)
{
    g_autofree char *longest = g_strnfill(VH_DOMAIN_NAME_MAX, 'a');
    g_autofree char *longer = g_strnfill(VH_DOMAIN_NAME_MAX + 1, 'a');
    g_assert_true(vh_domain_name_valid("web-1.example_X"));
    g_assert_true(vh_domain_name_valid(longest));
    g_assert_false(vh_domain_name_valid(longer));
    g_assert_false(vh_domain_name_valid(""));
    g_assert_false(vh_domain_name_valid(".."));
    g_assert_false(vh_domain_name_valid("a/b"));
    g_assert_false(vh_domain_name_valid("a b"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/domain/live", test_live);
    g_test_add_func("/domain/pinned", test_pinned);
    g_test_add_func("/domain/least", test_least);
    g_test_add_func("/domain/channels", test_channels);
    g_test_add_func("/domain/notes", test_notes);
    g_test_add_func("/domain/refused", test_refused);
    g_test_add_func("/domain/limits", test_limits);
    g_test_add_func("/domain/names", test_names);
    return g_test_run();
}
