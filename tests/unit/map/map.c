/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures of made-up hosts: what the text says, and that the SVG is one, up to large hosts and
 * hostile names. */
#include "map/map.h"

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <string.h>

static struct vh_topology *synthetic(const char *description)
{
    g_autoptr(GError) error = NULL;
    struct vh_topology *topology = vh_topology_synthetic(description, &error);

    g_assert_no_error(error);
    return topology;
}

static struct vh_cpuset cpus(const char *list)
{
    g_autoptr(GError) error = NULL;
    struct vh_cpuset set = {{0}};
    int result = vh_cpuset_parse(&set, list, &error);

    g_assert_no_error(error);
    g_assert_cmpint(result, ==, 0);
    return set;
}

static void add(VhMap *map, int vcpu, const char *list, const char *why)
{
    struct vh_cpuset set = cpus(list ? list : "");

    vh_map_add_thread(
        map, &(struct vh_map_thread){
                 .vcpu = vcpu, .role = "emulator", .cpus = list ? &set : NULL, .why = why});
}

static xmlDoc *parse(const char *svg)
{
    xmlDoc *doc =
        xmlReadMemory(svg, (int)strlen(svg), "map.svg", NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);

    g_assert_nonnull(doc);
    g_assert_cmpstr((const char *)xmlDocGetRootElement(doc)->name, ==, "svg");
    return doc;
}

/* How many elements the XPath finds. */
static int count(xmlDoc *doc, const char *path)
{
    xmlXPathContext *context = xmlXPathNewContext(doc);

    xmlXPathRegisterNs(context, (const xmlChar *)"s",
                       (const xmlChar *)"http://www.w3.org/2000/svg");
    xmlXPathObject *found = xmlXPathEvalExpression((const xmlChar *)path, context);
    g_assert_nonnull(found);
    int result = found->nodesetval ? found->nodesetval->nodeNr : 0;
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
    return result;
}

static VhMap *small(const struct vh_topology *topology)
{
    VhMap *map = vh_map_new(topology, "host");
    struct vh_cpuset reserved = cpus("7");

    vh_map_reserve(map, &reserved);
    vh_map_add_guest(map, "web");
    add(map, 0, "1", "a hint pins it");
    add(map, 1, NULL, "");
    add(map, 2, "4-5", "group");
    add(map, -1, "0", "policy");
    vh_map_add_guest(map, "db");
    add(map, 0, "1", "overcommit");
    return map;
}

static void test_text(void)
{
    g_autoptr(VhTopology) topology = synthetic("package:2 l3:1 core:2 pu:2");
    g_autoptr(VhMap) map = small(topology);
    g_autofree char *text = vh_map_text(map, 80);

    g_assert_cmpstr(strstr(text, "\nsocket"), ==,
                    "\nsocket 0\n"
                    "  L3 0, NUMA node 0\n"
                    "    [ 0 web/emulator | 1 web/0+1] [ 2 . | 3 .]\n"
                    "\nsocket 1\n"
                    "  L3 1, NUMA node 0\n"
                    "    [ 4 ~ | 5 ~] [ 6 . | 7 x]\n"
                    "\nweb: 3 vCPUs: 1 on a CPU of its own, 1 held to a set, 1 floats\n"
                    "  vCPU 0 on 1: a hint pins it\n"
                    "  vCPU 2 on 4-5: group\n"
                    "  emulator on 0: policy\n"
                    "\ndb: 1 vCPU: 1 on a CPU of its own\n"
                    "  vCPU 0 on 1: overcommit\n");
    g_assert_true(
        g_str_has_prefix(text, "host: 8 CPUs, 4 cores, 2 L3 caches, 1 NUMA node, 2 sockets\n"));
    g_autofree char *narrow = vh_map_text(map, 20);
    g_assert_nonnull(strstr(narrow, "    [ 4 ~ | 5 ~]\n    [ 6 . | 7 x]\n"));
}

