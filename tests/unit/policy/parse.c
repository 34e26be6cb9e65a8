/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policy files: what applies to whom, from which line, and every way to write them wrong. */
#include "policy/policy.h"

#include <string.h>

#include "base/error.h"
#include "lib/fake-object.h"

static VhObject *read_object(const char *name, const char *path, gpointer data, GError **error)
{
    (void)data;
    if (g_str_equal(name, "affinity"))
        return fake_object_affinity();
    if (g_str_equal(name, "stranger") && path)
        return fake_object_stranger();
    g_set_error(error, VH_ERROR, VH_ERROR_INVALID_OBJECT, "program %s: no such file", name);
    return NULL;
}

static void list_objects(GPtrArray *names, gpointer data)
{
    (void)data;
    g_ptr_array_add(names, g_strdup("affinity"));
}

/* CPUs 0-7. */
static const struct vh_cpuset eight = {{0xff}};
static const struct vh_policy_world world = {
    .cpus = &eight, .read_object = read_object, .list_objects = list_objects};

static VhPolicy *parse(const char *main_text, const char *text, GPtrArray *problems)
{
    const struct vh_policy_text texts[] = {{"vhint.conf", main_text, strlen(main_text), true},
                                           {"10.conf", text, strlen(text), false}};

    return vh_policy_parse(texts, 2, &world, problems);
}

static VhPolicy *good(const char *main_text, const char *text)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    VhPolicy *policy = parse(main_text, text, problems);

    if (!policy)
        g_error("%s", (const char *)g_ptr_array_index(problems, 0));
    g_assert_cmpuint(problems->len, ==, 0);
    return policy;
}

static VhGuestPolicy *for_name(VhPolicy *policy, const char *name)
{
    return vh_policy_for(policy, &(struct vh_guest_id){.name = name});
}

static const struct vh_policy_line *line_of(const VhGuestPolicy *guest, const char *key)
{
    for (guint i = 0; i < guest->lines->len; i++) {
        const struct vh_policy_line *line = g_ptr_array_index(guest->lines, i);

        if (g_str_equal(line->key, key))
            return line;
    }
    g_error("no line %s", key);
}

static void test_empty(void)
{
    g_autoptr(VhPolicy) policy = good("", "");
    g_autoptr(VhGuestPolicy) guest = for_name(policy, "web");

    g_assert_cmpuint(guest->programs->len, ==, 0);
    g_assert_cmpuint(guest->rules->len, ==, 0);
    g_assert_cmpuint(guest->actions, ==, vh_actions_all());
    g_assert_cmpuint(guest->max_pins, ==, 512);
    g_assert_cmpuint(guest->max_hints, ==, 0);
    g_assert_cmpuint(guest->memory.max, ==, 0);
    g_assert_cmpuint(guest->memory.step, ==, (guint64)256 << 20);
    g_assert_true(vh_cpuset_empty(&guest->placement.pool));
    g_assert_cmpuint(line_of(guest, "pool")->origin.line, ==, 0);
}

static void test_all_keys(void)
{
    g_autoptr(VhPolicy) policy = good("[daemon]\nrun-dir=/x\n[guest web]\nqmp=/a\nchannel=/b\n", //
                                      "# comment\n"
                                      "[program stranger]\n"
                                      "path = /opt/stranger.bpf.o\n"
                                      "set.threshold = 3\n"
                                      "\n"
                                      "[guest web]\n"
                                      "programs = affinity, stranger\n"
                                      "set.stranger.threshold = 5\n"
                                      "rules = one\n"
                                      "actions = pin, log\n"
                                      "pool = 2-5\n"
                                      "sharing = dedicated\n"
                                      "smt = pair\n"
                                      "overcommit = yes\n"
                                      "floating = node\n"
                                      "off-anchors = true\n"
                                      "emulator = 0-1\n"
                                      "iothreads = off-anchors\n"
                                      "vhost = pool\n"
                                      "max-pins = 3\n"
                                      "max-hints = 1000/s\n"
                                      "[rule one]\n"
                                      "on = stranger\n"
                                      "when = home >= 0 && name ~ \"ngi*\"\n"
                                      "do = pin home\n"
                                      "hold = 2s\n"
                                      "cooldown = 500ms\n"
                                      "[rule two]\n"
                                      "on = affinity\n"
                                      "do = log task {pid} {comm}\n"
                                      "[rule three]\n"
                                      "on = affinity\n"
                                      "do = group mask\n"
                                      "enabled = no\n"
                                      "[host]\n"
                                      "reserve = 0\n");
    g_autoptr(VhGuestPolicy) guest = for_name(policy, "web");
    const struct vh_placement_options *placement = &guest->placement;
    const struct vh_guest_program *program = NULL;
    const struct vh_rule *rule = NULL;

    g_assert_cmpuint(guest->programs->len, ==, 2);
    program = g_ptr_array_index(guest->programs, 1);
    g_assert_cmpstr(program->program->name, ==, "stranger");
    g_assert_cmpmem(program->tunables->data, program->tunables->len, "threshold=5", 12);
    g_assert_cmpuint(guest->rules->len, ==, 1);
    rule = g_ptr_array_index(guest->rules, 0);
    g_assert_cmpstr(rule->name, ==, "one");
    g_assert_cmpint(rule->hold_us, ==, 2000000);
    g_assert_cmpint(rule->cooldown_us, ==, 500000);
    g_assert_cmpuint(guest->actions, ==,
                     vh_action_bit(&vh_action_pin) | vh_action_bit(&vh_action_log));
    g_assert_cmpuint(placement->pool.words[0], ==, 0x3c);
    g_assert_true(placement->dedicated);
    g_assert_cmpint(placement->smt, ==, VH_SMT_PAIR);
    g_assert_true(placement->overcommit);
    g_assert_cmpint(placement->floating, ==, VH_FLOAT_NODE);
    g_assert_true(placement->off_anchors);
    g_assert_cmpint(placement->emulator.where, ==, VH_WHERE_SET);
    g_assert_cmpuint(placement->emulator.cpus.words[0], ==, 3);
    g_assert_cmpint(placement->iothreads.where, ==, VH_WHERE_OFF_ANCHORS);
    g_assert_cmpint(placement->vhosts.where, ==, VH_WHERE_POOL);
    g_assert_cmpuint(guest->max_pins, ==, 3);
    g_assert_cmpuint(guest->max_hints, ==, 1000);
    g_assert_cmpuint(policy->reserve.words[0], ==, 1);
    g_assert_cmpstr(line_of(guest, "smt")->origin.file, ==, "10.conf");
    g_assert_cmpuint(line_of(guest, "smt")->origin.line, ==, 13);
    g_assert_cmpuint(line_of(guest, "rule one")->origin.line, ==, 22);
}

/* Key by key, the most specific section that has the key; of equals the later. */
static void test_boost(void)
{
    g_autoptr(VhPolicy) policy =
        good("", "[rule a]\non = affinity\ndo = boost mask\n"
                 "[rule b]\non = affinity\ndo = boost mask rr\ntrial = off\nhold = 2s\n"
                 "cooldown = 500ms\nmax-loss = 20%\nfigure = pid\n"
                 "[rule c]\non = affinity\ndo = pin mask\n"
                 "[rule d]\non = affinity\ndo = pin mask\ntrial = on\n"
                 "[host]\nboost-budget = 40%\nboost-period = 20ms\ntrial-window = 2s\n");
    const struct vh_rule *a = g_ptr_array_index(policy->rules, 0);
    const struct vh_rule *b = g_ptr_array_index(policy->rules, 1);

    g_assert_cmpuint(policy->budget.share, ==, 40);
    g_assert_cmpint(policy->budget.period_us, ==, 20000);
    g_assert_cmpint(policy->trial_window_us, ==, 2 * G_USEC_PER_SEC);
    g_assert_cmpint(a->what.how, ==, VH_BOOST_NICE);
    g_assert_true(a->trial);
    g_assert_cmpint(a->hold_us, ==, VH_BOOST_HOLD_US);
    g_assert_cmpint(a->cooldown_us, ==, VH_BOOST_REST_US);
    g_assert_cmpuint(a->loss, ==, 75);
    g_assert_cmpint(b->what.how, ==, VH_BOOST_RR);
    g_assert_cmpstr(b->what.first, ==, "mask");
    g_assert_false(b->trial);
    g_assert_cmpint(b->hold_us, ==, 2 * G_USEC_PER_SEC);
    g_assert_cmpuint(b->loss, ==, 20);
    g_assert_cmpstr(b->figure, ==, "pid");
    g_assert_false(((const struct vh_rule *)g_ptr_array_index(policy->rules, 2))->trial);
    g_assert_true(((const struct vh_rule *)g_ptr_array_index(policy->rules, 3))->trial);
}