static void test_svg(void)
{
    g_autoptr(VhTopology) topology = synthetic("package:2 l3:1 core:2 pu:2");
    g_autoptr(VhMap) map = small(topology);
    g_autofree char *svg = vh_map_svg(map);
    xmlDoc *doc = parse(svg);

    g_assert_cmpint(count(doc, "//s:rect[@class='box']"), ==, 2);
    g_assert_cmpint(count(doc, "//s:rect[@class='core']"), ==, 4);
    g_assert_cmpint(count(doc, "//s:g/s:title"), ==, 8);
    g_assert_cmpint(count(doc, "//s:g/s:rect[@class='reserved']"), ==, 1);
    g_assert_cmpint(count(doc, "//s:g/s:rect[@class='s0']"), ==,
                    2); /* the stripes on CPUs 4 and 5 */
    g_assert_cmpint(count(doc, "//s:g/s:text[.='web/0']"), ==, 1);
    g_assert_cmpint(count(doc, "//s:g/s:text[.='+1']"), ==, 1);
    g_assert_cmpint(count(doc, "//s:script"), ==, 0);
    xmlFreeDoc(doc);
}

static void test_json(void)
{
    g_autoptr(VhTopology) topology = synthetic("package:2 l3:1 core:2 pu:2");
    g_autoptr(VhMap) map = small(topology);
    g_autoptr(JsonNode) root = vh_map_json(map);
    static const struct {
        const char *path, *value;
    } rows[] = {
        {"$.cpus[5].socket", "[1]"},
        {"$.cpus[7].reserved", "[true]"},
        {"$.cpus[4].core", "[2]"},
        {"$.guests[0].threads[2].host_cpus", "[\"4-5\"]"},
        {"$.guests[0].threads[1].host_cpus", "[\"\"]"},
        {"$.guests[1].threads[0].reason", "[\"overcommit\"]"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(JsonNode) found = json_path_query(rows[i].path, root, NULL);
        g_autofree char *text = json_to_string(found, FALSE);

        g_assert_cmpstr(text, ==, rows[i].value);
    }
}

/* 256 CPUs, every one of them taken, by 40 guests with names that nobody should trust. */
static void test_large(void)
{
    g_autoptr(VhTopology) topology = synthetic("package:2 l3:8 core:8 pu:2");
    g_autoptr(VhMap) map = vh_map_new(topology, "<large> & \"wide\"");

    for (unsigned guest = 0; guest < 40; guest++) {
        g_autofree char *name =
            g_strdup_printf("g%u<&\"'\x01\x1b[2J\xff\xef\xbf\xbe→日本語日本語日本語", guest);

        vh_map_add_guest(map, name);
        for (unsigned vcpu = 0; vcpu < 7; vcpu++) {
            g_autofree char *list = g_strdup_printf("%u", (guest * 7 + vcpu) % 256);

            add(map, (int)vcpu, list, "because of ]]> & <this>\x02");
        }
        add(map, 7, "0-255", "all over");
    }
    g_autofree char *svg = vh_map_svg(map);
    xmlDoc *doc = parse(svg);
    g_assert_cmpint(count(doc, "//s:g/s:title"), ==, 256);
    g_assert_cmpint(count(doc, "//s:rect[@class='box']"), ==, 16);
    g_assert_cmpint(count(doc, "//s:text[@class='owner']"), ==, 256);
    xmlFreeDoc(doc);

    g_autofree char *text = vh_map_text(map, 160);
    g_assert_true(g_utf8_validate(text, -1, NULL));
    g_assert_null(strchr(text, '\x1b'));
    g_assert_nonnull(strstr(text, "socket 1\n"));
}

/* A host with holes, more nodes than sockets, an L3 over two nodes; and no guest at all. */
static void test_odd(void)
{
    static const char *const hosts[] = {"pu:1", "package:1 node:4 l3:1 core:3 pu:1",
                                        "package:1 l3:1 node:2 core:2 pu:1",
                                        "node:8 l3:4 core:8 pu:2"};

    for (unsigned i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autoptr(VhTopology) whole = synthetic(hosts[i]);
        struct vh_cpuset gone = cpus("1");
        g_autoptr(VhTopology) topology =
            whole->cpu_count > 1 ? vh_topology_without(whole, &gone) : NULL;
        g_autoptr(VhMap) map = vh_map_new(topology ? topology : whole, hosts[i]);
        g_autofree char *svg = vh_map_svg(map);
        g_autofree char *text = vh_map_text(map, 1);
        xmlDoc *doc = parse(svg);

        g_assert_cmpint(count(doc, "//s:g/s:title"), ==,
                        (int)whole->cpu_count - (topology ? 1 : 0));
        g_assert_nonnull(strstr(text, "socket 0\n"));
        xmlFreeDoc(doc);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map/text", test_text);
    g_test_add_func("/map/svg", test_svg);
    g_test_add_func("/map/json", test_json);
    g_test_add_func("/map/large", test_large);
    g_test_add_func("/map/odd", test_odd);
    return g_test_run();
}