static void test_specificity(void)
{
    g_autoptr(VhPolicy) policy =
        good("[guest web-1]\nmax-pins = 1\nqmp=/a\nchannel=/b\n",
             "[guest *]\nmax-pins = 9\nsmt = ignore\n"
             "[guest web-*]\nmax-pins = 8\nfloating = pool\n"
             "[guest w*]\nmax-pins = 7\nfloating = node\n"
             "[guest *-1]\noff-anchors = yes\n"
             "[guest profile:db]\nmax-pins = 6\n"
             "[guest 6F1DE4D1-0000-4000-8000-0242ac120002]\nmax-pins = 5\n");
    g_autoptr(VhGuestPolicy) web1 = for_name(policy, "web-1");
    g_autoptr(VhGuestPolicy) web2 = for_name(policy, "web-2");
    g_autoptr(VhGuestPolicy) other = for_name(policy, "other");
    g_autoptr(VhGuestPolicy) db =
        vh_policy_for(policy, &(struct vh_guest_id){.name = "web-3", .profile = "db"});
    g_autoptr(VhGuestPolicy) uuid = vh_policy_for(
        policy, &(struct vh_guest_id){"web-3", "6f1de4d1-0000-4000-8000-0242ac120002", "db"});

    g_assert_cmpuint(web1->max_pins, ==, 1);
    g_assert_cmpint(web1->placement.floating, ==, VH_FLOAT_POOL);
    g_assert_cmpint(web1->placement.smt, ==, VH_SMT_IGNORE);
    g_assert_true(web1->placement.off_anchors);
    g_assert_cmpuint(web2->max_pins, ==, 8);
    g_assert_false(web2->placement.off_anchors);
    g_assert_cmpuint(other->max_pins, ==, 9);
    g_assert_cmpuint(db->max_pins, ==, 6);
    g_assert_cmpuint(uuid->max_pins, ==, 5);
}

/* A later file changes single keys of an earlier file's section. */
static void test_merge(void)
{
    g_autoptr(VhPolicy) policy =
        good("[guest a]\nmax-pins=1\nsmt=pair\n[rule r]\non=affinity\ndo=pin mask\n",
             "[guest a]\nmax-pins = 2\n[rule r]\nhold = 1s\n");
    g_autoptr(VhGuestPolicy) guest = for_name(policy, "a");
    const struct vh_rule *rule = g_ptr_array_index(guest->rules, 0);

    g_assert_cmpuint(guest->max_pins, ==, 2);
    g_assert_cmpint(guest->placement.smt, ==, VH_SMT_PAIR);
    g_assert_cmpstr(line_of(guest, "smt")->origin.file, ==, "vhint.conf");
    g_assert_cmpstr(rule->kind, ==, "affinity");
    g_assert_cmpstr(rule->program, ==, "affinity");
    g_assert_cmpint(rule->hold_us, ==, 1000000);
}

static void test_observe_only(void)
{
    g_autoptr(VhPolicy) policy =
        good("", "[guest *]\nactions = none\n[rule r]\non=affinity\ndo=pin mask\n");
    g_autoptr(VhGuestPolicy) guest = for_name(policy, "a");

    g_assert_cmpuint(guest->rules->len, ==, 0);
}

#define RULE "[rule r]\non = affinity\ndo = pin mask\n"
#define STRANGER "[program stranger]\npath = /opt/s\n"

/* The problem, with its file and line, that each text has. */
static void test_problems(void)
{
    static const struct {
        const char *text;
        const char *problem; /* what the first one begins with */
        const char *words;
    } cases[] = {
        {"pool = 1\n", "10.conf:1: ", "before the first section"},
        {"[guest a]\npool\n", "10.conf:2: ", "neither a section, KEY = VALUE nor a comment"},
        {"[guest a]\n= 1\n", "10.conf:2: ", "neither a section"},
        {"\n[guest a\n", "10.conf:2: ", "is no section"},
        {"[guest a]\nsmt = pair\nsmt = avoid\n", "10.conf:3: [guest a] smt",
         "twice (first in line 2)"},
        {"[guest a]\n[guest b]\n[guest a]\n", "10.conf:3: [guest a]", "twice (first in line 1)"},
        {"[guest a]\nsmt = \xff\n", "10.conf:2: ", "not UTF-8"},
        {"[gest a]\n", "10.conf:1: [gest a]", "did you mean [guest NAME]?"},
        {"[daemon]\n", "10.conf:1: [daemon]", "belongs in vhint.conf"},
        {"[guest profile:]\n", "10.conf:1: [guest profile:]", "matches nothing"},
        {"[guest a]\npol = 1\n", "10.conf:2: [guest a] pol: ", "did you mean \"pool\"?"},
        {"[guest a]\npool[de] = 1\n", "10.conf:2: [guest a] pool[de]: ", "unknown key"},
        {"[guest a]\nqmp = /x\n", "10.conf:2: [guest a] qmp: ", "vhint.conf"},
        {"[host]\nboost-budget = 95%\n", "10.conf:2: [host] boost-budget: ", "not from 10% to 80%"},
        {"[host]\nboost-budget = much\n", "10.conf:2: [host] boost-budget: ", "no share"},
        {"[host]\nboost-period = 1ms\n", "10.conf:2: [host] boost-period: ", "not from 10ms to 1s"},
        {"[host]\ntrial-window = 1m\n",
         "10.conf:2: [host] trial-window: ", "not from 200ms to 10s"},
        {"[host]\ntrial-windw = 1s\n",
         "10.conf:2: [host] trial-windw: ", "did you mean \"trial-window\"?"},
        {"[guest a]\npool = 8\n", "10.conf:2: [guest a] pool: ", "CPU 8 is not on this host (0-7)"},
        {"[guest a]\npool = 4-2\n", "10.conf:2: [guest a] pool: ", ""},
        {"[guest a]\npool =\n", "10.conf:2: [guest a] pool: ", "names no CPU"},
        {"[guest a]\nemulator = 0,9\n",
         "10.conf:2: [guest a] emulator: ", "CPU 9 is not on this host"},
        {"[guest a]\nemulator = pol\n",
         "10.conf:2: [guest a] emulator: ", "none of free, pool, off-anchors"},
        {"[guest a]\nsharing = dedicatd\n",
         "10.conf:2: [guest a] sharing: ", "did you mean \"dedicated\"?"},
        {"[guest a]\nsharing = dedicated\n", "10.conf:2: [guest a] sharing: ", "add pool = CPUS"},
        {"[guest a]\nsmt = par\n", "10.conf:2: [guest a] smt: ", "did you mean \"pair\"?"},
        {"[guest a]\nfloating = pol\n",
         "10.conf:2: [guest a] floating: ", "did you mean \"pool\"?"},
        {"[guest a]\novercommit = maybe\n",
         "10.conf:2: [guest a] overcommit: ", "neither yes nor no"},
        {"[guest a]\nactions = pin, flot\n",
         "10.conf:2: [guest a] actions: ", "did you mean \"float\"?"},
        {"[guest a]\nactions = none, pin\n", "10.conf:2: [guest a] actions: ", "must stand alone"},
        {"[guest a]\nactions =\n", "10.conf:2: [guest a] actions: ", "write none"},
        {"[guest a]\nmax-pins = 513\n", "10.conf:2: [guest a] max-pins: ", "from 0 to 512"},
        {"[guest a]\nmax-pins = -1\n", "10.conf:2: [guest a] max-pins: ", "from 0 to 512"},
        {"[guest a]\nmax-hints = 500\n", "10.conf:2: [guest a] max-hints: ", "write 500/s"},
        {"[guest a]\nmax-hints = 0/s\n", "10.conf:2: [guest a] max-hints: ", "from 1/s"},
        {"[guest a]\nmemory-max = 4\n", "10.conf:2: [guest a] memory-max: ", "write 512M"},
        {"[guest a]\nmemory-max = 4Gi\n", "10.conf:2: [guest a] memory-max: ", "write 512M"},
        {"[guest a]\nmemory-max = 99999999T\n", "10.conf:2: [guest a] memory-max: ", "is not from"},
        {"[guest a]\nmemory-min = much\n", "10.conf:2: [guest a] memory-min: ", "write 512M"},
        {"[guest a]\nmemory-step = 1M\n", "10.conf:2: [guest a] memory-step: ", "from 4M"},
        {"[guest a]\nmemory-min = 2G\nmemory-max = 1G\n",
         "10.conf:2: [guest a] memory-min: ", "memory-max"},
        {"[guest a]\nprograms = afinity\n", "10.conf:2: [guest a] programs: ", "no such file"},
        {"[guest a]\nprograms = x/y.bpf.o\n", "10.conf:2: [guest a] programs: ", "absolute path"},
        {"[guest a]\nrules = s\n" RULE, "10.conf:2: [guest a] rules: ", "did you mean \"r\"?"},
        {"[guest a]\nset.x = 1\n", "10.conf:2: [guest a] set.x: ", "set.PROGRAM.TUNABLE"},
        {STRANGER "[guest a]\nset.stranger.treshold = 1\n",
         "10.conf:4: [guest a] set.stranger.treshold: ",
         "has no tunable \"treshold\"; did you mean \"threshold\"? (it has threshold, label)"},
        /* A variable, but none that is constant. */
        {STRANGER "[guest a]\nset.stranger.counter = 1\n",
         "10.conf:4: [guest a] set.stranger.counter: ", "has no tunable \"counter\"; did you mean"},
        {STRANGER "[guest a]\nset.stranger.threshold = -1\n",
         "10.conf:4: [guest a] set.stranger.threshold: ", "from 0 to 4294967295"},
        {STRANGER "set.threshold = 5s\n", "10.conf:3: [program stranger] set.threshold: ",
         "\"5s\" is no value of the tunable threshold: it must be a whole number"},
        {STRANGER "set.treshold = 1\n", "10.conf:3: [program stranger] set.treshold: ",
         "the program stranger has no tunable \"treshold\"; did you mean \"threshold\"?"},
        {"[program affinity]\nset.x = 1\n",
         "10.conf:2: [program affinity] set.x: ", "the program affinity has no tunables"},
        {"[guest a]\nsharing=dedicated\npool=1-3\n[guest b]\nsharing=dedicated\npool=3-4\n",
         "10.conf:6: [guest b] pool: ", "CPU 3 is dedicated to [guest a] already (10.conf:3)"},
        {"[guest *]\nsharing=dedicated\npool=1-3\n[guest b]\nsmt=pair\n[guest c]\nsmt=pair\n",
         "10.conf:3: [guest c] pool: ", "CPU 1-3 are dedicated to [guest b] already"},
        {"[guest web-*]\nsharing=dedicated\npool=1-3\n[guest web-1]\npool=2\n",
         "10.conf:5: [guest web-1] pool: ", "dedicated to [guest web-*] already"},
        {"[host]\nreserve = 0-3\n[guest a]\npool = 2-3\n",
         "10.conf:4: [guest a] pool: ", "reserve has all"},
        {"[host]\nreserve = 0-7\n", "10.conf:2: [host] reserve: ", "no CPU is left"},
        {"[host]\nreserved = 0\n", "10.conf:2: [host] reserved: ", "did you mean \"reserve\"?"},
        {"[program p]\npath = x\n", "10.conf:2: [program p] path: ", "not an absolute path"},
        {"[program p]\npath = /x\n", "10.conf:2: [program p] path: ", "no such file"},
        {"[program p]\npth = /x\n", "10.conf:2: [program p] pth: ", "did you mean \"path\"?"},
        {"[rule r]\ndo = pin mask\n", "10.conf:1: [rule r]: ", "\"on\" is missing"},
        {"[rule r]\non = affinity\n", "10.conf:1: [rule r]: ", "\"do\" is missing"},
        {"[rule r]\non = afinity\ndo = pin mask\n",
         "10.conf:2: [rule r] on: ", "did you mean \"affinity\"?"},
        {RULE "wen = cpus == 1\n", "10.conf:4: [rule r] wen: ", "did you mean \"when\"?"},
        {RULE "when = cpsu == 1\n", "10.conf:4: [rule r] when: ", "did you mean \"cpus\"?"},
        {RULE "when = cpus == x\n", "10.conf:4: [rule r] when: ", "is a number"},
        {RULE "when = cpus = 1\n", "10.conf:4: [rule r] when: ", "did you mean \"==\"?"},
        {RULE "hold = 5\n", "10.conf:4: [rule r] hold: ", "has no unit"},
        {RULE "hold = 5d\n", "10.conf:4: [rule r] hold: ", "has an unknown unit"},
        {RULE "hold = 25h\n", "10.conf:4: [rule r] hold: ", "longer than 24h"},
        {RULE "cooldown = soon\n", "10.conf:4: [rule r] cooldown: ", "no duration"},
        {RULE "enabled = 2\n", "10.conf:4: [rule r] enabled: ", "neither yes nor no"},
        {"[rule r]\non = affinity\ndo = pni mask\n",
         "10.conf:3: [rule r] do: ", "did you mean \"pin\"?"},
        {"[rule r]\non = affinity\ndo = pin\n", "10.conf:3: [rule r] do: ", "pin what?"},
        {"[rule r]\non = affinity\ndo = log\n", "10.conf:3: [rule r] do: ", "log what?"},
        {"[rule r]\non = affinity\ndo = pin mask pid\n",
         "10.conf:3: [rule r] do: ", "takes one field"},
        {"[rule r]\non = affinity\ndo = pin msk\n",
         "10.conf:3: [rule r] do: ", "did you mean \"mask\"?"},
        {"[rule r]\non = affinity\ndo = pin comm\n", "10.conf:3: [rule r] do: ", "names no CPUs"},
        {"[rule r]\non = affinity\ndo = log task {pdi}\n",
         "10.conf:3: [rule r] do: ", "did you mean \"pid\"?"},
        {"[rule r]\non = affinity\ndo = boost\n", "10.conf:3: [rule r] do: ", "boost what?"},
        {"[rule r]\non = affinity\ndo = boost mask nise\n",
         "10.conf:3: [rule r] do: ", "did you mean \"nice\"?"},
        {"[rule r]\non = affinity\ndo = boost msk rr\n",
         "10.conf:3: [rule r] do: ", "did you mean \"mask\"?"},
        {"[rule r]\non = affinity\ndo = boost mask\nhold = 0\n",
         "10.conf:4: [rule r] hold: ", "at most 60s"},
        {"[rule r]\non = affinity\ndo = boost mask\nhold = 2m\n",
         "10.conf:4: [rule r] hold: ", "at most 60s"},
        {"[rule r]\non = affinity\ndo = boost mask\ncooldown = 0\n",
         "10.conf:4: [rule r] cooldown: ", "100ms"},
        {"[rule r]\non = affinity\ndo = boost mask\nmax-loss = 101%\n",
         "10.conf:4: [rule r] max-loss: ", "100%"},
        {"[rule r]\non = affinity\ndo = boost mask\nfigure = comm\n",
         "10.conf:4: [rule r] figure: ", "no integer"},
        {"[rule r]\non = affinity\ndo = boost mask\nfigure = pdi\n",
         "10.conf:4: [rule r] figure: ", "\"pid\"?"},
        {"[rule r]\non = affinity\ndo = boost mask\ntrial = perhaps\n",
         "10.conf:4: [rule r] trial: ", "neither yes"},
        {RULE "figure = pid\n", "10.conf:4: [rule r] figure: ", "only boost and memory"},
        {"[rule r]\non = affinity\ndo = near\n", "10.conf:3: [rule r] do: ", "near what?"},
        {"[rule r]\non = affinity\ndo = near comm\n", "10.conf:3: [rule r] do: ", "names no CPUs"},
        {"[rule r]\non = affinity\ndo = near mask comm\n",
         "10.conf:3: [rule r] do: ", "no integer"},
        {"[rule r]\non = affinity\ndo = near mask pid cpus\n",
         "10.conf:3: [rule r] do: ", "one field or two"},
        {"[rule r]\non = affinity\ndo = memory comm\n", "10.conf:3: [rule r] do: ", "no integer"},
        {"[rule r]\non = affinity\ndo = memory pid tgid\n",
         "10.conf:3: [rule r] do: ", "takes one field"},
        {"[rule r]\non = affinity\ndo = memory\nmax-loss = 10%\n",
         "10.conf:4: [rule r] max-loss: ", "only pin"},
        {"[rule r]\non = affinity\ndo = log x\ntrial = no\n",
         "10.conf:4: [rule r] trial: ", "only pin, group"},
        {"[rule r]\non = affinity\ndo = log task {pid\n",
         "10.conf:3: [rule r] do: ", "has no \"}\""},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(VhPolicy) policy = parse("", cases[i].text, problems);
        const char *first = problems->len ? g_ptr_array_index(problems, 0) : "nothing";

        if (policy || !g_str_has_prefix(first, cases[i].problem) || !strstr(first, cases[i].words))
            g_error("\"%s\": \"%s\" should be \"%s...%s\"", cases[i].text, first, cases[i].problem,
                    cases[i].words);
    }
}

/* What a guest's section sets goes with what [program] sets: together they must fit into LOAD. */
static void test_too_many_tunables(void)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *zeros = g_strnfill(VH_TUNABLES_MAX - strlen("threshold=") - 2, '0');
    g_autofree char *text =
        g_strdup_printf(STRANGER "set.threshold = %s\n[guest a]\nprograms = stranger\n"
                                 "set.stranger.label = 1234567\n",
                        zeros);
    g_autofree char *alone =
        g_strdup_printf(STRANGER "set.threshold = 00%s\n[guest a]\nprograms = stranger\n", zeros);

    g_assert_null(parse("", text, problems));
    g_assert_cmpuint(problems->len, ==, 1);
    g_assert_true(g_str_has_prefix(g_ptr_array_index(problems, 0),
                                   "10.conf:6: [guest a] set.stranger.label: the tunables have "
                                   "16397 bytes, the limit is 16384"));
    g_ptr_array_set_size(problems, 0);
    g_assert_null(parse("", alone, problems));
    g_assert_cmpuint(problems->len, ==, 1);
    g_assert_true(g_str_has_prefix(g_ptr_array_index(problems, 0),
                                   "10.conf:3: [program stranger] set.threshold: the tunables "));
}

static void test_all_problems(void)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    g_assert_null(parse("[guest a]\nsmt = x\n",
                        "[guest a]\npool = 99\n[rule r]\non = x\ndo = float\n", problems));
    g_assert_cmpuint(problems->len, ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy-file/empty", test_empty);
    g_test_add_func("/policy-file/all-keys", test_all_keys);
    g_test_add_func("/policy-file/boost", test_boost);
    g_test_add_func("/policy-file/specificity", test_specificity);
    g_test_add_func("/policy-file/merge", test_merge);
    g_test_add_func("/policy-file/observe-only", test_observe_only);
    g_test_add_func("/policy-file/problems", test_problems);
    g_test_add_func("/policy-file/too-many-tunables", test_too_many_tunables);
    g_test_add_func("/policy-file/all-problems", test_all_problems);
    return g_test_run();
}
